"""A training run in a folder: what it writes, and how it goes on.

The folder holds ``config.toml``, ``state.npz`` (the last state), ``metrics.csv`` (one
row per step), ``jobs.jsonl`` (the journal of a device's jobs), and at the end
``summary.json`` and two plots. A run that was interrupted anywhere goes on from
``state.npz`` and ends with the bytes of the uninterrupted one; only the column
``seconds`` differs.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ._backends import Connection, connect, is_device
from ._folder import (
    JOURNAL,
    METRICS,
    STATE,
    Metrics,
    line_of,
    read_metrics,
    saved_state,
    write_metrics,
)
from ._keys import ConfigError, call
from ._plan import Plan, plan, rehearsed
from ._score import Baseline, Score, classes, confusion, score
from ._state import State, versions
from ._train import rows_of_step
from ._train import steps as iterate
from .runtime.costs import Budget
from .runtime.prices import Price, price
from .runtime.resumable import Resumable

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from ._config import Config

SAVE_SECONDS = 5.0


def connection(config: Config) -> Connection | None:
    """Return the backend of a run, or None if its equilibrium needs none.

    Raises:
        ConfigError: If there is no such backend.
    """
    if config.backend in (None, "exact"):
        return None
    operators, seed = config.model.operators, config.seed
    return connect(config.backend, operators, account=config.account, seed=seed)


def connected(
    config: Config, backend: Connection | None, folder: Path | None = None
) -> Config:
    """Return a config whose circuits run on a backend.

    Args:
        config: Of the run.
        backend: As ``connection`` returned it.
        folder: Of the run, for the journal of a device's jobs.
    """
    if backend is None:
        return config
    sampler = backend.sampler
    if folder is not None and backend.service is not None:
        sampler = Resumable(
            sampler,
            journal=folder / JOURNAL,
            service=backend.service,
            accept=("cost",),  # see check_allowed
            **vars(config.budget),
        )

    def circuits() -> Any:
        return replace(config.equilibrium, sampler=sampler)  # type: ignore[type-var]

    return replace(config, equilibrium=call("equilibrium", circuits))


def check_allowed(config: Config, confirmed: bool) -> None:
    """Refuse to spend QPU time that nobody has limited or agreed to.

    Raises:
        ConfigError: If a device has neither a budget nor a confirmation.
    """
    if is_device(config.backend) and config.budget == Budget() and not confirmed:
        raise ConfigError(
            f"{config.backend} costs QPU time: set --max-qpu-seconds, --max-jobs or "
            "--max-wall-time, or give --yes to go without a limit; qiskit-qep plan "
            "says what it will cost"
        )


def costs(config: Config) -> tuple[Plan, Price | None]:
    """Return what the training and the scoring of a connected config ask for.

    Raises:
        ConfigError: If it cannot be counted.
    """
    how = {key: value for key, value in config.how.items() if key != "optimizer"}
    steps, x = config.steps, config.x_train
    found = call("", plan, model=config.model, x=x, steps=steps, **how)
    if not found.jobs:
        return found, None
    settle: Any = config.equilibrium
    stand_in, rehearsal = rehearsed(settle)
    trial = replace(config, equilibrium=stand_in)
    theta = config.model.initial(np.random.default_rng(0))
    times = [(config.x_train, config.y_train, 1)]
    if len(config.x_test):
        looks = {*range(0, steps + 1, config.test_every), steps}
        times.append((config.x_test, config.y_test, len(looks)))
    asked = []
    for samples, y, n in times:
        rehearsal.jobs.clear()
        score(trial, theta, samples, y, 0)
        asked += [(job, n) for job in rehearsal.jobs]
    return found, price(asked, settle.sampler)


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
    with (folder / METRICS).open("a", encoding="utf-8") as file:

        def save() -> None:
            nonlocal saved, last_save
            if state is not None and state is not saved:
                file.flush()
                os.fsync(file.fileno())  # never a state ahead of its rows
                state.save(folder / STATE)
                saved, last_save = state, time.perf_counter()

        try:
            for new in states:
                row = _row(config, new, begun)
                file.write(line_of(row))
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
        raise ConfigError(f"{folder / METRICS} lacks steps that state.npz made")
    write_metrics(folder, rows)
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
