"""Enumerated: the lowest of all configurations of a few classical spins."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase
from ._diagonal import diagonal_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ._diagonal import DiagonalTerms

MOST_SPINS = 24
KEPT = 1 << 22  # energies in memory at a time
TIE = 1e-12  # of the sum of all |coefficients|: rounding of their sum


@dataclass(frozen=True)
class Enumerated:
    r"""The minimum of a classical energy over all 2^N configurations.

    .. math:: s^* = \arg\min_s \sum_k \lambda_k A_k(s), \qquad
              \langle A_k\rangle = A_k(s^*)

    For Z strings of any order, on up to 24 spins. All energies come from a fast Walsh
    transform of the coefficients, in N 2^N additions. Nothing is drawn. A nudged phase
    settles afresh, so that large nudges turn spins over; of a tie, which is warned of,
    the configuration with the smallest bitstring is taken.

    Example:
        >>> import qiskit_qep as qep
        >>> model = qep.Model(["ZZZ", "ZII"], readout=["IIZ"])
        >>> phase = qep.Enumerated()(model.operators, [[1.0, 0.5, 0.2]])
        >>> phase.values
        array([[-1., -1., -1.]])

    Reference:
        B. Scellier, arXiv:2406.00879, Eqs. (15-16).
    """

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row; see ``Equilibrium``. Nothing is drawn."""
        coefficients = np.asarray(coefficients)
        terms = diagonal_terms(operators, coefficients)
        n = terms.num_spins
        if n > MOST_SPINS:
            raise ValueError(
                f"Enumerated takes up to {MOST_SPINS} spins, got {n}; use Annealed"
            )
        rows = terms.energies(coefficients)
        at_once = max(1, KEPT >> n)
        cuts = range(0, len(rows), at_once)
        parts = [_lowest(terms, rows[b : b + at_once]) for b in cuts]
        best, ties = (np.concatenate(part) for part in zip(*parts, strict=True))
        _warn_tied(ties)
        spins = (1 - 2 * (best[:, None] >> np.arange(n) & 1)).astype(np.int8)
        return Phase(terms.values(spins), state=(spins,))


def _lowest(
    terms: DiagonalTerms, rows: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the lowest configuration of every row, and whether another ties."""
    from .._walsh import walsh_hadamard

    n = terms.num_spins
    energies = np.zeros((len(rows), 1 << n))
    energies[:, terms.strings @ (1 << np.arange(n))] = rows
    for each in energies:
        walsh_hadamard(each, np.uint64((1 << n) - 1))
    best = energies.argmin(axis=1)
    second = np.partition(energies, 1, axis=1)[:, 1]
    gaps = second - energies[np.arange(len(rows)), best]
    return best, gaps <= TIE * np.abs(rows).sum(axis=1)


def _warn_tied(ties: NDArray[np.bool_]) -> None:
    """Say which sample has no single lowest configuration, and what to do."""
    for sample in np.flatnonzero(ties)[:1]:
        more = f" (and {ties.sum() - 1} more)" if ties.sum() > 1 else ""
        warnings.warn(
            f"sample {sample}{more} has two or more lowest configurations, of "
            "which one is taken; add fields that decide, such as bias fields",
            stacklevel=3,
        )
