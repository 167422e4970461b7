"""The one-sided rule descends the contrastive function exactly, from the same shots."""

from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from qiskit.quantum_info import SparsePauliOp

import qiskit_qep as qep
from reference import five_point, gap, general, matrix, settle, total

FRESH = qep.Exact(follow=False)  # the ground state at every beta, however far
COST = {"loss": qep.cost_observable}


def random_case(seed, num_spins, batch=2):
    """Draw model, theta, x, y: complex, two readouts that square to 1 but are no Z."""
    rng = np.random.default_rng(seed)
    operators, row = general(rng, num_spins)
    tilted = SparsePauliOp(["X" + "I" * (num_spins - 1), "Z" + "I" * (num_spins - 1)])
    model = qep.Model(
        operators[2:],
        inputs=operators[:2],
        readout=["I" * (num_spins - 1) + "Z", tilted / np.sqrt(2)],
    )
    x = row[:2] + 0.3 * rng.normal(size=(batch, 2))
    return model, row[2:], x, rng.uniform(-1.5, 1.5, size=(batch, 2))


def dense_cost(model, theta, x, y, beta):
    """Return <C> at beta = 0 and L_beta as batch means, with C written out as it is."""
    driven = [*model.trainable, *model.inputs]
    costs, bounds = [], []
    for x_b, y_b in zip(x, y, strict=True):
        h = total(driven, [*theta, *x_b])
        cost = 0
        for op, y_i in zip(model.readout, y_b, strict=True):
            shifted = matrix(op).toarray() - y_i * np.eye(len(h))
            cost = cost + shifted @ shifted
        energies, vectors = np.linalg.eigh(h)
        costs.append((vectors[:, 0].conj() @ cost @ vectors[:, 0]).real)
        nudged = np.linalg.eigvalsh(h + beta * cost)
        bounds.append((nudged[0] - energies[0]) / beta)
    return np.mean(costs), np.mean(bounds)


seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 3)


@given(seed=seeds, num_spins=sizes, beta=st.floats(0.01, 10.0))
# The bounds hold for every ground state, so a degenerate one is as good as any.
@pytest.mark.filterwarnings("ignore:sample .* degenerate:UserWarning")
def test_contrastive_functions_bound_the_cost(seed, num_spins, beta):
    case = random_case(seed, num_spins)
    cost = qep.gradient(*case, nudge=qep.Nudge.infinitesimal(), **COST).loss
    below = qep.contrastive(*case, beta=beta, equilibrium=FRESH)
    above = qep.contrastive(*case, beta=-beta, equilibrium=FRESH)
    rounding = 1e-12 * (1 + 1 / beta)
    assert below - rounding <= cost <= above + rounding


@given(seed=seeds, num_spins=sizes, share=st.floats(0.01, 0.25))
@pytest.mark.filterwarnings("ignore:sample .* degenerate:UserWarning")
def test_bounds_hold_for_the_default_equilibrium_below_the_gap(seed, num_spins, share):
    case = random_case(seed, num_spins)
    free = qep.gradient(*case, nudge=qep.Nudge.infinitesimal(), **COST)
    assume(free.gap > 0.1)
    slope = 2 * np.abs(case[3]).sum(axis=1).max()
    # Up to here (Davis-Kahan) the nudged ground state overlaps most with the free one.
    beta = share * free.gap / slope
    below, above = (qep.contrastive(*case, beta=b) for b in (beta, -beta))
    assert below - 1e-9 <= free.loss <= above + 1e-9


@given(
    seed=seeds,
    num_spins=sizes,
    beta=st.floats(0.01, 10.0),
    sign=st.sampled_from([1, -1]),
)
@pytest.mark.filterwarnings("ignore:sample .* degenerate:UserWarning")
def test_contrastive_is_the_energy_of_the_cost_operator(seed, num_spins, beta, sign):
    case = random_case(seed, num_spins)
    expected = dense_cost(*case, sign * beta)[1]
    found = qep.contrastive(*case, beta=sign * beta, equilibrium=FRESH)
    assert found == pytest.approx(expected, abs=1e-11 * (1 + 1 / beta))


def test_the_bounds_are_strict_and_close_on_the_cost():
    case = random_case(1, 3)
    cost = dense_cost(*case, 1.0)[0]
    assert qep.gradient(*case, **COST).loss == pytest.approx(cost, abs=1e-10)
    betas = np.array([0.1, 0.05, 0.025])
    below = [qep.contrastive(*case, beta=b) for b in betas]
    above = [qep.contrastive(*case, beta=-b) for b in betas]
    assert np.all(np.diff(below) > 1e-3)
    assert np.all(np.diff(above) < -1e-3)
    for bounds in (below, above):
        slope = np.polyfit(np.log(betas), np.log(np.abs(bounds - cost)), 1)[0]
        assert slope == pytest.approx(1, abs=0.1)


def open_case(num_spins, beta):
    """Draw until free and nudged gaps are open, so that derivatives are tame."""
    for seed in range(1000):
        model, theta, x, y = case = random_case(seed, num_spins, batch=1)
        gaps = []
        for nu in (0 * y[0], -2 * beta * y[0]):
            energies, _ = settle(model.operators, [*theta, *x[0], *nu])
            gaps.append(gap(energies))
        if min(gaps) > 0.3:
            return case
    raise AssertionError("no open case")


# A big nudge is what is tested here, so its warning is expected.
@pytest.mark.filterwarnings("ignore:nudge .* exceeds the gap:UserWarning")
@pytest.mark.parametrize("num_spins", [2, 5])
@pytest.mark.parametrize("beta", [0.01, 0.3, 3.0, 30.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_sided_rule_is_the_exact_gradient(num_spins, beta, sign):
    beta = sign * beta
    model, theta, x, y = open_case(num_spins, beta)
    found = qep.gradient(
        model, theta, x, y, nudge=qep.Nudge.one_sided(beta), equilibrium=FRESH, **COST
    )
    by_theta = five_point(lambda t: dense_cost(model, t, x, y, beta)[1], theta)
    by_x = five_point(lambda u: dense_cost(model, theta, u[None], y, beta)[1], x[0])
    assert found.norm > 0.01
    scale = 1e-7 * np.linalg.norm(by_theta) + 1e-8 / abs(beta)
    np.testing.assert_allclose(found.values, by_theta, rtol=0, atol=scale)
    np.testing.assert_allclose(found.inputs[0], by_x, rtol=0, atol=scale)
    if abs(beta) >= 0.3:  # far from the gradient of the cost itself
        exact = qep.gradient(
            model, theta, x, y, nudge=qep.Nudge.infinitesimal(), **COST
        )
        assert np.linalg.norm(found.values - exact.values) > 0.01 * exact.norm


@dataclass
class Spy:
    """Settles as another equilibrium does, and keeps every phase."""

    equilibrium: Any
    phases: list[qep.Phase] = field(default_factory=list)

    @property
    def follow(self):
        return self.equilibrium.follow

    def __call__(self, operators, coefficients, *, start=None, rng=None):
        self.phases.append(
            self.equilibrium(operators, coefficients, start=start, rng=rng)
        )
        return self.phases[-1]


@pytest.mark.parametrize("beta", [0.4, -0.4])
@pytest.mark.parametrize("follow", [True, False], ids=["two calls", "one call"])
def test_learning_rule_of_the_paper(beta, follow):
    """Eq. (28): a step is (eta / beta) (mean h(0) - mean h(beta)), h = dH/dtheta."""
    eta, shots, batch = 0.05, 37, 4
    model = qep.models.transverse_field_ising(3, inputs=[0, 1], readout=[1, 2])
    theta = np.linspace(0.3, 0.8, model.num_trainable)
    x, y = np.eye(4)[:, :2], np.where(np.eye(4)[:, 1:3] > 0, 1.0, -1.0)
    spy = Spy(qep.Sampled(shots, equilibrium=qep.Exact(follow=follow)))
    rule = {"optimizer": qep.sgd(eta), "nudge": qep.Nudge.one_sided(beta), **COST}
    states = qep.steps(model, x, y, theta=theta, equilibrium=spy, seed=5, **rule)
    before, after = islice(states, 2)
    measured = np.vstack([phase.values for phase in spy.phases])
    free, nudged = measured[:batch], measured[batch : 2 * batch]
    h = model.num_trainable  # the first operators are dH/dtheta
    expected = eta / beta * (free[:, :h] - nudged[:, :h]).mean(axis=0)
    assert np.count_nonzero(expected) > h // 2  # these counts do teach
    assert len(spy.phases) == (4 if follow else 2)
    np.testing.assert_allclose(after.theta - before.theta, expected, atol=1e-14)
    # They are means of +-1 over whole shots.
    assert np.all(np.abs((measured * shots + shots) / 2 % 1 - 0.5) > 0.499)


def test_the_nudged_phase_is_settled_at_beta_times_the_slope():
    spy = Spy(qep.Exact())
    model, theta, x, y = random_case(3, 3)
    beta = 0.01
    qep.gradient(
        model, theta, x, y, equilibrium=spy, nudge=qep.Nudge.one_sided(beta), **COST
    )
    (free, origin), (nudged, coefficients) = (phase.state for phase in spy.phases)
    np.testing.assert_array_equal(origin, model.coefficients(theta, x))
    np.testing.assert_allclose(coefficients[:, model.readout_columns], -2 * beta * y)
    assert np.abs(free - nudged).max() > 1e-3


@pytest.mark.parametrize("beta", [0, 0.0, np.nan, np.inf])
def test_a_nudge_that_is_none_is_refused(beta):
    case = random_case(1, 2)
    with pytest.raises(ValueError, match=rf"beta should be .* got {beta}"):
        qep.contrastive(*case, beta=beta)
    with pytest.raises(ValueError, match=rf"beta\| should be a positive .* got {beta}"):
        qep.Nudge.one_sided(beta)


PROJECTOR = SparsePauliOp(["II", "IZ"], [0.5, 0.5])


@pytest.mark.parametrize(
    "readout",
    [SparsePauliOp(["IZ", "ZI"]), PROJECTOR, SparsePauliOp("ZI", 2.0)],
    ids=["sum", "projector", "scaled"],
)
@pytest.mark.parametrize("function", [qep.gradient, qep.contrastive])
def test_a_readout_that_does_not_square_to_one_is_refused(readout, function):
    model = qep.Model(["XI", "IX"], readout=["ZI", readout])
    how = COST if function is qep.gradient else {"beta": 0.1}
    with pytest.raises(
        ValueError, match=r"(?s)O\^2 = 1, got readout 1 = .*squared_error"
    ):
        function(model, [1.0, 1.0], [], [1.0, 1.0], **how)


def test_wrong_targets_are_refused():
    model, theta, x, _ = random_case(1, 2)
    with pytest.raises(ValueError, match=r"y should have shape \(2, 2\), got \(1, 2\)"):
        qep.contrastive(model, theta, x, [[1.0, 1.0]], beta=0.1)
