"""What a command changes in its process while it runs: log, threads, signals."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

AGAIN = b"\nstopping after this step; Ctrl-C again stops at once\n"


def warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Write a warning as one line, above a progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(f"warning: {message}", file=sys.stderr)


@contextmanager
def quiet_runtime(loud: bool) -> Iterator[None]:
    """Keep the runtime's log, which quotes what a service answered, off the screen."""
    log = logging.getLogger("qiskit_ibm_runtime")
    before = log.level
    if not loud:
        log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread: its idle ones spin, and take the cores of our kernels.

    Measured on 2 cores: 78 ms of CPU per step of the digits with them, 27 ms without.
    """
    with ExitStack() as stack:
        with suppress(ImportError):  # threadpoolctl comes with scikit-learn
            limits = import_module("threadpoolctl").threadpool_limits
            stack.enter_context(limits(1, user_api="blas"))
        yield


@contextmanager
def ctrl_c() -> Iterator[threading.Event]:
    """Let the first Ctrl-C set an event, and the second raise KeyboardInterrupt."""
    stop = threading.Event()

    def first(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(2, AGAIN)  # a print could be what the signal came in the middle of

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
