"""How a reproduction prints what was published beside what we find."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Line:
    """One figure.

    Attributes:
        what: Its name.
        published: As printed by its authors, or "-".
        ours: Ours.
    """

    what: str
    published: str
    ours: str


def show(title: str, lines: Iterable[Line], remarks: Sequence[str]) -> None:
    """Print a table and what could not be matched."""
    print(f"\n{title}\n{'':<40s}{'published':>20s}{'ours':>24s}")
    for line in lines:
        print(f"{line.what:<40s}{line.published:>20s}{line.ours:>24s}")
    for remark in remarks:
        print(f"  {remark}")


@dataclass(frozen=True)
class Published:
    """A mean over seeds, their standard deviation and how many they were."""

    mean: float
    sd: float
    seeds: int

    def __str__(self) -> str:
        """Show it as ``spread`` does ours."""
        return f"{self.mean:.3f} ± {self.sd:.3f} ({self.seeds})"

    def apart(self, values: Sequence[float]) -> str:
        """Say how far our mean is off, in standard errors of the difference.

        Our seeds are taken to scatter as theirs do: a few would not tell.
        """
        error = self.sd * (1 / self.seeds + 1 / len(values)) ** 0.5
        return f"{(fmean(values) - self.mean) / error:+.1f} standard errors"


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Return mean +- standard deviation over seeds, and how many they are."""
    mean = f"{fmean(values):.{digits}f}"
    if len(values) < 2:
        return f"{mean} (1 seed)"
    return f"{mean} ± {stdev(values):.{digits}f} ({len(values)})"
