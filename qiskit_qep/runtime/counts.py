"""From counted bitstrings to expectation values and the covariance of their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .._pauli import PauliTerms
    from .groups import Setting

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
        parity = np.bitwise_count(outcomes[:, None] & supports) & 1
        signs = 1.0 - 2.0 * parity
        means = counts @ signs / shots
        products = (signs.T * counts) @ signs / shots
    else:
        from .. import _sampling

        differ = _sampling.disagreements(np.repeat(outcomes, counts), supports)
        means = 1.0 - 2.0 * np.diagonal(differ) / shots
        products = 1.0 - 2.0 * differ / shots
        np.fill_diagonal(products, 1.0)
    spread = products - np.outer(means, means)
    covariance = (
        spread / max(shots - 1, 1) + np.eye(len(supports)) * (2 / (shots + 1)) ** 2
    )
    return means, covariance


def operator_moments(
    terms: PauliTerms,
    settings: Sequence[Setting],
    tallies: Sequence[tuple[NDArray[np.uint64], NDArray[np.int64]]],
) -> tuple[Array, Array]:
    """Combine the counts of all settings into operators' values and their covariance.

    Args:
        terms: The operators' Pauli strings.
        settings: The measurement settings of ``terms``.
        tallies: For every setting, its distinct outcomes and their counts.

    Returns:
        Values, shape (num_operators,), and covariance, (num_operators, num_operators);
        settings are independent, operators within one are not.
    """
    identity = (terms.flips | terms.signs) == 0
    values = terms.weights @ identity.astype(float)
    covariance = np.zeros((len(values), len(values)))
    for setting, (outcomes, counts) in zip(settings, tallies, strict=True):
        means, errors = string_moments(outcomes, counts, setting.supports)
        weights = setting.weights
        values += weights @ means
        covariance += weights @ (weights @ errors).T
    return values, covariance
