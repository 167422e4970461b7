"""What a request costs, what has been spent, and where to stop."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from .seeds import innermost, layers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qiskit import QuantumCircuit
    from qiskit.primitives.containers.sampler_pub import SamplerPub

    from .journal import Entry

OVERHEAD = 2.0  # seconds of QPU per job, as IBM's guide to usage says
RESET = 250e-6  # seconds between shots, where the backend has no default of its own
LOCAL = ("qiskit_aer", "qiskit.primitives.statevector", "qiskit_ibm_runtime.fake")
LOCAL_BACKENDS = (*LOCAL, "qiskit.providers.", "qiskit_qep.")


class BudgetError(RuntimeError):
    """The next job would exceed a budget, or has none; everything before is saved."""


@dataclass(frozen=True)
class Spent:
    """What the jobs of a journal have cost, over all reruns.

    Attributes:
        jobs: That were submitted.
        qpu_seconds: As the service charged, or as estimated where it does not say yet.
        wall_time: Seconds that processes have worked.
    """

    jobs: int
    qpu_seconds: float
    wall_time: float


@dataclass(frozen=True)
class Budget:
    """Limits that no job may exceed; None is no limit.

    Raises:
        ValueError: If a limit is negative or no number.
    """

    max_jobs: int | None = None
    max_qpu_seconds: float | None = None
    max_wall_time: float | None = None

    def __post_init__(self) -> None:
        """Check the limits."""
        for name, limit in vars(self).items():
            if limit is not None and not limit >= 0:
                raise ValueError(f"{name} should be 0 or more, or None, got {limit}")

    def check(self, spent: Spent, seconds: float) -> None:
        """Refuse a job of so many QPU seconds, if it would exceed a limit.

        Raises:
            BudgetError: With what was spent, what the job needs and the limit.
        """
        for name, had, more in (
            ("max_jobs", spent.jobs, 1),
            ("max_qpu_seconds", spent.qpu_seconds, seconds),
            ("max_wall_time", spent.wall_time, 0.0),
        ):
            limit = getattr(self, name)
            if limit is not None and had + more > limit:
                raise BudgetError(
                    f"{name} is {limit:.6g}, {had:.6g} spent, and the next job needs "
                    f"{more:.3g} more; nothing was submitted and everything before it "
                    "is in the journal: raise the limit and run again"
                )

    def qpu_seconds_left(self, spent: Spent) -> float | None:
        """Return what is left of max_qpu_seconds, or None if there is no such limit."""
        if self.max_qpu_seconds is None:
            return None
        return self.max_qpu_seconds - spent.qpu_seconds

    def check_waiting(self, job: str, wall_time: float) -> None:
        """Stop waiting for a job when the wall time is over.

        Raises:
            BudgetError: With the job, which stays in the journal.
        """
        if self.max_wall_time is not None and wall_time > self.max_wall_time:
            raise BudgetError(
                f"max_wall_time is {self.max_wall_time:.6g}, {wall_time:.6g} spent, "
                f"and job {job} is still waiting; it is in the journal: raise the "
                "limit and run again to fetch it"
            )


def spent(entries: Sequence[Entry], wall_time: float) -> Spent:
    """Add up what the requests of a journal have cost."""
    paid = [e for e in entries if e.counts]
    seconds = (e.estimate if e.seconds is None else e.seconds for e in paid)
    return Spent(len(paid), float(sum(seconds)), wall_time)


def recalibrated(entries: Sequence[Entry], estimate: float) -> float:
    """Return an estimate times what earlier jobs cost for each second estimated."""
    known = [e for e in entries if e.seconds is not None and e.estimate > 0]
    actual = sum(e.seconds for e in known if e.seconds is not None)
    ratio = actual / sum(e.estimate for e in known) if actual else 1.0
    return float(estimate * ratio)


def executions(pubs: Iterable[SamplerPub]) -> int:
    """Count circuits times shots."""
    return sum(prod(pub.shape) * pub.shots for pub in pubs)


def request_seconds(sampler: Any, isa: Sequence[SamplerPub]) -> float:
    r"""Estimate the QPU seconds of one job.

    .. math:: t = t_0 + \sum_c n_c (d_c + r)

    with t_0 = 2 s, n_c executions of circuit c, its duration d_c, and r from one shot
    to the next: the backend's default, or 250 us. Nothing for simulators.

    Args:
        sampler: What runs it.
        isa: PUBs for the device.
    """
    if is_local(sampler):
        return 0.0
    device = device_of(sampler)
    pause = getattr(device, "default_rep_delay", None) or RESET
    shots = (
        prod(pub.shape) * pub.shots * (circuit_seconds(pub.circuit, device) + pause)
        for pub in isa
    )
    return float(OVERHEAD + sum(shots))


def circuit_seconds(circuit: QuantumCircuit, device: Any) -> float:
    """Return the duration of a circuit on a device, or 0 where it says too little."""
    target = getattr(device, "target", None)
    if target is None:
        return 0.0
    from qiskit.exceptions import QiskitError

    try:
        return float(circuit.estimate_duration(target))
    except QiskitError:  # an instruction without a duration
        return 0.0


def device_of(sampler: Any) -> Any:
    """Return the backend that a sampler, or one that it wraps, runs on, or None."""
    for layer in layers(sampler):
        for name in ("backend", "_backend"):
            found = getattr(layer, name, None)
            found = found() if callable(found) else found
            if found is not None and hasattr(found, "name"):
                return found
    return None


def backend_name(sampler: Any) -> str:
    """Return the name of a sampler's backend, or what draws the shots without one."""
    name = getattr(device_of(sampler), "name", None)
    return str(name) if name else type(innermost(sampler)).__name__


def is_hardware(sampler: Any) -> bool:
    """Say whether jobs run on a backend that may charge for them."""
    from qiskit.providers import BackendV2

    own = device_of(innermost(sampler))  # a simulator may be transpiled for a device
    return isinstance(own, BackendV2) and not is_local(sampler)


def warn_of_hardware(sampler: Any) -> None:
    """Warn of jobs that may be charged for, without a journal or a limit."""
    if is_hardware(sampler) and not any(hasattr(s, "journal") for s in layers(sampler)):
        warnings.warn(
            f"jobs on {backend_name(sampler)} would be neither limited nor found again "
            "after a crash; wrap the sampler: qep.Resumable(sampler, journal=..., "
            "service=..., max_qpu_seconds=...)",
            stacklevel=4,
        )


def is_local(sampler: Any) -> bool:
    """Say whether shots come from this process, so that a lost job costs nothing."""
    inner = innermost(sampler)
    if type(inner).__module__.startswith(LOCAL):
        return True
    service = getattr(inner, "_service", None)
    if getattr(service, "is_local", False):
        return True
    backend = getattr(inner, "_backend", None) or getattr(inner, "backend", None)
    return type(backend).__module__.startswith(LOCAL_BACKENDS)
