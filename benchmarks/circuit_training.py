"""How often training from shots alone succeeds, also on a noisy device."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

import qiskit_qep as qep

from .circuit_quality import table
from .success_rates import wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHOTS = 4000
STEPS = 60
NOISY_SHOTS = 4000
NOISY_STEPS = 30
DIAMOND = ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # inputs 0 and 1, readout 3
INTRODUCTION = f"""\
XOR, {STEPS} steps ({NOISY_STEPS} on noise) of adam(rate, b1=0.5), {SHOTS} shots per
state and setting ({NOISY_SHOTS} on noise). "Reached" is a measured mean loss below 0.1
with every sign right, at any step, "kept" after the last one; "exact" says of how
many the trained parameters have every sign right in the exact ground states, too.
"Diamond" is 4 spins: both inputs coupled to the readout and to a hidden spin, and those
two to each other. Ground states on a tree cannot solve XOR (they respond to every input
with one sign), so that a device without short loops needs SWAPs for it. "Torino" is the
noise of the best four qubits of FakeTorino, simulated, with readout mitigated; the
angles of its VQE are found on a noiseless simulator, or "by shots" of the noisy one
(20 steps)."""
HEADS = (
    "network",
    "states",
    "shots from",
    "two-qubit gates",
    "nudge",
    "rate",
    "reached",
    "95 %",
    "kept",
    "exact",
    "median step",
    "seconds per seed",
)


@dataclass(frozen=True)
class Task:
    """One row of the table.

    Attributes:
        edges: None couples all of 6 spins; otherwise of 4.
        states: How they are prepared.
        source: Where shots come from.
        equilibrium: Returns what settles.
        nudge: How hard, on which sides.
        rate: Of adam, with b1=0.5.
        steps: Of the training.
        most: Seeds at most; of measured energies, one takes many minutes.
    """

    edges: tuple[tuple[int, int], ...] | None
    states: str
    source: str
    equilibrium: Callable[[], Any]
    nudge: qep.Nudge
    rate: float = 0.02
    steps: int = STEPS
    most: int = 1000

    @property
    def model(self) -> qep.Model:
        """The network."""
        size = 4 if self.edges else 6
        return qep.models.transverse_field_ising(
            size, edges=self.edges, inputs=[0, 1], readout=[size - 1]
        )


@dataclass(frozen=True)
class Run:
    """What one seed gave.

    Attributes:
        first: The first successful step.
        kept: Whether the last step was one.
        exact: Whether the exact ground states solve the task at the end.
        seconds: Of the whole training.
    """

    first: int | None
    kept: bool
    exact: bool
    seconds: float


@cache
def torino() -> Any:
    """Return the best four qubits of a simulated device, with their noise."""
    from qiskit_ibm_runtime.fake_provider import FakeTorino

    whole = FakeTorino()
    return qep.cut_backend(whole, qep.best_qubits(whole, 4))


def noisy_sampler(seed: int) -> qep.Transpiled:
    """Return a sampler with the noise of these qubits."""
    return qep.Transpiled(qep.AerSampler(seed, torino()), torino(), seed=0)


def noisy() -> qep.Prepared:
    """Return a shallow circuit on the noisy device."""
    vqe = qep.Variational("exact", qep.Ramp(1, 1))
    return qep.Prepared(vqe, noisy_sampler, NOISY_SHOTS, mitigation="readout")


def measured() -> qep.Prepared:
    """Return the same circuit, its angles found by shots on the noisy device.

    One sweep over the angles for every phase, which begins where the last one ended.
    """
    from qiskit_algorithms.optimizers import NFT

    ansatz = qep.Ramp(1, 1)
    operators = qep.models.transverse_field_ising(4, edges=DIAMOND).operators
    sweep = NFT(maxfev=2 * ansatz.circuit(operators).num_parameters)
    vqe = qep.Variational("shots", ansatz, sweep)
    return qep.Prepared(vqe, noisy_sampler, NOISY_SHOTS, mitigation="readout")


WEAK, MEDIUM = qep.Nudge.centered(0.2), qep.Nudge.centered(0.3)
TASKS = (
    Task(
        None,
        "Ramp()",
        "Aer",
        lambda: qep.Prepared(qep.Ramp(), qep.AerSampler, SHOTS),
        WEAK,
    ),
    Task(
        None,
        "Ramp()",
        "Sampled",
        lambda: qep.Sampled(SHOTS, qep.Prepared(qep.Ramp())),
        WEAK,
    ),
    Task(DIAMOND, "Ramp()", "none (exact)", lambda: qep.Prepared(qep.Ramp()), MEDIUM),
    Task(
        DIAMOND,
        "Ramp(4, 8)",
        "none (exact)",
        lambda: qep.Prepared(qep.Ramp(4, 8)),
        MEDIUM,
    ),
    Task(DIAMOND, "VQE, Ramp(1, 1)", "Torino", noisy, MEDIUM, 0.05, NOISY_STEPS),
    Task(
        DIAMOND,
        "VQE by shots, Ramp(1, 1)",
        "Torino",
        measured,
        qep.Nudge.centered(0.5).normalized(),
        0.1,
        20,
        most=3,
    ),
)


def run(task: Task, seed: int, steps: int) -> Run:
    """Train once."""
    begun = time.perf_counter()
    x, y = qep.datasets.xor()
    first, good, theta = None, False, np.empty(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the table counts what goes wrong
        for state in qep.steps(
            task.model,
            x,
            y,
            equilibrium=task.equilibrium(),
            nudge=task.nudge,
            optimizer=qep.adam(task.rate, b1=0.5),
            seed=seed,
        ):
            right = bool((state.gradient.prediction * y > 0).all())
            good = right and state.loss < 0.1
            if good and first is None:
                first = state.step
            theta = state.theta
            if state.step == steps:
                break
        seconds = time.perf_counter() - begun
        exact = bool((qep.predict(task.model, theta, x) * y > 0).all())
    return Run(first, good, exact, seconds)


def gates(task: Task) -> str:
    """Return the number of two-qubit gates that run, or of rzz on a simulator."""
    settle = task.equilibrium()
    settle = getattr(settle, "equilibrium", settle)
    circuit = settle.circuit(task.model.operators)
    if settle.sampler is noisy_sampler:
        return f"{noisy_sampler(0).template(circuit).circuit.num_nonlocal_gates()} CZ"
    return f"{circuit.num_nonlocal_gates()} rzz"


def row(task: Task, runs: list[Run]) -> str:
    """Return one line of the table."""
    reached = [found.first for found in runs if found.first is not None]
    low, high = wilson(len(reached), len(runs))
    cells = (
        "diamond" if task.edges else "6 spins, complete",
        task.states,
        task.source,
        gates(task),
        f"{task.nudge}",
        f"{task.rate}",
        f"{len(reached)}/{len(runs)}",
        f"{low:.0f} to {high:.0f} %",
        f"{sum(found.kept for found in runs)}/{len(runs)}",
        f"{sum(found.exact for found in runs)}/{len(runs)}",
        f"{median(reached):.0f} ({min(reached)} to {max(reached)})" if reached else "-",
        f"{median(found.seconds for found in runs):.0f}",
    )
    return f"| {' | '.join(cells)} |"


def lines(seeds: int = 10, *, quick: bool = False) -> Iterator[str]:
    """Yield the report line by line.

    Args:
        seeds: Trainings of every row: seeds 0 to this, exclusive.
        quick: Whether to take one step of one seed of one row on Aer and one on noise.
    """
    yield "### Training from shots\n"
    yield INTRODUCTION + "\n"
    yield table(HEADS)
    for task in TASKS[::4] if quick else TASKS:
        steps, tries = (1, 1) if quick else (task.steps, min(seeds, task.most))
        runs = [run(task, seed, steps) for seed in range(tries)]
        yield row(task, runs)
