"""Whether nudging measures the gradient: a test of any equilibrium by itself."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from ._estimate import stds_of
from ._streams import new_seed, streams
from .equilibria.exact import Exact

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ._equilibrium import Equilibrium
    from ._model import Model

    Array = NDArray[np.float64]

COARSE = 0.1  # a step as a share of the gap, whose asymmetry is then a few per cent


@dataclass(frozen=True, eq=False)
class Reciprocity:
    r"""Two measurements of how coefficients and readout are tied, sample by sample.

    .. math:: N_{ki} = \frac{\partial\langle A_k\rangle}{\partial\nu_i}, \qquad
              P_{ki} = \frac{\partial\langle O_i\rangle}{\partial\lambda_k}

    With a loss of slope s, N s is the gradient that nudging measures and P s is the
    true one. They are equal where values are the gradient of an energy.

    Attributes:
        nudged: N, shape (batch, num_driven, num_readout): trainable operators, inputs.
        shifted: P, same shape.
        nudged_stds: Standard errors of N.
        shifted_stds: Standard errors of P.
    """

    nudged: Array
    shifted: Array
    nudged_stds: Array
    shifted_stds: Array

    @property
    def asymmetry(self) -> Array:
        r"""Norm of N - P over that of N + P: 0 where the theorem holds, else to 1."""
        return _size(self.nudged - self.shifted) / _size(self.nudged + self.shifted)

    @property
    def noise(self) -> Array:
        """What standard errors alone would make of the asymmetry."""
        return np.asarray(
            np.sqrt(_size(self.nudged_stds) ** 2 + _size(self.shifted_stds) ** 2)
            / _size(self.nudged + self.shifted)
        )

    @property
    def bound(self) -> Array:
        r"""Largest possible error of a nudge's gradient, per unit of slope.

        The spectral norm of N - P, for gradients by the coefficients.
        """
        return np.asarray(
            np.linalg.norm(self.nudged - self.shifted, ord=2, axis=(1, 2))
        )

    def __str__(self) -> str:
        """Return one line per sample."""
        columns = zip(self.asymmetry, self.noise, self.bound, strict=True)
        head = f"{'sample':>8s}{'asymmetry':>12s}{'its noise':>12s}{'bound':>12s}"
        lines = [
            f"{b:8d}" + "".join(f"{number:12.3g}" for number in row)
            for b, row in enumerate(columns)
        ]
        return "\n".join([head, *lines])


def reciprocity(
    model: Model,
    theta: ArrayLike,
    x: ArrayLike,
    *,
    equilibrium: Equilibrium | None = None,
    step: float = 0.05,
    seed: int | None = None,
) -> Reciprocity:
    r"""Measure whether a system's response is symmetric, as the theorem needs.

    .. math::
        \frac{\partial\langle A_k\rangle}{\partial\nu_i} \overset{?}{=}
        \frac{\partial\langle O_i\rangle}{\partial\lambda_k}

    For every stationary state (ground, thermal, converged variational) the two are
    second derivatives of one energy: reciprocity, by Onsager and Maxwell. Noise and
    unfinished ramps break it, and with it the rule of learning. Nothing is known but
    what the equilibrium itself measures, so this runs on a device: 2 states for every
    readout, trainable operator and input, per sample.

    Args:
        model: Operators with roles.
        theta: Shape (num_trainable,).
        x: Shape (batch, num_inputs), or one row.
        equilibrium: What settles and measures; by default ``Exact()``.
        step: By how much every coefficient is shifted, up and down; small against the
            gap, which is warned of where the equilibrium tells one.
        seed: Of all shots; None draws one.

    Returns:
        Both responses, and what their difference says.

    Raises:
        ValueError: If the step is not positive.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(2, readout=[1])
        >>> quiet = qep.reciprocity(model, np.ones(5), [])
        >>> noisy = qep.Lindblad(qep.jumps.damping(0.5), temperature=0.5)
        >>> rough = qep.reciprocity(model, np.ones(5), [], equilibrium=noisy)
        >>> bool(quiet.asymmetry < 1e-3 < 0.02 < rough.asymmetry)
        True
    """
    if not (np.isfinite(step) and step > 0):
        raise ValueError(f"step should be a positive number, got {step}")
    settle = Exact() if equilibrium is None else equilibrium
    seed = new_seed() if seed is None else seed
    rows = model.coefficients(theta, x)
    batch, size = rows.shape
    driven, read = slice(0, model.num_driven), model.readout_columns
    count = 2 * read.stop
    rng = [streams(seed, 0, n, batch) for n in range(count + 1)]
    free = settle(model.operators, rows, rng=rng[0])
    if free.gap is not None and step > COARSE * free.gap.min():
        warnings.warn(
            f"step {step:g} is not small against the gap {free.gap.min():.2g} of "
            f"sample {free.gap.argmin()}, and adds an asymmetry of its own, which "
            "falls with its square; lower step",
            stacklevel=2,
        )
    shifts = step * np.concatenate(
        [np.eye(size)[: read.stop], -np.eye(size)[: read.stop]]
    )
    phase = settle(
        model.operators,
        (shifts[:, None] + rows).reshape(-1, size),
        start=free[np.arange(count * batch) % batch],
        rng=reduce(add, rng[1:]),
    )
    up, down = phase.values.reshape(2, read.stop, batch, size)
    noise = np.hypot(*stds_of(phase).reshape(2, read.stop, batch, size))
    # The derivative of value k of sample b by coefficient c.
    both = (up - down) / (2.0 * step), noise / (2.0 * step)
    nudged, nudged_stds = (a[read, :, driven].transpose(1, 2, 0) for a in both)
    shifted, shifted_stds = (a[driven, :, read].transpose(1, 0, 2) for a in both)
    return Reciprocity(nudged, shifted, nudged_stds, shifted_stds)


def _size(matrices: Array) -> Array:
    return np.asarray(np.linalg.norm(matrices, axis=(1, 2)))
