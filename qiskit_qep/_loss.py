"""Loss: the cost of a prediction and its slope, which becomes the nudge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from ._pauli import is_complex

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from ._model import Model

    Array = NDArray[np.float64]


def real_targets(model: Model, y: ArrayLike, batch: int) -> NDArray[Any]:
    """Return targets of shape (batch, num_readout), or say what is wrong with them."""
    targets = np.asarray(y)
    if is_complex(targets):
        raise ValueError(f"y should be real, got {targets.dtype}")
    targets = targets.astype(np.float64)
    if targets.ndim == 1 and batch == 1:
        targets = targets[None]
    expected = (batch, model.num_readout)
    if targets.shape != expected:
        raise ValueError(f"y should have shape {expected}, got {targets.shape}")
    if not np.all(np.isfinite(targets)):
        row = int(np.flatnonzero(~np.isfinite(targets).all(axis=1))[0])
        raise ValueError(f"y should be finite, got {targets[row]} in row {row}")
    return targets


class Loss(NamedTuple):
    r"""A cost of expectation values: two functions that work row by row.

    Attributes:
        value: (prediction, target) -> loss, shape (batch,).
        slope: (prediction, target) -> s = dl/dp, shape (batch, num_readout).
        needs_prediction: False where the slope does not depend on the prediction, so
            that nudged phases need not wait for the free one.
        targets: (model, y, batch) -> targets, or an error that says what is wrong.
    """

    value: Callable[[Array, Any], Array]
    slope: Callable[[Array, Any], Array]
    needs_prediction: bool = True
    targets: Callable[[Model, ArrayLike, int], NDArray[Any]] = real_targets


squared_error = Loss(
    value=lambda p, y: ((p - y) ** 2).sum(axis=1),
    slope=lambda p, y: 2.0 * (p - y),
)


def _unit_square_targets(model: Model, y: ArrayLike, batch: int) -> NDArray[Any]:
    for i, operator in enumerate(model.readout):
        if not _squares_to_one(operator):
            raise ValueError(
                f"cost_observable needs readouts with O^2 = 1, got readout {i} = "
                f"{operator}; use squared_error, whose slope waits for the prediction"
            )
    return real_targets(model, y, batch)


def _squares_to_one(operator: Any) -> bool:
    if not isinstance(operator, SparsePauliOp):
        return False
    square = (operator @ operator).simplify()
    is_identity = not (square.paulis.x.any() or square.paulis.z.any())
    return is_identity and bool(np.allclose(square.coeffs, 1.0))


# C(y) = sum (O_i - y_i)^2 = sum (1 + y_i^2) - 2 sum y_i O_i (arXiv:2406.00879).
cost_observable = Loss(
    value=lambda p, y: (1.0 + y**2 - 2.0 * y * p).sum(axis=1),
    slope=lambda p, y: -2.0 * y,
    needs_prediction=False,
    targets=_unit_square_targets,
)

# The cost is the observable sum y_i O_i itself, arXiv:2406.00879 Eq. (24).
expectation = Loss(
    value=lambda p, y: (y * p).sum(axis=1),
    slope=lambda p, y: y,
    needs_prediction=False,
)


def _class_targets(model: Model, y: ArrayLike, batch: int) -> NDArray[Any]:
    labels = np.asarray(y)
    if labels.shape != (batch,):
        raise ValueError(
            f"y should be class numbers of shape ({batch},), got shape {labels.shape}"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"y should be integer class numbers, got {labels.dtype}")
    if labels.min() < 0 or labels.max() >= model.num_readout:
        raise ValueError(
            f"y should be classes 0 to {model.num_readout - 1}, one per readout, got "
            f"{labels.min()} to {labels.max()}"
        )
    return labels


def cross_entropy(scale: float = 4.0) -> Loss:
    r"""Cross-entropy of the softmax of scale * p, for class numbers as targets.

    .. math:: \ell = -\log q_y, \qquad q_i = \frac{e^{c p_i}}{\sum_j e^{c p_j}},
              \qquad s_i = c\,(q_i - \delta_{iy})

    Args:
        scale: c; expectation values lie in [-1, 1], so c bounds the confidence.

    Raises:
        ValueError: If scale is not positive.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> loss = qep.cross_entropy(scale=1.0)
        >>> loss.slope(np.zeros((1, 2)), np.array([0]))
        array([[-0.5,  0.5]])
    """
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale should be a positive number, got {scale}")

    def log_softmax(p: Array) -> Array:
        shifted = scale * (p - p.max(axis=1, keepdims=True))
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))

    def value(p: Array, y: Any) -> Array:
        return np.asarray(-log_softmax(p)[np.arange(len(y)), y])

    def slope(p: Array, y: Any) -> Array:
        q = np.exp(log_softmax(p))
        q[np.arange(len(y)), y] -= 1.0
        return scale * q

    return Loss(value, slope, targets=_class_targets)
