"""The runtime's own service and jobs, crashed: fetched by name, found by tag."""

import gc

import numpy as np
import pytest
from qiskit_ibm_runtime import Batch, Session
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.executor_sampler import SamplerV2

import qiskit_qep as qep
from qiskit_qep.runtime import resumable
from qiskit_qep.runtime.journal import Journal
from qiskit_qep.testing.offline import NAME, OfflineClient, offline_service

MODEL = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
THETA, X, Y = np.full(5, 0.7), [[0.5]], [[1.0]]


class Died(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(resumable, "SETTLING", 0.0)  # the stand-in lists a job at once
    client = OfflineClient()
    return offline_service(client), client


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.jobs.jsonl"


def alone(backend):
    return backend


def measure(runtime, path, tags=(), mode=alone, **limits):
    """Run the same script: a gradient, of two jobs."""
    gc.collect()  # as if the process before had ended
    backend = runtime.backend(NAME)
    inner = SamplerV2(mode=mode(backend))
    inner.options.environment.job_tags = list(tags)
    device = qep.Transpiled(inner, backend, seed=1)
    limits = limits or {"max_jobs": 9}
    sampler = qep.Resumable(device, journal=path, service=runtime, **limits)
    settle = qep.Prepared(qep.Ramp(time=1, steps=1), sampler, shots=50)
    found = qep.gradient(MODEL, THETA, X, Y, equilibrium=settle, seed=3)
    assert inner.options.environment.job_tags == list(tags)
    assert inner.options.max_execution_time is None
    return found.values


def die_after(monkeypatch, kind):
    """Die when the first line of a kind is on disk."""
    append = Journal._append

    def mortal(journal, what, **rest):
        append(journal, what, **rest)
        if what == kind:
            raise Died("killed")

    monkeypatch.setattr(Journal, "_append", mortal)
    return lambda: monkeypatch.setattr(Journal, "_append", append)


def test_a_rerun_asks_the_service_for_nothing(service, path):
    runtime, client = service
    first = measure(runtime, path)
    assert np.abs(first).max() > 0.01
    assert len(client.jobs) == 2
    client.job_results = None  # whoever reads again fails
    np.testing.assert_array_equal(measure(runtime, path), first)
    assert len(client.jobs) == 2


def test_a_recorded_job_is_fetched_by_its_name(service, path, monkeypatch):
    runtime, client = service
    heal = die_after(monkeypatch, "submitted")
    with pytest.raises(Died, match="killed"):
        measure(runtime, path)
    heal()
    read, names = client.job_results, []
    monkeypatch.setattr(
        client, "job_results", lambda job_id: names.append(job_id) or read(job_id)
    )
    measure(runtime, path)
    assert names == list(client.jobs) == ["job-0", "job-1"]


def test_a_job_that_was_not_recorded_is_found_by_its_tag(service, path, monkeypatch):
    runtime, client = service
    take = client.program_run

    def lose(**request):
        take(**request)
        raise RequestsApiError("504 Server Error: gateway timeout", status_code=504)

    monkeypatch.setattr(client, "program_run", lose)
    with pytest.raises(Exception, match="504 Server Error"):
        measure(runtime, path, tags=["mine"])
    monkeypatch.setattr(client, "program_run", take)
    assert len(client.jobs) == 1
    measure(runtime, path, tags=["mine"])
    assert len(client.jobs) == 2
    tags = [job["job_tags"] for job in client.jobs.values()]
    (run,) = {tag.split("-")[1] for _, tag in tags}
    assert tags == [["mine", f"qep-{run}-0"], ["mine", f"qep-{run}-1"]]


def test_a_job_that_never_arrived_is_submitted(service, path, monkeypatch):
    runtime, client = service
    heal = die_after(monkeypatch, "intent")
    with pytest.raises(Died, match="killed"):
        measure(runtime, path)
    assert client.jobs == {}
    heal()
    measure(runtime, path)
    assert len(client.jobs) == 2


def test_a_refusal_is_named_and_a_rerun_goes_on(service, path, monkeypatch):
    runtime, client = service
    take = client.program_run

    def refuse(**request):
        raise RequestsApiError("401 Client Error: Unauthorized", status_code=401)

    monkeypatch.setattr(client, "program_run", refuse)
    with pytest.raises(qep.ServiceError, match=r"ibm_fez refused .*\(authentication\)"):
        measure(runtime, path)
    monkeypatch.setattr(client, "program_run", take)
    measure(runtime, path)
    assert len(client.jobs) == 2


def test_reads_are_tried_again_and_submits_are_not(service, path, monkeypatch):
    runtime, client = service
    read, failures, slept = client.job_results, [3], []
    monkeypatch.setattr("time.sleep", slept.append)

    def flaky(job_id):
        failures[0] -= 1
        if failures[0] >= 0:
            raise RequestsApiError("503 Server Error", status_code=503)
        return read(job_id)

    monkeypatch.setattr(client, "job_results", flaky)
    measure(runtime, path)
    assert len(client.jobs) == 2
    assert len(slept) >= 3


def test_a_charge_that_is_not_final_is_no_charge(service, path):
    """The runtime says 0 s until it knows: then the estimate is what counts."""
    runtime, _ = service
    measure(runtime, path)
    gc.collect()
    assert [entry.seconds for entry in Journal.open(path).entries] == [None, None]


def test_the_journal_knows_what_was_charged(service, path, monkeypatch):
    runtime, client = service
    usage = {"qpu_charge_time_seconds": 3, "status": "final"}
    charged = {"usage": usage, "timestamps": {}}
    monkeypatch.setattr(client, "job_metadata", lambda job_id: charged)
    with pytest.raises(qep.BudgetError, match=r"max_qpu_seconds is 5, 3 spent"):
        measure(runtime, path, max_qpu_seconds=5, max_jobs=5)
    assert len(client.jobs) == 1
    gc.collect()
    (entry,) = Journal.open(path).entries
    assert entry.seconds == 3.0
    assert 2.0 < entry.estimate < 2.2
    assert entry.backend == NAME
    assert ("none" * 11) not in path.read_text()


def test_hardware_needs_a_limit_or_a_word(service, path):
    runtime, client = service
    with pytest.raises(qep.BudgetError, match=r"ibm_fez is hardware.* 2\.\d+ s of it"):
        measure(runtime, path, accept=())
    assert client.jobs == {}
    measure(runtime, path, accept=("cost",))
    assert len(client.jobs) == 2


def test_without_a_journal_the_user_is_warned(service):
    runtime, client = service
    backend = runtime.backend(NAME)
    device = qep.Transpiled(SamplerV2(mode=backend), backend, seed=1)
    shots = qep.Prepared(qep.Ramp(time=1, steps=1), device, shots=50)
    qep.plan(MODEL, X, equilibrium=shots)
    with pytest.warns(
        UserWarning, match="jobs on ibm_fez would be neither limited nor"
    ):
        qep.predict(MODEL, THETA, X, equilibrium=shots)
    assert len(client.jobs) == 1


def test_the_service_is_told_what_is_left_of_the_budget(service, path):
    runtime, client = service
    client.charges = True
    measure(runtime, path, max_qpu_seconds=100)
    limits = [job["max_execution_time"] for job in client.jobs.values()]
    assert limits == [100, 98]  # after a job of 2.03 s


@pytest.mark.parametrize("mode", [Batch, Session])
def test_the_users_mode_is_kept(service, path, mode):
    runtime, client = service
    measure(runtime, path, mode=lambda backend: mode(backend=backend))
    assert [job["session_id"] for job in client.jobs.values()] == ["session-0"] * 2
    (session,) = client.sessions.values()
    assert session["mode"] == {Batch: "batch", Session: "dedicated"}[mode]


def test_the_rest_goes_on_when_a_session_is_closed(service, path, monkeypatch):
    runtime, client = service
    take = client.program_run

    def close(**request):
        answer = take(**request)
        client.close_session("session-0")
        return answer

    monkeypatch.setattr(client, "program_run", close)
    with pytest.warns(UserWarning, match="session on ibm_fez is closed; the rest of"):
        first = measure(runtime, path, mode=lambda backend: Session(backend=backend))
    assert [job["session_id"] for job in client.jobs.values()] == ["session-0", None]
    np.testing.assert_array_equal(measure(runtime, path), first)
    closed = [entry.closed for entry in Journal.open(path).entries]
    assert closed == ["", "refused: session", ""]


@pytest.mark.slow
def test_a_plan_is_what_the_service_charges(service, path):
    runtime, client = service
    client.charges = True
    backend = runtime.backend(NAME)
    qubits = qep.best_qubits(backend, 6)
    edges = backend.coupling_map.reduce(qubits)
    model = qep.models.transverse_field_ising(
        6, edges=edges, inputs=[0, 1], readout=[5]
    )
    device = qep.Transpiled(SamplerV2(mode=backend), backend, seed=1, qubits=qubits)
    sampler = qep.Resumable(
        device, journal=path, service=runtime, max_qpu_seconds=200, max_jobs=42
    )
    settle = qep.Prepared(qep.Ramp(time=2, steps=4), sampler, shots=100)
    x, y = qep.datasets.xor()
    plan = qep.plan(model, x, equilibrium=settle, steps=20)
    qep.train(model, x, y, equilibrium=settle, steps=20, seed=1, progress=False)
    charged = sum(map(client.price, client.jobs))
    assert len(client.jobs) == plan.jobs == 42
    assert plan.seconds[0] < charged < plan.seconds[2]
    assert abs(plan.seconds[1] - charged) < 0.01 * charged
    shots = plan.seconds[1] - 42 * 2.0  # what is not overhead is right, too
    assert abs(shots - (charged - 42 * 2.0)) < 0.02 * shots
    known = Journal.open(path).entries
    assert np.isclose(sum(entry.seconds for entry in known), charged)
