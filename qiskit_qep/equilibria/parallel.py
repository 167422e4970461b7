"""Parallel: the rows of a batch spread over processes, machines, or an MPI job."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Equilibrium, Phase
from .._whole import refuse_fractions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor, Future

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Parallel:
    """Another equilibrium, settled by the workers of an executor.

    Row i depends on row i alone, shot noise included, so the result equals the serial
    one bit for bit, however the rows are spread.

    Rows are the unit of work: give every worker process one thread (the environment
    variables NUMBA_NUM_THREADS and OPENBLAS_NUM_THREADS, set before it starts), or the
    workers of one machine compete for its cores. A task carries its rows' coefficients,
    the states they start from, and the operators as labels, which a worker reads once.

    Where other threads run in this process, of a simulator or of JAX, let a process
    pool start afresh instead of forking:
    ``ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))``.

    Dask runs the tasks of a worker that dies again. A process pool and MPI cannot; the
    error then says how to go on.

    A centred gradient sends and returns five states of 2^N numbers per sample. On one
    machine that is cheaper than settling anything twice; between machines it soon
    fills the link of the one that trains, which ``resettle`` avoids.

    Attributes:
        equilibrium: What settles.
        executor: Any ``concurrent.futures.Executor``: a process pool, Dask's
            ``client.get_executor()``, ``mpi4py.futures.MPIPoolExecutor``.
        rows: Rows per task; by default a batch is cut into as many tasks as there are
            cores here. Settling a row should take longer than sending it.
        resettle: Whether a worker settles the free phase again that a nudged one starts
            from, instead of receiving its state: a third more work, and nothing larger
            than the coefficients is sent. For equilibria, such as Exact and Sampled,
            whose free state depends on the coefficients alone.

    Raises:
        ValueError: If rows is not positive.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2])
        >>> theta, x = np.ones(model.num_trainable), [[0.5], [1.0]]
        >>> with ThreadPoolExecutor() as pool:
        ...     spread = qep.Parallel(qep.Exact(), pool, rows=1)
        ...     p = qep.predict(model, theta, x, equilibrium=spread)
        >>> bool(np.all(p == qep.predict(model, theta, x)))
        True
    """

    equilibrium: Equilibrium
    executor: Executor
    rows: int | None = None
    resettle: bool = False

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.rows is not None:
            refuse_fractions(rows=self.rows)

    @property
    def follow(self) -> bool:
        """Whether a nudged phase waits for its free one."""
        return bool(getattr(self.equilibrium, "follow", False))

    @property
    def warm(self) -> bool:
        """Whether a training step starts from what the last one settled to."""
        return bool(getattr(self.equilibrium, "warm", False))

    @property
    def sample(self) -> Any:
        """How shots are drawn, where the equilibrium says so."""
        return getattr(self.equilibrium, "sample", None)

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row somewhere; see ``Equilibrium``.

        The generators go on where the workers left theirs.

        Raises:
            RuntimeError: If the executor lost a worker for good.
        """
        if start is not None:
            start = replace(
                start, covariance=None
            )  # M^2 numbers that nobody starts from

        def task(rows: NDArray[np.intp]) -> tuple[Any, ...]:
            begin = None if start is None else start[rows]
            draws = None if rng is None else [rng[b] for b in rows]
            how = (self.resettle, self.equilibrium, operators)
            return *how, coefficients[rows], begin, draws

        order = np.arange(len(coefficients))
        if start is not None and self.resettle:
            order = np.lexsort(start.state[0].T)  # one start: neighbours, settled once
        parts, drawn = zip(*self._spread(_settle, task, order), strict=True)
        if rng is not None:
            for b, state in zip(order.tolist(), itertools.chain(*drawn), strict=True):
                rng[b].bit_generator.state = state
        phase = Phase.join(list(parts))
        return phase[np.argsort(order)] if self.resettle else phase

    def response(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        direction: NDArray[Any],
    ) -> NDArray[np.float64] | Phase:
        """Return the equilibrium's response, row by row somewhere."""
        if not hasattr(self.equilibrium, "response"):
            raise TypeError(
                f"Nudge.infinitesimal needs an equilibrium with a response, got "
                f"{self.equilibrium!r}; use Nudge.centered with it"
            )

        def task(rows: NDArray[np.intp]) -> tuple[Any, ...]:
            how = (self.resettle, self.equilibrium, operators)
            return *how, phase[rows], coefficients[rows], direction[rows]

        order = np.arange(len(coefficients))
        parts = self._spread(_respond, task, order)
        return (
            Phase.join(parts) if isinstance(parts[0], Phase) else np.concatenate(parts)
        )

    def _spread(
        self,
        call: Callable[..., Any],
        task: Callable[[NDArray[np.intp]], tuple[Any, ...]],
        order: NDArray[np.intp],
    ) -> list[Any]:
        """Return ``call(*task(rows))`` of successive pieces of ``order``."""
        size = self.rows or max(1, -(-len(order) // (os.cpu_count() or 1)))
        running: list[Future[Any]] = []
        try:
            for a in range(0, len(order), size):
                running.append(self.executor.submit(call, *task(order[a : a + size])))
            return [future.result() for future in running]
        except BrokenExecutor as error:
            raise RuntimeError(
                f"{type(self.executor).__name__} lost a worker, as happens when memory "
                "runs out, and cannot replace it; go on from your last State with a "
                "new executor of fewer workers, or use Dask, which settles the lost "
                "rows again"
            ) from error
        finally:
            for future in running:  # after an error nobody waits for the rest
                future.cancel()


def _settle(
    resettle: bool,
    equilibrium: Equilibrium,
    operators: Sequence[Any],
    coefficients: NDArray[Any],
    start: Phase | None,
    rng: Sequence[np.random.Generator] | None,
) -> tuple[Phase, list[Any]]:
    """Return the phase, and how far every row's generator was used."""
    if resettle and start is not None:
        start = _again(equilibrium, operators, start)
    phase = equilibrium(operators, coefficients, start=start, rng=rng)
    drawn = [generator.bit_generator.state for generator in rng or ()]
    return (replace(phase, state=(coefficients,)) if resettle else phase), drawn


def _respond(
    resettle: bool,
    equilibrium: Any,
    operators: Sequence[Any],
    phase: Phase,
    coefficients: NDArray[Any],
    direction: NDArray[Any],
) -> Any:
    if resettle:
        phase = _again(equilibrium, operators, phase)
    return equilibrium.response(phase, operators, coefficients, direction)


def _again(equilibrium: Equilibrium, operators: Sequence[Any], phase: Phase) -> Phase:
    """Settle a phase anew whose state is known by its coefficients."""
    distinct, of = np.unique(phase.state[0], axis=0, return_inverse=True)
    return equilibrium(operators, distinct)[of]
