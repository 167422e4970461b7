"""The contrastive function, whose exact gradient the one-sided rule is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._loss import cost_observable
from .equilibria.exact import Exact

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._equilibrium import Equilibrium
    from ._model import Model


def contrastive(
    model: Model,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    beta: float,
    equilibrium: Equilibrium | None = None,
) -> Any:
    r"""Return the batch mean of the contrastive function of the cost observable.

    .. math::
        L_\beta = \frac{E(H + \beta C) - E(H)}{\beta}, \qquad C = \sum_i (O_i - y_i)^2

    ``gradient`` with ``Nudge.one_sided(beta)`` and ``cost_observable`` is its exact
    gradient at any beta. In the ground state E is concave, hence for beta > 0

    .. math:: L_\beta \le \langle C\rangle \le L_{-\beta}.

    Args:
        model: Operators with roles; every readout has O^2 = 1.
        theta: Shape (num_trainable,).
        x: Shape (batch, num_inputs), or one row.
        y: Targets, shape (batch, num_readout).
        beta: Any number but 0.
        equilibrium: What settles; by default ``Exact()``.

    Raises:
        ValueError: If beta is 0 or not finite, or a readout's square is not 1.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
        >>> args = (model, np.ones(5), [[1.0]], [[-1.0]])
        >>> below, above = (qep.contrastive(*args, beta=b) for b in (0.1, -0.1))
        >>> bool(below < qep.gradient(*args, loss=qep.cost_observable).loss < above)
        True

    Reference:
        B. Scellier, arXiv:2406.00879.
    """
    if not np.isfinite(beta) or beta == 0:
        raise ValueError(f"beta should be a finite number other than 0, got {beta}")
    settle = Exact() if equilibrium is None else equilibrium
    free_rows = model.coefficients(theta, x)
    targets = cost_observable.targets(model, y, len(free_rows))
    slope = cost_observable.slope(targets, targets)
    free = settle(model.operators, free_rows)
    nudged_rows = model.coefficients(theta, x, beta * slope)
    # Settled afresh, it is the lowest state, also past a crossing: bounds hold for it.
    start = free if getattr(settle, "follow", False) else None
    nudged = settle(model.operators, nudged_rows, start=start)
    energies = [
        (rows * phase.values).sum(axis=1)
        for rows, phase in ((free_rows, free), (nudged_rows, nudged))
    ]
    constant = (1.0 + targets**2).sum(axis=1)
    return np.mean(constant + (energies[1] - energies[0]) / beta)
