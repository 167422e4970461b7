"""Ground states: our public call against every peer's."""

from __future__ import annotations

import numpy as np

import qiskit_qep as qep

from ._measure import OURS, Entrant, Sample, race
from .peers import ground_states
from .problems import Network


def ground_state(num_spins: int, batch: int, seed: int) -> Sample:
    """Settle a batch at once, and one of its rows by every peer.

    Errors are residuals |H v - E v|. Our time includes reading the operators'
    coefficients, the gap, and the expectation values of all operators.
    """
    network = Network.random(num_spins, seed, batch=batch)
    model, exact = network.model, qep.Exact()
    rows = model.coefficients(network.theta, network.x)

    def error(phase: qep.Phase) -> float:
        if phase.residual is None:
            raise ValueError("Exact reports its residual")
        return float(np.max(phase.residual))

    ours = Entrant(lambda: exact(model.operators, rows), error, per=batch)
    return race({OURS: ours, **ground_states(network)})
