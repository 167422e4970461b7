"""The command ``qiskit-qep``: train a network from a TOML file, go on, look at it."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import threading
import warnings
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _report, _run
from ._config import Config, parse, read
from ._keys import ConfigError, replace_key
from ._score import logistic_regression, score, uncoupled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INTERRUPTED = 130  # as a shell reports a command that Ctrl-C ended
AGAIN = b"\nstopping after this step; Ctrl-C again stops at once\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of ``qiskit-qep``.

    Args:
        argv: The words after the command's name; by default those of the process.

    Returns:
        0 when done, 2 for a mistake in the arguments or the config, 130 after Ctrl-C.

    Example:
        >>> main(["show", "no-such-run"])
        2
    """
    arguments = _parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            return int(arguments.command(arguments))
    except (ConfigError, ImportError) as error:
        print(f"qiskit-qep: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("qiskit-qep: stopped at once; resume goes on", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="qiskit-qep",
        description="Train quantum systems by Quantum Equilibrium Propagation.",
        epilog="Ctrl-C ends a run after the step in hand and saves it (exit code 130).",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train a network")
    train.add_argument(
        "config",
        nargs="?",
        default="digits",
        metavar="CONFIG",
        help="a TOML file, or digits (the default), iris or xor",
    )
    train.add_argument("--out", metavar="DIR", help="run folder (runs/<name>-<n>)")
    train.add_argument("--seed", type=int, help="instead of the config's")
    train.add_argument("--steps", type=int, help="instead of the config's")
    train.set_defaults(command=_train)
    for name, command, text in (
        ("resume", _resume, "go on with a run that was interrupted"),
        ("show", _show, "print a run's numbers and draw its plots again"),
    ):
        other = commands.add_parser(name, help=text)
        other.add_argument("run", metavar="RUN", type=Path, help="its folder")
        other.set_defaults(command=command)
    return parser


def _version() -> str:
    try:
        return f"qiskit-qep {version('qiskit-qep')}"
    except PackageNotFoundError:
        return "qiskit-qep (not installed)"


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Write a warning as one line, above a progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(f"warning: {message}", file=sys.stderr)


def _train(arguments: argparse.Namespace) -> int:
    text, filename = read(arguments.config)
    for key in ("seed", "steps"):
        if (value := getattr(arguments, key)) is not None:
            text = replace_key(text, key, value)
    config = parse(text, filename)
    folder = _run.create(config, arguments.out)
    return _go(_run.named(config, folder), folder)


def _resume(arguments: argparse.Namespace) -> int:
    return _go(_run.reopen(arguments.run), arguments.run)


def _show(arguments: argparse.Namespace) -> int:
    folder = arguments.run
    config, rows = _run.reopen(folder), _run.read_metrics(folder)
    if not rows:
        raise ConfigError(f"{folder} has made no step yet")
    print(_report.describe(config))
    found = _run.read_summary(folder)
    if found is None or rows[-1].step < config.steps:
        found, line = None, _report.numbers(config, rows)
        print(f"step {rows[-1].step} of {config.steps}: {line}")
        print(f"go on with: qiskit-qep resume {folder}")
    else:
        print(_report.table(found))
    print(_report.draw(config, folder, rows, found))
    return 0


def _go(config: Config, folder: Path) -> int:
    """Train to the end or to the first Ctrl-C, then compare, write and draw."""
    print(f"{_report.describe(config)}\nrun folder: {folder}\n", flush=True)
    with ExitStack() as stack:
        _one_blas_thread(stack)
        if not _advance(config, folder):
            print(f"stopped and saved; go on with: qiskit-qep resume {folder}")
            return INTERRUPTED
        found = _run.read_summary(folder)
        if found is None or found["steps"] != config.steps:
            found = _conclude(config, folder)
    print(_report.table(found))
    print(_report.draw(config, folder, _run.read_metrics(folder), found))
    return 0


def _one_blas_thread(stack: ExitStack) -> None:
    """Keep BLAS to one thread: its idle ones spin, and take the cores of our kernels.

    Measured on 2 cores: 78 ms of CPU per step of the digits with them, 27 ms without.
    """
    with suppress(ImportError):  # threadpoolctl comes with scikit-learn
        limits = import_module("threadpoolctl").threadpool_limits
        stack.enter_context(limits(1, user_api="blas"))


def _advance(config: Config, folder: Path) -> bool:
    """Make the remaining steps; say whether the last one was reached."""
    from tqdm import tqdm

    state = _run.saved_state(folder)
    rows: list[_run.Metrics] = []
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
    with _ctrl_c() as stop, bar, closing(steps):
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


@contextmanager
def _ctrl_c() -> Iterator[threading.Event]:
    """Let the first Ctrl-C set an event, and the second raise KeyboardInterrupt."""
    stop = threading.Event()

    def first(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(2, AGAIN)  # a print could be what the signal came in the middle of

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _conclude(config: Config, folder: Path) -> dict[str, Any]:
    """Score the trained network and its baselines, and write summary.json."""
    state = _run.saved_state(folder)
    assert state is not None  # the last step was reached
    train = score(config, state.theta, config.x_train, config.y_train, state.step)
    x, y = config.x_test, config.y_test
    test = score(config, state.theta, x, y, state.step) if len(x) else None
    baselines = [b for b in (uncoupled(config), logistic_regression(config)) if b]
    seconds = _run.read_metrics(folder)[-1].seconds
    found = _run.summarize(config, state, train, test, baselines, seconds)
    _run.write_summary(folder, found)
    return found


if __name__ == "__main__":
    sys.exit(main())
