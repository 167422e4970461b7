"""How often training succeeds, over many seeds.

    python -m benchmarks.success_rates [--seeds 100]

A run succeeds when every sample has the right sign and the mean loss is below 0.1: at
any of 300 steps ("reached"), or still after the last one ("kept"). Every row but the
settings it names uses the library's defaults.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median
from typing import Any

import qiskit_qep as qep

STEPS = 300
PROCESSES = 2


SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "Nudge.infinitesimal()": {"nudge": qep.Nudge.infinitesimal()},
    "Nudge.centered(0.3)": {"nudge": qep.Nudge.centered(0.3)},
    "Sampled(1000)": {"equilibrium": qep.Sampled(1000)},
    "Sampled(2000), as strong": {  # the README's
        "equilibrium": qep.Sampled(2000),
        "nudge": qep.Nudge.centered(0.3).normalized(),
    },
    "adam(0.01, b1=0.5)": {"optimizer": qep.adam(0.01, b1=0.5)},
    "adam(0.02)": {"optimizer": qep.adam(0.02)},
    "adam(0.05)": {"optimizer": qep.adam(0.05)},
}


@dataclass(frozen=True)
class Task:
    """One row of the table: parity of ``num_bits`` bits on a network, with settings.

    Attributes:
        num_bits: Inputs, on the first spins; the last one is read. 2 is XOR.
        num_spins: Size of the network.
        edges: As in ``transverse_field_ising``; None couples every pair.
        settings: A key of SETTINGS: what is not the library's default.
    """

    num_bits: int
    num_spins: int
    edges: str | None = None
    settings: str = "defaults"

    def __str__(self) -> str:
        """Return the first three columns."""
        task = "XOR" if self.num_bits == 2 else f"parity of {self.num_bits}"
        network = f"{self.num_spins} spins, {self.edges or 'complete'}"
        return f"{task:<13s}{network:<19s}{self.settings:<25s}"


TASKS = (
    Task(2, 6),
    Task(3, 6),
    Task(3, 7),
    Task(3, 8),
    *(Task(2, 6, settings=name) for name in SETTINGS if name != "defaults"),
    Task(2, 6, edges="ring"),
)


def run(task: Task, seed: int) -> tuple[int | None, bool]:
    """Train once; return the first successful step and whether success was kept."""
    model = qep.models.transverse_field_ising(
        task.num_spins,
        edges=task.edges,
        inputs=range(task.num_bits),
        readout=[task.num_spins - 1],
    )
    x, y = qep.datasets.parity(task.num_bits)
    first, good = None, False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the table counts what goes wrong
        for state in qep.steps(model, x, y, seed=seed, **SETTINGS[task.settings]):
            right = bool((state.gradient.prediction * y > 0).all())
            good = right and state.loss < 0.1
            if good and first is None:
                first = state.step
            if state.step == STEPS:
                break
    return first, good


def wilson(successes: int, tries: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a rate, in per cent."""
    z, p = 1.96, successes / tries
    center = (p + z**2 / (2 * tries)) / (1 + z**2 / tries)
    half = z * (p * (1 - p) / tries + z**2 / (4 * tries**2)) ** 0.5 / (1 + z**2 / tries)
    return 100 * max(0.0, center - half), 100 * min(1.0, center + half)


def row(task: Task, runs: list[tuple[int | None, bool]], seconds: float) -> str:
    """Return one line of the table."""
    reached = [first for first, _ in runs if first is not None]
    low, high = wilson(len(reached), len(runs))
    cells = (
        f"{len(reached)}/{len(runs)}",
        f"{low:.0f}-{high:.0f} %",
        f"{sum(good for _, good in runs)}/{len(runs)}",
        f"{median(reached):.0f}" if reached else "-",
        f"{seconds:.0f}",
    )
    return str(task) + "".join(f"{cell:>10s}" for cell in cells)


def versions() -> str:
    """Return what the numbers were measured with."""
    used = [f"qiskit-qep {qep.__version__}", f"Python {platform.python_version()}"]
    used += [
        f"{name} {version(name)}" for name in ("qiskit", "numpy", "scipy", "numba")
    ]
    return ", ".join(used)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100, help="0 to this, exclusive")
    seeds = range(parser.parse_args().seeds)
    os.environ |= {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    context = multiprocessing.get_context("spawn")
    heads = ("reached", "95 %", "kept", "median", "seconds")
    print(f"{'task':<13s}{'network':<19s}{'settings':<25s}", end="")
    print("".join(f"{head:>10s}" for head in heads))
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        for task in TASKS:
            begun = time.perf_counter()
            runs = list(pool.map(run, [task] * len(seeds), seeds, chunksize=5))
            print(row(task, runs, time.perf_counter() - begun), flush=True)
    print(versions())


if __name__ == "__main__":
    main()
