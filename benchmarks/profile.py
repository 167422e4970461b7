"""Where the time goes: what settling a state and taking a gradient are made of.

    python -m benchmarks.profile [CASE ...]

prints one row per case, on one thread. The share of the products H v is measured by
computing each of them twice: a call takes so much longer.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ._threads import one_thread

os.environ |= one_thread()  # before a library reads it

import qiskit_qep as qep
from qiskit_qep import _eigenstates, _expectations, _kernels
from qiskit_qep._native import jit

from .gradients import CENTERED, RESPONSE, ours
from .problems import Network, Sensor
from .report import markdown, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPEATS = 15
COMPILED = (
    (_eigenstates, "settle"),
    (_eigenstates, "respond"),
    (_expectations, "expectations"),
    (_kernels, "apply_rows"),
)


def ground(num_spins: int, batch: int = 1) -> Callable[[], Any]:
    """Return the call that settles a batch."""
    network = Network.random(num_spins, 0, batch=batch)
    model, exact = network.model, qep.Exact()
    rows = model.coefficients(network.theta, network.x)
    return lambda: exact(model.operators, rows)


def gradient(nudge: qep.Nudge, num_spins: int, batch: int = 1) -> Callable[[], Any]:
    """Return the call that takes a gradient."""
    return ours(Network.random(num_spins, 0, batch=batch), nudge)


CASES: dict[str, tuple[Callable[[], Callable[[], Any]], int]] = {
    "ground-8": (partial(ground, 8), 1),
    "ground-8-x64": (partial(ground, 8, 64), 64),
    "ground-12-x64": (partial(ground, 12, 64), 64),
    "ground-16": (partial(ground, 16), 1),
    "ground-20": (partial(ground, 20), 1),
    "centered-8": (partial(gradient, CENTERED, 8), 1),
    "centered-8-x64": (partial(gradient, CENTERED, 8, 64), 64),
    "centered-12-x64": (partial(gradient, CENTERED, 12, 64), 64),
    "centered-16": (partial(gradient, CENTERED, 16), 1),
    "response-10": (partial(gradient, RESPONSE, 10), 1),
    "response-14": (partial(gradient, RESPONSE, 14), 1),
    "batch-12": (partial(gradient, RESPONSE, 12, 16), 16),
    "sensor": (lambda: ours(Sensor.random(0), CENTERED), 10),
}


def twice() -> Any:
    """Return what computes a product H v and computes it again."""
    once = _kernels.apply_to

    @jit
    def again(h, v, out, team):  # type: ignore[no-untyped-def]  # numba infers them
        once(h, v, out, team)
        return once(h, v, out, team)

    return again


@contextmanager
def replaced(changes: dict[tuple[Any, str], Any]) -> Iterator[None]:
    """Replace attributes of modules for a while."""
    real = {(module, name): getattr(module, name) for module, name in changes}
    try:
        for where, value in changes.items():
            setattr(*where, value)
        _kernels.address.cache_clear()
        yield
    finally:
        for where, value in real.items():
            setattr(*where, value)
        _kernels.address.cache_clear()


def watched(spent: list[float]) -> dict[tuple[Any, str], Any]:
    """Return the compiled loops; each call of one notes its seconds."""

    def watch(call: Callable[..., Any]) -> Callable[..., None]:
        def timed(*args: Any) -> None:
            begun = time.perf_counter()
            call(*args)
            spent.append(time.perf_counter() - begun)

        return timed

    return {where: watch(getattr(*where)) for where in COMPILED}


def shares(call: Callable[[], Any], again: Any) -> tuple[float, float, float]:
    """Return the seconds of a call, and the shares of H v and of all compiled loops.

    Least readings of plain, doubled and watched calls in turn: load only adds.
    """

    def seconds(changes: dict[tuple[Any, str], Any]) -> float:
        with replaced(changes):
            call()  # in case it compiles, and to have everything at hand
            begun = time.perf_counter()
            call()
            return time.perf_counter() - begun

    plain, doubled, compiled = [], [], []
    for _ in range(REPEATS):
        plain.append(seconds({}))
        doubled.append(seconds({(_kernels, "apply_to"): again}))
        spent: list[float] = []
        seconds(watched(spent))
        compiled.append(sum(spent[len(spent) // 2 :]))  # of the second of two calls
    total = min(plain)
    return total, (min(doubled) - total) / total, min(compiled) / total


def main() -> None:
    """Print the table."""
    names = sys.argv[1:] or list(CASES)
    if unknown := set(names) - set(CASES):
        raise SystemExit(f"no case is called {unknown}; there are {', '.join(CASES)}")
    warnings.simplefilter("ignore")  # some nudges come near a gap; only time counts
    again, rows = twice(), []
    for name in names:
        prepare, per = CASES[name]
        total, products, compiled = shares(prepare(), again)
        parts = (products, compiled - products, 1.0 - compiled)
        rows.append([name, quantity(total / per, "s"), *(f"{p:.0%}" for p in parts)])
    heads = ["case", "per row", "H v", "other compiled loops", "Python and NumPy"]
    print(markdown(heads, rows))


if __name__ == "__main__":
    main()
