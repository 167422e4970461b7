"""Fingerprints: whether two requests ask the same, before any transpilation."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit import QuantumCircuit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qiskit.circuit import Instruction
    from qiskit.primitives.containers.sampler_pub import SamplerPub

STANDARD = "qiskit.circuit.library.standard_gates"
METADATA = "qiskit_qep"  # what Prepared tells Resumable about a request


def stamped(metadata: dict[str, Any] | None, seed: int) -> dict[str, Any]:
    """Return a circuit's metadata with the seed of one request.

    It sets requests apart whose circuit and bindings are the same, and comes from the
    rows' streams: a rerun, and a run that goes on from a State, draw the same one.
    """
    return {**(metadata or {}), METADATA: {"seed": seed}}


def request_seed(pubs: Sequence[SamplerPub]) -> int | None:
    """Return the seed that ``stamped`` put into the first PUB's circuit, or None."""
    found = (pubs[0].circuit.metadata or {}).get(METADATA) if pubs else None
    return None if found is None else int(found["seed"])


def circuits_fingerprint(pubs: Sequence[SamplerPub]) -> str:
    """Return 16 letters that depend on the circuits alone: the model and its ansatz."""
    return _digest(part for pub in pubs for part in _circuit(pub.circuit))


def request_fingerprint(pubs: Sequence[SamplerPub]) -> str:
    """Return 16 letters that depend on circuits, bindings, shots and seed.

    Nothing of the device: a recalibrated one may be laid out anew. Parameters count by
    their names, because their own identities are drawn afresh in every process.
    """

    def parts() -> Iterator[bytes]:
        yield f"seed {request_seed(pubs)}".encode()
        for pub in pubs:
            yield from _circuit(pub.circuit)
            names = pub.circuit.parameters
            values = np.ascontiguousarray(pub.parameter_values.as_array(names), "<f8")
            yield f"{values.shape} {pub.shape} {pub.shots}".encode()
            yield values.tobytes()

    return _digest(parts())


def _digest(parts: Iterator[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:  # lengths keep neighbours apart
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.hexdigest()[:16]


def _circuit(circuit: QuantumCircuit) -> Iterator[bytes]:
    yield f"circuit {circuit.num_qubits} {circuit.num_clbits}".encode()
    yield repr([(r.name, r.size) for r in circuit.cregs]).encode()
    numbers = {bit: k for k, bit in enumerate([*circuit.qubits, *circuit.clbits])}
    for instruction in circuit.data:
        bits = [numbers[b] for b in (*instruction.qubits, *instruction.clbits)]
        yield repr(bits).encode()
        yield from _operation(instruction.operation)


def _operation(operation: Instruction) -> Iterator[bytes]:
    home = getattr(operation, "base_class", type(operation)).__module__
    definition = None if home.startswith(STANDARD) else operation.definition
    if definition is not None:  # a gate of the user's own: its name says nothing
        yield from _circuit(definition)
        return
    yield operation.name.encode()
    yield repr(getattr(operation, "ctrl_state", None)).encode()
    for value in operation.params:
        if isinstance(value, QuantumCircuit):
            yield from _circuit(value)
        elif isinstance(value, np.ndarray):
            yield np.ascontiguousarray(value, np.complex128).tobytes()
        elif isinstance(value, int | float | complex | np.number):
            yield repr(complex(value)).encode()
        else:  # an expression of parameters
            yield str(value).encode()
