"""The words that follow ``qiskit-qep``."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HELP = {
    "train": "train a network",
    "plan": "say what a training would cost",
    "resume": "go on with a run that was interrupted",
    "show": "print a run's numbers and draw its plots again",
    "jobs": "list the jobs that a run has submitted",
    "selftest": "check a backend with known circuits",
}


def parser(
    commands: Mapping[str, Callable[[argparse.Namespace], int]],
) -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Args:
        commands: What each command does, kept as ``command`` of what is parsed.
    """
    made = argparse.ArgumentParser(
        prog="qiskit-qep",
        description="Train quantum systems by Quantum Equilibrium Propagation.",
        epilog="Ctrl-C ends a run after the step in hand and saves it (exit code 130).",
    )
    made.add_argument("--version", action="version", version=_version())
    made.add_argument(
        "--traceback",
        action="store_true",
        help="show where an error comes from, and what the IBM runtime logs",
    )
    parts = made.add_subparsers(required=True, metavar="COMMAND")
    words = {}
    for name, text in HELP.items():
        words[name] = parts.add_parser(name, help=text, description=text)
        words[name].set_defaults(command=commands[name])
    for name in ("train", "plan"):
        _config(words[name])
    for name in ("resume", "show", "jobs"):
        words[name].add_argument("run", metavar="RUN", type=Path, help="its folder")
    for name in ("train", "plan", "selftest"):
        words[name].add_argument(
            "--backend",
            metavar="NAME",
            help="exact, aer, fake:torino and the like, or a device of your IBM account"
            + " (aer)" * (name == "selftest"),
            default="aer" if name == "selftest" else None,
        )
        words[name].add_argument(
            "--account", metavar="NAME", help="which saved IBM account (the default)"
        )
    for name in ("train", "plan", "resume"):
        words[name].add_argument(
            "--max-jobs",
            type=int,
            metavar="N",
            help="stop before more jobs on a device",
        )
        words[name].add_argument(
            "--max-qpu-seconds",
            type=float,
            metavar="S",
            help="stop before more QPU time",
        )
        words[name].add_argument(
            "--max-wall-time",
            type=float,
            metavar="S",
            help="stop when the run has worked that long on a device",
        )
    for name in ("train", "resume", "selftest"):
        words[name].add_argument(
            "--yes", action="store_true", help="spend QPU time without a limit"
        )
    words["train"].add_argument(
        "--out", metavar="DIR", help="run folder (runs/<name>-<n>)"
    )
    words["selftest"].add_argument(
        "--shots", type=int, default=4000, metavar="N", help="of a circuit (4000)"
    )
    return made


def _config(words: argparse.ArgumentParser) -> None:
    words.add_argument(
        "config",
        nargs="?",
        default="digits",
        metavar="CONFIG",
        help="a TOML file, or digits (the default), iris, xor or chip",
    )
    words.add_argument("--seed", type=int, metavar="N", help="instead of the config's")
    words.add_argument("--steps", type=int, metavar="N", help="instead of the config's")


def _version() -> str:
    try:
        return f"qiskit-qep {version('qiskit-qep')}"
    except PackageNotFoundError:
        return "qiskit-qep (not installed)"
