"""Resumable: any sampler, with a journal that no paid job is ever lost from."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qiskit.primitives import BaseSamplerV2
from qiskit.primitives.containers.sampler_pub import SamplerPub

from .costs import (
    Budget,
    BudgetError,
    backend_name,
    executions,
    is_hardware,
    is_local,
    recalibrated,
    request_seconds,
    spent,
)
from .faults import classify, explained, patiently, pauses
from .fingerprints import circuits_fingerprint, request_fingerprint, request_seed
from .journal import Entry, Journal, JournalError
from .modes import in_job_mode, submitting
from .recorded import RecordedJob, Request
from .seeds import check_sampler, seeded
from .transpiled import isa_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable, Sequence

    from qiskit.primitives.containers import SamplerPubLike

ACCEPTS = ("backend", "circuit", "cost", "lost")
SETTLING = 60.0  # seconds until a service is trusted to list a job that it has taken


class UnknownJobError(RuntimeError):
    """A job may have been submitted and paid for, and there is no way to look."""


@dataclass(frozen=True, eq=False)
class Resumable(BaseSamplerV2):
    """A sampler with a journal: interrupted? Run the same script again.

    Every request is written to the journal before it is submitted, its job's
    identifier right after, its bits on arrival. A rerun, or a run that goes on from a
    saved ``State``, replays the bits that are there, fetches jobs that were submitted,
    looks for a job by its tag where it is not known whether it was, and submits only
    what is missing. Give the training a ``seed``: without one every run asks for other
    shots, and pays for them. Requests are recognised by circuits, bindings, shots and
    the seed that ``Prepared`` gives them, as they were before transpilation. Those
    without a seed, made by hand, get answers of their own, in their order.

    Jobs run where the sampler sends them: alone, in a batch or in a session. When a
    session is closed, the rest goes on in job mode.

    Attributes:
        sampler: ``Transpiled`` or any other sampler, or a function from a seed to one,
            as ``Prepared`` takes them.
        journal: Path of the file, one for every run; JSON lines, and nothing secret.
        service: Where jobs are found again, by ``job(id)`` and ``jobs(job_tags=...)``:
            a ``QiskitRuntimeService``. Simulators need none.
        max_jobs: Stop before more than these were submitted, all reruns counted.
        max_qpu_seconds: Stop before a job that would exceed these, as the service
            charged earlier ones, and as estimated for the next; what is left of them
            is the time limit that the service is given for each job.
        max_wall_time: Stop when processes have worked this many seconds.
        accept: What is refused otherwise: going on with another "backend" or another
            "circuit" than the journal's; the "cost" of hardware without any limit; and
            paying once more for jobs that are "lost": that cannot be looked for, or
            whose answers cannot be used.

    Raises:
        ValueError: If an argument is out of range, or the journal damaged or in use.
        TypeError: If the sampler is none.

    Example:
        >>> import numpy as np, qiskit_qep as qep, tempfile
        >>> from qiskit.primitives import StatevectorSampler
        >>> def simulator(seed):
        ...     return StatevectorSampler(seed=np.random.default_rng(seed))
        >>> path = tempfile.mkdtemp() + "/run.jobs.jsonl"
        >>> model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
        >>> def run():
        ...     shots = qep.Prepared(
        ...         qep.Ramp(time=4, steps=8), qep.Resumable(simulator, journal=path))
        ...     return qep.predict(model, np.ones(5), [1.0], equilibrium=shots, seed=1)
        >>> bool(run() == run())  # the second time nothing is run
        True
    """

    sampler: BaseSamplerV2 | Callable[[int], BaseSamplerV2]
    journal: str | os.PathLike[str] = field(kw_only=True)
    service: Any = field(default=None, kw_only=True, repr=False)
    max_jobs: int | None = field(default=None, kw_only=True)
    max_qpu_seconds: float | None = field(default=None, kw_only=True)
    max_wall_time: float | None = field(default=None, kw_only=True)
    accept: Collection[str] = field(default=(), kw_only=True)
    _journal: Journal = field(init=False, repr=False)
    _budget: Budget = field(init=False, repr=False)
    _asked: Counter[str] = field(default_factory=Counter, init=False, repr=False)
    _alone: list[BaseSamplerV2] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the arguments, and open the journal."""
        check_sampler(self.sampler)
        unknown = sorted(set(self.accept) - set(ACCEPTS))
        if isinstance(self.accept, str) or unknown:
            raise ValueError(
                f"accept should be a tuple of some of {ACCEPTS}, got {self.accept!r}"
            )
        limits = self.max_jobs, self.max_qpu_seconds, self.max_wall_time
        object.__setattr__(self, "_budget", Budget(*limits))
        object.__setattr__(self, "_journal", Journal.open(self.journal))

    def __getstate__(self) -> Any:
        """Refuse to be sent: a second process would pay for the same jobs."""
        raise TypeError(
            f"{type(self).__name__} stays in the process that holds {self.journal}; "
            "with Parallel, use threads"
        )

    def run(
        self, pubs: Iterable[SamplerPubLike], *, shots: int | None = None
    ) -> RecordedJob:
        """Replay, fetch or submit; see ``BaseSamplerV2``.

        Raises:
            BudgetError: If the job would exceed a limit, or hardware has none.
            UnknownJobError: If it may have been submitted, and cannot be looked for.
            JournalError: If it is for another backend or circuit than the journal's.
            ServiceError: If the service refuses it, or cannot be reached.
        """
        asked = [SamplerPub.coerce(pub, shots) for pub in pubs]
        sampler = self._sampler_of(asked)
        key = request_fingerprint(asked)
        with self._journal.lock:
            same = [e for e in self._journal.entries if e.fingerprint == key]
            latest = list({e.slot: e for e in same}.values())  # in order of the slots
            number = self._asked[key]
            known = latest[number] if number < len(latest) else None
            entry = None if known is None or known.closed else known
            if entry is not None and entry.answer is None:
                entry = self._recovered(entry, sampler)
            if entry is None:
                slot = len(self._journal.entries) if known is None else known.slot
                entry = self._submit(key, slot, asked, sampler, shots)
            # Alike and with a seed, it is the same request; without one, another.
            counted = request_seed(asked) is None
            self._asked[key] += counted

        def failed() -> None:
            self._asked[key] -= counted  # asked again, it is the same request

        request = Request(
            pubs=tuple(asked),
            sampler=sampler,
            service=self.service,
            budget=self._budget,
            failed=failed,
            gives_up="lost" in self.accept,
        )
        return RecordedJob.of(self._journal, entry, request)

    def _sampler_of(self, asked: Sequence[SamplerPub]) -> BaseSamplerV2:
        if self._alone:
            return self._alone[0]
        if isinstance(self.sampler, BaseSamplerV2):
            return self.sampler
        seed = request_seed(asked)
        if seed is None:
            raise ValueError(
                "a function from a seed to a sampler needs the seed that Prepared puts "
                "into the circuit's metadata, which has none; give Resumable a sampler"
            )
        return seeded(self.sampler, seed)

    def _recovered(self, entry: Entry, sampler: BaseSamplerV2) -> Entry | None:
        """Return an entry whose job can be read, or None if there is no such job."""
        self._same("backend", {entry.backend}, backend_name(sampler))
        if entry.number in self._journal.live:
            return entry
        if is_local(sampler):  # its job died with the process, and cost nothing
            self._journal.closed(entry, "simulation interrupted", counts=False)
            return None
        if entry.job is None and self.service is not None and entry.tag is not None:
            job = self._find(entry)
            if job is None:
                self._journal.closed(entry, "never arrived", counts=False)
                return None
            self._journal.live[entry.number] = job
            return self._journal.submitted(entry, str(job.job_id()))
        if entry.job is not None and self.service is not None:
            return entry
        if "lost" in self.accept:
            self._journal.closed(entry, "given up as lost", counts=True)
            return None
        what = f"job {entry.job}" if entry.job else "a job that may have been submitted"
        raise UnknownJobError(
            f"{what} to {entry.backend} (request {entry.number} of {self.journal}) "
            "cannot be looked for: pass the service= that it was sent to; or, if it is "
            "lost for good, accept=('lost',) to pay for it once more"
        )

    def _find(self, entry: Entry) -> Any:
        """Return the first job with the entry's tag, or None if none was taken."""

        def look() -> list[Any]:
            return list(self.service.jobs(job_tags=[entry.tag], limit=None))

        for pause in pauses():
            found = patiently(look, f"looking for the job with the tag {entry.tag}")
            if found or time.time() - entry.at > SETTLING:
                break
            time.sleep(pause)
        return min(found, key=lambda job: str(job.job_id())) if found else None

    def _submit(
        self,
        key: str,
        slot: int,
        asked: Sequence[SamplerPub],
        sampler: BaseSamplerV2,
        shots: int | None,
    ) -> Entry:
        """Write the intent, submit, and write the job's identifier."""
        journal, circuits = self._journal, circuits_fingerprint(asked)
        known = [e for e in journal.entries if not e.closed]
        backend = backend_name(sampler)
        self._same("backend", {e.backend for e in known}, backend)
        self._same("circuit", {e.circuits for e in known}, circuits)
        # Checked before the intent is written: what cannot run leaves no trace.
        estimate = request_seconds(sampler, isa_of(sampler, asked))
        had = spent(journal.entries, journal.wall_time())
        if self._budget == Budget() and "cost" not in self.accept:
            self._refuse_unlimited(sampler, estimate)
        self._budget.check(had, recalibrated(journal.entries, estimate))
        tag = f"qep-{journal.run}-{len(journal.entries)}"
        with submitting(sampler, tag, self._budget.qpu_seconds_left(had)) as has_tag:
            entry = journal.intent(
                slot=slot,
                fingerprint=key,
                circuits=circuits,
                seed=request_seed(asked),
                shots=executions(asked),
                backend=backend,
                tag=tag if has_tag else None,
                estimate=estimate,
            )
            try:
                job = sampler.run(asked, shots=shots)
            except Exception as error:
                alone = self._instead(entry, sampler, error)
            else:
                alone = None
        if alone is not None:
            return self._submit(key, slot, asked, alone, shots)
        journal.live[entry.number] = job
        return journal.submitted(entry, str(job.job_id()))

    def _instead(self, entry: Entry, sampler: Any, error: Exception) -> BaseSamplerV2:
        """Return what to submit to after a refusal, or raise an error that explains."""
        fault = classify(error)
        if fault in ("connection", "other"):
            raise error  # it may have arrived: the next run looks for it
        self._journal.closed(entry, f"refused: {fault}", counts=False)
        alone: BaseSamplerV2 | None = None
        if fault == "session":
            alone = in_job_mode(sampler)
        if alone is None:
            raise explained(error, f"{entry.backend} refused the job") from error
        warnings.warn(
            f"the session on {entry.backend} is closed; the rest of the run goes on in "
            "job mode, where every job waits in the queue by itself",
            stacklevel=4,
        )
        self._alone[:] = [alone]
        return alone

    def _refuse_unlimited(self, sampler: BaseSamplerV2, estimate: float) -> None:
        if is_hardware(sampler):
            raise BudgetError(
                f"{backend_name(sampler)} is hardware, and this job alone may take "
                f"{estimate:.3g} s of it; nothing was submitted: give max_qpu_seconds, "
                "max_jobs or max_wall_time (see plan), or pass accept=('cost',)"
            )

    def _same(self, what: str, known: set[str], now: str) -> None:
        if known and now not in known and what not in self.accept:
            raise JournalError(
                f"{self.journal} is of {what} {', '.join(sorted(known))}, this request "
                f"of {now}; begin another journal, or pass accept=({what!r},)"
            )
