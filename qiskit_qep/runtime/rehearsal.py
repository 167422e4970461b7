"""Rehearsal: a sampler that counts what it is asked, and answers at random."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.primitives import BaseSamplerV2, BitArray, PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers.data_bin import DataBin
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.primitives.primitive_job import PrimitiveJob

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qiskit.primitives.containers import SamplerPubLike

ENOUGH = 100  # random shots: their number is counted, their values mean nothing


@dataclass(frozen=True, eq=False)
class Rehearsal(BaseSamplerV2):
    """A sampler that keeps what it is asked, and answers at random."""

    jobs: list[list[SamplerPub]] = field(default_factory=list)

    def run(
        self, pubs: Iterable[SamplerPubLike], *, shots: int | None = None
    ) -> PrimitiveJob[Any, Any]:
        """Keep the request; see ``BaseSamplerV2``."""
        asked = [SamplerPub.coerce(pub, shots) for pub in pubs]
        self.jobs.append(asked)
        job: PrimitiveJob[Any, Any] = PrimitiveJob(_answer, asked)
        job._submit()
        return job


def _answer(asked: Sequence[SamplerPub]) -> PrimitiveResult[Any]:
    """Answer with random bits: in 0 and 1 alike, but a calibration's nearly right."""
    rng = np.random.default_rng(0)
    parts = []
    for pub in asked:
        odds = 0.5 if pub.circuit.num_parameters else 0.02
        ones = pub.circuit.count_ops().get("x", 0) > 0
        shape = (*pub.shape, min(pub.shots, ENOUGH), pub.circuit.num_clbits)
        bits = (rng.random(shape) < odds) ^ (ones and odds < 0.5)
        made = BitArray.from_bool_array(bits, order="little")
        parts.append(SamplerPubResult(DataBin(meas=made, shape=pub.shape)))
    return PrimitiveResult(parts)
