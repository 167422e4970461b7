"""Chaos: a sampler and service that fail as real ones do, to test what must survive."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.primitives import BaseSamplerV2, BitArray, PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers.data_bin import DataBin
from qiskit.primitives.containers.sampler_pub import SamplerPub

from ..runtime.fingerprints import request_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from qiskit.primitives.containers import SamplerPubLike

REFUSALS = {"authentication": 401, "quota": 429, "session": 409}
SUBMITTING = (*REFUSALS, "lost", "duplicate")
READING = ("delay", "reorder", "truncated", "nan", "shots", "mock")
FAULTS = SUBMITTING + READING


class RefusalError(Exception):
    """What a service answers to a request that it does not take, with its status."""

    def __init__(self, message: str, status_code: int) -> None:
        Exception.__init__(self, message)
        self.status_code = status_code


@dataclass(eq=False)
class Chaos(BaseSamplerV2):
    """Another sampler's answers, with the faults of a service in between.

    It is its own service: ``job`` and ``jobs`` find what was submitted, also after the
    sampler that wrapped it is gone. Faults of submitting: "authentication", "quota" and
    "session" (closed) refuse; "lost" takes the job, and loses the connection before
    saying so; "duplicate" takes it twice. Faults of reading, for as many reads as
    ``reads`` says: "delay" (no connection, and not yet listed), "reorder" (another
    job's handle), "truncated" rows, "nan", half the "shots", and the "mock" backend of
    a rehearsal.

    Attributes:
        simulator: What answers, or a function from the request's seed to it.
        faults: Names of faults by the number of the submission, from 0.
        reads: How many reads of a job a fault of reading lasts.
        name: Of the backend that it plays.
        taken: The jobs that it took, by identifier: what a user would pay for.
        attempts: How often something was submitted.

    Raises:
        ValueError: If there is no such fault.

    Example:
        >>> import qiskit_qep as qep
        >>> from qiskit.primitives import StatevectorSampler
        >>> chaos = qep.testing.Chaos(StatevectorSampler(), {0: ["lost"]})
        >>> try:
        ...     chaos.run([qep.calibration_circuits(2)[1]], shots=10)
        ... except ConnectionError as error:
        ...     print(error, list(chaos.taken))
        connection lost ['chaos-0']
    """

    simulator: BaseSamplerV2 | Callable[[int], BaseSamplerV2]
    faults: Mapping[int, Sequence[str]] = field(default_factory=dict)
    reads: int = 1
    name: str = "chaos"
    taken: dict[str, ChaosJob] = field(default_factory=dict, init=False)
    attempts: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Check the faults, and take options as the runtime's samplers do."""
        wrong = sorted({f for fs in self.faults.values() for f in fs} - set(FAULTS))
        if wrong:
            raise ValueError(f"faults should be some of {FAULTS}, got {wrong}")
        self.backend = SimpleNamespace(name=self.name)
        self.options = SimpleNamespace(environment=SimpleNamespace(job_tags=[]))

    def run(
        self, pubs: Iterable[SamplerPubLike], *, shots: int | None = None
    ) -> ChaosJob:
        """Take a job, or fail as planned; see ``BaseSamplerV2``.

        Raises:
            RefusalError: If it refuses.
            ConnectionError: If the answer to the submission is lost.
        """
        faults = self.faults.get(self.attempts, ())
        self.attempts += 1
        for fault in faults:
            if fault in REFUSALS:
                raise RefusalError(f"{fault} expired or closed", REFUSALS[fault])
        asked = [SamplerPub.coerce(pub, shots) for pub in pubs]
        answer = self._sampler(asked).run(asked, shots=shots).result()
        for _ in range(1 + ("duplicate" in faults)):
            name = f"{self.name}-{len(self.taken)}"
            tags = list(self.options.environment.job_tags)
            reading = {f: self.reads for f in faults if f in READING}
            self.taken[name] = ChaosJob(self, name, tags, answer, reading)
        if "lost" in faults:
            raise ConnectionError("connection lost")
        return self.taken[name]

    def job(self, job_id: str) -> ChaosJob:
        """Return a job by its identifier, or with "reorder" another one."""
        job = self.taken[job_id]
        if job.suffers("reorder"):
            return next((j for j in self.taken.values() if j is not job), job)
        return job

    def jobs(
        self, *, job_tags: Sequence[str], limit: int | None = 10
    ) -> list[ChaosJob]:
        """Return the jobs that have all these tags, the last first."""
        found = [j for j in self.taken.values() if set(job_tags) <= set(j.tags)]
        return [j for j in found if not j.suffers("delay")][::-1][:limit]

    def _sampler(self, asked: Sequence[SamplerPub]) -> BaseSamplerV2:
        if isinstance(self.simulator, BaseSamplerV2):
            return self.simulator
        seed = request_seed(asked)
        return self.simulator(0 if seed is None else seed)


@dataclass(eq=False)
class ChaosJob:
    """A job of ``Chaos``.

    Attributes:
        service: Where it runs.
        name: Its identifier.
        tags: As they were when it was submitted.
        answer: What it returns when nothing fails.
        left: Of every fault of reading, how often it still happens.
    """

    service: Chaos
    name: str
    tags: list[str]
    answer: PrimitiveResult[Any]
    left: dict[str, int]

    def suffers(self, fault: str) -> bool:
        """Whether this fault happens now; every time makes it one less."""
        if self.left.get(fault, 0) <= 0:
            return False
        self.left[fault] -= 1
        return True

    def job_id(self) -> str:
        """Return the identifier."""
        return self.name

    def status(self) -> str:
        """Return "DONE": what fails is the connection."""
        if self.suffers("delay"):
            raise ConnectionError("no route to the service")
        return "DONE"

    def backend(self) -> Any:
        """Return the backend, or with "mock" that of a rehearsal."""
        name = f"mock_{self.service.name}" if self.suffers("mock") else None
        return self.service.backend if name is None else SimpleNamespace(name=name)

    def usage(self) -> float:
        """Return the seconds charged: one."""
        return 1.0

    def cancel(self) -> None:
        """Do nothing: it is done."""

    def result(self) -> PrimitiveResult[Any]:
        """Return the answer, or what a fault makes of it."""
        for fault, change in CHANGES.items():
            if self.suffers(fault):
                return PrimitiveResult([_changed(p, change) for p in self.answer])
        return self.answer


def _changed(part: Any, change: Callable[[BitArray], Any]) -> SamplerPubResult:
    data = {name: change(bits) for name, bits in part.data.items()}
    return SamplerPubResult(DataBin(**data))


def _truncated(bits: BitArray) -> BitArray:
    """Leave out the last row, or of a single one the last shot."""
    return BitArray(bits.array[:-1], bits.num_bits)


def _not_finite(bits: BitArray) -> Any:
    return np.where(bits.array == 0, np.nan, bits.array)


def _half(bits: BitArray) -> BitArray:
    return BitArray(bits.array[..., : bits.num_shots // 2, :], bits.num_bits)


CHANGES: dict[str, Callable[[BitArray], Any]] = {
    "truncated": _truncated,
    "nan": _not_finite,
    "shots": _half,
}
