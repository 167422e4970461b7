"""Classical Ising networks: enumeration, annealing, and the rule at finite beta."""

import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import SparsePauliOp

import qiskit_qep as qep
import reference

classical = qep.models.classical_ising


def draw(num_spins=5, seed=0, batch=2, **how):
    model = classical(num_spins, inputs=[0, 1], readout=[num_spins - 1], **how)
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal(model.num_trainable)
    return model, theta, rng.standard_normal((batch, 2))


def energy(num_spins, pairs, couplings, biases, fields):
    """Return the paper's energy, Eqs. (15-16), as a function of the spins."""

    def of(s):
        two = sum(c * s[j] * s[k] for c, (j, k) in zip(couplings, pairs, strict=True))
        return -two - np.dot(biases, s) - np.dot(fields, s)

    return of


def test_the_energy_is_the_papers():
    pairs = [(0, 2), (1, 2), (3, 0)]
    model = classical(4, edges=pairs, inputs=[1, 3], readout=[2])
    theta, x = np.arange(1.0, 8.0), [[0.25, -0.75]]
    of = energy(4, pairs, theta[:3], theta[3:], [0.0, 0.25, 0.0, -0.75])
    dense = reference.total(model.operators, model.coefficients(theta, x)[0])
    # Qubit q is bit q of the index, and bit 1 is s = -1.
    spins = [[1 - 2 * (i >> q & 1) for q in range(4)] for i in range(16)]
    np.testing.assert_allclose(dense, np.diag([of(s) for s in spins]), atol=1e-14)


def test_without_bias_theta_is_the_couplings():
    assert classical(4, edges="ring", bias=False).num_trainable == 4
    start = classical(30).initial(np.random.default_rng(0))
    np.testing.assert_allclose(start.std(), 0.1, rtol=5 / np.sqrt(2 * len(start)))


@given(st.integers(1, 5), st.integers(0, 10_000))
@settings(max_examples=30)
def test_enumeration_finds_the_minimum(num_spins, seed):
    """Also of strings of any order, with several of them in one operator."""
    rng = np.random.default_rng(seed)
    labels = ["".join(rng.choice(["I", "Z"], num_spins)) for _ in range(2 * num_spins)]
    operators = [
        SparsePauliOp([a, b], rng.normal(size=2))
        for a, b in zip(labels, labels[::-1], strict=True)
    ]
    operators += [
        SparsePauliOp("I" * k + "Z" + "I" * (num_spins - 1 - k))
        for k in range(num_spins)
    ]
    row = rng.standard_normal((2, len(operators)))
    phase = qep.Enumerated()(operators, row)
    for b in range(2):
        values = reference.settle(operators, row[b])[1]
        np.testing.assert_allclose(phase.values[b], values, atol=1e-12)


@pytest.mark.parametrize("equilibrium", [qep.Enumerated(), qep.Annealed(reads=20)])
def test_the_state_is_the_spins(equilibrium):
    model, theta, x = draw()
    rows = model.coefficients(theta, x)
    phase = equilibrium(model.operators, rows)
    (spins,) = phase.state
    assert spins.shape == (2, 5)
    for row, s, values in zip(rows, spins, phase.values, strict=True):
        energies = [np.dot(row, _values(model, t)) for t in product((1, -1), repeat=5)]
        assert np.dot(row, values) == pytest.approx(min(energies))
        np.testing.assert_allclose(_values(model, s), values)


def _values(model, s):
    labels = [op.to_list() for op in model.operators]
    return [
        sum(
            c.real * np.prod([s[q] for q, a in enumerate(reversed(label)) if a == "Z"])
            for label, c in terms
        )
        for terms in labels
    ]


def test_annealing_finds_what_enumeration_finds():
    model, theta, x = draw(num_spins=14, batch=5)
    exact, annealed = (
        qep.predict(model, theta, x, equilibrium=e, seed=3)
        for e in (qep.Enumerated(), qep.Annealed())
    )
    assert np.array_equal(exact, annealed)


def test_a_long_ring_passes_its_input_on():
    """More spins than bits of a machine word: what only annealing settles."""
    ring = classical(100, edges="chain", inputs=[0], readout=[99])
    theta = np.r_[np.full(99, 1.0), np.zeros(100)]
    theta[:99:2] *= -1.0  # 50 antiferromagnetic bonds: the end is as the beginning
    p = qep.predict(ring, theta, [[2.0], [-2.0]], equilibrium=qep.Annealed(), seed=1)
    assert p.tolist() == [[1.0], [-1.0]]


# --- The limit of the quantum network -----------------------------------------------


def test_the_quantum_network_becomes_classical():
    """Values of the transverse-field network differ by O(h^2) from the classical."""
    model, theta, x = draw(num_spins=4, batch=4, seed=2)
    quantum = qep.models.transverse_field_ising(4, inputs=[0, 1], readout=[3])
    at = model.num_trainable - 4
    zz_and_z = [*range(at), *range(at + 4, at + 8)]
    rows = model.coefficients(theta, x)
    expected = qep.Enumerated()(model.operators, rows).values
    errors = []
    for h in (0.002, 0.001):
        full = np.r_[theta[:at], np.full(4, h), theta[at:]]
        values = qep.Exact()(quantum.operators, quantum.coefficients(full, x)).values
        kept = values[:, [*zz_and_z, *range(at + 8, values.shape[1])]]
        errors.append(np.abs(kept - expected).max())
    assert 1e-7 < errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05)


# --- The rule -----------------------------------------------------------------------


def kicked(beta):
    """Draw a network whose spins a nudge of beta turns over, and its data."""
    for seed in range(100):
        model, theta, x = draw(seed=seed)
        y = -qep.predict(model, theta, x, equilibrium=qep.Enumerated())
        nudged = model.coefficients(theta, x, -2.0 * beta * y)
        phase = qep.Enumerated()(model.operators, nudged)
        spins = qep.Enumerated()(model.operators, model.coefficients(theta, x)).state[0]
        if np.all((phase.state[0] != spins).sum(axis=1) > 1):
            return model, theta, x, y
    raise AssertionError("no network found")


HOW = {"equilibrium": qep.Enumerated(), "loss": qep.cost_observable}


@pytest.mark.parametrize("equilibrium", [qep.Enumerated(), qep.Annealed()])
def test_the_rule_is_the_gradient_of_the_contrastive_function(equilibrium):
    """At a beta that turns spins over: differences of L_beta are exact there."""
    beta = 0.8
    model, theta, x, y = kicked(beta)

    def function(t):
        return qep.contrastive(model, t, x, y, beta=beta, equilibrium=qep.Enumerated())

    # L_beta is linear between two jumps of the spins, so any step is exact.
    exact = reference.five_point(function, theta)
    assert np.abs(exact).max() > 0.5
    nudge = qep.Nudge.one_sided(beta)
    measured = qep.gradient(
        model,
        theta,
        x,
        y,
        nudge=nudge,
        loss=qep.cost_observable,
        equilibrium=equilibrium,
        seed=1,
    )
    np.testing.assert_allclose(measured.values, exact, atol=1e-9)


def test_small_nudges_measure_nothing():
    model, theta, x, y = kicked(0.8)
    tiny = qep.gradient(model, theta, x, y, nudge=qep.Nudge.centered(1e-4), **HOW)
    assert not tiny.values.any()
    response = qep.gradient(
        model, theta, x, y, nudge=qep.Nudge.infinitesimal(), loss=qep.cost_observable
    )
    np.testing.assert_allclose(response.values, 0.0, atol=1e-9)
    large = qep.gradient(model, theta, x, y, nudge=qep.Nudge.centered(0.8), **HOW)
    assert np.abs(large.values).max() > 0.5


def test_an_infinitesimal_nudge_is_refused():
    model, theta, x, y = kicked(0.8)
    for equilibrium in (qep.Enumerated(), qep.Annealed()):
        with pytest.raises(TypeError, match=r"a response, .*use Nudge\.centered"):
            qep.gradient(
                model,
                theta,
                x,
                y,
                nudge=qep.Nudge.infinitesimal(),
                equilibrium=equilibrium,
            )


def test_the_contrastive_function_bounds_the_cost():
    beta = 0.8
    model, theta, x, y = kicked(beta)
    below, above = (
        qep.contrastive(model, theta, x, y, beta=b, equilibrium=qep.Enumerated())
        for b in (beta, -beta)
    )
    cost = qep.gradient(model, theta, x, y, nudge=qep.Nudge.centered(beta), **HOW).loss
    assert below - 1e-12 <= cost <= above + 1e-12
    assert above - below > 0.1


def test_a_classical_network_learns_and():
    x, _ = qep.datasets.xor()
    y = np.where(x.sum(axis=1, keepdims=True) > 1, 1.0, -1.0)
    model = classical(4, inputs=[0, 1], readout=[3])
    state = qep.train(
        model,
        x,
        y,
        steps=60,
        seed=1,
        nudge=qep.Nudge.centered(0.5),
        equilibrium=qep.Enumerated(),
        loss=qep.cost_observable,
        progress=False,
    )
    assert np.array_equal(
        qep.predict(model, state.theta, x, equilibrium=qep.Enumerated()), y
    )


# --- Averages over reads ------------------------------------------------------------


def test_averages_at_one_temperature_are_thermal():
    model, theta, x = draw(num_spins=4, batch=3)
    temperature = 1.5
    rows = model.coefficients(theta, x)
    how = {"sweeps": 60, "temperatures": (temperature, temperature), "average": True}
    thermal = np.array([boltzmann(model.operators, row, temperature) for row in rows])
    rng = [np.random.default_rng(b) for b in range(3)]
    phase = qep.Annealed(reads=4000, **how)(model.operators, rows, rng=rng)
    assert np.abs(thermal).min() > 1e-3
    assert phase.stds.max() < 0.03
    assert (np.abs(phase.values - thermal) < 5 * phase.stds).all()
    assert phase.state[0].shape == (3, 4000, 4)
    assert phase.shots == 4000


def boltzmann(operators, row, temperature):
    """Return thermal averages of diagonal operators, by their matrices."""
    diagonals = np.array([reference.matrix(op).diagonal().real for op in operators])
    energies = row @ diagonals
    weights = np.exp(-(energies - energies.min()) / temperature)
    return diagonals @ weights / weights.sum()


def test_the_standard_error_of_averages_is_right():
    """Of 200 repeats, chi^2 per repeat is 1."""
    model, theta, x = draw(num_spins=4, batch=1)
    rows = np.repeat(model.coefficients(theta, x), 200, axis=0)
    rng = [np.random.default_rng(b) for b in range(200)]
    settle = qep.Annealed(200, 40, temperatures=(1.5, 1.5), average=True)
    phase = settle(model.operators, rows, rng=rng)
    pulls = (phase.values - boltzmann(model.operators, rows[0], 1.5)) / phase.stds
    chi = (pulls**2).mean(axis=0)
    assert np.all(np.abs(chi - 1.0) < 5 * np.sqrt(2 / 200)), chi


# --- What is refused ----------------------------------------------------------------

QUANTUM = qep.models.transverse_field_ising(3, readout=[2])
THREE = qep.Model(["ZZI", "ZZZ", "ZII"], readout=["IIZ"])
BOTH = pytest.mark.parametrize("equilibrium", [qep.Enumerated(), qep.Annealed()])


@BOTH
def test_quantum_operators_are_refused(equilibrium):
    rows = QUANTUM.coefficients(np.ones(9), [])
    with pytest.raises(TypeError, match=r"operator 3 contains 'IIX'.*use Exact"):
        equilibrium(QUANTUM.operators, rows)


@BOTH
def test_operators_of_different_registers_are_refused(equilibrium):
    operators = [SparsePauliOp("Z"), SparsePauliOp("ZZ")]
    with pytest.raises(ValueError, match=r"got operator 0 on 1 and 1 on 2 qubits"):
        equilibrium(operators, np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"operator 0 should be Hermitian"):
        equilibrium([1j * operators[0]], np.ones((1, 1)))


def test_couplings_of_three_spins_are_enumerated_not_annealed():
    rows = THREE.coefficients([0.3, 1.0, 0.5], [], 0.2)
    with pytest.raises(ValueError, match=r"one of 3, \[0, 1, 2\]; use Enumerated"):
        qep.Annealed()(THREE.operators, rows)
    assert qep.Enumerated()(THREE.operators, rows).values[0, 1] == -1.0
    # Measured they may be.
    rows[:, 1] = 0.0
    phase = qep.Annealed()(THREE.operators, rows, rng=[np.random.default_rng(0)])
    assert np.abs(phase.values[0, 1]) == 1.0


def test_a_tie_is_warned_of():
    pair = classical(2, readout=[0], bias=False)
    with pytest.warns(UserWarning, match=r"sample 0 \(and 1 more\) has two or more"):
        qep.Enumerated()(pair.operators, pair.coefficients([1.0], np.ones((2, 0))))


def test_too_many_spins_for_enumeration():
    big = classical(25, edges="chain", readout=[0])
    with pytest.raises(ValueError, match=r"up to 24 spins, got 25; use Annealed"):
        qep.Enumerated()(big.operators, big.coefficients(np.ones(49), []))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"reads": 0}, r"reads should be at least 1, got 0"),
        ({"reads": 1, "average": True}, r"reads should be at least 2, got 1"),
        ({"sweeps": 0}, r"sweeps should be at least 1, got 0"),
        ({"temperatures": (1.0, 0.0)}, r"two positive ones, got \(1\.0, 0\.0\)"),
        ({"temperatures": (1.0,)}, r"two positive ones, got \(1\.0,\)"),
    ],
)
def test_annealings_that_are_refused(how, message):
    with pytest.raises(ValueError, match=message):
        qep.Annealed(**how)


def test_a_missing_library_is_named():
    code = (
        "import sys; sys.modules['dwave.samplers'] = None\n"
        "import qiskit_qep as qep\n"
        "model = qep.models.classical_ising(2, readout=[1])\n"
        "qep.predict(model, [1.0] * 3, [], equilibrium=qep.Annealed())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert 'pip install "qiskit-qep[anneal]", or use Enumerated' in done.stderr
