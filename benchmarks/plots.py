"""Curves of what was measured: medians over seeds, bands from least to most."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from qiskit_qep.plotting import BLUE, GREY, VERMILION

from ._cases import Outcome
from ._measure import OURS

if TYPE_CHECKING:
    from pathlib import Path

GREEN, ORANGE, SKY, PURPLE = "#009E73", "#E69F00", "#56B4E9", "#CC79A7"
COLORS = {  # of Okabe and Ito; an entrant has one colour in all plots
    OURS: BLUE,
    "scipy eigsh": VERMILION,
    "Qiskit sparse + eigsh": VERMILION,
    "ours, 2 M ground states": VERMILION,
    "numpy eigh": GREEN,
    "qiskit-algorithms": PURPLE,
    "QuSpin": ORANGE,
    "quimb": SKY,
    "NetKet": GREY,
    "a = b + c": GREEN,
    "DRAM": GREY,
}
Figured = Callable[[Any, Sequence[Outcome]], bool]  # whether there was something
VERDICTS = {"goal": GREEN, "limit": BLUE, "MISSED": VERMILION}
MILLI, MEGA, GIGA = 1e-3, 1e6, 1e9


def draw(outcomes: Sequence[Outcome], folder: Path) -> list[Path]:
    """Draw every figure for which there is something to draw; return their files."""
    if find_spec("matplotlib") is None:
        return []
    from matplotlib.figure import Figure

    paths = []
    for name, size, figure in FIGURES:
        canvas = Figure(figsize=size, layout="constrained")
        if figure(canvas, outcomes):
            paths.append(folder / f"{name}.png")
            canvas.savefig(paths[-1], dpi=160)
    return paths


def curves(outcomes: Sequence[Outcome], names: str) -> dict[str, np.ndarray]:
    """Return x, median, least and most of each entrant, shape (4, number of points).

    x is the number in the name of the case that the group of ``names`` finds, or 1.
    """
    found: dict[str, list[tuple[float, ...]]] = {}
    for outcome in outcomes:
        match = re.fullmatch(names, outcome.case.name)
        for entrant in outcome.entrants if match else ():
            y = outcome.figures(entrant)
            if match and y:
                point = (float(match[1] or 1), median(y), min(y), max(y))
                found.setdefault(entrant, []).append(point)
    return {k: np.array(sorted(points)).T for k, points in found.items()}


def plot_curves(
    ax: Any, found: dict[str, np.ndarray], scale: float, labels: dict[str, str]
) -> None:
    """Plot each entrant with its band, ours on top."""
    from matplotlib.ticker import MaxNLocator

    for name, (x, middle, low, high) in found.items():
        ours = name == OURS
        style = {"color": COLORS.get(name, GREY), "zorder": 3 if ours else 2}
        line = {"lw": 2.2 if ours else 1.4, "ms": 4, "label": labels.get(name, name)}
        ax.fill_between(x, low / scale, high / scale, alpha=0.2, lw=0, **style)
        dashed = np.ptp(middle) == 0  # one number for all x
        ax.plot(x, middle / scale, "--" if dashed else "o-", **line, **style)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    plain_numbers(ax)
    ax.grid(alpha=0.25, lw=0.6)
    ax.margins(x=0.03)
    ax.legend(frameon=False, fontsize=8)


def plain_numbers(ax: Any) -> None:
    """Make y logarithmic, with 1, 2 and 5 where there is room for them."""
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    steps = (1.0, 2.0, 5.0) if high < 200 * low else (1.0,)
    ax.yaxis.set_major_locator(LogLocator(subs=steps))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())


def targets(figure: Any, outcomes: Sequence[Outcome]) -> bool:
    """Draw what was measured of every case with a target, over its goal."""
    shown = [o for o in outcomes if o.case.goal and o.measured]
    if not shown:
        return False
    ax = figure.subplots()
    for y, outcome in enumerate(reversed(shown)):
        case = outcome.case
        goal, limit = float(case.goal or 0), float(case.limit or 0)
        inverse = case.measure == "speedup"
        times = [goal / m if inverse else m / goal for m in outcome.measured]
        bound = goal / limit if inverse else limit / goal
        color = VERDICTS[outcome.verdict]
        ax.barh(y, bound - 1.0, 0.45, 1.0, color=GREY, alpha=0.25, lw=0)
        ax.plot([min(times), max(times)], [y, y], color=color, lw=1.6)
        ax.plot(median(times), y, "o", color=color, ms=6)
    for verdict, color in VERDICTS.items():
        ax.plot([], [], "o", color=color, ms=6, label=verdict)
    ax.legend(
        frameon=False, fontsize=8, ncols=3, loc="lower right", bbox_to_anchor=(1, 1)
    )
    ax.axvline(1.0, color=GREY, lw=0.8)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_yticks(range(len(shown)), [o.case.title for o in reversed(shown)])
    ax.tick_params(axis="y", labelsize=8, length=0)
    ax.set_xlabel("measured / goal (grey: from goal to limit)")
    ax.grid(axis="x", alpha=0.25, lw=0.6)
    return True


def against_spins(figure: Any, outcomes: Sequence[Outcome]) -> bool:
    """Draw the time of a ground state and of a centred gradient against N."""
    panels = (
        ("one ground state", curves(outcomes, r"ground-(\d+)")),
        ("one centred gradient", curves(outcomes, r"centered-(\d+)")),
    )
    if not any(drawable(found) for _, found in panels):
        return False
    for ax, (title, found) in zip(figure.subplots(1, 2), panels, strict=True):
        plot_curves(ax, found, MILLI, {})
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("number of spins")
        ax.set_ylabel("time / ms")
    return True


@dataclass(frozen=True)
class Panel:
    """A figure of one panel.

    Attributes:
        names: Pattern of the names of its cases.
        x: Label of the number in the name.
        y: Label of the figures, with their unit.
        scale: The unit.
        log: Whether x doubles.
        labels: What entrants are called in the legend, where not by their names.
    """

    names: str
    x: str
    y: str
    scale: float
    log: bool = False
    labels: tuple[tuple[str, str], ...] = ()

    def __call__(self, figure: Any, outcomes: Sequence[Outcome]) -> bool:
        """Draw it, if there is more than a point."""
        found = curves(outcomes, self.names)
        if not drawable(found):
            return False
        ax = figure.subplots()
        plot_curves(ax, found, self.scale, dict(self.labels))
        ax.set_xlabel(self.x)
        ax.set_ylabel(self.y)
        if self.log:
            ax.set_xscale("log", base=2)
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        return True


def drawable(found: dict[str, np.ndarray]) -> bool:
    """Whether ours has more than one point."""
    return OURS in found and found[OURS].shape[1] > 1


def against_workers(figure: Any, outcomes: Sequence[Outcome]) -> bool:
    """Draw the throughput of 1, 2 ... workers and the line of no loss."""
    for outcome in outcomes:
        if outcome.case.name.startswith("workers-"):
            break
    else:
        return False
    names = [*(n for n in outcome.entrants if n != OURS), OURS]
    seconds = np.array([outcome.figures(name) for name in names])
    gain = seconds[:1] / seconds
    count = np.arange(1, len(names) + 1)
    ax = figure.subplots()
    ax.plot(count, count, "--", color=GREY, lw=1, label="no loss")
    low, middle, high = gain.min(1), np.median(gain, 1), gain.max(1)
    ax.errorbar(
        count,
        middle,
        [middle - low, high - middle],
        fmt="o-",
        color=BLUE,
        lw=2,
        ms=5,
        capsize=3,
        label="measured, median and range",
    )
    ax.set_xticks(count)
    ax.set_ylim(0)
    ax.set_xlabel("workers of one thread")
    ax.set_ylabel("speed, in units of one worker")
    ax.grid(alpha=0.25, lw=0.6)
    ax.legend(frameon=False, fontsize=8)
    return True


SINGLE = (4.8, 3.4)  # inches
FIGURES: tuple[tuple[str, tuple[float, float], Figured], ...] = (
    ("targets", (8.0, 6.0), targets),
    ("time-against-spins", (9.0, 3.8), against_spins),
    (
        "time-against-parameters",
        SINGLE,
        Panel(
            r"parameters-(\d+)",
            "number of parameters M, at 10 spins",
            "time of a gradient / ms",
            MILLI,
            labels=(
                (OURS, "2 nudged states, for all M"),
                ("ours, 2 M ground states", "2 M states, differences"),
            ),
        ),
    ),
    (
        "time-against-batch",
        SINGLE,
        Panel(
            r"centered-10(?:-x(\d+))?",
            "rows in a batch, at 10 spins",
            "time of a gradient per row / ms",
            MILLI,
            log=True,
            labels=(("scipy eigsh", "scipy eigsh, one row"),),
        ),
    ),
    ("speed-against-workers", SINGLE, against_workers),
    (
        "memory-against-spins",
        SINGLE,
        Panel(r"memory-(\d+)", "number of spins", "peak memory / MB", MEGA),
    ),
    (
        "roofline",
        SINGLE,
        Panel(
            r"roofline-(\d+)",
            "number of spins",
            "24 bytes x 2^N / time, in GB/s",
            GIGA,
            labels=(
                (OURS, "H v"),
                ("a = b + c", "a = b + c, vectors of the same length"),
                ("DRAM", "a = b + c, from memory"),
            ),
        ),
    ),
)
