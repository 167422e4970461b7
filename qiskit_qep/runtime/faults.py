"""What went wrong with a service: classified, and reads tried again."""

from __future__ import annotations

import random
import re
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from .answers import AnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Fault = Literal["authentication", "quota", "session", "invalid", "connection", "other"]
T = TypeVar("T")

ATTEMPTS = 6
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds
LONGEST_READ = 600.0  # seconds; the runtime's client would wait for ever
REMEDY: dict[Fault, str] = {
    "authentication": "renew the saved account or its access to the instance",
    "quota": "wait for the next period, or raise the limit of the instance",
    "session": "make the sampler anew, with mode=backend or an open session",
    "invalid": "change the request as the service says",
    "connection": "check the network",
}
NAMES: dict[str, Fault] = {
    "IBMNotAuthorizedError": "authentication",
    "IBMAccountError": "authentication",
    "InvalidAccountError": "authentication",
    "IBMInputValueError": "invalid",
}


class ServiceError(RuntimeError):
    """A service refused a request, or could not be reached; says what to do.

    Attributes:
        fault: "authentication", "quota", "session", "invalid" or "connection".
    """

    def __init__(self, message: str, fault: Fault) -> None:
        RuntimeError.__init__(self, message, fault)
        self.fault = fault

    def __str__(self) -> str:
        """Show the message alone."""
        return str(self.args[0])


def classify(error: BaseException) -> Fault:
    """Say what kind of fault an error of a service's client is.

    By status, class and words, because every vendor's client has classes of its own.
    """
    for cause in _causes(error):
        if isinstance(cause, ServiceError):
            return cause.fault
        text, status = str(cause).lower(), _status(cause)
        if status in (401, 403):
            return "authentication"
        if status == 429 or (status in (400, 402, 409) and "limit" in text):
            return "quota"
        if "session" in text and re.search(r"closed|expired|not accepting", text):
            return "session"
        if status is not None and 400 <= status < 500 and status != 408:
            return "invalid"
        if type(cause).__name__ in NAMES:
            return NAMES[type(cause).__name__]
        if status is not None or isinstance(cause, ConnectionError | TimeoutError):
            return "connection"
        if re.match("requests|urllib3|http", type(cause).__module__):
            return "connection"
    return "other"


def explained(error: BaseException, what: str) -> ServiceError:
    """Return an error with what was tried, the fault and its remedy."""
    fault = classify(error)
    remedy = REMEDY.get(fault, "see the error above")
    text = f"{what}: {type(error).__name__} ({fault}); {remedy}, and run again"
    return ServiceError(text, fault)


def pauses() -> Iterator[float]:
    """Yield how many seconds to wait, doubled from 1 to 60, with jitter."""
    longest = FIRST_PAUSE
    while True:
        yield random.uniform(0.5, 1.0) * longest
        longest = min(2.0 * longest, LONGEST_PAUSE)


def within(seconds: float, read: Callable[[], T]) -> T:
    """Read something in a thread of its own, which is left behind if it hangs.

    Raises:
        TimeoutError: If there is nothing after so many seconds.
    """
    found: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            found.put((read(), None))
        except BaseException as error:  # of whatever kind, it is the reader's
            found.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        answer, error = found.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return cast("T", answer)


def patiently(read: Callable[[], T], what: str, *, limit: bool = True) -> T:
    """Read something, and again if the connection fails or the answer is damaged.

    For reads only: a submit that failed may have arrived.

    Args:
        read: What reads.
        what: It reads, for the message.
        limit: Whether an attempt that takes longer than ten minutes has failed; not
            for simulators, which work while they are read.

    Raises:
        ServiceError: If it still fails, or for a reason that waiting does not mend.
        AnswerError: If the answer is still damaged.
    """
    for attempt, pause in enumerate(pauses(), start=1):
        try:
            return within(LONGEST_READ, read) if limit else read()
        except AnswerError:
            if attempt == ATTEMPTS:
                raise
        except Exception as error:
            fault = classify(error)
            if fault == "other":
                raise
            if fault != "connection" or attempt == ATTEMPTS:
                raise explained(error, what) from error
        time.sleep(pause)
    raise AssertionError  # pauses never end


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that an error carries, or says."""
    for carrier in (error, getattr(error, "response", None)):
        status = getattr(carrier, "status_code", None)
        if isinstance(status, int) and status > 0:
            return status
    said = re.search(r"\b([45]\d\d) (?:client|server) error", str(error).lower())
    return int(said[1]) if said else None
