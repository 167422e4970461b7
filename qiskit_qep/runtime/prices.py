"""What jobs are, and what they take, before any is submitted."""

from __future__ import annotations

import io
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from qiskit import qpy
from qiskit.primitives import BaseSamplerV2

from .costs import executions, request_seconds
from .transpiled import isa_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qiskit.primitives.containers.sampler_pub import SamplerPub


@dataclass(frozen=True)
class Price:
    """What some jobs are, and take.

    Attributes:
        jobs: How many.
        pubs: Of all of them.
        circuits: Bound circuits in all of them.
        shots: Of all circuits together.
        seconds: Estimated QPU time; 0 for simulators.
        payload: Bytes of the largest job, before compression.
    """

    jobs: int
    pubs: int
    circuits: int
    shots: int
    seconds: float
    payload: int

    def __repr__(self) -> str:
        """Show one line."""
        said = f"{self.jobs} jobs of {self.circuits} circuits and {self.shots} shots"
        return f"{said}, about {self.seconds:.3g} s of QPU" if self.seconds else said


def price(jobs: Sequence[tuple[Sequence[SamplerPub], int]], sampler: Any) -> Price:
    """Return what jobs of a ``Rehearsal`` would be and take on a sampler.

    Args:
        jobs: Each with the number of times that it is asked.
        sampler: As ``Prepared`` takes it.
    """
    runs = below_journal(sampler)
    isa = [(isa_of(runs, job), n) for job, n in jobs]
    return Price(
        jobs=sum(n for _, n in jobs),
        pubs=sum(n * len(job) for job, n in jobs),
        circuits=sum(n * prod(pub.shape) for job, n in jobs for pub in job),
        shots=sum(n * executions(job) for job, n in jobs),
        seconds=sum(n * request_seconds(runs, job) for job, n in isa),
        payload=max((sum(map(_payload, job)) for job, _ in isa), default=0),
    )


def below_journal(sampler: Any) -> Any:
    """Return the sampler below a journal, or the one that a function makes."""
    while True:
        if not isinstance(sampler, BaseSamplerV2):
            sampler = sampler(0)
        elif hasattr(sampler, "journal"):
            sampler = sampler.sampler
        else:
            return sampler


def _payload(pub: SamplerPub) -> int:
    """Return the bytes of a PUB: its circuit as QPY and its bindings."""
    file = io.BytesIO()
    qpy.dump(pub.circuit, file)
    return len(file.getvalue()) + int(8 * pub.circuit.num_parameters * prod(pub.shape))
