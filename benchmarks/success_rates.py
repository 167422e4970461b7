"""How often training with the library's defaults succeeds, over many seeds.

    python -m benchmarks.success_rates [--seeds 100]

A run succeeds when every sample has the right sign and the mean loss is below 0.1 at
any of 300 steps ("reached"), and keeps it when that holds after the last ("kept").
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import Any

STEPS = 300


@dataclass(frozen=True)
class Task:
    """One row of the table: parity of ``num_bits`` bits on a network, with settings."""

    name: str
    num_bits: int
    num_spins: int
    shots: int = 0
    how: dict[str, Any] = field(default_factory=dict)


TASKS = [
    Task("XOR, 6 spins, defaults", 2, 6),
    Task("parity of 3 bits, 6 spins, defaults", 3, 6),
    Task("parity of 3 bits, 8 spins, defaults", 3, 8),
    Task("XOR, 6 spins, exact response", 2, 6, how={"nudge": "infinitesimal"}),
    Task("XOR, 6 spins, 1000 shots", 2, 6, shots=1000),
    Task("XOR, 6 spins, adam(0.05)", 2, 6, how={"rate": 0.05}),
]


def run(task: Task, seed: int) -> tuple[int | None, bool]:
    """Train once; return the first successful step and whether success was kept."""
    import qiskit_qep as qep

    model = qep.models.transverse_field_ising(
        task.num_spins, inputs=range(task.num_bits), readout=[task.num_spins - 1]
    )
    x, y = qep.datasets.parity(task.num_bits)
    how: dict[str, Any] = {"seed": seed}
    if "rate" in task.how:
        how["optimizer"] = qep.adam(task.how["rate"])
    if "nudge" in task.how:
        how["nudge"] = qep.Nudge.infinitesimal()
    if task.shots:
        how["equilibrium"] = qep.Sampled(task.shots)
    first, good = None, False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the table counts what goes wrong
        for state in qep.steps(model, x, y, **how):
            right = bool(((state.gradient.prediction * y) > 0).all())
            good = right and state.loss < 0.1
            if good and first is None:
                first = state.step
            if state.step == STEPS:
                return first, good
    raise AssertionError("steps ended")


def wilson(successes: int, tries: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a rate, in per cent."""
    z, p = 1.96, successes / tries
    center = (p + z**2 / (2 * tries)) / (1 + z**2 / tries)
    half = z * (p * (1 - p) / tries + z**2 / (4 * tries**2)) ** 0.5 / (1 + z**2 / tries)
    return 100 * (center - half), 100 * (center + half)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    seeds = range(parser.parse_args().seeds)
    os.environ |= {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    context = multiprocessing.get_context("spawn")
    heads = ("reached", "kept", "95 % of kept", "median step", "seconds")
    print(f"{'task':38s}" + "".join(f"{head:>14s}" for head in heads))
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        for task in TASKS:
            begun = time.perf_counter()
            runs = list(pool.map(run, [task] * len(seeds), seeds, chunksize=5))
            seconds = time.perf_counter() - begun
            reached = [first for first, _ in runs if first is not None]
            kept = sum(good for _, good in runs)
            low, high = wilson(kept, len(runs))
            cells = (
                f"{len(reached)}/{len(runs)}",
                f"{kept}/{len(runs)}",
                f"{low:.0f}-{high:.0f} %",
                f"{median(reached):.0f}" if reached else "-",
                f"{seconds:.0f}",
            )
            print(f"{task.name:38s}" + "".join(f"{c:>14s}" for c in cells), flush=True)


if __name__ == "__main__":
    main()
