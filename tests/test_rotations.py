"""Circuits of Pauli rotations: derivatives against finite differences."""

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.circuit.library import efficient_su2, n_local, real_amplitudes
from qiskit.quantum_info import SparsePauliOp, Statevector

import reference
from qiskit_qep._pauli import PauliTerms
from qiskit_qep.preparations.ansatz import Ansatz
from qiskit_qep.preparations.descent import Landscape
from qiskit_qep.preparations.rotations import Rotations


@pytest.fixture(params=[1, 2, 4])
def landscape(request):
    """Random strings, runs of phases among them, and parameters that share angles."""
    rng = np.random.default_rng(request.param)
    size = 4**request.param
    strings = rng.integers(1, size, 12)
    strings[3:6] = rng.integers(1, 1 << request.param, 3)  # without a flip
    flips, signs = strings >> request.param, strings % (1 << request.param)
    rotations = Rotations(
        request.param, flips.astype(np.uint64), signs.astype(np.uint64)
    )
    operators, row = reference.general(rng, request.param)
    matrix, offset = rng.standard_normal((12, 5)), rng.standard_normal(12)
    return Landscape(rotations, matrix, offset, PauliTerms.of(operators), row)


def test_slopes_and_curvatures(landscape):
    p = np.random.default_rng(0).standard_normal(5)
    slope = landscape.energy(p)[1]
    found = reference.five_point(lambda q: np.array(landscape.energy(q)[0]), p)
    assert np.abs(slope).max() > 0.1
    np.testing.assert_allclose(slope, found, atol=1e-8)
    hessian, metric = landscape.curvature(p)
    found = reference.five_point(lambda q: landscape.energy(q)[1], p)
    np.testing.assert_allclose(hessian, found, atol=1e-8)

    def state(q):
        angles = landscape.matrix @ q + landscape.offset
        return landscape.rotations.states(angles[None])[0]

    change = 1e-4 * np.random.default_rng(1).standard_normal(5)
    overlap = abs(np.vdot(state(p - change), state(p + change))) ** 2
    np.testing.assert_allclose(1 - overlap, 4 * change @ metric @ change, rtol=1e-5)


def test_energy_is_that_of_the_state(landscape):
    p = np.random.default_rng(2).standard_normal(5)
    angles = landscape.matrix @ p + landscape.offset
    circuit = landscape.rotations.circuit().assign_parameters(angles)
    state = Statevector(circuit)
    terms = landscape.terms
    strings = landscape.coefficients @ terms.weights.toarray()
    energy = sum(
        c * state.expectation_value(label(terms, s)).real
        for s, c in enumerate(strings)
        if terms.flips[s] | terms.signs[s]
    )
    np.testing.assert_allclose(landscape.energy(p)[0], energy, atol=1e-10)


def label(terms, s):
    flip, sign = int(terms.flips[s]), int(terms.signs[s])
    letters = [
        "IXZY"[(flip >> q & 1) + 2 * (sign >> q & 1)] for q in range(terms.num_qubits)
    ]
    return SparsePauliOp("".join(reversed(letters)))


def test_three_and_more_qubits_turn_about_one_string():
    for label_ in ("XYZ", "YYXZ", "ZIZX", "YIIIX"):
        pauli = SparsePauliOp(label_).paulis[0]
        power = 1 << np.arange(len(label_), dtype=np.uint64)
        masks = [np.array([bits @ power], np.uint64) for bits in (pauli.x, pauli.z)]
        rotations = Rotations(len(label_), *masks)
        circuit = rotations.circuit().assign_parameters([0.7])
        matrix = reference.matrix(SparsePauliOp(label_)).toarray()
        expected = np.cos(0.35) * np.eye(len(matrix)) - 1j * np.sin(0.35) * matrix
        first = np.eye(len(matrix))[0]
        np.testing.assert_allclose(
            Statevector(circuit).data, expected @ first, atol=1e-12
        )


@pytest.mark.parametrize(
    "circuit",
    [
        efficient_su2(3, reps=2),
        real_amplitudes(4, reps=1),
        n_local(3, ["ry", "h"], "rzz", reps=2),
        n_local(3, ["p", "sx"], "ecr", reps=1),
    ],
    ids=["efficient_su2", "real_amplitudes", "rzz", "p and ecr"],
)
def test_any_circuit_is_rotations_and_a_clifford(circuit):
    ansatz = Ansatz.of(circuit)
    rng = np.random.default_rng(5)
    p = rng.standard_normal((2, circuit.num_parameters))
    operators, row = reference.general(rng, circuit.num_qubits)
    turned = PauliTerms.of(ansatz.operators(operators))
    inner = ansatz.rotations.states(ansatz.angles(p))
    values = turned.expectations(inner, inner).real
    for b in range(2):
        state = Statevector(circuit.assign_parameters(p[b]))
        overlap = abs(np.vdot(state.data, ansatz.states(p)[b]))
        np.testing.assert_allclose(overlap, 1.0, atol=1e-10)
        found = [state.expectation_value(op).real for op in operators]
        np.testing.assert_allclose(values[b], found, atol=1e-10)
    assert np.ptp(values @ row) > 1e-3


def test_angles_that_are_linear_in_a_parameter():
    a, b = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(2)
    circuit.ry(2 * a - b + 0.3, 0)
    circuit.cx(0, 1)
    circuit.rzx(0.4, 1, 0)
    circuit.rx(a, 1)
    ansatz = Ansatz.of(circuit)
    state = Statevector(circuit.assign_parameters([0.5, -0.2]))
    found = ansatz.states(np.array([[0.5, -0.2]]))[0]
    np.testing.assert_allclose(abs(np.vdot(state.data, found)), 1.0, atol=1e-12)
    circuit.rz(a * b, 0)
    with pytest.raises(ValueError, match=r"linear in the parameters, got a\*b"):
        Ansatz.of(circuit)


def test_gates_that_are_no_rotations_are_refused():
    circuit = QuantumCircuit(2)
    circuit.t(0)
    circuit.measure_all()
    with pytest.raises(ValueError, match=r"Clifford gates and Pauli rotations, got"):
        Ansatz.of(circuit)
