"""Parameters that relax as slow variables move along the gradient of their device."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import SparsePauliOp
from scipy.optimize import minimize

import qiskit_qep as qep
import reference

STIFF = 1e-5  # a compliance whose own bias is below what is tested
VARIANTS = {
    "positive": (qep.Nudge.one_sided, 1),
    "negative": (lambda b: qep.Nudge.one_sided(-b), 1),
    "centred": (qep.Nudge.centered, 2),
}


@cache
def network(seed, num_spins=4, batch=2):
    """Draw a network with a gap, Y terms included, where there is much to learn."""
    rng = np.random.default_rng(seed)
    while True:
        operators, row = reference.general(rng, num_spins)
        readout = reference.at("Z", [0], num_spins)
        model = qep.Model(operators[2:], inputs=operators[:2], readout=[readout])
        x = row[:2] + 0.3 * rng.standard_normal((batch, 2))
        where = model, row[2:], x, rng.choice([-1.0, 1.0], (batch, 1))
        exact = qep.gradient(*where, nudge=qep.Nudge.infinitesimal())
        if exact.gap > 0.8 and exact.norm > 1.0:
            return where


def settled(model, theta, x, push=0.0):
    """Return ground-state energies and all values, from dense matrices."""
    matrices = np.array([op.to_matrix() for op in model.operators])
    rows = model.coefficients(theta, x, push)
    energies, vectors = np.linalg.eigh(np.tensordot(rows, matrices, 1))
    ground = vectors[:, :, 0]
    values = np.einsum("bi,kij,bj->bk", ground.conj(), matrices, ground).real
    return energies[:, 0], values


def true_gradient(model, theta, x, y):
    """Return the derivative of the mean squared error by finite differences."""

    def loss(at):
        predicted = settled(model, at, x)[1][:, model.readout_columns]
        return ((predicted - y) ** 2).sum(axis=1).mean()

    return reference.five_point(loss, theta)


def force(model, theta, x):
    """Return <dH/dtheta> of the free phase."""
    return model.pullback(theta, x, settled(model, theta, x)[1])[0].mean(axis=0)


@cache
def true_gradient_of(seed):
    return true_gradient(*network(seed))


def away(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


# --- The way is the gradient ----------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_error_is_of_the_order_of_the_nudge(seed, variant):
    make, order = VARIANTS[variant]
    where = network(seed)
    expected = true_gradient_of(seed)
    betas = 0.08 / 2.0 ** np.arange(4)
    errors = [
        away(qep.agnostic(*where, compliance=STIFF, nudge=make(b)).values, expected)
        for b in betas
    ]
    assert errors[0] > 1e-3
    steepness = np.diff(np.log(errors)) / np.log(0.5)
    assert steepness[-1] == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_soft_springs_prefer_directions_in_which_the_system_is_soft(seed):
    """The way is (1 - eps chi)^-1 dL/dtheta, chi the susceptibility."""
    model, theta, x, _ = where = network(seed)
    gradient = true_gradient_of(seed)
    chi = -reference.five_point(lambda at: force(model, at, x), theta)
    softest = np.linalg.eigvalsh(chi).max()
    small = qep.Nudge.centered(1e-3)
    shares, errors = 0.5 ** np.arange(1, 6), []
    for share in shares:
        eps = share / softest
        found = qep.agnostic(*where, compliance=eps, nudge=small).values
        law = np.linalg.solve(np.eye(len(theta)) - eps * chi, gradient)
        assert away(found, law) < 2e-3  # O(eps beta)
        errors.append(away(found, gradient))
    assert errors[0] > 0.05
    assert np.diff(np.log(errors))[-1] / np.log(0.5) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_theta_rests_at_minima_of_the_total_energy(variant):
    """Energies alone decide where: no force is computed here."""
    model, theta, x, y = where = network(3, num_spins=2)
    nudge, eps = VARIANTS[variant][0](0.2), 0.05
    step = qep.agnostic(*where, compliance=eps, nudge=nudge)
    slope = 2 * (qep.predict(model, theta, x) - y)
    hold, release = (nudge.nodes[i] for i in np.argsort(nudge.weights))

    def rest(beta, control):
        def total(at):
            spring = ((control - at) ** 2).sum() / (2 * eps)
            return spring + settled(model, at, x, beta * slope)[0].mean()

        return minimize(total, theta + 0.01, tol=1e-10).x

    assert release > hold
    assert np.abs(step.theta - theta).max() > 0.01
    np.testing.assert_allclose(rest(hold, step.control), theta, atol=2e-6)
    np.testing.assert_allclose(rest(release, step.control), step.theta, atol=2e-6)
    control = theta.copy()
    for _ in range(8):  # who watches theta, and nothing else, holds it with the same u
        control += theta - rest(hold, control)
    np.testing.assert_allclose(control, step.control, atol=2e-5)
    assert np.abs(step.control - theta).max() > 0.01
    moved = (theta - step.theta) / (eps * (release - hold))
    np.testing.assert_allclose(step.values, moved, atol=1e-9)


@given(
    field=st.floats(0.2, 2.0),
    softness=st.floats(0.01, 0.9),
    beta=st.floats(0.01, 10.0),
    seed=st.integers(0, 2**32 - 1),
    variant=st.sampled_from(list(VARIANTS)),
)
# The property holds beyond what is warned about, and is drawn there, too.
@pytest.mark.filterwarnings("ignore:nudge .* exceeds the gap:UserWarning")
@pytest.mark.filterwarnings("ignore:theta ran away:UserWarning")
@pytest.mark.filterwarnings("ignore:sample .* crossed a level:UserWarning")
def test_a_step_never_raises_the_contrastive_function(
    field, softness, beta, seed, variant
):
    """E = -|(theta_0, field, theta_1 + nudge)| has chi <= 1 / field everywhere."""
    model = qep.Model(
        ["X", "Z"], inputs=["Z"], readout=["Z"], fixed=SparsePauliOp("Y", field)
    )
    rng = np.random.default_rng(seed)
    where = model, rng.standard_normal(2), rng.standard_normal((3, 1))
    y = rng.choice([-1.0, 1.0], (3, 1))
    how = {"compliance": softness * field, "loss": qep.cost_observable}
    how["equilibrium"] = qep.Exact(follow=False)  # the minimum, however far
    step = qep.agnostic(*where, y, nudge=VARIANTS[variant][0](beta), **how)
    before, after = (
        lyapunov(variant, model, theta, where[2], y, beta)
        for theta in (where[1], step.theta)
    )
    assert after <= before + 1e-8 / beta


def lyapunov(variant, model, theta, x, y, beta):
    """Return (F_2 - F_1) / (beta_2 - beta_1)."""
    signs = {"positive": [1], "negative": [-1], "centred": [1, -1]}[variant]
    settle = qep.Exact(follow=False)
    return np.mean(
        [
            qep.contrastive(model, theta, x, y, beta=s * beta, equilibrium=settle)
            for s in signs
        ]
    )


# --- What the device is --------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Wired:
    """Coefficients c_0 + c_1 tanh(G w / c_1): knobs leak into each other, saturate."""

    start: np.ndarray
    mixing: np.ndarray
    num_inputs: int
    limit: float = 1.0

    @property
    def num_trainable(self):
        return len(self.start)

    def coefficients(self, theta, x):
        each = self.start + self.limit * np.tanh(self.mixing @ theta / self.limit)
        return np.hstack([np.tile(each, (len(x), 1)), x])

    def pullback(self, theta, x, v):
        bent = 1 - np.tanh(self.mixing @ theta / self.limit) ** 2
        return (v[:, : len(bent)] * bent) @ self.mixing, v[:, len(bent) :]

    def initial(self, rng):
        return np.zeros(len(self.start))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_way_is_the_gradient_of_the_device_as_it_is(seed):
    model, start, x, y = network(seed)
    rng = np.random.default_rng(seed)
    size = len(start)
    mixing = rng.standard_normal((size, size)) / np.sqrt(size)
    device = replace(model, parametrization=Wired(start, mixing, 2))
    knobs = 0.1 * rng.standard_normal(size)
    where = device, knobs, x, y
    expected = true_gradient(*where)
    small = qep.Nudge.centered(1e-3)
    found = qep.agnostic(*where, compliance=STIFF, nudge=small).values
    assert away(found, expected) < 1e-3
    # The contrastive rule with dH/dw = A_k, measured on the same device.
    coefficients = device.coefficients(knobs, x)[0, :size]
    believed = qep.gradient(model, coefficients, x, y, nudge=small).values
    cosine = believed @ expected / np.linalg.norm(believed) / np.linalg.norm(expected)
    assert abs(cosine) < 0.8
    assert np.linalg.norm(expected) > 0.1


def test_any_equilibrium_will_do():
    chain = {"springs": "chain", "clamped": [0], "readout": [3]}
    atoms = qep.models.oscillator_network([1.0] * 4, anchors=0.5, **chain)
    for equilibrium, where in (
        (qep.Thermal(0.5), network(1)),
        (qep.Gaussian(), (atoms, np.ones(atoms.num_trainable), [[1.0]], [[1.0]])),
    ):
        how = {"equilibrium": equilibrium, "nudge": qep.Nudge.centered(0.02)}
        expected = qep.gradient(*where, **how)
        found = qep.agnostic(*where, compliance=STIFF, **how)
        assert expected.norm > 0.05
        assert away(found.values, expected.values) < 1e-3
        assert found.loss == pytest.approx(expected.loss, abs=1e-12)
        np.testing.assert_array_equal(found.prediction, expected.prediction)


def test_where_there_is_nothing_to_learn_nothing_moves():
    model, theta, x, _ = network(1)
    y = qep.predict(model, theta, x)
    step = qep.agnostic(model, theta, x, y, compliance=0.05)
    np.testing.assert_allclose(step.theta, theta, atol=1e-9)
    assert step.loss < 1e-12
    assert np.abs(step.control - theta).max() > 0.01  # it is held against a force


def test_shots_shake_theta_as_much_as_the_standard_errors_say():
    where = network(2, num_spins=3)
    how = {"nudge": qep.Nudge.centered(0.3), "loss": qep.cost_observable}
    exact = qep.agnostic(*where, compliance=STIFF, **how)
    runs = [
        qep.agnostic(
            *where, compliance=STIFF, equilibrium=qep.Sampled(500), seed=seed, **how
        )
        for seed in range(40)
    ]
    errors = np.array([(run.values - exact.values) / run.stds for run in runs])
    assert np.abs(errors.mean(axis=0)).max() < 5 / np.sqrt(len(runs))
    # Components that share shots are correlated; three settings are not.
    assert np.mean(errors**2) == pytest.approx(1, abs=5 * np.sqrt(2 / (3 * len(runs))))
    losses = np.array([(run.loss - exact.loss) / run.loss_std for run in runs])
    assert np.mean(losses**2) == pytest.approx(1, abs=5 * np.sqrt(2 / len(runs)))
    again = qep.agnostic(
        *where, compliance=STIFF, equilibrium=qep.Sampled(500), seed=7, **how
    )
    np.testing.assert_array_equal(again.theta, runs[7].theta)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_device_teaches_itself(variant):
    """Every step lowers the contrastive function, and the loss follows."""
    model = qep.models.transverse_field_ising(4, inputs=[0, 1], readout=[3])
    x = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    y = np.array([[-1.0], [-1.0], [-1.0], [1.0]])
    nudge = VARIANTS[variant][0](0.1)
    for seed in range(3):
        theta, bounds, losses = model.initial(np.random.default_rng(seed)), [], []
        for _ in range(40):
            step = qep.agnostic(
                model,
                theta,
                x,
                y,
                compliance=0.05,
                nudge=nudge,
                loss=qep.cost_observable,
            )
            bounds.append(lyapunov(variant, model, theta, x, y, 0.1))
            losses.append(step.loss)
            theta = step.theta
        assert (np.diff(bounds) < 0).all()
        assert losses[-1] < 0.5 * losses[0]


# Small gaps are passed on the way, where a nudge that is small elsewhere is not.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:nudge .* exceeds the gap:UserWarning")
def test_a_device_teaches_itself_what_no_linear_model_can():
    """Exclusive or, by a device whose wires are reversed at random."""
    model = qep.models.transverse_field_ising(6, inputs=[0, 1], readout=[5])
    parts = 15, 6, 6  # J, h, b: near the saddle at J = b = 0, but not at it
    center, width = np.repeat([0, 0.4, 0], parts), np.repeat([0.05, 0.06, 0.05], parts)
    x, y = qep.datasets.xor()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        start = center + width * rng.standard_normal(len(center))
        wires = np.diag(rng.choice([-1.0, 1.0], len(start)))
        device = replace(model, parametrization=Wired(start, wires, 2, limit=1e3))
        knobs, loss, steps = np.zeros(len(start)), 1.0, 0
        while loss > 0.1 and steps < 300:
            step = qep.agnostic(
                device, knobs, x, y, compliance=0.05, nudge=qep.Nudge.centered(0.3)
            )
            knobs, loss, steps = step.theta, step.loss, steps + 1
        assert loss < 0.1
        right = qep.predict(device, knobs, x) * y
        assert right.min() > 0.5


# --- What is refused, what is warned of -----------------------------------------------


@pytest.mark.parametrize(
    "nudge",
    [
        qep.Nudge.infinitesimal(),
        qep.Nudge.chebyshev(0.1, 4),
        qep.Nudge.holomorphic(0.1, 2),
        qep.Nudge.random_sign(0.1),
        qep.Nudge.centered(0.1, probe=True),
        qep.Nudge.centered(0.1).normalized(),
    ],
    ids=str,
)
def test_other_stencils_are_refused(nudge):
    with pytest.raises(ValueError, match=r"got Nudge\..*use Nudge.centered, or"):
        qep.agnostic(*network(1), compliance=0.1, nudge=nudge)


@pytest.mark.parametrize("compliance", [0.0, -1.0, np.inf, np.nan])
def test_springs_have_a_compliance(compliance):
    with pytest.raises(ValueError, match=f"positive number, got {compliance}"):
        qep.agnostic(*network(1), compliance=compliance)


SPIN = qep.Model(["Z"], readout=["Z"], fixed=SparsePauliOp("X", -0.5))


def test_springs_that_are_too_soft_are_noticed():
    """E = -sqrt(theta^2 + h^2) has chi = 1 / h = 2 at theta = 0."""
    where = SPIN, [0.0], [], [[1.0]]
    with pytest.warns(
        UserWarning, match=r"theta ran away: .* lower compliance .got 2."
    ):
        qep.agnostic(*where, compliance=2.0)
    with pytest.raises(ValueError, match=r"does not come to rest: stroke 200 .* lower"):
        qep.agnostic(*where, compliance=0.4999, nudge=qep.Nudge.centered(1e-7))


def test_a_nudge_beyond_the_gap_is_warned_of():
    with pytest.warns(UserWarning, match=r"exceeds the gap .* lower beta"):
        qep.agnostic(
            SPIN, [0.1], [], [[1.0]], compliance=0.01, nudge=qep.Nudge.one_sided(2.0)
        )
