r"""Random vectors cooled in imaginary time: thermal states without all levels.

.. math::
    |\phi\rangle = e^{-(H - E_0)/2T}|r\rangle = \sum_k c_k\, T_k(x)|r\rangle, \qquad
    x = \frac{H - E_0}{w} - 1, \qquad
    c_k = (2 - \delta_{k0}) (-1)^k e^{-z} I_k(z), \quad z = \frac{w}{2T}

with 2 w the width of the spectrum. E_0 is the ground state's energy itself: below a
bound that is far from it, the thermal weight would drown in rounding. The Chebyshev
series ends after about sqrt(80 z) terms.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .exact import lowest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .._pauli import Hamiltonians

    Array = NDArray[np.float64]

NEGLIGIBLE = 1e-17


def purified(
    h: Hamiltonians,
    temperature: float,
    count: int,
    rng: Sequence[np.random.Generator],
) -> tuple[NDArray[Any], Array, Array]:
    """Cool random vectors of every row.

    Returns:
        Unit vectors, shape (batch, count, 2^N); their squared lengths before they were
        normalized, shape (batch, count); and gaps, shape (batch,).
    """
    energies, gaps = lowest(h)
    widths = np.abs(h.rows).sum(axis=1) - energies
    shape = (len(h.rows), count, h.dim)
    vectors = np.empty(shape, np.float64 if h.is_real else np.complex128)
    weights = np.empty(shape[:2])
    for b, generator in enumerate(rng):
        drawn = generator.standard_normal((count, h.dim))
        if not h.is_real:
            drawn = drawn + 1j * generator.standard_normal((count, h.dim))
        one = replace(h, rows=np.repeat(h.rows[b : b + 1], count, axis=0))
        # Never above E_0: beyond x = -1 Chebyshev polynomials explode.
        floor = energies[b] - 1e-9 * widths[b]
        cooled = _cool(one, floor, 0.5 * widths[b], temperature, drawn)
        length = np.linalg.norm(cooled, axis=1)
        vectors[b] = cooled / length[:, None]
        weights[b] = length**2
    return vectors, weights, gaps


def _cool(
    h: Hamiltonians,
    floor: float,
    w: float,
    temperature: float,
    drawn: NDArray[Any],
) -> NDArray[Any]:
    """Return exp(-(H - floor) / 2T) of every vector."""
    from scipy.special import ive

    z = 0.5 * w / temperature
    c = ive(np.arange(int(np.sqrt(80.0 * z)) + 40), z)
    c = c[: np.flatnonzero(c > NEGLIGIBLE)[-1] + 1]
    c[1:] *= 2.0 * (-1.0) ** np.arange(1, len(c))

    def moved(v: NDArray[Any]) -> NDArray[Any]:
        return np.asarray((h.apply(v) - floor * v) / w - v)

    before, now = drawn, drawn
    total = c[0] * drawn
    for k in range(1, len(c)):
        before, now = now, moved(now) if k == 1 else 2.0 * moved(now) - before
        total = total + c[k] * now
    return np.asarray(total)


def jackknife(parts: Array, weights: Array) -> Array:
    r"""Return the covariance of sum_r w_r a_r / sum_r w_r by leaving out one vector.

    .. math:: \mathrm{Cov} = \frac{R - 1}{R} \sum_r
              (\bar a_{(r)} - \bar a_{(\cdot)}) (\bar a_{(r)} - \bar a_{(\cdot)})^T

    Args:
        parts: w_r a_r, shape (batch, R, num_operators).
        weights: w_r, shape (batch, R).
    """
    count = weights.shape[1]
    kept = weights.sum(axis=1, keepdims=True) - weights
    without = (parts.sum(axis=1, keepdims=True) - parts) / kept[:, :, None]
    spread = without - without.mean(axis=1, keepdims=True)
    return np.asarray((count - 1) / count * (spread.transpose(0, 2, 1) @ spread))
