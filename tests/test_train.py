"""A run is a sequence of states: each measured where it stands, resumed to the bit."""

import re
import warnings
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qiskit_qep as qep

MODEL = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
RNG = np.random.default_rng(1)
X = RNG.uniform(-1, 1, size=(7, 1))
Y = -np.sign(X) * 0.5


def run(count, **how):
    """Return the next ``count`` states."""
    return list(islice(qep.steps(MODEL, X, Y, **how), count))


def contents(state):
    """Return all that a state holds, as bytes."""
    leaves = state.memory if isinstance(state.memory, tuple | list) else [state.memory]
    arrays = [state.theta, *leaves, *vars(state.gradient).values()]
    numbers = (state.step, state.seed, state.model)
    return [np.asarray(a).tobytes() for a in arrays], numbers


def test_step_zero_is_the_start_measured():
    theta = np.linspace(0.2, 0.6, 5)
    first, second = run(2, theta=theta, seed=3)
    assert (first.step, second.step) == (0, 1)
    np.testing.assert_array_equal(first.theta, theta)
    assert first.theta is not theta
    here = qep.gradient(MODEL, theta, X, Y, seed=3)
    np.testing.assert_array_equal(first.gradient.values, here.values)
    assert first.loss == here.loss
    assert np.linalg.norm(second.theta - theta) > 1e-3


@pytest.mark.parametrize("equilibrium", [qep.Exact(), qep.Sampled(50)], ids=str)
def test_loss_and_gradient_belong_to_the_theta_yielded(equilibrium):
    states = run(5, seed=3, equilibrium=equilibrium, optimizer=qep.sgd(0.3))
    for state, after in pairwise(states):
        step = after.theta - state.theta
        np.testing.assert_allclose(step, -0.3 * state.gradient.values, atol=1e-15)
        assert np.linalg.norm(step) > 1e-3
        if equilibrium == qep.Exact():
            here = qep.gradient(MODEL, state.theta, X, Y)
            np.testing.assert_array_equal(state.gradient.values, here.values)
            assert state.loss == here.loss
        else:
            exact = qep.gradient(MODEL, state.theta, X, Y)
            found = state.gradient
            z = (found.prediction - exact.prediction) / found.prediction_stds
            assert np.abs(z).max() < 5


def test_yielded_states_do_not_change():
    states, before = [], []
    for state in islice(qep.steps(MODEL, X, Y, seed=1), 4):
        states.append(state)
        before.append(contents(state))
    assert [contents(s) for s in states] == before
    assert before[1] != before[2]


def test_the_start_comes_from_the_seed():
    (a,), (b,), (c,) = run(1, seed=1), run(1, seed=1), run(1, seed=2)
    np.testing.assert_array_equal(a.theta, b.theta)
    assert not np.array_equal(a.theta, c.theta)
    (drawn,), (again,) = run(1), run(1)
    assert drawn.seed != again.seed
    (same,) = run(1, seed=drawn.seed)
    np.testing.assert_array_equal(drawn.theta, same.theta)


def test_steps_can_be_counted_by_the_optimizer():
    rates = []

    def schedule(step):
        rates.append(step)
        return 0.1 / (1 + step)

    states = run(4, seed=1, optimizer=qep.sgd(schedule))
    assert rates == [0, 1, 2]
    for k, (a, b) in enumerate(pairwise(states)):
        expected = a.theta - 0.1 / (1 + k) * a.gradient.values
        np.testing.assert_allclose(b.theta, expected)


# -- mini-batches ----------------------------------------------------------------------

# Which samples a step has seen is told by targets that no two share: the loss of a
# sample is y p with ``expectation``, and x = 0 gives every sample the same p.
MARKS = 10.0 ** np.arange(7)[:, None]


def seen(count, **how):
    """Return which samples each of the first ``count`` states was measured on."""
    theta = np.full(5, 0.5)
    p = qep.predict(MODEL, theta, [[0.0]])[0, 0]
    stay = qep.Optimizer(lambda theta: (), lambda g, memory, theta: (0 * g, memory))
    zero = np.zeros((7, 1))
    found = qep.steps(
        MODEL, zero, MARKS, theta=theta, optimizer=stay, loss=qep.expectation,
        nudge=qep.Nudge.infinitesimal(), **how,
    )  # fmt: skip
    batches = []
    for state in islice(found, count):
        digits = round(state.loss / p * len(state.gradient.prediction))
        batches.append([k for k in range(7) if digits // 10**k % 10 == 1])
        assert sum(10**k for k in batches[-1]) == digits
    return batches


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_an_epoch_visits_every_sample_once(size):
    per_epoch = -(-7 // size)
    batches = seen(3 * per_epoch, batch_size=size, seed=5)
    epochs = [
        [k for batch in batches[e * per_epoch : (e + 1) * per_epoch] for k in batch]
        for e in range(3)
    ]
    for epoch in epochs:
        assert sorted(epoch) == list(range(7))
    sizes = [len(batch) for batch in batches[:per_epoch]]
    assert sizes == [size] * (7 // size) + [7 % size] * (7 % size > 0)


def test_the_order_of_an_epoch_comes_from_seed_and_epoch():
    def order(seed):
        return seen(14, batch_size=1, seed=seed)

    assert order(5) == order(5)
    assert order(5) != order(6)
    assert order(5)[:7] != order(5)[7:]  # a new order every epoch
    assert sorted(order(5)[:7]) == sorted(order(5)[7:])


def test_all_samples_by_default():
    assert seen(2, seed=1) == [list(range(7))] * 2


# -- resuming -------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": lambda: qep.sgd(qep.cosine(0.3, 8)),
    "momentum": lambda: qep.momentum(0.1),
    "adam": lambda: qep.adam(0.05),
}
LAST = 9
SETTLES = {"exact": qep.Exact(), "sampled": qep.Sampled(20)}
uninterrupted = {}


def whole_run(name, settles, size):
    key = name, settles, size
    if key not in uninterrupted:
        how = {"optimizer": OPTIMIZERS[name](), "equilibrium": SETTLES[settles]}
        states = run(LAST + 1, seed=11, batch_size=size, **how)
        assert np.linalg.norm(states[-1].theta - states[0].theta) > 0.05
        uninterrupted[key] = states
    return uninterrupted[key]


@given(
    name=st.sampled_from(sorted(OPTIMIZERS)),
    settles=st.sampled_from(sorted(SETTLES)),
    size=st.sampled_from([None, 1, 3]),
    k=st.integers(0, LAST - 1),
)
@settings(max_examples=30)
def test_a_run_resumes_as_if_never_stopped(tmp_path_factory, name, settles, size, k):
    states = whole_run(name, settles, size)
    folder = tmp_path_factory.mktemp("run")
    states[k].save(folder / "stopped.npz")
    loaded = qep.State.load(folder / "stopped.npz")
    assert contents(loaded) == contents(states[k])
    how = {"optimizer": OPTIMIZERS[name](), "equilibrium": SETTLES[settles]}
    resumed = run(LAST - k, state=loaded, batch_size=size, **how)
    assert [contents(s) for s in resumed] == [contents(s) for s in states[k + 1 :]]
    resumed[-1].save(folder / "resumed.npz")
    states[-1].save(folder / "whole.npz")
    files = [folder / f"{name}.npz" for name in ("resumed", "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_state_in_memory_resumes_as_well():
    states = run(6, seed=2)
    resumed = run(3, state=states[2])
    assert [contents(s) for s in resumed] == [contents(s) for s in states[3:]]


def test_another_models_state_is_refused():
    (state,) = run(1, seed=1)
    other = qep.models.transverse_field_ising(2, inputs=[1], readout=[0])
    match = rf"state belongs to model {state.model}, not .*{other.fingerprint}"
    with pytest.raises(ValueError, match=match):
        qep.steps(other, X, Y, state=state)
    restarted = next(qep.steps(other, X, Y, theta=state.theta, seed=1))
    np.testing.assert_array_equal(restarted.theta, state.theta)


@pytest.mark.parametrize("had", OPTIMIZERS)
@pytest.mark.parametrize("gets", OPTIMIZERS)
def test_another_optimizers_state_is_refused(had, gets):
    state = run(3, seed=1, optimizer=OPTIMIZERS[had]())[-1]
    states = qep.steps(MODEL, X, Y, state=state, optimizer=OPTIMIZERS[gets]())
    if had == gets:
        assert next(states).step == 3
    else:
        with pytest.raises(ValueError, match="the optimizer that the run began with"):
            next(states)


def test_a_state_with_theta_or_another_seed_is_refused():
    (state,) = run(1, seed=1)
    with pytest.raises(ValueError, match="one of theta and state"):
        qep.steps(MODEL, X, Y, state=state, theta=state.theta)
    with pytest.raises(ValueError, match="seed is 1 in the state, got 2"):
        qep.steps(MODEL, X, Y, state=state, seed=2)
    assert next(qep.steps(MODEL, X, Y, state=state, seed=1)).step == 1


@pytest.mark.parametrize(
    ("x", "y", "how", "match"),
    [
        (
            X[:, 0],
            Y,
            {},
            r"x should have shape \(num_samples, num_inputs\), got \(7,\)",
        ),
        (X[:0], Y[:0], {}, r"x should have shape .* got \(0, 1\)"),
        (X, Y[:5], {}, r"y should have as many rows as x \(7\), got 5"),
        (X, Y, {"batch_size": 0}, "batch_size should be 1 to 7, got 0"),
        (X, Y, {"batch_size": 8}, "batch_size should be 1 to 7, got 8"),
    ],
)
def test_wrong_data_is_refused_at_once(x, y, how, match):
    with pytest.raises(ValueError, match=match):
        qep.steps(MODEL, x, y, **how)


def test_a_wrong_theta_is_refused():
    with pytest.raises(ValueError, match=r"theta should have shape \(5,\), got \(4,\)"):
        next(qep.steps(MODEL, X, Y, theta=np.ones(4)))


# -- train ----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 4])
def test_train_returns_the_state_after_so_many_updates(count):
    states = run(5, seed=3)
    state = qep.train(MODEL, X, Y, steps=count, seed=3, progress=False)
    assert contents(state) == contents(states[count])
    more = qep.train(MODEL, X, Y, steps=4 - count, state=state, progress=False)
    assert contents(more) == contents(states[4])


def test_fewer_than_no_steps_are_refused():
    with pytest.raises(ValueError, match="steps should be 0 or more, got -1"):
        qep.train(MODEL, X, Y, steps=-1)


def test_progress_is_written_to_stderr_only(capfd):
    qep.train(MODEL, X, Y, steps=3, seed=1, progress=False)
    assert capfd.readouterr() == ("", "")
    qep.train(MODEL, X, Y, steps=3, seed=1, equilibrium=qep.Sampled(100))
    out, err = capfd.readouterr()
    assert out == ""
    assert "3/3" in err
    assert re.search(r"loss 0\.\d+ ± 0\.\d+, \|grad\| \d\.\d+ ± \d\.\d+", err)


# -- what a run says ------------------------------------------------------------------


def test_a_warning_is_said_once_per_run():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        states = run(5, seed=1, nudge=qep.Nudge.centered(3.0), optimizer=qep.sgd(1e-6))
    assert [s.step for s in states] == list(range(5))
    exceeding = [w for w in caught if "exceeds the gap" in str(w.message)]
    assert len(exceeding) == 1
    assert str(exceeding[0].message).startswith("step 0: nudge ")
    assert "said once per run" in str(exceeding[0].message)
    assert exceeding[0].filename == __file__


def test_other_warnings_keep_their_category():
    def settles(operators, coefficients, *, start=None, rng=None):
        warnings.warn("the cryostat is warm", RuntimeWarning, stacklevel=2)
        return qep.Phase(np.zeros(coefficients.shape))

    with pytest.warns(RuntimeWarning, match="the cryostat is warm"):
        run(1, seed=1, equilibrium=settles)


def test_repr_has_error_bars():
    state = run(3, seed=1, equilibrium=qep.Sampled(200))[-1]
    number = r"\d+\.?\d*"
    bars = rf"step 2   loss {number} ± {number}   \|grad\| {number} ± {number}"
    assert re.fullmatch(bars, repr(state))
    g = state.gradient
    shown = [float(n) for n in re.findall(number, repr(state))]
    expected = [2, g.loss, g.loss_std, g.norm, g.norm_std]
    np.testing.assert_allclose(shown, expected, rtol=0.06, atol=0.06 * g.loss_std)
    assert "±" in repr(g)
    exact = run(1, seed=1)[0]
    assert re.fullmatch(rf"step 0   loss {number}   \|grad\| {number}", repr(exact))
    assert f"loss {exact.loss:.4g}" in repr(exact)


def test_the_loop_of_the_readme_ends():
    """Warnings are errors here: no step has nudged beyond the gap."""
    model = qep.models.transverse_field_ising(6, inputs=[0, 1], readout=[5])
    x, y = qep.datasets.xor()
    for state in qep.steps(model, x, y, seed=7):
        if state.loss < 0.1 or state.step == 300:
            break
    assert 0 < state.step < 300
    assert np.all(np.sign(qep.predict(model, state.theta, x)) == y)


def test_shots_learn_as_well():
    x, y = np.array([[1.0], [-1.0]]), np.array([[-1.0], [1.0]])
    how = {"equilibrium": qep.Sampled(200), "nudge": qep.Nudge.centered(0.2)}
    states = qep.steps(MODEL, x, y, optimizer=qep.adam(0.1), seed=4, **how)
    losses = [state.loss for state in islice(states, 40)]
    assert losses[0] > 0.5
    assert np.mean(losses[-5:]) < 0.2
