"""The journal of a run: one line for every step that costs money, before and after."""

from __future__ import annotations

import os
import secrets
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary, finalize

from .lines import BEGIN, line_of, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT, SCHEMA = "qiskit_qep.Journal", 1
LONGEST = 1 << 28  # bytes of one line: all bits of a job


class JournalError(ValueError):
    """A journal that cannot be used as it is; the message says what to do."""


@dataclass(frozen=True)
class Entry:
    """One request, and how far it has come.

    Attributes:
        number: Of the request, from 0.
        slot: Number of the first entry of this request: its own, unless that job was
            closed and this one replaces it.
        fingerprint: Of circuits, bindings, shots and seed.
        circuits: Fingerprint of the circuits alone.
        seed: That ``Prepared`` gave the request.
        shots: Of all PUBs together.
        backend: Where it was sent.
        tag: Of the job, by which a service finds it; None where there are no tags.
        estimate: Expected QPU seconds.
        at: When it was written, in seconds since 1970.
        job: Identifier of the job, once it is known.
        answer: The bits, once they are there.
        seconds: QPU seconds that the service charged, where it says so.
        closed: Why the job will never be asked for again; empty while it may.
        counts: Whether it counts as spent.
    """

    number: int
    slot: int
    fingerprint: str
    circuits: str
    seed: int | None
    shots: int
    backend: str
    tag: str | None
    estimate: float
    at: float
    job: str | None = None
    answer: list[dict[str, Any]] | None = None
    seconds: float | None = None
    closed: str = ""
    counts: bool = True

    def __post_init__(self) -> None:
        """Refuse what is no entry, so that nobody computes with it."""
        texts = self.backend, self.closed, self.job or "", self.tag or ""
        numbers = self.shots, self.estimate, self.seconds or 0.0
        if not (
            all(isinstance(text, str) for text in texts)
            and all(isinstance(n, int | float) and n >= 0 for n in numbers)
        ):
            raise TypeError(f"request {self.number} is none: {texts}, {numbers}")


@dataclass(eq=False)
class Journal:
    """An append-only file of JSON lines, each on disk before anything else happens.

    Kinds of lines: ``opened`` (by a process), ``intent`` (about to submit),
    ``submitted`` (with the job's identifier), ``received`` (with the bits), ``closed``
    (refused, failed or lost: the request may be sent anew). Every line carries the
    first letters of its own SHA-256.

    Attributes:
        path: Of the file.
        run: Random letters that tags begin with, so that no two journals share one.
        entries: All requests, in the order in which they were made.
        lock: Held by a thread while it decides and submits.
        live: Jobs of this process by the number of their entry.
    """

    path: Path
    run: str = ""
    entries: list[Entry] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    live: dict[int, Any] = field(default_factory=dict)
    _file: int = -1
    _process: int = field(default_factory=os.getpid)
    _started: float = 0.0  # when this process, or the one last read of, opened it
    _last: float = 0.0  # when its last line was written
    _active: float = 0.0  # seconds, of all earlier processes
    _broken: bool = False
    _close: Any = None

    @staticmethod
    def open(path: str | os.PathLike[str]) -> Journal:
        """Open a journal, or begin one; within a process it is the same object.

        Raises:
            JournalError: If another process has it open, or a line is damaged that is
                not the last one.
        """
        place = Path(path).absolute()
        with _opening:
            known = _open.get(place)
            if known is not None and known._process == os.getpid():
                if not known._broken:
                    return known
                known._close()
            journal = Journal(place)
            journal._begin()
            _open[place] = journal
            return journal

    @staticmethod
    def read(path: str | os.PathLike[str]) -> Sequence[Entry]:
        """Return the requests of a journal, which another process may be writing.

        Raises:
            JournalError: If it is damaged, but for a last line that is being written.
        """
        journal = Journal(Path(path))
        journal._replay()
        return journal.entries

    def wall_time(self) -> float:
        """Return for how many seconds processes have worked with this journal."""
        return self._active + time.time() - self._started

    def intent(self, **what: Any) -> Entry:
        """Write that a request is about to be submitted."""
        self._append("intent", request=len(self.entries), **what)
        return self.entries[-1]

    def submitted(self, entry: Entry, job: str) -> Entry:
        """Write the identifier of its job."""
        self._append("submitted", request=entry.number, job=job)
        return self.entries[entry.number]

    def received(
        self, entry: Entry, answer: list[dict[str, Any]], seconds: float | None
    ) -> Entry:
        """Write its bits, and what they cost."""
        what = {"answer": answer, "seconds": seconds}
        self._append("received", request=entry.number, **what)
        return self.entries[entry.number]

    def closed(self, entry: Entry, why: str, *, counts: bool) -> None:
        """Write that its job is not to be asked for again."""
        self._append("closed", request=entry.number, why=why, counts=counts)

    def _begin(self) -> None:
        """Lock, read and repair the file, and write that it was opened."""
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._close = finalize(self, os.close, self._file)
        _lock(self._file, self.path)
        damaged, whole = self._replay()
        if damaged and not self.run and not BEGIN.startswith(damaged[: len(BEGIN)]):
            raise JournalError(f"{self.path} is no journal; choose another file")
        if damaged:
            self._put_aside(damaged)
        elif not whole:
            self._write(b"\n")
        _sync_folder(self.path.parent)
        run = self.run or secrets.token_hex(4)
        self._append("opened", format=FORMAT, schema=SCHEMA, run=run)

    def _replay(self) -> tuple[bytes, bool]:
        """Do what every line says.

        Returns:
            The last line, if it is damaged, and whether the last one has an end.

        Raises:
            JournalError: If another line is damaged, or not understood.
        """
        number, last = 0, b"\n"
        with self.path.open("rb") as file:
            line = file.readline(LONGEST)
            while line:
                following, record = file.readline(LONGEST), parse(line)
                if record is None and following:
                    raise JournalError(
                        f"line {number + 1} of {self.path} is damaged, and others "
                        "follow it, so that it is no interrupted write; restore the "
                        "file from a copy, or begin another journal"
                    )
                if record is None:
                    return line, False
                self._check_schema(record, number)
                self._apply(record)
                number, last, line = number + 1, line, following
        return b"", last.endswith(b"\n")

    def _put_aside(self, line: bytes) -> None:
        """Keep a line that was being written when the process died beside the file.

        Nothing that it announced has happened, or a service still knows of it.
        """
        aside = self.path.with_name(f"{self.path.name}.damaged")
        with aside.open("ab") as file:
            file.write(line.rstrip(b"\n") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.ftruncate(self._file, os.fstat(self._file).st_size - len(line))
        os.fsync(self._file)

    def _check_schema(self, record: dict[str, Any], number: int) -> None:
        if number == 0 and record.get("format") != FORMAT:
            raise JournalError(f"{self.path} is no journal; choose another file")
        if record["kind"] == "opened" and record.get("schema") != SCHEMA:
            raise JournalError(
                f"{self.path} has schema {record.get('schema')}, this version reads "
                f"{SCHEMA}; use the version of the package that wrote it"
            )

    def _append(self, kind: str, **what: Any) -> None:
        """Write one line, and only then believe it."""
        if os.getpid() != self._process:
            raise JournalError(
                f"{self.path} belongs to process {self._process}, and this is a fork "
                "of it; make the sampler inside the process that uses it"
            )
        if self._broken:
            raise JournalError(
                f"writing {self.path} has failed before; make room on the disk and "
                "run the script again"
            )
        record = {"kind": kind, "at": time.time(), **what}
        with self.lock:
            try:
                self._write(line_of(record))
            except BaseException:
                self._broken = True  # half a line may be there: nothing may follow it
                raise
            self._apply(record)

    def _write(self, line: bytes) -> None:
        """Write bytes and wait until they are on disk."""
        while line:
            line = line[os.write(self._file, line) :]
        os.fsync(self._file)

    def _apply(self, record: dict[str, Any]) -> None:
        """Do to the entries what a line says."""
        try:
            self._change(**record)
        except (KeyError, IndexError, TypeError) as error:
            raise JournalError(
                f"{self.path} has a line that this version does not understand "
                f"({record.get('kind')}: {error!r}); use the version that wrote it"
            ) from error

    def _change(self, kind: str, at: float, **what: Any) -> None:
        if kind == "opened":
            self._active += self._last - self._started
            self.run, self._started, self._last = what["run"], at, at
            return
        self._last = at
        number, known = what.pop("request"), len(self.entries)
        if number not in ([known] if kind == "intent" else range(known)):
            raise IndexError(number)
        if kind == "intent":
            self.entries.append(Entry(at=at, number=number, **what))
        else:
            entry = self.entries[number]
            if kind == "closed":
                entry = replace(entry, closed=what["why"], counts=what["counts"])
            elif kind in ("submitted", "received"):
                entry = replace(entry, **what)
            else:
                raise KeyError(kind)
            self.entries[number] = entry


_opening = threading.Lock()
_open: WeakValueDictionary[Path, Journal] = WeakValueDictionary()


def _lock(file: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:
        raise JournalError(
            "a journal needs the file locks of Linux or macOS; on Windows, use WSL"
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise JournalError(
            f"{path} is in use by another process; wait for it or stop it, or give "
            "every run a journal of its own"
        ) from None


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file survive a loss of power, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
