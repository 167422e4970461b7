"""Shots: right values and error bars, fresh noise, sound measurement settings."""

from dataclasses import dataclass, field
from functools import reduce
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import SparsePauliOp
from scipy import stats

import qiskit_qep as qep
from qiskit_qep import _sampling
from qiskit_qep._pauli import PauliTerms
from qiskit_qep.equilibria import _shots
from qiskit_qep.runtime.counts import constants, operator_moments, sample_moments
from qiskit_qep.runtime.groups import measurement_settings
from reference import expectations, gapped, general, string, total

HADAMARD = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
TO_Z = {"X": HADAMARD, "Y": HADAMARD @ np.diag([1, -1j]), "Z": np.eye(2)}


def generators(seed, size):
    return [np.random.default_rng([seed, row]) for row in range(size)]


def repeated(sampled, operators, row, repeats, seed=1):
    """Settle the same system many times, each with shots of its own."""
    rows = np.tile(np.asarray(row, dtype=float), (repeats, 1))
    return sampled(operators, rows, rng=generators(seed, repeats))


def ground_values(operators, row):
    vector = np.linalg.eigh(total(operators, row))[1][:, 0]
    return expectations(operators, vector, vector).real


def covariance_error(covariance, samples):
    """Return the standard error of every entry of a sample covariance (Wishart)."""
    diagonal = np.diag(covariance)
    return np.sqrt((np.outer(diagonal, diagonal) + covariance**2) / (samples - 1))


# -- values ---------------------------------------------------------------------------


@pytest.mark.parametrize("num_spins", [1, 2, 4, 6])
def test_values_agree_with_the_exact_ones(num_spins):
    rng = np.random.default_rng(num_spins)
    operators, row = gapped(rng, general, num_spins)
    phase = repeated(qep.Sampled(3000), operators, row, 5)
    error = phase.values - ground_values(operators, row)
    drawn = phase.stds[0] > 0
    assert np.abs(error[:, ~drawn]).sum() < 1e-12  # multiples of the identity
    deviation = error[:, drawn] / phase.stds[:, drawn]
    assert np.abs(deviation).max() < 5
    # Neither stuck at the truth nor hidden behind wide bars.
    assert 0.5 < np.sqrt(np.mean(deviation**2)) < 1.5
    assert phase.stds.max() < 0.1 * np.abs(phase.values).max()


CASES = {
    "squared error": (qep.squared_error, qep.Nudge.centered(0.2)),
    "cost observable": (qep.cost_observable, qep.Nudge.one_sided(-0.2)),
    "expectation": (qep.expectation, qep.Nudge.chebyshev(0.2, 3)),
    "classes": (qep.cross_entropy(), qep.Nudge.centered(0.1)),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_agree_with_the_exact_ones(name):
    loss, nudge = CASES[name]
    model = qep.models.transverse_field_ising(3, inputs=[0, 1], readout=[1, 2])
    model = qep.linear_inputs(model, 2)
    rng = np.random.default_rng(2)
    theta = rng.uniform(0.2, 0.7, model.num_trainable)
    x, y = rng.normal(size=(3, 2)), rng.uniform(-1, 0, size=(3, 2))
    y = [0, 1, 0] if name == "classes" else y
    how = {"nudge": nudge, "loss": loss}
    exact = qep.gradient(model, theta, x, y, **how)
    found = qep.gradient(
        model, theta, x, y, equilibrium=qep.Sampled(100_000), seed=3, **how
    )
    assert exact.norm > 0.1
    assert found.norm_std < 0.2 * found.norm
    std = np.hypot(found.stds, found.slope_stds)
    assert np.abs((found.values - exact.values) / std).max() < 5
    assert np.abs((found.inputs - exact.inputs) / found.inputs_stds).max() < 5
    deviation = (found.prediction - exact.prediction) / found.prediction_stds
    assert np.abs(deviation).max() < 5
    assert abs(found.loss - exact.loss) < 5 * found.loss_std
    assert not np.array_equal(found.values, exact.values)


def test_predict_returns_values_with_error_bars():
    model = qep.models.transverse_field_ising(3, inputs=[0], readout=[1, 2])
    args = (model, np.full(model.num_trainable, 0.5), [[1.0], [-0.5]])
    how = {"equilibrium": qep.Sampled(20_000), "seed": 1}
    p, std = qep.predict(*args, **how, return_std=True)
    exact = qep.predict(*args)
    assert np.abs(exact).min() > 0.1
    assert np.all(np.abs(p - exact) < 5 * std)
    np.testing.assert_allclose(std, np.sqrt((1 - exact**2) / 20_000), rtol=0.1)
    np.testing.assert_array_equal(qep.predict(*args, **how), p)


# -- the error bars themselves --------------------------------------------------------


def correlated_operators():
    """Sums that share shots within a setting, and that reach over two settings."""
    sums = [
        ({"IZ": 1.0}, "Z0"),
        ({"IZ": 1.0, "ZZ": 1.0}, "Z0 + Z0 Z1"),
        ({"ZI": -0.5, "ZZ": 2.0, "II": 0.3}, "2 Z0 Z1 - Z1 / 2 + 0.3"),
        ({"XX": 1.0, "IX": 0.5}, "X0 X1 + X0 / 2"),
        ({"IX": 1.0, "IZ": -1.0}, "X0 - Z0"),
        ({"YI": 1.0}, "Y1"),
    ]
    return [SparsePauliOp(list(terms), list(terms.values())) for terms, _ in sums]


def test_the_reported_covariance_is_that_of_the_values():
    operators = correlated_operators()
    row, repeats, shots = [0.3, 0.2, -0.4, 0.5, 0.3, 0.2], 800, 500
    phase = repeated(qep.Sampled(shots), operators, row, repeats)
    exact = ground_values(operators, row)
    predicted = phase.covariance.mean(axis=0)
    deviation = phase.values - exact
    found = deviation.T @ deviation / repeats
    error = covariance_error(predicted, repeats)
    assert np.abs((found - predicted) / error).max() < 5
    # Off-diagonals matter: operators share shots, and so much that it shows.
    correlation = predicted / np.sqrt(np.outer(np.diag(predicted), np.diag(predicted)))
    off = np.abs(correlation[np.triu_indices(len(operators), 1)])
    assert np.sort(off)[-4:].min() > 0.3
    assert off.min() < 0.01  # different settings are independent
    diagonal = np.diag(np.diag(predicted))
    assert np.abs((found - diagonal) / error).max() > 10
    np.testing.assert_allclose(
        phase.stds, np.sqrt(np.diagonal(phase.covariance, axis1=1, axis2=2))
    )


def test_deviations_follow_chi_square():
    operators = correlated_operators()
    row, repeats = [0.3, 0.2, -0.4, 0.5, 0.3, 0.2], 1600
    phase = repeated(qep.Sampled(4000), operators, row, repeats, seed=2)
    deviation = phase.values - ground_values(operators, row)
    distance = np.einsum(
        "bi,bij,bj->b", deviation, np.linalg.inv(phase.covariance), deviation
    )
    freedom = len(operators)
    assert abs(distance.mean() - freedom) < 5 * np.sqrt(2 * freedom / repeats)
    assert stats.kstest(distance, stats.chi2(freedom).cdf).pvalue > 1e-4
    # Without the off-diagonals it would not fit.
    wrong = ((deviation / phase.stds) ** 2).sum(axis=1)
    assert stats.kstest(wrong, stats.chi2(freedom).cdf).pvalue < 1e-4


def spread_of(gradients, name):
    return np.array([getattr(g, name) for g in gradients])


def check_spread(found, predicted, factor=1.0):
    """Compare the variance over repeats with the mean of the reported ones, 5 sigma."""
    repeats = len(found)
    variance, reported = found.var(axis=0, ddof=1), predicted.mean(axis=0)
    error = 5 * np.sqrt(2 / repeats)
    assert np.all(reported > 0)
    assert np.all(variance < reported * factor * (1 + error))
    assert np.all(variance > reported / factor * (1 - error))


@pytest.mark.parametrize("linear", [False, True], ids=["direct", "linear inputs"])
@pytest.mark.parametrize(
    "nudge", [qep.Nudge.centered(0.3), qep.Nudge.one_sided(0.3)], ids=str
)
def test_error_bars_of_the_cost_observables_gradient(nudge, linear):
    model = qep.models.transverse_field_ising(2, inputs=[0], readout=[0, 1])
    model = qep.linear_inputs(model, 2) if linear else model
    theta = np.linspace(0.4, 0.9, model.num_trainable)
    x = np.array([[0.5, 1.0], [-1.0, 0.3]])[:, : model.num_inputs]
    y = [[0.5, 1.0], [-1.0, 0.7]]
    gradients = [
        qep.gradient(
            model, theta, x, y, loss=qep.cost_observable, nudge=nudge, seed=seed,
            equilibrium=qep.Sampled(400),
        )
        for seed in range(300)
    ]  # fmt: skip
    values = spread_of(gradients, "values")
    assert np.abs(values.mean(axis=0)).max() > 0.1
    check_spread(values, spread_of(gradients, "stds") ** 2)
    check_spread(
        spread_of(gradients, "inputs"), spread_of(gradients, "inputs_stds") ** 2
    )
    check_spread(spread_of(gradients, "loss"), spread_of(gradients, "loss_std") ** 2)
    check_spread(
        spread_of(gradients, "prediction"), spread_of(gradients, "prediction_stds") ** 2
    )
    assert np.all(spread_of(gradients, "slope_stds") == 0)  # not measured


def equal_samples(labels, row, readout, offsets, nudge, *, known_slope=False):
    """Measure one gradient of many equal samples, each with shots of its own.

    Every operator is trainable as well as an input, so that the rows of
    ``Gradient.inputs`` are independent measurements of one gradient. The targets are
    the exact prediction minus ``offsets``; a known slope is 2 * offsets, as a linear
    loss.
    """
    rows = 1000
    operators = [-SparsePauliOp(label) for label in labels]
    model = qep.Model(operators, inputs=operators, readout=readout)
    theta, x = np.zeros(len(row)), np.tile(row, (rows, 1))
    y = qep.predict(model, theta, row) - offsets
    loss = qep.squared_error
    if known_slope:
        y, loss = 2 * np.atleast_2d(offsets), qep.expectation
    return qep.gradient(
        model, theta, x, np.tile(y, (rows, 1)), loss=loss, nudge=nudge, seed=1,
        equilibrium=qep.Sampled(2000),
    )  # fmt: skip


PAIR = (["ZZ", "IX", "XI", "IZ", "ZI"], [0.3, 0.4, 0.5, 0.3, 0.1], ["ZI"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "nudge",
    [
        qep.Nudge.centered(0.2),
        qep.Nudge.one_sided(0.2),
        qep.Nudge.one_sided(0.08).normalized(),  # as strong, the slope being 0.4
    ],
    ids=repr,
)
def test_error_bars_with_a_measured_slope_of_one_readout(nudge):
    # b = .2 keeps the response linear in the slope, as the error bars assume.
    g = equal_samples(*PAIR, [0.2], nudge)
    given_slope = equal_samples(*PAIR, [0.2], nudge, known_slope=True)
    assert np.abs(g.values).min() > 0.1
    check_spread(g.inputs, g.inputs_stds**2)
    check_spread(given_slope.inputs, given_slope.inputs_stds**2)
    # The slope's noise matters: without it the same test would fail.
    ratio = g.inputs.var(axis=0) / (given_slope.inputs_stds**2).mean(axis=0)
    assert ratio.max() > 1.4
    total = len(g.inputs) * (g.stds**2 + g.slope_stds**2)
    np.testing.assert_allclose(total, (g.inputs_stds**2).mean(axis=0))
    assert np.all(g.slope_stds > 0)


@pytest.mark.slow
def test_error_bars_with_a_measured_slope_of_several_readouts():
    """Of more, the directions not nudged are taken to respond as strongly.

    That is a guess: here the true variance is up to 2.2 times the reported one.
    """
    labels = ["ZZI", "IZZ", "XII", "IXI", "IIX", "ZII"]
    row, readout = [0.3, -0.4, 0.5, 0.4, 0.3, 0.5], ["ZII", "IZI", "IIZ"]
    for offsets in ([0.2, 0.2, 0.2], [-0.2, 0.2, 0.2]):
        g = equal_samples(labels, row, readout, offsets, qep.Nudge.centered(0.2))
        assert g.norm > 0.1
        check_spread(g.inputs, g.inputs_stds**2, factor=2.5)


def test_error_bars_stay_finite_where_the_slope_vanishes():
    """All shots agree with the target: slope 0, and nothing is nudged."""
    model = qep.Model(["X"], readout=["Z"], fixed=SparsePauliOp("Z", -3.0))
    for seed in range(30):
        g = qep.gradient(
            model, [0.02], [], [1.0], seed=seed, equilibrium=qep.Sampled(100)
        )
        assert g.slope_stds[0] < 10
        assert g.stds[0] > 0


# -- fresh noise ----------------------------------------------------------------------


@dataclass
class Spy:
    """Settles as another equilibrium does, and keeps every phase."""

    equilibrium: Any
    phases: list[qep.Phase] = field(default_factory=list)
    follow: bool = True

    def __call__(self, operators, coefficients, *, start=None, rng=None):
        self.phases.append(
            self.equilibrium(operators, coefficients, start=start, rng=rng)
        )
        return self.phases[-1]


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1]


@pytest.mark.parametrize("follow", [True, False])
def test_no_two_phases_share_their_noise(follow):
    repeats = 500
    model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
    theta, x = np.full(5, 0.5), np.ones((repeats, 1))
    how = {"nudge": qep.Nudge.centered(0.3), "loss": qep.cost_observable, "seed": 1}
    spy = Spy(qep.Sampled(50, equilibrium=qep.Exact(follow=follow)), follow=follow)
    qep.gradient(model, theta, x, np.ones_like(x), equilibrium=spy, **how)
    values = np.vstack([phase.values for phase in spy.phases])
    free, plus, minus = values.reshape(3, repeats, -1)
    assert np.abs(plus.mean(axis=0) - minus.mean(axis=0)).max() > 0.1
    bound = 5 / np.sqrt(repeats)
    for k in range(len(model.operators)):
        for a, b in ((free, plus), (free, minus), (plus, minus)):
            assert abs(correlation(a[:, k], b[:, k])) < bound
        # nor does any row share it with the next one
        assert abs(correlation(free[1:, k], free[:-1, k])) < bound


def test_shared_noise_would_be_seen():
    model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
    phases = [
        repeated(qep.Sampled(50), model.operators, [0.5] * 5 + [1.0, nu], 500, seed=1)
        for nu in (0.1, -0.1)
    ]
    assert correlation(*(phase.values[:, 0] for phase in phases)) > 0.3


def test_every_step_draws_fresh_noise():
    repeats = 500
    model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
    stay = qep.Optimizer(lambda theta: (), lambda g, memory, theta: (0 * g, memory))
    x = np.ones((repeats, 1))
    states = qep.steps(
        model, x, x, theta=np.full(5, 0.5), optimizer=stay, seed=1,
        equilibrium=qep.Sampled(50), nudge=qep.Nudge.centered(0.3),
    )  # fmt: skip
    predictions = [s.gradient.prediction[:, 0] for s in islice(states, 3)]
    for a, b in pairwise(predictions):
        assert abs(correlation(a, b)) < 5 / np.sqrt(repeats)


def arrays_of(gradient):
    return [
        np.asarray(value).tobytes()
        for value in vars(gradient).values()
        if not np.isscalar(value)
    ] + [gradient.loss, gradient.loss_std]


@pytest.mark.parametrize("nudge", [qep.Nudge.centered(0.1), qep.Nudge.random_sign(0.1)])
def test_the_seed_decides_everything(nudge):
    model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2])
    args = (model, np.full(model.num_trainable, 0.5), np.ones((4, 1)), np.ones((4, 1)))
    how = {"equilibrium": qep.Sampled(100), "nudge": nudge, "loss": qep.cost_observable}
    first, second = (qep.gradient(*args, seed=3, **how) for _ in range(2))
    other, drawn, drawn_again = (
        qep.gradient(*args, seed=s, **how) for s in (4, None, None)
    )
    assert arrays_of(first) == arrays_of(second)
    for a, b in [(first, other), (first, drawn), (drawn, drawn_again)]:
        assert not np.array_equal(a.values, b.values)
    assert len(set(first.prediction[:, 0])) > 1  # equal samples do not share shots


@given(
    cut=st.integers(1, 6),
    num_spins=st.sampled_from([3, 5]),
    shots=st.sampled_from([1, 200]),
)
@settings(max_examples=15)
def test_a_batch_may_be_cut_anywhere(cut, num_spins, shots):
    operators, row = gapped(np.random.default_rng(1), general, num_spins)
    rows = row + 0.1 * np.random.default_rng(2).normal(size=(7, len(row)))
    sampled = qep.Sampled(shots)
    whole = sampled(operators, rows, rng=generators(5, 7))
    streams = generators(5, 7)
    parts = [
        sampled(operators, rows[:cut], rng=streams[:cut]),
        sampled(operators, rows[cut:], rng=streams[cut:]),
    ]
    for name in ("values", "stds", "covariance", "gap"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))


# -- the nudge of random sign ---------------------------------------------------------


def test_a_random_sign_is_unbiased_for_the_centred_difference():
    """Averaged over all signs of three samples, each of which prepares one state."""
    model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2])
    theta, x = np.linspace(0.3, 0.8, model.num_trainable), [[1.0], [0.2], [-0.6]]
    y, loss = [[-0.5], [0.3], [-0.8]], qep.cost_observable
    how = {"loss": loss, "nudge": qep.Nudge.random_sign(0.2)}
    found = {}
    for seed in range(100):
        g = qep.gradient(model, theta, x, y, seed=seed, **how)
        found[g.values.tobytes()] = g
    assert len(found) == 8
    centred = qep.gradient(model, theta, x, y, loss=loss, nudge=qep.Nudge.centered(0.2))
    values = np.array([g.values for g in found.values()])
    inputs = np.array([g.inputs for g in found.values()])
    np.testing.assert_allclose(values.mean(axis=0), centred.values, atol=1e-9)
    np.testing.assert_allclose(inputs.mean(axis=0), centred.inputs, atol=1e-9)
    assert centred.norm > 0.15
    assert values.std(axis=0).max() > 0.1
    stds = np.array([g.stds for g in found.values()])
    assert (np.sqrt((stds**2).mean(axis=0)) > 0.8 * values.std(axis=0)).all()


def test_a_random_sign_needs_a_slope_that_is_known():
    model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
    where = model, np.ones(5), [[1.0]], [[-1.0]]
    nudge = qep.Nudge.random_sign(0.2)
    with pytest.raises(ValueError, match=r"one state per sample.*cost_observable"):
        qep.gradient(*where, nudge=nudge)
    alone = qep.gradient(*where, nudge=nudge, loss=qep.cost_observable, seed=0)
    assert np.isnan(alone.stds).all()  # one sample does not tell


def test_a_probe_tells_the_bias():
    model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2])
    where = model, np.linspace(0.3, 0.8, model.num_trainable), [[1.0]], [[-0.5]]
    limit = qep.gradient(*where, nudge=qep.Nudge.infinitesimal()).values
    probed = qep.gradient(*where, nudge=qep.Nudge.centered(0.2, probe=True))
    plain = qep.gradient(*where, nudge=qep.Nudge.centered(0.2))
    np.testing.assert_allclose(probed.values, plain.values, atol=1e-9)
    error = plain.values - limit
    assert np.linalg.norm(error) > 0.01
    assert np.linalg.norm(probed.bias - error) < 0.2 * np.linalg.norm(error)
    np.testing.assert_array_equal(probed.bias_stds, 0.0)
    assert plain.bias is None
    nudge = qep.Nudge.centered(0.2, probe=True)
    noisy = [
        qep.gradient(*where, nudge=nudge, equilibrium=qep.Sampled(500), seed=s)
        for s in range(60)
    ]
    found = np.array([g.bias for g in noisy])
    stds = np.array([g.bias_stds for g in noisy]).mean(axis=0)
    assert (np.abs(found.mean(axis=0) - probed.bias) < 5 * stds / np.sqrt(60)).all()
    assert noisy[0].signal_to_noise == noisy[0].norm / noisy[0].norm_std
    assert probed.signal_to_noise == np.inf


def test_a_normalized_nudge_has_one_length():
    model = qep.models.transverse_field_ising(3, inputs=[0], readout=[1, 2])
    where = model, np.linspace(0.3, 0.8, model.num_trainable), [[1.0], [-1.0]]
    pushes = []

    def spy(operators, coefficients, *, start=None, rng=None):
        pushes.append(np.linalg.norm(coefficients[:, model.readout_columns], axis=1))
        return qep.Exact()(operators, coefficients)

    y = [[-0.5, 0.9], [0.3, 0.4]]
    nudge = qep.Nudge.centered(0.05).normalized()
    found = qep.gradient(*where, y, nudge=nudge, equilibrium=spy)
    np.testing.assert_allclose(pushes[1], 0.05)
    limit = qep.gradient(*where, y, nudge=qep.Nudge.infinitesimal())
    np.testing.assert_allclose(found.values, limit.values, atol=0.01)
    np.testing.assert_allclose(found.inputs, limit.inputs, atol=0.01)
    assert limit.norm > 0.5
    learnt = qep.predict(*where)
    assert qep.gradient(*where, learnt, nudge=nudge).norm < 1e-9
    with pytest.raises(ValueError, match=r"no nudge to normalize"):
        qep.Nudge.infinitesimal().normalized()


def test_a_random_sign_is_unbiased_with_shots():
    repeats = 1000
    model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
    args, loss = (model, np.full(5, 0.3)), qep.cost_observable
    x, y = np.full((repeats, 1), 0.2), np.full((repeats, 1), -0.6)
    how = {"nudge": qep.Nudge.random_sign(0.3), "equilibrium": qep.Sampled(1000)}
    found = qep.gradient(*args, x, y, loss=loss, seed=1, **how).inputs[:, 0]
    centred = qep.gradient(
        *args, x[:1], y[:1], loss=loss, nudge=qep.Nudge.centered(0.3)
    )
    error = found.std() / np.sqrt(repeats)
    assert abs(centred.inputs[0, 0]) > 10 * error
    assert abs(found.mean() - centred.inputs[0, 0]) < 5 * error


# -- settings -------------------------------------------------------------------------


def test_an_ising_network_needs_two_settings():
    for num_spins in (2, 5):
        model = qep.models.transverse_field_ising(
            num_spins, inputs=[0], readout=range(num_spins)
        )
        found = measurement_settings(model.operators.terms)
        assert {s.basis(num_spins) for s in found} == {"X" * num_spins, "Z" * num_spins}
        rows = model.coefficients(np.full(model.num_trainable, 0.5), [[1.0]])
        assert qep.Sampled(30)(model.operators, rows).shots == 60


def test_settings_of_the_cluster_sensor():
    operators = qep.models.cluster_sensor().trainable
    assert len(operators) == 51
    found = measurement_settings(PauliTerms.of(operators))
    # The nine couplings of two spins need nine; first fit finds 15.
    assert len(found) == 9
    fields = [
        k for k, op in enumerate(operators) if op.paulis.x.sum() < 2 and 36 <= k < 42
    ]
    assert all(sum(k in s.strings for s in found) == 3 for k in fields)
    check_settings(operators, found)


def rotation(basis):
    """Return the unitary that turns a basis label into the Z basis."""
    return reduce(np.kron, [TO_Z[letter] for letter in basis])


def check_settings(operators, found, matrices=False):
    """Every string but the identity is measured, where it is diagonal."""
    terms = PauliTerms.of(operators)
    num_qubits = terms.num_qubits
    supports = terms.flips | terms.signs
    weights = np.zeros(terms.weights.shape)
    for setting in found:
        weights[:, setting.strings] += setting.weights.toarray()
    np.testing.assert_allclose(weights, terms.weights.toarray() * (supports != 0))
    for setting in found:
        basis = setting.basis(num_qubits)
        for s, support in zip(setting.strings, setting.supports, strict=True):
            label = label_of(terms, s)
            assert all(p in ("I", b) for p, b in zip(label, basis, strict=True))
            if not matrices:
                continue
            turn = rotation(basis)
            diagonal = turn @ string(label).toarray() @ turn.conj().T
            parity = np.bitwise_count(
                np.arange(2**num_qubits, dtype=np.uint64) & support
            )
            np.testing.assert_allclose(diagonal, np.diag((-1.0) ** parity), atol=1e-12)


def label_of(terms, s):
    bits = [
        (int(terms.flips[s]) >> q & 1, int(terms.signs[s]) >> q & 1)
        for q in reversed(range(terms.num_qubits))
    ]
    return "".join(
        {(0, 0): "I", (1, 0): "X", (1, 1): "Y", (0, 1): "Z"}[b] for b in bits
    )


@given(st.lists(st.text("IXYZ", min_size=3, max_size=3), min_size=1, max_size=20))
def test_every_string_is_diagonal_where_it_is_measured(labels):
    operators = [SparsePauliOp(label) for label in labels]
    found = measurement_settings(PauliTerms.of(operators))
    assert len(found) <= len(set(labels) - {"III"})
    check_settings(operators, found, matrices=True)


def test_a_setting_says_its_basis():
    found = measurement_settings(PauliTerms.of([SparsePauliOp("XYZI")]))
    assert [s.basis(4) for s in found] == ["XYZZ"]


def settings_of(*labels):
    return measurement_settings(PauliTerms.of([SparsePauliOp(p) for p in labels]))


@pytest.mark.parametrize("basis", ["ZZZ", "XXX", "YYY", "XYZ", "ZXY", "YZZ"])
@pytest.mark.parametrize("real", [True, False])
def test_probabilities_are_those_of_the_turned_states(basis, real):
    rng = np.random.default_rng(1)
    states = rng.normal(size=(2, 3, 8)) + 0j
    states = states.real.copy() if real else states + 1j * rng.normal(size=(2, 3, 8))
    states /= np.linalg.norm(states, axis=2, keepdims=True)
    before = states.copy()
    populations = np.array([[0.5, 0.2, 0.3], [1.0, 0.0, 0.0]])
    found = _shots.probabilities(states, populations, settings_of(basis))
    expected = np.abs(states @ rotation(basis).T) ** 2
    expected = (populations[:, :, None] * expected).sum(axis=1)
    assert np.ptp(expected, axis=1).min() > 0.05
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-14)
    np.testing.assert_allclose(found.sum(axis=2), 1.0, atol=1e-15)
    np.testing.assert_array_equal(states, before)


@pytest.mark.parametrize(("letter", "real"), [("X", True), ("X", False), ("Y", False)])
def test_many_qubits_are_turned_in_single_precision(letter, real):
    rng = np.random.default_rng(2)
    singles = rng.normal(size=(16, 2)) + (0 if real else 1j) * rng.normal(size=(16, 2))
    singles /= np.linalg.norm(singles, axis=1, keepdims=True)
    state = reduce(np.kron, singles)  # the last factor is qubit 0
    assert len(state) >= _shots.SINGLE_DIM
    points = np.sort(rng.random((1, 1, 40_000)))
    seen = _shots.draw(
        state[None, None], np.ones((1, 1)), settings_of(16 * letter), points
    )
    ones = np.abs(singles @ TO_Z[letter].T)[::-1, 1] ** 2
    share = (seen[0, 0][:, None] >> np.arange(16, dtype=np.uint64) & np.uint64(1)).mean(
        axis=0
    )
    deviation = (share - ones) / np.sqrt(ones * (1 - ones) / 40_000 + 1e-12)
    assert np.abs(deviation).max() < 5
    assert np.ptp(ones) > 0.3


# -- drawing --------------------------------------------------------------------------


def drawn(chances, shots, rng, ways):
    """Draw shots of a state with some chances, by one of two ways; return a tally."""
    state, pure = np.sqrt(chances)[None, None], np.ones((1, 1))
    asked = state, pure, settings_of("Z" * (len(chances).bit_length() - 1))
    if ways == "multinomial":
        return _shots.tallies(*asked, shots, [rng])[0, 0]
    points = np.sort(rng.random((1, 1, shots)))
    return np.bincount(_shots.draw(*asked, points)[0, 0], minlength=len(chances))


@pytest.mark.parametrize("way", ["multinomial", "points"])
def test_shots_are_drawn_from_their_probabilities(way):
    rng = np.random.default_rng(1)
    chances = rng.dirichlet(np.ones(64))
    chances[[0, 3, 63]] = 0  # also at both ends
    chances /= chances.sum()
    tally = np.zeros(64)
    for _ in range(100):
        seen = drawn(chances, 200, rng, way)
        assert seen.sum() == 200
        tally += seen
    possible = chances > 0
    assert tally[~possible].sum() == 0
    expected = 20_000 * chances[possible]
    assert stats.chisquare(tally[possible], expected).pvalue > 1e-4
    uniform = np.full(possible.sum(), 20_000 / possible.sum())
    assert stats.chisquare(tally[possible], uniform).pvalue < 1e-6


@given(
    size=st.integers(1, 300), shots=st.integers(1, 200), seed=st.integers(0, 2**32 - 1)
)
def test_points_fall_where_a_search_puts_them(size, shots, seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 3, size) * rng.integers(1, 5, size).astype(float)
    weights[rng.integers(size)] += 1.0
    points = np.sort(rng.random(shots))
    found = np.empty(shots, np.uint64)
    _sampling.place(weights, points, found)
    cumulated = np.cumsum(weights)
    expected = np.searchsorted(cumulated, points * cumulated[-1], side="right")
    np.testing.assert_array_equal(found, expected)
    assert np.all(weights[found] > 0)


def test_few_bitstrings_are_counted_and_many_are_placed():
    class Counts:
        """A generator that can only draw histograms."""

        def multinomial(self, shots, chances):
            return np.full(chances.shape, shots // chances.shape[-1])

    class Points:
        """A generator that can only draw uniform numbers."""

        def random(self, out):
            out[:] = np.linspace(0, 1, out.size, endpoint=False).reshape(out.shape)

    terms = PauliTerms.of([SparsePauliOp("ZZZZ"), SparsePauliOp("ZIII")])
    state, pure = np.full((1, 1, 16), 0.25), np.ones((1, 1))
    for shots, generator in ((64, Counts()), (48, Points())):
        values, _, count = _shots.bitstrings(terms, state, pure, shots, [generator])
        np.testing.assert_allclose(values, 0.0, atol=1e-15)
        assert count == shots
        other = Points() if shots == 64 else Counts()
        with pytest.raises(AttributeError, match=r"multinomial|random"):
            _shots.bitstrings(terms, state, pure, shots, [other])


def test_rows_that_are_too_many_for_memory_are_drawn_in_parts(monkeypatch):
    rng = np.random.default_rng(3)
    terms = PauliTerms.of([SparsePauliOp("ZX"), SparsePauliOp("IZ")])
    states = rng.normal(size=(5, 1, 4))
    asked = terms, states, np.ones((5, 1))
    for shots in (3, 40):
        whole = _shots.bitstrings(*asked, shots, generators(1, 5))
        with monkeypatch.context() as patch:
            patch.setattr(_shots, "AT_ONCE", 16)
            parts = _shots.bitstrings(*asked, shots, generators(1, 5))
        for a, b in zip(whole, parts, strict=True):
            np.testing.assert_array_equal(a, b)
        assert np.ptp(whole[0]) > 0.1


# -- moments --------------------------------------------------------------------------


def slow_moments(terms, settings, outcomes):
    """Add up what every shot says of every string, as a matrix of signs."""
    values = np.tile(constants(terms), (len(outcomes), 1))
    covariance = np.zeros((*values.shape, values.shape[1]))
    for b, row in enumerate(outcomes):
        for setting, shots in zip(settings, row, strict=True):
            odd = np.bitwise_count(shots[:, None] & setting.supports) & 1
            means, errors = sample_moments(1.0 - 2.0 * odd, np.ones(len(shots), int))
            weights = setting.weights.toarray()
            values[b] += weights @ means
            covariance[b] += weights @ errors @ weights.T
    return values, covariance


@pytest.mark.parametrize("num_qubits", [1, 3, 9])
@pytest.mark.parametrize("shots", [1, 2, 63, 65, 900])
def test_moments_are_those_of_the_signs(num_qubits, shots):
    rng = np.random.default_rng([num_qubits, shots])
    operators = [*general(rng, num_qubits)[0], SparsePauliOp("I" * num_qubits, 0.7)]
    operators.append(SparsePauliOp(["Z" * num_qubits, "I" * num_qubits], [1.0, 0.5]))
    terms = PauliTerms.of(operators)
    every = measurement_settings(terms)
    outcomes = rng.integers(0, terms.dim, (3, len(every), shots), np.uint64)
    found = operator_moments(terms, every, outcomes)
    histogram = np.array(
        [[np.bincount(s, minlength=terms.dim) for s in row] for row in outcomes]
    ).astype(np.uint64)
    counted = operator_moments(terms, every, histogram, shots)
    for a, b, c in zip(
        found, slow_moments(terms, every, outcomes), counted, strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-13)
        np.testing.assert_array_equal(a, c)  # whole numbers are added, in any order
    assert np.abs(found[0]).max() > 0.05


@given(shots=st.integers(1, 200), seed=st.integers(0, 2**32 - 1))
def test_two_ways_to_add_up_pairs_are_alike(shots, seed):
    rng = np.random.default_rng(seed)
    outcomes = rng.integers(0, 2**9, shots, np.uint64)
    supports = rng.choice(np.arange(1, 2**9, dtype=np.uint64), 7, replace=False)
    signs = 1 - 2 * (np.bitwise_count(outcomes[:, None] & supports) & 1).astype(int)
    expected = signs.T @ signs
    np.fill_diagonal(expected, signs.sum(axis=0))
    by_words, by_transform = np.empty((2, 7, 7))
    _sampling.agree_by_words(outcomes, supports, by_words)
    tally = np.bincount(outcomes, minlength=2**9).astype(float)
    _sampling.agree_by_transform(tally, supports, by_transform)
    np.testing.assert_array_equal(by_words, expected)
    np.testing.assert_array_equal(by_transform, expected)


def test_a_single_shot():
    model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2])
    args = (
        model,
        np.full(model.num_trainable, 0.4),
        np.ones((200, 1)),
        -np.ones((200, 1)),
    )
    g = qep.gradient(
        *args, seed=1, equilibrium=qep.Sampled(1), nudge=qep.Nudge.centered(0.3)
    )
    assert set(np.unique(g.prediction)) == {-1.0, 1.0}
    np.testing.assert_array_equal(g.prediction_stds, 1.0)
    assert np.all(np.isfinite(g.stds))
    assert g.stds.min() > 0


def test_no_number_of_equal_outcomes_proves_a_value():
    model = qep.Model(["Z"], readout=["Z"])
    p, std = qep.predict(
        model, [-1.0], [], equilibrium=qep.Sampled(50), seed=1, return_std=True
    )
    assert (p[0, 0], std[0, 0]) == (1.0, pytest.approx(2 / 51))


@pytest.mark.parametrize("shots", [0, -3])
def test_no_shots_are_refused(shots):
    with pytest.raises(ValueError, match=f"shots should be at least 1, got {shots}"):
        qep.Sampled(shots)


@pytest.mark.parametrize("shots", [2.5, np.nan, True, "7", None])
def test_shots_are_counted(shots):
    with pytest.raises(
        TypeError, match=f"shots should be a whole number, got {shots!r}"
    ):
        qep.Sampled(shots)


def test_more_shots_than_64_bits_count_are_refused():
    with pytest.raises(ValueError, match=r"shots should be at most 2\^62, got 1e\+20"):
        qep.Sampled(10**20)
    assert qep.Sampled(np.int64(5)) == qep.Sampled(5)


@dataclass
class Stateless:
    """An equilibrium that reports values only."""

    def __call__(self, operators, coefficients, *, start=None, rng=None):
        return qep.Phase(np.zeros(coefficients.shape))


def test_an_equilibrium_without_amplitudes_is_refused():
    model = qep.Model(["XX"], readout=["ZI"])
    with pytest.raises(TypeError, match=r"2\^2 amplitudes per row, got Stateless\(\)"):
        qep.predict(
            model, [1.0], [], equilibrium=qep.Sampled(5, equilibrium=Stateless())
        )
