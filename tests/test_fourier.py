"""Ramps behind a Fourier transform: its matrix, momenta, slices, gates, gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector
from scipy.linalg import expm

import qiskit_qep as qep
from qiskit_qep._model import pauli_terms
from qiskit_qep.preparations.fourier import Fourier, Strings
from qiskit_qep.preparations.rotations import Rotations
from test_encodings import THETA, X, Y, fock, grid, oscillators

NUDGE = qep.Nudge.centered(0.05)


def fidelity(a, b):
    return abs(np.vdot(a, b)) ** 2


def transform(points):
    """Return the Fourier matrix between positions and momenta in increasing order."""
    centred = np.arange(points) - 0.5 * (points - 1)
    return np.exp(-2j * np.pi * np.outer(centred, centred) / points) / np.sqrt(points)


def register_order(points):
    """Return the momentum of every basis state: that of its bits read backwards."""
    width = points.bit_length() - 1
    return [int(f"{i:0{width}b}"[::-1], 2) for i in range(points)]


def paulis(flips, signs, num_qubits):
    """Return strings as labels."""
    letters = "IXZY"
    return [
        "".join(
            letters[(flip >> q & 1) + 2 * (sign >> q & 1)]
            for q in reversed(range(num_qubits))
        )
        for flip, sign in zip(flips.tolist(), signs.tolist(), strict=True)
    ]


def split(operator, points):
    terms = pauli_terms([operator])
    given = Strings.of(terms.flips, terms.signs, terms.weights)
    return Fourier(points, operator.num_qubits).split(given, "it", "look")


@pytest.mark.parametrize(
    ("points", "modes"), [(2, 1), (4, 1), (8, 1), (16, 1), (2, 3), (4, 2), (8, 2)]
)
def test_the_rotations_are_the_transform_up_to_signs_of_momenta(points, modes):
    width = points.bit_length() - 1
    flips, signs, angles = Fourier(points, modes * width).rotations()
    circuit = Rotations(modes * width, flips, signs).circuit()
    ours = Operator(circuit.assign_parameters(angles)).data
    bits = np.arange(points)
    outer = (bits & 1) + (bits >> width - 1 & 1)  # Z_0 Z_{n-1}; one bit has no pair
    sign = (-1.0) ** (outer if width > 1 else 0 * bits)
    one = sign[:, None] * transform(points)[register_order(points)]
    expected = np.eye(1)
    for _ in range(modes):
        expected = np.kron(one, expected)
    phase = ours[0, 0] / expected[0, 0]
    assert abs(abs(phase) - 1) < 1e-12
    np.testing.assert_allclose(ours, phase * expected, atol=1e-13)
    assert circuit.count_ops().get("rzz", 0) == modes * width * (width - 1) / 2


def forms():
    """Return sums of a potential and a kinetic energy of two oscillators."""
    labels = [
        {"p_0 p_0": 0.5},
        {"p_0": 1.2, "p_1": -0.7},
        {"p_0 p_1": 1.0, "p_1 p_1": 0.3},
        {"r_0 r_1": 0.8, "r_1": -0.4, "p_0 p_0": 0.5, "p_0": 0.2},
        {"r_0 r_0": 1.0},
    ]
    return [qep.QuadraticForm(label, 2) for label in labels]


@pytest.mark.parametrize("points", [2, 4, 8])
def test_momenta_are_read_off_the_strings(points):
    """Every operator is V + F^+ K F, with V and K of Z and ZZ only."""
    operators = qep.models.position_grid(qep.Model(forms()), points, extent=3.0)
    size = operators.operators[0].num_qubits
    one = transform(points)[register_order(points)]
    F = np.kron(one, one)
    for operator in operators.trainable:
        found = split(operator, points)
        assert not found.flips.any()
        assert np.bitwise_count(found.signs).max(initial=0) <= 2
        total = np.trace(operator.to_matrix()) / len(F) * np.eye(len(F))
        weights = found.weights.toarray()[0]
        labels = paulis(found.flips, found.signs, size)
        for label, behind, c in zip(labels, found.behind, weights, strict=True):
            string = c * SparsePauliOp(label).to_matrix()
            total = total + (F.conj().T @ string @ F if behind else string)
        np.testing.assert_allclose(total, operator.to_matrix(), atol=1e-12)
        assert found.behind.any() == bool(operator.paulis.x.any())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(2, 3), (4, 1), (4, 2), (8, 1)]))
def test_any_function_of_momenta_is_found(seed, shape):
    """Also one of all modes at once, beside any potential."""
    points, modes = shape
    rng, size = np.random.default_rng(seed), points**modes
    one, F = transform(points)[register_order(points)], np.eye(1)
    for _ in range(modes):
        F = np.kron(one, F)
    kinetic, potential = rng.standard_normal((2, size))
    matrix = F.conj().T @ np.diag(kinetic) @ F + np.diag(potential)
    operator = SparsePauliOp.from_operator(matrix, atol=1e-14)
    found = split(SparsePauliOp(operator.paulis, operator.coeffs.real), points)
    for behind, values in ((True, kinetic), (False, potential)):
        inside = found.behind == behind
        labels = paulis(found.flips[inside], found.signs[inside], operator.num_qubits)
        weights = found.weights.toarray()[0, inside]
        ours = SparsePauliOp([*labels, "I" * operator.num_qubits], [*weights, 0.0])
        expected = values - values.mean()
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(np.diag(ours.to_matrix()), expected, atol=1e-12)


def parts(operator):
    """Return an operator as a diagonal matrix and the rest."""
    matrix = operator.to_matrix()
    return np.diag(np.diag(matrix)), matrix - np.diag(np.diag(matrix))


def sliced(model, row, time, steps, order):
    """Follow a linear ramp from model.fixed by exponentials of V and K."""
    total = sum(c * op for c, op in zip(row, model.operators, strict=True))
    ends = parts(model.fixed), parts(total)
    state = np.linalg.eigh(model.fixed.to_matrix())[1][:, 0]
    dt = time / steps
    for step in range(steps):
        u = (step + 0.5) / steps
        V, K = ((1 - u) * a + u * b for a, b in zip(*ends, strict=True))
        state = expm(-1j * dt / order * V) @ state
        state = expm(-1j * dt * K) @ state
        if order == 2:
            state = expm(-0.5j * dt * V) @ state
    return state


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("points", [4, 8])
def test_slices_are_exponentials_of_potential_and_kinetic_energy(points, order):
    model = grid(points)
    row = model.coefficients(THETA, X, 0.3)[0]
    how = {"order": order, "schedule": "linear", "driver": model.fixed}
    states = []
    for fourier in (points, None):
        ramp = qep.Ramp(3.0, 4, fourier=fourier, **how)
        angles = ramp.angles(model.operators, row[None])
        states.append(ramp.states(model.operators, angles)[0])
    expected = sliced(model, row, 3.0, 4, order)
    assert fidelity(states[0], expected) == pytest.approx(1.0, abs=1e-10)
    assert fidelity(states[1], expected) < 0.99  # Pauli strings are other slices


@pytest.mark.parametrize("order", [1, 2])
def test_the_error_of_a_slice_has_its_order_and_no_more_with_more_points(order):
    errors = {}
    for points in (8, 16):
        model = grid(points)
        rows = model.coefficients(THETA, X)

        def state(steps, order, model=model, rows=rows, points=points):
            ramp = qep.Ramp(6.0, steps, order=order, driver=model.fixed, fourier=points)
            return ramp.states(model.operators, ramp.angles(model.operators, rows))[0]

        fine, steps = state(1500, 2), np.array([30, 60, 120])
        errors[points] = [
            np.sqrt(1 - fidelity(fine, state(int(n), order))) for n in steps
        ]
        slope = np.polyfit(np.log(1 / steps), np.log(errors[points]), 1)[0]
        assert abs(slope - order) < 0.15
    assert errors[8][-1] > 1e-5
    np.testing.assert_allclose(errors[16], errors[8], rtol=0.2)


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2]),
    st.booleans(),
    st.sampled_from([2, 4, 8]),
)
def test_the_circuit_prepares_what_the_compiled_loops_do(seed, order, own, points):
    rng = np.random.default_rng(seed)
    model = qep.models.position_grid(qep.Model(forms()), points, extent=2.0)
    row = rng.standard_normal((1, len(model.operators)))
    driver = model.trainable[3] if own and points > 2 else None
    ramp = qep.Ramp(1.0, 2, order=order, driver=driver, fourier=points)
    angles = ramp.angles(model.operators, row)
    circuit = ramp.circuit(model.operators).assign_parameters(angles[0])
    state = ramp.states(model.operators, angles)[0]
    np.testing.assert_allclose(Statevector(circuit).data, state, atol=1e-12)


@pytest.mark.parametrize("points", [4, 8, 16])
def test_a_slice_turns_about_single_qubits_and_pairs(points):
    """F and its inverse of both modes, two kinetic and three potential energies."""
    model, n = grid(points), points.bit_length() - 1
    counts = [
        qep.Ramp(1.0, steps, driver=model.fixed, fourier=points)
        .circuit(model.operators)
        .count_ops()
        for steps in (2, 3)
    ]
    slice_ = {name: counts[1][name] - counts[0].get(name, 0) for name in counts[1]}
    pairs = n * (n - 1) // 2
    expected = {"rx": 4 * n, "rz": 2 * n, "rzz": 4 * pairs + 2 * pairs + 2 * pairs}
    expected["rzz"] += n**2  # the spring between the modes
    assert {name: slice_[name] for name in expected} == expected
    assert not any(slice_[name] for name in slice_ if name not in expected)


def report(points, fourier):
    model = grid(points)
    ramp = qep.Ramp(driver=model.fixed, fourier=fourier)
    return qep.fidelity_report(
        model, THETA, X, Y, equilibrium=qep.Prepared(ramp), nudge=NUDGE
    )


def test_more_points_need_no_shorter_slices():
    """By strings the same slices lose the state, and the gradient with it."""
    for points in (8, 16):
        kept = report(points, points)
        assert kept.fidelity[0] > 0.9994
        assert kept.cosine[0] > 0.999
        assert abs(kept.norm_ratio[0] - 1) < 0.1
    lost = report(16, None)
    assert lost.fidelity[0] < 0.5
    assert lost.norm_ratio[0] > 5


def test_gradients_converge_with_the_points():
    true = qep.gradient(
        oscillators(), THETA, X, Y, equilibrium=qep.Gaussian(), nudge=NUDGE
    )
    found = []
    for points in (4, 8, 16, 32):
        model = grid(points)
        ramp = qep.Prepared(qep.Ramp(driver=model.fixed, fourier=points))
        found.append(
            qep.gradient(model, THETA, X, Y, equilibrium=ramp, nudge=NUDGE).values
        )
    last = found[-1]
    errors = [np.linalg.norm(g - last) / np.linalg.norm(last) for g in found[:-1]]
    assert errors[0] > 0.1
    assert errors[1] < errors[0] / 5
    assert errors[2] < 1e-3
    assert last @ true.values > 0.999 * np.linalg.norm(last) * true.norm
    assert abs(np.linalg.norm(last) / true.norm - 1) < 0.1


def test_shots_on_aer_are_those_of_the_prepared_state():
    model = grid(8)
    ramp = qep.Ramp(driver=model.fixed, fourier=8)
    how = {"nudge": qep.Nudge.centered(0.1)}
    exact = qep.gradient(model, THETA, X, Y, equilibrium=qep.Prepared(ramp), **how)
    shots = qep.gradient(
        model,
        THETA,
        X,
        Y,
        equilibrium=qep.Prepared(ramp, qep.AerSampler, shots=20_000),
        seed=0,
        **how,
    )
    std = np.sqrt(shots.stds**2 + shots.slope_stds**2)
    assert (np.abs(shots.values - exact.values) < 5 * std).all()
    assert shots.norm > 3 * shots.norm_std
    away = np.abs(shots.prediction - exact.prediction)
    assert (away < 5 * shots.prediction_stds).all()


def test_a_vqe_frees_the_angles_of_the_transform_too():
    model, nudge = grid(4), qep.Nudge.centered(0.05)
    ansatz = qep.Ramp(1.5, 2, driver=model.fixed, fourier=4)
    vqe = qep.Prepared(qep.Variational("exact", ansatz))
    expected = qep.gradient(model, THETA, X, Y, nudge=nudge)
    found = qep.gradient(model, THETA, X, Y, equilibrium=vqe, nudge=nudge)
    assert expected.norm > 0.1
    np.testing.assert_allclose(found.values, expected.values, atol=1e-3)


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"fourier": 1}, r"fourier should be at least 2, got 1"),
        ({"fourier": 6}, r"fourier should be a power of two, got 6"),
        (
            {"fourier": 8, "counterdiabatic": True},
            r"fourier=8 excludes counterdiabatic=True",
        ),
    ],
)
def test_wrong_ramps_are_refused(how, match):
    with pytest.raises(ValueError, match=match):
        qep.Ramp(**how)


@pytest.mark.parametrize("points", [8.0, "8", True])
def test_points_are_counted(points):
    match = f"fourier should be a whole number, got {points!r}"
    with pytest.raises(TypeError, match=match):
        qep.Ramp(fourier=points)


def refused_form():
    """Return a model whose operator 1 couples a position to a momentum."""
    coupled = [qep.QuadraticForm(label, 2) for label in ({"p_0": 1}, {"r_0 p_1": 1})]
    return qep.models.position_grid(qep.Model(coupled), 4, extent=3.0)


@pytest.mark.parametrize(
    ("model", "how", "match"),
    [
        (
            fock(4),
            {"fourier": 4},
            r"fourier=4 needs operators.*got operator 0 with .* \w{4}",
        ),
        (
            refused_form(),
            {"fourier": 4},
            r"operator 1 with .* \w{4}, \.\.\.; give the number of points",
        ),
        (grid(8), {"fourier": 4}, r"operator \d with"),
        (grid(8), {"fourier": 16}, r"4 qubits for every mode, got 6 qubits"),
        (
            grid(4),
            {"fourier": 4, "driver": SparsePauliOp(["XIII", "IXII", "IIXI", "IIIX"])},
            r"driver with 1 XIII, 1 IXII, 1 IIXI, 1 IIIX; give the fixed part",
        ),
    ],
)
def test_what_is_no_sum_of_two_energies_is_refused(model, how, match):
    with pytest.raises(ValueError, match=match):
        qep.Ramp(**how).circuit(model.operators)
