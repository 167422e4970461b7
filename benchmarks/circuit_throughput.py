"""How fast circuits are sampled, against the best hand-written use of Aer."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

import qiskit_qep as qep

from .circuit_quality import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qiskit import QuantumCircuit

SIZES = (4, 6, 8, 12)
RAMP = qep.Ramp(4, 12)
ROWS = 32  # in two settings each: 64 bindings
SHOTS = 1000
INTRODUCTION = f"""\
{ROWS} rows in 2 settings, {SHOTS} shots, all spins coupled, Ramp(4, 12). Ours:
`Prepared.measure` through AerSampler, shots reduced to expectation values and their
covariance; "SamplerV2": the same through Aer's own. Raw: AerSimulator().run of the same
circuit and angles, `parameter_binds` as lists and `runtime_parameter_bind_enable`, its
histograms left as they are. Taken in turn; medians and, in brackets, ranges."""
STEP = f"""\
The share of everything that is not Aer in a step of training: 8 spins, all coupled,
Ramp(), {SHOTS} shots, batch of 16. Aer is the time from its runs' calls to their
results."""


@dataclass
class Stopwatch:
    """Aer, and how long its runs took.

    Attributes:
        seconds: From every call to its result.
    """

    seconds: list[float] = field(default_factory=list)

    def run(self, *args: Any, **how: Any) -> Any:
        """Run to the end, and return the job."""
        begun = time.perf_counter()
        job = simulator().run(*args, **how)
        job.result()
        self.seconds.append(time.perf_counter() - begun)
        return job


@cache
def simulator() -> Any:
    """Return Aer as one would use it by hand."""
    from qiskit_aer import AerSimulator

    return AerSimulator()


def own_sampler(seed: int) -> Any:
    """Return Aer's own sampler, as fast as it goes."""
    from qiskit_aer.primitives import SamplerV2

    fast = {"backend_options": {"runtime_parameter_bind_enable": True}}
    return SamplerV2(seed=seed, options=fast)


def raw_job(
    circuit: QuantumCircuit, values: np.ndarray[Any, Any], shots: int
) -> Callable[[int], Any]:
    """Return what runs one PUB on Aer, without anything of ours or of primitives.

    Args:
        circuit: With free parameters.
        values: Of these, shape (..., num_parameters).
        shots: Per binding.
    """
    columns = values.reshape(-1, values.shape[-1]).T.tolist()
    binds = [dict(zip(circuit.parameters, columns, strict=True))]

    def call(seed: int) -> Any:
        job = simulator().run(
            circuit,
            parameter_binds=binds,
            shots=shots,
            runtime_parameter_bind_enable=True,
            seed_simulator=seed,
        )
        result = job.result()
        if not result.success:
            raise RuntimeError(f"Aer failed: {result.status}")
        return result

    return call


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def spread(numbers: Any, digits: str = ".0f") -> str:
    """Return the median and the range."""
    low, middle, high = np.quantile(numbers, [0.0, 0.5, 1.0])
    return f"{middle:{digits}} ({low:{digits}} to {high:{digits}})"


def in_turn(calls: Sequence[Callable[[int], Any]], repeats: int) -> Any:
    """Return seconds of all, shape (calls, repeats), after one call of each."""
    for call in calls:
        call(0)
    readings = [
        [seconds(partial(call, k)) for call in calls] for k in range(1, repeats + 1)
    ]
    return np.array(readings).T


def rates(size: int, repeats: int) -> str:
    """Return one line of the table of bindings per second."""
    rng = np.random.default_rng(size)
    model = qep.models.transverse_field_ising(size, readout=[size - 1])
    ours, theirs = (
        qep.Prepared(RAMP, sampler, shots=SHOTS)
        for sampler in (qep.AerSampler, own_sampler)
    )
    rows = rng.normal(0.0, 0.5, (ROWS, len(model.operators)))
    angles = RAMP.angles(model.operators, rows)
    circuit = ours.circuit(model.operators)
    _, values = qep.build_pub(circuit, model.operators, angles)

    def measure(settle: qep.Prepared, seed: int) -> Any:
        return settle.measure(model.operators, angles, [np.random.default_rng(seed)])

    times = in_turn(
        (
            partial(measure, ours),
            partial(measure, theirs),
            raw_job(circuit, values, SHOTS),
        ),
        repeats,
    )
    bindings = values.shape[0] * values.shape[1]
    cells = (
        *(spread(bindings / t) for t in times),
        spread(times[0] / times[2], ".2f"),
        spread(times[1] / times[2], ".2f"),
    )
    return f"| {size} | {' | '.join(cells)} |"


def step_share(repeats: int, *, size: int = 8, batch: int = 16) -> str:
    """Return the line of the table of a training step."""
    model = qep.models.transverse_field_ising(size, inputs=range(4), readout=[size - 1])
    corners = [[1.0 - 2.0 * (k >> q & 1) for q in range(4)] for k in range(batch)]
    x = np.array(corners)
    y = x.prod(axis=1, keepdims=True)
    watch = Stopwatch()
    settle = qep.Prepared(qep.Ramp(), lambda seed: qep.AerSampler(seed, watch), SHOTS)
    training = qep.steps(model, x, y, equilibrium=settle, seed=1)
    next(training)
    whole, alone = [], []
    for _ in range(repeats):
        watch.seconds.clear()
        whole.append(seconds(lambda: next(training)))
        alone.append(sum(watch.seconds))
    total, raw = np.array(whole), np.array(alone)
    cells = (
        str(len(watch.seconds)),
        spread(total, ".2f"),
        spread(raw, ".2f"),
        spread(100 * (total - raw) / total),
    )
    return f"| {' | '.join(cells)} |"


def lines(seeds: int = 7, *, quick: bool = False) -> Iterator[str]:
    """Yield the report line by line.

    Args:
        seeds: Readings of each.
        quick: Whether to take one reading of the smallest circuits only.
    """
    seeds = 1 if quick else seeds
    yield "### Bindings per second\n"
    yield INTRODUCTION + "\n"
    heads = ("spins", "ours", "SamplerV2", "raw", "time, ours / raw", "SamplerV2 / raw")
    yield table(heads)
    for size in SIZES[:1] if quick else SIZES:
        yield rates(size, seeds)
    yield f"\n### A whole step\n\n{STEP}\n"
    yield table(("jobs", "seconds", "seconds in Aer", "per cent outside"))
    yield step_share(seeds, size=5) if quick else step_share(seeds)
