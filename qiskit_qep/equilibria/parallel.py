"""Parallel: the rows of a batch spread over processes, machines, or an MPI job."""

from __future__ import annotations

import os
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Equilibrium, Phase

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

    Dask runs the tasks of a worker that dies again. A process pool and MPI cannot; the
    error then says how to go on.

    Attributes:
        equilibrium: What settles.
        executor: Any ``concurrent.futures.Executor``: a process pool, Dask's
            ``client.get_executor()``, ``mpi4py.futures.MPIPoolExecutor``.
        rows: Rows per task; by default a batch is cut into as many tasks as there are
            cores here. Settling a row should take longer than sending it.

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

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.rows is not None and self.rows < 1:
            raise ValueError(f"rows should be at least 1, got {self.rows}")

    @property
    def follow(self) -> bool:
        """Whether a nudged phase waits for its free one."""
        return bool(getattr(self.equilibrium, "follow", False))

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row somewhere; see ``Equilibrium``.

        Raises:
            RuntimeError: If the executor lost a worker for good.
        """

        def task(rows: slice) -> tuple[Any, ...]:
            begin = None if start is None else start[rows]
            draws = None if rng is None else rng[rows]
            return self.equilibrium, operators, coefficients[rows], begin, draws

        return Phase.join(self._spread(_settle, task, len(coefficients)))

    def response(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        direction: NDArray[Any],
    ) -> NDArray[np.float64]:
        """Return the equilibrium's response, row by row somewhere."""
        if not hasattr(self.equilibrium, "response"):
            raise TypeError(
                f"Nudge.infinitesimal needs an equilibrium with a response, got "
                f"{self.equilibrium!r}; use Nudge.centered with it"
            )

        def task(rows: slice) -> tuple[Any, ...]:
            return phase[rows], operators, coefficients[rows], direction[rows]

        respond = self.equilibrium.response
        return np.concatenate(self._spread(respond, task, len(coefficients)))

    def _spread(
        self,
        call: Callable[..., Any],
        task: Callable[[slice], tuple[Any, ...]],
        batch: int,
    ) -> list[Any]:
        """Return ``call(*task(rows))`` of all slices of rows, in their order."""
        size = self.rows or max(1, -(-batch // (os.cpu_count() or 1)))
        running: list[Future[Any]] = []
        try:
            for a in range(0, batch, size):
                rows = slice(a, min(a + size, batch))
                running.append(self.executor.submit(call, *task(rows)))
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
    equilibrium: Equilibrium,
    operators: Sequence[Any],
    coefficients: NDArray[Any],
    start: Phase | None,
    rng: Sequence[np.random.Generator] | None,
) -> Phase:
    return equilibrium(operators, coefficients, start=start, rng=rng)
