"""What is asked of a sampler and what its answer means: two pure functions."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.circuit import ParameterVector

from .._equilibrium import Phase
from .._model import pauli_terms
from .counts import operator_moments
from .groups import measurement_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit
    from qiskit.primitives import BitArray

    from .groups import Setting
    from .readout import Readout

    Array = NDArray[np.float64]

BASIS = "basis"  # the name of the basis change's parameters


def measurement_circuit(
    preparation: QuantumCircuit, operators: Sequence[Any]
) -> QuantumCircuit:
    """Append a basis change with its own angles, and measure every qubit.

    The setting is a parameter, so that one circuit serves all of them. Qubits that are
    measured alike in every setting share their angles: a transverse-field Ising network
    needs one for all qubits.

    Args:
        preparation: A circuit of as many qubits as the operators, without measurements.
        operators: Of a Pauli model.

    Returns:
        The circuit; its parameters are those of the preparation and ``basis``.
    """
    terms = pauli_terms(operators)
    if preparation.num_qubits != terms.num_qubits:
        raise ValueError(
            f"the circuit should have {terms.num_qubits} qubits, as the operators, got "
            f"{preparation.num_qubits}"
        )
    angles, of = _basis_angles(measurement_settings(terms), terms.num_qubits)
    basis = ParameterVector(BASIS, angles.shape[1])
    circuit = preparation.copy()
    for q, (about_z, about_y) in enumerate(of):
        if about_z is not None:
            circuit.rz(basis[about_z], q)
        if about_y is not None:
            circuit.ry(basis[about_y], q)
    circuit.measure_all()
    return circuit


def build_pub(
    circuit: QuantumCircuit, operators: Sequence[Any], angles: Array
) -> tuple[QuantumCircuit, Array]:
    """Bind every row of angles in every measurement setting: one PUB.

    Args:
        circuit: What ``measurement_circuit`` returned.
        operators: Of a Pauli model.
        angles: Of the preparation, shape (batch, num_angles), in the order of its
            parameters.

    Returns:
        The circuit and its bindings, shape (batch, num_settings, num_parameters).
    """
    terms = pauli_terms(operators)
    settings = measurement_settings(terms)
    basis, _ = _basis_angles(settings, terms.num_qubits)
    names = list(circuit.parameters)  # sorted: those of a vector stand together
    begin = bisect_left(names, f"{BASIS}[", key=lambda parameter: parameter.name)
    end = begin + basis.shape[1]
    shape = (len(angles), len(settings), len(names))
    expected = shape[-1] - basis.shape[1]
    if angles.ndim != 2 or angles.shape[1] != expected:
        raise ValueError(
            f"angles should have shape (batch, {expected}), got {angles.shape}"
        )
    values = np.empty(shape)
    values[:, :, :begin] = angles[:, None, :begin]
    values[:, :, begin:end] = basis[None]
    values[:, :, end:] = angles[:, None, begin:]
    return circuit, values


def read_counts(
    operators: Sequence[Any], bits: BitArray, readout: Readout | None = None
) -> Phase:
    """Turn the bitstrings of a PUB of ``build_pub`` into expectation values.

    Args:
        operators: Of a Pauli model.
        bits: Shape (batch, num_settings), one classical bit per qubit.
        readout: Errors of readout to take out; the phase keeps what was there before
            as its ``raw``.

    Returns:
        The phase, with the covariance of operators that share shots.

    Raises:
        ValueError: If the bits have another shape or hold no shots.
    """
    terms = pauli_terms(operators)
    settings = measurement_settings(terms)
    if len(bits.shape) != 2 or bits.shape[1] != len(settings):
        raise ValueError(
            f"bits should have shape (batch, {len(settings)}), got {bits.shape}"
        )
    if bits.num_bits != terms.num_qubits or bits.num_shots < 1:
        raise ValueError(
            f"bits should hold shots of {terms.num_qubits} bits, got {bits.num_shots} "
            f"shots of {bits.num_bits}"
        )
    outcomes = integers(bits)

    def phase(moments: Callable[..., tuple[Array, Array]]) -> Phase:
        values, covariance = moments(terms, settings, outcomes)
        shots = bits.num_shots * len(settings)
        return Phase(values, covariance=covariance, shots=shots)

    raw = phase(operator_moments)
    if readout is None:
        return raw
    return replace(phase(readout.operator_moments), raw=raw)


def integers(bits: BitArray) -> NDArray[np.uint64]:
    """Return every shot as a number, qubit q is bit q; shape (..., shots)."""
    out = np.zeros(bits.array.shape[:-1], np.uint64)
    for k in range(bits.array.shape[-1]):  # bytes, the most significant first
        out = (out << np.uint64(8)) | bits.array[..., k]
    return out


def _basis_angles(
    settings: Sequence[Setting], num_qubits: int
) -> tuple[Array, list[tuple[int | None, int | None]]]:
    """Return the angles of the basis change, and which two every qubit uses.

    The first turns about Z (Y becomes X), the second about Y (X becomes Z).

    Returns:
        Angles, shape (num_settings, num_parameters), and for every qubit the numbers of
        its two parameters, or None where no setting turns it.
    """
    columns: dict[tuple[float, ...], int] = {}
    used = []
    for q in range(num_qubits):
        flips = [s.flips >> q & 1 for s in settings]
        signs = [s.signs >> q & 1 for s in settings]
        about_z = [-0.5 * np.pi * (x & z) for x, z in zip(flips, signs, strict=True)]
        about_y = [-0.5 * np.pi * x for x in flips]
        pair = [
            columns.setdefault(tuple(turn), len(columns)) if any(turn) else None
            for turn in (about_z, about_y)
        ]
        used.append((pair[0], pair[1]))
    return np.array(list(columns)).reshape(-1, len(settings)).T, used
