"""What ``Exact`` warns of: sample, number and remedy."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SAME_SYMMETRY = 0.01  # as in _eigenstates
NEARLY_DEGENERATE = 2e-3  # gap as a share of the largest coefficient


def degenerate(gaps: Array, scale: Array) -> None:
    """Say which sample has no state of its own, and what to do."""
    close = gaps <= NEARLY_DEGENERATE * scale
    if close.any():
        sample = int(np.argmax(close))
        nearly = "nearly " if gaps[sample] > 1e-9 * scale[sample] else ""
        _warn(
            f"sample {sample}{_more(close)} is {nearly}degenerate: gap "
            f"{gaps[sample]:.2g}, so the slightest nudge mixes its states; add fields "
            "that lift the degeneracy, such as longitudinal bias fields"
        )


def lost(overlaps: Array) -> None:
    """Say which sample was not found again after the nudge."""
    lost = overlaps < SAME_SYMMETRY
    if lost.any():
        sample = int(np.argmax(lost))
        _warn(
            f"sample {sample}{_more(lost)} could not be followed: its largest overlap "
            f"with the free state is {overlaps[sample]:.2g}; lower beta"
        )


def crossed(level: int, overlaps: Array) -> None:
    """Say of which sample the nudge made another state level n."""
    crossed = overlaps < SAME_SYMMETRY
    for sample in np.flatnonzero(crossed)[:1]:
        _warn(
            f"sample {sample}{_more(crossed)} crossed a level: its level {level} "
            f"overlaps with that of the free phase by {overlaps[sample]:.2g}; lower "
            "beta, or use Exact(follow=True)"
        )


def rough(residuals: Array, tolerance: float, gaps: Array, scale: Array) -> None:
    """Say which sample the solver did not settle as far as was asked."""
    # Rounding bounds what |H v - E v| can be: a few ulp of the largest coefficients.
    rough = residuals > np.maximum(2 * tolerance, 1e-12 * scale)
    if rough.any():
        sample = int(np.argmax(rough))
        _warn(
            f"sample {sample}{_more(rough)} did not converge: residual "
            f"{residuals[sample]:.2g}, tolerance {tolerance:.2g}, gap "
            f"{gaps[sample]:.2g}; raise the tolerance or add fields that open the gap"
        )


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)  # at the line that called the equilibrium


def _more(bad: NDArray[np.bool_]) -> str:
    return f" (and {bad.sum() - 1} more)" if bad.sum() > 1 else ""
