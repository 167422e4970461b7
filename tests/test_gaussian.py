"""Oscillators: closed forms against Fock space, complex steps, shots and refusals."""

import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mechanics
import qiskit_qep as qep
import reference
from qiskit_qep import QuadraticForm

GAUSSIAN = qep.Gaussian()
EXACT = {"equilibrium": GAUSSIAN, "nudge": qep.Nudge.infinitesimal()}


def drawn(num_atoms, rng):
    """Draw a ring with springs across it, two clamped atoms and a force."""
    clamped = [0, num_atoms // 2]
    ring = [(i, (i + 1) % num_atoms) for i in range(num_atoms)]
    across = {tuple(sorted(rng.choice(num_atoms, 2, replace=False))) for _ in ring}
    near = {tuple(sorted(pair)) for pair in [*ring, clamped]}
    return {
        "masses": rng.uniform(0.5, 2.0, num_atoms),
        "springs": ring + sorted(across - near),
        "anchors": rng.uniform(0.0, 0.2, num_atoms),
        "clamped": clamped,
        "inputs": [1],
    }


def network(num_atoms, rng, *, squares=True):
    """Return a model with every kind of readout, theta, x and y."""
    last = num_atoms - 1
    energy = QuadraticForm({f"p_{last} p_{last}": 0.5, f"r_{last} r_1": 0.3}, num_atoms)
    readout = [last, f"r_{last} r_{last}", energy] if squares else [last]
    model = qep.models.oscillator_network(**drawn(num_atoms, rng), readout=readout)
    theta = rng.uniform(0.5, 2.0, model.num_trainable)
    x = rng.standard_normal((2, model.num_inputs))
    return model, theta, x, rng.standard_normal((2, model.num_readout))


# --- Forms ----------------------------------------------------------------------------


def test_equal_polynomials_are_equal():
    a = QuadraticForm({"r_1 r_0": 1.0, "p_0": 2.0, "r_0": 0.0}, 2)
    b = QuadraticForm([("p_0", 0.5), ("r_0 r_1", 1.0), ("p_0", 1.5)], 2)
    assert a == b
    assert hash(a) == hash(b)
    assert repr(a) == "QuadraticForm({'r_0 r_1': 1.0, 'p_0': 2.0}, num_modes=2)"
    assert a != QuadraticForm({"r_0 r_1": 1.0, "p_0": 2.0}, 3)
    assert a != QuadraticForm({"r_0 r_1": 1.0, "p_1": 2.0}, 2)


@given(st.integers(1, 3), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_a_form_of_a_matrix_has_that_matrix(n, momenta, seed):
    rng = np.random.default_rng(seed)
    size = 2 * n if momenta else n
    A, a = rng.standard_normal((size, size)), rng.standard_normal(size)
    form = QuadraticForm.of(A + A.T, a, 0.5, num_modes=n)
    z = rng.standard_normal(2 * n)
    inside = z[:size]
    expected = 0.5 * inside @ (A + A.T) @ inside + a @ inside + 0.5
    assert abs(mechanics.evaluate(form, z) - expected) < 1e-12


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: QuadraticForm({"r_0 r_0 r_0": 1.0}, 1), "one or two of r_i and p_i"),
        (lambda: QuadraticForm({"x_0": 1.0}, 1), "one or two of r_i and p_i.*'x_0'"),
        (lambda: QuadraticForm({"r_2": 1.0}, 2), "'r_2' should name modes 0 to 1"),
        (lambda: QuadraticForm({"r_0": np.inf}, 1), "'r_0' should have a finite.*inf"),
        (lambda: QuadraticForm({"r_0": 1j}, 1), "'r_0' should have a finite real.*1j"),
        (lambda: QuadraticForm({}, 0), "num_modes should be at least 1, got 0"),
        (lambda: QuadraticForm.of([[0, 1], [0, 0]]), "symmetric, got"),
        (lambda: QuadraticForm.of(np.eye(3), num_modes=2), "2 or 4 rows, got 3"),
        (lambda: QuadraticForm.of(np.eye(2), [1]), r"shape \(2,\), got \(1,\)"),
        (
            lambda: qep.Model([QuadraticForm({}, 1)], readout=[QuadraticForm({}, 2)]),
            "one register, got 1 modes and 2 modes",
        ),
    ],
)
def test_forms_that_are_wrong_are_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_the_fingerprint_reads_every_coefficient():
    def mark(c):
        form = QuadraticForm({"r_0 r_0": c, "p_0 p_0": 1.0}, 1)
        return qep.Model([form]).fingerprint

    assert mark(1.0) == mark(1.0)
    assert mark(1.0) != mark(1.0 + 1e-15)


# --- Values ---------------------------------------------------------------------------


def test_covariance_and_energy_are_the_closed_forms():
    """Of physics: <r r^T> = M^-1/2 W^-1 M^-1/2 / 2, E = tr W / 2 - f K^-1 f / 2."""
    rng = np.random.default_rng(0)
    n = 5
    masses, anchors = rng.uniform(0.5, 2, n), rng.uniform(0.1, 1, n)
    pairs = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 3)]
    k, f = rng.uniform(0.5, 2, len(pairs)), rng.standard_normal(n)
    model = qep.models.oscillator_network(
        masses, pairs, anchors=anchors, inputs=range(n), readout=range(n)
    )
    K = np.diag(anchors)
    for (i, j), c in zip(pairs, k, strict=True):
        K[[i, j], [i, j]] += c
        K[[i, j], [j, i]] -= c
    root = np.diag(masses**-0.5)
    omega, U = np.linalg.eigh(root @ K @ root)
    omega = np.sqrt(omega)
    spread = 0.5 * root @ (U / omega) @ U.T @ root
    rows = model.coefficients(k, f)
    phase = GAUSSIAN(model.operators, rows)
    V = GAUSSIAN.covariance(model.operators, rows)[0]
    np.testing.assert_allclose(V[:n, :n], spread, atol=1e-12)
    np.testing.assert_allclose(V[:n, n:], 0.0, atol=1e-12)
    mean = np.linalg.solve(K, f)
    np.testing.assert_allclose(phase.values[0, model.readout_columns], mean, atol=1e-12)
    energy = 0.5 * omega.sum() - 0.5 * f @ mean
    np.testing.assert_allclose(phase.values[0] @ rows[0], energy, rtol=1e-12)
    np.testing.assert_allclose(phase.gap, omega[0], rtol=1e-12)
    np.testing.assert_allclose(phase.state[0][0], [*mean, *np.zeros(n)], atol=1e-12)


@pytest.mark.parametrize("make", [mechanics.oscillators, mechanics.mixed])
@pytest.mark.parametrize(("n", "cutoff"), [(1, 40), (2, 24)])
def test_values_are_those_of_the_ground_state_in_fock_space(make, n, cutoff):
    operators, row = make(np.random.default_rng(n), n)
    matrices = [mechanics.fock(op, cutoff) for op in operators]
    levels, v = np.linalg.eigh(sum(c * m for c, m in zip(row, matrices, strict=True)))
    values = [(v[:, 0].conj() @ m @ v[:, 0]).real for m in matrices]
    phase = GAUSSIAN(operators, row[None])
    assert np.abs(phase.state[0]).max() > 0.1
    np.testing.assert_allclose(phase.values[0], values, atol=1e-8)
    np.testing.assert_allclose(phase.gap[0], levels[1] - levels[0], atol=1e-7)


# --- Gradients ------------------------------------------------------------------------


def analytic_loss(masses, anchors, pairs, clamped, forced, theta, x, y):
    """Return the squared error of (r, r^2, energy) of ``network``, complex steps too.

    The square root is that of Denman and Beavers: of inverses only, so that imaginary
    parts of 1e-30 survive.
    """
    n = len(masses)
    K, f = np.diag(anchors).astype(complex), np.zeros(n, complex)
    for (i, j), k in zip(pairs, theta, strict=True):
        K[[i, j], [i, j]] += k
        K[[i, j], [j, i]] -= k
    free = [i for i in range(n) if i not in clamped]
    f[forced] += x[len(clamped) :]
    f -= K[:, clamped] @ x[: len(clamped)]
    root = np.diag(masses[free] ** -0.5)
    square = root @ K[np.ix_(free, free)] @ root
    W, inverse = square, np.eye(len(free))
    for _ in range(12):
        W, inverse = (
            0.5 * (W + np.linalg.inv(inverse)),
            0.5 * (inverse + np.linalg.inv(W)),
        )
    mean = np.zeros(n, complex)
    mean[free] = np.linalg.solve(K[np.ix_(free, free)], f[free])
    V = np.zeros((n, n), complex)
    V[np.ix_(free, free)] = 0.5 * root @ inverse @ root
    pp = 0.5 * W[-1, -1] * masses[-1]
    p = [mean[-1], V[-1, -1] + mean[-1] ** 2]
    p += [0.5 * pp + 0.3 * (V[-1, 1] + mean[-1] * mean[1])]
    return sum((a - b) ** 2 for a, b in zip(p, y, strict=True))


def test_the_gradient_at_200_atoms_is_that_of_complex_steps():
    rng = np.random.default_rng(3)
    model, theta, x, y = network(200, rng)
    found = qep.gradient(model, theta, x, y, **EXACT)
    parts = drawn(200, np.random.default_rng(3))
    args = (parts["masses"], parts["anchors"], parts["springs"], [0, 100], [1])
    largest = [int(k) for k in np.argsort(-np.abs(found.values))[:5]]
    others = rng.choice(len(theta), 3).tolist()
    for k in largest + others:
        step = 1e-30j * np.eye(len(theta))[k]
        slopes = [
            analytic_loss(*args, theta + step, x[b], y[b]).imag / 1e-30 for b in (0, 1)
        ]
        np.testing.assert_allclose(
            found.values[k], np.mean(slopes), rtol=1e-10, atol=1e-13
        )
    for j in range(3):
        step = 1e-30j * np.eye(3)[j]
        slope = analytic_loss(*args, theta, x[0] + step, y[0]).imag / 1e-30
        np.testing.assert_allclose(found.inputs[0, j], slope, rtol=1e-10)
    assert np.abs(found.values[largest]).min() > 1e-3
    assert np.abs(found.inputs[0]).min() > 1e-3


@pytest.mark.parametrize(
    ("nudge", "error"),
    [
        (qep.Nudge.centered(1e-4), 1e-5),
        (qep.Nudge.chebyshev(0.02, 6), 1e-8),
        (qep.Nudge.holomorphic(0.02, 8), 1e-9),
    ],
)
def test_every_stencil_finds_the_exact_gradient(nudge, error):
    model, theta, x, y = network(8, np.random.default_rng(1))
    exact = qep.gradient(model, theta, x, y, **EXACT)
    found = qep.gradient(model, theta, x, y, equilibrium=GAUSSIAN, nudge=nudge)
    assert exact.norm > 0.1
    np.testing.assert_allclose(found.values, exact.values, atol=error * exact.norm)
    np.testing.assert_allclose(found.inputs, exact.inputs, atol=5 * error * exact.norm)


def test_modes_of_equal_frequency_are_no_trouble():
    """A ring of equal atoms has pairs of them; response and stencils divide by none."""
    ring = qep.models.oscillator_network(
        [1.0] * 6, "ring", anchors=0.5, inputs=[0], readout=["r_0 r_2", "p_1 p_1", 3]
    )
    theta, x, y = np.ones(6), [[0.7]], [[0.0, 0.0, 0.0]]
    exact = qep.gradient(ring, theta, x, y, **EXACT)
    assert exact.norm > 0.01
    for nudge in (qep.Nudge.chebyshev(0.05, 6), qep.Nudge.holomorphic(0.05, 8)):
        found = qep.gradient(ring, theta, x, y, equilibrium=GAUSSIAN, nudge=nudge)
        np.testing.assert_allclose(found.values, exact.values, atol=1e-9)
        np.testing.assert_allclose(found.inputs, exact.inputs, atol=1e-9)


def test_a_users_own_model_of_mixed_forms_has_the_gradient_of_its_loss():
    operators, row = mechanics.mixed(np.random.default_rng(2), 3)
    fixed = QuadraticForm({label: 12.0 * c for label, c in operators[0].terms}, 3)
    model = qep.Model(operators[1:6], operators[6:9], operators[9:], fixed)
    theta, x = row[1:6], row[None, 6:9]
    y = np.zeros((1, model.num_readout))

    def loss(theta, u):
        rows = model.coefficients(theta, u)
        p = mechanics.ground(model.operators, rows[0])[1][model.readout_columns]
        return (p**2).sum()

    found = qep.gradient(model, theta, x, y, **EXACT)
    by_theta = reference.five_point(lambda t: loss(t, x), theta)
    by_x = reference.five_point(lambda u: loss(theta, u), x[0])
    assert np.abs(by_theta).max() > 0.01
    assert np.abs(by_x).max() > 0.01
    np.testing.assert_allclose(found.values, by_theta, atol=1e-8)
    np.testing.assert_allclose(found.inputs[0], by_x, atol=1e-8)


def test_a_force_here_moves_what_a_force_there_moves_here():
    """Onsager's reciprocity in a network, far from the identity it would be alone."""

    def moved(push, read):
        model = qep.models.oscillator_network(
            [1.0, 2.0, 0.5, 1.5], "chain", anchors=0.3, inputs=[push], readout=[read]
        )
        return qep.predict(model, [1.0, 0.7, 2.0], [[1.0]], equilibrium=GAUSSIAN)[0, 0]

    assert moved(0, 3) > 0.1
    assert moved(0, 3) == pytest.approx(moved(3, 0), rel=1e-12)


def test_the_papers_sum_over_ordered_pairs_is_twice_the_spring():
    k_paper = 0.7
    ordered = {"r_0 r_0": 0.5, "r_0 r_1": -1.0, "r_1 r_1": 0.5}
    twice = QuadraticForm({label: 2 * c for label, c in ordered.items()}, 2)
    ours = qep.models.oscillator_network([1.0, 1.0], [(0, 1)], anchors=1.0)
    (spring,) = ours.trainable
    theirs = qep.Model([twice], fixed=ours.fixed)
    values = [
        GAUSSIAN(model.operators, model.coefficients([k], []))
        for model, k in ((ours, 2 * k_paper), (theirs, k_paper))
    ]
    assert spring == QuadraticForm(ordered, 2)
    np.testing.assert_allclose(values[0].gap, values[1].gap, rtol=1e-12)
    np.testing.assert_allclose(2 * values[0].values[:, 0], values[1].values[:, 0])


# --- Shots ----------------------------------------------------------------------------


def test_shots_are_right_and_so_are_their_errors():
    model, theta, x, _ = network(4, np.random.default_rng(5))
    rows = np.tile(model.coefficients(theta, x[:1]), (3000, 1))
    rng = [np.random.default_rng([1, b]) for b in range(len(rows))]
    phase = qep.Sampled(50, GAUSSIAN)(model.operators, rows, rng=rng)
    exact = GAUSSIAN(model.operators, rows[:1]).values[0]
    assert phase.shots == 100  # positions, and momenta
    scatter, said = np.cov(phase.values.T), phase.covariance.mean(axis=0)
    error = np.sqrt(np.diag(scatter) / len(rows))
    assert (np.abs(phase.values.mean(axis=0) - exact) < 5 * error).all()
    size = np.sqrt(np.diag(scatter))
    relative = (said - scatter) / np.outer(size, size)
    # Wishart: 1 / sqrt(3000) = 0.018 for a correlation, sqrt(2) more for a variance.
    assert np.abs(relative).max() < 5 * 0.018 * np.sqrt(2) * 1.2
    shared = said / np.outer(size, size) - np.eye(len(size))
    assert np.abs(shared).max() > 0.3, "no covariance to get wrong"


def test_a_gradient_from_shots_is_right_within_its_errors():
    model, theta, x, y = network(5, np.random.default_rng(6))
    nudge = qep.Nudge.centered(0.03)
    expected = qep.gradient(model, theta, x, y, equilibrium=GAUSSIAN, nudge=nudge)
    shots = qep.Sampled(100_000, GAUSSIAN)
    found = qep.gradient(model, theta, x, y, equilibrium=shots, nudge=nudge, seed=1)
    std = np.sqrt(found.stds**2 + found.slope_stds**2)
    assert (np.abs(found.values - expected.values) < 5 * std).all()
    assert (np.abs(found.inputs - expected.inputs) < 5 * found.inputs_stds).all()
    assert expected.norm > 5 * found.norm_std


def test_suggested_nudges_shrink_with_shots():
    model, theta, x, _ = network(4, np.random.default_rng(7))
    y = qep.predict(model, theta, x, equilibrium=GAUSSIAN) + 0.3
    few, many = (
        qep.suggest_nudge(model, theta, x, y, n, equilibrium=GAUSSIAN, seed=0).reach
        for n in (100, 30_000)
    )
    assert 0 < many < few <= 1.0


# --- Elsewhere in the package ---------------------------------------------------------


def test_training_saves_resumes_and_spreads(tmp_path):
    model, _, x, y = network(6, np.random.default_rng(8), squares=False)
    how = {"equilibrium": GAUSSIAN, "batch_size": 1, "progress": False}
    whole = qep.train(model, x, y, steps=6, seed=3, **how)
    half = qep.train(model, x, y, steps=3, seed=3, **how)
    half.save(tmp_path / "half.npz")
    resumed = qep.train(
        model, x, y, steps=3, state=qep.State.load(tmp_path / "half.npz"), **how
    )
    assert np.array_equal(whole.theta, resumed.theta)
    assert np.abs(whole.theta - half.theta).max() > 1e-3
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        how["equilibrium"] = qep.Parallel(GAUSSIAN, pool, rows=1)
        apart = qep.train(model, x, y, steps=2, seed=3, **how)
        shots = qep.Sampled(100, qep.Parallel(GAUSSIAN, pool))
        p = qep.predict(model, whole.theta, x, equilibrium=shots, seed=0)
    how["equilibrium"] = GAUSSIAN
    assert np.array_equal(
        apart.theta, qep.train(model, x, y, steps=2, seed=3, **how).theta
    )
    serial = qep.Sampled(100, GAUSSIAN)
    assert np.array_equal(
        p, qep.predict(model, whole.theta, x, equilibrium=serial, seed=0)
    )
    assert qep.plan(model, x, equilibrium=GAUSSIAN).jobs == 0


def test_operators_that_were_sent_are_compiled_once():
    operators = network(6, np.random.default_rng(0))[0].operators
    sent = [pickle.loads(pickle.dumps(operators)) for _ in range(2)]
    assert sent[0] == operators
    assert sent[0] is sent[1]


def test_a_push_along_a_position_needs_no_warning_about_the_gap():
    """It moves the state and leaves all levels where they are."""
    model = qep.models.oscillator_network([1.0], anchors=0.04, inputs=[0], readout=[0])
    found = qep.gradient(model, [], [[0.0]], [[3.0]], equilibrium=GAUSSIAN)
    assert found.gap == pytest.approx(0.2)
    np.testing.assert_allclose(found.inputs, [[2 * 3.0 * -25.0]], rtol=1e-9)


# --- Refusals -------------------------------------------------------------------------


def test_a_free_centre_of_mass_is_refused_with_the_remedy():
    free = qep.models.oscillator_network([1.0] * 3, "chain", readout=[0])
    complaint = (
        r"sample 0 has no ground state.*flat along r of modes \[0, 1, 2\]; anchor"
    )
    with pytest.raises(ValueError, match=complaint):
        qep.predict(free, [1.0, 1.0], [], equilibrium=GAUSSIAN)


def test_a_stiffness_that_falls_is_refused_by_sample_also_under_the_nudge():
    squares = QuadraticForm({"r_0 r_0": 1.0}, 1)
    kinetic = QuadraticForm({"p_0 p_0": 0.5}, 1)
    model = qep.Model(inputs=[squares], trainable=[], readout=[squares], fixed=kinetic)
    with pytest.raises(
        ValueError, match=r"sample 1 .*falls \(curvature -0\.4\) along r"
    ):
        qep.predict(model, [], [[1.0], [-0.2]], equilibrium=GAUSSIAN)
    with pytest.raises(ValueError, match=r"sample 0 has no ground.*lower the nudge"):
        qep.gradient(
            model,
            [],
            [[0.1]],
            [[9.0]],
            equilibrium=GAUSSIAN,
            nudge=qep.Nudge.centered(0.5),
        )
    with pytest.raises(ValueError, match=r"sample 0 cannot be continued.*radius"):
        qep.gradient(
            model,
            [],
            [[0.1]],
            [[9.0]],
            equilibrium=GAUSSIAN,
            nudge=qep.Nudge.holomorphic(0.5, 4),
        )


def test_a_mode_without_kinetic_energy_is_refused():
    bare = QuadraticForm({"p_0 p_0": 1, "r_0 r_0": 1, "r_1 r_1": 1}, 2)
    with pytest.raises(ValueError, match=r"flat along p of modes \[1\]; give every"):
        GAUSSIAN([bare], np.ones((1, 1)))


def test_a_mixed_form_that_falls_is_refused():
    form = QuadraticForm({"p_0 p_0": 1, "r_0 r_0": 1, "r_0 p_0": 3}, 1)
    with pytest.raises(ValueError, match=r"falls .*along z of modes \[0\].*definite"):
        GAUSSIAN([form], np.ones((1, 1)))


def test_operators_without_a_mode_are_refused():
    with pytest.raises(ValueError, match="no operator acts on a mode"):
        GAUSSIAN([QuadraticForm({"": 1.0}, 2)], np.ones((1, 1)))


def test_what_has_no_shots_is_refused():
    model = qep.Model(
        [QuadraticForm({"r_0 r_0": 1, "p_0 p_0": 1}, 1)],
        readout=[QuadraticForm({"r_0 p_0": 1.0}, 1)],
    )
    with pytest.raises(TypeError, match=r"operator 1 multiplies a position with a mom"):
        qep.predict(model, [1.0], [], equilibrium=qep.Sampled(10, GAUSSIAN))
    with pytest.raises(ValueError, match=r"at least 2 shots.*got 1"):
        qep.predict(model, [1.0], [], equilibrium=qep.Sampled(1, GAUSSIAN))


@pytest.mark.parametrize(
    "equilibrium",
    [
        qep.Exact(),
        qep.Sampled(10),
        qep.Prepared(qep.Ramp()),
        qep.Prepared(qep.Variational("exact")),
    ],
)
def test_equilibria_of_qubits_refuse_oscillators(equilibrium):
    model = qep.models.oscillator_network([1.0], anchors=1.0, readout=[0])
    with pytest.raises(TypeError, match=r"operator 0 is a QuadraticForm.*Pauli"):
        qep.predict(model, [], [], equilibrium=equilibrium)


def test_gaussian_refuses_qubits_and_distances():
    model = qep.models.transverse_field_ising(2, readout=[1])
    with pytest.raises(TypeError, match=r"operator 0 is a SparsePauliOp.*by Exact"):
        qep.predict(model, np.ones(5), [], equilibrium=GAUSSIAN)
    with pytest.raises(TypeError, match=r"operator 0 is a Distance.*by Relaxed"):
        GAUSSIAN([qep.Distance(0, 1, 2)], np.ones((1, 1)))
    with pytest.raises(ValueError, match=r"as many modes.*with 1 and 1 with 2"):
        GAUSSIAN([QuadraticForm({}, 1), QuadraticForm({}, 2)], np.ones((1, 2)))


OSCILLATORS = qep.models.oscillator_network


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: OSCILLATORS([1.0, 0.0]), "masses should be positive numbers, got"),
        (lambda: OSCILLATORS([1.0] * 2, clamped=[2]), "clamped should be atoms 0 to 1"),
        (lambda: OSCILLATORS([1.0] * 2, inputs=[0, 0]), "inputs should not repeat"),
        (lambda: OSCILLATORS([1.0] * 2, clamped=[0], inputs=[0]), "0 as both"),
        (
            lambda: OSCILLATORS([1.0] * 2, clamped=[0], readout=[0]),
            "clamped atoms, got {0}",
        ),
        (lambda: OSCILLATORS([1.0] * 2, readout=["r_5"]), "modes 0 to 1"),
        (lambda: OSCILLATORS([1.0] * 3, [(0, 1)], clamped=[0, 1]), r"got \(0, 1\)"),
        (lambda: OSCILLATORS([1.0] * 3, [(0, 3)]), r"springs should join.*\(0, 3\)"),
        (lambda: OSCILLATORS([1.0] * 3, "star"), "springs should be 'chain' or 'ring'"),
    ],
)
def test_networks_that_are_wrong_are_refused(make, complaint):
    with pytest.raises(ValueError, match=re.compile(complaint)):
        make()
