"""Plots: what they say is what was measured."""

import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from qiskit_qep import plotting

matplotlib.use("agg")


@pytest.fixture
def ax():
    return Figure().subplots()


def curves(ax):
    return {line.get_label(): line.get_xydata().T for line in ax.get_lines()}


def test_a_curve_is_the_values_and_their_running_mean(ax):
    y = np.random.default_rng(7).standard_normal(9)
    found = curves(plotting.learning_curve(y, window=3, ax=ax))
    np.testing.assert_array_equal(found["one batch"], [np.arange(9), y])
    step, mean = found["mean of 3 steps, ± 2 standard errors"]
    np.testing.assert_allclose(mean[1:-1], [y[k : k + 3].mean() for k in range(7)])
    np.testing.assert_allclose(mean[[0, -1]], [y[:2].mean(), y[-2:].mean()])
    np.testing.assert_array_equal(step, np.arange(9))


def test_the_band_is_twice_the_standard_error_of_the_mean(ax):
    y = 1e6 + np.random.default_rng(7).standard_normal(40)
    plotting.learning_curve(y, window=5, ax=ax)
    (band,) = ax.collections
    edges = band.get_paths()[0].vertices
    here = edges[edges[:, 0] == 20, 1]
    around = y[18:23]
    error = around.std(ddof=1) / np.sqrt(5)
    expected = around.mean() + 2 * error * np.array([-1, 1])
    np.testing.assert_allclose(np.unique(here.round(6)), expected.round(6), atol=1e-5)


def test_a_window_of_one_is_the_curve_alone(ax):
    plotting.learning_curve([3.0, 2.0], step=[5, 7], window=1, name="error", ax=ax)
    assert list(curves(ax)) == ["error"]
    np.testing.assert_array_equal(curves(ax)["error"], [[5, 7], [3.0, 2.0]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "error")


@pytest.mark.parametrize(("std", "bars"), [([0.1, 0.2], 1), ([0.0, 0.0], 0), (None, 0)])
def test_shots_draw_error_bars(ax, std, bars):
    plotting.learning_curve([3.0, 2.0], std=std, window=1, ax=ax)
    assert len(ax.containers) == bars


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"values": [[1.0]]}, r"values should have shape \(num_steps,\), got \(1, 1\)"),
        (
            {"values": [1.0], "std": [1.0, 2.0]},
            r"std should have shape \(1,\), got \(2",
        ),
        ({"values": [1.0], "step": [1, 2]}, r"step should have shape \(1,\), got \(2,"),
        ({"values": [1.0], "window": 0}, "window should be at least 1, got 0"),
    ],
)
def test_a_curve_of_wrong_shape_is_refused(ax, how, match):
    with pytest.raises(ValueError, match=match):
        plotting.learning_curve(**how, ax=ax)


def test_a_confusion_matrix_counts_samples(ax):
    true, predicted = [0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 2, 0]
    plotting.confusion_matrix(true, predicted, names=["a", "b", "c"], ax=ax)
    written = {
        (int(t.get_position()[1]), int(t.get_position()[0])): int(t.get_text())
        for t in ax.texts
    }
    assert written == {(0, 0): 1, (0, 1): 1, (1, 1): 1, (2, 2): 2, (2, 0): 1}
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.get_title() == "4 of 6 right (66.7 %)"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    np.testing.assert_allclose(ax.images[0].get_array().sum(axis=1), 1.0)


def test_a_class_that_never_occurs_has_a_row(ax):
    plotting.confusion_matrix([0, 3], [0, 3], ax=ax)
    assert ax.images[0].get_array().shape == (4, 4)


@pytest.mark.parametrize(
    ("true", "predicted", "names", "match"),
    [
        ([0, 1], [0], None, r"of one length, got shapes \(2,\) and \(1,\)"),
        ([], [], None, r"of one length, got shapes \(0,\)"),
        ([0, 2], [0, 0], ["a"], r"names should be 3, one per class, got \['a'\]"),
    ],
)
def test_classes_of_wrong_shape_are_refused(ax, true, predicted, names, match):
    with pytest.raises(ValueError, match=match):
        plotting.confusion_matrix(true, predicted, names=names, ax=ax)


def test_a_network_shows_strengths_motion_and_groups(ax):
    at = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    up = at + np.array([0.0, 0.5])
    plotting.network(
        at,
        [(0, 1), (1, 2)],
        strength=[2.0, -1.0],
        moved=up,
        marked={"clamped": [0], "readout": [1, 2]},
        ax=ax,
    )
    strong, weak = ax.lines
    np.testing.assert_array_equal(weak.get_xydata(), at[1:])
    assert strong.get_linewidth() == 2 * weak.get_linewidth()
    assert strong.get_color() != weak.get_color()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["clamped", "readout"]
    (arrows,) = [c for c in ax.collections if hasattr(c, "U")]
    np.testing.assert_allclose(arrows.V, 0.5)
    np.testing.assert_allclose(arrows.U, 0.0)


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"positions": np.zeros((2, 3))}, r"shape \(num_atoms, 2\), got \(2, 3\)"),
        (
            {"moved": np.zeros((1, 2))},
            r"moved should have shape \(2, 2\), got \(1, 2\)",
        ),
        ({"strength": [1.0, 2.0]}, r"strength should have shape \(1,\), got \(2,\)"),
    ],
)
def test_a_network_of_wrong_shape_is_refused(ax, how, match):
    args = {"positions": np.zeros((2, 2)), "springs": [(0, 1)], "ax": ax, **how}
    with pytest.raises(ValueError, match=match):
        plotting.network(**args)


def test_without_axes_a_new_figure_is_made():
    from matplotlib import pyplot

    first, second = (plotting.learning_curve([1.0, 2.0]) for _ in range(2))
    assert first is not second
    assert first.figure is not second.figure
    pyplot.close("all")


def test_a_missing_matplotlib_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "qiskit-qep\[plot\]"'):
        plotting.learning_curve([1.0])
