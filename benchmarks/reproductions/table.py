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


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Return mean +- standard deviation over seeds, and how many they are."""
    mean = f"{fmean(values):.{digits}f}"
    if len(values) < 2:
        return f"{mean} (1 seed)"
    return f"{mean} ± {stdev(values):.{digits}f} ({len(values)})"
