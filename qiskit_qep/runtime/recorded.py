"""RecordedJob: a job whose answer is read once, checked, and kept."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qiskit.primitives import PrimitiveResult
from qiskit.primitives.base.base_primitive_job import BasePrimitiveJob
from qiskit.providers import JobStatus

from .answers import AnswerError, check_answer, pack, unpack
from .faults import patiently, pauses
from .seeds import innermost

if TYPE_CHECKING:
    from collections.abc import Callable

    from qiskit.primitives.containers.sampler_pub import SamplerPub

    from .costs import Budget
    from .journal import Entry, Journal

FAILED = ("ERROR", "CANCELLED", "FAILED")


class FailedJobError(RuntimeError):
    """A job that the service ended without an answer; a rerun submits it anew."""


@dataclass(frozen=True, eq=False)
class Request:
    """What a job was asked, and where.

    Attributes:
        pubs: As they were before transpilation.
        sampler: That they were given to.
        service: Where the job is found by its identifier, or None.
        budget: Whose wall time ends the waiting.
        failed: To be called when there is no answer.
        gives_up: Whether a job whose answer cannot be used is closed as lost.
    """

    pubs: tuple[SamplerPub, ...]
    sampler: Any
    service: Any
    budget: Budget
    failed: Callable[[], None]
    gives_up: bool


@dataclass(frozen=True, eq=False)
class RecordedJob(BasePrimitiveJob[PrimitiveResult[Any], Any]):
    """A job of a journal: its bits come from there, or go there when they arrive."""

    _job_id: str
    journal: Journal
    number: int
    request: Request

    @staticmethod
    def of(journal: Journal, entry: Entry, request: Request) -> RecordedJob:
        """Return the job of an entry."""
        return RecordedJob(str(entry.job), journal, entry.number, request)

    @property
    def entry(self) -> Entry:
        """How far the request has come."""
        return self.journal.entries[self.number]

    def result(self) -> PrimitiveResult[Any]:
        """Return the recorded bits, or wait for them, check and record them.

        Raises:
            AnswerError: If they cannot be the answer to the request.
            FailedJobError: If the service ended the job without one.
            ServiceError: If the service cannot be reached, or refuses.
            BudgetError: If max_wall_time ends while the job is still waiting.
        """
        if self.entry.answer is None:
            try:
                self._receive()
            except BaseException:
                self.request.failed()
                raise
        packed = self.entry.answer
        assert packed is not None
        answer = unpack(packed)
        check_answer(answer, self.request.pubs, twirled=is_twirled(self.request))
        return answer

    def _receive(self) -> None:
        """Wait for the answer, read it and record it."""
        what = f"reading job {self._job_id} from {self.entry.backend}"
        self._wait(what)
        try:
            remote = self.request.service is not None
            answer = patiently(self._read, what, limit=remote)
        except AnswerError:
            if self.request.gives_up:
                self.journal.closed(self.entry, "answer unusable", counts=True)
            raise
        seconds = self._charged()
        with self.journal.lock:
            if self.entry.answer is None:  # or another thread was quicker
                self.journal.received(self.entry, pack(answer), seconds)
            self.journal.live.pop(self.number, None)

    def status(self) -> Any:
        """Return the status of the job."""
        if self.entry.answer is not None:
            return JobStatus.DONE
        what = f"status of job {self._job_id}"
        return patiently(lambda: self._job().status(), what)

    def done(self) -> bool:
        """Whether there is an answer."""
        return _name(self.status()) == "DONE"

    def running(self) -> bool:
        """Whether the job is being run."""
        return _name(self.status()) == "RUNNING"

    def cancelled(self) -> bool:
        """Whether the job was cancelled."""
        return _name(self.status()) == "CANCELLED"

    def in_final_state(self) -> bool:
        """Whether waiting would change nothing."""
        return _name(self.status()) in ("DONE", *FAILED)

    def cancel(self) -> Any:
        """Ask the service to cancel the job."""
        return self._job().cancel()

    def _job(self) -> Any:
        """Return the job of this process, or of the service."""
        live, service = self.journal.live, self.request.service
        if self.number not in live:
            live[self.number] = service.job(self.entry.job)
        return live[self.number]

    def _wait(self, what: str) -> None:
        """Wait for a remote job with bounded polls; local ones wait by themselves."""
        if self.request.service is None:
            return
        for pause in pauses():
            state = _name(patiently(lambda: self._job().status(), what))
            if state in FAILED:
                # Paid or not: the service may have charged it.
                self.journal.closed(self.entry, f"{state.lower()}", counts=True)
                self.journal.live.pop(self.number, None)
                raise FailedJobError(
                    f"job {self._job_id} on {self.entry.backend} ended as {state}; see "
                    "why in the service's list of jobs, then run again to submit it "
                    "anew"
                )
            if state == "DONE":
                return
            self.request.budget.check_waiting(self._job_id, self.journal.wall_time())
            time.sleep(pause)

    def _read(self) -> PrimitiveResult[Any]:
        """Read the answer once, and check that it is this request's."""
        job = self._job()
        try:
            self._check_origin(job)
            answer = job.result()
            check_answer(answer, self.request.pubs, twirled=is_twirled(self.request))
            return answer
        except Exception:
            if self.request.service is not None:  # the next attempt asks for it anew
                self.journal.live.pop(self.number, None)
            raise

    def _check_origin(self, job: Any) -> None:
        """Refuse a job that is another one's, or a rehearsal's random data."""
        entry = self.entry
        if str(job.job_id()) != entry.job:
            raise AnswerError(f"asked for job {entry.job}, got job {job.job_id()}")
        tags = getattr(job, "tags", None)
        if entry.tag is not None and tags is not None and entry.tag not in tags:
            raise AnswerError(f"job {entry.job} has tags {tags}, not {entry.tag}")
        backend = getattr(job, "backend", None)
        backend = backend() if callable(backend) else None
        name = getattr(backend, "name", None)
        if isinstance(name, str) and (name != entry.backend or name.startswith("mock")):
            raise AnswerError(f"job {entry.job} ran on {name}, not on {entry.backend}")

    def _charged(self) -> float | None:
        """Return the QPU seconds that the service charged, if it says so.

        The runtime says 0 until it knows.
        """
        usage = getattr(self._job(), "usage", None)
        if usage is None:
            return None
        try:
            return float(usage()) or None
        except Exception:  # the bits matter more: they are recorded without
            return None


def is_twirled(request: Request) -> bool:
    """Whether the runtime may round the shots up, to twirl them evenly."""
    twirling = getattr(
        getattr(innermost(request.sampler), "options", None), "twirling", None
    )
    on = (getattr(twirling, f"enable_{what}", False) for what in ("gates", "measure"))
    return any(value is True for value in on)


def _name(status: Any) -> str:
    """Return the name of a status, which is a word or a member of an enumeration."""
    return str(getattr(status, "name", status)).upper()
