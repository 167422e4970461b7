"""Many minimisations side by side, each of their questions answered by one call."""

from __future__ import annotations

from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Ask = "Callable[[Array], Array]"


@dataclass(frozen=True)
class _Outcome:
    """How a task ended."""

    value: Any = None
    error: BaseException | None = None


def in_lockstep(
    tasks: Sequence[Callable[[Callable[[Array], Array]], Any]],
    answer: Callable[[list[int], list[Array]], list[Array]],
) -> list[Any]:
    """Run all tasks until each of them asks, answer all at once, and so on.

    Optimizers evaluate one point at a time; a job should hold the points of all of
    them. Only one task runs at any moment, in the order given, so that what they draw
    from shared generators is reproducible.

    Args:
        tasks: Functions of ``ask``, which a task calls with a question.
        answer: From the numbers of the tasks that ask, and their questions, to one
            answer for each.

    Returns:
        What the tasks returned.

    Raises:
        BaseException: What a task or ``answer`` raised; the others are abandoned.
    """
    inboxes: list[SimpleQueue[Any]] = [SimpleQueue() for _ in tasks]
    outboxes: list[SimpleQueue[Any]] = [SimpleQueue() for _ in tasks]

    def run(k: int) -> None:
        def ask(question: Array) -> Array:
            outboxes[k].put(question)
            reply = inboxes[k].get()
            if isinstance(reply, _Outcome):
                raise _AbandonedError
            return np.asarray(reply)

        try:
            if inboxes[k].get() is None:
                outboxes[k].put(_Outcome(tasks[k](ask)))
        except _AbandonedError:
            pass
        except BaseException as error:
            outboxes[k].put(_Outcome(error=error))

    threads = [Thread(target=run, args=(k,), daemon=True) for k in range(len(tasks))]
    for thread in threads:
        thread.start()
    results: list[Any] = [None] * len(tasks)
    replies: dict[int, Array | None] = dict.fromkeys(range(len(tasks)))
    try:
        while replies:
            questions = {}
            for k, reply in replies.items():
                inboxes[k].put(reply)
                said = outboxes[k].get()
                if not isinstance(said, _Outcome):
                    questions[k] = said
                elif said.error is not None:
                    raise said.error
                else:
                    results[k] = said.value
            asked = list(questions)
            answers = answer(asked, list(questions.values())) if asked else []
            replies = dict(zip(asked, answers, strict=True))
    finally:
        for k, thread in enumerate(threads):
            inboxes[k].put(_Outcome())
            thread.join()
    return results


class _AbandonedError(Exception):
    """Another task failed."""
