"""The nudge with the smallest error for a given number of shots."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from ._fidelity import EXACT_QUBITS
from ._gradient import gradient
from ._loss import Loss, squared_error
from ._measure import readout_sizes
from ._nudge import Nudge
from ._streams import new_seed, streams
from ._whole import refuse_fractions
from .equilibria.exact import Exact
from .equilibria.prepared import Prepared
from .equilibria.sampled import Sampled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ._equilibrium import Equilibrium, Phase
    from ._model import Model

PILOT = 1.0  # the push that is tried, where no gap forbids it


def suggest_nudge(
    model: Model,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    shots: int,
    *,
    equilibrium: Equilibrium | None = None,
    loss: Loss = squared_error,
    seed: int | None = None,
) -> Nudge:
    r"""Suggest the normalized centred nudge of smallest squared error for given shots.

    .. math:: \mathrm{MSE}(\beta) = |c|^2 \beta^4 + \frac{v}{\beta^2}, \qquad
              \beta^* = \left(\frac{v}{2 |c|^2}\right)^{1/6}

    The bias c beta^2 is measured by halving a pilot nudge, the noise v / beta^2 is what
    the pilot's error bars say. A sample's bias and noise are both multiplied by its
    slope, so that the best push is the same whatever the slope: the nudge is
    ``normalized``. It is capped where the push reaches half of the smallest
    ``Phase.gap`` that the equilibrium tells (of a thermal state it grows with the
    temperature); of the exact one up to 14 qubits where it tells none, as circuits do;
    and at 1 otherwise. It costs two gradients and a prediction.

    Args:
        model: Operators with roles.
        theta: Shape (num_trainable,).
        x: Shape (batch, num_inputs).
        y: Targets, one row per sample.
        shots: Per state and measurement setting.
        equilibrium: What will settle; by default ``Sampled(shots)``.
        loss: The cost of a prediction.
        seed: Of the pilot's shots; None draws one.

    Returns:
        ``Nudge.centered(beta).normalized()``.

    Raises:
        ValueError: If shots is not positive.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2])
        >>> where = model, np.full(9, 0.5), [[1.0]], [[-1.0]]
        >>> few, many = (qep.suggest_nudge(*where, n, seed=0) for n in (100, 100_000))
        >>> few.reach > many.reach
        True
    """
    refuse_fractions(shots=shots)
    seed = new_seed() if seed is None else seed
    noisy = _with_shots(equilibrium, shots)
    rows = model.coefficients(theta, x)
    free = noisy(model.operators, rows, rng=streams(seed, 0, 0, len(rows)))
    cap = PILOT
    gap = _gap(model, rows, free)
    if gap is not None:
        cap = float(0.5 * np.min(gap) / np.linalg.norm(readout_sizes(model)))
    pilot = min(PILOT, cap)
    wide, narrow = (
        gradient(
            model,
            theta,
            x,
            y,
            equilibrium=noisy,
            nudge=Nudge.centered(b).normalized(),
            seed=seed + 1 + k,
            loss=loss,
        )
        for k, b in enumerate((pilot, 0.5 * pilot))
    )
    difference = ((wide.values - narrow.values) ** 2).sum()
    noise = (wide.stds**2 + narrow.stds**2).sum()
    # Where noise hides the curvature, all that is known is that it is no larger.
    curvature = max(difference - noise, 0.5 * noise) / (0.75 * pilot**2) ** 2
    variance = (wide.stds**2).sum() * pilot**2
    best = (variance / (2.0 * curvature)) ** (1 / 6)
    return Nudge.centered(float(f"{min(best, cap):.2g}")).normalized()


def _gap(model: Model, rows: NDArray[Any], free: Phase) -> NDArray[Any] | None:
    """Return the gaps of qubits: what the equilibrium tells, else the exact ones."""
    if not all(isinstance(op, SparsePauliOp) for op in model.operators):
        return None
    if free.gap is None and model.operators[0].num_qubits <= EXACT_QUBITS:
        return Exact()(model.operators, rows).gap
    return free.gap


def _with_shots(equilibrium: Equilibrium | None, shots: int) -> Equilibrium:
    """Let an equilibrium take this number of shots."""
    if equilibrium is None:
        return Sampled(shots)
    if isinstance(equilibrium, Sampled) or (
        isinstance(equilibrium, Prepared) and equilibrium.sampler is not None
    ):
        return replace(equilibrium, shots=shots)
    return Sampled(shots, equilibrium)
