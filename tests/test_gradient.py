"""The gradient is the derivative of the loss, and every stencil has its order."""

from dataclasses import dataclass

import numpy as np
import pytest
from qiskit.quantum_info import SparsePauliOp
from scipy.linalg import eigh
from scipy.special import eval_legendre

import qiskit_qep as qep
from reference import five_point, matrix

EXACTLY = qep.Nudge.infinitesimal()


def dense_loss(model, loss, *, level=0, features=None):
    """Return (theta, x, y) -> loss and gap of one sample, by diagonalising matrices."""
    driven = [matrix(op) for op in (*model.trainable, *model.inputs)]
    readout = [matrix(op) for op in model.readout]
    fixed = 0 * driven[0] if model.fixed is None else matrix(model.fixed)
    split = np.cumsum([len(model.trainable), len(model.inputs)])

    def value(theta, x, y):
        if features is not None:  # the last entries of theta are b, then V row by row
            theta, b, v = np.split(theta, split)
            x = b + v.reshape(len(b), features) @ x
        terms = (c * op for c, op in zip([*theta, *x], driven, strict=True))
        h = sum(terms, start=fixed).toarray()
        h = h if h.imag.any() else h.real
        energies, states = eigh(h, subset_by_index=[0, level + 1])
        state, gap = states[:, level], np.diff(energies).min()
        p = np.array([np.vdot(state, op @ state).real for op in readout])
        if loss == "squared_error":
            return np.sum((p - y) ** 2), gap
        if loss == "cross_entropy":
            return np.log(np.sum(np.exp(4 * p))) - 4 * p[y], gap
        if loss == "expectation":
            return np.sum(y * p), gap
        images = [op @ state - y_i * state for op, y_i in zip(readout, y, strict=True)]
        return sum(np.vdot(v, v).real for v in images), gap  # <(O - y)^2>

    return value


def along(function):
    """Differentiate a function of one number at 0."""
    return five_point(lambda h: function(h[0]), np.zeros(1))[0]


def random_ising(num_spins, rng):
    spins = [int(s) for s in rng.permutation(num_spins)]
    return qep.models.transverse_field_ising(
        num_spins, inputs=spins[:2], readout=spins[-2:]
    )


def random_pauli(num_spins, rng):
    """Two fields on every spin, and couplings of any kind; Y terms make it complex."""

    def string(*letters):
        label = np.full(num_spins, "I")
        where = rng.choice(num_spins, size=min(len(letters), num_spins), replace=False)
        label[where] = letters[: len(where)]
        return "".join(label)

    def letters(size):
        return rng.choice(list("XYZ"), size=size, replace=False)

    fields = [
        "I" * (num_spins - q - 1) + letter + "I" * q
        for q in range(num_spins)
        for letter in letters(2)
    ]
    couplings = [string(*letters(2 + k % 2)) for k in range(2 * num_spins)]
    pair = SparsePauliOp([string("Z"), string(*letters(2))], [0.6, 0.8])
    return qep.Model(
        list(dict.fromkeys(fields + couplings)),  # each string once
        inputs=[string("X"), pair],
        readout=[string("Z"), string(*letters(2))],
        fixed="Y" + "I" * (num_spins - 1),
    )


FAMILIES = {"ising": random_ising, "pauli": random_pauli}


def problem(family, num_spins, seed, loss="squared_error", level=0, batch=2):
    """Draw model, theta, x, y with open gaps and losses that change; and the losses."""
    rng = np.random.default_rng([seed, num_spins])
    features = 3 if loss == "cross_entropy" else None
    while True:
        model = FAMILIES[family](num_spins, rng)
        if features:
            model = qep.linear_inputs(model, features)
        theta = rng.normal(size=model.num_trainable)
        if family == "ising":  # weak enough couplings leave a gap
            theta[: num_spins * (num_spins - 1) // 2] /= num_spins
        x = rng.normal(size=(batch, model.num_inputs))
        y = rng.choice([-0.7, 0.4, 1.0], size=(batch, 2))
        if loss == "cross_entropy":
            y = rng.integers(2, size=batch)
        dense = dense_loss(model, loss, level=level, features=features)
        if all(is_tame(dense, theta, *row, rng) for row in zip(x, y, strict=True)):
            return model, theta, x, y, dense


def is_tame(dense, theta, x, y, rng):
    """Say whether the gap is open and the loss changes along theta and along x."""
    if dense(theta, x, y)[1] < 0.3:
        return False
    by_theta, by_x = rng.choice([-1, 1], theta.shape), rng.choice([-1, 1], x.shape)
    slopes = (
        along(lambda h: dense(theta + h * by_theta, x, y)[0]),
        along(lambda h: dense(theta, x + h * by_x, y)[0]),
    )
    return np.abs(slopes).min() > 0.1


def check_all_components(found, theta, x, y, dense):
    expected, by_x = [], []
    for x_b, y_b in zip(x, y, strict=True):
        row = (x_b, y_b)
        expected.append(five_point(lambda t, row=row: dense(t, *row)[0], theta))
        by_x.append(five_point(lambda u, y_b=y_b: dense(theta, u, y_b)[0], x_b))
    expected = np.mean(expected, axis=0)
    assert np.linalg.norm(expected) > 0.1
    assert np.linalg.norm(by_x, axis=1).min() > 0.01
    assert np.linalg.norm(found.values - expected) < 1e-7 * np.linalg.norm(expected)
    assert np.linalg.norm(found.inputs - by_x) < 1e-7 * np.linalg.norm(by_x)


@pytest.mark.parametrize(
    "loss", ["squared_error", "cross_entropy", "expectation", "cost_observable"]
)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_spins", [2, 5])  # LAPACK up to 4, Lanczos from 5
def test_gradient_is_the_derivative_of_the_loss(num_spins, family, loss):
    model, theta, x, y, dense = problem(family, num_spins, 1, loss)
    made = qep.cross_entropy() if loss == "cross_entropy" else getattr(qep, loss)
    found = qep.gradient(model, theta, x, y, nudge=EXACTLY, loss=made)
    expected = np.mean([dense(theta, *row)[0] for row in zip(x, y, strict=True)])
    assert found.loss == pytest.approx(expected, abs=1e-9)
    check_all_components(found, theta, x, y, dense)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_spins", [3, 4, 6, 7])
def test_gradient_is_the_derivative_of_the_loss_at_other_sizes(num_spins, family):
    model, theta, x, y, dense = problem(family, num_spins, 2, batch=1)
    found = qep.gradient(model, theta, x, y, nudge=EXACTLY)
    check_all_components(found, theta, x, y, dense)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "num_spins",
    [
        8,
        pytest.param(9, marks=pytest.mark.slow),
        pytest.param(10, marks=pytest.mark.slow),
    ],
)
def test_gradient_is_the_derivative_along_a_random_direction(num_spins, family):
    model, theta, x, y, dense = problem(family, num_spins, 3, batch=1)
    found = qep.gradient(model, theta, x, y, nudge=EXACTLY)
    rng = np.random.default_rng(num_spins)
    # Half along the gradient: a direction at random alone would be nearly orthogonal.
    by_theta = found.values / found.norm + rng.normal(size=len(theta)) / np.sqrt(
        len(theta)
    )
    by_x = rng.normal(size=x.shape[1])
    slope = along(lambda h: dense(theta + h * by_theta, x[0] + h * by_x, y[0])[0])
    assert abs(slope) > 0.1
    assert found.values @ by_theta + found.inputs[0] @ by_x == pytest.approx(
        slope, rel=1e-7
    )


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_spins", [3, 5])
def test_gradient_of_an_excited_level(num_spins, family, level):
    model, theta, x, y, dense = problem(family, num_spins, 4, level=level, batch=1)
    excited = qep.Exact(level=level)
    found = qep.gradient(model, theta, x, y, nudge=EXACTLY, equilibrium=excited)
    check_all_components(found, theta, x, y, dense)


def errors_of(nudges, model, theta, x, y, **how):
    """Return |g - exact| of every nudge; the exact one is not near zero."""
    exact = qep.gradient(model, theta, x, y, nudge=EXACTLY, **how)
    assert exact.norm > 0.1
    found = [qep.gradient(model, theta, x, y, nudge=n, **how) for n in nudges]
    return np.array([np.linalg.norm(g.values - exact.values) for g in found]), exact


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_spins", [3, 5])
@pytest.mark.parametrize(
    ("make", "order"),
    [
        (qep.Nudge.one_sided, 1),
        (lambda b: qep.Nudge.one_sided(-b), 1),
        (qep.Nudge.centered, 2),
    ],
    ids=["one-sided", "one-sided-negative", "centred"],
)
def test_order_of_the_error(make, order, num_spins, family):
    model, theta, x, y, _ = problem(family, num_spins, 5)
    betas = np.geomspace(2e-3, 2e-2, 5)
    errors, _ = errors_of([make(b) for b in betas], model, theta, x, y)
    assert errors.min() > 1e-8  # above the solver's own error
    slope = np.polyfit(np.log(betas), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.1)


# One spin: H = t X + (x + nu) Z, hence <X> = -t / sqrt(t^2 + (x + nu)^2). With t = .8,
# x = .6 the exceptional points nu = -x +- i t have distance 1, and 1 / sqrt(...) is the
# generating function of the Legendre polynomials: <X>(nu) = -t sum_m P_m(-x) nu^m.
T, X = 0.8, 0.6
SPIN = qep.Model(["X"], inputs=["Z"], readout=["Z"])


@pytest.mark.parametrize("radius", [0.2, 0.5])
def test_holomorphic_error_is_the_aliased_taylor_series(radius):
    nodes = np.arange(2, 25)
    nudges = [qep.Nudge.holomorphic(radius, int(n)) for n in nodes]
    args = (SPIN, [T], [X], [1.0])
    found = [
        qep.gradient(*args, nudge=n, loss=qep.expectation).values[0] for n in nudges
    ]
    exact = qep.gradient(*args, nudge=EXACTLY, loss=qep.expectation).values[0]
    assert exact == pytest.approx(T * X, abs=1e-12)
    m = np.arange(1, 40)[:, None]
    aliased = -T * np.sum(
        eval_legendre(1 + m * nodes, -X) * radius ** (m * nodes), axis=0
    )
    assert np.abs(aliased).max() > 0.01
    assert np.abs(np.array(found) - exact - aliased).max() < 1e-9


def test_chebyshev_error_falls_with_the_bernstein_ellipse():
    beta, nodes = 0.5, np.arange(2, 17)
    nudges = [qep.Nudge.chebyshev(beta, int(n)) for n in nodes]
    errors, _ = errors_of(nudges, SPIN, [T], [X], [1.0], loss=qep.expectation)
    z = (-X + 1j * T) / beta
    rho = max(abs(z + np.sqrt(z**2 - 1)), abs(z - np.sqrt(z**2 - 1)))
    fit = np.polyfit(nodes, np.log(np.maximum(errors, 1e-15)), 1)[0]
    assert fit == pytest.approx(-np.log(rho), rel=0.1)
    assert errors[0] > 1e-2
    assert errors[-1] < 1e-8


@pytest.mark.parametrize("make", [qep.Nudge.chebyshev, qep.Nudge.holomorphic])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_spins", [3, 5])
def test_error_falls_exponentially_to_the_solvers_tolerance(num_spins, family, make):
    model, theta, x, y, _ = problem(family, num_spins, 6, batch=1)
    free = qep.gradient(model, theta, x, y, nudge=EXACTLY)
    slope = np.abs(2 * (free.prediction - y)).sum()
    # Kato: the series in beta converges within gap / (2 |slope|); take half of that.
    assert free.gap > 0.25
    assert slope > 0.1
    radius = free.gap / (4 * slope)
    nodes = np.array([2, 4, 6, 8, 12, 16, 20])
    errors, exact = errors_of([make(radius, int(n)) for n in nodes], model, theta, x, y)
    floor = 1e-8  # the solver's 1e-10 over the radius
    assert errors[0] > 100 * floor
    assert np.all(errors < 4 * exact.norm * 0.5**nodes + floor)
    assert errors[-1] < 4 * exact.norm * 0.5**20 + floor


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_spins", [3, 5])
def test_nudging_and_reading_are_reciprocal(num_spins, family):
    """Onsager: d<A_k> / d nu_i, measured by a nudge, is d<O_i> / d theta_k."""
    model, theta, x, _, _ = problem(family, num_spins, 7, batch=1)
    stencil, settle = qep.Nudge.chebyshev(0.015, 8), qep.Exact(tolerance=1e-12)
    nudged = []
    for direction in np.eye(model.num_readout):
        g = qep.gradient(
            model,
            theta,
            x,
            direction,
            nudge=stencil,
            loss=qep.expectation,
            equilibrium=settle,
        )
        nudged.append([*g.values, *g.inputs[0]])
    driven = []
    for k in range(len(theta) + x.shape[1]):
        step = np.eye(len(theta) + x.shape[1])[k]
        by_theta, by_x = step[: len(theta)], step[len(theta) :]
        driven.append(
            sum(
                w
                * qep.predict(
                    model, theta + b * by_theta, x + b * by_x, equilibrium=settle
                )[0]
                for b, w in zip(stencil.nodes, stencil.weights, strict=True)
            )
        )
    assert np.linalg.norm(nudged, axis=1).min() > 0.05
    np.testing.assert_allclose(nudged, np.transpose(driven), atol=1e-7)


@dataclass
class Tampered:
    """Reads one operator wrongly once the system is nudged."""

    operator: int
    error: float = 1.0
    follow: bool = True

    def __call__(self, operators, coefficients, *, start=None, rng=None):
        phase = qep.Exact()(operators, coefficients, start=start)
        if start is not None:
            rows = np.arange(len(coefficients)) < len(coefficients) // 2  # those at +b
            phase.values[rows, self.operator] += self.error
        return phase


@pytest.mark.parametrize("operator", range(9))
def test_component_k_reads_operator_k_only(operator):
    model = qep.models.transverse_field_ising(3, edges="chain", inputs=[0], readout=[2])
    size = model.num_trainable
    assert len(model.operators) == size + 2 == 10
    args = (model, np.linspace(0.5, 1, size), [[0.3], [0.8]], [[1.0], [-1.0]])
    right = qep.gradient(*args)
    wrong = qep.gradient(*args, equilibrium=Tampered(operator))
    changed = np.append(
        wrong.values - right.values, np.mean(wrong.inputs - right.inputs)
    )
    np.testing.assert_allclose(changed, 5.0 * (np.arange(9) == operator), atol=1e-9)
    assert right.norm > 0.1


def test_an_operator_that_is_not_used_changes_no_other_component():
    model, theta, x, y, _ = problem("pauli", 4, 8)
    longer = qep.Model(
        ["XYZX", *model.trainable],
        inputs=model.inputs,
        readout=model.readout,
        fixed=model.fixed,
    )
    before = qep.gradient(model, theta, x, y)
    after = qep.gradient(longer, [0.0, *theta], x, y)
    assert before.norm > 0.1
    assert abs(after.values[0]) > 1e-3
    np.testing.assert_allclose(after.values[1:], before.values, atol=1e-9)
    np.testing.assert_allclose(after.inputs, before.inputs, atol=1e-9)


def test_gradient_is_the_mean_over_samples():
    model, theta, x, y, _ = problem("pauli", 5, 9, batch=4)
    whole = qep.gradient(model, theta, x, y)
    rows = [qep.gradient(model, theta, x[b], y[b]) for b in range(4)]
    np.testing.assert_allclose(
        whole.values, np.mean([g.values for g in rows], axis=0), atol=1e-9
    )
    np.testing.assert_allclose(
        whole.inputs, np.vstack([g.inputs for g in rows]), atol=1e-9
    )
    assert whole.loss == pytest.approx(np.mean([g.loss for g in rows]), abs=1e-9)
    assert whole.norm > 0.1
    assert np.std([g.norm for g in rows]) > 0.01


def test_following_or_not_agree_below_the_gap():
    model, theta, x, y, _ = problem("ising", 5, 10)
    for loss in (qep.squared_error, qep.cost_observable, qep.expectation):
        fresh = qep.gradient(
            model,
            theta,
            x,
            y,
            loss=loss,
            equilibrium=qep.Exact(follow=False),
            nudge=qep.Nudge.centered(0.01),
        )
        followed = qep.gradient(
            model, theta, x, y, loss=loss, nudge=qep.Nudge.centered(0.01)
        )
        assert fresh.norm > 0.1
        np.testing.assert_allclose(fresh.values, followed.values, atol=1e-7)


def test_a_nudge_beyond_the_gap_warns():
    # gap = 2 sqrt(t^2 + x^2): 6.0, 0.2 and 0.2
    args = (SPIN, [0.1], [[3.0], [0.0], [0.0]], [[1.0], [1.0], [0.5]])
    how = {"loss": qep.expectation}
    with pytest.warns(
        UserWarning,
        match=r"nudge 0\.5 \(beta \* \|slope\|\) exceeds the gap 0\.2 of sample 1 "
        r"\(and 1 more\), the gradient may be biased; lower beta",
    ) as caught:
        qep.gradient(*args, nudge=qep.Nudge.centered(0.5), **how)
    assert [w.filename for w in caught] == [__file__]
    qep.gradient(*args, nudge=qep.Nudge.centered(0.19), **how)  # warns of nothing
    qep.gradient(*args, nudge=EXACTLY, **how)
    doubled = qep.Model(["X"], inputs=["Z"], readout=[2 * SPIN.readout[0]])
    with pytest.warns(UserWarning, match=r"nudge 0\.38 .* gap 0\.2 of sample 1"):
        qep.gradient(doubled, *args[1:], nudge=qep.Nudge.centered(0.19), **how)


@pytest.mark.parametrize(
    ("nudge", "equilibrium", "message"),
    [
        (
            qep.Nudge.holomorphic(0.1, 4),
            qep.Sampled(10),
            r"Nudge\.holomorphic .*Nudge\.chebyshev",
        ),
        (
            EXACTLY,
            qep.Sampled(10),
            r"Nudge\.infinitesimal\(\) needs .*Sampled.*Nudge\.centered",
        ),
    ],
    ids=["holomorphic", "infinitesimal"],
)
def test_a_nudge_that_the_equilibrium_cannot_do_is_named(nudge, equilibrium, message):
    with pytest.raises(TypeError, match=message):
        qep.gradient(
            SPIN, [T], [X], [1.0], nudge=nudge, equilibrium=equilibrium, seed=1
        )


MODEL = qep.models.transverse_field_ising(3, inputs=[0, 1], readout=[1, 2])
RIGHT = {"theta": np.full(9, 0.5), "x": np.zeros((4, 2)), "y": np.zeros((4, 2))}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"theta": np.ones(8)}, r"theta should have shape \(9,\), got \(8,\)"),
        ({"theta": np.ones((1, 9))}, r"theta should have shape \(9,\), got \(1, 9\)"),
        ({"theta": np.ones(9) + 0j}, "theta should be real, got complex128"),
        ({"theta": [*[1] * 8, np.nan]}, r"theta should be finite, got nan at \(8,\)"),
        ({"theta": [-np.inf] * 9}, r"theta should be finite, got -inf at \(0,\)"),
        ({"x": np.ones((4, 3))}, r"x should have shape \(batch, 2\), got \(4, 3\)"),
        ({"x": np.ones((1, 4, 2))}, r"x should have .* got \(1, 4, 2\)"),
        ({"x": np.ones((4, 2)) * 1j}, "x should be real, got complex128"),
        ({"x": [[0, 1], [0, np.nan]]}, r"x should be finite, got nan at \(1, 1\)"),
        ({"y": np.ones((4, 1))}, r"y should have shape \(4, 2\), got \(4, 1\)"),
        ({"y": np.ones((3, 2))}, r"y should have shape \(4, 2\), got \(3, 2\)"),
        ({"y": np.ones(4)}, r"y should have shape \(4, 2\), got \(4,\)"),
        ({"y": [[0, 1]] * 3 + [[np.nan, 0]]}, r"y should be finite, .* in row 3"),
        ({"y": np.ones((4, 2)) * 1j}, "y should be real, got complex128"),
        ({"x": np.ones((0, 2)), "y": np.ones((0, 2))}, r"x should have .* \(0, 2\)"),
    ],
)
@pytest.mark.parametrize("loss", ["squared_error", "cost_observable", "expectation"])
def test_wrong_numbers_are_refused(wrong, message, loss):
    with pytest.raises(ValueError, match=message):
        qep.gradient(MODEL, **(RIGHT | wrong), loss=getattr(qep, loss))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2, 0], "classes 0 to 1, one per readout, got 0 to 2"),
        ([0, 1, -1, 0], "classes 0 to 1, one per readout, got -1 to 1"),
        ([0.0, 1.0, 1.0, 0.0], "integer class numbers, got float64"),
        ([[0, 1], [1, 0], [0, 1], [0, 1]], r"shape \(4,\), got shape \(4, 2\)"),
        ([0, 1, 1], r"shape \(4,\), got shape \(3,\)"),
    ],
)
def test_wrong_classes_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        qep.gradient(MODEL, **(RIGHT | {"y": labels}), loss=qep.cross_entropy())


def test_arguments_are_not_changed():
    model, theta, x, y, _ = problem("pauli", 3, 11)
    copies = [a.copy() for a in (theta, x, y)]
    for array in (theta, x, y):
        array.flags.writeable = False
    for equilibrium in (qep.Exact(), qep.Sampled(50)):
        qep.gradient(
            model,
            theta,
            x,
            y,
            equilibrium=equilibrium,
            seed=1,
            nudge=qep.Nudge.centered(0.01),
        )
    for array, copy in zip((theta, x, y), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_single_row_and_numbers_of_other_types_are_welcome():
    one = qep.gradient(MODEL, [1] * 9, [1, -1], [1, -1])
    same = qep.gradient(MODEL, np.ones(9, np.float32), [[1.0, -1.0]], [[1.0, -1.0]])
    assert one.norm > 0.1
    np.testing.assert_array_equal(one.values, same.values)
    assert one.prediction.shape == (1, 2)
