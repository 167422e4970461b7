"""Plan: what a training will ask of a device, before anything is submitted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ._loss import Loss, squared_error
from ._measure import measure
from ._model import pauli_terms
from ._nudge import Nudge
from .equilibria.exact import Exact
from .equilibria.prepared import Prepared
from .runtime.costs import OVERHEAD, RESET, backend_name, is_local
from .runtime.groups import measurement_settings
from .runtime.prices import below_journal, price
from .runtime.rehearsal import Rehearsal
from .runtime.transpiled import transpiling

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from qiskit.primitives.containers.sampler_pub import SamplerPub

    from ._equilibrium import Equilibrium
    from ._model import Model

LOW, HIGH = 1.0, 3.0 * OVERHEAD  # seconds of QPU per job beside the shots
SLOWER = 1.2  # repetitions, at worst


@dataclass(frozen=True)
class Plan:
    """What a training costs.

    Attributes:
        steps: Updates; the start is measured, too.
        backend: Where.
        jobs: In all, as everything below unless it says otherwise.
        pubs: Of all jobs.
        circuits: Bound circuits of all PUBs: rows times settings, and calibrations.
        shots: Executions: every circuit times its shots.
        settings: Measurement settings of one row.
        depth: Of the circuit as the device runs it.
        two_qubit_gates: Of the same circuit.
        seconds: QPU seconds: low, likely, high.
        seconds_per_step: The same of one full step.
        payload: Bytes of the largest job, before compression.
        assumptions: Behind the seconds, in words.
    """

    steps: int
    backend: str
    jobs: int = 0
    pubs: int = 0
    circuits: int = 0
    shots: int = 0
    settings: int = 0
    depth: int = 0
    two_qubit_gates: int = 0
    seconds: tuple[float, float, float] = (0.0, 0.0, 0.0)
    seconds_per_step: tuple[float, float, float] = (0.0, 0.0, 0.0)
    payload: int = 0
    assumptions: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show a table, and the assumptions below it."""
        rows = {
            "steps": f"{self.steps} updates, {self.steps + 1} measured",
            "jobs": f"{self.jobs} with {self.pubs} PUBs",
            "circuits": f"{self.circuits} ({self.settings} settings a row)",
            "shots": f"{self.shots}",
            "circuit": f"depth {self.depth}, {self.two_qubit_gates} two-qubit gates",
            "QPU per step": _interval(self.seconds_per_step),
            "QPU in all": _interval(self.seconds),
            "largest job": f"{self.payload / 1e3:.0f} kB",
        }
        lines = [f"  {name:<14}{value}" for name, value in rows.items()]
        notes = [f"  - {text}" for text in self.assumptions]
        return "\n".join([f"Plan for {self.backend}", *lines, *notes])


def plan(
    model: Model,
    x: ArrayLike,
    *,
    equilibrium: Equilibrium | None = None,
    nudge: Nudge | None = None,
    loss: Loss = squared_error,
    batch_size: int | None = None,
    steps: int = 1,
) -> Plan:
    r"""Count what ``train`` would submit, by a step whose answers are drawn at random.

    .. math:: t = \sum_{\text{jobs}} \Big( t_0 + \sum_c n_c (d_c + r) \Big)

    with overhead t_0, n_c executions of circuit c, its duration d_c, and r from shot to
    shot. Nothing is submitted. The counts are exact for a ``Ramp``; a ``Variational``
    asks as often as its optimiser likes, which with other answers may be another
    number. Seconds in a session are those of the clock: these are a lower bound there.

    Args:
        model: Operators with roles.
        x: All inputs, shape (num_samples, num_inputs).
        equilibrium: As for ``train``; whatever has no sampler costs nothing.
        nudge: The stencil; by default ``Nudge.centered(0.1)``.
        loss: The cost of a prediction.
        batch_size: Samples per step; all of them by default.
        steps: Updates; the start is measured before the first, as ``train`` does.

    Returns:
        The plan; print it.

    Raises:
        ValueError: If steps or batch_size is out of range.
        TypeError: If the equilibrium wraps one that submits jobs.

    Example:
        >>> import qiskit_qep as qep
        >>> from qiskit.primitives import StatevectorSampler
        >>> model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
        >>> ramp = qep.Prepared(qep.Ramp(time=4, steps=8), StatevectorSampler())
        >>> qep.plan(model, [[0.5], [1.0]], equilibrium=ramp, steps=10).jobs
        22
        >>> qep.plan(model, [[0.5], [1.0]], steps=10).jobs
        0
    """
    if steps < 0:
        raise ValueError(f"steps should be 0 or more, got {steps}")
    x = np.atleast_2d(np.asarray(x, dtype=np.float64))
    size = len(x) if batch_size is None else batch_size
    if not 1 <= size <= len(x):
        raise ValueError(f"batch_size should be 1 to {len(x)}, got {batch_size}")
    settle = Exact() if equilibrium is None else equilibrium
    if not isinstance(settle, Prepared) or settle.sampler is None:
        _refuse_wrapped(settle)
        return Plan(steps, type(settle).__name__, assumptions=("no sampler, no cost",))
    how = {"nudge": Nudge.centered(0.1) if nudge is None else nudge, "loss": loss}
    batches = -(-len(x) // size)
    last = len(x) - (batches - 1) * size
    times = Counter(
        last if t % batches == batches - 1 else size for t in range(steps + 1)
    )
    sampler = below_journal(settle.sampler)
    prices = {
        rows: price([(job, 1) for job in _step(model, x[:rows], settle, how)], sampler)
        for rows in {*times, size}
    }

    def total(name: str) -> Any:
        return sum(times[rows] * getattr(prices[rows], name) for rows in times)

    circuit = settle.circuit(model.operators)
    device, local = transpiling(sampler), is_local(sampler)
    isa = circuit if device is None else device.template(circuit).circuit
    return Plan(
        steps,
        backend_name(sampler),
        **{name: total(name) for name in ("jobs", "pubs", "circuits", "shots")},
        settings=len(measurement_settings(pauli_terms(model.operators))),
        depth=isa.depth(),
        two_qubit_gates=isa.num_nonlocal_gates(),
        seconds=_range(total("jobs"), total("seconds"), local),
        seconds_per_step=_range(prices[size].jobs, prices[size].seconds, local),
        payload=max(each.payload for each in prices.values()),
        assumptions=_assumptions(sampler, settle),
    )


def rehearsed(settle: Prepared) -> tuple[Prepared, Rehearsal]:
    """Return circuits whose sampler keeps what it is asked, and that sampler."""
    rehearsal = Rehearsal()
    # "full" has the circuits of "readout", and needs a runtime's options.
    mitigation: Any = "none" if settle.mitigation == "none" else "readout"
    return replace(settle, sampler=rehearsal, mitigation=mitigation), rehearsal


def _step(
    model: Model, x: NDArray[np.float64], settle: Prepared, how: dict[str, Any]
) -> list[list[SamplerPub]]:
    """Return the jobs of one step with these rows."""
    stand_in, rehearsal = rehearsed(settle)
    theta = model.initial(np.random.default_rng(0))
    try:
        y = how["loss"].targets(model, np.zeros((len(x), model.num_readout)), len(x))
    except ValueError:  # classes
        y = np.zeros(len(x), int)
    measure(model, theta, x, y, equilibrium=stand_in, seed=0, **how)
    return rehearsal.jobs


def _range(jobs: int, likely: float, local: bool) -> tuple[float, float, float]:
    """Return low, likely and high seconds of QPU of jobs with likely ones."""
    if local:
        return 0.0, 0.0, 0.0
    shots = likely - OVERHEAD * jobs
    return shots + LOW * jobs, likely, SLOWER * shots + HIGH * jobs


def _refuse_wrapped(settle: Any) -> None:
    inner = getattr(settle, "equilibrium", None)
    while inner is not None:
        if isinstance(inner, Prepared) and inner.sampler is not None:
            raise TypeError(
                f"{type(settle).__name__} splits what {type(inner).__name__} submits "
                "into jobs of its own, which cannot be counted beforehand; plan the "
                "equilibrium inside it"
            )
        inner = getattr(inner, "equilibrium", None)


def _assumptions(sampler: Any, settle: Prepared) -> tuple[str, ...]:
    if is_local(sampler):
        return ("a simulator in this process: no QPU",)
    said = [
        f"overhead of a job {LOW:g} s, {OVERHEAD:g} s, {HIGH:g} s (low, likely, high)",
        f"from shot to shot: the circuit's duration, and {RESET * 1e6:g} us unless the "
        f"backend has a default of its own; high: {SLOWER:g} times as long",
        "a session is charged by the clock, waiting included",
    ]
    if settle.mitigation != "none":
        said.append("mitigation: two calibration circuits in every job")
    if settle.mitigation == "full":
        said.append("twirling rounds shots up: not counted")
    return tuple(said)


def _interval(seconds: tuple[float, float, float]) -> str:
    low, likely, high = seconds
    return f"{likely:.3g} s ({low:.3g} to {high:.3g})"
