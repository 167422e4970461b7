"""Variational Monte Carlo against exact diagonalisation, and its error bars."""

import doctest
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import SparsePauliOp

import qiskit_qep as qep
import reference
from qiskit_qep._model import pauli_terms
from qiskit_qep.equilibria import variational_monte_carlo
from qiskit_qep.equilibria._stoquastic import gauge
from qiskit_qep.equilibria._tangents import CHAINS, measured, respond

needs_netket = pytest.mark.skipif(
    find_spec("netket") is None,
    reason="NetKet brings JAX, 540 MB that the tests do not install: "
    "pip install '.[all,test,vmc]'",
)
MODEL = qep.models.transverse_field_ising(4, inputs=[2], readout=[3])
THETA = np.random.default_rng(0).uniform(0.2, 0.8, MODEL.num_trainable)
THETA[-4:] *= 0.2  # weak fields along Z, so that the input is felt
X, Y = np.array([[0.2]]), np.array([[-1.0]])
SETTLE = qep.VariationalMonteCarlo(1024, steps=30)
INFINITESIMAL = qep.Nudge.infinitesimal()
RNG = np.random.default_rng


def settle(operators, rows, seed=0, how=SETTLE, **start):
    rng = [RNG([seed, b]) for b in range(len(rows))]
    return how(operators, rows, rng=rng, **start)


# --- Signs (without NetKet) ---------------------------------------------------------


def signed(operators, row):
    """Return H with the signs that the gauge found, as a dense matrix."""
    terms = pauli_terms(operators)
    h = terms.weights.T @ row
    return reference.total(list(strings_of(terms)), gauge(terms, h, 0) * h)


def strings_of(terms):
    bits = np.arange(terms.num_qubits, dtype=np.uint64)
    for flips, signs in zip(terms.flips, terms.signs, strict=True):
        x, z = (((m >> bits) & np.uint64(1)).astype(bool) for m in (flips, signs))
        letters = np.array(list("IZXY"))[2 * x + z]
        yield SparsePauliOp("".join(letters[::-1]))


@given(seed=st.integers(0, 10**6), num_qubits=st.integers(1, 5))
@settings(max_examples=50)
def test_signs_hidden_by_z_are_found(seed, num_qubits):
    """Elements <= 0 off the diagonal, turned by a random product of Z."""
    rng = RNG(seed)
    g, qubits = rng.integers(2, size=num_qubits), np.arange(num_qubits)
    operators, row = [], []
    for flip in np.unique(rng.integers(2, size=(2 * num_qubits, num_qubits)), axis=0):
        others = rng.permutation(qubits[flip == 0])[:2]
        for z, c in ((others[:0], -1.0), (others, rng.uniform(-1, 1))):
            where = [*qubits[flip == 1], *z]
            letters = "X" * flip.sum() + "Z" * len(z)
            operators.append(reference.at(letters, where, num_qubits))
            row.append(c * (-1.0) ** (flip @ g) if flip.any() else rng.normal())
    found = signed(operators, row)
    assert (found - np.diag(np.diag(found)) <= 1e-12).all()
    energies = np.linalg.eigvalsh(reference.total(operators, row))
    np.testing.assert_allclose(np.linalg.eigvalsh(found), energies, atol=1e-9)


def test_an_antiferromagnet_on_a_bipartite_graph_has_marshall_signs():
    places = [(a + a, [q, (q + 1) % 4]) for q in range(4) for a in "XYZ"]
    operators = [reference.at(*place, 4) for place in places]
    found = signed(operators, np.ones(12))
    assert reference.total(operators, np.ones(12)).max() > 1
    assert (found - np.diag(np.diag(found)) <= 1e-12).all()
    assert found.min() < -1


@pytest.mark.parametrize(
    ("labels", "row", "complaint"),
    [
        (["XXI", "IXX", "XIX"], [1, 1, 1], r"\+1 [IX]{3} is frustrated"),
        (["XI", "YI"], [1, 0.5], r"sample 0 has.*\+0.5 YI makes amplitudes complex"),
        (["ZX", "IX"], [-2, 1], r"-2 ZX outweighs.*use Exact, or TensorNetwork"),
        (["XX", "YY"], [1, -1.1], r"-1.1 YY outweighs"),
        (["ZX"], [1], r"\+1 ZX outweighs"),
    ],
)
def test_a_sign_problem_is_refused(labels, row, complaint):
    operators = [SparsePauliOp(label) for label in labels]
    with pytest.raises(ValueError, match=complaint):
        SETTLE(operators, np.array([row], float))


# --- Averages, on samples of a state that is known (without NetKet) -----------------


def amplitudes(terms, row, seed, *, length=40, complete=True):
    """Sample sqrt(|psi|) as a neural state whose logarithms are its parameters.

    Returns:
        What ``respond`` takes, but for dH. Incomplete, the tangents leave out all but
        random combinations, and the state does not reach its own change.
    """
    signs = gauge(terms, terms.weights.T @ row, 0)
    strings = [reference.matrix(p).toarray().real for p in strings_of(terms)]
    strings = signs[:, None, None] * strings
    total = np.einsum("t,tij->ij", terms.weights.T @ row, strings)
    psi = np.abs(np.linalg.eigh(total)[1][:, 0])
    at = RNG(seed).choice(len(psi), size=CHAINS * length, p=psi / psi.sum())
    tangents = np.eye(len(psi))
    if not complete:
        tangents = tangents @ RNG(1).standard_normal((len(psi), 3))
    energy = total @ psi / psi
    slope = total @ (psi[:, None] * tangents) / psi[:, None]
    slope -= energy[:, None] * tangents
    local = np.array([(p @ psi / psi) for p in strings]).T
    share = np.array([2 * (p @ psi) / (psi + np.abs(p) @ psi) for p in strings]).T
    neighbours = [
        ([t], (np.abs(p) @ tangents)[at]) for t, p in enumerate(strings)
    ]  # of the same flip one by one
    weights = psi[at] / psi[at].sum()
    return share[at], weights, tangents[at], slope[at], local[at], neighbours


def of_samples(*, draws=1, **how):
    """Return the response and its error for several draws, and its exact value."""
    operators, row = reference.gapped(RNG(3), reference.ising, 3, bound=1.0)
    terms = pauli_terms(operators)
    direction = RNG(7).standard_normal(len(row))
    exact = reference.five_point(
        lambda t: reference.settle(operators, row + t[0] * direction)[1], np.zeros(1)
    )[0]
    found = []
    for seed in range(draws):
        share, weights, o, slope, local, neighbours = amplitudes(
            terms, row, seed, **how
        )
        force = local @ (terms.weights.T @ direction)
        each, change = respond(share, weights, o, slope, force, neighbours)
        assert change.std() > 0.1
        values, covariance, _ = measured(each @ terms.weights.T, weights)
        found.append((values, np.sqrt(np.diag(covariance))))
    values, stds = map(np.array, zip(*found, strict=True))
    return values, stds, exact


def test_the_response_is_the_derivative_of_exact_values():
    values, stds, exact = of_samples()
    assert np.abs(exact).max() > 0.1
    assert stds.max() < 0.1 * np.abs(exact).max()
    assert (np.abs(values - exact) < 5 * stds + 1e-9).all()


@pytest.mark.parametrize("complete", [True, False])
def test_the_error_of_the_response_is_its_scatter(complete):
    """Also where the tangents are too few, and residuals of the equation add to it."""
    values, stds, exact = of_samples(draws=200, complete=complete)
    ratio = values.std(axis=0, ddof=1) / np.sqrt((stds**2).mean(axis=0))
    # 5 sigma of 200 draws: 5 / sqrt(400).
    np.testing.assert_allclose(ratio, 1.0, atol=0.25)
    bias = np.abs(values.mean(axis=0) - exact).max()
    assert (bias < 0.02) == complete


@pytest.mark.parametrize("memory", [0.0, 0.8])
def test_autocorrelation_is_in_the_covariance_and_in_r_hat(memory):
    rng, length = RNG(0), 500
    chains = np.empty((CHAINS, length, 2))
    x = rng.standard_normal((CHAINS, 2))
    for n in range(length):
        x = memory * x + np.sqrt(1 - memory**2) * rng.standard_normal((CHAINS, 2))
        chains[:, n] = x
    each = chains.reshape(-1, 2)
    mean, covariance, rhat = measured(each, np.full(len(each), 1 / len(each)))
    expected = (1 + memory) / (1 - memory) / len(each)
    np.testing.assert_allclose(mean, each.mean(axis=0), atol=1e-12)
    # 5 sigma of the variance of 64 chains.
    np.testing.assert_allclose(np.diag(covariance) / expected, 1, atol=5 * 0.18)
    assert 0.99 < rhat < 1.02 + memory / 40
    each[: len(each) // 2] += 1.0
    assert measured(each, np.full(len(each), 1 / len(each)))[2] > 1.1


# --- Against exact diagonalisation --------------------------------------------------


@needs_netket
@pytest.mark.parametrize("num_spins", [4, 7])
def test_values_of_random_networks(num_spins):
    """No row runs away; errors are those of samples; the machine's bias is small."""
    z, bias, far = [], [], []
    for seed in range(30):
        operators, row = reference.gapped(RNG(seed), reference.ising, num_spins)
        rows = row[None]
        exact = qep.Exact()(operators, rows)
        phase = settle(operators, rows, seed)
        own = machine(operators, phase, exact)
        z.append((phase.values[0] - own) / phase.stds[0])
        bias.append(np.abs(own - exact.values[0]).max())
        far.append(np.abs(phase.values - exact.values).max())
    assert np.abs(exact.values).max() > 0.5
    assert max(bias) < 0.01
    assert max(far) < 0.2
    # Values of a row are correlated: about 5 independent ones each, 5 sigma.
    assert abs(np.mean(np.square(z)) - 1) < 5 * np.sqrt(2 / (5 * 30))


def machine(operators, phase, exact):
    """Return values of the machine's own state, from all of its amplitudes."""
    import jax

    from qiskit_qep.equilibria import _neural

    terms = pauli_terms(operators)
    bits = np.arange(terms.dim)[:, None] >> np.arange(terms.num_qubits) & 1
    net = _neural.network(terms.num_qubits, SETTLE.alpha)
    log = np.array(jax.jit(net.log)(phase.state[-1][0], 1.0 - 2.0 * bits))
    psi = np.exp(log - log.max()) * np.sign(exact.state[0][0])
    psi = psi[None] / np.linalg.norm(psi)
    return terms.expectations(psi, psi)[0]


def gradients(nudge, count):
    """Return values, and errors with the slope's, of several seeds."""
    found = [
        qep.gradient(MODEL, THETA, X, Y, equilibrium=SETTLE, nudge=nudge, seed=seed)
        for seed in range(count)
    ]
    return found, np.array([np.hypot(g.stds, g.slope_stds) for g in found])


@needs_netket
def test_the_gradient_and_its_errors_with_correlated_samples():
    """Within 5 sigma of finite differences; the sigma is right; nudging costs more."""
    expected, by_x = reference.slopes(MODEL, THETA, X, Y)
    assert np.abs(expected).max() > 0.5
    assert abs(by_x[0, 0]) > 0.1
    found, stds = gradients(INFINITESIMAL, 40)
    z = (np.array([g.values for g in found]) - expected) / stds
    assert np.abs(z).max() < 5
    assert stds.max() < 0.2 * np.abs(expected).max()
    # Components are correlated: about 3 independent ones each, 5 sigma.
    assert abs((z**2).mean() - 1) < 5 * np.sqrt(2 / 120)
    by_input = np.array([(g.inputs[0] - by_x[0]) / g.inputs_stds[0] for g in found])
    assert np.abs(by_input).max() < 5
    assert abs((by_input**2).mean() - 1) < 5 * np.sqrt(2 / 40)
    correlated = np.mean([np.linalg.norm(g.stds) for g in found])
    for beta in (0.02, 0.1):
        nudge = qep.Nudge.centered(beta)
        apart, stds = gradients(nudge, 3)
        independent = np.mean([np.linalg.norm(g.stds) for g in apart])
        assert 0.2 < beta * independent / correlated < 0.8, "errors grow as 1 / beta"
        exact = qep.gradient(MODEL, THETA, X, Y, nudge=nudge).values
        z = (np.array([g.values for g in apart]) - exact) / stds
        assert np.abs(z).max() < 5


@needs_netket
def test_an_antiferromagnet():
    """A Heisenberg ring in a staggered field, of X with either sign."""
    places = [(a + a, [q, (q + 1) % 4]) for q in range(4) for a in "XYZ"]
    operators = [reference.at(*place, 4) for place in places]
    operators += [reference.at("X", [q], 4) for q in range(4)]
    rows = np.append(np.ones(12), [0.3, -0.3, 0.4, -0.4])[None]
    exact = qep.Exact()(operators, rows).values
    phase = settle(operators, rows, how=replace(SETTLE, alpha=2))
    assert exact[0, :12].max() < -0.5
    assert (np.abs(phase.values - exact) < 5 * phase.stds + 0.01).all()


@needs_netket
def test_a_chain_of_markov_chains():
    """20 spins, beyond which amplitudes are counted, against tensors."""
    model = qep.models.transverse_field_ising(20, edges="chain", readout=[10])
    rng = RNG(1)
    J, h, b = rng.uniform(0.3, 0.7, 19), rng.uniform(0.8, 1.2, 20), np.full(20, 0.1)
    theta = np.concatenate([J, h, b])
    rows = model.coefficients(theta, np.empty((1, 0)))
    exact = qep.TensorNetwork(16)(model.operators, rows)
    phase = settle(model.operators, rows)
    z = (phase.values - exact.values) / phase.stds
    assert np.abs(exact.values).max() > 0.8
    assert phase.stds.max() < 0.1
    assert np.abs(z).max() < 5
    assert (z**2).mean() < 2


# --- Starts and warnings ------------------------------------------------------------


@needs_netket
def test_the_same_seed_gives_the_same_bits():
    how = {"equilibrium": SETTLE, "nudge": INFINITESIMAL}
    x, y = np.vstack([X, -X]), np.vstack([Y, Y])
    one, same, other = (
        qep.gradient(MODEL, THETA, x, y, seed=seed, **how) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.values, same.values)
    np.testing.assert_array_equal(one.stds, same.stds)
    assert (one.values != other.values).all()


@needs_netket
def test_few_steps_are_seen_in_the_residual_and_go_on():
    rows = MODEL.coefficients(THETA, X)
    hasty = replace(SETTLE, steps=2)
    with pytest.warns(UserWarning, match=r"sample 0 did not settle.*raise steps"):
        phase = settle(MODEL.operators, rows, how=hasty)
    good = settle(MODEL.operators, rows)
    again = settle(MODEL.operators, rows, how=hasty, start=good)
    assert good.residual < 0.1 * phase.residual
    assert again.residual < 0.1 * phase.residual


@needs_netket
def test_training_may_go_on_from_the_last_state():
    warm = replace(SETTLE, warm=True)
    how = {"equilibrium": warm, "nudge": INFINITESIMAL, "seed": 1, "steps": 8}
    x, y = np.array([[1.0], [-1.0]]), np.array([[0.5], [-0.5]])
    state = qep.train(MODEL, x, y, optimizer=qep.adam(0.1), progress=False, **how)
    exact = qep.train(MODEL, x, y, optimizer=qep.adam(0.1), steps=8, progress=False)
    assert state.loss < 0.8
    assert abs(state.loss - exact.loss) < 0.2


def test_what_is_wrong_is_warned_of():
    with pytest.warns(UserWarning, match=r"sample 3 did not settle.*scatters by nan"):
        variational_monte_carlo._judge(3, np.nan, 1.0, 1.0)
    with pytest.warns(UserWarning, match=r"chains of sample 2 disagree, R-hat 1\.3"):
        variational_monte_carlo._judge(2, 0.0, 1.0, 1.3)


# --- What is refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({"samples": 511}, r"samples should be at least 512, got 511"),
        ({"alpha": 0}, r"alpha should be at least 1, got 0"),
        ({"steps": 0}, r"steps should be at least 1, got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(how, complaint):
    with pytest.raises(ValueError, match=complaint):
        qep.VariationalMonteCarlo(**how)


def test_what_is_no_pauli_model_is_refused():
    with pytest.raises(TypeError, match=r"operator 0 is a float.*SparsePauliOp"):
        SETTLE([1.0], np.ones((1, 1)))
    with pytest.raises(TypeError, match=r"holomorphic.*Nudge\.infinitesimal"):
        SETTLE(MODEL.operators, MODEL.coefficients(THETA, X) + 0.1j)


def test_without_netket_the_extra_is_named(monkeypatch):
    monkeypatch.delattr(qep.equilibria, "_neural", raising=False)
    monkeypatch.setitem(sys.modules, "qiskit_qep.equilibria._neural", None)
    with pytest.raises(ImportError, match=r"pip install 'qiskit-qep\[vmc\]'"):
        qep.predict(MODEL, THETA, X, equilibrium=SETTLE)


@needs_netket
def test_a_start_of_another_kind_is_refused():
    rows = MODEL.coefficients(THETA, X)
    exact = qep.Exact()(MODEL.operators, rows)
    with pytest.raises(ValueError, match=r"with 24 parameters in each of 1 rows"):
        SETTLE(MODEL.operators, rows, start=exact)


@needs_netket
def test_a_response_of_too_few_samples_is_refused():
    many = qep.VariationalMonteCarlo(512, alpha=32)
    rows = MODEL.coefficients(THETA, X)
    with pytest.raises(ValueError, match=r"more samples than the 644 parameters.*512"):
        many.response(qep.Phase(rows), MODEL.operators, rows, rows)


@needs_netket
def test_the_example_runs():
    """Its docstring skips what needs NetKet."""
    text = qep.VariationalMonteCarlo.__doc__.replace("# doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(text, {}, "example", None, 0)
    assert doctest.DocTestRunner().run(example).failed == 0
