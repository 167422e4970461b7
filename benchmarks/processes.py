"""What a process costs: imports, peak memory, a whole training, a second worker."""

from __future__ import annotations

import os
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import qiskit_qep as qep

from ._measure import OURS, Entrant, Sample, alone, race
from ._threads import one_thread
from .gradients import distance_from
from .problems import BETA, Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

GIB = 1024**3
TRAINING = 5000  # batches of the published training
TIMED = 40  # of which this many are timed


def imports(_: int) -> Sample:
    """Import the package and Qiskit, in turn."""
    raw: dict[str, list[float]] = {OURS: [], "import qiskit": []}
    for _ in range(3):
        for name, call in zip(raw, ("import_qiskit_qep", "import_qiskit"), strict=True):
            raw[name].append(alone(call)["seconds"])
    return Sample({name: min(readings) for name, readings in raw.items()}, raw=raw)


def peak_memory(num_spins: int, _: int) -> Sample:
    """Settle once each; the figures are bytes."""
    return Sample(
        {
            OURS: alone("ground_state", num_spins)["peak_bytes"],
            "Qiskit sparse + eigsh": (
                alone("sparse_ground_state", num_spins)["peak_bytes"]
                if num_spins <= 22  # 17 GB and hours at 24
                else None
            ),
        }
    )


def large_gradient(num_spins: int, _: int) -> Sample:
    """Take one gradient; the figure is the peak memory in GiB."""
    found = alone("gradient", num_spins, threads=os.cpu_count() or 1)
    return Sample(
        {OURS: found["peak_bytes"] / GIB}, beside={"seconds": found["seconds"]}
    )


def sensor_training(_: int) -> Sample:
    """Train for TIMED batches; the figure is the minutes of TRAINING such batches."""
    found = alone("sensor_training", TIMED, threads=os.cpu_count() or 1)
    return Sample({OURS: found["seconds"] / TIMED * TRAINING / 60})


def workers(num_spins: int, batch: int, most: int, seed: int) -> Sample:
    """Spread a batch over 1 to ``most`` processes of one thread each, in turn.

    Ours is the largest number. Errors are differences from what this process finds
    alone, which are to be zero.
    """
    network = Network.random(num_spins, seed, batch=batch)
    serial = settle_with(qep.Exact(), network)()
    os.environ |= one_thread()  # of the workers to come
    names = [*(f"{k} worker" + "s" * (k > 1) for k in range(1, most)), OURS]
    spawn = get_context("spawn")
    with ExitStack() as stack:
        entrants: dict[str, Entrant | None] = {}
        for count, name in enumerate(names, start=1):
            pool = stack.enter_context(ProcessPoolExecutor(count, spawn))
            spread = qep.Parallel(qep.Exact(), pool, rows=max(1, batch // (4 * count)))
            entrants[name] = Entrant(
                settle_with(spread, network), distance_from(serial)
            )
        return race(entrants, repeats=5, budget=60.0)


def task_overhead(_: int) -> Sample:
    """Time an empty task from its submission to its result, 200 at once."""

    def empty(executor: Executor) -> Entrant:
        def call() -> list[int]:
            running = [executor.submit(abs, k) for k in range(200)]
            return [future.result() for future in running]

        return Entrant(call, per=200)

    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
        dask = stack.enter_context(dask_cluster()) if find_spec("distributed") else None
        return race(
            {"process pool": empty(pool), "Dask": empty(dask) if dask else None}
        )


@contextmanager
def dask_cluster() -> Iterator[Any]:
    """Give the executor of a Dask cluster of one worker here."""
    distributed: Any = import_module("distributed")
    how = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(**how) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


def settle_with(
    equilibrium: qep.Equilibrium, network: Network
) -> Callable[[], NDArray[np.float64]]:
    """Return the call that gives the centred gradient."""
    args = (network.model, network.theta, network.x, network.y)
    nudge = qep.Nudge.centered(BETA)
    return lambda: qep.gradient(*args, equilibrium=equilibrium, nudge=nudge).values
