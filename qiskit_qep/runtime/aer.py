"""AerSampler: Qiskit Aer's simulators, driven as fast as they go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.primitives import BaseSamplerV2, BitArray, PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers.data_bin import DataBin
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.primitives.primitive_job import PrimitiveJob

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qiskit import QuantumCircuit
    from qiskit.primitives.containers import SamplerPubLike

SHOTS = 1024  # where neither a PUB nor a call says how many


@dataclass(frozen=True, eq=False)
class AerSampler(BaseSamplerV2):
    """Shots of a simulator of Qiskit Aer.

    The same shots as those of Aer's own ``SamplerV2`` with the same seed, in another
    order: histograms are read, not a list of strings, one for every shot, and bound
    angles are given in the form that Aer takes fastest. ``benchmarks.circuits`` has
    both times. The order is drawn, so that any part of the shots is a fair sample.

    ``Prepared(ramp, AerSampler)`` draws fresh noise for every job, the same in every
    run; with a noise model, it is ``lambda seed: AerSampler(seed, simulator)``.

    Attributes:
        seed: Of all shots of a job; None draws one for every job.
        backend: An ``AerSimulator`` with the noise, method or device of your choice, or
            what ``cut_backend`` returned. By default an ``AerSimulator()``.

    Raises:
        TypeError: If the backend cannot run.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
        >>> shots = qep.Prepared(qep.Ramp(time=4, steps=8), qep.AerSampler)
        >>> p = qep.predict(model, np.ones(5), [[1.0]], equilibrium=shots, seed=1)
        >>> bool(abs(p - qep.predict(model, np.ones(5), [[1.0]])) < 0.1)
        True
    """

    seed: int | None = None
    backend: Any = None

    def __post_init__(self) -> None:
        """Make the backend, if there is none."""
        if self.backend is None:
            from qiskit_aer import AerSimulator

            object.__setattr__(self, "backend", AerSimulator())
        if not hasattr(self.backend, "run"):
            raise TypeError(f"backend should be an AerSimulator, got {self.backend!r}")

    def run(
        self, pubs: Iterable[SamplerPubLike], *, shots: int | None = None
    ) -> PrimitiveJob[Any, Any]:
        """Simulate; see ``BaseSamplerV2``."""
        asked = [SamplerPub.coerce(pub, shots or SHOTS) for pub in pubs]
        for pub in asked:
            if not pub.circuit.cregs:
                raise ValueError(
                    "the circuit should have classical bits to be sampled; add "
                    "measure_all()"
                )
        job: PrimitiveJob[Any, Any] = PrimitiveJob(self._answer, asked)
        job._submit()
        return job

    def _answer(self, asked: Sequence[SamplerPub]) -> PrimitiveResult[Any]:
        rng = np.random.default_rng(self.seed)
        answers: dict[int, SamplerPubResult] = {}
        for group, shots in enumerate(dict.fromkeys(pub.shots for pub in asked)):
            alike = {k: pub for k, pub in enumerate(asked) if pub.shots == shots}
            circuits, binds = zip(
                *(request for pub in alike.values() for request in _requests(pub)),
                strict=True,
            )
            result = self.backend.run(
                list(circuits),
                parameter_binds=list(binds),
                shots=shots,
                seed_simulator=None if self.seed is None else self.seed + group,
                runtime_parameter_bind_enable=True,
            ).result()
            if not result.success:
                wrong = next(e for e in result.results if not e.success)
                raise RuntimeError(f"Aer failed: {wrong.status}")
            found = iter(result.results)
            for k, pub in alike.items():
                counts = [
                    getattr(next(found).data, "counts", {"0x0": shots})
                    for _ in range(pub.size)
                ]
                answers[k] = _read(pub, counts, rng)
        return PrimitiveResult([answers[k] for k in range(len(asked))])


def _requests(pub: SamplerPub) -> list[tuple[QuantumCircuit, dict[Any, list[float]]]]:
    """Return circuits and what their parameters are bound to.

    Aer takes numbers from lists sooner than from arrays.
    """
    parameters = pub.circuit.parameters
    if not parameters:
        return [(pub.circuit, {})] * pub.size
    values = pub.parameter_values.as_array(parameters).reshape(-1, len(parameters))
    return [(pub.circuit, dict(zip(parameters, values.T.tolist(), strict=True)))]


def _read(
    pub: SamplerPub, counts: Sequence[dict[str, int]], rng: np.random.Generator
) -> SamplerPubResult:
    """Return histograms as shots in random order."""
    num_bits = pub.circuit.num_clbits
    width = (num_bits + 7) // 8
    array = np.empty((pub.size, pub.shots, width), np.uint8)
    for shots, histogram in zip(array, counts, strict=True):
        packed = b"".join(int(key, 16).to_bytes(width, "big") for key in histogram)
        outcomes = np.frombuffer(packed, np.uint8).reshape(-1, width)
        times = list(histogram.values())
        shots[rng.permutation(pub.shots)] = np.repeat(outcomes, times, axis=0)
    bits = BitArray(array.reshape(*pub.shape, pub.shots, width), num_bits)
    places = {
        register.name: [pub.circuit.find_bit(bit).index for bit in register]
        for register in pub.circuit.cregs
    }
    if len(places) == 1:
        data = dict.fromkeys(places, bits)
    else:
        data = {name: bits.slice_bits(where) for name, where in places.items()}
    return SamplerPubResult(
        DataBin(**data, shape=pub.shape), metadata={"shots": pub.shots}
    )
