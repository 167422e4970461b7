"""Bitstrings of known states: drawn from their Born probabilities, all rows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.counts import operator_moments
from ..runtime.groups import measurement_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from .._pauli import PauliTerms
    from ..runtime.groups import Setting

AT_ONCE = 1 << 21  # numbers that are kept in memory: 32 MB
# A multinomial draw takes 100 ns per bitstring, a sorted number and its place 25 ns.
MULTINOMIAL = 4
# From here states are turned in float32, twice as fast at 2^20. Probabilities are
# then off by 1e-7 in all, which 10^13 shots would show.
SINGLE_DIM = 1 << 16


def bitstrings(
    terms: PauliTerms,
    states: NDArray[Any],
    populations: NDArray[np.float64],
    shots: int,
    rng: Sequence[np.random.Generator],
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    r"""Measure bitstrings of mixed states in every measurement setting.

    .. math:: P(i) = \sum_n p_n |\langle i|U_g|n\rangle|^2

    Args:
        terms: The strings of the operators.
        states: n, shape (batch, levels, dim).
        populations: p, shape (batch, levels).
        shots: Per row and setting.
        rng: One generator per row.

    Returns:
        Values, their covariance, and the number of shots per row.
    """
    settings = measurement_settings(terms)
    counted = MULTINOMIAL * terms.dim <= shots
    length = terms.dim if counted else shots
    at_once = max(AT_ONCE // (length * max(len(settings), 1)), 1)
    found = []
    for first in range(0, len(states), at_once):
        some = slice(first, first + at_once)
        asked = states[some], populations[some], settings
        seen = (
            tallies(*asked, shots, rng[some])
            if counted
            else draw(*asked, _points(shots, len(settings), rng[some]))
        )
        found.append(
            operator_moments(terms, settings, seen, shots if counted else None)
        )
    values, covariance = map(np.concatenate, zip(*found, strict=True))
    return values, covariance, shots * len(settings)


def tallies(
    states: NDArray[Any],
    populations: NDArray[np.float64],
    settings: Sequence[Setting],
    shots: int,
    rng: Sequence[np.random.Generator],
) -> NDArray[np.uint64]:
    """Draw how often every bitstring is seen, shape (batch, num_settings, dim)."""
    chances = probabilities(states, populations, settings)
    drawn = [g.multinomial(shots, p) for g, p in zip(rng, chances, strict=True)]
    return np.array(drawn).astype(np.uint64)


def probabilities(
    states: NDArray[Any], populations: NDArray[np.float64], settings: Sequence[Setting]
) -> NDArray[np.float64]:
    """Return P of every bitstring, shape (batch, num_settings, dim)."""
    from .. import _sampling

    weights = np.empty((len(states), len(settings), states.shape[2]))
    _over_settings(_sampling.weigh, states, populations, settings, weights)
    return np.asarray(weights / weights.sum(axis=2, keepdims=True))


def draw(
    states: NDArray[Any],
    populations: NDArray[np.float64],
    settings: Sequence[Setting],
    points: NDArray[np.float64],
) -> NDArray[np.uint64]:
    """Return which bitstring every point stands for, in the shape of the points.

    Args:
        states: Shape (batch, levels, dim).
        populations: Shape (batch, levels).
        settings: In which the bitstrings are measured.
        points: Ascending shares of 1, shape (batch, num_settings, shots).
    """
    from .. import _sampling

    outcomes = np.empty(points.shape, np.uint64)
    _over_settings(_sampling.draw, states, populations, settings, points, outcomes)
    return outcomes


def _points(
    shots: int, num_settings: int, rng: Sequence[np.random.Generator]
) -> NDArray[np.float64]:
    found = np.empty((len(rng), num_settings, shots))
    for row, generator in zip(found, rng, strict=True):
        generator.random(out=row)
    found.sort(axis=-1)
    return found


def _over_settings(
    call: Callable[..., None],
    states: NDArray[Any],
    populations: NDArray[np.float64],
    settings: Sequence[Setting],
    *arrays: NDArray[Any],
) -> None:
    """Call a compiled loop for every setting, on all rows."""
    from .. import _kernels

    batch, levels, dim = states.shape
    numbers = np.ascontiguousarray(states).view(np.float64)
    numbers = numbers.reshape(batch, levels, dim, -1)
    kind = np.float32 if dim >= SINGLE_DIM else np.float64
    for s, setting in enumerate(settings):
        basis = np.uint64(setting.flips), np.uint64(setting.flips & setting.signs)
        asked = numbers, populations, s, basis, *arrays

        def work(first: int, last: int, asked: Any = asked) -> None:
            call(*asked, _kernels.memory(2, dim, kind), first, last)

        _kernels.over_rows(work, batch, 8 * levels * dim + arrays[0].shape[2])
