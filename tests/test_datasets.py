"""The data sets keep their codings, symmetries, proportions and seeds."""

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiskit_qep import datasets

RADIUS = {datasets.moons: 2 / 3, datasets.spirals: 1}
CURVES = list(RADIUS)
SEEDED = [*CURVES, datasets.cluster_ising, datasets.kitaev_honeycomb]
# name, shape, samples of each class, range of every feature
FILES = [
    ("iris", (150, 4), [50, 50, 50], (-1, 1)),
    ("wine", (178, 13), [59, 71, 48], (-1, 1)),
    ("breast_cancer", (569, 30), [212, 357], (-1, 1)),
    ("digits", (1797, 64), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180], (0, 1)),
]


def rows(*arrays):
    """The rows of arrays side by side, as a sorted list."""
    return sorted(map(tuple, np.hstack(arrays).round(12) + 0.0))


def is_odd(x, y):
    """Whether (x, y) -> (-x, -y) maps the set onto itself."""
    return rows(x, y) == rows(-x, -y)


# ------------------------------------------------------------------ parity and XOR


@pytest.mark.parametrize("strength", [1.0, 0.3, 3])
def test_xor_is_plus_one_where_the_inputs_differ(strength):
    x, y = datasets.xor(strength)
    assert x.dtype == y.dtype == np.float64
    assert x.shape == (4, 2)
    assert y.shape == (4, 1)
    assert rows(x) == rows(strength * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]))
    np.testing.assert_array_equal(y[:, 0], np.where(x[:, 0] != x[:, 1], 1, -1))
    np.testing.assert_allclose(y[:, 0], -x[:, 0] * x[:, 1] / strength**2)


@pytest.mark.parametrize("strength", [1.0, 2.5])
def test_parity_of_two_bits_is_xor(strength):
    for got, expected in zip(
        datasets.parity(2, strength), datasets.xor(strength), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("num_bits", [1, 2, 3, 4, 5])
def test_parity(num_bits):
    x, y = datasets.parity(num_bits, 0.5)
    corners = list(itertools.product([-0.5, 0.5], repeat=num_bits))
    assert list(map(tuple, x)) == corners  # binary order, input 0 first
    assert y.shape == (2**num_bits, 1)
    assert y.sum() == 0
    # +1 for an odd number of positive inputs, hence flipping one input flips the target
    np.testing.assert_array_equal(y[:, 0] > 0, (x > 0).sum(axis=1) % 2 == 1)
    flipped = x * np.r_[-1, np.ones(num_bits - 1)]
    assert rows(x, y) == rows(flipped, -y)
    assert is_odd(x, y) == (num_bits % 2 == 1)


# --------------------------------------------------------------- moons and spirals


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("noise", [0, 0.05, 0.3])
def test_centred_sets_are_odd_and_shifted_ones_are_not(curve, noise):
    x, y = curve(60, noise=noise, seed=1)
    assert is_odd(x, y)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-14)
    assert np.abs(x).max() > 0.5  # not odd because empty

    shifted, same = curve(60, noise=noise, centered=False, seed=1)
    assert not is_odd(shifted, same)
    np.testing.assert_array_equal(same, y)
    shift = RADIUS[curve] * np.array([0.5, 0.25])
    np.testing.assert_allclose(shifted - x, np.tile(shift, (60, 1)))


@pytest.mark.parametrize("curve", CURVES)
@given(half=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_classes_are_equally_large(curve, half, seed):
    x, y = curve(2 * half, seed=seed)
    assert x.dtype == y.dtype == np.float64
    assert x.shape == (2 * half, 2)
    assert y.shape == (2 * half, 1)
    assert sorted(y[:, 0]) == [-1] * half + [1] * half


@pytest.mark.parametrize("curve", CURVES)
def test_curves_fill_the_unit_square_and_rows_are_shuffled(curve):
    x, y = curve(400, noise=0, seed=3)
    assert 0.95 < np.abs(x).max() <= 1
    first = y[:200].mean()  # a random half: sd 1 / sqrt(200) / sqrt(2)
    assert abs(first) < 5 * 0.05
    assert len(np.unique(y[:20])) == 2


def test_moons_without_noise_are_two_half_circles():
    x, y = datasets.moons(200, noise=0, centered=False, seed=0)
    upper, lower = x[y[:, 0] > 0], x[y[:, 0] < 0]
    np.testing.assert_allclose(np.linalg.norm(upper, axis=1), 2 / 3)
    np.testing.assert_allclose(np.linalg.norm(lower - [2 / 3, 1 / 3], axis=1), 2 / 3)
    assert upper[:, 1].min() > 0
    assert lower[:, 1].max() < 1 / 3
    # interleaved: each moon's tip lies inside the other's circle
    assert (np.linalg.norm(lower, axis=1) < 2 / 3).any()


def test_moons_lie_where_scikit_learn_puts_them():
    reference, label = pytest.importorskip("sklearn.datasets").make_moons(4000)
    x, y = datasets.moons(100, noise=0, centered=False, seed=0)
    for target, number in [(1, 0), (-1, 1)]:
        ours, theirs = 1.5 * x[y[:, 0] == target], reference[label == number]
        gaps = np.linalg.norm(ours[:, np.newaxis] - theirs, axis=2).min(axis=1)
        assert gaps.max() < 2e-3  # half the spacing of 2000 points on an arc of pi


@pytest.mark.parametrize("turns", [0.5, 1.0, 2.0])
def test_spirals_without_noise_are_archimedean(turns):
    x, y = datasets.spirals(400, noise=0, turns=turns, seed=0)
    arm = x[y[:, 0] > 0]
    radius = np.linalg.norm(arm, axis=1)
    arm = arm[np.argsort(radius)]
    radius = np.sort(radius)
    angle = np.unwrap(np.arctan2(arm[:, 1], arm[:, 0]))
    assert radius[0] > 0.1
    assert radius[-1] < 1
    slope = np.diff(angle) / np.diff(radius)
    np.testing.assert_allclose(slope, 2 * np.pi * turns / 0.9, rtol=1e-6)


@pytest.mark.parametrize(("curve", "radius"), RADIUS.items())
def test_noise_is_a_standard_deviation_in_units_of_the_radius(curve, radius):
    clean, same = curve(20_000, noise=0, seed=5)
    noisy, y = curve(20_000, noise=0.2, seed=5)
    np.testing.assert_array_equal(y, same)
    shift = (noisy - clean)[y[:, 0] > 0] / (0.2 * radius)  # 20 000 standard normals
    assert abs(shift.mean()) < 5 / np.sqrt(20_000)
    assert abs(shift.var() - 1) < 5 * np.sqrt(2 / 20_000)


# ------------------------------------------------------------------- bundled files


@pytest.mark.parametrize(("name", "shape", "counts", "span"), FILES)
def test_bundled_files(name, shape, counts, span):
    pytest.importorskip("sklearn")
    x, y = getattr(datasets, name)()
    assert x.shape == shape
    assert x.dtype == np.float64
    assert y.dtype == np.int64
    assert np.bincount(y).tolist() == counts
    assert (x.min(), x.max()) == pytest.approx(span, abs=1e-12)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_scaling_is_linear_and_spans_each_feature(name):
    raw, label = getattr(pytest.importorskip("sklearn.datasets"), f"load_{name}")(
        return_X_y=True
    )
    x, y = getattr(datasets, name)()
    np.testing.assert_array_equal(y, label)
    np.testing.assert_allclose(x.min(axis=0), -1)
    np.testing.assert_allclose(x.max(axis=0), 1)
    slope = np.ptp(raw, axis=0) / 2
    np.testing.assert_allclose(x * slope - raw, (x * slope - raw)[:1].repeat(len(x), 0))


def test_digits_are_the_pixels_over_16():
    raw, label = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    x, y = datasets.digits()
    np.testing.assert_array_equal(16 * x, raw)
    np.testing.assert_array_equal(y, label)


@pytest.mark.parametrize("name", [row[0] for row in FILES])
def test_missing_scikit_learn_names_the_remedy(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=rf'{name}\(\).*pip install "qiskit-qep\[skl'):
        getattr(datasets, name)()


# -------------------------------------------------------------------- cluster-Ising


def test_cluster_ising_is_uniform_in_the_triangle():
    n = 40_000
    x, y = datasets.cluster_ising(n, seed=11)
    assert x.shape == y.shape == (n, 3)
    assert x.dtype == y.dtype == np.float64
    assert x.min() >= 0
    np.testing.assert_allclose(x.sum(axis=1), 4)
    np.testing.assert_array_equal(np.sort(y, axis=1), np.tile([0, 0, 1], (n, 1)))
    # each coupling g has the density (4 - g) / 8: mean 4/3, variance 8/9; pairs -4/9
    assert np.abs(x.mean(axis=0) - 4 / 3).max() < 5 * np.sqrt(8 / 9 / n)
    expected = 4 / 3 * np.eye(3) - 4 / 9
    assert np.abs(np.cov(x.T) - expected).max() < 0.05


def area(*corners):
    """The area of the polygon with these corners (g_ZZ, g_X), in order."""
    x, y = np.array([*corners, corners[0]]).T
    return abs(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2


def test_cluster_ising_fractions_are_the_areas_of_the_phases():
    n = 40_000
    triangle = area((0, 0), (4, 0), (0, 4))  # g_ZXZ = 4 - g_ZZ - g_X >= 0
    cluster = area((0, 0), (2, 0), (2, 1), (0, 2)) / triangle
    ferromagnet = area((2, 0), (4, 0), (2, 2)) / triangle
    paramagnet = area((0, 2), (2, 1), (2, 2), (0, 4)) / triangle
    exact = np.array([cluster, ferromagnet, paramagnet])
    np.testing.assert_allclose(exact, [3 / 8, 1 / 4, 3 / 8])
    assert exact.max() == 0.375  # what a constant guess scores

    _, y = datasets.cluster_ising(n, seed=12)
    sigma = np.sqrt(exact * (1 - exact) / n)
    assert (np.abs(y.mean(axis=0) - exact) < 5 * sigma).all()


def test_cluster_ising_labels_are_those_of_the_free_fermions():
    """g_X + g_ZZ z + g_ZXZ z^2 has as many zeros in the unit disc as the phase winds.

    Two for the cluster phase, one for the ferromagnet, none for the paramagnet.
    """
    x, y = datasets.cluster_ising(2000, seed=13)
    winding = [np.sum(np.abs(np.roots(couplings)) < 1) for couplings in x]
    np.testing.assert_array_equal(y @ [2, 1, 0], winding)
    assert set(winding) == {0, 1, 2}


def test_cluster_ising_labels_follow_the_published_rule_in_the_couplings_order():
    x, y = datasets.cluster_ising(2000, seed=14)
    _, g_zz, g_x = x.T
    cluster = (g_zz < 2) & (2 * g_x < 4 - g_zz)
    expected = np.stack([cluster, g_zz >= 2, (g_zz < 2) & ~cluster], axis=1)
    np.testing.assert_array_equal(y, expected)
    dominant = x.max(axis=1) > 2  # there the phase is that of the largest coupling
    assert dominant.sum() > 500
    np.testing.assert_array_equal(y.argmax(1)[dominant], x.argmax(1)[dominant])


# --------------------------------------------------------------------------- seeds


@pytest.mark.parametrize("function", SEEDED)
def test_the_seed_alone_decides(function):
    np.random.seed(0)  # noqa: NPY002  (the global generator must play no part)
    first = function(50, seed=7)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    again = function(50, seed=7)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.allclose(first[0], function(50, seed=8)[0])
    assert not np.allclose(function(50)[0], function(50)[0])
    np.random.seed(0)  # noqa: NPY002
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


# --------------------------------------------------------------------------- split


@given(
    sizes=st.lists(st.integers(3, 30), min_size=1, max_size=5),
    test=st.floats(0.25, 0.75),
    seed=st.integers(0, 2**32),
)
def test_split_is_disjoint_complete_and_stratified(sizes, test, seed):
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = np.arange(len(y), dtype=float)[:, np.newaxis]  # a row is its own name
    x_train, y_train, x_test, y_test = datasets.split(x, y, test=test, seed=seed)
    assert sorted([*x_train[:, 0], *x_test[:, 0]]) == x[:, 0].tolist()
    for names, labels in [(x_train, y_train), (x_test, y_test)]:
        np.testing.assert_array_equal(labels, y[names[:, 0].astype(int)])
    for label, size in enumerate(sizes):
        assert abs(np.sum(y_test == label) - test * size) <= 0.5 + 1e-9


def test_split_of_real_targets_takes_the_fraction_of_the_whole():
    x, y = datasets.moons(100, seed=0)
    before = x.copy(), y.copy()
    x_train, y_train, x_test, y_test = datasets.split(x, y, test=0.25)
    assert (x_train.shape, x_test.shape) == ((75, 2), (25, 2))
    assert (y_train.shape, y_test.shape) == ((75, 1), (25, 1))
    assert rows(np.r_[x_train, x_test], np.r_[y_train, y_test]) == rows(x, y)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_split_is_the_same_every_time_and_shuffled():
    x, y = np.arange(90.0)[:, np.newaxis], np.repeat([0, 1, 2], 30)
    first = datasets.split(x, y)
    for one, other in zip(first, datasets.split(x, y), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[2], datasets.split(x, y, seed=1)[2])
    for labels in (first[1], first[3]):
        assert not np.array_equal(labels, np.sort(labels))


# -------------------------------------------------------------------------- errors


@pytest.mark.parametrize("function", [datasets.xor, lambda s: datasets.parity(3, s)])
@pytest.mark.parametrize("strength", [0, -1.5, np.inf, np.nan])
def test_bad_strength(function, strength):
    with pytest.raises(ValueError, match=f"strength is {strength}; pass a"):
        function(strength)


@pytest.mark.parametrize("num_bits", [0, -2])
def test_bad_num_bits(num_bits):
    with pytest.raises(ValueError, match=f"num_bits is {num_bits}; pass at least 1"):
        datasets.parity(num_bits)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("num_samples", [-2, 0, 1, 7])
def test_bad_num_samples(curve, num_samples):
    with pytest.raises(ValueError, match=f"num_samples is {num_samples}; pass 2, 4"):
        curve(num_samples)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("noise", [-0.1, np.inf, np.nan])
def test_bad_noise(curve, noise):
    with pytest.raises(ValueError, match=f"noise is {noise}; pass a"):
        curve(noise=noise)


@pytest.mark.parametrize("turns", [0, -1, np.inf, np.nan])
def test_bad_turns(turns):
    with pytest.raises(ValueError, match=f"turns is {turns}; pass a"):
        datasets.spirals(turns=turns)


@pytest.mark.parametrize("num_samples", [0, -3])
def test_cluster_ising_needs_a_sample(num_samples):
    with pytest.raises(
        ValueError, match=f"num_samples is {num_samples}; pass at least"
    ):
        datasets.cluster_ising(num_samples)


@pytest.mark.parametrize("test", [0, 1, -0.2, 1.5, np.nan])
def test_bad_test_fraction(test):
    with pytest.raises(ValueError, match=f"test is {test}; pass a fraction between"):
        datasets.split(*datasets.xor(), test=test)


def test_split_of_unequal_lengths():
    x, y = datasets.xor()
    with pytest.raises(ValueError, match="x has 4 rows and y has 3; match them"):
        datasets.split(x, y[:3])


@pytest.mark.parametrize(("test", "train", "held"), [(0.1, 4, 0), (0.9, 0, 4)])
def test_split_refuses_an_empty_part(test, train, held):
    sizes = f"{train} samples to train on and {held} to test on"
    with pytest.raises(ValueError, match=f"test={test} leaves {sizes}; pass more"):
        datasets.split(*datasets.xor(), test=test)


# ------------------------------------------------------------------- Kitaev honeycomb


def test_kitaev_honeycomb_is_gapless_where_its_bands_touch():
    """|J_x e^ia + J_y e^ib + J_z| has zeros in phase B only: the triangle closes."""
    x, y = datasets.kitaev_honeycomb(400, seed=15)
    np.testing.assert_allclose(x.sum(axis=1), 4.0)
    assert x.min() >= 0
    a, b = np.meshgrid(*[np.linspace(0, 2 * np.pi, 121)[:-1]] * 2)
    phases = np.stack([np.exp(1j * a), np.exp(1j * b), np.ones_like(a)])
    gap = np.abs(np.tensordot(x, phases, axes=1)).min(axis=(1, 2))
    margin = np.abs(x.max(axis=1) - 2) > 0.1  # a grid of angles misses zeros by .1
    gapless = y[:, 3] == 1
    assert (gap[margin & gapless] < 0.1).all()
    assert (gap[margin & ~gapless] > 0.1).all()
    strongest = x.argmax(axis=1)[~gapless]
    assert np.array_equal(y[~gapless].argmax(axis=1), strongest)


def test_kitaev_honeycomb_has_four_equal_phases():
    _, y = datasets.kitaev_honeycomb(4000, seed=16)
    np.testing.assert_allclose(y.mean(axis=0), 0.25, atol=5 * np.sqrt(3 / 16 / 4000))


def test_kitaev_honeycomb_needs_a_sample():
    with pytest.raises(ValueError, match=r"num_samples is 0; pass at least 1"):
        datasets.kitaev_honeycomb(0)
