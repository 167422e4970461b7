"""What a device runs: a transpiled circuit with free parameters, and its bindings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.circuit import ParameterExpression
from qiskit.transpiler import generate_preset_pass_manager

from .fractional import GATE, evaluate, fold, folded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter
    from qiskit.providers import BackendV2
    from qiskit.transpiler import Target

    Array = NDArray[np.float64]
    Place = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Template:
    """A circuit in the instructions of a device, its parameters still free.

    Attributes:
        source: A copy of what was transpiled.
        circuit: What the device runs.
        parameters: Those of source, then those of the folded angles.
        angles: The expressions that were folded.
        bounded: Every free angle that has bounds, and its gate's name and qubits.
        target: The device.
    """

    source: QuantumCircuit
    circuit: QuantumCircuit
    parameters: tuple[Parameter, ...]
    angles: tuple[ParameterExpression, ...]
    bounded: dict[ParameterExpression, Place]
    target: Target

    def bind(self, values: Array) -> Array:
        """Return the values of the parameters of circuit, in its own order.

        Args:
            values: Of the parameters of source, in its order, shape
                (..., num_parameters).

        Raises:
            ValueError: If a value is not finite, or outside the bounds of a gate.
        """
        wrong = ~np.isfinite(values)
        if wrong.any():
            row = np.argwhere(wrong)[0, :-1].tolist()
            raise ValueError(
                f"parameter values should be finite, got {values[wrong][0]} "
                f"in row {row}"
            )
        new = folded(evaluate(self.angles, self.source.parameters, values))
        every = np.concatenate([values, new], axis=-1)
        column = {p: k for k, p in enumerate(self.parameters)}
        bound = every[..., [column[p] for p in self.circuit.parameters]]
        angles = evaluate(list(self.bounded), self.circuit.parameters, bound)
        for place, angle in zip(
            self.bounded.values(), np.moveaxis(angles, -1, 0), strict=True
        ):
            check_angle(self.target, place, angle)
        return np.asarray(bound)


def make_template(
    circuit: QuantumCircuit,
    backend: BackendV2,
    *,
    level: int,
    seed: int | None,
    qubits: Sequence[int] | None,
) -> Template:
    """Transpile a circuit for a backend, and check that all of it is in its target.

    Raises:
        ValueError: If the backend has too few qubits, or cannot run the circuit.
    """
    if circuit.num_qubits > (backend.num_qubits or circuit.num_qubits):
        raise ValueError(
            f"the circuit has {circuit.num_qubits} qubits, but {backend.name} has only "
            f"{backend.num_qubits}"
        )
    if qubits is not None and len(qubits) != circuit.num_qubits:
        raise ValueError(
            f"the circuit has {circuit.num_qubits} qubits, but is to run on the "
            f"{len(qubits)} qubits {tuple(qubits)}"
        )

    def transpile(source: QuantumCircuit, layout: Sequence[int] | None) -> Any:
        return generate_preset_pass_manager(
            level, backend=backend, initial_layout=layout, seed_transpiler=seed
        ).run(source)

    isa = transpile(circuit, None if qubits is None else list(qubits))
    parameters, angles = tuple(circuit.parameters), ()
    if backend.target.gate_has_angle_bounds(GATE):
        # After routing and translation, so that whatever became an rzz is folded.
        narrow, angles, added = fold(isa)
        parameters += added
        isa = transpile(narrow, range(isa.num_qubits))
    return Template(
        source=circuit.copy(),
        circuit=isa,
        parameters=parameters,
        angles=angles,
        bounded=check_instructions(isa, backend.target),
        target=backend.target,
    )


def check_instructions(
    circuit: QuantumCircuit, target: Target
) -> dict[ParameterExpression, Place]:
    """Check that every instruction, on its qubits, is one of the target's.

    Returns:
        The angles that are free, but have bounds; numbers are checked.

    Raises:
        ValueError: If an instruction, or its angle, is not; the message names it.
    """
    bounded: dict[ParameterExpression, Place] = {}
    for instruction in circuit.data:
        name, angles = instruction.operation.name, instruction.operation.params
        where = tuple(circuit.find_bit(q).index for q in instruction.qubits)
        if name != "barrier" and not target.instruction_supported(name, where):
            raise ValueError(
                f"{name} on qubits {where} is no instruction of the device, which has "
                f"{sorted(target.operation_names)}; run the circuit through Transpiled"
            )
        if not target.gate_has_angle_bounds(name):
            continue
        if isinstance(angles[0], ParameterExpression):
            bounded[angles[0]] = (name, where)
        else:
            check_angle(target, (name, where), np.array(angles))
    return bounded


def check_angle(target: Target, place: Place, values: Array) -> None:
    """Check that the angles of a gate are within its bounds.

    Raises:
        ValueError: If one is not; the message has the gate and the angle.
    """
    name, where = place
    for end in (float(values.min()), float(values.max())):  # bounds are an interval
        if not target.supported_angle_bound(name, [end]):
            raise ValueError(
                f"{name} on qubits {where} got the angle {end:.6g}, outside the bounds "
                "of the device (rzz: 0 to pi / 2); leave the angle a free parameter of "
                "the circuit, and Transpiled folds it"
            )


def measured_qubits(circuit: QuantumCircuit) -> tuple[int, ...]:
    """Return the qubit that every classical bit of a circuit is measured from."""
    measured = {
        circuit.find_bit(i.clbits[0]).index: circuit.find_bit(i.qubits[0]).index
        for i in circuit.data
        if i.operation.name == "measure"
    }
    return tuple(measured[c] for c in range(len(measured)))
