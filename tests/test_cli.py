"""The command: what a run leaves behind, and that it can be cut anywhere."""

import json
import os
import re
import signal
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import qiskit_qep as qep
from qiskit_qep import _config, _folder, _process, _run, _score, cli

ROOT = Path(__file__).parents[1]
FILES = {
    "config.toml",
    "state.npz",
    "metrics.csv",
    "summary.json",
    "learning_curve.png",
    "confusion_matrix.png",
}
XOR = """\
steps = 6
[data]
kind = "xor"
test = 0
[model]
kind = "transverse_field_ising"
num_spins = 3
inputs = [0, 1]
readout = [2]
"""
BATCHES = """\
seed = 3
steps = 6
batch_size = 7
test_every = 4
[data]
kind = "moons"
num_samples = 40
[model]
kind = "transverse_field_ising"
num_spins = 3
inputs = [0, 1]
readout = [2]
[equilibrium]
kind = "sampled"
shots = 20
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with two configs in it, to work in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(XOR)
    (tmp_path / "batches.toml").write_text(BATCHES)
    return tmp_path


def begin(text, folder):
    config = _config.parse(text, "x.toml")
    return config, _folder.create(config, str(folder))


def without_seconds(folder):
    lines = (folder / "metrics.csv").read_text().splitlines()
    return [line.rpartition(",")[0] for line in lines]


def test_train_leaves_a_folder_that_says_everything(here, capsys):
    assert cli.main(["train", "batches.toml"]) == 0
    folder = here / "runs" / "batches-1"
    assert {path.name for path in folder.iterdir()} == FILES
    found = json.loads((folder / "summary.json").read_text())
    state = qep.State.load(folder / "state.npz")
    assert (found["steps"], found["seed"]) == (state.step, state.seed) == (6, 3)
    config = _folder.reopen(folder)
    p = qep.predict(config.model, state.theta, config.x_test)
    assert found["loss_std"] > 0  # shots
    assert np.sum(found["confusion"]) == len(p) == found["num_test"] == 12
    right = np.trace(found["confusion"]) / 12
    assert found["test_accuracy"] == pytest.approx(right)
    assert {"test_accuracy_uncoupled", "test_accuracy_logistic_regression"} <= set(
        found
    )
    assert {"train_accuracy", "seconds", "versions", "num_trainable"} <= set(found)
    assert found["versions"]["numpy"] == np.__version__
    printed = capsys.readouterr()
    assert str(Path("runs", "batches-1")) in printed.out
    assert re.search(r"this network +0\.\d+ ± 0\.\d+", printed.out)
    assert "all J = 0, ground state" in printed.out
    assert "logistic regression" in printed.out
    assert re.search(r"step 6/6  loss .+ ± .+  acc .+, test .+  \|grad\|", printed.err)


SETTLED = {
    "gaussian": """\
[model]
kind = "oscillator_network"
masses = [1.0, 1.0, 1.0, 1.0]
springs = [[0, 2], [1, 2], [2, 3]]
anchors = [0, 0.5, 0.1, 0.1]
clamped = [0]
inputs = [1]
readout = [3]
[optimizer]
kind = "adam"
bounded = { lower = 0.01 }
""",
    "relaxed": """\
[model]
kind = "elastic_network"
positions = [[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.4]]
pinned = [0, 1]
inputs = [[2, 0], [3, 0]]
readout = [[4, 1]]
""",
    "annealed": """\
[model]
kind = "classical_ising"
num_spins = 4
inputs = [0, 1]
readout = [3]
[nudge]
kind = "one_sided"
beta = 2.5
[loss]
kind = "cost_observable"
""",
}
SETTLED["enumerated"] = SETTLED["annealed"]
for kind in ("thermal", "lindblad", "tensor_network"):
    SETTLED[kind] = XOR[XOR.index("[model]") :]
ARGUMENTS = {
    "annealed": "temperatures = [3, 0.1]\nsweeps = 50",
    "relaxed": "tolerance = 1e-9",
    "thermal": "temperature = 0.5",
    "lindblad": 'temperature = 0.5\njumps = [{ kind = "damping", rate = 0.2 }]',
    "tensor_network": "max_bond = 4",
}


@pytest.mark.parametrize("kind", SETTLED)
def test_whatever_settles_trains_from_a_file(here, capsys, kind):
    data = 'seed = 2\nsteps = 2\n[data]\nkind = "xor"\ntest = 0\n'
    settled = f'[equilibrium]\nkind = "{kind}"\n{ARGUMENTS.get(kind, "")}\n'
    (here / "it.toml").write_text(data + SETTLED[kind] + settled)
    assert cli.main(["train", "it.toml", "--out", "run"]) == 0
    assert {path.name for path in (here / "run").iterdir()} == FILES
    state = qep.State.load(here / "run" / "state.npz")
    assert state.step == 2
    assert np.abs(state.gradient.values).max() > 1e-3
    assert "this network" in capsys.readouterr().out


def test_a_test_accuracy_is_looked_at_now_and_then_and_at_the_end(here):
    assert cli.main(["train", "batches.toml", "--out", "run"]) == 0
    rows = _folder.read_metrics(here / "run")
    looked = [row.step for row in rows if not np.isnan(row.test_accuracy)]
    assert looked == [0, 4, 6]
    found = _folder.read_summary(here / "run")
    assert rows[-1].test_accuracy == found["test_accuracy"]
    assert all(b.seconds >= a.seconds for a, b in pairwise(rows))


def test_the_network_learns_what_the_baselines_cannot(here, capsys):
    assert cli.main(["train", "xor", "--out", "run"]) == 0
    found = _folder.read_summary(here / "run")
    assert found["train_accuracy"] == 1.0
    assert found["train_accuracy_uncoupled"] <= 0.75
    assert found["train_accuracy_logistic_regression"] <= 0.75
    assert found["test_accuracy"] is None
    assert re.search(r"this network +- +1\.000", capsys.readouterr().out)


def test_runs_are_numbered_and_nothing_is_overwritten(here):
    (here / "runs" / "tiny-7").mkdir(parents=True)
    (here / "runs" / "tiny-x").mkdir()
    for _ in range(2):
        assert cli.main(["train", "tiny.toml"]) == 0
    names = {path.name for path in (here / "runs").iterdir()}
    assert names == {"tiny-7", "tiny-8", "tiny-9", "tiny-x"}


def test_a_folder_with_something_in_it_is_refused(here, capsys):
    (here / "mine").mkdir()
    (here / "mine" / "thesis.tex").write_text("precious")
    assert cli.main(["train", "tiny.toml", "--out", "mine"]) == 2
    assert "mine is not empty; choose another --out" in capsys.readouterr().err
    assert [path.name for path in (here / "mine").iterdir()] == ["thesis.tex"]


def test_seed_and_steps_replace_those_of_the_config(here):
    options = ["--seed", "5", "--steps", "2", "--out", "run"]
    assert cli.main(["train", "tiny.toml", *options]) == 0
    state = qep.State.load(here / "run" / "state.npz")
    assert (state.seed, state.step) == (5, 2)
    config = _folder.reopen(here / "run")
    assert (config.seed, config.steps) == (5, 2)


@pytest.mark.parametrize(
    ("argv", "match"),
    [
        (["train", "nothing.toml"], "there is no file 'nothing.toml'"),
        (["train", "wrong.toml"], r"wrong.toml: the file has no key 'stpes' \(did you"),
        (["resume", "nowhere"], "nowhere is no run folder"),
        (["show", "nowhere"], "nowhere is no run folder"),
        (["show", "begun"], "begun has made no step yet"),
        (["resume", "broken"], "state.npz is no saved State"),
        (["resume", "other"], "the state belongs to model"),
        (["resume", "lacking"], "metrics.csv lacks steps that state.npz made"),
        (["resume", "columns"], r"metrics.csv has columns \['what'\], not"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(here, capsys, argv, match):
    (here / "wrong.toml").write_text(XOR.replace("steps", "stpes"))
    for name in ("begun", "broken", "other", "lacking", "columns"):
        config, folder = begin(XOR, here / name)
        if name in ("other", "lacking", "columns"):
            list(_run.go_on(config, folder))
    (here / "broken" / "state.npz").write_text("no zip")
    (here / "other" / "config.toml").write_text(
        XOR.replace("spins = 3", "spins = 4").replace("steps = 6", "steps = 9")
    )
    lines = (here / "lacking" / "metrics.csv").read_text().splitlines(keepends=True)
    (here / "lacking" / "metrics.csv").write_text("".join(lines[:3] + lines[4:]))
    (here / "columns" / "metrics.csv").write_text("what\n1\n")
    assert cli.main(argv) == 2
    error = capsys.readouterr().err
    assert re.match(f"qiskit-qep: .*{match}", error)
    assert error.count("\n") == 1


def test_parts_that_do_not_fit_are_refused_at_the_first_step(here, capsys):
    (here / "tiny.toml").write_text(BATCHES + '[nudge]\nkind = "infinitesimal"\n')
    assert cli.main(["train", "tiny.toml", "--out", "run"]) == 2
    error = capsys.readouterr().err
    assert "the first step failed: Nudge.infinitesimal() needs an equilibrium" in error


@pytest.mark.parametrize("text", [XOR, BATCHES], ids=["all samples", "batches, shots"])
@pytest.mark.parametrize("cut", [1, 3, 7], ids=lambda rows: f"after {rows} rows")
def test_a_run_that_was_left_ends_as_the_uninterrupted_one(here, text, cut):
    config, whole = begin(text, here / "whole")
    assert len(list(_run.go_on(config, whole))) == 7
    config, parts = begin(text, here / "parts")
    run = _run.go_on(config, parts)
    rows = [next(run) for _ in range(cut)]
    run.close()
    assert qep.State.load(parts / "state.npz").step == rows[-1].step == cut - 1
    assert cli.main(["resume", str(parts)]) == 0
    assert (parts / "state.npz").read_bytes() == (whole / "state.npz").read_bytes()
    assert without_seconds(parts) == without_seconds(whole)
    assert len(without_seconds(parts)) == 8


def test_a_run_that_was_killed_drops_what_was_not_saved(here):
    config, whole = begin(BATCHES, here / "whole")
    list(_run.go_on(config, whole))
    config, killed = begin(BATCHES, here / "killed")
    run = _run.go_on(config, killed)
    for _ in range(3):
        next(run)
    run.close()
    rows = (killed / "metrics.csv").read_text()
    (killed / "metrics.csv").write_text(rows + rows.splitlines()[-1] + "\n3,0.1,0.")
    assert cli.main(["resume", str(killed)]) == 0
    assert (killed / "state.npz").read_bytes() == (whole / "state.npz").read_bytes()
    assert without_seconds(killed) == without_seconds(whole)


def test_the_state_is_saved_while_the_run_goes_on(here, monkeypatch):
    monkeypatch.setattr(_run, "SAVE_SECONDS", 0.0)
    config, folder = begin(XOR, here / "run")
    run = _run.go_on(config, folder)
    for step in range(3):
        next(run)
        assert qep.State.load(folder / "state.npz").step == step
        assert len(_folder.read_metrics(folder)) == step + 1
    run.close()


def test_seconds_go_on_where_they_were(here):
    config, folder = begin(XOR, here / "run")
    run = _run.go_on(config, folder)
    next(run)
    run.close()
    path = folder / "metrics.csv"
    path.write_text(re.sub(r",[\d.]+\n$", ",1000.0\n", path.read_text()))
    assert all(1000 <= row.seconds < 1100 for row in _run.go_on(config, folder))


def test_a_finished_run_that_is_resumed_stays_as_it_is(here, capsys):
    assert cli.main(["train", "tiny.toml", "--out", "run"]) == 0
    before = {name: (here / "run" / name).read_bytes() for name in FILES}
    table = capsys.readouterr().out.partition("test accuracy")[2]
    assert cli.main(["resume", "run"]) == 0
    for name in FILES - {"learning_curve.png", "confusion_matrix.png"}:
        assert (here / "run" / name).read_bytes() == before[name]
    assert capsys.readouterr().out.partition("test accuracy")[2] == table


def test_a_finished_run_goes_on_when_its_config_asks_for_more_steps(here):
    assert cli.main(["train", "tiny.toml", "--out", "run"]) == 0
    (here / "run" / "config.toml").write_text(XOR.replace("steps = 6", "steps = 8"))
    assert cli.main(["resume", "run"]) == 0
    assert _folder.read_summary(here / "run")["steps"] == 8
    config, whole = begin(XOR.replace("steps = 6", "steps = 8"), here / "whole")
    list(_run.go_on(config, whole))
    saved = [(here / name / "state.npz").read_bytes() for name in ("run", "whole")]
    assert saved[0] == saved[1]


def test_show_tells_of_a_run_in_the_middle(here, capsys):
    config, folder = begin(XOR, here / "run")
    run = _run.go_on(config, folder)
    next(run), next(run)
    run.close()
    assert cli.main(["show", "run"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"step 1 of 6: loss \S+  acc", printed)
    assert "qiskit-qep resume run" in printed
    assert (folder / "learning_curve.png").exists()
    assert not (folder / "confusion_matrix.png").exists()


def test_show_repeats_the_table_of_a_finished_run(here, capsys):
    assert cli.main(["train", "tiny.toml", "--out", "run"]) == 0
    table = capsys.readouterr().out.partition("test accuracy")[2]
    (here / "run" / "learning_curve.png").unlink()
    assert cli.main(["show", "run"]) == 0
    assert capsys.readouterr().out.partition("test accuracy")[2] == table
    assert (here / "run" / "learning_curve.png").exists()


def test_without_matplotlib_a_run_ends_with_a_hint(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert cli.main(["train", "tiny.toml", "--out", "run"]) == 0
    assert 'for plots: pip install "qiskit-qep[plot]"' in capsys.readouterr().out


def test_a_warning_is_one_line(here, capsys):
    (here / "tiny.toml").write_text(XOR + '[nudge]\nkind = "centered"\nbeta = 9\n')
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert cli.main(["train", "tiny.toml", "--out", "run"]) == 0
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "exceeds" in x]
    assert re.match(r"warning: step 0: nudge .* exceeds the gap .*; lower beta", line)


def test_the_first_ctrl_c_asks_and_the_second_insists(capfd):
    before = signal.getsignal(signal.SIGINT)
    with _process.ctrl_c() as stop:
        assert not stop.is_set()
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert "stopping after this step" in capfd.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_saves_and_says_how_to_go_on(here):
    text = BATCHES.replace("steps = 6", "steps = 1000000")
    (here / "long.toml").write_text(text)
    command = [sys.executable, "-m", "qiskit_qep.cli", "train", "long.toml"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*command, "--out", "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stderr.readline().startswith("step 0/1000000")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "qiskit-qep resume run" in out
    state = qep.State.load(here / "run" / "state.npz")
    assert _folder.read_metrics(here / "run")[-1].step == state.step
    again = here / "again"
    config, _ = begin(text.replace("1000000", str(state.step + 1)), again)
    list(_run.go_on(config, again))
    (here / "run" / "config.toml").write_text(config.text)
    list(_run.go_on(config, here / "run"))
    saved = [(here / name / "state.npz").read_bytes() for name in ("run", "again")]
    assert saved[0] == saved[1]


def test_a_second_ctrl_c_is_exit_code_130(here, capsys, monkeypatch):
    def abort(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_run, "go_on", abort)
    assert cli.main(["train", "tiny.toml", "--out", "run"]) == 130
    assert "stopped at once" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["train", "--help"]])
def test_help_and_version_are_printed(argv, capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main(argv)
    assert "qiskit-qep" in capsys.readouterr().out


def test_classes_of_every_kind_of_target():
    assert _score.classes(np.array([2, 0])).tolist() == [2, 0]
    assert _score.classes(np.array([[-0.1], [0.3]])).tolist() == [0, 1]
    assert _score.classes(np.array([[0.1, 0.3], [0.2, -1]])).tolist() == [1, 0]


def test_a_score_is_what_the_gradient_measures_too():
    config = _config.parse(BATCHES, "x.toml")
    theta = config.model.initial(np.random.default_rng(7))
    x, y = config.x_test, config.y_test
    shots = _score.score(config, theta, x, y, 0)
    exact = qep.gradient(config.model, theta, x, y)
    assert abs(shots.loss - exact.loss) < 5 * shots.loss_std
    assert shots.loss_std == pytest.approx(
        qep.gradient(
            config.model, theta, x, y, equilibrium=config.equilibrium, seed=1
        ).loss_std,
        rel=0.3,
    )
    other = _score.score(config, theta, x, y, 1)
    assert shots.loss != other.loss  # fresh shots at every step


def test_a_model_without_couplings_has_no_uncoupled_twin():
    text = XOR.replace("num_spins = 3", "num_spins = 3\nedges = []")
    assert _score.uncoupled(_config.parse(text, "x.toml")) is None


def test_without_scikit_learn_there_is_no_logistic_regression(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    assert _score.logistic_regression(_config.parse(XOR, "x.toml")) is None


def test_a_folder_that_is_taken_in_the_meantime_is_not_used(here, monkeypatch):
    config = _config.parse(XOR, "x.toml")
    make = Path.mkdir

    def race(path, *args, **how):
        if path.name == "x-1" and not path.exists():
            make(path)
        make(path, *args, **how)

    monkeypatch.setattr(Path, "mkdir", race)
    assert _folder.create(config).name == "x-2"


@pytest.mark.slow
def test_the_digits_reach_95_per_cent(here):
    assert cli.main(["train", "--out", "run"]) == 0
    found = _folder.read_summary(here / "run")
    assert found["test_accuracy"] >= 0.95
    assert found["seconds"] < 90
    assert found["num_test"] == 539
