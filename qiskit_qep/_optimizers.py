"""Optimizers: pairs of pure functions whose memory you carry in your hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]
    Rate = float | Callable[[int], float]


class Optimizer(NamedTuple):
    """How a gradient becomes a change of theta; an optax object fits as it is.

    Attributes:
        init: theta -> memory, nested tuples of arrays.
        update: (gradient, memory, theta) -> (change, memory).
    """

    init: Callable[[Array], Any]
    update: Callable[[Array, Any, Array], tuple[Array, Any]]


def _rate_at(rate: Rate, step: int) -> float:
    return rate(step) if callable(rate) else rate


def _check(rate: Rate, **fractions: float) -> None:
    if not callable(rate) and not (np.isfinite(rate) and rate > 0):
        raise ValueError(f"rate should be a positive number, got {rate}")
    for name, value in fractions.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} should be in [0, 1), got {value}")


def sgd(rate: Rate = 0.1) -> Optimizer:
    r"""Gradient descent: change = -rate * g.

    Args:
        rate: A positive number, or a function of the step number from 0.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> change, _ = qep.sgd(0.1).update(np.ones(2), (np.array(0),), np.zeros(2))
        >>> change
        array([-0.1, -0.1])
    """
    _check(rate)

    def update(g: Array, memory: Any, theta: Array) -> tuple[Array, Any]:
        (step,) = memory
        return -_rate_at(rate, int(step)) * g, (step + 1,)

    return Optimizer(lambda theta: (np.array(0),), update)


def momentum(rate: Rate = 0.1, decay: float = 0.9) -> Optimizer:
    r"""Heavy ball: v <- decay * v + g, change = -rate * v.

    Args:
        rate: A positive number, or a function of the step number from 0.
        decay: Share of the last velocity that is kept, in [0, 1).
    """
    _check(rate, decay=decay)

    def update(g: Array, memory: Any, theta: Array) -> tuple[Array, Any]:
        step, velocity = memory
        velocity = decay * velocity + g
        return -_rate_at(rate, int(step)) * velocity, (step + 1, velocity)

    return Optimizer(lambda theta: (np.array(0), np.zeros_like(theta)), update)


def adam(
    rate: Rate = 0.005, *, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> Optimizer:
    r"""Adam: steps of about ``rate`` whatever the size of the gradient.

    .. math::
        m \leftarrow b_1 m + (1-b_1) g,\quad v \leftarrow b_2 v + (1-b_2) g^2,\quad
        \Delta\theta = -\text{rate}\,
        \frac{m / (1-b_1^t)}{\sqrt{v / (1-b_2^t)} + \epsilon}

    Args:
        rate: A positive number, or a function of the step number from 0.
        b1: Memory of the mean, in [0, 1).
        b2: Memory of the mean square, in [0, 1).
        eps: Keeps vanishing gradients from being blown up.

    Reference:
        D. P. Kingma and J. Ba, arXiv:1412.6980, Algorithm 1.
    """
    _check(rate, b1=b1, b2=b2)

    def init(theta: Array) -> Any:
        return np.array(0), np.zeros_like(theta), np.zeros_like(theta)

    def update(g: Array, memory: Any, theta: Array) -> tuple[Array, Any]:
        step, m, v = memory
        m, v, t = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2, int(step) + 1
        unbiased = m / (1 - b1**t), v / (1 - b2**t)
        change = -_rate_at(rate, t - 1) * unbiased[0] / (np.sqrt(unbiased[1]) + eps)
        return change, (step + 1, m, v)

    return Optimizer(init, update)


def cosine(rate: float, steps: int, *, end: float = 0.0) -> Callable[[int], float]:
    r"""Return a schedule that falls from ``rate`` to ``end`` along half a cosine.

    Example:
        >>> import qiskit_qep as qep
        >>> schedule = qep.cosine(0.1, 100)
        >>> [round(schedule(k), 3) for k in (0, 50, 100)]
        [0.1, 0.05, 0.0]
    """
    if steps < 1:
        raise ValueError(f"steps should be at least 1, got {steps}")

    def at(step: int) -> float:
        progress = min(step / steps, 1.0)
        return float(end + (rate - end) * 0.5 * (1.0 + np.cos(np.pi * progress)))

    return at


def bounded(
    optimizer: Optimizer, *, lower: ArrayLike = -np.inf, upper: ArrayLike = np.inf
) -> Optimizer:
    r"""Keep theta within bounds: what another optimizer would do, cut off there.

    .. math:: \theta_{t+1} = \min(\max(\theta_t + \Delta_t, l), u)

    Spring constants, for example, stay positive.

    Args:
        optimizer: What changes theta within the bounds.
        lower: l, one number or one per component.
        upper: u, likewise.

    Raises:
        ValueError: If a lower bound is above its upper one.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> kept = qep.bounded(qep.sgd(1.0), lower=0.1)
        >>> theta = np.array([0.5, 2.0])
        >>> theta + kept.update(np.ones(2), kept.init(theta), theta)[0]
        array([0.1, 1. ])
    """
    low, high = np.broadcast_arrays(np.asarray(lower), np.asarray(upper))
    if (low > high).any() or np.isnan(low).any() or np.isnan(high).any():
        raise ValueError(f"lower should be below upper, got {lower!r} and {upper!r}")

    def update(g: Array, memory: Any, theta: Array) -> tuple[Array, Any]:
        change, memory = optimizer.update(g, memory, theta)
        return np.clip(theta + np.asarray(change), low, high) - theta, memory

    return Optimizer(optimizer.init, update)
