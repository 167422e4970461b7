"""Runs that survive: killed anywhere, they go on bit for bit and pay once."""

import copy
import gc
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.primitives import StatevectorSampler
from qiskit_aer.primitives import SamplerV2

import qiskit_qep as qep
from qiskit_qep.runtime import faults
from qiskit_qep.runtime.faults import classify, within
from qiskit_qep.runtime.journal import Journal, _line
from qiskit_qep.testing import FAULTS, Chaos, RefusalError

MODEL = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
X, Y = np.array([[0.5], [-1.0]]), np.array([[1.0], [-1.0]])
STEPS = 2
JOBS = 2 * (STEPS + 1)  # free and nudged phases
LINES = 1 + 3 * JOBS


class Died(BaseException):
    """Stands for a kill: nothing catches it."""


def simulator(seed):
    return StatevectorSampler(seed=np.random.default_rng(seed))


def train(sampler, **how):
    settle = qep.Prepared(qep.Ramp(time=1, steps=1), sampler, shots=20)
    how = {"seed": 3, "steps": STEPS, "progress": False} | how
    return qep.train(MODEL, X, Y, equilibrium=settle, **how)


@pytest.fixture(scope="module")
def expected():
    """What the uninterrupted training gives, without any journal."""
    theta = train(simulator).theta
    assert np.abs(theta).max() > 0.01
    assert not np.array_equal(theta, train(simulator, seed=4).theta)
    return theta


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.jobs.jsonl"


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Waiting takes no time, and every test sees how much it would have been."""
    begun, slept = time.time(), [0.0]
    monkeypatch.setattr(time, "sleep", lambda s: slept.append(slept.pop() + s))
    monkeypatch.setattr(time, "time", lambda: begun + slept[0])
    return slept


@pytest.fixture(scope="module", autouse=True)
def quick_collection():
    """Let ``forget`` look at what the tests made alone: 1 ms instead of 100."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def forget():
    """As if the process had ended: its jobs are gone, and its lock."""
    gc.collect()


def cloud(path, chaos, **how):
    return qep.Resumable(chaos, journal=path, service=chaos, **how)


# -- resume ---------------------------------------------------------------------------


def test_a_rerun_replays_and_submits_nothing(path, expected):
    chaos = Chaos(simulator)
    np.testing.assert_array_equal(train(cloud(path, chaos)).theta, expected)
    assert chaos.attempts == JOBS
    kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
    assert kinds == ["opened"] + ["intent", "submitted", "received"] * JOBS
    forget()
    np.testing.assert_array_equal(train(cloud(path, chaos)).theta, expected)
    assert chaos.attempts == JOBS
    train(cloud(path, chaos), steps=STEPS + 1)
    assert chaos.attempts == JOBS + 2


def test_a_run_goes_on_from_a_state_with_the_same_records(path, expected, tmp_path):
    chaos = Chaos(simulator)
    train(cloud(path, chaos))
    forget()
    train(simulator, steps=1).save(tmp_path / "one.npz")
    state = qep.State.load(tmp_path / "one.npz")
    again = train(cloud(path, chaos), state=state, steps=1, seed=None)
    np.testing.assert_array_equal(again.theta, expected)
    assert chaos.attempts == JOBS


def die(monkeypatch, at, when):
    """Die at one write of the journal: before it, halfway, or when it is done."""
    write, left = Journal._write, [at]

    def mortal(journal, line):
        left[0] -= 1
        if left[0] == -1:
            if when != "before":
                write(journal, line if when == "after" else line[: len(line) // 2])
            raise Died("killed")
        write(journal, line)

    monkeypatch.setattr(Journal, "_write", mortal)
    return lambda: monkeypatch.setattr(Journal, "_write", write)


@pytest.mark.parametrize("when", ["before", "halfway", "after"])
@pytest.mark.parametrize("at", range(LINES))
def test_a_fault_at_any_write_changes_nothing(path, expected, monkeypatch, at, when):
    chaos = Chaos(simulator)
    heal = die(monkeypatch, at, when)
    with pytest.raises(Died, match="killed"):
        train(cloud(path, chaos))
    heal()
    forget()
    np.testing.assert_array_equal(train(cloud(path, chaos)).theta, expected)
    assert len(chaos.taken) == chaos.attempts == JOBS
    aside = path.with_name(f"{path.name}.damaged")
    assert aside.exists() == (when == "halfway")


@pytest.mark.parametrize("at", range(0, LINES, 2))
def test_a_lost_simulation_is_repeated(path, expected, monkeypatch, at):
    def run():
        return train(qep.Resumable(simulator, journal=path)).theta

    heal = die(monkeypatch, at, "after")
    with pytest.raises(Died, match="killed"):
        run()
    heal()
    forget()
    np.testing.assert_array_equal(run(), expected)


@pytest.mark.parametrize("boundary", ["run", "result"])
@pytest.mark.parametrize("at", range(JOBS))
def test_a_fault_around_any_call_changes_nothing(
    path, expected, monkeypatch, at, boundary
):
    chaos = Chaos(simulator)
    owner = Chaos if boundary == "run" else qep.testing.ChaosJob
    call, left = getattr(owner, boundary), [at]

    def mortal(*args, **kwargs):
        answer = call(*args, **kwargs)
        left[0] -= 1
        if left[0] == -1:
            raise Died("killed")
        return answer

    monkeypatch.setattr(owner, boundary, mortal)
    with pytest.raises(Died, match="killed"):
        train(cloud(path, chaos))
    forget()
    np.testing.assert_array_equal(train(cloud(path, chaos)).theta, expected)
    assert len(chaos.taken) == chaos.attempts == JOBS


def aer(seed):
    return SamplerV2(seed=seed)


def test_seeded_aer_goes_on_bit_for_bit(path, monkeypatch):
    wanted = train(aer).theta
    heal = die(monkeypatch, 8, "after")
    with pytest.raises(Died, match="killed"):
        train(qep.Resumable(aer, journal=path))
    heal()
    forget()
    again = train(qep.Resumable(aer, journal=path)).theta
    np.testing.assert_array_equal(again, wanted)


def test_a_sampler_without_a_seed_is_replayed_by_the_seed_of_the_run(path):
    chaos = Chaos(StatevectorSampler())  # as a device: no two runs are alike
    first = train(cloud(path, chaos)).theta
    forget()
    np.testing.assert_array_equal(train(cloud(path, chaos)).theta, first)
    assert chaos.attempts == JOBS
    assert not np.array_equal(train(cloud(path, chaos), seed=8).theta, first)


def test_asked_again_in_the_same_process_it_pays_once(path, expected):
    chaos = Chaos(simulator)
    sampler = cloud(path, chaos)  # as in a notebook whose cell is run twice
    for _ in range(2):
        np.testing.assert_array_equal(train(sampler).theta, expected)
    assert chaos.attempts == JOBS


def test_threads_share_a_journal(path):
    chaos, answers = Chaos(simulator), []
    x, y = np.linspace(-1, 1, 6)[:, None], np.ones((6, 1))
    for _ in range(2):
        with ThreadPoolExecutor(3) as executor:
            inner = qep.Prepared(qep.Ramp(1, 1), cloud(path, chaos), shots=20)
            settle = qep.Parallel(inner, executor)
            how = {"equilibrium": settle, "seed": 1}
            answers.append(qep.gradient(MODEL, np.ones(5), x, y, **how).values)
    np.testing.assert_array_equal(*answers)
    assert len({e.fingerprint for e in Journal.open(path).entries}) == chaos.attempts


def mortal(monkeypatch, draw):
    """Die again and again: at writes, around submits and around reads.

    Returns:
        What gives the next life: until so many events from now.
    """
    left = [0]

    def dies():
        left[0] -= 1
        return left[0] == 0

    write = Journal._write

    def writing(journal, line):
        when = draw.choice(["before", "halfway", "after"]) if dies() else None
        if when != "before":
            write(journal, line[: len(line) // 2] if when == "halfway" else line)
        if when:
            raise Died(f"{when} a write")

    monkeypatch.setattr(Journal, "_write", writing)
    for owner, name in ((Chaos, "run"), (qep.testing.ChaosJob, "result")):

        def around(*args, call=getattr(owner, name), **kwargs):
            if dies():
                if draw.random() < 0.5:
                    call(*args, **kwargs)
                raise Died("around a call")
            return call(*args, **kwargs)

        monkeypatch.setattr(owner, name, around)

    def live(events):
        left[0] = events

    return live


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_fifty_deaths_change_nothing(path, expected, monkeypatch, seed):
    """Ten times fifty faults at random instants; a training survives about twenty."""
    draw, deaths, trainings = random.Random(seed), 0, 0
    live = mortal(monkeypatch, draw)
    while deaths < 50:
        chaos = Chaos(simulator)
        trainings += 1
        while True:
            live(draw.randrange(1, 5))
            try:
                theta = train(cloud(path, chaos)).theta
                break
            except Died:
                deaths += 1
                forget()
        np.testing.assert_array_equal(theta, expected)
        assert len(chaos.taken) == chaos.attempts == JOBS
        forget()
        path.unlink()
    assert trainings < 10


PROGRAM = """
import sys, numpy as np
from test_resumable import train, simulator
from cloud import Cloud
import qiskit_qep as qep
from qiskit_qep.runtime import resumable
resumable.SETTLING = 0.0  # this service lists a job at once
folder, journal = sys.argv[1:]
cloud = Cloud(folder, simulator)
theta = train(qep.Resumable(cloud, journal=journal, service=cloud)).theta
print(theta.tobytes().hex())
"""


@pytest.mark.slow
def test_killed_processes_go_on_where_they_were(path, expected, tmp_path):
    draw, kills = random.Random(5), 0
    folder, room = tmp_path / "cloud", Path(__file__).parent
    folder.mkdir()
    environment = os.environ | {"PYTHONPATH": f"{room.parent}{os.pathsep}{room}"}
    command = [sys.executable, "-c", PROGRAM, str(folder), str(path)]
    for _ in range(25):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        )
        lines = draw.randrange(1, 4)
        goal = lines + (len(path.read_bytes().splitlines()) if path.exists() else 0)
        while process.poll() is None and kills < 10:
            written = path.exists() and len(path.read_bytes().splitlines())
            if written and written >= goal:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
        said, _ = process.communicate()
        if process.returncode == 0:
            break
    assert kills == 10
    assert said.strip() == expected.tobytes().hex()
    assert len(list(folder.glob("*.json"))) == JOBS


def test_requests_that_are_alike_have_answers_of_their_own(path):
    circuit = QuantumCircuit(8)
    circuit.h(range(8))
    circuit.measure_all()
    chaos = Chaos(StatevectorSampler())

    def twice():
        sampler = cloud(path, chaos)
        jobs = [sampler.run([circuit], shots=50) for _ in range(2)]
        return [job.result()[0].data.meas.array for job in jobs]

    first = twice()
    assert not np.array_equal(*first)
    forget()
    np.testing.assert_array_equal(twice(), first)
    assert chaos.attempts == 2


def test_a_repeated_simulation_keeps_its_place_among_its_like(path):
    circuit = QuantumCircuit(8)
    circuit.h(range(8))
    circuit.measure_all()

    def both(order):
        sampler = qep.Resumable(StatevectorSampler(), journal=path)
        jobs = [sampler.run([circuit], shots=50) for _ in range(2)]
        return {k: jobs[k].result()[0].data.meas.array for k in order}

    second = both([1])[1]  # the first is never read
    Journal.open(path).live.clear()
    forget()
    found = both([0, 1])
    np.testing.assert_array_equal(found[1], second)
    assert not np.array_equal(found[0], second)


# -- the journal ----------------------------------------------------------------------


def test_two_processes_cannot_share_a_journal(path):
    sampler = cloud(path, Chaos(simulator))
    code = f"import qiskit_qep as q; q.Resumable(lambda s: s, journal={str(path)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "is in use by another process; wait for it" in done.stderr
    assert sampler.journal == path


def test_damage_is_survived_at_the_end_only(path, expected):
    chaos = Chaos(simulator)
    train(cloud(path, chaos))
    forget()
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    np.testing.assert_array_equal(train(cloud(path, chaos)).theta, expected)
    assert chaos.attempts == JOBS
    aside = path.with_name(f"{path.name}.damaged").read_bytes()
    assert whole.endswith(aside[:-1] + whole[-30:])
    forget()
    lines = path.read_bytes().split(b"\n")
    lines[4] = lines[4].replace(b"1", b"2", 1)
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(qep.JournalError, match=r"line 5 of .* is damaged, and others"):
        cloud(path, chaos)


@pytest.mark.parametrize("text", ["my notes", "my\nnotes\n", '{"a": 1}', "[" * 99_999])
def test_another_file_is_left_alone(path, text):
    path.write_text(text)
    with pytest.raises(qep.JournalError, match=r"is no journal|is damaged, and others"):
        cloud(path, Chaos(simulator))
    assert path.read_text() == text


def test_another_backend_or_circuit_is_refused(path):
    train(cloud(path, Chaos(simulator)))
    forget()
    other = Chaos(simulator, name="other")
    with pytest.raises(qep.JournalError, match="is of backend chaos, this request of"):
        train(cloud(path, other), steps=STEPS + 1)
    train(cloud(path, other, accept=("backend",)), steps=STEPS + 1)
    forget()
    longer = qep.Prepared(qep.Ramp(time=1, steps=2), cloud(path, other), shots=20)
    with pytest.raises(qep.JournalError, match=r"is of circuit .*accept=\('circuit',"):
        qep.predict(MODEL, np.ones(5), X, equilibrium=longer, seed=1)
    assert other.attempts == 2


def test_a_job_that_cannot_be_looked_for_is_not_submitted_again(path, expected):
    chaos = Chaos(simulator, {1: ["lost"]})
    with pytest.raises(ConnectionError, match="connection lost"):
        train(cloud(path, chaos))
    forget()
    with pytest.raises(qep.UnknownJobError, match=r"pass the service=.*'lost'"):
        train(qep.Resumable(chaos, journal=path))
    assert chaos.attempts == 2
    forget()
    again = train(qep.Resumable(chaos, journal=path, accept=("lost",)))
    np.testing.assert_array_equal(again.theta, expected)
    assert chaos.attempts == JOBS + 1


def test_wrong_arguments_are_refused(path):
    with pytest.raises(TypeError, match=r"or a function from a seed to one, got 7"):
        qep.Resumable(7, journal=path)
    with pytest.raises(ValueError, match="accept should be a tuple of some of"):
        qep.Resumable(simulator, journal=path, accept="lost")
    with pytest.raises(ValueError, match="max_jobs should be 0 or more, or None"):
        qep.Resumable(simulator, journal=path, max_jobs=-1)
    with pytest.raises(ValueError, match="has the fixed seed 1"):
        qep.Resumable(StatevectorSampler(seed=1), journal=path)
    circuit = QuantumCircuit(1)
    circuit.measure_all()
    with pytest.raises(ValueError, match="needs the seed that Prepared puts"):
        qep.Resumable(simulator, journal=path).run([circuit], shots=3)


def test_the_journal_holds_no_secret(path):
    chaos = Chaos(simulator)
    chaos.token = "planted-secret"
    sampler = cloud(path, chaos)
    train(sampler)
    assert "planted-secret" not in path.read_text() + repr(sampler)


def test_a_journal_is_not_sent_to_another_process(path):
    with pytest.raises(TypeError, match="stays in the process that holds"):
        copy.copy(cloud(path, Chaos(simulator)))


@given(at=st.floats(0, 1), byte=st.binary(max_size=2))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_in_a_journal_it_is_read_or_refused(tmp_path_factory, at, byte):
    path = tmp_path_factory.mktemp("fuzzed") / "run.jobs.jsonl"
    at = int(at * len(WHOLE))
    path.write_bytes(WHOLE[:at] + byte + WHOLE[at + 1 :])
    before = path.read_bytes()
    try:
        assert len(Journal.open(path).entries) in (1, 2)
        forget()
    except qep.JournalError:
        assert path.read_bytes() == before


WHOLE = b"".join(
    _line({"at": 1.0, **record})
    for record in (
        {"kind": "opened", "format": "qiskit_qep.Journal", "schema": 1, "run": "ab"},
        *(
            {
                "kind": "intent",
                "request": k,
                "slot": k,
                "fingerprint": "0",
                "circuits": "1",
                "seed": 1,
                "shots": 10,
                "backend": "chaos",
                "tag": None,
                "estimate": 2.0,
            }
            for k in range(2)
        ),
    )
)


@pytest.mark.parametrize(
    ("record", "match"),
    [
        ({"kind": "opened", "schema": 2}, "has schema 2, this version reads 1"),
        ({"kind": "submitted", "request": -1, "job": "a"}, "does not understand"),
        ({"kind": "intent", "request": 7}, "does not understand"),
        ({"kind": "novel", "request": 0}, "does not understand"),
        ({"kind": "closed", "request": 0}, "does not understand"),
    ],
)
def test_a_line_of_another_version_is_refused(path, record, match):
    path.write_bytes(WHOLE + _line({"at": 2.0, **record}))
    with pytest.raises(qep.JournalError, match=match):
        Journal.open(path)


# -- faults ---------------------------------------------------------------------------

STOPS = {
    "authentication": (qep.ServiceError, "refused the job.*renew the saved account"),
    "quota": (qep.ServiceError, "refused the job.*wait for the next period"),
    "session": (qep.ServiceError, "refused the job.*make the sampler anew"),
    "lost": (ConnectionError, "connection lost"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", [0, 3])
def test_every_fault_is_survived_or_named(path, expected, fault, at):
    chaos = Chaos(simulator, {at: [fault]})
    if fault in STOPS:
        error, match = STOPS[fault]
        with pytest.raises(error, match=match):
            train(cloud(path, chaos))
        forget()
    np.testing.assert_array_equal(train(cloud(path, chaos)).theta, expected)
    refused = fault in ("authentication", "quota", "session")
    assert chaos.attempts == JOBS + refused
    assert len(chaos.taken) == JOBS + (fault == "duplicate")


LASTING = {
    "delay": (qep.ServiceError, r"\(connection\); check the network"),
    "reorder": (qep.AnswerError, "asked for job chaos-3, got job chaos-0"),
    "truncated": (qep.AnswerError, r"should have shape, bits and shots \(\(4, 2\), 2"),
    "nan": (qep.AnswerError, "should hold bits, got ndarray that is not finite"),
    "shots": (qep.AnswerError, r"\(\(4, 2\), 2, 20\), got \(\(4, 2\), 2, 10\)"),
    "mock": (qep.AnswerError, "ran on mock_chaos, not on chaos"),
}


@pytest.mark.parametrize("fault", LASTING)
def test_a_fault_that_lasts_stops_and_pays_for_nothing(path, clock, fault):
    # The handle that submitted is the right job's: "reorder" shows when it is given up.
    faults = [fault, "nan"] if fault == "reorder" else [fault]
    chaos = Chaos(simulator, {3: faults}, reads=100)
    error, match = LASTING[fault]
    for _ in range(2):
        with pytest.raises(error, match=match):
            train(cloud(path, chaos))
        assert chaos.attempts == 4
        forget()
    assert 10 < clock[0] < 1000  # waited, but not for ever


def test_a_job_whose_answer_is_of_no_use_can_be_given_up(path, expected):
    chaos = Chaos(simulator, {3: ["nan"]}, reads=100)
    with pytest.raises(qep.AnswerError, match="not finite"):
        train(cloud(path, chaos, accept=("lost",)))
    forget()
    np.testing.assert_array_equal(train(cloud(path, chaos)).theta, expected)
    assert chaos.attempts == JOBS + 1


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.dictionaries(
        st.integers(0, JOBS + 3), st.lists(st.sampled_from(FAULTS), max_size=3)
    ),
    reads=st.integers(1, 3),
)
def test_any_mixture_ends_in_the_same_numbers(
    tmp_path_factory, expected, faults, reads
):
    path = tmp_path_factory.mktemp("mixed") / "run.jobs.jsonl"
    chaos = Chaos(simulator, faults, reads)
    for _ in range(3 * JOBS):
        try:
            theta = train(cloud(path, chaos)).theta
            break
        except (qep.ServiceError, qep.AnswerError, ConnectionError):
            forget()
    np.testing.assert_array_equal(theta, expected)
    doubled = sum("duplicate" in faults.get(k, ()) for k in range(chaos.attempts))
    assert len(chaos.taken) <= JOBS + doubled
    assert len({e.fingerprint for e in Journal.open(path).entries}) == JOBS


@pytest.mark.parametrize("state", ["ERROR", "CANCELLED"])
def test_a_job_that_failed_is_named_and_submitted_by_a_rerun(
    path, expected, monkeypatch, state
):
    chaos = Chaos(simulator)
    status = qep.testing.ChaosJob.status
    monkeypatch.setattr(
        qep.testing.ChaosJob,
        "status",
        lambda job: state if job.name == "chaos-2" else status(job),
    )
    with pytest.raises(qep.FailedJobError, match=f"chaos-2 on chaos ended as {state}"):
        train(cloud(path, chaos))
    forget()
    np.testing.assert_array_equal(train(cloud(path, chaos)).theta, expected)
    assert chaos.attempts == JOBS + 1


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (RefusalError("401", 401), "authentication"),
        (RefusalError("usage limit", 400), "quota"),
        (RefusalError("bad", 400), "invalid"),
        (RefusalError("slow", 408), "connection"),
        (RefusalError("down", 503), "connection"),
        (RuntimeError("403 Client Error: Forbidden"), "authentication"),
        (RuntimeError("Session xy has been closed"), "session"),
        (TimeoutError("timed out"), "connection"),
        (ValueError("no JSON"), "other"),  # of an answer: it may have been submitted
    ],
)
def test_errors_are_told_apart(error, fault):
    assert classify(error) == fault
    outer = RuntimeError("could not")
    outer.__cause__ = error
    assert classify(outer) == fault


def test_a_read_that_hangs_is_given_up():
    hangs, reads = threading.Event(), []

    def read():
        reads.append(1)
        if len(reads) == 1:
            hangs.wait()
        return "bits"

    with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
        within(0.01, read)
    hangs.set()
    assert within(10.0, read) == "bits"
    assert classify(TimeoutError("no answer within 1 s")) == "connection"
    with pytest.raises(Died, match="killed"):
        within(10.0, lambda: (_ for _ in ()).throw(Died("killed")))


def test_a_read_that_hangs_is_tried_again(path, expected, monkeypatch):
    read, calls = qep.testing.ChaosJob.result, []
    hang = threading.Event()

    def hanging(job):
        calls.append(job.name)
        if len(calls) == 3:
            hang.wait()
        return read(job)

    monkeypatch.setattr(qep.testing.ChaosJob, "result", hanging)
    monkeypatch.setattr(faults, "LONGEST_READ", 0.5)
    chaos = Chaos(simulator)
    np.testing.assert_array_equal(train(cloud(path, chaos)).theta, expected)
    hang.set()
    assert len(calls) == JOBS + 1
    assert chaos.attempts == JOBS


# -- budgets --------------------------------------------------------------------------


def test_a_budget_stops_before_the_job_that_would_exceed_it(path, expected):
    chaos = Chaos(simulator)
    for _ in range(2):  # what was spent counts across reruns
        with pytest.raises(qep.BudgetError, match="max_jobs is 3, 3 spent, and the"):
            train(cloud(path, chaos, max_jobs=3))
        assert chaos.attempts == 3
        forget()
    # Every job was charged one second, so that the next is expected to cost one.
    with pytest.raises(qep.BudgetError, match=r"is 4\.5, 4 spent.* 0\.9"):
        train(cloud(path, chaos, max_qpu_seconds=4.5))
    assert chaos.attempts == 4
    forget()
    again = train(cloud(path, chaos, max_jobs=JOBS, max_qpu_seconds=JOBS + 1))
    np.testing.assert_array_equal(again.theta, expected)


def test_wall_time_is_a_budget_too(path, clock):
    chaos = Chaos(simulator)
    sampler = cloud(path, chaos, max_wall_time=100)
    train(sampler)
    clock[0] += 101
    with pytest.raises(qep.BudgetError, match=r"max_wall_time is 100, 101 spent"):
        train(sampler, steps=STEPS + 1, seed=9)
    assert chaos.attempts == JOBS


def test_waiting_ends_with_the_wall_time(path, clock, monkeypatch):
    chaos = Chaos(simulator)
    monkeypatch.setattr(qep.testing.ChaosJob, "status", lambda job: "QUEUED")
    with pytest.raises(qep.BudgetError, match="job chaos-0 is still waiting; it is in"):
        train(cloud(path, chaos, max_wall_time=3600))
    assert 3600 < clock[0] < 3700
    assert chaos.attempts == 1
