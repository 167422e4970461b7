"""The ramp: its circuit is its formula, and its formula follows the ground state."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import SparsePauliOp, Statevector
from scipy.linalg import expm

import qiskit_qep as qep
import reference
from qiskit_qep.preparations.product_formula import commuting_groups
from qiskit_qep.preparations.rotations import Rotations


def dense(operator):
    return reference.matrix(operator).toarray()


def ground_state(operators, row):
    return np.linalg.eigh(reference.total(operators, row))[1][:, 0]


def fidelity(a, b):
    return abs(np.vdot(a, b)) ** 2


def prepared(ramp, operators, row):
    """Return the state that the compiled loops prepare."""
    return ramp.states(operators, ramp.angles(operators, np.array([row])))[0]


def dense_ramp(terms, driver, steps, time, order):
    """Follow H(u), given as its X part and its Z part, by matrix exponentials."""
    dt, state = time / steps, None
    across, along = terms
    state = np.linalg.eigh(driver)[1][:, 0].astype(complex)
    for step in range(steps):
        u = (step + 0.5) / steps
        x_part = expm(-1j * dt / order * ((1 - u) * driver + u * across))
        z_part = expm(-1j * dt * u * along)
        state = z_part @ x_part @ state
        if order == 2:
            state = x_part @ state
    return state


@pytest.fixture
def ising():
    model = qep.models.transverse_field_ising(4, inputs=[0], readout=[3])
    rng = np.random.default_rng(3)
    theta = 0.6 * rng.standard_normal(model.num_trainable)
    theta[6:10] = [0.8, -0.7, 0.6, 0.9]  # transverse fields of both signs
    return model, model.coefficients(theta, [0.7], 0.2)[0]


@pytest.mark.parametrize("order", [1, 2])
def test_the_angles_are_those_of_the_product_formula(ising, order):
    model, row = ising
    matrices = [dense(op) for op in model.operators]
    is_x = [bool(op.paulis.x.any()) for op in model.operators]
    across = sum(c * m for c, m, x in zip(row, matrices, is_x, strict=True) if x)
    along = sum(c * m for c, m, x in zip(row, matrices, is_x, strict=True) if not x)
    signs = [-1, 1, -1, -1]  # the transverse field of spin 1 points the other way
    fields = [("X", [q], s) for q, s in enumerate(signs)]
    driver = dense(SparsePauliOp.from_sparse_list(fields, 4))
    ramp = qep.Ramp(5, 12, order=order, schedule="linear")
    found = prepared(ramp, model.operators, row)
    slow = dense_ramp((across, along), driver, 12, 5, order)
    assert abs(fidelity(found, slow) - 1) < 1e-10
    assert fidelity(found, slow[::-1]) < 0.9


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([1, 2]))
def test_the_circuit_prepares_what_the_compiled_loops_do(seed, gauge, order):
    rng = np.random.default_rng(seed)
    operators, row = reference.general(rng, 3)
    ramp = qep.Ramp(2.0, 3, order=order, counterdiabatic=gauge)
    angles = ramp.angles(operators, row[None])
    circuit = ramp.circuit(operators).assign_parameters(angles[0])
    state = ramp.states(operators, angles)[0]
    np.testing.assert_allclose(Statevector(circuit).data, state, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_the_error_of_a_step_has_its_order(ising, order):
    model, row = ising
    fine = prepared(qep.Ramp(3, 1000), model.operators, row)
    steps = np.array([20, 40, 80])
    states = [
        prepared(qep.Ramp(3, n, order=order), model.operators, row) for n in steps
    ]
    errors = [np.sqrt(1 - fidelity(fine, state)) for state in states]
    assert errors[0] > 1e-3
    slope = np.polyfit(np.log(1 / steps), np.log(errors), 1)[0]
    assert abs(slope - order) < 0.15


def test_slow_and_fine_is_the_ground_state(ising):
    model, row = ising
    ground = ground_state(model.operators, row)
    shortfall = [
        1 - fidelity(prepared(qep.Ramp(t, 8 * t), model.operators, row), ground)
        for t in (4, 16, 64)
    ]
    assert shortfall[0] > 0.01
    assert shortfall[1] < 0.3 * shortfall[0]
    assert shortfall[2] < 1e-3


AXES = {"X": [1, 1], "Y": [1, 1j], "Z": [1, 0]}


@pytest.mark.parametrize("axes", ["XXX", "ZYX", "YZZ"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_ramp_begins_in_the_ground_state_of_its_driver(axes, sign):
    fields = [(axis, [q], -sign * (1 + q)) for q, axis in enumerate(axes)]
    driver = SparsePauliOp.from_sparse_list(fields, 3)
    ramp = qep.Ramp(1e-9, 1, driver=driver)
    state = prepared(ramp, [SparsePauliOp("ZZX")], [1.0])
    np.testing.assert_allclose(np.vdot(state, dense(driver) @ state), -6.0, atol=1e-6)
    later = prepared(qep.Ramp(30, 300, driver=driver), [SparsePauliOp("ZZX")], [1.0])
    assert np.vdot(later, dense(driver) @ later).real > -5


def test_the_gauge_field_of_one_spin_is_exact():
    """A = alpha Y is all that one spin needs: no haste excites it."""
    operators = [SparsePauliOp("X"), SparsePauliOp("Z")]
    row = [-0.3, 1.1]
    ground = ground_state(operators, row)
    hasty = qep.Ramp(0.2, 400)
    aided = qep.Ramp(0.2, 400, counterdiabatic=True)
    assert fidelity(prepared(hasty, operators, row), ground) < 0.8
    assert fidelity(prepared(aided, operators, row), ground) > 1 - 1e-4


def test_the_gauge_field_helps_a_network(ising):
    model, row = ising
    ground = ground_state(model.operators, row)
    plain, aided = (
        fidelity(
            prepared(qep.Ramp(2, 20, counterdiabatic=gauge), model.operators, row),
            ground,
        )
        for gauge in (False, True)
    )
    assert aided > plain + 0.03


def test_schedules():
    operators = [SparsePauliOp("X"), SparsePauliOp("Z")]
    states = [
        prepared(qep.Ramp(20, 200, schedule=schedule), operators, [-0.3, 1.1])
        for schedule in ("linear", "smooth", "gentle", lambda s: s**2)
    ]
    ground = ground_state(operators, [-0.3, 1.1])
    short = [1 - fidelity(state, ground) for state in states]
    assert max(short) < 0.01
    assert short[1] < 0.1 * short[0]  # flat ends: T^-4 instead of T^-2
    assert len(set(np.round(short, 9))) == 4


def test_a_gentle_ramp_gathers_speed_and_keeps_it():
    """The angles about Z of a unit field are 2 u dt, every other one."""
    steps = 2000
    ramp = qep.Ramp(steps, steps, order=1)
    operators = [SparsePauliOp("X"), SparsePauliOp("Z")]
    (angles,) = ramp.angles(operators, np.array([[0.0, 1.0]]))
    u = 0.5 * angles[1::2]
    assert len(u) == steps
    assert u[0] < 1e-6
    assert u[-1] == pytest.approx(1.0, abs=1 / steps)
    speed = np.diff(u) * steps
    start = round(0.15 * steps)
    np.testing.assert_allclose(np.diff(speed[: start - 2]), np.diff(speed[:2])[0])
    np.testing.assert_allclose(speed[start:], speed[-1])
    assert speed[-1] == pytest.approx(1 / (1 - 0.15 / 2))


def test_a_gentle_start_keeps_the_nudge_out_of_the_phases():
    """Gradients of slow ramps against exact ones; shorter slices change neither."""
    model = qep.models.transverse_field_ising(4, inputs=[0], readout=[3])
    rng = np.random.default_rng(4)
    theta = rng.normal(0.0, 0.5, (12, model.num_trainable))
    theta[:, 6:10] = rng.uniform(0.5, 1.0, (12, 4))

    def errors(schedule):
        settle = qep.Prepared(qep.Ramp(20, 120, schedule=schedule))
        found = []
        for row in theta:
            where = model, row, [[1.0]], [[-1.0]]
            exact = qep.gradient(*where, nudge=qep.Nudge.infinitesimal()).values
            weak = qep.Nudge.centered(0.02).normalized()
            ours = qep.gradient(*where, nudge=weak, equilibrium=settle).values
            found.append(np.linalg.norm(ours - exact) / np.linalg.norm(exact))
        return np.median(found)

    assert errors("gentle") < 0.5 * errors("linear")
    assert errors("linear") < 0.3


def test_bonds_of_a_chain_take_two_rounds_and_nothing_is_wasted():
    model = qep.models.transverse_field_ising(8, edges="chain", bias=False, readout=[7])
    ramp = qep.Ramp(3, 10)
    circuit = ramp.circuit(model.operators)
    assert circuit.count_ops() == {"ry": 8, "rzz": 70, "rz": 10, "rx": 80}
    two_qubit = circuit.depth(lambda step: step.operation.num_qubits == 2)
    assert two_qubit == 2 * 10
    assert circuit.num_parameters == len(ramp.rotations(model.operators))


def test_groups_commute():
    rng = np.random.default_rng(0)
    flips, signs = rng.integers(0, 32, (2, 40)).astype(np.uint64)
    groups = commuting_groups(flips, signs)
    assert sorted(np.concatenate(groups)) == list(range(40))
    for group in groups:
        paulis = Rotations(5, flips[group], signs[group])
        crossings = np.bitwise_count(paulis.flips[:, None] & paulis.signs)
        assert not ((crossings + crossings.T) & 1).any()
    assert 1 < len(groups) < 20


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"time": 0.0}, "time should be a positive number, got 0.0"),
        ({"time": np.inf}, "time should be a positive number, got inf"),
        ({"steps": 0}, "steps should be at least 1, got 0"),
        ({"order": 4}, "order should be 1 or 2, got 4"),
        ({"schedule": "cubic"}, "'gentle', 'linear', 'smooth' or a function, got 'cub"),
        ({"schedule": lambda s: 2 * s}, r"from 0 to 1, got \[0.0, 2.0\]"),
    ],
)
def test_wrong_ramps_are_refused(how, match):
    with pytest.raises(ValueError, match=match):
        qep.Ramp(**how)


@pytest.mark.parametrize(
    ("driver", "match"),
    [
        (
            SparsePauliOp(["XI"]),
            r"act on each of 2 qubits, got \[\('XI', \(1\+0j\)\)\]",
        ),
        (SparsePauliOp(["XII", "IXX"]), "driver should act on each of 2 qubits, got"),
        (SparsePauliOp(["XX"]), r"several on qubits \[0, 1\], of energy -1"),
        (
            SparsePauliOp(["XI", "IX"], [1.0, 0.0]),
            r"should have one ground state, bu",
        ),
    ],
)
def test_a_driver_has_one_ground_state_on_all_qubits(driver, match):
    ramp = qep.Ramp(driver=driver)
    with pytest.raises(ValueError, match=match):
        ramp.circuit([SparsePauliOp("ZZ")])


def test_a_driver_falls_into_small_blocks():
    chain = SparsePauliOp.from_sparse_list(
        [("ZX", [q, q + 1], 1.0) for q in range(6)], 7
    )
    ramp = qep.Ramp(driver=chain)
    with pytest.raises(
        ValueError, match=r"at most 6 qubits, got one of 7, \[0, 1, 2, 3"
    ):
        ramp.circuit([SparsePauliOp("Z" * 7)])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_ramp_begins_in_the_ground_state_of_blocks(seed):
    """Blocks of one, two and three qubits, side by side or not, real or complex."""
    rng = np.random.default_rng(seed)
    places, terms = rng.permutation(6).tolist(), []
    for qubits in (places[:1], places[1:3], places[3:]):
        for letters in product("IXYZ", repeat=len(qubits)):
            if seed % 2 or letters.count("Y") % 2 == 0:
                terms.append(("".join(letters), qubits, rng.standard_normal()))
    driver = SparsePauliOp.from_sparse_list(terms, 6)
    ground = np.linalg.eigh(dense(driver))[1][:, 0]
    ramp, operators = qep.Ramp(1e-9, 1, driver=driver), [SparsePauliOp("ZXZIIZ")]
    assert fidelity(prepared(ramp, operators, [1.0]), ground) > 1 - 1e-9
    circuit = ramp.circuit(operators)
    made = circuit.assign_parameters(ramp.angles(operators, np.ones((1, 1)))[0])
    assert fidelity(Statevector(made).data, ground) > 1 - 1e-9


def test_another_driver_is_another_ramp():
    """Also where drivers differ in the last digits only."""
    drivers = [SparsePauliOp(["X", "Z"], [-1.0, c]) for c in (1.0, 1.0 + 1e-11)]
    operators = [SparsePauliOp("Z")]
    first, second = (
        qep.Ramp(driver=driver).angles(operators, np.ones((1, 1))) for driver in drivers
    )
    assert 0 < np.abs(first - second).max() < 1e-9
