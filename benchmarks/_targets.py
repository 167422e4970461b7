"""Every case, with its goal and its limit, and those that only draw a curve."""

from __future__ import annotations

import os
from functools import partial

from . import gradients, ground_states, kernels, processes, wire
from ._cases import Case

PER_STATE = ", per state of a batch of 64"


def _ground(
    n: int, goal: float | None = None, limit: float | None = None, batch: int = 1
) -> Case:
    """A ground state alone, or each of a batch."""
    return Case(
        f"ground-{n}" + (f"-x{batch}" if batch > 1 else ""),
        f"ground state, N = {n}" + (PER_STATE if batch > 1 else ""),
        partial(ground_states.ground_state, n, batch),
        goal,
        limit,
        scope="quick" if n <= 8 else "full",
    )


def _centered(
    n: int, batch: int, goal: float | None = None, limit: float | None = None
) -> Case:
    """A centred gradient."""
    per = f", per row of a batch of {batch}" if batch > 1 else ""
    return Case(
        f"centered-{n}" + (f"-x{batch}" if batch > 1 else ""),
        f"centred gradient, N = {n}{per}",
        partial(gradients.centered, n, batch),
        goal,
        limit,
        scope="quick" if n <= 8 else "full",
    )


def _response(n: int, goal: float, limit: float) -> Case:
    """An exact-response gradient."""
    title = f"exact-response gradient, N = {n}"
    run = partial(gradients.response, n)
    return Case(f"response-{n}", title, run, goal, limit)


def _batch(n: int, goal: float, limit: float) -> Case:
    """An exact gradient of 16 rows."""
    title = f"exact gradient of a batch of 16, N = {n}"
    return Case(f"batch-{n}", title, partial(gradients.mini_batch, n, 16), goal, limit)


def _parameters(edges: int, goal: float | None = None) -> Case:
    """The gradient of so many couplings and 20 fields, by 2 states or by 2 M."""
    return Case(
        f"parameters-{20 + edges}",
        f"gradient against differences over all parameters, N = 10, M = {20 + edges}",
        partial(gradients.finite_differences, 10, edges),
        goal,
        0.10 if goal else None,
        seeds=100 if goal else 2,
    )


def _memory(n: int, goal: float | None = None) -> Case:
    """The peak of resident memory."""
    return Case(
        f"memory-{n}",
        f"peak memory, N = {n}",
        partial(processes.peak_memory, n),
        goal,
        0.20 if goal else None,
        unit="B",
        seeds=1,
    )


CORES = os.cpu_count() or 1

TARGETS = (
    _ground(8, 0.04, 0.15),
    _ground(8, 0.04, 0.15, batch=64),
    _ground(12, 0.07, 0.25, batch=64),
    _ground(16, 0.10, 0.30),
    _ground(20, 0.07, 0.20),
    _centered(8, 1, 0.05, 0.15),
    _centered(8, 64, 0.05, 0.15),
    _centered(12, 64, 0.07, 0.25),
    _centered(16, 1, 0.08, 0.25),
    _response(10, 0.05, 0.20),
    _response(14, 0.08, 0.20),
    _batch(8, 0.03, 0.20),
    _batch(12, 0.07, 0.20),
    Case(
        "sensor",
        "centred gradient of the complex 51-parameter sensor, N = 10, per row of 10",
        gradients.sensor,
        0.10,
        0.25,
    ),
    _parameters(45, 0.03),
    Case(
        "correlations-16",
        "all ZZ and Z, N = 16",
        partial(kernels.correlations, 16),
        0.01,
        0.05,
        scope="quick",
    ),
    *(
        Case(
            f"shots-20-{letter.lower()}",
            f"10,000 shots of 20 spins in {letter}, with their covariance",
            partial(kernels.shots, 20, letter),
            3e-3,
            3e-3,
            "value",
        )
        for letter in "ZX"
    ),
    _memory(22, 0.12),
    Case(
        "gradient-24",
        "peak memory of a centred gradient, N = 24",
        partial(processes.large_gradient, 24),
        2.0,
        2.0,
        "value",
        "GiB",
        seeds=1,
        scope="large",
    ),
    Case(
        "matvec-24",
        "H v, N = 24, against two passes over memory",
        partial(kernels.matvec, 24),
        1.5,
        2.5,
    ),
    Case(
        "training",
        f"published sensor training, 5000 batches ({processes.TIMED} timed)",
        processes.sensor_training,
        3.0,
        10.0,
        "value",
        "min",
        seeds=1,
    ),
    Case(
        "workers-14",
        f"{CORES} workers against one, batch of 64, N = 14",
        partial(processes.workers, 14, 64, CORES),
        1.8,
        1.6,
        "speedup",
    ),
    Case(
        "import",
        "import what a training needs of qiskit_qep, against import qiskit",
        processes.imports,
        1.15,
        1.3,
        scope="quick",
    ),
)

CURVES = (
    *(_ground(n) for n in (4, 6, 10, 12, 14, 18)),
    *(_centered(n, 1) for n in (4, 6, 10, 12, 14)),
    *(_centered(10, b) for b in (4, 16, 64, 256)),
    *(_parameters(edges) for edges in (0, 11, 22, 33)),
    *(_memory(n) for n in (16, 18, 20)),
    Case("task", "an empty task", processes.task_overhead, measure="value", seeds=1),
    *(
        Case(
            f"sent-{n}",
            f"bytes sent and received per sample of a centred gradient, N = {n}",
            partial(wire.bytes_per_sample, n),
            measure="value",
            unit="B",
            seeds=1,
        )
        for n in (10, 14, 16)
    ),
    *(
        Case(
            f"roofline-{n}",
            f"bytes per second of H v, N = {n}",
            partial(kernels.roofline, n),
            measure="value",
            unit="B/s",
            seeds=1,
        )
        for n in range(8, 25, 2)
    ),
)

CASES = (*TARGETS, *CURVES)
