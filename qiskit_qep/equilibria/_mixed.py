"""Mixed states as eigenvectors and their populations: what is measured of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._model import pauli_terms
from . import _shots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .._equilibrium import Phase
    from .._pauli import PauliTerms

    Array = NDArray[np.float64]

UNPOPULATED = 1e-17  # less than rounding takes from the other levels


def of_levels(
    terms: PauliTerms, left: NDArray[Any], right: NDArray[Any]
) -> NDArray[np.float64]:
    """Return Re <l_n|A_k|r_n> of every level, (batch, levels, num_operators)."""
    batch, levels, dim = left.shape
    flat = left.reshape(-1, dim)
    other = flat if right is left else right.reshape(-1, dim)
    return terms.expectations(flat, other).reshape(batch, levels, -1)


def scale(gaps: Array, temperature: float) -> Array:
    """Return what a nudge of a thermal state has to stay below.

    The distance of a complex nudge at which two levels' weights cancel: their gap, and
    pi T aside.
    """
    return np.hypot(gaps, np.pi * temperature)


def bitstrings(
    phase: Phase,
    operators: Sequence[Any],
    shots: int,
    rng: Sequence[np.random.Generator],
) -> tuple[Array, Array, int]:
    r"""Measure bitstrings of a mixed state in every measurement setting.

    .. math:: P(i) = \sum_n p_n |\langle i|U_g|n\rangle|^2

    Args:
        phase: Its state begins with the vectors n as rows, and p.
        operators: What is measured.
        shots: Per setting.
        rng: One generator per row.

    Returns:
        Values, their covariance, and the number of shots per row. What the phase is
        uncertain about is added to the covariance.
    """
    vectors, populations = phase.state[:2]
    seen = np.where(populations > UNPOPULATED, populations, 0.0)
    terms = pauli_terms(operators)
    values, covariance, count = _shots.bitstrings(terms, vectors, seen, shots, rng)
    if phase.covariance is not None:
        covariance += phase.covariance
    return values, covariance, count
