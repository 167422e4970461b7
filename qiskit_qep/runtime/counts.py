"""From counted bitstrings to expectation values and the covariance of their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .._pauli import PauliTerms
    from .groups import Setting

    Array = NDArray[np.float64]


WORD = 64  # as in _sampling, which is not imported before it is needed
# What a bitstring of a histogram's transform takes, and 64 shots' sorting into words,
# in units of what a pair of strings takes per word.
TRANSFORM, SORT = 16, 6000


def operator_moments(
    terms: PauliTerms,
    settings: Sequence[Setting],
    seen: NDArray[np.uint64],
    shots: int | None = None,
) -> tuple[Array, Array]:
    r"""Estimate operators from shots, and the covariance of the estimates.

    .. math::
        \bar s_a = \frac1T \sum_t s_a^{(t)}, \qquad
        \mathrm{Cov}_{ab} = \frac{\overline{s_a s_b} - \bar s_a \bar s_b}{T - 1}
        + \frac{4\,\delta_{ab}}{(T + 1)^2}

    of the strings a, b that a setting measures. The last term is what one more shot
    could change, the square of the largest: no number of equal outcomes proves that a
    value is exactly one. Settings are independent, operators within one are not.

    All sums over shots are whole numbers, and every row is worked out alone, so that a
    batch may be cut anywhere without changing a bit.

    Args:
        terms: The operators' Pauli strings.
        settings: Their measurement settings.
        seen: Every shot as a number, qubit q is bit q; shape (batch, num_settings,
            shots). Or, with ``shots`` given, how often each of the 2^N numbers was
            seen, (batch, num_settings, 2^N).
        shots: T, of histograms.

    Returns:
        Values, shape (batch, num_operators), and their covariances.
    """
    from .. import _kernels, _sampling

    counted, T = shots is not None, shots or seen.shape[2]
    values = np.tile(constants(terms), (len(seen), 1))
    covariance = np.zeros((*values.shape, values.shape[1]))
    for s, setting in enumerate(settings):
        by_words = -(-T // WORD) * (len(setting.supports) ** 2 + SORT)
        by_transform = TRANSFORM * terms.dim
        dim = terms.dim if counted or by_transform <= by_words else 0
        asked = s, seen, counted, T, setting.supports, setting.rows

        def work(first: int, last: int, asked: Any = asked, dim: int = dim) -> None:
            room = np.empty(dim)
            _sampling.moments(*asked, room, values, covariance, first, last)

        _kernels.over_rows(work, len(seen), min(by_words, by_transform))
    return values, covariance


def constants(terms: PauliTerms) -> Array:
    """Return the multiple of the identity in every operator, which needs no shot."""
    identity = (terms.flips | terms.signs) == 0
    return np.asarray(terms.weights @ identity.astype(float))


def sample_moments(samples: Array, counts: NDArray[np.int64]) -> tuple[Array, Array]:
    """Estimate means, and their covariance, from numbers seen in the same shots.

    Args:
        samples: What every distinct outcome says of each, shape (outcomes, k).
        counts: How often each outcome was seen.
    """
    shots = int(counts.sum())
    means = counts @ samples / shots
    spread = (samples.T * counts) @ samples / shots - np.outer(means, means)
    unseen = 2.0 * np.abs(samples).max(axis=0) / (shots + 1)
    return means, spread / max(shots - 1, 1) + np.diag(unseen**2)
