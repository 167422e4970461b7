"""The command ``qiskit-qep``: train a network from a TOML file, go on, look at it."""

from __future__ import annotations

import shutil
import sys
import traceback
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _folder, _report, _run
from ._backends import LOCAL, check_name, connect, is_device
from ._config import Config, parse, read
from ._keys import ConfigError, replace_key
from ._kinds import LIMITS
from ._options import parser
from ._process import ctrl_c, one_blas_thread, quiet_runtime, warn
from ._score import logistic_regression, score, uncoupled
from ._selftest import chain, selftest
from .runtime.prices import price
from .runtime.rehearsal import Rehearsal
from .runtime.resumable import Resumable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import FrameType

    from ._backends import Connection

INTERRUPTED = 130  # as a shell reports a command that Ctrl-C ended
KEYS = ("seed", "steps", "backend", "account", *LIMITS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of ``qiskit-qep``.

    Args:
        argv: The words after the command's name; by default those of the process.

    Returns:
        0 when done, 1 if a check of ``selftest`` failed, 2 for what is refused or went
        wrong, 130 after Ctrl-C.

    Example:
        >>> main(["show", "no-such-run"])
        2
    """
    arguments = parser(COMMANDS).parse_args(argv)
    try:
        with warnings.catch_warnings(), quiet_runtime(arguments.traceback):
            warnings.showwarning = warn
            return int(arguments.command(arguments))
    except KeyboardInterrupt:
        print("qiskit-qep: stopped at once; resume goes on", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if arguments.traceback:
            raise
        print(f"qiskit-qep: {_sentence(error)}", file=sys.stderr)
        return 2


def _sentence(error: Exception) -> str:
    """Return our own words, or where an error of somebody else's comes from.

    A library may quote what was sent to it: that is not repeated.
    """
    frames: list[FrameType] = [f for f, _ in traceback.walk_tb(error.__traceback__)]
    home = str(frames[-1].f_globals.get("__name__"))
    ours = home.startswith(f"{__package__}.") or home == "__main__"
    plain = isinstance(error, ValueError | RuntimeError)
    of_python = type(error).__module__ == "builtins"
    if (ours and plain) or (of_python and isinstance(error, OSError | ImportError)):
        return " ".join(str(error).split())
    return (
        f"{type(error).__name__} in {home}; qiskit-qep --traceback before the command "
        "shows where"
    )


def _changes(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the keys that the command line gives instead of the config."""
    given = {key: getattr(arguments, key, None) for key in KEYS}
    found = {key: value for key, value in given.items() if value is not None}
    for key in found.keys() & {"backend", "account"}:
        check_name(key, found[key])  # before a message could show it
    return found


def _configured(arguments: argparse.Namespace) -> Config:
    text, filename = read(arguments.config)
    for key, value in _changes(arguments).items():
        text = replace_key(text, key, value)
    return parse(text, filename)


def _plan(arguments: argparse.Namespace) -> int:
    config = _configured(arguments)
    print(_report.describe(config), end="\n\n")
    config = _run.connected(config, _run.connection(config))
    print(_report.expenses(*_run.costs(config)))
    return 0


def _train(arguments: argparse.Namespace) -> int:
    config = _configured(arguments)
    _run.check_allowed(config, arguments.yes)
    backend = _run.connection(config)  # a folder is made only for what can begin
    folder = _folder.create(config, arguments.out)
    try:
        return _go(_folder.named(config, folder), folder, backend)
    except Exception:
        if not _folder.is_worth_keeping(folder):
            _folder.discard(folder)
        raise


def _resume(arguments: argparse.Namespace) -> int:
    folder = arguments.run
    if changes := _changes(arguments):
        _folder.change(folder, changes)
    config = _folder.reopen(folder)
    _run.check_allowed(config, arguments.yes)
    return _go(config, folder, _run.connection(config))


def _show(arguments: argparse.Namespace) -> int:
    folder = arguments.run
    config, rows = _folder.reopen(folder), _folder.read_metrics(folder)
    if not rows:
        raise ConfigError(f"{folder} has made no step yet")
    print(_report.describe(config))
    found = _folder.read_summary(folder)
    if found is None or rows[-1].step < config.steps:
        found, line = None, _report.numbers(config, rows)
        print(f"step {rows[-1].step} of {config.steps}: {line}")
        print(f"go on with: qiskit-qep resume {folder}")
    else:
        print(_report.table(found))
    print(_report.draw(config, folder, rows, found))
    return 0


def _jobs(arguments: argparse.Namespace) -> int:
    config = _folder.reopen(arguments.run)
    entries = _folder.read_jobs(arguments.run)
    if entries:
        print(_report.jobs(entries))
    elif is_device(config.backend):
        print(f"{arguments.run} has submitted no job yet")
    else:
        print(f"{arguments.run} has no jobs: its backend is this machine")
    return 0


def _selftest(arguments: argparse.Namespace) -> int:
    """Check a backend; what costs QPU time says so first, and has a journal."""
    name, shots = arguments.backend, arguments.shots
    backend = connect(name, chain().operators, account=arguments.account)
    sampler, journal = backend.sampler, Path(f"selftest-{name}.jobs.jsonl")
    print(f"{name}: circuits on four qubits, {shots} shots each", flush=True)
    if is_device(name):
        rehearsal = Rehearsal()
        list(selftest(rehearsal, shots=shots))
        print(price([(job, 1) for job in rehearsal.jobs], sampler), flush=True)
        if not arguments.yes:
            raise ConfigError(f"{name} costs QPU time: give --yes to spend that much")
        sampler = Resumable(
            sampler,
            journal=journal,
            service=backend.service,
            accept=("circuit", "cost"),
        )
    passed = []
    for verdict in selftest(sampler, shots=shots, ideal=name in LOCAL):
        print(verdict, flush=True)
        passed.append(verdict.passed)
    if is_device(name):
        journal.unlink()  # one that was interrupted goes on, another begins anew
    if all(passed):
        print(f"all {len(passed)} checks passed")
        return 0
    print(
        f"{passed.count(False)} of {len(passed)} failed; begin with the first of them"
    )
    return 1


def _go(config: Config, folder: Path, backend: Connection | None) -> int:
    """Train to the end or to the first Ctrl-C, then compare, write and draw."""
    print(f"{_report.describe(config)}\nrun folder: {folder}\n", flush=True)
    if is_device(config.backend):
        costs = _run.costs(_run.connected(config, backend))
        print(f"{_report.expenses(*costs)}\n", flush=True)
    with one_blas_thread():
        try:
            found = _finish(config, folder, backend)
        except RuntimeError:  # a budget's end, a service that does not answer
            if _folder.is_worth_keeping(folder):
                print(f"saved; go on with: qiskit-qep resume {folder}", flush=True)
            raise
    if found is None:
        print(f"stopped and saved; go on with: qiskit-qep resume {folder}")
        return INTERRUPTED
    print(_report.table(found))
    print(_report.draw(config, folder, _folder.read_metrics(folder), found))
    return 0


def _finish(
    config: Config, folder: Path, backend: Connection | None
) -> dict[str, Any] | None:
    """Make the remaining steps and score them; return None after a Ctrl-C."""
    config = _run.connected(config, backend, folder)
    if not _advance(config, folder):
        return None
    found = _folder.read_summary(folder)
    if found is None or found["steps"] != config.steps:
        found = _conclude(config, folder)
    return found


def _advance(config: Config, folder: Path) -> bool:
    """Make the remaining steps; say whether the last one was reached."""
    from tqdm import tqdm

    state = _folder.saved_state(folder)
    rows: list[_folder.Metrics] = []
    terminal, every = sys.stderr.isatty(), max(1, config.steps // 20)
    drawn = "{bar} " if shutil.get_terminal_size().columns > 90 else ""
    bar = tqdm(
        total=config.steps,
        initial=0 if state is None else state.step,
        disable=not terminal,
        dynamic_ncols=True,
        bar_format=f"{{n_fmt}}/{{total_fmt}} {drawn}{{remaining}} {{desc}}",
    )
    steps = _run.go_on(config, folder)
    with ctrl_c() as stop, bar, closing(steps):
        for row in steps:
            rows.append(row)
            bar.update(row.step - bar.n)
            bar.set_description_str(_report.numbers(config, rows), refresh=False)
            if not terminal and row.step % every == 0:
                line = f"step {row.step}/{config.steps}  {bar.desc}"
                print(line, file=sys.stderr, flush=True)
            if stop.is_set():
                break
    return not stop.is_set() or bool(rows and rows[-1].step == config.steps)


def _conclude(config: Config, folder: Path) -> dict[str, Any]:
    """Score the trained network and its baselines, and write summary.json."""
    state = _folder.saved_state(folder)
    assert state is not None  # the last step was reached
    train = score(config, state.theta, config.x_train, config.y_train, state.step)
    x, y = config.x_test, config.y_test
    test = score(config, state.theta, x, y, state.step) if len(x) else None
    baselines = [b for b in (uncoupled(config), logistic_regression(config)) if b]
    seconds = _folder.read_metrics(folder)[-1].seconds
    found = _run.summarize(config, state, train, test, baselines, seconds)
    _folder.write_summary(folder, found)
    return found


COMMANDS = {
    "train": _train,
    "plan": _plan,
    "resume": _resume,
    "show": _show,
    "jobs": _jobs,
    "selftest": _selftest,
}

if __name__ == "__main__":
    sys.exit(main())
