"""How good circuits are: gradients, training from shots, and speed.

    python -m benchmarks.circuits [quality|training|throughput] [--seeds N] [--quick]

prints Markdown tables of one part, or of all, and writes no files. ``--quick`` is every
part in its cheapest form, which says that it runs and nothing else.
"""

from __future__ import annotations

import argparse
import os
import time
from importlib.metadata import version

PARTS = ("quality", "training", "throughput")
SEEDS = {"quality": 60, "training": 10, "throughput": 7}


def main(arguments: list[str] | None = None) -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument(
        "--seeds",
        type=int,
        help="instances, trainings or repeats (defaults: 60, 10 and 7)",
    )
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    asked = parser.parse_args(arguments)
    unknown = set(asked.part) - set(PARTS)
    if unknown:
        parser.error(f"part should be of {PARTS}, got {sorted(unknown)}")
    if asked.seeds is not None and asked.seeds < 1:
        parser.error(f"--seeds should be at least 1, got {asked.seeds}")
    os.environ |= {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    from . import circuit_quality, circuit_throughput, circuit_training
    from ._measure import machine

    lines = {
        "quality": circuit_quality.lines,
        "training": circuit_training.lines,
        "throughput": circuit_throughput.lines,
    }
    for part in asked.part or PARTS:
        begun = time.perf_counter()
        for line in lines[part](asked.seeds or SEEDS[part], quick=asked.quick):
            print(line, flush=True)
        print(f"\n{part}: {time.perf_counter() - begun:.0f} s\n", flush=True)
    about = machine()
    names = ("qiskit", "qiskit-aer", "numpy")
    used = ", ".join(f"{name} {version(name)}" for name in names)
    print(f"{about['cores']} cores of {about['cpu']}, commit {about['commit']}; {used}")


if __name__ == "__main__":
    main()
