"""Cases: what is measured, what it is held against, and what came out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from ._measure import OURS, Sample

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Case:
    """One row of the tables.

    Attributes:
        name: For ``--only``.
        title: For the reader.
        run: From a seed to a sample.
        goal: What the measure should reach; None where there is no target.
        limit: What it must not miss.
        measure: The ratio ours / best peer, its inverse, or our figure by itself.
        unit: Of the figures.
        seeds: At most so many.
        scope: Which runs include it.
    """

    name: str
    title: str
    run: Callable[[int], Sample]
    goal: float | None = None
    limit: float | None = None
    measure: Literal["ratio", "speedup", "value"] = "ratio"
    unit: Literal["s", "B", "GiB", "min", "B/s"] = "s"
    seeds: int = 100
    scope: Literal["quick", "full", "large"] = "full"


@dataclass(frozen=True)
class Outcome:
    """A case with the samples of its seeds."""

    case: Case
    samples: list[Sample]

    def figures(self, entrant: str) -> list[float]:
        """Return the figures of an entrant, by seed."""
        found = (sample.figures.get(entrant) for sample in self.samples)
        return [figure for figure in found if figure is not None]

    def figure(self, entrant: str = OURS) -> float | None:
        """Return the median figure of an entrant, None if it is not installed."""
        figures = self.figures(entrant)
        return median(figures) if figures else None

    @property
    def entrants(self) -> list[str]:
        """Names of all entrants, ours first."""
        return list(dict.fromkeys(name for s in self.samples for name in s.figures))

    @property
    def measured(self) -> list[float]:
        """What is held against the target, by seed."""
        match self.case.measure:
            case "ratio":
                return [s.ratio for s in self.samples if len(s.figures) > 1]
            case "speedup":
                return [1.0 / s.ratio for s in self.samples if len(s.figures) > 1]
        return self.figures(OURS)

    @property
    def verdict(self) -> str:
        """Whether the goal, the limit or nothing was reached."""
        goal, limit = self.case.goal, self.case.limit
        if goal is None or limit is None:
            return ""
        sign = -1.0 if self.case.measure == "speedup" else 1.0
        found = sign * median(self.measured)
        if found <= sign * goal:
            return "goal"
        return "limit" if found <= sign * limit else "MISSED"

    def as_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        case = {k: v for k, v in asdict(self.case).items() if k != "run"}
        found = {"measured": self.measured, "verdict": self.verdict}
        return case | found | {"samples": [asdict(s) for s in self.samples]}
