"""The files of a run's folder: written at once or not at all, read without trust."""

from __future__ import annotations

import csv
import json
import math
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ._archive import write_atomically
from ._config import Config, parse
from ._keys import ConfigError, call, read_text, replace_key
from ._state import State
from .runtime.journal import Journal, JournalError, _parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .runtime.journal import Entry

CONFIG, STATE, METRICS = "config.toml", "state.npz", "metrics.csv"
SUMMARY, JOURNAL = "summary.json", "jobs.jsonl"
MAX_SAMPLES = 10_000_000
MAX_LINE = 1 << 28  # bytes of one line of a journal: all bits of a job


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
    write_atomically(folder / CONFIG, config.text.encode())
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


def is_worth_keeping(folder: Path) -> bool:
    """Say whether a run has a state, or a job that was taken, to show for itself."""
    return (folder / STATE).exists() or any(job.counts for job in read_jobs(folder))


def discard(folder: Path) -> None:
    """Remove a run's folder; what is not the run's stays."""
    for name in (CONFIG, METRICS, JOURNAL):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # there are files of somebody else's in it
        folder.rmdir()


def reopen(folder: Path) -> Config:
    """Read the config of a run's folder.

    Raises:
        ConfigError: If it is none.
    """
    try:
        text = read_text(folder / CONFIG)
    except OSError as error:
        raise ConfigError(f"{folder} is no run folder: {error}") from error
    return named(parse(text, CONFIG), folder)


def change(folder: Path, values: Mapping[str, Any]) -> None:
    """Set keys above all tables of a run's config, if the config is one with them.

    Raises:
        ConfigError: If it is none.
    """
    text = reopen(folder).text
    for key, value in values.items():
        text = replace_key(text, key, value)
    parse(text, CONFIG)
    write_atomically(folder / CONFIG, text.encode())


def named(config: Config, folder: Path) -> Config:
    """Return a config that is called after its run's folder."""
    return replace(config, name=folder.resolve().name)


def saved_state(folder: Path) -> State | None:
    """Return the last saved state of a run, or None before the first."""
    path = folder / STATE
    return call("", State.load, path=path) if path.exists() else None


def read_metrics(folder: Path) -> list[Metrics]:
    """Return all complete rows of metrics.csv.

    Raises:
        ConfigError: If it is no such table.
    """
    path = folder / METRICS
    if not path.exists():
        return []
    text = read_text(path)
    lines = text[: text.rfind("\n") + 1].splitlines()  # the last may be half written
    try:
        header, *rows = csv.reader(lines) if lines else [[]]
    except csv.Error as error:
        raise ConfigError(f"{path} is no table: {error}") from error
    if tuple(header) != Metrics._fields:
        raise ConfigError(
            f"{path} has columns {header!s:.200}, not {list(Metrics._fields)}"
        )
    return [_metrics(path, row) for row in rows]


def _metrics(path: Path, row: list[str]) -> Metrics:
    try:
        step, *rest = row
        return Metrics(int(step), *map(float, rest))
    except (ValueError, TypeError):
        text = f"{','.join(row):.200}"
        raise ConfigError(f"{path} has a row of other columns: {text}") from None


def write_metrics(folder: Path, rows: list[Metrics]) -> None:
    """Write all rows of metrics.csv."""
    table = "".join(map(line_of, [Metrics._fields, *rows]))
    write_atomically(folder / METRICS, table.encode())


def line_of(values: Any) -> str:
    """Return a row of metrics.csv."""
    return ",".join(map(str, values)) + "\n"  # str of a float is its shortest repr


def write_summary(folder: Path, found: dict[str, Any]) -> None:
    """Write summary.json, at once or not at all."""
    dumps = partial(json.dumps, allow_nan=False)
    lines = [f" {dumps(key)}: {dumps(value)}" for key, value in found.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    write_atomically(folder / SUMMARY, text.encode())


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Return what a finished run's summary.json says, or None.

    Raises:
        ConfigError: If it says something else.
    """
    path = folder / SUMMARY
    if not path.exists():
        return None
    try:
        found = json.loads(read_text(path))
        _check_summary(found)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"{path} is no summary of a run; remove it, and resume the run"
        ) from error
    return dict(found)


def _check_summary(found: Any) -> None:
    """Raise one of many errors where there is not what a report shows."""
    counts = [count for row in found["confusion"] for count in row]
    whole = [found["steps"], found["num_test"], *counts]
    shares, numbers = [], [found["loss"], found["loss_std"]]
    for key in [key for key in found if key.startswith("train_accuracy")]:
        of = key.removeprefix("train_accuracy")
        tested = found[f"test_accuracy{of}"]
        if (tested is None) is not (found["num_test"] == 0):
            raise ValueError(key)
        shares += [found[key], tested or 0.0]
        numbers.append(found[f"seconds{of}"])
    size = len(found["confusion"])
    if not (
        [size] * size == [len(row) for row in found["confusion"]] != []
        and all(isinstance(n, int) and 0 <= n <= MAX_SAMPLES for n in whole)
        and all(0.0 <= share <= 1.0 for share in shares)
        and all(map(math.isfinite, numbers))
        and found["train_accuracy"] in shares
    ):
        raise ValueError(found)


def read_jobs(folder: Path) -> list[Entry]:
    """Return the requests in a run's journal, which another process may be writing.

    Raises:
        JournalError: If it is damaged.
    """
    path = folder / JOURNAL
    journal = Journal(path)
    if not path.exists():
        return []
    with path.open("rb") as file:
        number, line = 0, file.readline(MAX_LINE)
        while line:
            following, record = file.readline(MAX_LINE), _parse(line)
            if record is None and following:
                raise JournalError(f"line {number + 1} of {path} is damaged")
            if record is not None:
                journal._check_schema(record, number)
                journal._apply(record)
            number, line = number + 1, following
    for entry in journal.entries:
        _check_entry(path, entry)
    return journal.entries


def _check_entry(path: Path, entry: Entry) -> None:
    texts = entry.backend, entry.closed, entry.job or "", entry.tag or ""
    numbers = entry.shots, entry.estimate, entry.seconds or 0.0
    texts_fit = all(isinstance(text, str) for text in texts)
    if not (texts_fit and all(isinstance(n, int | float) and n >= 0 for n in numbers)):
        raise JournalError(f"request {entry.number} of {path} is none: {texts}")
