"""Fair timing: entrants take turns, so that whatever else the machine does hits all."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES = (
    "qiskit-qep",
    "qiskit",
    "qiskit-algorithms",
    "numpy",
    "scipy",
    "numba",
    "quspin",
    "quimb",
    "netket",
    "jax",
    "pennylane",
    "pennylane-lightning",
)
SHORTEST = 2e-3  # s; shorter calls are repeated within one reading of the clock
SHORT = 0.05  # s; before such a call's reading, one that is not timed, as in a training
OURS = "qiskit_qep"


@dataclass(frozen=True)
class Entrant:
    """One way to compute something.

    Attributes:
        call: What is timed.
        error: From what the call returned to its error, which is not timed.
        per: Results per call, over which the time is divided.
    """

    call: Callable[[], Any]
    error: Callable[[Any], float] = lambda result: float("nan")
    per: int = 1


@dataclass(frozen=True)
class Sample:
    """What one seed gave.

    Attributes:
        figures: Seconds, bytes or another figure of every entrant, ours first; None
            where it is not installed.
        errors: Error of what they returned.
        raw: Every reading.
        beside: Figures of calls that solve another task and compete with nobody.
    """

    figures: dict[str, float | None]
    errors: dict[str, float] = field(default_factory=dict)
    raw: dict[str, list[float]] = field(default_factory=dict)
    beside: dict[str, float] = field(default_factory=dict)

    @property
    def best_peer(self) -> str:
        """Name of the peer with the smallest figure."""
        peers = {k: v for k, v in self.figures.items() if k != OURS and v is not None}
        return min(peers, key=peers.__getitem__)

    @property
    def ratio(self) -> float:
        """Our figure over that of the best peer."""
        ours, best = self.figures[OURS], self.figures[self.best_peer]
        if ours is None or best is None:
            raise ValueError(f"nothing to compare in {self.figures}")
        return ours / best


def race(
    entrants: dict[str, Entrant | None], *, repeats: int = 7, budget: float = 4.0
) -> Sample:
    """Time the entrants in turn.

    What the entrant before left in the caches is cleared by a call that is not timed.

    Args:
        entrants: By name, ours among them; None is not installed.
        repeats: Readings of each.
        budget: Seconds after which an entrant is read no more; it has one reading.

    Returns:
        The least reading of each (load only adds), with all readings and errors.
    """
    present = {name: entrant for name, entrant in entrants.items() if entrant}
    errors: dict[str, float] = {}
    number: dict[str, int] = {}
    short: dict[str, bool] = {}
    for name, entrant in present.items():  # the first call compiles, and is checked
        begun = time.perf_counter()
        errors[name] = entrant.error(entrant.call())
        once = time.perf_counter() - begun
        once = seconds_of(entrant.call, 1) if once < budget / 4 else once
        number[name] = max(1, int(SHORTEST / max(once, 1e-7)))
        short[name] = once < SHORT
    raw: dict[str, list[float]] = {name: [] for name in present}
    for _ in range(repeats):
        for name, entrant in present.items():
            if sum(raw[name]) * number[name] * entrant.per <= budget:
                if short[name]:
                    entrant.call()
                reading = seconds_of(entrant.call, number[name])
                raw[name].append(reading / entrant.per)
    figures = {name: min(raw[name]) if name in raw else None for name in entrants}
    return Sample(figures, errors, raw)


def seconds_of(call: Callable[[], Any], number: int) -> float:
    """Return the mean seconds of ``number`` calls in a row."""
    begun = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - begun) / number


def alone(what: str, *args: Any, threads: int = 1) -> dict[str, Any]:
    """Return what a function of ``benchmarks.alone`` says in a fresh process."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.alone", what]
    done = subprocess.run(
        [*command, *map(str, args)],
        env=os.environ | one_thread() | {"NUMBA_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"benchmarks.alone {what} {args} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def bandwidth(size: int = 1 << 25) -> float:
    """Return the bytes per second of a = b + c, 24 bytes per element, on one thread."""
    a, b, c = np.zeros(size), np.ones(size), np.ones(size)
    number = max(1, (1 << 22) // size)
    readings = [
        seconds_of(lambda: np.add(b, c, out=a), number)
        for _ in range(9 if size > 1 << 22 else 25)
    ]
    return 24 * size / min(readings)


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on and with."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
        "versions": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    named = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return named[0] if named else platform.processor()


def _version(name: str) -> str | None:
    if name == "qiskit-qep":
        import qiskit_qep

        return qiskit_qep.__version__
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the source tree, with + where files were changed since."""
    git = shutil.which("git")
    if git is None:
        return None
    here = str(Path(__file__).parent)
    described = subprocess.run(
        [git, "-C", here, "describe", "--always", "--dirty=+", "--abbrev=10"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or None
