"""From measured phases to a gradient with standard errors, by the chain rule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._equilibrium import Phase
    from ._loss import Loss
    from ._model import Model

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gradient:
    """The gradient of a batch-mean loss, and all else the same measurements tell.

    Attributes:
        loss: Batch mean of the loss.
        loss_std: Its standard error.
        values: d loss / d theta, shape (num_trainable,).
        stds: Standard errors of values for the slope that was measured, same shape.
        slope_stds: What the measured slope's own noise adds: it scales a sample's whole
            gradient. Exact for one readout; of more, the directions not nudged are
            taken to respond as strongly as the nudged one.
        inputs: d l_b / d x_b of each sample's own loss, shape (batch, num_inputs).
        inputs_stds: Standard errors of inputs, same shape.
        prediction: Shape (batch, num_readout).
        prediction_stds: Standard errors of prediction, same shape.
        gap: Smallest gap of the free phases; nan where the equilibrium reports none.
        bias: What a probing nudge says of the error of values that the size of beta
            makes, same shape.
        bias_stds: Its standard errors.
        raw: The same, nudged alike, from shots as they were, where errors of readout
            were taken out.
    """

    loss: float
    loss_std: float
    values: Array
    stds: Array
    slope_stds: Array
    inputs: Array
    inputs_stds: Array
    prediction: Array
    prediction_stds: Array
    gap: float = np.nan
    bias: Array | None = None
    bias_stds: Array | None = None
    raw: Gradient | None = None

    @property
    def norm(self) -> float:
        """Length of values."""
        return float(np.linalg.norm(self.values))

    @property
    def norm_std(self) -> float:
        """Standard error of the length, to first order."""
        variance = self.stds**2 + self.slope_stds**2
        direction = self.values / self.norm if self.norm > 0 else self.values
        return float(np.sqrt(direction**2 @ variance))

    @property
    def signal_to_noise(self) -> float:
        """Length of values over its standard error; infinite where it is exact."""
        return self.norm / self.norm_std if self.norm_std > 0 else float("inf")

    def __repr__(self) -> str:
        """Show loss and length with error bars."""
        return (
            f"Gradient(loss {with_error(self.loss, self.loss_std)}, "
            f"|grad| {with_error(self.norm, self.norm_std)}; "
            f"{len(self.values)} parameters)"
        )


def with_error(value: float, std: float) -> str:
    """Format a number with its standard error, or without one where it is exact."""
    if not std > 0:
        return f"{value:.4g}"
    digits = max(0, 1 - int(np.floor(np.log10(std))))
    return f"{value:.{digits}f} ± {std:.{digits}f}"


def assemble(
    model: Model,
    theta: Array,
    x: Array,
    targets: NDArray[Any],
    loss: Loss,
    free: Phase,
    slope: Array,
    change: Array,
    covariance: Array | None,
    cross_covariance: Array | None,
) -> Gradient:
    """Pull the measured change back to theta and x, with all standard errors.

    Args:
        model: Operators with roles.
        theta: Shape (num_trainable,).
        x: Shape (batch, num_inputs).
        targets: What the loss compares with.
        loss: The cost of a prediction.
        free: The free phase.
        slope: The measured s, shape (batch, num_readout).
        change: sum_n w_n <A>_n, shape (batch, num_operators).
        covariance: Of change, (batch, num_operators, num_operators); None if exact.
        cross_covariance: Of change with the free values, same shape; None where they
            share no noise.
    """
    batch, columns = len(x), model.readout_columns
    prediction = free.values[:, columns]
    by_theta, by_x = model.pullback(theta, x, change)
    exact = Gradient(
        loss=float(loss.value(prediction, targets).sum()) / batch,
        loss_std=0.0,
        values=by_theta.sum(axis=0) / batch,
        stds=np.zeros(by_theta.shape[1]),
        slope_stds=np.zeros(by_theta.shape[1]),
        inputs=by_x,
        inputs_stds=np.zeros(by_x.shape),
        prediction=prediction,
        prediction_stds=stds_of(free)[:, columns],
        gap=np.nan if free.gap is None else float(free.gap.min()),
    )
    if covariance is None:
        return exact
    noise = covariance_of(free)[:, :, columns]
    size, along = _slope_error(loss, prediction, targets, slope, noise[:, columns])
    shared = np.zeros(change.shape)
    if cross_covariance is not None:
        shared = np.einsum("bki,bi->bk", cross_covariance[:, :, columns], along)
    crossed = model.pullback(theta, x, shared)
    variances = _pullback_variance(model, theta, x, covariance)
    from_slope = [
        # sigma^2 has to be taken off a measured square, or noise counts twice.
        np.maximum(np.maximum(g**2 - v, 0.0) * size + 2 * g * c, 0.0)
        for g, v, c in zip((by_theta, by_x), variances, crossed, strict=True)
    ]
    return replace(
        exact,
        loss_std=loss_error(slope, noise[:, columns]),
        stds=np.sqrt(variances[0].sum(axis=0)) / batch,
        slope_stds=np.sqrt(from_slope[0].sum(axis=0)) / batch,
        inputs_stds=np.sqrt(variances[1] + from_slope[1]),
    )


def loss_error(slope: Array, noise: Array) -> float:
    """Return the standard error of the mean loss, to first order.

    Args:
        slope: Of every sample's loss, shape (batch, num_readout).
        noise: Covariance of the predictions, (batch, num_readout, num_readout).
    """
    variance = np.einsum("bi,bij,bj->b", slope, noise, slope)
    return float(np.sqrt(variance.sum())) / len(slope)


def mean_by_theta(
    model: Model, theta: Array, x: Array, values: Array, covariance: Array | None
) -> tuple[Array, Array]:
    """Return the batch mean of values pulled back to theta, and its errors."""
    by_theta = model.pullback(theta, x, values)[0]
    variance = np.zeros(by_theta.shape)
    if covariance is not None:
        variance = _pullback_variance(model, theta, x, covariance)[0]
    return by_theta.mean(axis=0), np.sqrt(variance.sum(axis=0)) / len(x)


def scatter(model: Model, theta: Array, x: Array, change: Array) -> Array:
    """Return standard errors from how the samples' gradients differ, nan for one.

    A random sign makes one sample's gradient far off; only the others tell how far.
    That samples differ by themselves counts as error, too.
    """
    by_theta = model.pullback(theta, x, change)[0]
    if len(x) == 1:
        return np.full(by_theta.shape[1], np.nan)
    return np.asarray(by_theta.std(axis=0, ddof=1) / np.sqrt(len(x)))


def _pullback_variance(
    model: Model, theta: Array, x: Array, covariance: Array
) -> list[Array]:
    """Return the variances by theta and by x of the pulled-back change."""
    batch, size = len(x), model.num_driven
    unit = np.zeros((batch, size, covariance.shape[1]))
    unit[:, np.arange(size), np.arange(size)] = 1.0
    every = np.repeat(x, size, axis=0)
    rows = model.pullback(theta, every, unit.reshape(batch * size, -1))
    variances = []
    for jacobian in (part.reshape(batch, size, -1) for part in rows):
        mixed = covariance[:, :size, :size] @ jacobian
        variances.append(np.maximum((mixed * jacobian).sum(axis=1), 0.0))
    return variances


def _slope_error(
    loss: Loss, prediction: Array, targets: NDArray[Any], slope: Array, noise: Array
) -> tuple[Array, Array]:
    r"""Return how the prediction's noise disturbs the measured slope, per sample.

    .. math:: \frac{\mathrm{tr}\,\mathrm{Cov}(s)}{|s|^2}, \qquad
              e = \frac{J^T s}{|s|^2}, \quad J = \frac{\partial s}{\partial p}

    so that the nudge is scaled by 1 + e . dp. A slope below its own noise is taken to
    be as large as that.

    Returns:
        The relative variance, shape (batch, 1), and e, shape (batch, num_readout).
    """
    size = slope.shape[1]
    if not loss.needs_prediction:
        return np.zeros((len(slope), 1)), np.zeros(slope.shape)
    step = 1e-6
    jacobian = np.empty((len(slope), size, size))
    for i in range(size):
        shift = step * np.eye(size)[i]
        up, down = (loss.slope(prediction + s * shift, targets) for s in (1, -1))
        jacobian[:, :, i] = (up - down) / (2 * step)
    trace = np.einsum("bij,bjk,bik->b", jacobian, noise, jacobian)[:, None]
    squared = np.maximum((slope**2).sum(axis=1, keepdims=True), trace)
    squared = np.maximum(squared, 1e-300)
    return trace / squared, np.einsum("bij,bi->bj", jacobian, slope) / squared


def stds_of(phase: Phase) -> Array:
    """Return the standard errors of a phase, zero where it has none."""
    return np.zeros(phase.values.shape) if phase.stds is None else phase.stds


def covariance_of(phase: Phase) -> Array:
    """Return the covariance of the values, diagonal where no shots are shared."""
    if phase.covariance is not None:
        return phase.covariance
    stds = stds_of(phase)
    return np.asarray(stds[:, :, None] ** 2 * np.eye(stds.shape[1]))
