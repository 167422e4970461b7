r"""Random vectors cooled in imaginary time: thermal states without all levels.

.. math::
    |\phi\rangle = e^{-(H - E_0)/2T}|r\rangle = \sum_k c_k\, T_k(x)|r\rangle, \qquad
    x = \frac{H - E_0}{w} - 1, \qquad
    c_k = (2 - \delta_{k0}) (-1)^k e^{-z} I_k(z), \quad z = \frac{w}{2T}

with 2 w the width of the spectrum. E_0 is the ground state's energy itself: below a
bound that is far from it, the thermal weight would drown in rounding. The Chebyshev
series ends after about sqrt(80 z) terms. The same series of a block matrix gives the
derivative along dH,

.. math::
    f\begin{pmatrix} H & 0 \\ dH & H \end{pmatrix}
    \begin{pmatrix} |r\rangle \\ 0 \end{pmatrix}
    = \begin{pmatrix} |\phi\rangle \\ |d\phi\rangle \end{pmatrix}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase
from ._mixed import of_levels, scale
from .exact import lowest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from .._pauli import Hamiltonians, PauliTerms

    Array = NDArray[np.float64]

NEGLIGIBLE = 1e-17


def settle(
    terms: PauliTerms,
    h: Hamiltonians,
    temperature: float,
    count: int,
    rng: Sequence[np.random.Generator],
) -> Phase:
    """Measure cooled random vectors of every row.

    The state is unit vectors, their populations, and what they were drawn from.
    """
    seeds = np.array([generator.integers(1 << 63) for generator in rng], np.int64)
    cooled, _, gaps = purified(h, temperature, count, seeds)
    lengths = np.linalg.norm(cooled, axis=2, keepdims=True)
    units, weights = cooled / lengths, lengths**2
    parts = weights * of_levels(terms, units, units)
    total, kept = weights.sum(axis=1), _without(parts) / _without(weights)
    return Phase(
        parts.sum(axis=1) / total,
        covariance=_jackknife(kept, kept),
        gap=scale(gaps, temperature),
        state=(units, weights[:, :, 0] / total, seeds),
    )


def respond(
    terms: PauliTerms,
    h: Hamiltonians,
    dh: Hamiltonians,
    temperature: float,
    count: int,
    seeds: NDArray[np.int64],
) -> Phase:
    """Differentiate what ``settle`` measures with vectors drawn from the same seeds."""
    cooled, moved, _ = purified(h, temperature, count, seeds, dh)
    weights, turns = (
        factor * (cooled.conj() * other).sum(axis=2, keepdims=True).real
        for factor, other in ((1.0, cooled), (2.0, moved))
    )
    parts, changes = (
        of_levels(terms, cooled, cooled),
        2.0 * of_levels(terms, cooled, moved),
    )
    total = weights.sum(axis=1)
    values = parts.sum(axis=1) / total
    left = _without(weights)
    kept = _without(parts) / left
    found = (_without(changes) - kept * _without(turns)) / left
    return Phase(
        (changes.sum(axis=1) - values * turns.sum(axis=1)) / total,
        covariance=_jackknife(found, found),
        cross_covariance=_jackknife(found, kept),
    )


def purified(
    h: Hamiltonians,
    temperature: float,
    count: int,
    seeds: NDArray[np.int64],
    dh: Hamiltonians | None = None,
) -> tuple[NDArray[Any], NDArray[Any], Array]:
    """Cool random vectors of every row.

    Args:
        h: The Hamiltonians.
        temperature: T.
        count: Number of vectors of every row.
        seeds: What they are drawn from, shape (batch,).
        dh: Directions of h, where derivatives are asked for.

    Returns:
        The vectors and their derivatives, each (batch, count, 2^N) but the latter empty
        without dh; and gaps, shape (batch,).
    """
    energies, gaps = lowest(h)
    widths = np.abs(h.rows).sum(axis=1) - energies
    halves = 1 if dh is None else 2
    kind = np.float64 if h.is_real else np.complex128
    cooled = np.zeros((len(seeds), halves * count, h.dim), kind)
    for b, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        drawn = rng.standard_normal((1 if h.is_real else 2, count, h.dim))
        cooled[b, :count] = drawn[0] if h.is_real else drawn[0] + 1j * drawn[1]
        # Never above E_0: beyond x = -1 Chebyshev polynomials explode.
        floor = energies[b] - 1e-9 * widths[b]
        apply = _block(h, dh, b, count)
        cooled[b] = _cool(apply, floor, 0.5 * widths[b], temperature, cooled[b])
    return cooled[:, :count], cooled[:, count:], gaps


def _block(
    h: Hamiltonians, dh: Hamiltonians | None, row: int, count: int
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return the product of a row's H, or of the matrix of H and dH, with vectors."""

    def repeated(one: Hamiltonians, times: int) -> Hamiltonians:
        return replace(one, rows=np.repeat(one.rows[row : row + 1], times, axis=0))

    if dh is None:
        return repeated(h, count).apply
    both, turn = repeated(h, 2 * count), repeated(dh, count)

    def apply(v: NDArray[Any]) -> NDArray[Any]:
        image = both.apply(v)
        image[count:] += turn.apply(v[:count])
        return image

    return apply


def _cool(
    apply: Callable[[NDArray[Any]], NDArray[Any]],
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
        return np.asarray((apply(v) - floor * v) / w - v)

    before, now = drawn, drawn
    total = c[0] * drawn
    for k in range(1, len(c)):
        before, now = now, moved(now) if k == 1 else 2.0 * moved(now) - before
        total = total + c[k] * now
    return np.asarray(total)


def _without(parts: Array) -> Array:
    """Return the sums over all vectors but one, (batch, R, num_operators) as given."""
    return np.asarray(parts.sum(axis=1, keepdims=True) - parts)


def _jackknife(first: Array, second: Array) -> Array:
    r"""Return the covariance of two estimates, each found without one of R vectors.

    .. math:: \mathrm{Cov} = \frac{R - 1}{R} \sum_r
              (\bar a_{(r)} - \bar a_{(\cdot)}) (\bar b_{(r)} - \bar b_{(\cdot)})^T

    Args:
        first: a, shape (batch, R, num_operators).
        second: b, same shape.
    """
    count = first.shape[1]
    a, b = (each - each.mean(axis=1, keepdims=True) for each in (first, second))
    return np.asarray((count - 1) / count * (a.transpose(0, 2, 1) @ b))
