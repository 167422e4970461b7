"""python -m benchmarks.circuits: every part runs, and its arithmetic is right."""

import numpy as np
import pytest

from benchmarks import circuit_quality, circuit_throughput, circuit_training, circuits

LAST = {
    "quality": "### Gradients of circuits, 1000 shots on Aer",
    "training": "| diamond | VQE, Ramp(1, 1) | Torino | ",
    "throughput": "### A whole step",
}


@pytest.mark.parametrize("part", circuits.PARTS)
def test_a_part_prints_tables_of_even_rows(part, capsys):
    circuits.main([part, "--quick"])
    printed = capsys.readouterr().out
    assert LAST[part] in printed
    assert f"\n{part}: " in printed
    tables = [lines for lines in printed.split("\n\n") if lines.startswith("|")]
    assert tables
    for lines in tables:
        rows = lines.splitlines()
        assert len(rows) > 2
        assert len({row.count("|") for row in rows}) == 1


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        circuits.main(["speed"])
    assert "got ['speed']" in capsys.readouterr().err


def test_gradients_are_compared_by_angle_and_length():
    found = circuit_quality.compare(np.array([0.0, 2.0]), np.array([3.0, 3.0]))
    assert found == pytest.approx((0.5**0.5, 2 / 18**0.5))


def test_instances_are_drawn_again_alike():
    first, again = (circuit_quality.draw(1, 4) for _ in range(2))
    assert np.array_equal(first.theta, again.theta)
    assert not np.array_equal(first.theta, circuit_quality.draw(2, 4).theta)


def test_a_raw_job_asks_aer_for_the_same_as_we_do():
    import qiskit_qep as qep

    model = qep.models.transverse_field_ising(3, readout=[2])
    rng = np.random.default_rng(0)
    ramp = qep.Ramp(1, 2)
    angles = ramp.angles(model.operators, rng.normal(size=(1, len(model.operators))))
    exact = qep.Prepared(ramp).measure(model.operators, angles, [rng]).values[0]
    circuit = qep.Prepared(ramp, qep.AerSampler).circuit(model.operators)
    _, values = qep.build_pub(circuit, model.operators, angles)
    result = circuit_throughput.raw_job(circuit, values, 4000)(1)
    both = [result.get_counts(k) for k in range(values.shape[1])]
    signs = [{k: [1 - 2 * int(b) for b in k[::-1]] for k in counts} for counts in both]
    z_or_x = np.array(
        [
            sum(n * np.array(sign[k]) for k, n in counts.items()) / 4000
            for counts, sign in zip(both, signs, strict=True)
        ]
    )
    z = -exact[6:9]  # after three -ZZ and three -X
    assert np.abs(z).max() > 0.2
    assert np.abs(z_or_x - z).max(axis=1).min() < 5 / 4000**0.5


def test_training_says_whether_the_exact_states_solve_it_too():
    task = circuit_training.TASKS[2]
    untrained = circuit_training.run(task, 0, 1)
    assert (untrained.first, untrained.kept, untrained.exact) == (None, False, False)
    trained = circuit_training.run(task, 0, 60)
    assert trained.first is not None
    assert trained.exact
