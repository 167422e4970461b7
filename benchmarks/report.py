"""Tables in Markdown, and everything as JSON."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING, Any

from ._measure import OURS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ._cases import Outcome


def targets_table(outcomes: Sequence[Outcome]) -> str:
    """Return the cases with a target: what was measured against goal and limit."""
    rows = []
    for outcome in outcomes:
        case = outcome.case
        if case.goal is None or not outcome.measured:
            continue
        best = outcome.samples[0].best_peer if case.measure != "value" else ""
        values = outcome.measured
        rows.append(
            [
                case.title,
                quantity(outcome.figure(), case.unit),
                f"{quantity(outcome.figure(best), case.unit)} ({best})" if best else "",
                f"{median(values):.3g}" + spread(values),
                f"{case.goal:g}",
                f"{case.limit:g}",
                outcome.verdict,
            ]
        )
    heads = ["case", "ours", "best peer", "measured", "goal", "limit", "reached"]
    return markdown(heads, rows)


def entrants_table(outcomes: Sequence[Outcome]) -> str:
    """Return every entrant of every case, with its error."""
    rows = []
    for outcome in outcomes:
        for name in outcome.entrants:
            values = outcome.figures(name)
            errors = [s.errors[name] for s in outcome.samples if name in s.errors]
            rows.append(
                [
                    outcome.case.name,
                    name,
                    quantity(outcome.figure(name), outcome.case.unit),
                    quantity(min(values), outcome.case.unit) if values else "",
                    quantity(max(values), outcome.case.unit) if values else "",
                    f"{max(errors):.1e}" if errors and max(errors) >= 0 else "",
                ]
            )
        for name, value in outcome.samples[0].beside.items():
            rows.append(
                [outcome.case.name, f"({name})", quantity(value, "s"), "", "", ""]
            )
    return markdown(["case", "entrant", "median", "least", "most", "error"], rows)


def spread(values: Sequence[float]) -> str:
    """Return the range of more than one value."""
    if len(values) == 1:
        return ""
    return f" ({min(values):.2g} to {max(values):.2g})"


def quantity(value: float | None, unit: str) -> str:
    """Return a figure with its unit."""
    if value is None:
        return "not installed"
    if unit == "s":
        small = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")]
    elif unit == "B":
        small = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
    elif unit == "B/s":
        small = [(1e9, "GB/s")]
    else:
        small = [(1.0, unit)]
    scale, name = next((s for s in small if value >= s[0]), small[-1])
    return f"{value / scale:.3g} {name}"


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table whose columns stand under one another."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]

    def line(cells: list[str]) -> str:
        padded = (c.ljust(w) for c, w in zip(cells, widths, strict=True))
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(heads), rule, *map(line, rows)])


def conditions(machine: dict[str, Any]) -> str:
    """Return one sentence on what was measured on and with."""
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items() if v)
    load = "/".join(f"{x:.1f}" for x in machine["load"])
    return (
        f"{machine['cpu']}, {machine['cores']} cores, load {load}, Python "
        f"{machine['python']}, commit {machine['commit']}; {versions}"
    )


def write(folder: Path, outcomes: Sequence[Outcome], machine: dict[str, Any]) -> None:
    """Write results.json and tables.md."""
    text = json.dumps(
        {"machine": machine, "ours": OURS, "cases": [o.as_dict() for o in outcomes]},
        indent=1,
    )
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    parts = [targets_table(outcomes), entrants_table(outcomes), conditions(machine)]
    (folder / "tables.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
