"""Elastic networks: closed forms, derivatives, minima that are kept, and refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mechanics
import qiskit_qep as qep
import reference
from qiskit_qep import Clamped, Distance, QuadraticForm

INFINITESIMAL = qep.Nudge.infinitesimal()
GRID = np.array([[i, j] for i in range(3) for j in range(3)], dtype=float)
BEAMS = [
    (i, j) for i in range(9) for j in range(i) if np.hypot(*(GRID[i] - GRID[j])) < 1.5
]


def lattice(readout, **roles):
    """Return a model of a bent square lattice with diagonals, theta, x and Relaxed."""
    at = GRID + 0.1 * np.random.default_rng(0).standard_normal(GRID.shape)
    roles = {"clamped": [0], "pinned": [2, 6], "inputs": [(8, 0)], **roles}
    model = qep.models.elastic_network(at, BEAMS, readout=readout, **roles)
    theta = model.initial(np.random.default_rng(1))
    theta[len(BEAMS) :] *= np.random.default_rng(2).uniform(0.9, 1.1, len(BEAMS))
    x = np.array([[*at[0], 0.2], [*(at[0] + [0.2, -0.1]), -0.1]])
    return model, theta, x, qep.Relaxed(at)


# --- Values ---------------------------------------------------------------------------


def test_springs_in_a_row_share_the_length_as_their_constants_say():
    """k1 (r - l1) = k2 (R - r - l2), and so is its derivative."""
    k1, k2, l1, l2, R = 1.3, 0.6, 0.8, 1.4, 3.0
    at = [[0.0], [1.0], [2.0]]
    model = qep.models.elastic_network(at, "chain", clamped=[0, 2], readout=[1])
    relaxed = qep.Relaxed(at)
    theta, x = np.array([k1, k2, l1, l2]), [[0.0, R]]
    r = (k1 * l1 + k2 * (R - l2)) / (k1 + k2)
    phase = relaxed(model.operators, model.coefficients(theta, x))
    assert phase.values[0, model.readout_columns] == pytest.approx(r, abs=1e-13)
    assert phase.residual[0] < 1e-13
    tension = k1 * (r - l1)
    columns = slice(model.num_driven - 2, model.num_driven)
    np.testing.assert_allclose(
        phase.values[0, columns], [-tension, tension], atol=1e-12
    )
    found = qep.gradient(
        model, theta, x, [[0.0]], equilibrium=relaxed, nudge=INFINITESIMAL
    )
    s, total = 2 * r, k1 + k2
    by_theta = [(l1 - r) / total, (R - l2 - r) / total, k1 / total, -k2 / total]
    np.testing.assert_allclose(found.values, s * np.array(by_theta), atol=1e-12)
    np.testing.assert_allclose(found.inputs, [[s * k1 / total, s * k2 / total]])


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_without_rest_lengths_positions_are_the_means_of_oscillators(dimensions):
    rng = np.random.default_rng(dimensions)
    at = rng.standard_normal((6, dimensions))
    springs = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (1, 4), (0, 3)]
    elastic = qep.models.elastic_network(
        at, springs, clamped=[0, 5], inputs=[2], readout=[1, 2, 3, 4]
    )
    k = rng.uniform(0.5, 2.0, len(springs))
    x = rng.standard_normal((3, elastic.num_inputs))
    theta = np.concatenate([k, np.zeros(len(k))])
    found = qep.predict(elastic, theta, x, equilibrium=qep.Relaxed(at))
    axes = qep.models.oscillator_network(
        rng.uniform(0.5, 2.0, 6),
        springs,
        clamped=[0, 5],
        inputs=[2],
        readout=[1, 2, 3, 4],
    )
    for a in range(dimensions):
        own = x[:, a::dimensions]  # both clamped atoms and the force, along this axis
        means = qep.predict(axes, k, own, equilibrium=qep.Gaussian())
        assert np.abs(means).max() > 0.1
        np.testing.assert_allclose(found[:, a::dimensions], means, atol=1e-10)


def test_an_oscillator_network_at_rest_is_its_own_classical_limit():
    model = qep.models.oscillator_network(
        [1.0, 2.0], [(0, 1)], anchors=0.5, inputs=[0], readout=[1, "r_1 r_1"]
    )
    classical = qep.predict(model, [1.0], [[3.0]], equilibrium=qep.Relaxed())[0]
    quantum = qep.predict(model, [1.0], [[3.0]], equilibrium=qep.Gaussian())[0]
    assert classical[0] == pytest.approx(quantum[0], abs=1e-12)
    assert classical[1] == pytest.approx(quantum[0] ** 2, abs=1e-12)
    assert quantum[1] > classical[1] + 0.1  # the zero-point motion


@given(st.integers(1, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_a_distance_is_the_root_of_its_square(dimensions, seed):
    z = np.random.default_rng(seed).standard_normal(6 * dimensions)
    distance = Distance(2, 0, 3, dimensions)
    square = mechanics.evaluate(distance.squared(), z)
    assert mechanics.evaluate(distance, z) ** 2 == pytest.approx(square, rel=1e-12)


# --- Gradients ------------------------------------------------------------------------


def test_the_gradient_is_that_of_an_independent_relaxation():
    """Of a 2d lattice by stiffness, rest lengths, clamped positions and forces."""
    model, theta, x, relaxed = lattice([4, Distance(5, 8, 9, 2)])
    y = np.array([[1.2, 0.7, 1.3]])
    near = np.concatenate([0.99 * np.array(relaxed.positions), np.zeros(18)])

    def loss(theta, u):
        row = model.coefficients(theta, u)[0]
        values = mechanics.rest(model.operators, row, begin=near)[1]
        return ((values[model.readout_columns] - y[0]) ** 2).sum()

    how = {"equilibrium": relaxed, "nudge": INFINITESIMAL}
    found = qep.gradient(model, theta, x[1:], y, **how)
    rng = np.random.default_rng(3)
    way = rng.standard_normal(len(theta))
    slope = reference.five_point(lambda t: loss(theta + t * way, x[1]), [0.0])
    assert abs(slope[0]) > 0.01
    assert found.values @ way == pytest.approx(slope[0], abs=1e-8)
    turn = rng.standard_normal(3)
    slope = reference.five_point(lambda t: loss(theta, x[1] + t * turn), [0.0])
    assert abs(slope[0]) > 0.01
    assert found.inputs[0] @ turn == pytest.approx(slope[0], abs=1e-8)


@pytest.mark.parametrize(
    ("nudge", "error"),
    [(qep.Nudge.centered(1e-3), 1e-5), (qep.Nudge.chebyshev(0.02, 6), 1e-7)],
)
def test_stencils_find_the_exact_gradient(nudge, error):
    model, theta, x, relaxed = lattice([4, (7, 1)])
    y = np.array([[1.2, 0.8, 1.3], [0.9, 1.1, 1.0]])
    exact = qep.gradient(model, theta, x, y, equilibrium=relaxed, nudge=INFINITESIMAL)
    found = qep.gradient(model, theta, x, y, equilibrium=relaxed, nudge=nudge)
    assert exact.norm > 0.1
    np.testing.assert_allclose(found.values, exact.values, atol=error * exact.norm)
    np.testing.assert_allclose(found.inputs, exact.inputs, atol=error * exact.norm)


# --- Minima ---------------------------------------------------------------------------


def arch(height, **how):
    """Return an arch of two long springs, which can snap through, and Relaxed."""
    at = [[-1.0, 0.0], [0.0, height], [1.0, 0.0]]
    model = qep.models.elastic_network(
        at, [(0, 1), (1, 2)], pinned=[0, 2], inputs=[(1, 1)], readout=[(1, 1)], **how
    )
    return model, qep.Relaxed(at)


def test_where_it_starts_decides_which_minimum_it_finds():
    theta = [1.0, 1.0, 1.25, 1.25]
    for sign in (1, -1):
        model, relaxed = arch(0.3 * sign)
        found = qep.predict(model, theta, [[0.0]], equilibrium=relaxed)
        np.testing.assert_allclose(found, sign * 0.75, atol=1e-12)


def test_a_nudged_phase_moves_in_the_minimum_of_its_free_one():
    """Also where another minimum has become the lower one."""
    model, relaxed = arch(0.3)
    rows = model.coefficients([1.0, 1.0, 1.25, 1.25], [[0.0], [0.0]])
    free = relaxed(model.operators, rows)
    free.state[0][1, 3] *= -1  # the mirror image of the second row
    push = rows.copy()
    push[:, model.readout_columns] = 0.02  # an energy that is lower below
    nudged = relaxed(model.operators, push, start=free)
    height = nudged.values[:, model.readout_columns][:, 0]
    assert 0.6 < height[0] < 0.75 - 1e-3
    assert height[1] < -0.75 - 1e-3


def test_an_arch_that_is_pushed_too_hard_snaps_through():
    model, relaxed = arch(0.3)
    theta = [1.0, 1.0, 1.25, 1.25]
    height = qep.predict(model, theta, [[0.0], [-0.5]], equilibrium=relaxed)[:, 0]
    assert height[0] > 0.7
    assert height[1] < -0.7
    assert (
        relaxed(model.operators, model.coefficients(theta, [[-0.5]])).residual < 1e-10
    )


def test_a_network_far_from_rest_finds_a_minimum():
    model, theta, x, relaxed = lattice([4])
    far = qep.Relaxed(np.random.default_rng(5).uniform(0, 2, (9, 2)))
    phase = far(model.operators, model.coefficients(theta, x))
    assert phase.residual.max() < 1e-10
    near = relaxed(model.operators, model.coefficients(theta, x))
    assert np.abs(phase.values - near.values).max() > 1e-3  # it is another one


# --- Elsewhere in the package ---------------------------------------------------------


def test_a_lattice_learns_to_move_there_when_it_is_pulled_here(tmp_path):
    model, theta, x, relaxed = lattice([(8, 1)], inputs=())
    x = x[:, :2]
    rest = qep.predict(model, theta, x[:1], equilibrium=relaxed)[0, 0]
    y = np.array([[rest], [rest - 0.05]])
    how = {"equilibrium": relaxed, "optimizer": qep.adam(0.05), "progress": False}
    first = qep.gradient(model, theta, x, y, equilibrium=relaxed)
    state = qep.train(model, x, y, theta=theta, steps=40, seed=0, **how)
    assert first.loss > 5e-4
    assert state.loss < first.loss / 4
    state.save(tmp_path / "lattice.npz")
    again = qep.State.load(tmp_path / "lattice.npz")
    assert np.array_equal(
        qep.train(model, x, y, state=again, steps=1, **how).theta,
        qep.train(model, x, y, state=state, steps=1, **how).theta,
    )
    assert qep.plan(model, x, equilibrium=relaxed).jobs == 0


def test_relaxed_is_a_value():
    assert qep.Relaxed([[0, 1]]) == qep.Relaxed(np.array([[0.0, 1.0]]))
    assert hash(qep.Relaxed([[0, 1]])) != hash(qep.Relaxed([[0, 2]]))


# --- Refusals -------------------------------------------------------------------------


def test_a_network_that_floats_is_refused_with_the_remedy():
    at = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    model = qep.models.elastic_network(at, pinned=[0], readout=[1])
    theta = model.initial(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"sample 0 .*flat along .*clamp or pin atoms"):
        qep.predict(model, theta, [], equilibrium=qep.Relaxed(at))


def test_a_start_on_a_ridge_is_refused_with_the_remedy():
    model, relaxed = arch(0.0)
    with pytest.raises(
        ValueError, match=r"falls along r_3, curvature -0\.5.*off a line"
    ):
        qep.predict(model, [1.0, 1.0, 1.25, 1.25], [[0.0]], equilibrium=relaxed)


def test_an_energy_without_end_is_refused():
    model, relaxed = arch(0.3)
    with pytest.raises(
        ValueError, match=r"sample 0 did not come to rest.*raise spring"
    ):
        qep.predict(model, [-1.0, -1.0, 1.0, 1.0], [[0.0]], equilibrium=relaxed)


def test_what_it_cannot_settle_is_refused():
    model, relaxed = arch(0.3)
    theta = [1.0, 1.0, 1.25, 1.25]
    unsaid = qep.Model([qep.Distance(0, 1, 2)], fixed=qep.Clamped({"r_0": 1.0}, 4))
    with pytest.raises(ValueError, match=r"say where atoms are .*Relaxed\(positions\)"):
        qep.predict(unsaid, [1.0], [], equilibrium=qep.Relaxed())
    said = qep.predict(model, theta, [[0.0]], equilibrium=qep.Relaxed())
    found = qep.predict(model, theta, [[0.0]], equilibrium=relaxed)
    assert abs(found).max() > 0.1
    np.testing.assert_array_equal(said, found)
    with pytest.raises(ValueError, match=r"positions should be 6 coordinates, got 4"):
        qep.predict(model, theta, [[0.0]], equilibrium=qep.Relaxed(np.zeros((2, 2))))
    with pytest.raises(TypeError, match=r"Relaxed\(.*no shots to draw.*leave Sampled"):
        qep.predict(model, theta, [[0.0]], equilibrium=qep.Sampled(10, relaxed))
    holomorphic = qep.Nudge.holomorphic(0.1, 4)
    with pytest.raises(TypeError, match=r"complex coefficients.*Nudge\.chebyshev"):
        qep.gradient(
            model, theta, [[0.0]], [[1.0]], equilibrium=relaxed, nudge=holomorphic
        )
    ising = qep.models.transverse_field_ising(2, readout=[1])
    with pytest.raises(TypeError, match=r"operator 0 is a SparsePauliOp.*by Exact"):
        qep.predict(ising, np.ones(5), [], equilibrium=relaxed)
    with pytest.raises(TypeError, match=r"operator 0 is a QuadraticForm.*Pauli"):
        qep.predict(model, theta, [[0.0]])


SPRINGS = qep.models.elastic_network
PAIR = [[0.0], [1.0]]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Distance(0, 0, 2), r"two of the atoms 0 to 1, got \(0, 0\)"),
        (lambda: Distance(0, 2, 2), r"two of the atoms 0 to 1, got \(0, 2\)"),
        (lambda: Distance(0, 1, 2, 4), r"dimensions should be 1, 2 or 3, got 4"),
        (lambda: Clamped({"r_0 r_0": 1.0}, 1), r"one coordinate.*'r_0 r_0'"),
        (lambda: Clamped({"r_0": np.nan}, 1), r"r_0 should have a finite scale.*nan"),
        (lambda: Clamped({"r_2": 1.0}, 2), r"'r_2' should name modes 0 to 1"),
        (lambda: qep.Relaxed([[np.inf]]), r"positions should be finite, got \[\[inf"),
        (lambda: qep.Relaxed(tolerance=0), r"tolerance should be positive, got 0"),
        (lambda: SPRINGS([0.0, 1.0]), r"shape \(num_atoms, 1 to 3\), got \[0"),
        (lambda: SPRINGS(PAIR, clamped=[0], pinned=[0]), r"should not repeat"),
        (lambda: SPRINGS(PAIR, "chain", pinned=[0, 1]), r"does nothing, got \(0, 1\)"),
        (lambda: SPRINGS(PAIR, pinned=[0], inputs=[0]), r"feel no force, got \{0\}"),
        (lambda: SPRINGS(PAIR, readout=[2]), r"readout should be atoms 0 to 1.*got 2"),
        (lambda: SPRINGS(PAIR, inputs=[(0, 1)]), r"axis 0 to 0, got \(0, 1\)"),
        (lambda: SPRINGS([[0.0], [0.0]]), r"atoms \(0, 1\) start at the same place"),
        (
            lambda: qep.Relaxed()(
                [Clamped({"r_0": 1.0}, 1), Clamped({"r_0": 2.0}, 1)], np.ones((1, 2))
            ),
            r"r_0 is clamped twice, by operator 1",
        ),
        (
            lambda: qep.Relaxed(np.zeros(6))(
                [Distance(0, 1, 3, 2), Distance(0, 1, 2, 3)], np.ones((1, 2))
            ),
            r"one dimension, got \{2, 3\}",
        ),
        (
            lambda: qep.Relaxed()(
                [QuadraticForm({}, 2), Clamped({"r_0": 1.0}, 1)], np.ones((1, 2))
            ),
            r"as many coordinates, got 2 and \{1\}",
        ),
    ],
)
def test_networks_that_are_wrong_are_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()
