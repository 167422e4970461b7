"""Parametrization: the map from (theta, x) to the coefficients of the operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@runtime_checkable
class Parametrization(Protocol):
    r"""How (theta, x) become the coefficients of the trainable and input operators.

    .. math::
        \lambda = \lambda(\theta, x), \qquad
        \frac{d\ell}{d\theta} = \Big(\frac{\partial\lambda}{\partial\theta}\Big)^T
        \frac{d\ell}{d\lambda}

    The coefficients do not depend on the state, so the chain rule is exact. This is the
    only place where a model may be nonlinear in theta or x.

    Attributes:
        num_trainable: Length of theta.
        num_inputs: Length of one row of x.
    """

    @property
    def num_trainable(self) -> int:
        """Length of theta."""

    @property
    def num_inputs(self) -> int:
        """Length of one row of x."""

    def coefficients(self, theta: Array, x: Array) -> Array:
        """Return lambda, (batch, number of trainable and input operators)."""

    def pullback(self, theta: Array, x: Array, v: Array) -> tuple[Array, Array]:
        """Return the Jacobian's transpose times v, per sample.

        Args:
            theta: Shape (num_trainable,).
            x: Shape (batch, num_inputs).
            v: Derivatives by lambda, (batch, trainable and input operators).

        Returns:
            Derivatives by theta, (batch, num_trainable), and by x, (batch, num_inputs).
        """

    def initial(self, rng: np.random.Generator) -> Array:
        """Draw a theta to start training from."""


@dataclass(frozen=True)
class Direct:
    r"""Theta and x *are* the coefficients; training starts at center + width N(0, 1).

    Attributes:
        num_trainable: Length of theta.
        num_inputs: Length of one row of x.
        center: Mean of the initial theta, one number or one per component.
        width: Standard deviation of the initial theta, likewise.
    """

    num_trainable: int
    num_inputs: int
    center: float | tuple[float, ...] = 0.0
    width: float | tuple[float, ...] = 0.5

    def coefficients(self, theta: Array, x: Array) -> Array:
        """Return (theta, x), (batch, num_trainable + num_inputs)."""
        return np.concatenate([np.tile(theta, (len(x), 1)), x], axis=1)

    def pullback(self, theta: Array, x: Array, v: Array) -> tuple[Array, Array]:
        """Split v into its parts for theta and for x."""
        return v[:, : self.num_trainable], v[:, self.num_trainable :]

    def initial(self, rng: np.random.Generator) -> Array:
        """Draw theta ~ N(center, width^2)."""
        draw = rng.standard_normal(self.num_trainable)
        return np.asarray(self.center) + np.asarray(self.width) * draw


direct = Direct


@dataclass(frozen=True)
class LinearInputs:
    r"""Input coefficients that are trainable linear functions of features.

    .. math:: u = b + V f, \qquad \theta = (\theta_{base}, b, V \text{ row by row})

    Attributes:
        base: Parametrization of the model below, with inputs u.
        num_features: Length of f, the new row of x.
        scale: Standard deviation of the initial V f for features of size one.
    """

    base: Parametrization
    num_features: int
    scale: float = 0.5

    @property
    def num_trainable(self) -> int:
        """Length of (theta_base, b, V)."""
        return self.base.num_trainable + self.base.num_inputs * (1 + self.num_features)

    @property
    def num_inputs(self) -> int:
        """Number of features."""
        return self.num_features

    def _split(self, theta: Array) -> tuple[Array, Array, Array]:
        first = self.base.num_trainable
        second = first + self.base.num_inputs
        return theta[:first], theta[first:second], theta[second:]

    def _fields(self, theta: Array, x: Array) -> tuple[Array, Array, Array]:
        below, b, flat = self._split(theta)
        v = flat.reshape(self.base.num_inputs, self.num_features)
        return below, b + x @ v.T, v

    def coefficients(self, theta: Array, x: Array) -> Array:
        """Return the base's coefficients at u = b + V x."""
        below, u, _ = self._fields(theta, x)
        return self.base.coefficients(below, u)

    def pullback(self, theta: Array, x: Array, v: Array) -> tuple[Array, Array]:
        """Chain the base's pullback with u = b + V x."""
        below, u, matrix = self._fields(theta, x)
        d_below, d_u = self.base.pullback(below, u, v)
        d_matrix = (d_u[:, :, None] * x[:, None, :]).reshape(len(x), -1)
        return np.hstack([d_below, d_u, d_matrix]), d_u @ matrix

    def initial(self, rng: np.random.Generator) -> Array:
        """Draw the base's theta, b = 0 and V ~ N(0, scale^2 / num_features)."""
        below = self.base.initial(rng)
        width = self.scale / np.sqrt(self.num_features)
        v = width * rng.standard_normal(self.base.num_inputs * self.num_features)
        return np.concatenate([below, np.zeros(self.base.num_inputs), v])
