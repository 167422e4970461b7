"""What people see of a run: a line of numbers, tables, two plots."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from . import plotting
from ._estimate import with_error
from ._folder import Metrics
from ._score import accuracy_std
from .equilibria.prepared import Prepared
from .runtime.costs import spent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ._config import Config
    from ._plan import Plan
    from .runtime.journal import Entry
    from .runtime.prices import Price

NAMES = {  # end of a key in summary.json
    "": "this network",
    "_uncoupled": "all J = 0, ground state",
    "_logistic_regression": "logistic regression",
}


def describe(config: Config) -> str:
    """Return what is going to be run, in three lines."""
    x, y, size = config.x_train, config.x_test, config.batch_size
    batches = "all" if size is None else f"batches of {size}"
    return (
        f"{config.name}: {config.model}\n"
        f"{len(x)} samples to train on, {len(y)} to test on; {config.steps} steps of "
        f"{batches}, seed {config.seed}\n{config.nudge}, {_settled(config)}"
    )


def _settled(config: Config) -> str:
    """Return what settles; a sampler, of which a repr may show much, by its name."""
    settle = config.equilibrium
    if not isinstance(settle, Prepared):
        return str(settle)
    if config.backend is None:
        return f"exact values of {_brief(settle.preparation)}"
    return (
        f"{_brief(settle.preparation)}\non {config.backend}, {settle.shots} shots a "
        f"circuit, mitigation {settle.mitigation}"
    )


def _brief(value: Any) -> str:
    """Return a dataclass without what it says by default."""
    if not is_dataclass(value):
        return repr(value)
    said = [
        f"{part.name}={_brief(getattr(value, part.name))}"
        for part in fields(value)
        if part.repr and getattr(value, part.name) != part.default
    ]
    return f"{type(value).__name__}({', '.join(said)})"


def expenses(found: Plan, scoring: Price | None) -> str:
    """Return what a run will cost, its scores included."""
    if scoring is None:
        return f"no jobs: {found.backend} computes in this process"
    jobs, seconds = found.jobs + scoring.jobs, found.seconds[1] + scoring.seconds
    time = f" and likely {seconds:.3g} s of QPU" if seconds > 0.0 else ""
    return f"{found}\nto score it besides: {scoring}\nin all: {jobs} jobs{time}"


def jobs(entries: Sequence[Entry]) -> str:
    """Return a journal as a table, one request a line, and its sum."""
    width = max([2, *(len(entry.job or "-") for entry in entries)])
    tags = max([3, *(len(entry.tag or "-") for entry in entries)])
    lines = [
        f"{'':>4} {'id':{width}}  {'status':12} {'tag':{tags}}  {'shots':>9}  "
        f"{'received':8} {'QPU seconds':>11}"
    ]
    for entry in entries:
        known = entry.seconds is not None
        seconds = f"{entry.seconds:.1f}" if known else f"~{entry.estimate:.1f}"
        lines.append(
            f"{entry.number:>4} {entry.job or '-':{width}}  {_status(entry):12} "
            f"{entry.tag or '-':{tags}}  {entry.shots:>9}  "
            f"{'no' if entry.answer is None else 'yes':8} {seconds:>11}"
        )
    total = spent(entries, 0.0)
    lines.append(
        f"{total.jobs} jobs on {', '.join(sorted({e.backend for e in entries}))}, "
        f"{total.qpu_seconds:.1f} s of QPU; ~ is an estimate, where the service has "
        "not said"
    )
    return "\n".join(lines)


def _status(entry: Entry) -> str:
    if entry.closed:
        return entry.closed
    if entry.answer is not None:
        return "done"
    return "submitted" if entry.job else "unknown"


def numbers(config: Config, rows: list[Metrics]) -> str:
    """Return the state of a run, short enough for a terminal of 80 columns.

    Of batches, loss and accuracy are the mean of the last 20 steps, the loss with the
    standard error of that mean; of whole epochs they are exact up to shots.
    """
    last = rows[-1]
    recent = rows[-20:] if config.batch_size else [last]
    loss, std = last.loss, last.loss_std
    if len(recent) > 1:
        losses = np.array([row.loss for row in recent])
        loss, std = losses.mean(), losses.std(ddof=1) / np.sqrt(len(losses))
    accuracy = np.mean([row.accuracy for row in recent])
    looks = (r.test_accuracy for r in reversed(rows) if r.test_accuracy >= 0)  # no nan
    tested = next(looks, None)
    test = "" if tested is None else f", test {tested:.3f}"
    gap = "" if np.isnan(last.gap) else f"  gap {last.gap:.2g}"
    grad, noise = last.grad_norm, last.grad_norm_std
    length = with_error(grad, noise) if noise else f"{grad:.2g}"
    return (
        f"loss {with_error(loss, std)}  acc {accuracy:.2f}{test}  |grad| {length}{gap}"
    )


def table(found: dict[str, Any]) -> str:
    """Return the network beside what it has to be better than."""
    lines = [f"{'':24}{'test accuracy':>16}{'on training data':>20}{'seconds':>10}"]
    for key, name in NAMES.items():
        if f"train_accuracy{key}" not in found:
            continue
        test, tested = found[f"test_accuracy{key}"], "-"
        if test is not None:
            std = accuracy_std(test, found["num_test"])
            tested = with_error(test, std) if std else f"{test:.3f}"
        train, seconds = found[f"train_accuracy{key}"], found[f"seconds{key}"]
        lines.append(f"{name:24}{tested:>16}{train:>20.3f}{seconds:>10.1f}")
    loss = with_error(found["loss"], found["loss_std"])
    lines.append(f"\nloss on training data {loss} after {found['steps']} steps")
    if found["num_test"]:
        lines[-1] += f"; ± of an accuracy: {found['num_test']} test samples"
    return "\n".join(lines)


def draw(
    config: Config, folder: Path, rows: list[Metrics], found: dict[str, Any] | None
) -> str:
    """Draw the plots of a run and say where its files are."""
    try:
        figure = import_module("matplotlib.figure").Figure
    except ImportError:
        return f'see {folder}; for plots: pip install "qiskit-qep[plot]"'
    chart = figure(figsize=(7, 6), layout="constrained")
    _curves(config, chart.subplots(2, 1, sharex=True), rows)
    chart.savefig(folder / "learning_curve.png", dpi=150)
    if found is not None:
        counts = np.array(found["confusion"])
        samples = np.repeat(
            np.indices(counts.shape).reshape(2, -1), counts.flat, axis=1
        )
        chart = figure(figsize=(5.6, 5.4), layout="constrained")
        ax = plotting.confusion_matrix(*samples, ax=chart.subplots())
        of = "test" if found["num_test"] else "training"
        ax.set_title(f"{config.name}, {of} samples: {ax.get_title()}")
        chart.savefig(folder / "confusion_matrix.png", dpi=150)
    names = sorted(path.name for path in folder.iterdir())
    return f"in {folder}: {', '.join(names)}"


def _curves(config: Config, axes: Any, rows: list[Metrics]) -> None:
    """Draw loss and accuracy over the steps."""
    table = np.array(rows)
    column = {name: table[:, k] for k, name in enumerate(Metrics._fields)}
    step, window = column["step"], None if config.batch_size else 1
    loss, accuracy = axes
    ticker = import_module("matplotlib.ticker")
    plotting.learning_curve(
        column["loss"], std=column["loss_std"], ax=loss, step=step, window=window
    )
    loss.set_yscale("log")
    low, high = loss.get_ylim()
    if low > 0 and high < 3e3 * low:  # few decades: tick 1, 2, 5, in plain numbers
        loss.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        loss.yaxis.set_major_formatter("{x:g}")
        loss.yaxis.set_minor_formatter(ticker.NullFormatter())
    loss.set_xlabel("")
    plotting.learning_curve(
        column["accuracy"], name="accuracy", ax=accuracy, step=step, window=window
    )
    test = column["test_accuracy"]
    seen = np.isfinite(test)
    if seen.any():
        n = len(config.x_test)
        error = [accuracy_std(p, n) for p in test[seen]]
        style = {"color": plotting.VERMILION, "fmt": "o", "ms": 5, "capsize": 2}
        label = f"{n} test samples, ± standard error"
        accuracy.errorbar(step[seen], test[seen], error, label=label, **style)
    if config.batch_size:  # the first rise may leave the frame
        later = column["accuracy"][len(rows) // 10 :]
        accuracy.set_ylim(max(0.0, np.quantile(later, 0.05) - 0.1), 1.01)
    for ax in axes:
        if len(ax.get_legend_handles_labels()[1]) > 1:
            ax.legend(frameon=False)
    loss.set_title(f"{config.name}: {config.model.num_trainable} parameters")
