"""Thermal states: against matrix exponentials, closed forms, and their limits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import SparsePauliOp
from scipy.linalg import expm
from scipy.special import logsumexp

import qiskit_qep as qep
import reference
from qiskit_qep.equilibria import thermal

EXACT = qep.Nudge.infinitesimal()


def generators(batch, seed=0):
    return [np.random.default_rng([seed, b]) for b in range(batch)]


def respond(equilibrium, operators, row, direction):
    phase = equilibrium(operators, row[None])
    return equilibrium.response(phase, operators, row[None], direction[None])[0]


@pytest.fixture
def network():
    """Three spins with inputs, a theta and two samples; <Z> and its slope are large."""
    model = qep.models.transverse_field_ising(3, inputs=[0, 1], readout=[1, 2])
    rng = np.random.default_rng(4)
    theta = 0.5 * rng.standard_normal(model.num_trainable)
    return model, theta, rng.standard_normal((2, 2)), np.array([[1.0, -1], [-1, 1]])


# --- Values and responses -----------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.05, 0.6, 7.0])
@pytest.mark.parametrize("draw", [reference.ising, reference.general])
def test_the_fluctuation_is_the_derivative_of_the_values(temperature, draw):
    rng = np.random.default_rng(2)
    operators, row = draw(rng, 3)
    direction = rng.standard_normal(len(row))
    (expected,) = reference.five_point(
        lambda t: reference.thermal(operators, row + t[0] * direction, temperature),
        [0.0],
        step=1e-3 * min(1.0, 10 * temperature),
    )
    assert np.abs(expected).max() > 0.1
    found = respond(qep.Thermal(temperature), operators, row, direction)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_the_gradient_is_that_of_the_loss(network, temperature):
    model, theta, x, y = network

    def loss(theta, x, y):
        rows = model.coefficients(theta, x)
        values = [reference.thermal(model.operators, r, temperature) for r in rows]
        return qep.squared_error.value(np.array(values)[:, model.readout_columns], y)

    by_theta = reference.five_point(lambda t: loss(t, x, y).mean(), theta)
    by_x = [
        reference.five_point(lambda u, b=b: loss(theta, u, y[b : b + 1])[0], x[b])
        for b in range(len(x))
    ]
    settle = qep.Thermal(temperature)
    exact = qep.gradient(model, theta, x, y, equilibrium=settle, nudge=EXACT)
    assert np.abs(by_theta).max() > 0.1
    assert exact.loss == pytest.approx(loss(theta, x, y).mean(), abs=1e-12)
    np.testing.assert_allclose(exact.values, by_theta, atol=1e-8)
    np.testing.assert_allclose(exact.inputs, by_x, atol=1e-8)
    errors = [
        np.linalg.norm(
            qep.gradient(model, theta, x, y, equilibrium=settle, nudge=nudge).values
            - by_theta
        )
        for nudge in map(qep.Nudge.centered, (0.04, 0.02))
    ]
    assert errors[1] > 1e-7
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)


def test_one_sided_is_the_gradient_of_the_free_energy_contrast(network):
    model, theta, x, y = network
    temperature, beta = 0.8, 0.4
    slope = qep.cost_observable.slope(y, y)

    def free_energy(theta, nudge):
        rows = model.coefficients(theta, x, nudge)
        levels = [np.linalg.eigvalsh(reference.total(model.operators, r)) for r in rows]
        return -temperature * logsumexp(-np.array(levels) / temperature, axis=1)

    def contrast(theta):
        return (free_energy(theta, beta * slope) - free_energy(theta, 0.0)) / beta

    expected = reference.five_point(lambda t: contrast(t).mean(), theta)
    assert np.abs(expected).max() > 0.1
    found = qep.gradient(
        model,
        theta,
        x,
        y,
        equilibrium=qep.Thermal(temperature),
        nudge=qep.Nudge.one_sided(beta),
        loss=qep.cost_observable,
    )
    np.testing.assert_allclose(found.values, expected, atol=1e-8)


def test_where_everything_commutes_it_is_the_classical_covariance():
    rng = np.random.default_rng(5)
    operators, row = reference.ising(rng, 4)
    classical = [k for k, op in enumerate(operators) if not op.paulis.x.any()]
    operators, row = [operators[k] for k in classical], row[classical]
    spins = np.array([reference.matrix(op).diagonal().real for op in operators])
    energy = row @ spins
    p = np.exp(-(energy - energy.min()) / 0.9)
    p /= p.sum()
    covariance = np.cov(spins, aweights=p, ddof=0)
    assert np.abs(np.triu(covariance, 1)).max() > 0.1
    rows = np.tile(row, (len(row), 1))
    settle = qep.Thermal(0.9)
    phase = settle(operators, rows)
    found = settle.response(phase, operators, rows, np.eye(len(row)))
    np.testing.assert_allclose(phase.values[0], spins @ p, atol=1e-12)
    np.testing.assert_allclose(found, -covariance / 0.9, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    temperature=st.floats(1e-3, 1e3),
    scale=st.floats(1e-2, 1e2),
)
def test_free_energy_is_concave_and_units_do_not_matter(seed, temperature, scale):
    rng = np.random.default_rng(seed)
    operators, row = reference.general(rng, 3)
    direction = rng.standard_normal(len(row))
    values = qep.Thermal(temperature)(operators, row[None]).values
    others = qep.Thermal(scale * temperature)(operators, scale * row[None]).values
    # 1e-13 of the energies by rounding, over T.
    np.testing.assert_allclose(values, others, atol=1e-11 + 1e-13 / temperature)
    change = respond(qep.Thermal(temperature), operators, row, direction)
    assert change @ direction < 0


# --- Limits -------------------------------------------------------------------------


def test_cold_is_the_ground_state():
    rng = np.random.default_rng(1)
    operators, row = reference.gapped(rng, reference.general, 3, bound=0.5)
    direction = rng.standard_normal(len(row))
    exact = qep.Exact()(operators, row[None])
    for temperature in (0.01, 1e-8, 1e-300):
        cold = qep.Thermal(temperature)
        phase = cold(operators, row[None])
        np.testing.assert_allclose(phase.values, exact.values, atol=1e-12)
        assert phase.gap == pytest.approx(exact.gap, rel=0.01)
        found = respond(cold, operators, row, direction)
        expected = respond(qep.Exact(), operators, row, direction)
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(found, expected, atol=1e-8)


def test_hot_is_the_mean_of_all_states():
    rng = np.random.default_rng(1)
    operators, row = reference.general(rng, 3)
    direction = rng.standard_normal(len(row))
    matrices = np.array([reference.matrix(op).toarray() for op in operators])
    means = np.trace(matrices, axis1=1, axis2=2).real / 8
    products = np.einsum("aij,bji->ab", matrices, matrices).real / 8
    curie = -(products - np.outer(means, means)) @ direction
    hot = qep.Thermal(1e6)
    np.testing.assert_allclose(hot(operators, row[None]).values[0], means, atol=1e-4)
    found = 1e6 * respond(hot, operators, row, direction)
    np.testing.assert_allclose(found, curie, atol=1e-4)
    assert np.abs(curie).max() > 1
    hottest = qep.Thermal(np.inf)
    np.testing.assert_allclose(
        hottest(operators, row[None]).values[0], means, atol=1e-15
    )
    assert not respond(hottest, operators, row, direction).any()


@pytest.mark.parametrize("temperature", [0.02, 1.0])
def test_a_degenerate_ground_state_is_no_trouble(temperature):
    # Z_0 commutes with H, has no mean and a square of 1: d<Z_0> = 1 / T, Curie's law.
    model = qep.Model(["ZZI", "IZZ"], readout=["IIZ"])
    theta = [-1.0, -1.0]
    settle = qep.Thermal(temperature)
    rows = model.coefficients(theta, [])
    phase = settle(model.operators, rows)
    expected = [np.tanh(1 / temperature)] * 2 + [0.0]
    np.testing.assert_allclose(phase.values[0], expected, atol=1e-12)
    found = respond(settle, model.operators, rows[0], np.array([0.0, 0.0, -1.0]))
    np.testing.assert_allclose(found, [0, 0, 1 / temperature], atol=1e-9 / temperature)


# --- The gap ------------------------------------------------------------------------


@pytest.mark.parametrize("push", ["X", "Z"])
def test_half_the_gap_is_where_the_partition_function_of_two_levels_vanishes(push):
    temperature, z, x = 0.4, *(np.array(reference.PAULI[a]) for a in "ZX")
    (gap,) = qep.Thermal(temperature)(
        [reference.at("Z", [0], 1)], np.array([[0.7]])
    ).gap
    # A push of X mixes the levels: i gap / 2 is the zero. One of Z closes the gap 1.4.
    turn = 1j if push == "X" else (-1.4 + 1j * np.pi * temperature) / gap

    def partition(distance):
        h = 0.7 * z + distance * turn * (x if push == "X" else z)
        return abs(np.trace(expm(-h / temperature)))

    assert partition(0.5 * gap) < 1e-12
    assert partition(0.45 * gap) > 0.1


def test_a_nudge_is_held_against_gap_and_temperature():
    model = qep.Model(["ZZ", "XI", "IX"], readout=["IZ"])
    where = model, [-1.0, -0.01, -0.01], [], [[1.0]]  # a gap of 1e-4
    how = {"equilibrium": qep.Thermal(0.5), "loss": qep.cost_observable}
    assert qep.gradient(*where, nudge=EXACT, **how).gap == pytest.approx(np.pi / 2)
    qep.gradient(*where, nudge=qep.Nudge.centered(0.7), **how)
    with pytest.warns(UserWarning, match=r"nudge 2 .* exceeds the gap 1.6"):
        qep.gradient(*where, nudge=qep.Nudge.centered(1.0), **how)


# --- Random vectors -----------------------------------------------------------------


def check_errors(found, exact):
    """Reported errors are those seen over many rows: neither too small nor too large.

    The numbers of one row are correlated; their mean is as uncertain as that of so many
    independent ones.
    """
    rows = len(found)
    error = found.values - exact
    assert np.abs(error / found.stds).max() < 6  # of 60 rows of 15 to 60 numbers
    independent = 1 / np.mean(np.corrcoef(error.T) ** 2)
    ratio = np.mean((error**2).mean(axis=0) / (found.stds**2).mean(axis=0))
    assert ratio == pytest.approx(1.0, abs=4 * np.sqrt(2 / (rows * independent)))


@pytest.mark.parametrize(("draw", "num_qubits"), [("ising", 8), ("general", 4)])
@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_random_vectors_are_right_within_honest_errors(draw, num_qubits, temperature):
    rng = np.random.default_rng(7)
    operators, row = getattr(reference, draw)(rng, num_qubits)
    direction = rng.standard_normal(len(row))
    exact = qep.Thermal(temperature)(operators, row[None]).values
    change = respond(qep.Thermal(temperature), operators, row, direction)
    rows, directions = np.tile(row, (60, 1)), np.tile(direction, (60, 1))
    settle = qep.Thermal(temperature, vectors=32)
    phase = settle(operators, rows, rng=generators(60))
    assert np.abs(exact).max() > 0.1
    check_errors(phase, exact)
    assert np.abs(change).max() > 0.1
    check_errors(settle.response(phase, operators, rows, directions), change)


@pytest.mark.parametrize("draw", [reference.ising, reference.general])
@pytest.mark.parametrize("temperature", [0.2, 1.0, 5.0])
def test_their_fluctuation_is_the_derivative_of_their_values(draw, temperature):
    rng = np.random.default_rng(3)
    operators, row = draw(rng, 4)
    direction = rng.standard_normal(len(row))
    settle = qep.Thermal(temperature, vectors=3)

    def value(t):
        return settle(operators, (row + t * direction)[None], rng=generators(1))

    (expected,) = reference.five_point(lambda t: value(t[0]).values[0], [0.0])
    exact = respond(qep.Thermal(temperature), operators, row, direction)
    assert np.abs(expected).max() > 0.1
    assert np.abs(expected - exact).max() > 0.01
    found = settle.response(value(0.0), operators, row[None], direction[None])
    np.testing.assert_allclose(found.values[0], expected, atol=1e-7)


class Forgetful:
    """Random vectors whose response does not tell what it shares with the values."""

    def __init__(self, settle):
        self.settle = settle

    def __call__(self, *args, **how):
        return self.settle(*args, **how)

    def response(self, *args):
        return replace(self.settle.response(*args), cross_covariance=None)


@pytest.mark.parametrize("offset", [-0.5, 0.5])
def test_slope_and_response_of_the_same_vectors_err_together(offset):
    operators = [-SparsePauliOp(label) for label in ("ZZ", "IX", "XI", "IZ", "ZI")]
    row, batch = [0.3, 0.4, 0.5, 0.3, 0.1], 200
    model = qep.Model(operators, inputs=operators, readout=["ZI"])
    theta, x = np.zeros(len(row)), np.tile(row, (batch, 1))
    y = qep.predict(model, theta, row, equilibrium=qep.Thermal(0.5)) - offset

    def ratios(settle):
        g = qep.gradient(
            model, theta, x, np.tile(y, (batch, 1)),
            equilibrium=settle, nudge=EXACT, seed=1,
        )  # fmt: skip
        return g, g.inputs.var(axis=0) / (g.inputs_stds**2).mean(axis=0)

    settle = qep.Thermal(0.5, vectors=64)
    g, true = ratios(settle)
    _, forgetful = ratios(Forgetful(settle))
    assert g.norm > 1
    # What they share may make an error smaller, which is not taken off.
    assert true.max() == pytest.approx(1.0, abs=0.2)
    assert np.abs(forgetful - 1).max() > 0.3


def test_more_vectors_are_more_precise():
    operators, row = reference.ising(np.random.default_rng(7), 8)
    few, many = (
        qep.Thermal(3.0, vectors=count)(operators, row[None], rng=generators(1))
        for count in (16, 256)
    )
    assert few.stds.mean() / many.stds.mean() == pytest.approx(4.0, rel=0.3)


def test_cold_vectors_are_the_ground_state():
    rng = np.random.default_rng(1)
    operators, row = reference.gapped(rng, reference.ising, 6, bound=0.5)
    direction = rng.standard_normal(len(row))
    exact = qep.Exact()(operators, row[None])
    settle = qep.Thermal(exact.gap[0] / 60, vectors=2)
    phase = settle(operators, row[None], rng=generators(1))
    np.testing.assert_allclose(phase.values, exact.values, atol=1e-8)
    change = settle.response(phase, operators, row[None], direction[None])
    expected = respond(qep.Exact(), operators, row, direction)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(change.values[0], expected, atol=1e-8)
    hottest = qep.Thermal(np.inf, vectors=2)
    phase = hottest(operators, row[None], rng=generators(1))
    change = hottest.response(phase, operators, row[None], direction[None])
    assert not change.values.any()


def test_the_way_is_chosen_by_size(network, monkeypatch):
    model, theta, x, _ = network
    how = {"equilibrium": qep.Thermal(1.0), "return_std": True, "seed": 0}
    exact, none = qep.predict(model, theta, x, **how)
    assert not none.any()
    monkeypatch.setattr(thermal, "DENSE_QUBITS", 2)
    random, std = qep.predict(model, theta, x, **how)
    assert (std > 0).all()
    assert (np.abs(random - exact) < 5 * std).all()


# --- Shots --------------------------------------------------------------------------


@pytest.mark.parametrize("vectors", [None, 8])
def test_the_error_bars_of_shots_are_right(vectors):
    rng = np.random.default_rng(4)
    operators, row = reference.general(rng, 3)
    exact = reference.thermal(operators, row, 1.0)
    rows = np.repeat(row[None], 300, axis=0)
    settle = qep.Sampled(200, qep.Thermal(1.0, vectors=vectors))
    phase = settle(operators, rows, rng=generators(300))
    deviation = (phase.values - exact) / phase.stds
    assert np.abs(exact).max() > 0.1
    assert np.mean(deviation**2) == pytest.approx(1.0, abs=0.15)
    assert phase.shots % 200 == 0


# --- What is refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0,), r"temperature should be positive, got 0.0; .* Exact\(\)"),
        ((-1.0,), "temperature should be positive, got -1"),
        ((np.nan,), "temperature should be positive, got nan"),
        ((1.0, 1), "vectors should be at least 2, got 1"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        qep.Thermal(*arguments)
