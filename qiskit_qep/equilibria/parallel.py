"""Parallel: the rows of a batch spread over processes, machines, or an MPI job."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Equilibrium, Phase

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Parallel:
    """Another equilibrium, settled by the workers of an executor.

    Row i depends on row i alone, shot noise included, so the result equals the serial
    one bit for bit, however the rows are spread.

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

    def _slices(self, batch: int) -> list[slice]:
        size = self.rows or max(1, -(-batch // (os.cpu_count() or 1)))
        return [slice(a, min(a + size, batch)) for a in range(0, batch, size)]

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row somewhere; see ``Equilibrium``."""
        tasks = [
            self.executor.submit(
                _settle,
                self.equilibrium,
                operators,
                coefficients[rows],
                None if start is None else start[rows],
                None if rng is None else rng[rows],
            )
            for rows in self._slices(len(coefficients))
        ]
        return Phase.join([task.result() for task in tasks])

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
        tasks = [
            self.executor.submit(
                self.equilibrium.response,
                phase[rows],
                operators,
                coefficients[rows],
                direction[rows],
            )
            for rows in self._slices(len(coefficients))
        ]
        return np.concatenate([task.result() for task in tasks])


def _settle(
    equilibrium: Equilibrium,
    operators: Sequence[Any],
    coefficients: NDArray[Any],
    start: Phase | None,
    rng: Sequence[np.random.Generator] | None,
) -> Phase:
    return equilibrium(operators, coefficients, start=start, rng=rng)
