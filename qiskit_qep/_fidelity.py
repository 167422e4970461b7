"""How far a circuit's states and gradients are from the exact ones."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ._loss import Loss, squared_error
from ._measure import measure
from ._model import pauli_terms
from ._nudge import Nudge
from ._parametrization import direct
from ._streams import new_seed
from .equilibria.exact import Exact
from .preparations.ramp import Ramp

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ._equilibrium import Phase
    from ._model import Model
    from .equilibria.prepared import Prepared

    Array = NDArray[np.float64]

EXACT_QUBITS = 14  # beyond, the exact state takes longer than most circuits


@dataclass(frozen=True, eq=False)
class Fidelity:
    r"""Quality of prepared states, one number per sample.

    Attributes:
        fidelity: |<ground state|prepared state>|^2 of the free phase.
        energy_error: <H> - E_0, in units of energy.
        variance: <H^2> - <H>^2; zero for an eigenstate, whichever it is.
        gap: Distance to the next level, an upper bound.
        cosine: Between the measured gradient and the exact one.
        norm_ratio: Length of the measured gradient over that of the exact one.
        doubling: |g' - g| / |g'| with g' the gradient of a ramp of twice the time and
            steps; nan for other preparations. An estimate of the error where the exact
            gradient is not known.
    """

    fidelity: Array
    energy_error: Array
    variance: Array
    gap: Array
    cosine: Array
    norm_ratio: Array
    doubling: Array

    def __str__(self) -> str:
        """Return a table, with the median and the worst sample below."""
        names = [field.name for field in fields(self)]
        columns = [getattr(self, name) for name in names]
        heads = ["sample", *(name.replace("_", " ") for name in names)]
        lines = ["".join(f"{head:>14s}" for head in heads)]
        for b in range(len(self.fidelity)):
            cells = "".join(f"{column[b]:14.4g}" for column in columns)
            lines.append(f"{b:14d}{cells}")
        medians = "".join(f"{np.median(column):14.4g}" for column in columns)
        return "\n".join([*lines, f"{'median':>14s}{medians}"])


def fidelity_report(
    model: Model,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    equilibrium: Prepared,
    nudge: Nudge | None = None,
    loss: Loss = squared_error,
    seed: int | None = None,
) -> Fidelity:
    r"""Compare what a circuit prepares with the ground state, sample by sample.

    .. math:: F = |\langle\psi_0|\psi\rangle|^2, \qquad
              \cos = \frac{g \cdot g_0}{|g|\,|g_0|}, \qquad \frac{|g|}{|g_0|}

    The states are the noiseless ones of the circuit, with the angles of the measured
    free phase; the gradient is measured as the equilibrium does it, shots and noise
    included: by as many jobs as a training step, and as many again where a ramp is
    doubled. Exact columns are nan beyond 14
    qubits; the variance and the doubled ramp need no exact state.

    Args:
        model: Operators with roles.
        theta: Shape (num_trainable,).
        x: Shape (batch, num_inputs).
        y: Targets, one row per sample.
        equilibrium: ``Prepared``.
        nudge: The stencil of both gradients; by default ``Nudge.centered(0.1)``.
        loss: The cost of a prediction.
        seed: Of all shots; None draws one.

    Returns:
        One number of each kind per sample.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2])
        >>> report = qep.fidelity_report(
        ...     model, np.full(9, 0.5), [[1.0]], [[-1.0]],
        ...     equilibrium=qep.Prepared(qep.Ramp(counterdiabatic=True)))
        >>> bool(report.fidelity > 0.99), bool(report.cosine > 0.99)
        (True, True)
    """
    theta, x = model.check(theta, x)
    y = np.asarray(y)
    seed = new_seed() if seed is None else seed
    how: dict[str, Any] = {
        "nudge": Nudge.centered(0.1) if nudge is None else nudge,
        "loss": loss,
        "seed": seed,
    }

    rows = model.coefficients(theta, x)
    # With every operator in the role of an input, derivatives come sample by sample.
    all_inputs = replace(
        model,
        trainable=(),
        inputs=(*model.trainable, *model.inputs),
        parametrization=direct,
    )

    def gradients(settle: Any) -> tuple[Array, Phase]:
        """Return the gradient of every sample, and the free phase."""
        driven = rows[:, : model.num_driven]
        found, warning, free = measure(
            all_inputs, [], driven, y, equilibrium=settle, **how
        )
        if warning:
            warnings.warn(warning, stacklevel=3)
        return model.pullback(theta, x, found.inputs)[0], free

    measured, free = gradients(equilibrium)
    doubled = np.full(measured.shape, np.nan)
    preparation = equilibrium.preparation
    if isinstance(preparation, Ramp):
        slower = replace(
            preparation, time=2 * preparation.time, steps=2 * preparation.steps
        )
        doubled, _ = gradients(replace(equilibrium, preparation=slower))
    prepared = preparation.states(all_inputs.operators, free.state[-1])
    h = pauli_terms(model.operators).hamiltonian(rows)
    images = h.apply(prepared)
    energy = np.einsum("bi,bi->b", prepared.conj(), images).real
    variance = np.einsum("bi,bi->b", images.conj(), images).real - energy**2
    fidelity, error, gap = np.full((3, len(x)), np.nan)
    exact = np.full(measured.shape, np.nan)
    if pauli_terms(model.operators).num_qubits <= EXACT_QUBITS:
        exact, ground = gradients(Exact())
        fidelity = np.abs(np.einsum("bi,bi->b", ground.state[0].conj(), prepared)) ** 2
        error = energy - (ground.values * rows).sum(axis=1)
        gap = np.asarray(ground.gap)
    sizes = [np.linalg.norm(g, axis=1) for g in (measured, exact, doubled)]
    return Fidelity(
        fidelity=fidelity,
        energy_error=error,
        variance=np.maximum(variance, 0.0),
        gap=gap,
        cosine=(measured * exact).sum(axis=1) / (sizes[0] * sizes[1]),
        norm_ratio=sizes[0] / sizes[1],
        doubling=np.linalg.norm(measured - doubled, axis=1) / sizes[2],
    )
