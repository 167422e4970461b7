"""Transpiled: any sampler, asked only for what its device can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, finalize

from qiskit.primitives import BaseSamplerV2
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.sampler_pub import SamplerPub

from .seeds import layers
from .templates import Template, make_template, measured_qubits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qiskit import QuantumCircuit
    from qiskit.primitives import PrimitiveResult
    from qiskit.primitives.base.base_primitive_job import BasePrimitiveJob
    from qiskit.primitives.containers import SamplerPubLike
    from qiskit.providers import BackendV2

# Of every backend, what was transpiled for it: samplers that are made anew for every
# seed share it. Entries go with the circuit or the backend, whichever goes first.
_known: WeakKeyDictionary[BackendV2, dict[tuple[Any, ...], Template]] = (
    WeakKeyDictionary()
)

# The metadata by which a circuit asks to be measured on the qubits of another PUB.
QUBITS_OF_PUB = "qubits_of_pub"


@dataclass(frozen=True, eq=False)
class Transpiled(BaseSamplerV2):
    r"""A sampler that takes any circuit: what it passes on, a device can run.

    Every circuit is transpiled once, with its parameters free, for all bindings of all
    jobs, also by other ``Transpiled`` for the same backend. Where the device's rzz is
    fractional, with angles from 0 to pi / 2 only, all others are folded into that range
    exactly. Instructions, qubits and angles are checked before anything is submitted,
    because the runtime's samplers do not. Simulators with reproducible shots are given
    as ``lambda seed: qep.Transpiled(SamplerV2(seed=seed), backend)``.

    Attributes:
        sampler: Runs what was transpiled: the runtime's ``SamplerV2(mode=backend)``,
            ``BackendSamplerV2(backend=backend)`` for any vendor's backend, or Aer's.
        backend: Any ``BackendV2``.
        level: Optimisation level of the preset pass manager, 0 to 3.
        seed: Of the transpiler, not of the shots.
        qubits: Which qubit of the device stands for each qubit of the circuits, such as
            ``best_qubits`` returns; None leaves it to the transpiler.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> from qiskit.primitives import BackendSamplerV2
        >>> from qiskit_aer import AerSimulator
        >>> backend = AerSimulator(basis_gates=["cz", "rz", "sx"])
        >>> device = qep.Transpiled(BackendSamplerV2(backend=backend), backend)
        >>> shots = qep.Prepared(qep.Ramp(time=4, steps=8), device)
        >>> model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
        >>> p = qep.predict(model, np.ones(5), [[1.0]], equilibrium=shots)
        >>> bool(abs(p - qep.predict(model, np.ones(5), [[1.0]])) < 0.2)
        True
    """

    sampler: BaseSamplerV2
    backend: BackendV2
    level: int = field(default=2, kw_only=True)
    seed: int | None = field(default=None, kw_only=True)
    qubits: Sequence[int] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Check the arguments."""
        if not isinstance(self.sampler, BaseSamplerV2):
            raise TypeError(f"sampler should be a BaseSamplerV2, got {self.sampler!r}")
        if self.level not in range(4):
            raise ValueError(f"level should be 0, 1, 2 or 3, got {self.level}")
        if self.qubits is not None:
            qubits, size = tuple(map(int, self.qubits)), self.backend.num_qubits
            outside = [q for q in qubits if not 0 <= q < size]
            if outside or len(set(qubits)) < len(qubits):
                raise ValueError(
                    f"qubits should be distinct numbers from 0 to {size - 1}, the "
                    f"qubits of {self.backend.name}, got {qubits}"
                )
            object.__setattr__(self, "qubits", qubits)

    def run(
        self, pubs: Iterable[SamplerPubLike], *, shots: int | None = None
    ) -> BasePrimitiveJob[PrimitiveResult[Any], Any]:
        """Transpile, check and submit; see ``BaseSamplerV2``.

        A circuit whose metadata has ``qubits_of_pub: i`` is measured on the same qubits
        of the device as PUB number i of the same call: so is a calibration of readout.

        Raises:
            ValueError: If the device cannot run a circuit, or not with these angles.
        """
        asked = [SamplerPub.coerce(pub, shots) for pub in pubs]
        return self.sampler.run(self.isa(asked), shots=shots)

    def isa(self, asked: Sequence[SamplerPub]) -> list[SamplerPub]:
        """Return the PUBs for the device, without submitting them.

        Raises:
            ValueError: If the device cannot run a circuit, or not with these angles.
        """
        return [self._isa(pub, asked) for pub in asked]

    def template(
        self, circuit: QuantumCircuit, qubits: Sequence[int] | None = None
    ) -> Template:
        """Return what a circuit was transpiled to, the same object at every call.

        Args:
            circuit: With free parameters.
            qubits: Instead of the sampler's own.
        """
        chosen = self.qubits if qubits is None else tuple(qubits)
        known = _known.setdefault(self.backend, {})
        key = (id(circuit), self.level, self.seed, chosen)
        made = known.get(key)
        if made is None or made.source.data != circuit.data:  # edited since
            made = make_template(
                circuit, self.backend, level=self.level, seed=self.seed, qubits=chosen
            )
            if key not in known:
                finalize(circuit, known.pop, key, None)
            known[key] = made
        return made

    def _isa(self, pub: SamplerPub, asked: Sequence[SamplerPub]) -> SamplerPub:
        """Return the PUB for the device."""
        like = (pub.circuit.metadata or {}).get(QUBITS_OF_PUB)
        qubits = None
        if like is not None:
            qubits = measured_qubits(self.template(asked[like].circuit).circuit)
        template = self.template(pub.circuit, qubits)
        template.circuit.metadata = pub.circuit.metadata  # of this request
        values = template.bind(pub.parameter_values.as_array(pub.circuit.parameters))
        bound = BindingsArray({tuple(template.circuit.parameters): values}, pub.shape)
        return SamplerPub(template.circuit, bound, pub.shots)


def transpiling(sampler: Any) -> Transpiled | None:
    """Return the ``Transpiled`` that a sampler is or wraps, or None."""
    return next((s for s in layers(sampler) if isinstance(s, Transpiled)), None)


def isa_of(sampler: Any, asked: Sequence[SamplerPub]) -> Sequence[SamplerPub]:
    """Return PUBs as a sampler's device will run them."""
    device = transpiling(sampler)
    return asked if device is None else device.isa(asked)
