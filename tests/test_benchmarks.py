"""Benchmarks: peers solve the same task as we do, and the command writes it down."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import qiskit_qep as qep
from benchmarks import command, gradients, report
from benchmarks._cases import Case, Outcome
from benchmarks._measure import OURS, Entrant, Sample, race
from benchmarks._targets import CASES
from benchmarks.gradient_peers import jax_gradient, pennylane_gradient
from benchmarks.ground_states import ground_state
from benchmarks.peers import ScipyGradient, ground_states
from benchmarks.problems import BETA, Network, Sensor

ROOT = Path(__file__).parents[1]
PEERS = (
    "scipy eigsh",
    "numpy eigh",
    "qiskit-algorithms",
    "QuSpin",
    "quimb",
    "NetKet",
)
# What peers warn about while they are loaded is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


@cache
def network(batch=1):
    return Network.random(6, 3, batch=batch)


@cache
def entrants():
    return ground_states(network())


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_settles_to_our_state(peer):
    entrant = entrants()[peer]
    if entrant is None:
        pytest.skip(f"{peer} is not installed")
    state, n = np.asarray(entrant.call()).reshape(-1), network()
    rows = n.model.coefficients(n.theta, n.x)
    ours = qep.Exact()(n.model.operators, rows).state[0][0]
    assert entrant.error(state) < 1e-9
    assert abs(np.vdot(ours, state)) == pytest.approx(1.0, abs=1e-12)


def test_every_peer_is_tested():
    assert set(entrants()) == set(PEERS)


def test_a_wrong_state_has_a_large_error():
    entrant = entrants()["scipy eigsh"]
    assert entrant.error(np.eye(64)[5]) > 0.1


@pytest.mark.parametrize("tolerance", [1e-10, 0.0])
@pytest.mark.parametrize(
    ("nudge", "name"),
    [(qep.Nudge.centered(BETA), "centered"), (qep.Nudge.infinitesimal(), "response")],
    ids=["centered", "response"],
)
def test_scipy_has_our_gradient(nudge, name, tolerance):
    ours = gradients.ours(network(), nudge)()
    assert np.abs(ours).max() > 0.1
    found = getattr(ScipyGradient(network(), tolerance), name)()
    np.testing.assert_allclose(found, ours, atol=1e-8)


def test_jax_has_our_gradient_of_a_batch():
    pytest.importorskip("jax").config.update("jax_enable_x64", True)
    ours = gradients.ours(network(3), qep.Nudge.infinitesimal())()
    np.testing.assert_allclose(jax_gradient(network(3))(), ours, atol=1e-8)


def test_pennylane_differentiates():
    gradient = pennylane_gradient(network())
    if gradient is None:
        pytest.skip("PennyLane is not installed")
    assert np.abs(gradient()).max() > 0.1


def test_sparse_matrices_have_our_gradient_of_the_sensor():
    problem = Sensor.random(0, batch=2)
    ours = gradients.ours(problem, qep.Nudge.centered(BETA))()
    assert len(ours) == 51
    assert not problem.model.operators.terms.is_real
    found = gradients.SparseSensor(problem).gradient()
    np.testing.assert_allclose(found, ours, atol=1e-7)


def test_the_matrix_of_the_peers_is_ours():
    n = network()
    np.testing.assert_allclose(
        n.matrix().toarray(), n.model.hamiltonian(n.theta, n.x[0]).to_matrix()
    )
    assert n.matrix().data.strides == (8,)
    psi = np.random.default_rng(0).normal(size=(2, 64))
    values = n.model.operators.terms.expectations(psi[:1], psi[1:]).real[0]
    np.testing.assert_allclose(n.values(*psi), values[: len(n.theta)])


def test_entrants_take_turns():
    order = []
    entrants = {
        name: Entrant(lambda name=name: order.append(name), lambda _: 0.5, per=2)
        for name in (OURS, "peer")
    }
    sample = race({**entrants, "absent": None}, repeats=3, budget=1.0)
    turns = [name for k, name in enumerate(order) if k == 0 or order[k - 1] != name]
    assert turns[-6:] == [OURS, "peer"] * 3
    assert sample.figures["absent"] is None
    assert sample.errors == {OURS: 0.5, "peer": 0.5}
    assert [len(readings) for readings in sample.raw.values()] == [3, 3]
    assert sample.best_peer == "peer"


@pytest.mark.parametrize(
    ("measure", "figures", "measured", "verdict"),
    [
        ("ratio", (1.0, 4.0), 0.25, "goal"),
        ("ratio", (2.0, 4.0), 0.5, "limit"),
        ("ratio", (3.0, 4.0), 0.75, "MISSED"),
        ("speedup", (1.0, 4.0), 4.0, "goal"),
        ("speedup", (3.0, 4.0), 4 / 3, "goal"),
        ("speedup", (10.0, 4.0), 0.4, "MISSED"),
        ("value", (0.4, 1.0), 0.4, "limit"),
    ],
)
def test_a_verdict(measure, figures, measured, verdict):
    goal, limit = (0.45, 0.42) if measure == "speedup" else (0.3, 0.6)
    sample = Sample(dict(zip((OURS, "peer"), figures, strict=True)))
    case = Case("name", "a case", lambda _: sample, goal, limit, measure)
    outcome = Outcome(case, [sample])
    assert outcome.measured == pytest.approx([measured])
    assert outcome.verdict == verdict
    assert f"| {verdict}" in report.targets_table([outcome])


def test_the_best_peer_is_the_quickest_that_is_installed():
    assert Sample({OURS: 1.0, "a": 3.0, "b": 2.0, "c": None}).best_peer == "b"
    assert Sample({OURS: 1.0, "a": 3.0, "b": 2.0, "c": None}).ratio == 0.5


def test_a_case_has_one_name():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {case.scope for case in CASES} == {"quick", "full", "large"}


def test_ours_is_per_state():
    sample = ground_state(6, 4, seed=0)
    assert sample.figures[OURS] < 1.0
    assert sample.errors[OURS] < 1e-9


def test_the_command_writes_tables_json_and_plots(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    arguments = ["--quick", "--only", "correlations-*", "--out", str(tmp_path)]
    command.main(arguments)
    printed = capsys.readouterr().out
    assert "| all ZZ and Z, N = 16 |" in printed
    assert "S p S^T" in printed
    found = json.loads((tmp_path / "results.json").read_text())
    assert [case["name"] for case in found["cases"]] == ["correlations-16"]
    assert len(found["cases"][0]["samples"]) == 2
    assert max(found["cases"][0]["samples"][0]["errors"].values()) < 1e-12
    assert found["machine"]["versions"]["numpy"] == np.__version__
    assert (tmp_path / "tables.md").read_text() in printed + "\n"
    assert (tmp_path / "targets.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--only", "nothing"], "no case is called 'nothing'; see --list"),
        (["--seeds", "0"], "--seeds should be at least 1, got 0"),
    ],
)
def test_wrong_options_are_refused(arguments, match, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    assert match in capsys.readouterr().err


def test_the_module_is_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--list"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout.startswith("ground-8 ")


def test_the_profile_says_where_the_time_goes():
    def asked(*names):
        return subprocess.run(
            [sys.executable, "-m", "benchmarks.profile", *names],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )

    row = asked("batch-12").stdout.splitlines()[-1].split("|")
    assert row[1].strip() == "batch-12"
    shares = [float(cell.strip(" %")) for cell in row[3:6]]
    assert sum(shares) == pytest.approx(100, abs=1.5)
    assert "no case is called {'batch-1'}" in asked("batch-1").stderr
