"""The two kernels: all expectation values at once, and H times a vector."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

import qiskit_qep as qep

from ._measure import OURS, Entrant, Sample, bandwidth, race
from .problems import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PASS = 24  # bytes per amplitude: the vector and the diagonal are read, one is written


def correlations(num_spins: int, seed: int) -> Sample:
    """Take every <Z_j Z_k> and <Z_k> of a random state at once."""
    model = qep.models.transverse_field_ising(num_spins)
    z_only = qep.Model(tuple(op for op in model.trainable if not op.paulis.x.any()))
    terms = z_only.operators.terms
    state = np.random.default_rng(seed).standard_normal((1, terms.dim))
    state /= np.linalg.norm(state)
    signs = Network.random(num_spins, seed).signs
    upper = tuple(np.array(list(combinations(range(num_spins), 2))).T)

    def matrices() -> Array:
        p = state[0] ** 2
        return -np.concatenate([((signs * p) @ signs.T)[upper], signs @ p])

    reference = matrices()

    def error(found: Array) -> float:
        return float(np.abs(np.asarray(found).ravel() - reference).max())

    return race(
        {
            OURS: Entrant(lambda: terms.expectations(state, state).real, error),
            "S p S^T": Entrant(matrices, error),
        }
    )


def matvec_seconds(num_spins: int, seed: int, repeats: int = 7) -> float:
    """Return the seconds of one H v, its diagonal at hand, as in a Lanczos step."""
    from qiskit_qep import _kernels

    network = Network.random(num_spins, seed)
    terms = network.model.operators.terms
    h = terms.hamiltonian(network.model.coefficients(network.theta, network.x))
    room, (v, out) = _kernels.room_for(h.layout, terms.dim, np.float64, rows=2)
    v[:] = np.random.default_rng(seed).standard_normal(terms.dim)
    team = _kernels.alone(terms.dim)
    _kernels.fill(h.layout, h.rows[0], room, team)
    ours = Entrant(lambda: _kernels.apply(room, v, out, team))
    return min(race({OURS: ours}, repeats=repeats).raw[OURS])


def matvec(num_spins: int, seed: int) -> Sample:
    """Compare H v with two passes over memory at the bandwidth measured just now."""
    seconds = matvec_seconds(num_spins, seed)
    bound = 2 * PASS * (1 << num_spins) / bandwidth()
    return Sample({OURS: seconds, "two passes of a = b + c": bound})


def roofline(num_spins: int, _: int) -> Sample:
    """Give the bytes per second of H v, and of a = b + c on vectors of that length."""
    dim = 1 << num_spins
    ours = PASS * dim / matvec_seconds(num_spins, 0)
    return Sample({OURS: ours, "a = b + c": bandwidth(dim), "DRAM": dram()})


@lru_cache(maxsize=1)
def dram() -> float:
    """Return the bandwidth of vectors that no cache holds."""
    return bandwidth()
