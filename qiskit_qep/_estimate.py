"""From measured phases to a gradient with standard errors, by the chain rule."""

from __future__ import annotations

from dataclasses import dataclass
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

    @property
    def norm(self) -> float:
        """Length of values."""
        return float(np.linalg.norm(self.values))

    @property
    def norm_std(self) -> float:
        """Standard error of the length, to first order."""
        variance = self.stds**2 + self.slope_stds**2
        return float(np.sqrt((self.values**2 @ variance) / max(self.norm, 1e-300) ** 2))

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
) -> Gradient:
    """Pull the measured change back to theta and x, with all standard errors."""
    batch, columns = len(x), model.readout_columns
    prediction = free.values[:, columns]
    by_theta, by_x = model.pullback(theta, x, change)
    var_theta, var_x = np.zeros(by_theta.shape), np.zeros(by_x.shape)
    if covariance is not None:
        var_theta, var_x = _pullback_variance(model, theta, x, covariance)
    noise = covariance_of(free)[:, columns, columns]
    scale = _relative_slope_variance(loss, prediction, targets, slope, noise)
    by_slope = np.maximum(by_theta**2 - var_theta, 0.0) * scale[:, None]
    loss_variance = np.einsum("bi,bij,bj->b", slope, noise, slope)
    gaps = np.full(1, np.nan) if free.gap is None else free.gap
    return Gradient(
        loss=float(loss.value(prediction, targets).mean()),
        loss_std=float(np.sqrt(loss_variance.sum())) / batch,
        values=by_theta.mean(axis=0),
        stds=np.sqrt(var_theta.sum(axis=0)) / batch,
        slope_stds=np.sqrt(by_slope.sum(axis=0)) / batch,
        inputs=by_x,
        inputs_stds=np.sqrt(var_x + np.maximum(by_x**2 - var_x, 0.0) * scale[:, None]),
        prediction=prediction,
        prediction_stds=stds_of(free)[:, columns],
        gap=float(np.min(gaps)),
    )


def _pullback_variance(
    model: Model, theta: Array, x: Array, covariance: Array
) -> tuple[Array, Array]:
    """Return the variances of the pulled-back change, from its covariance."""
    batch, size = len(x), model.num_driven
    unit = np.zeros((batch, size, covariance.shape[1]))
    unit[:, np.arange(size), np.arange(size)] = 1.0
    every = np.repeat(x, size, axis=0)
    rows = model.pullback(theta, every, unit.reshape(batch * size, -1))
    variances = []
    for jacobian in (part.reshape(batch, size, -1) for part in rows):
        mixed = covariance[:, :size, :size] @ jacobian
        variances.append(np.maximum((mixed * jacobian).sum(axis=1), 0.0))
    return variances[0], variances[1]


def _relative_slope_variance(
    loss: Loss, prediction: Array, targets: NDArray[Any], slope: Array, noise: Array
) -> Array:
    """Return tr Cov(s) / |s|^2 per sample, from the covariance of the prediction."""
    size = slope.shape[1]
    if not (loss.needs_prediction and noise.any() and size):
        return np.zeros(len(slope))
    step = 1e-6
    jacobian = np.empty((len(slope), size, size))
    for i in range(size):
        shift = step * np.eye(size)[i]
        up, down = (loss.slope(prediction + s * shift, targets) for s in (1, -1))
        jacobian[:, :, i] = (up - down) / (2 * step)
    trace: Array = np.einsum("bij,bjk,bik->b", jacobian, noise, jacobian)
    size_squared: Array = np.maximum((slope**2).sum(axis=1), 1e-300)
    return trace / size_squared


def stds_of(phase: Phase) -> Array:
    """Return the standard errors of a phase, zero where it has none."""
    return np.zeros(phase.values.shape) if phase.stds is None else phase.stds


def covariance_of(phase: Phase) -> Array:
    """Return the covariance of the values, diagonal where no shots are shared."""
    if phase.covariance is not None:
        return phase.covariance
    stds = stds_of(phase)
    return np.asarray(stds[:, :, None] ** 2 * np.eye(stds.shape[1]))
