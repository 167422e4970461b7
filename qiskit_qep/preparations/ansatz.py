"""Any circuit of Pauli rotations and Clifford gates, as rotations and one Clifford."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterExpression
from qiskit.quantum_info import Clifford, Pauli, SparsePauliOp, Statevector

from .rotations import Rotations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

AXES = {
    "rx": "X", "ry": "Y", "rz": "Z", "p": "Z", "u1": "Z",
    "rxx": "XX", "ryy": "YY", "rzz": "ZZ", "rzx": "ZX",
}  # fmt: skip
CLIFFORDS = [
    "h",
    "x",
    "y",
    "z",
    "s",
    "sdg",
    "sx",
    "sxdg",
    "cx",
    "cy",
    "cz",
    "swap",
    "ecr",
]


@dataclass(frozen=True, eq=False)
class Ansatz:
    r"""A family of states: free parameters p in, rotations and a Clifford gate out.

    .. math:: |\psi(p)\rangle = C \prod_g e^{-i\phi_g P_g/2}\,|0\dots0\rangle,
              \qquad \phi = M p + \phi_0

    Every Clifford gate is moved to the end, past the rotations, whose strings change
    on the way (Litinski, arXiv:1808.02892).

    Attributes:
        rotations: P, from qubits in 0.
        matrix: M, shape (num_rotations, num_parameters).
        offset: phi_0, shape (num_rotations,).
        clifford: C.
    """

    rotations: Rotations
    matrix: Array
    offset: Array
    clifford: Clifford

    @staticmethod
    def free(rotations: Rotations) -> Ansatz:
        """Let every angle of some rotations be a parameter."""
        size = len(rotations)
        nothing = Clifford(QuantumCircuit(rotations.num_qubits))
        return Ansatz(rotations, np.eye(size), np.zeros(size), nothing)

    @staticmethod
    def of(circuit: QuantumCircuit) -> Ansatz:
        """Read a circuit.

        Raises:
            ValueError: If a gate is neither a Clifford gate nor a Pauli rotation whose
                angle is linear in the parameters.
        """
        from qiskit import transpile

        basis = [*AXES, *CLIFFORDS]
        plain = transpile(circuit, basis_gates=basis, optimization_level=0)
        clifford = Clifford(QuantumCircuit(circuit.num_qubits))
        number = {p: k for k, p in enumerate(circuit.parameters)}
        masks, rows, offsets = [], [], []
        for step in plain.data:
            qubits = [plain.find_bit(q).index for q in step.qubits]
            name = step.operation.name
            if name in CLIFFORDS:
                clifford = clifford.compose(step.operation, qargs=qubits)
                continue
            if name == "barrier":
                continue
            if name not in AXES:
                raise ValueError(
                    f"an ansatz should consist of Clifford gates and Pauli rotations, "
                    f"got {name!r} on qubits {qubits}"
                )
            axis = SparsePauliOp.from_sparse_list(
                [(AXES[name], qubits, 1.0)], circuit.num_qubits
            ).paulis[0]
            turned: Pauli = axis.evolve(clifford, frame="h")
            sign = 1.0 if turned.phase == 0 else -1.0
            masks.append((_mask(turned.x), _mask(turned.z)))
            row, offset = _linear(step.operation.params[0], number)
            rows.append(sign * row)
            offsets.append(sign * offset)
        flips, signs = np.array(masks, np.uint64).reshape(-1, 2).T.copy()
        return Ansatz(
            Rotations(circuit.num_qubits, flips, signs),
            np.array(rows).reshape(len(rows), len(number)),
            np.array(offsets),
            clifford,
        )

    def angles(self, parameters: Array) -> Array:
        """Return phi of every row of p."""
        return np.asarray(parameters @ self.matrix.T + self.offset)

    def operators(self, operators: Sequence[Any]) -> list[SparsePauliOp]:
        r"""Return C^\dagger A C, whose expectation values need no Clifford gate."""
        turned = []
        for operator in operators:
            paulis = operator.paulis.evolve(self.clifford, frame="h")
            turned.append(SparsePauliOp(paulis, operator.coeffs))
        return turned

    def states(self, parameters: Array) -> NDArray[np.complex128]:
        """Return |psi(p)> of every row, shape (batch, 2^N)."""
        states = self.rotations.states(self.angles(parameters))
        if self.clifford == Clifford(QuantumCircuit(self.rotations.num_qubits)):
            return states
        gates = self.clifford.to_circuit()
        return np.array([Statevector(state).evolve(gates).data for state in states])


def _mask(bits: NDArray[np.bool_]) -> int:
    return sum(1 << q for q, bit in enumerate(bits) if bit)


def _linear(angle: Any, number: dict[Any, int]) -> tuple[Array, float]:
    """Return the coefficients and the constant of a linear expression."""
    row = np.zeros(len(number))
    if not isinstance(angle, ParameterExpression):
        return row, float(angle)
    for parameter in angle.parameters:
        slope = angle.gradient(parameter)
        if isinstance(slope, ParameterExpression):
            raise ValueError(f"angles should be linear in the parameters, got {angle}")
        row[number[parameter]] = float(slope)
    return row, float(angle.bind(dict.fromkeys(angle.parameters, 0.0)))
