"""Runs on a device from the shell: the runtime's own classes, but for the network."""

import gc
import re
from collections import Counter

import numpy as np
import pytest
from qiskit_ibm_runtime.api.exceptions import RequestsApiError

import qiskit_qep as qep
from qiskit_qep import _backends, _folder, cli
from qiskit_qep._keys import ConfigError
from qiskit_qep.runtime import resumable
from qiskit_qep.runtime.journal import Journal
from saved_account import saved_account

CONFIG = """\
steps = 2
backend = "ibm_fez"
[data]
kind = "xor"
test = 0.5
[model]
kind = "transverse_field_ising"
num_spins = 2
inputs = [0, 1]
readout = [1]
[equilibrium]
kind = "prepared"
shots = 50
preparation = { kind = "ramp", time = 1, steps = 1 }
"""
JOBS = 2 * 3 + 3 + 1  # of steps, of looks at the test samples, of the training samples


@pytest.fixture
def client(tmp_path, monkeypatch):
    """An account on this machine; the device's bits depend on the job's number."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resumable, "SETTLING", 0.0)  # the stand-in lists a job at once
    monkeypatch.setattr(cli._report, "draw", lambda *_: "drawn")
    monkeypatch.setattr(cli, "logistic_regression", lambda _: None)
    (tmp_path / "x.toml").write_text(CONFIG)
    with saved_account(tmp_path, "none" * 11) as client:
        yield client
    gc.collect()


def command(*argv):
    gc.collect()  # as if the process before had ended: its journal is closed
    return cli.main(list(argv))


def test_a_plan_is_what_a_run_submits(client, capsys):
    assert command("plan", "x.toml") == 0
    printed = capsys.readouterr().out
    assert "Plan for ibm_fez" in printed
    assert f"in all: {JOBS} jobs and likely" in printed
    circuits, shots = map(int, re.search(r"(\d+) circuits and (\d+)", printed).groups())
    steps = int(re.search(r"circuits +(\d+) ", printed)[1])
    assert client.jobs == {}
    assert command("train", "x.toml", "--max-jobs", str(JOBS), "--out", "run") == 0
    assert "Plan for ibm_fez" in capsys.readouterr().out
    assert len(client.jobs) == JOBS
    entries = _folder.read_jobs(_folder.Path("run"))
    assert sum(entry.shots for entry in entries) == 50 * (steps + circuits)
    assert shots == 50 * circuits


@pytest.mark.parametrize("limits", [[], ["--max-qpu-seconds", "nan"]])
def test_without_a_budget_or_a_yes_nothing_begins(client, capsys, limits, tmp_path):
    assert command("train", "x.toml", *limits) == 2
    error = capsys.readouterr().err
    assert re.search(
        "costs QPU time: set --max-qpu-s|max_qpu_seconds should be a finite", error
    )
    assert client.jobs == {}
    assert not (tmp_path / "runs").exists()


def test_time_alone_is_a_budget(client, capsys):
    train = "train", "x.toml", "--steps", "1", "--max-wall-time"
    assert command(*train, "0", "--out", "none") == 2
    assert "max_wall_time is 0" in capsys.readouterr().err
    assert client.jobs == {}
    assert command(*train, "1000", "--out", "run") == 0
    assert len(client.jobs) == 7


def test_a_yes_begins_and_is_asked_for_again(client, capsys):
    assert command("train", "x.toml", "--yes", "--out", "run", "--steps", "1") == 0
    assert command("resume", "run") == 2
    assert "ibm_fez costs QPU time" in capsys.readouterr().err
    before = len(client.jobs)
    assert command("resume", "run", "--yes") == 0
    assert len(client.jobs) == before == 7


def test_a_budget_stops_saves_and_is_raised(client, capsys, tmp_path):
    assert command("train", "x.toml", "--max-jobs", "4", "--out", "run") == 2
    printed = capsys.readouterr()
    assert "max_jobs is 4, 4 spent, and the next job needs 1 more" in printed.err
    assert printed.out.endswith("saved; go on with: qiskit-qep resume run\n")
    assert len(client.jobs) == 4
    assert command("resume", "run") == 2
    assert len(client.jobs) == 4
    assert command("resume", "run", "--max-jobs", str(JOBS)) == 0
    assert len(client.jobs) == JOBS
    assert f"max_jobs = {JOBS}" in (tmp_path / "run" / "config.toml").read_text()
    capsys.readouterr()
    assert command("jobs", "run") == 0
    *rows, total = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[:3] for row in rows] == [
        [str(k), f"job-{k}", "done"] for k in range(JOBS)
    ]
    tags = [job["job_tags"][0] for job in client.jobs.values()]
    assert [row.split()[3] for row in rows] == tags
    assert total.startswith(f"{JOBS} jobs on ibm_fez, ")


class Died(BaseException):
    """Stands for a kill: nothing catches it."""


def test_a_killed_run_ends_as_the_uninterrupted_one(client, tmp_path, monkeypatch):
    how = ["train", "x.toml", "--max-jobs", str(JOBS)]
    assert command(*how, "--out", "whole") == 0
    whole = (tmp_path / "whole" / "state.npz").read_bytes()
    append = Journal._append
    for kind, number in (("intent", 0), ("submitted", 4), ("received", JOBS - 1)):
        client.jobs.clear()
        seen = Counter()

        def mortal(journal, what, *, kind=kind, number=number, seen=seen, **rest):
            append(journal, what, **rest)
            seen[what] += 1
            if what == kind and seen[what] == number + 1:
                raise Died

        with monkeypatch.context() as patched:
            patched.setattr(Journal, "_append", mortal)
            with pytest.raises(Died, match=r"^$"):
                command(*how, "--out", kind)
        assert command("resume", kind) == 0
        assert len(client.jobs) == JOBS
        assert len({job["job_tags"][0] for job in client.jobs.values()}) == JOBS
        assert (tmp_path / kind / "state.npz").read_bytes() == whole
    values = qep.State.load("whole/state.npz").gradient.values
    assert np.abs(values).max() > 0.01


def test_a_service_that_refuses_is_named_and_leaves_nothing(
    client, capsys, tmp_path, monkeypatch
):
    def refuse(**_):
        raise RequestsApiError("401 Client Error: Unauthorized", status_code=401)

    with monkeypatch.context() as patched:
        patched.setattr(client, "program_run", refuse)
        assert command("train", "x.toml", "--yes", "--out", "run") == 2
    assert "ibm_fez refused the job: " in (error := capsys.readouterr().err)
    assert "(authentication); renew the saved account" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_device_is_tested_at_a_price_that_is_said_first(client, capsys, tmp_path):
    how = ["selftest", "--backend", "ibm_fez", "--shots", "500"]
    assert command(*how) == 2
    printed = capsys.readouterr()
    said = r"8 jobs of (\d+) circuits and (\d+) shots, about [\d.]+ s of QPU"
    circuits, shots = map(int, re.search(said, printed.out).groups())
    assert shots == 500 * (circuits - 128) + 100 * 128  # 64 rows, twice
    assert "ibm_fez costs QPU time: give --yes" in printed.err
    assert client.jobs == {}
    assert command(*how, "--yes") == 0
    assert len(client.jobs) == 8
    assert "all 6 checks passed" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_test_that_was_interrupted_goes_on(client, capsys, tmp_path, monkeypatch):
    append = Journal._append

    def mortal(journal, what, **rest):
        append(journal, what, **rest)
        if what == "submitted" and len(journal.entries) == 3:
            raise Died

    how = ["selftest", "--backend", "ibm_fez", "--shots", "500", "--yes"]
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "_append", mortal)
        with pytest.raises(Died, match=r"^$"):
            command(*how)
    assert (tmp_path / "selftest-ibm_fez.jobs.jsonl").exists()
    assert command(*how) == 0
    assert len(client.jobs) == 8


def test_a_backend_that_is_not_there_is_refused(client, capsys):
    assert command("train", "x.toml", "--backend", "ibm_foo", "--yes") == 2
    error = capsys.readouterr().err
    assert "no backend 'ibm_foo' by the saved IBM account: QiskitBackendNotF" in error
    assert command("plan", "x.toml", "--account", "nobody") == 2
    error = capsys.readouterr().err
    assert "by the account saved as 'nobody': AccountNotFoundError; save one" in error


def test_a_chain_is_laid_on_a_chain(client):
    chain = qep.models.transverse_field_ising(4, edges="chain", readout=[0])
    device = _backends.connect("ibm_fez", chain.operators, seed=1 << 70).sampler
    assert device.qubits == qep.best_qubits(device.backend, 4, shape="chain")
    ring = qep.models.transverse_field_ising(4, edges="ring", readout=[0])
    assert _backends.connect("ibm_fez", ring.operators).sampler.qubits is None


OPERATORS = qep.models.transverse_field_ising(2, readout=[0]).operators


@pytest.mark.parametrize("name", ["exact", "aer", "fake:torino"])
def test_simulators_repeat_a_seed_and_nothing_else(name):
    made = _backends.connect(name, OPERATORS)
    assert made.service is None
    assert not _backends.is_device(name)

    def values(seed):
        settle = qep.Prepared(qep.Ramp(1, 1), made.sampler, shots=500)
        rows = np.full((1, len(OPERATORS)), 0.5)
        return settle(OPERATORS, rows, rng=[np.random.default_rng(seed)]).values

    assert np.array_equal(values(1), values(1))
    assert not np.array_equal(values(1), values(2))


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("fake:torin", "no fake backend 'torin' \\(did you mean 'torino'"),
        ("fake:armonk", "fake_armonk has no 2 connected qubits"),
        ("", "backend should be a name of at most 32"),
        ("a b", "what it is now is not shown"),
    ],
)
def test_names_that_are_none_are_refused(name, match):
    with pytest.raises(ConfigError, match=match):
        _backends.connect(name, OPERATORS)


def test_without_the_runtime_the_remedy_is_named(monkeypatch):
    for module in ("qiskit_ibm_runtime", "qiskit_ibm_runtime.fake_provider"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    for name in ("fake:torino", "ibm_fez"):
        with pytest.raises(ConfigError, match=r'pip install "qiskit-qep\[ibm\]"'):
            _backends.connect(name, OPERATORS)


def test_a_simulated_run_needs_no_journal(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.toml").write_text(CONFIG)
    how = ["--backend", "aer", "--max-jobs", "1"]  # of a device only
    assert command("train", "x.toml", *how, "--out", "whole") == 0
    assert command("train", "x.toml", *how, "--out", "parts", "--steps", "1") == 0
    _folder.change(tmp_path / "parts", {"steps": 2})
    assert command("resume", "parts") == 0
    whole, parts = (tmp_path / run / "state.npz" for run in ("whole", "parts"))
    assert whole.read_bytes() == parts.read_bytes()
    capsys.readouterr()
    assert command("jobs", "parts") == 0
    assert "parts has no jobs: its backend is this machine" in capsys.readouterr().out
    assert not (tmp_path / "parts" / "jobs.jsonl").exists()


def test_exact_is_the_ground_state(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.toml").write_text(CONFIG)
    assert command("plan", "x.toml", "--backend", "exact") == 0
    printed = capsys.readouterr().out
    assert "Exact(level=0" in printed
    assert "no jobs: Exact computes in this process" in printed
