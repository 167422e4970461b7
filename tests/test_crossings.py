"""Excited levels, crossings at a known nudge, and how far stencils converge."""

import numpy as np
import pytest
from qiskit.quantum_info import SparsePauliOp

import qiskit_qep as qep
import reference

BETA = 0.4  # where the levels of the memory cross
EXPECT = {"loss": qep.expectation}


@pytest.fixture
def memory():
    r"""Return a spin b in a field that a conserved spin a sets, and its gradient.

    H = d Z_a + j Z_a Z_b - h X_b - b Z_b + beta Z_b has, for Z_a = s, the energies
    d s - r_s with r_s^2 = h^2 + f_s^2 and f_s = j s - b + beta. They cross at BETA, as
    d is chosen, and the free ground state has s = -1.
    """
    h, j, b = 0.5, 0.8, 0.2
    r = {s: np.hypot(h, j * s - b + BETA) for s in (1, -1)}
    d = (r[1] - r[-1]) / 2
    model = qep.Model(["ZI", "ZZ", "IX", "IZ"], readout=["IZ"])
    f = -j - b
    by_f = -(h**2) / np.hypot(h, f) ** 3  # of <Z_b> = -f / r
    gradient = np.array([0.0, -by_f, -f * h / np.hypot(h, f) ** 3, by_f])
    return model, np.array([d, j, -h, -b]), gradient


@pytest.mark.parametrize("follow", [True, False])
def test_the_crossing_is_where_it_was_put(memory, follow):
    model, theta, _ = memory
    settle = qep.Exact(follow=follow)
    free = settle(model.operators, model.coefficients(theta, []))
    below = settle(
        model.operators, model.coefficients(theta, [], 0.99 * BETA), start=free
    )
    assert free.values[0, 0] == pytest.approx(-1.0)
    assert below.values[0, 0] == pytest.approx(-1.0)
    slope = 1.0 / np.hypot(0.5, 1.0) + 0.6 / np.hypot(0.5, 0.6)  # <Z_b> of both
    assert below.gap[0] == pytest.approx(0.01 * BETA * slope, rel=0.01)


def test_a_followed_state_gives_the_gradient_beyond_the_crossing(memory):
    model, theta, expected = memory
    where = model, theta, [], [[1.0]]
    exact = qep.gradient(*where, nudge=qep.Nudge.infinitesimal(), **EXPECT)
    np.testing.assert_allclose(exact.values, expected, atol=1e-9)
    for nudge in (qep.Nudge.centered(1.5 * BETA), qep.Nudge.chebyshev(1.5 * BETA, 20)):
        followed = qep.gradient(*where, nudge=nudge, **EXPECT)
        fresh = _afresh(where, nudge)
        assert abs(followed.values[0]) < 1e-9  # Z_a is conserved
        assert abs(fresh.values[0]) > 0.1
    # Twenty real nodes converge right through it: the states know of no crossing.
    np.testing.assert_allclose(followed.values, expected, atol=1e-6)


def _afresh(where, nudge):
    """Settle the lowest level again, which the guard must catch."""
    settle = qep.Exact(follow=False)
    how = {"nudge": nudge, "equilibrium": settle, "loss": _needing_prediction()}
    with pytest.warns(UserWarning, match=r"crossed a level: its level 0 .* lower beta"):
        return qep.gradient(*where, **how)


def _needing_prediction():
    """Return ``expectation`` as a loss whose nudged phases wait for the free one."""
    return qep.Loss(qep.expectation.value, qep.expectation.slope)


def test_a_small_nudge_needs_no_guard(memory):
    model, theta, expected = memory
    found = qep.gradient(
        model,
        theta,
        [],
        [[1.0]],
        nudge=qep.Nudge.centered(1e-3),
        equilibrium=qep.Exact(follow=False),
        loss=_needing_prediction(),
    )
    np.testing.assert_allclose(found.values, expected, atol=1e-5)


# --- Nearly equal levels: the honeycomb -----------------------------------------------


@pytest.fixture(scope="module")
def honeycomb():
    """Return the walk of arXiv:2406.06482 on 12 spins, J_x + J_y + J_z = 1.

    A weak field mixes states of either flux W, whose energies are close.
    """
    xx, yy, zz = (
        -op for op in qep.models.kitaev_honeycomb(2, 3, uniform=True).trainable
    )
    size = xx.num_qubits
    field = [reference.at(a, [k], size, 0.1) for a in "XYZ" for k in range(size)]
    return qep.Model(
        [xx - zz, yy - zz],
        readout=[qep.models.kitaev_plaquettes(2, 3)[0]],
        fixed=SparsePauliOp.sum([zz, *field]).simplify(),
    )


START = np.array([1 / 6, 1 / 6])


def upwards(model, theta, nudge):
    """Return the measured direction of rising flux, of length 1, and the flux."""
    how = {"nudge": nudge, **EXPECT}
    found = qep.gradient(model, theta, [], [[1.0]], **how)
    return found.values / found.norm, found.prediction[0, 0]


def test_a_large_one_sided_nudge_points_the_wrong_way_on_the_honeycomb(honeycomb):
    def flux(theta):
        return qep.predict(honeycomb, theta, [])[0, 0]

    expected = reference.five_point(flux, START)
    assert np.linalg.norm(expected) > 0.1
    expected /= np.linalg.norm(expected)
    with pytest.warns(UserWarning, match=r"nudge 0.1 .* exceeds the gap 0.046"):
        wrong, _ = upwards(honeycomb, START, qep.Nudge.one_sided(0.1))
    assert wrong @ expected < -0.9
    for nudge in (qep.Nudge.one_sided(1e-3), qep.Nudge.centered(0.01)):
        assert upwards(honeycomb, START, nudge)[0] @ expected > 0.99
    with pytest.warns(UserWarning, match="exceeds the gap"):
        right, _ = upwards(honeycomb, START, qep.Nudge.chebyshev(0.1, 4))
    assert right @ expected > 0.99
    # Either sign of the nudge picks a flux.
    pushed = honeycomb.coefficients(START, [[], []], [[0.1], [-0.1]])
    values = qep.Exact()(honeycomb.operators, pushed).values
    assert values[0, 2] < -0.7
    assert values[1, 2] > 0.7


# The guard warns on both walks, which begin where levels are close: that is the case.
@pytest.mark.filterwarnings("ignore:nudge .* exceeds the gap:UserWarning")
def test_a_one_sided_walk_leaves_the_triangle_and_a_centred_one_finds_flux(honeycomb):
    def walk(nudge, steps):
        theta = START
        for _ in range(steps):
            direction, flux = upwards(honeycomb, theta, nudge)
            theta = theta + 0.01 * np.sign(flux) * direction
        return np.append(theta, 1 - theta.sum()), flux

    couplings, flux = walk(qep.Nudge.one_sided(0.1), 20)
    assert couplings[0] < 0
    assert abs(flux) < 0.001
    couplings, flux = walk(qep.Nudge.centered(0.1), 10)  # beyond, levels meet
    assert couplings.min() > 0.15
    assert abs(flux) > 0.15


# --- Excited states -------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_every_level_has_its_own_gradient(level):
    model = qep.models.transverse_field_ising(4, inputs=[0, 1], readout=[3])
    rng = np.random.default_rng(2)
    expected = np.zeros(1)
    while np.abs(expected).max() < 0.1:
        theta = 0.7 * rng.standard_normal(model.num_trainable)
        x, y = rng.standard_normal((2, 2)), np.array([[1.0], [-1.0]])
        matrices = [
            reference.total(model.operators, row)
            for row in model.coefficients(theta, x)
        ]
        if min(reference.gap(np.linalg.eigvalsh(m), level) for m in matrices) > 0.5:
            expected, _ = reference.slopes(model, theta, x, y, level=level)
    exact, nudged = (
        qep.gradient(
            model, theta, x, y, equilibrium=qep.Exact(level=level), nudge=nudge
        ).values
        for nudge in (qep.Nudge.infinitesimal(), qep.Nudge.chebyshev(0.01, 6))
    )
    np.testing.assert_allclose(exact, expected, atol=1e-6)
    np.testing.assert_allclose(nudged, expected, atol=1e-6)


def test_an_excited_state_learns():
    model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2])
    x, y = np.array([[1.0], [-1.0]]), np.array([[0.5], [-0.5]])
    how = {"equilibrium": qep.Exact(level=2), "nudge": qep.Nudge.infinitesimal()}
    how |= {"optimizer": qep.adam(0.1), "seed": 1, "progress": False}
    begin, end = (qep.train(model, x, y, steps=steps, **how).loss for steps in (0, 40))
    assert end < 0.1 * begin
    assert begin > 0.05


# --- Convergence ----------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.4, 0.7])
def test_a_circle_converges_up_to_the_nearest_exceptional_point(share):
    # h X + (b + beta) Z: the levels meet at beta = -b +- i h.
    h, b = 0.6, 0.3
    model = qep.Model(["X"], readout=["Z"], fixed=0.3 * qep.Model(["Z"]).trainable[0])
    radius = np.hypot(h, b)
    expected = h * b / radius**3

    def error(n):
        nudge = qep.Nudge.holomorphic(share * radius, n)
        found = qep.gradient(model, [h], [], [[1.0]], nudge=nudge, **EXPECT)
        return abs(found.values[0] - expected)

    assert expected > 0.1
    for begin in (4, 12):  # the largest of a few n: the error changes its sign with n
        scaled = max(error(n) / share**n for n in range(begin, begin + 6))
        assert 0.03 < scaled < 3.0


def test_the_suggested_nudge_is_near_the_best_on_networks_it_has_not_seen():
    """Mean squared errors from exact values, so that only the suggestion is noisy."""
    model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2])
    x, y, shots = np.array([[1.0]]), np.array([[1.0]]), 2000
    cost, ratios = qep.cost_observable, []  # its slope is -2

    def error(theta, exact, push):
        nudge = qep.Nudge.centered(push).normalized()
        found = qep.gradient(model, theta, x, y, nudge=nudge, loss=cost).values
        rows = [model.coefficients(theta, x, nu)[0] for nu in (push, -push)]
        values = qep.Exact()(model.operators, np.array(rows)).values
        variance = (1 - values[:, : model.num_trainable] ** 2).sum() / shots
        return ((found - exact) ** 2).sum() + variance / push**2

    for seed in range(100, 120):
        theta = 0.5 * np.random.default_rng(seed).standard_normal(model.num_trainable)
        how = {"nudge": qep.Nudge.infinitesimal(), "loss": cost}
        exact = qep.gradient(model, theta, x, y, **how)
        if exact.gap < 0.5:
            continue
        nudge = qep.suggest_nudge(model, theta, x, y, shots, loss=cost, seed=seed)
        # The suggestion keeps its push within half the gap, and so does its rival.
        grid = np.geomspace(0.04, exact.gap / 2, 20)
        best = min(error(theta, exact.values, push) for push in grid)
        ratios.append(error(theta, exact.values, nudge.reach) / best)
    assert len(ratios) > 8
    assert np.median(ratios) < 1.5
    assert max(ratios) < 5
