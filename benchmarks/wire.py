"""What spreading sends: bytes to and from the workers of ``Parallel``."""

from __future__ import annotations

import pickle
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

import qiskit_qep as qep

from ._measure import OURS, Sample
from .problems import BETA, Network

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 8  # per task: four samples with both their nudged phases


class Counted(Executor):
    """An executor that does everything here, and counts what it would have sent."""

    def __init__(self) -> None:
        """Begin with nothing sent."""
        self.sent = 0

    def submit(  # type: ignore[override]  # no keyword is used here
        self, call: Callable[..., Any], *args: Any
    ) -> Future[Any]:
        """Run the call on what arrives of it."""
        there = pickle.dumps((call, args))
        call, args = pickle.loads(there)
        back = pickle.dumps(call(*args))
        self.sent += len(there) + len(back)
        future: Future[Any] = Future()
        future.set_result(pickle.loads(back))
        return future


def bytes_per_sample(num_spins: int, seed: int) -> Sample:
    """Count what a centred gradient sends and receives, per sample of a batch."""
    network = Network.random(num_spins, seed, batch=ROWS)
    figures: dict[str, float | None] = {}
    for name, resettle in ((OURS, True), ("states sent", False)):
        wire = Counted()
        spread = qep.Parallel(qep.Exact(), wire, rows=ROWS, resettle=resettle)
        qep.gradient(
            network.model,
            network.theta,
            network.x,
            network.y,
            equilibrium=spread,
            nudge=qep.Nudge.centered(BETA),
        )
        figures[name] = wire.sent / ROWS
    return Sample(figures)
