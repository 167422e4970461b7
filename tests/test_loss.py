"""Slopes are the derivatives of values, row by row; wrong targets are refused."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from qiskit.quantum_info import SparsePauliOp
from scipy.special import log_softmax

import qiskit_qep as qep

REAL = {
    "squared_error": qep.squared_error,
    "cost_observable": qep.cost_observable,
    "expectation": qep.expectation,
}
CLASSES = {f"cross_entropy({c})": qep.cross_entropy(c) for c in (0.5, 4.0)}
ALL = REAL | CLASSES


@st.composite
def predictions(draw):
    """Draw predictions, real targets and classes, of 1 to 4 rows and columns."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    p = draw(arrays(float, shape, elements=st.floats(-1, 1)))
    y = draw(arrays(float, shape, elements=st.floats(-2, 2)))
    labels = draw(arrays(int, shape[0], elements=st.integers(0, shape[1] - 1)))
    return p, y, labels


@pytest.mark.parametrize("name", ALL)
@given(drawn=predictions())
def test_the_slope_is_the_derivative_of_the_value(name, drawn):
    p, y, labels = drawn
    loss, y = ALL[name], (labels if name in CLASSES else y)
    slope = loss.slope(p, y)
    assert slope.shape == p.shape
    assert loss.value(p, y).shape == (len(p),)
    h = 1e-5
    for i in range(p.shape[1]):
        e = h * (np.arange(p.shape[1]) == i)
        change = loss.value(p + e, y) - loss.value(p - e, y)
        np.testing.assert_allclose(slope[:, i], change / (2 * h), atol=1e-7)


@pytest.mark.parametrize("name", ALL)
@given(drawn=predictions())
def test_rows_do_not_know_of_each_other(name, drawn):
    p, y, labels = drawn
    loss, y = ALL[name], (labels if name in CLASSES else y)
    for function in (loss.value, loss.slope):
        rows = [function(p[b : b + 1], y[b : b + 1]) for b in range(len(p))]
        np.testing.assert_array_equal(function(p, y), np.concatenate(rows))


@pytest.mark.parametrize("name", ALL)
def test_only_slopes_that_depend_on_the_prediction_need_it(name):
    rng = np.random.default_rng(1)
    first, second = rng.uniform(-1, 1, size=(2, 3, 2))
    y = np.array([0, 1, 1]) if name in CLASSES else rng.uniform(-1, 1, size=(3, 2))
    slopes = [ALL[name].slope(p, y) for p in (first, second)]
    assert np.abs(slopes).max() > 0.1
    assert ALL[name].needs_prediction == (not np.array_equal(*slopes))


def test_values_by_hand():
    p, y = np.array([[0.5, -1.0]]), np.array([[1.0, 1.0]])
    assert qep.squared_error.value(p, y) == pytest.approx(0.25 + 4)
    assert qep.expectation.value(p, y) == pytest.approx(-0.5)
    # <(Z - y)^2> = 1 + y^2 - 2 y <Z>: not (<Z> - y)^2, it has the variance of Z too.
    assert qep.cost_observable.value(p, y) == pytest.approx(1 + 4)
    variance = (1 - p**2).sum()
    expected = qep.squared_error.value(p, y) + variance
    assert qep.cost_observable.value(p, y) == pytest.approx(expected)


@given(drawn=predictions(), scale=st.floats(0.1, 50), shift=st.floats(-5, 5))
def test_cross_entropy_is_that_of_a_softmax(drawn, scale, shift):
    p, _, labels = drawn
    loss = qep.cross_entropy(scale)
    row = np.arange(len(p))
    expected = -log_softmax(scale * p, axis=1)[row, labels]
    np.testing.assert_allclose(loss.value(p, labels), expected, atol=1e-12)
    shifted = loss.value(p + shift, labels)
    np.testing.assert_allclose(shifted, expected, atol=1e-10 * scale)
    slope = loss.slope(p, labels)
    np.testing.assert_allclose(slope.sum(axis=1), 0, atol=1e-12 * scale)
    assert np.all(slope[row, labels] <= 0)


def test_cross_entropy_does_not_overflow():
    p, label = np.array([[1.0, -1.0]]), np.array([1])
    loss = qep.cross_entropy(1e4)
    assert loss.value(p, label) == pytest.approx(2e4)
    np.testing.assert_allclose(loss.slope(p, label), [[1e4, -1e4]])
    assert loss.value(p, 1 - label) == 0


@pytest.mark.parametrize("scale", [0, -1.0, np.nan, np.inf])
def test_a_bad_scale_is_refused(scale):
    with pytest.raises(ValueError, match=f"scale should be .*positive.*, got {scale}"):
        qep.cross_entropy(scale)


def model_of(*readout):
    return qep.Model(["XX", "ZI", "IY"], readout=readout)


Z, X, ROOT = SparsePauliOp("ZI"), SparsePauliOp("XI"), np.sqrt(0.5)
YZ = SparsePauliOp("YZ")


@pytest.mark.parametrize(
    ("operator", "unit"),
    [
        (Z, True),
        (-Z, True),
        (YZ, True),
        ((Z + X) * ROOT, True),  # they anticommute
        (SparsePauliOp(["ZI", "IZ", "II", "ZZ"], [0.5, 0.5, 0.5, -0.5]), True),  # CZ
        (Z + X, False),
        ((Z + SparsePauliOp("IZ")) * ROOT, False),  # they commute
        (2 * Z, False),
        (0 * Z, False),
        (SparsePauliOp(["II", "ZI"], [0.5, 0.5]), False),  # a projector
        (SparsePauliOp(["II", "ZI"], [0.6, 0.8]), False),
    ],
)
def test_which_readouts_square_to_one(operator, unit):
    square = operator.to_matrix() @ operator.to_matrix()
    assert np.allclose(square, np.eye(4)) == unit
    how = {"loss": qep.cost_observable, "nudge": qep.Nudge.infinitesimal()}
    args = (model_of("IZ", operator), [0.3, 0.5, 0.7], [], [0.5, 0.5])
    if unit:
        assert qep.gradient(*args, **how).norm > 0.01
    else:
        match = r"(?s)O\^2 = 1, got readout 1 = .*use squared_error"
        with pytest.raises(ValueError, match=match):
            qep.gradient(*args, **how)


def test_a_readout_of_another_kind_is_refused():
    model = qep.Model([object()], readout=[object()])
    with pytest.raises(ValueError, match=r"O\^2 = 1, got readout 0 = <object"):
        qep.cost_observable.targets(model, [[1.0]], 1)


@pytest.mark.parametrize("name", REAL)
def test_real_targets(name):
    model = model_of("ZI", "IZ")
    targets = REAL[name].targets
    given_row = targets(model, [1, 0.5], 1)
    np.testing.assert_array_equal(given_row, [[1.0, 0.5]])
    assert given_row.dtype == np.float64
    for bad, match in [
        ([1.0, 0.5], r"y should have shape \(2, 2\), got \(2,\)"),
        ([[1.0], [0.5]], r"y should have shape \(2, 2\), got \(2, 1\)"),
        ([[1.0, 0.5], [np.inf, 0.0]], r"y should be finite, got \[inf +0\.\] in row 1"),
    ]:
        with pytest.raises(ValueError, match=match):
            targets(model, bad, 2)


def test_class_targets():
    model, targets = model_of("ZI", "IZ"), qep.cross_entropy().targets
    np.testing.assert_array_equal(targets(model, [0, 1, 1], 3), [0, 1, 1])
    for bad, match in [
        ([0, 2, 1], "classes 0 to 1, one per readout, got 0 to 2"),
        ([0, -1, 1], "classes 0 to 1, one per readout, got -1 to 1"),
        ([0.0, 1.0, 1.0], "integer class numbers, got float64"),
        ([True, False, True], "integer class numbers, got bool"),
        ([0, 1], r"shape \(3,\), got shape \(2,\)"),
        ([[1, 0], [0, 1], [0, 1]], r"shape \(3,\), got shape \(3, 2\)"),
    ]:
        with pytest.raises(ValueError, match=match):
            targets(model, bad, 3)


def test_a_loss_of_ones_own_fits():
    """An absolute error, smoothed: nothing but the two functions is needed."""
    root = qep.Loss(
        value=lambda p, y: np.sqrt((p - y) ** 2 + 0.1).sum(axis=1),
        slope=lambda p, y: (p - y) / np.sqrt((p - y) ** 2 + 0.1),
    )
    model, theta, y = model_of("ZI", "IZ"), np.array([0.3, 0.5, 0.7]), [0.5, -0.5]
    how = {"loss": root, "nudge": qep.Nudge.infinitesimal()}
    found = qep.gradient(model, theta, [], y, **how)
    ends = [
        qep.gradient(model, theta + t * found.values, [], y, **how).loss
        for t in (-1e-4, 1e-4)
    ]
    (rise,) = (b - a for a, b in pairwise(ends))
    assert found.norm > 0.1
    assert rise / 2e-4 == pytest.approx(found.norm**2, rel=1e-5)
