"""Reproductions: each once at a small size, and what they say of published figures."""

import numpy as np
import pytest

import qiskit_qep as qep
from benchmarks.reproductions import (
    cluster_sensor,
    command,
    ising_machine,
    kitaev_sensor,
    order_parameter,
    phase_exploration,
    spirals,
)
from benchmarks.reproductions.table import Published, spread

# Published nudges may exceed a gap, and published networks have small ones.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*exceeds the gap:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*is nearly degenerate:UserWarning"),
]


ANY, QUIET = ([[1.0, 1.0, 2.0]], [[0.0, 0.0, 0.0, 1.0]]), {"progress": False}


@pytest.mark.parametrize("start", phase_exploration.RUNS)
def test_the_walks_are_the_published_ones(start):
    walk, values = phase_exploration.explore(start, 6)
    published = phase_exploration.RUNS[start]
    for step in (0, 1, 2, 5):
        assert values[step] == pytest.approx(published[step], rel=1e-5)
    lengths = np.linalg.norm(np.diff(walk, axis=0), axis=1)
    np.testing.assert_allclose(lengths, 0.1, atol=1e-12)


def test_the_grid_of_predictions_is_the_published_one():
    published = np.array(list(phase_exploration.GRID.values()))
    found = phase_exploration.grid(phase_exploration.GRID).ravel()
    assert np.ptp(published) > 0.9
    np.testing.assert_allclose(found, published, atol=1e-9)


def test_the_sensor_starts_and_moves_as_published():
    theta, curve = cluster_sensor.learn(0, 4)
    start = cluster_sensor.initial(np.random.default_rng(0))
    assert np.abs(start[:36]).max() < 0.1 < np.abs(start[36:]).max()
    # Adam moves by at most its rate: 5 updates, and nearly so where gradients persist.
    moved = np.abs(theta - start)
    assert 0.02 < moved.max() < 0.05 + 1e-3
    assert set(curve) == {0}
    assert all(0 <= score <= 1 for score in curve[0])


def test_the_accuracies_of_a_sensor():
    """By the definitions: the likeliest phase, and the weight on the right one."""
    model, rng = qep.models.cluster_sensor(), np.random.default_rng(1)
    theta = cluster_sensor.initial(rng)
    x, y = qep.datasets.cluster_ising(6, seed=2)
    p = qep.predict(model, theta, x)
    right = [np.argmax(a) == np.argmax(b) for a, b in zip(p, y, strict=True)]
    weights = [a[np.argmax(b)] for a, b in zip(p, y, strict=True)]
    chosen, shots = cluster_sensor.accuracies(p, y)
    assert 0 < np.mean(shots) < 1
    np.testing.assert_array_equal(chosen, right)
    np.testing.assert_allclose(shots, weights, rtol=1e-12)


def test_the_levels_of_a_sensor_are_those_of_the_model_without_its_ring():
    """With nothing on the ring but a field, each level of the sensor is one of H."""
    theta = cluster_sensor.initial(np.random.default_rng(4))
    theta[cluster_sensor.COUPLINGS] = 0.0
    model = qep.models.cluster_sensor(3)
    h = model.hamiltonian(theta, [0.0, 0.0, 10.0]).to_matrix()
    lowest = np.linalg.eigvalsh(h)[:4]
    found = cluster_sensor.levels(theta)
    assert 0 == found[0] < 0.5 < found[3] < 20
    np.testing.assert_allclose(found, lowest - lowest[0], atol=1e-9)


def test_published_noise_is_that_of_ten_shots():
    model, rng = qep.models.cluster_sensor(), np.random.default_rng(1)
    theta = cluster_sensor.initial(rng)
    rows = np.repeat(model.coefficients(theta, [[1.0, 1.0, 2.0]]), 300, axis=0)
    free = cluster_sensor.PUBLISHED_NOISE(model.operators, rows)
    assert not free.stds.any()
    assert np.ptp(free.values, axis=0).max() == 0
    streams = [np.random.default_rng(k) for k in range(300)]
    noisy = cluster_sensor.PUBLISHED_NOISE(
        model.operators, rows, start=free, rng=streams
    )
    expected = np.sqrt((1 - free.values[0, :51] ** 2) / 10)
    np.testing.assert_allclose(
        noisy.values[:, :51].std(axis=0), expected, rtol=5 / np.sqrt(600)
    )


def test_a_sensor_of_the_honeycomb_moves_and_is_scored_by_the_definitions():
    theta, model = kitaev_sensor.learn(3, 1), qep.models.kitaev_sensor()
    moved = np.abs(theta - qep.train(model, *ANY, steps=0, seed=3, **QUIET).theta)
    np.testing.assert_allclose(moved, 0.02, rtol=1e-3)  # what Adam does first
    found = kitaev_sensor.scores_by_place(theta, 1, points=12)
    x, y = qep.datasets.kitaev_honeycomb(12, seed=10_001)
    p = qep.predict(model, theta, x, equilibrium=kitaev_sensor.AFRESH)
    right = {name: [] for name in (*kitaev_sensor.PHASES, "far")}
    for point, given, target in zip(x, p, y, strict=True):
        phase = kitaev_sensor.PHASES[int(np.argmax(target))]
        right[phase].append(np.argmax(given) == np.argmax(target))
        if all(abs(j - 2) > 0.2 for j in point):
            right["far"].append(right[phase][-1])
    assert all(right.values())
    for phase in kitaev_sensor.PHASES:
        assert found[f"right choices in {phase}"] == np.mean(right[phase])
    assert found["right choices, 0.2 from boundaries"] == np.mean(right["far"])
    each = [hit for phase in kitaev_sensor.PHASES for hit in right[phase]]
    assert found["right choices"] == np.mean(each)
    assert found["right shots"] == pytest.approx(np.mean(np.sum(p * y, axis=1)))


def test_spirals_are_learnt():
    training, new = spirals.learn(0, 40, 0.01)
    assert min(training, new) > 0.75


def test_a_machine_learns_digits_without_and_with_transverse_fields():
    small = ising_machine.SMALL
    assert small.model().num_trainable == 24 + 10 + 6 + 6 * 64
    for machine in (small, ising_machine.MACHINES["64-6-4, h = 0.5"]):
        assert machine.learn(1, 1, 250) > 0.4  # of four classes


def test_sweeps_of_an_atom_oscillate_as_published():
    published = order_parameter.OSCILLATION[100]
    assert order_parameter.oscillation(100) == pytest.approx(published, rel=1e-5)


def test_long_smooth_sweeps_give_the_exact_gradient_and_short_stiff_ones_do_not():
    model, errors = order_parameter.chain(3), []
    exact = order_parameter.slopes(model, qep.Exact(follow=False))
    assert np.abs(exact).max() > 0.1
    for duration, ramp in (
        (200.0, order_parameter.smooth),
        (20.0, order_parameter.stiff),
    ):
        swept = order_parameter.Swept((duration,), ramp)
        off = order_parameter.slopes(model, swept) - exact
        errors.append(np.linalg.norm(off) / np.linalg.norm(exact))
    assert errors[0] < 0.05 < 1.0 < errors[1]


def test_the_lattice_starts_and_climbs_as_published():
    start, after = order_parameter.climb(order_parameter.lattice(4), 1)
    assert start == pytest.approx(order_parameter.LATTICE[0], abs=5e-5)
    assert after > start


def test_the_command(capsys):
    command.main(["phase_exploration"])
    printed = capsys.readouterr().out
    assert "step 99" in printed
    assert printed.count("0.992290") == 2  # published and ours
    with pytest.raises(SystemExit):
        command.main(["no_such"])
    assert "'no_such' is none of cluster_sensor, " in capsys.readouterr().err


def test_a_spread_says_over_how_many_seeds():
    assert spread([0.5]) == "0.500 (1 seed)"
    assert spread([0.5, 0.7]) == "0.600 ± 0.141 (2)"


def test_means_are_compared_in_standard_errors_of_their_difference():
    published = Published(0.8, 0.06, 9)
    assert str(published) == "0.800 ± 0.060 (9)"
    # sqrt(.02^2 + .06^2 / n): .0632 for one seed of ours, .0283 for nine
    assert published.apart([0.9]) == "+1.6 standard errors"
    assert published.apart([0.75] * 9) == "-1.8 standard errors"
