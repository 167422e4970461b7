"""From counted bitstrings to expectation values and the covariance of their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .._pauli import PauliTerms
    from .groups import Setting
    from .readout import Readout

    Array = NDArray[np.float64]


FEW_REPEATS = 12  # shots per outcome up to which bits are quicker than products


def string_moments(
    outcomes: NDArray[np.uint64],
    counts: NDArray[np.int64],
    supports: NDArray[np.uint64],
) -> tuple[Array, Array]:
    r"""Estimate Pauli strings that share shots, and the covariance of the estimates.

    .. math::
        \bar s_a = \frac1T \sum_t s_a^{(t)}, \qquad
        \mathrm{Cov}_{ab} = \frac{\overline{s_a s_b} - \bar s_a \bar s_b}{T - 1}
        + \frac{4\,\delta_{ab}}{(T + 1)^2}

    The last term is what one more shot could change, the square of the largest: no
    number of equal outcomes proves that a value is exactly one.

    Args:
        outcomes: Distinct bitstrings as integers, qubit q is bit q.
        counts: How often each was seen, same shape; T is their sum.
        supports: Bit mask of every string in the measured basis, shape (k,).

    Returns:
        Means, shape (k,), and their covariance, shape (k, k).
    """
    shots = int(counts.sum())
    if shots > FEW_REPEATS * len(outcomes):
        return sample_moments(_signs(outcomes, supports), counts)
    from .. import _sampling

    differ = _sampling.disagreements(np.repeat(outcomes, counts), supports)
    means = 1.0 - 2.0 * np.diagonal(differ) / shots
    products = 1.0 - 2.0 * differ / shots
    np.fill_diagonal(products, 1.0)
    return means, _covariance(means, products, np.ones(len(means)), shots)


def _signs(outcomes: NDArray[np.uint64], supports: NDArray[np.uint64]) -> Array:
    """Return what every outcome says of every string, 1 or -1."""
    parity = np.bitwise_count(outcomes[:, None] & supports) & 1
    return np.asarray(1.0 - 2.0 * parity)


def _constants(terms: PauliTerms) -> Array:
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
    products = (samples.T * counts) @ samples / shots
    return means, _covariance(means, products, np.abs(samples).max(axis=0), shots)


def _covariance(means: Array, products: Array, largest: Array, shots: int) -> Array:
    """Return the covariance of means, with what one more shot could change."""
    spread = products - np.outer(means, means)
    return np.asarray(
        spread / max(shots - 1, 1) + np.diag((2.0 * largest / (shots + 1)) ** 2)
    )


def histogram_moments(
    terms: PauliTerms, settings: Sequence[Setting], outcomes: NDArray[np.uint64]
) -> tuple[Array, Array]:
    """Do what ``operator_moments`` does, for all rows of a small register at once.

    A shot says a_k(i) of operator k in a setting, so that histograms of the 2^N
    bitstrings i give all values by one product of matrices, and all covariances by
    another.

    Args:
        terms: The operators' Pauli strings.
        settings: Their measurement settings.
        outcomes: Every shot as a number, shape (batch, num_settings, shots).

    Returns:
        Values, shape (batch, num_operators), and their covariances.
    """
    batch, _, shots = outcomes.shape
    values = np.tile(_constants(terms), (batch, 1))
    covariance = np.zeros((*values.shape, values.shape[1]))
    first = terms.dim * np.arange(batch)[:, None]
    index = np.arange(terms.dim, dtype=np.uint64)
    for s, setting in enumerate(settings):
        cells = (first + outcomes[:, s].astype(np.int64)).ravel()
        tally = np.bincount(cells, minlength=batch * terms.dim) / shots
        tally = tally.reshape(batch, terms.dim)
        weights = setting.weights.toarray().T
        says = _signs(index, setting.supports) @ weights
        means = tally @ says
        products = says.T @ (tally[:, :, None] * says)
        spread = products - means[:, :, None] * means[:, None, :]
        unseen = weights.T @ weights * (2.0 / (shots + 1)) ** 2
        values += means
        covariance += spread / max(shots - 1, 1) + unseen
    return values, covariance


def operator_moments(
    terms: PauliTerms,
    settings: Sequence[Setting],
    tallies: Sequence[tuple[NDArray[np.uint64], NDArray[np.int64]]],
    readout: Readout | None = None,
) -> tuple[Array, Array]:
    """Combine the counts of all settings into operators' values and their covariance.

    Args:
        terms: The operators' Pauli strings.
        settings: The measurement settings of ``terms``.
        tallies: For every setting, its distinct outcomes and their counts.
        readout: Errors to take out, if any; what is uncertain about them enters the
            covariance, in all settings alike.

    Returns:
        Values, shape (num_operators,), and covariance, (num_operators, num_operators);
        settings are independent, operators within one are not.
    """
    values = _constants(terms)
    covariance = np.zeros((len(values), len(values)))
    by_rates = np.zeros(1)  # derivatives of the values, (num_operators, 2 N)
    for setting, (outcomes, counts) in zip(settings, tallies, strict=True):
        weights = setting.weights
        if readout is None:
            means, errors = string_moments(outcomes, counts, setting.supports)
        else:
            means, errors, slopes = readout.moments(outcomes, counts, setting.supports)
            by_rates = by_rates + weights @ slopes
        values += weights @ means
        covariance += weights @ (weights @ errors).T
    if readout is not None:
        covariance += by_rates @ readout.covariance @ by_rates.T
    return values, covariance
