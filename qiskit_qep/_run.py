"""A training run in a folder: what it writes, and how it goes on.

The folder holds ``config.toml``, ``state.npz`` (the last state), ``metrics.csv`` (one
row per step), and at the end ``summary.json`` and two plots. A run that was interrupted
anywhere goes on from ``state.npz`` and ends with the bytes of the uninterrupted one;
only the column ``seconds`` differs.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._archive import write_atomically
from ._config import Config, parse
from ._keys import ConfigError, call
from ._score import Baseline, Score, classes, confusion, score
from ._state import State, versions
from ._train import rows_of_step
from ._train import steps as iterate

if TYPE_CHECKING:
    from collections.abc import Generator

SAVE_SECONDS = 5.0


class Metrics(NamedTuple):
    """One row of metrics.csv: what step ``step`` measured.

    Attributes:
        step: Number of updates made.
        loss: Of the step's batch.
        loss_std: Its standard error (shots); 0 where it is exact.
        accuracy: Share of the batch that is classified correctly.
        grad_norm: Length of the gradient.
        grad_norm_std: Its standard error.
        gap: Smallest gap of the batch's free phases; nan where none is reported.
        test_accuracy: Of the held-out samples; nan where they were not looked at.
        seconds: Since the beginning, without interruptions.
    """

    step: int
    loss: float
    loss_std: float
    accuracy: float
    grad_norm: float
    grad_norm_std: float
    gap: float
    test_accuracy: float
    seconds: float


def create(config: Config, out: str | None = None) -> Path:
    """Make the run's folder; nothing that exists is overwritten.

    Args:
        config: What is going to be run.
        out: The folder; by default ``runs/<name>-<n>`` with the next free number.

    Raises:
        ConfigError: If the folder has something in it.
    """
    if out is None:
        folder = _next_free(Path("runs"), config.name)
    else:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(
                f"{folder} is not empty; choose another --out, or go on with a run in "
                f"it by: qiskit-qep resume {folder}"
            )
    write_atomically(folder / "config.toml", config.text.encode())
    return folder


def _next_free(parent: Path, name: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    taken = [path.name.removeprefix(f"{name}-") for path in parent.glob(f"{name}-*")]
    number = 1 + max((int(n) for n in taken if n.isdecimal()), default=0)
    while True:
        folder = parent / f"{name}-{number}"
        try:
            folder.mkdir()
        except FileExistsError:  # another run was quicker
            number += 1
        else:
            return folder


def reopen(folder: Path) -> Config:
    """Read the config of a run's folder.

    Raises:
        ConfigError: If it is none.
    """
    try:
        text = (folder / "config.toml").read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder} is no run folder: {error}") from error
    return named(parse(text, "config.toml"), folder)


def named(config: Config, folder: Path) -> Config:
    """Return a config that is called after its run's folder."""
    return replace(config, name=folder.resolve().name)


def saved_state(folder: Path) -> State | None:
    """Return the last saved state of a run, or None before the first."""
    path = folder / "state.npz"
    return call("", State.load, path=path) if path.exists() else None


def read_metrics(folder: Path) -> list[Metrics]:
    """Return all complete rows of metrics.csv."""
    path = folder / "metrics.csv"
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    lines = text[: text.rfind("\n") + 1].splitlines()  # the last may be half written
    header, *rows = csv.reader(lines)
    if tuple(header) != Metrics._fields:
        raise ConfigError(f"{path} has columns {header}, not {list(Metrics._fields)}")
    return [Metrics(int(step), *map(float, rest)) for step, *rest in rows]


def _line(values: Any) -> str:
    return ",".join(map(str, values)) + "\n"  # str of a float is its shortest repr


def go_on(config: Config, folder: Path) -> Generator[Metrics]:
    """Train from what the folder holds to the last step, one row after the other.

    The state is saved every few seconds and when the iterator is closed, so that a
    caller may leave the loop whenever it likes.

    Raises:
        ConfigError: If the folder's files do not belong together, or the config is of
            another model or optimizer than the state.
    """
    start, done = _last_save(folder)
    if start is not None and start.step >= config.steps:
        return
    model, x, y = config.model, config.x_train, config.y_train
    seed = config.seed if start is None else None
    how = {"model": model, "x": x, "y": y, "seed": seed, "state": start} | config.how
    states = call("", iterate, **how)
    begun = time.perf_counter() - (done[-1].seconds if done else 0.0)
    state, saved, last_save = start, start, time.perf_counter()
    with (folder / "metrics.csv").open("a", encoding="utf-8") as file:

        def save() -> None:
            nonlocal saved, last_save
            if state is not None and state is not saved:
                file.flush()
                os.fsync(file.fileno())  # never a state ahead of its rows
                state.save(folder / "state.npz")
                saved, last_save = state, time.perf_counter()

        try:
            for new in states:
                row = _row(config, new, begun)
                file.write(_line(row))
                state = new
                if time.perf_counter() - last_save > SAVE_SECONDS:
                    save()
                yield row
                if row.step >= config.steps:
                    break
        except (TypeError, ValueError) as error:
            if state is start:  # parts that do not fit together, not a bad step
                raise ConfigError(f"the first step failed: {error}") from error
            raise
        finally:
            save()


def _last_save(folder: Path) -> tuple[State | None, list[Metrics]]:
    """Return the saved state and the rows up to it; later rows are dropped."""
    state = saved_state(folder)
    number = 0 if state is None else state.step + 1
    rows = read_metrics(folder)[:number]
    if [row.step for row in rows] != list(range(number)):
        raise ConfigError(f"{folder / 'metrics.csv'} lacks steps that state.npz made")
    table = "".join(map(_line, [Metrics._fields, *rows]))
    write_atomically(folder / "metrics.csv", table.encode())
    return state, rows


def _row(config: Config, state: State, begun: float) -> Metrics:
    g, size = state.gradient, config.batch_size or len(config.x_train)
    rows = rows_of_step(len(config.x_train), size, state.step, state.seed)
    right = classes(g.prediction) == classes(config.y_train[rows])
    test = np.nan
    last = state.step == config.steps
    if len(config.x_test) and (last or state.step % config.test_every == 0):
        x, y = config.x_test, config.y_test
        test = score(config, state.theta, x, y, state.step).accuracy
    return Metrics(
        step=state.step,
        loss=g.loss,
        loss_std=g.loss_std,
        accuracy=float(right.mean()),
        grad_norm=g.norm,
        grad_norm_std=g.norm_std,
        gap=g.gap,
        test_accuracy=test,
        seconds=round(time.perf_counter() - begun, 3),
    )


def summarize(
    config: Config,
    state: State,
    train: Score,
    test: Score | None,
    baselines: list[Baseline],
    seconds: float,
) -> dict[str, Any]:
    """Return what summary.json says of a finished run."""
    shown, samples = (train, config.y_train) if test is None else (test, config.y_test)
    found: dict[str, Any] = {
        "name": config.name,
        "test_accuracy": None if test is None else test.accuracy,
        "test_accuracy_std": None if test is None else test.accuracy_std,
        "train_accuracy": train.accuracy,
        "loss": train.loss,
        "loss_std": train.loss_std,
    }
    for baseline in baselines:
        found[f"test_accuracy_{baseline.key}"] = baseline.test
        found[f"train_accuracy_{baseline.key}"] = baseline.train
        found[f"seconds_{baseline.key}"] = baseline.seconds
    return found | {
        "seconds": seconds,
        "steps": state.step,
        "seed": state.seed,
        "num_trainable": config.model.num_trainable,
        "num_train": len(config.y_train),
        "num_test": len(config.y_test),
        "confusion": confusion(classes(samples), shown.predicted).tolist(),
        "versions": {"python": platform.python_version()} | versions(),
    }


def write_summary(folder: Path, found: dict[str, Any]) -> None:
    """Write summary.json, at once or not at all."""
    dumps = partial(json.dumps, allow_nan=False)
    lines = [f" {dumps(key)}: {dumps(value)}" for key, value in found.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    write_atomically(folder / "summary.json", text.encode())


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Return what a finished run's summary.json says, or None."""
    path = folder / "summary.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
