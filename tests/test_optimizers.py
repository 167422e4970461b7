"""Optimizers against loops written out by hand, and optax objects as they are."""

from itertools import islice
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import qiskit_qep as qep

THETA = np.array([0.3, -1.2, 0.8])
GRADIENTS = np.random.default_rng(1).normal(size=(12, 3)) * [1.0, 1e-3, 1e3]


def run(optimizer, gradients=GRADIENTS, theta=THETA):
    """Return theta after every update."""
    memory, path = optimizer.init(theta), []
    for g in gradients:
        change, memory = optimizer.update(g, memory, theta)
        theta = theta + change
        path.append(theta)
    return np.array(path)


RATES = {"constant": 0.05, "schedule": lambda step: 0.05 / (1 + step)}


@pytest.fixture(params=RATES)
def rate(request):
    return RATES[request.param]


def at(rate, step):
    return rate(step) if callable(rate) else rate


def test_gradient_descent(rate):
    expected, theta = [], THETA.copy()
    for step, g in enumerate(GRADIENTS):
        theta = theta - at(rate, step) * g
        expected.append(theta)
    np.testing.assert_allclose(run(qep.sgd(rate)), expected, rtol=1e-13)


def test_momentum(rate):
    expected, theta, velocity = [], THETA.copy(), np.zeros(3)
    for step, g in enumerate(GRADIENTS):
        velocity = 0.7 * velocity + g
        theta = theta - at(rate, step) * velocity
        expected.append(theta)
    np.testing.assert_allclose(run(qep.momentum(rate, 0.7)), expected, rtol=1e-13)
    without = run(qep.momentum(rate, 0.0))
    np.testing.assert_allclose(without, run(qep.sgd(rate)), rtol=1e-13)


def test_adam(rate):
    """Algorithm 1 of arXiv:1412.6980, line by line."""
    alpha, b1, b2, eps = rate, 0.8, 0.95, 1e-6
    expected, theta = [], THETA.copy()
    m, v = np.zeros(3), np.zeros(3)
    for t, g in enumerate(GRADIENTS, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t)
        v_hat = v / (1 - b2**t)
        theta = theta - at(alpha, t - 1) * m_hat / (np.sqrt(v_hat) + eps)
        expected.append(theta)
    found = run(qep.adam(rate, b1=b1, b2=b2, eps=eps))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_defaults_of_adam_are_the_papers():
    same = qep.adam(0.03, b1=0.9, b2=0.999, eps=1e-8)
    np.testing.assert_array_equal(run(qep.adam(0.03)), run(same))


@given(g=arrays(float, 3, elements=st.floats(1e-3, 1e3)), size=st.floats(1e-3, 1e3))
def test_the_first_step_of_adam_is_the_rate_whatever_the_gradient(g, size):
    (theta,) = run(qep.adam(0.1), [-size * g])
    np.testing.assert_allclose(theta - THETA, 0.1, rtol=1e-2)


def test_against_optax(rate):
    optax = pytest.importorskip("optax", reason="optax is no dependency of the tests")
    for ours, theirs in [
        (qep.sgd(rate), optax.sgd(rate)),
        (qep.momentum(rate, 0.7), optax.sgd(rate, momentum=0.7)),
        (qep.adam(rate), optax.adam(rate)),
    ]:  # optax computes in single precision unless told otherwise
        np.testing.assert_allclose(run(ours), run(theirs), rtol=1e-4)


@pytest.mark.parametrize(
    "make", [qep.sgd, qep.momentum, qep.adam], ids=["sgd", "momentum", "adam"]
)
def test_optimizers_are_pure(make):
    optimizer = make(0.1)
    memory = optimizer.init(THETA)
    _, memory = optimizer.update(GRADIENTS[0], memory, THETA)
    before = [np.array(leaf) for leaf in memory]
    first, _ = optimizer.update(GRADIENTS[1], memory, THETA)
    again, _ = optimizer.update(GRADIENTS[1], memory, THETA)
    np.testing.assert_array_equal(first, again)
    assert np.linalg.norm(first) > 1e-3
    for a, b in zip(before, memory, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "optimizer",
    [qep.sgd(0.1), qep.momentum(0.02, 0.9), qep.adam(0.1)],
    ids=["sgd", "momentum", "adam"],
)
def test_a_parabola_is_descended(optimizer):
    theta, memory = THETA, optimizer.init(THETA)
    for _ in range(300):
        change, memory = optimizer.update(2 * (theta - 1), memory, theta)
        theta = theta + change
    np.testing.assert_allclose(theta, 1, atol=1e-3)


def test_cosine_schedule():
    schedule = qep.cosine(0.2, 50, end=0.05)
    rates = [schedule(step) for step in range(70)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[25] == pytest.approx((0.2 + 0.05) / 2)
    assert rates[50:] == [pytest.approx(0.05)] * 20
    assert np.all(np.diff(rates[:51]) < 0)
    assert qep.cosine(0.2, 50)(50) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("bad", [0, -0.1, np.nan, np.inf])
@pytest.mark.parametrize("make", [qep.sgd, qep.momentum, qep.adam])
def test_bad_rates_are_refused(make, bad):
    with pytest.raises(ValueError, match=f"rate should be a positive .* got {bad}"):
        make(bad)


@pytest.mark.parametrize("bad", [1.0, -0.1, 2, np.nan])
def test_bad_fractions_are_refused(bad):
    with pytest.raises(ValueError, match=rf"decay should be in \[0, 1\), got {bad}"):
        qep.momentum(0.1, bad)
    for name in ("b1", "b2"):
        with pytest.raises(ValueError, match=rf"{name} should be in \[0, 1\), got"):
            qep.adam(0.1, **{name: bad})


@pytest.mark.parametrize("steps", [0, -1])
def test_a_schedule_without_steps_is_refused(steps):
    with pytest.raises(ValueError, match=f"steps should be at least 1, got {steps}"):
        qep.cosine(0.1, steps)


# An object with optax's shape: a NamedTuple of functions, nested memory with empty
# states, dicts and None, as chains and masked transformations have.


class Trace(NamedTuple):
    count: np.ndarray
    trace: dict[str, np.ndarray]


class Empty(NamedTuple):
    pass


class Transformation(NamedTuple):
    init: object
    update: object


def optax_like(rate=0.1, decay=0.5):
    def init(params):
        return (
            Empty(),
            Trace(np.zeros((), np.int32), {"v": np.zeros_like(params)}),
            None,
        )

    def update(updates, state, params=None):
        empty, (count, trace), nothing = state
        assert isinstance(empty, Empty)
        assert isinstance(state[1], Trace)
        assert nothing is None
        velocity = decay * trace["v"] + updates
        return -rate * velocity, (empty, Trace(count + 1, {"v": velocity}), None)

    return Transformation(init, update)


def small_run(optimizer, **how):
    model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
    return qep.steps(
        model, [[1.0], [-0.5]], [[-0.5], [0.5]], optimizer=optimizer, **how
    )


def test_an_optax_like_object_fits_as_it_is(tmp_path):
    states = list(islice(small_run(optax_like(), seed=1), 7))
    ours = list(islice(small_run(qep.momentum(0.1, 0.5), seed=1), 7))
    assert np.linalg.norm(states[6].theta - states[0].theta) > 0.1
    for a, b in zip(states, ours, strict=True):
        np.testing.assert_allclose(a.theta, b.theta, rtol=1e-13)
    assert states[6].memory[1].count == 6
    states[3].save(tmp_path / "state.npz")
    loaded = qep.State.load(tmp_path / "state.npz")
    resumed = list(islice(small_run(optax_like(), state=loaded), 3))
    for a, b in zip(states[4:], resumed, strict=True):
        np.testing.assert_array_equal(a.theta, b.theta)
    assert type(resumed[-1].memory[1]) is Trace


def test_a_bounded_optimizer_is_the_one_inside_until_it_meets_a_bound():
    inner = qep.adam(0.1)
    kept = qep.bounded(inner, lower=[-1.0, 0.5], upper=2.0)
    theta, g = np.array([0.0, 0.55]), np.array([-1.0, 1.0])
    free, memory = inner.update(g, inner.init(theta), theta)
    change, same = kept.update(g, kept.init(theta), theta)
    assert theta[1] + free[1] < 0.5
    np.testing.assert_allclose(theta + change, [free[0], 0.5], rtol=1e-15)
    for a, b in zip(memory, same, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("lower", "upper"), [(1.0, 0.0), (np.nan, 1.0)])
def test_bounds_that_leave_nothing_are_refused(lower, upper):
    with pytest.raises(ValueError, match=r"lower should be below upper, got (1.0|nan)"):
        qep.bounded(qep.adam(), lower=lower, upper=upper)
