"""A chain finds a phase: <X_0 X_4> grows to 1 in steps of fixed length.

C. C. Wanjura, F. Marquardt, arXiv:2406.06482, and the data of their published code:
an open chain of 10 spins,

    H = - g_X sum X_j - g_ZZ sum Z_j Z_{j+1} - g_ZXZ sum_{j > 0} Z_j X_{j+1} Z_{j+2},

of which (g_X, g_ZZ) are trained to raise |<X_0 X_4>| by steps of length .1 along the
gradient, measured with a one-sided nudge -.1 X_0 X_4, while g_ZXZ = .5.
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp

import qiskit_qep as qep

from .table import Line, show

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Their |<X_0 X_4>| by step, and where the walk starts in (g_X, g_ZZ).
RUNS = {
    (-0.1, 0.4): {
        0: 8.707537085512019e-03,
        1: 9.295561515052823e-02,
        2: 2.640502425727224e-01,
        5: 7.565768226750411e-01,
        10: 9.401234149456670e-01,
        30: 9.931652802646425e-01,
        99: 9.991330141084154e-01,
    },
    (0.2, 0.9): {
        0: 6.837687356238586e-02,
        1: 1.154945619172310e-01,
        2: 1.725296352239724e-01,
        5: 4.170832468422725e-01,
        10: 8.839802241683761e-01,
        30: 9.922901996777134e-01,
        99: 9.989578715418836e-01,
    },
}
# Points (i, j) of their table of <X_0 X_4>: g_ZZ is -2.01 + .0401 i, g_X so by j.
GRID = {
    (0, 0): 6.486359195283959e-01,
    (0, 99): 4.944417810067988e-01,
    (1, 0): 6.628343753005463e-01,
    (2, 25): 9.555896985367976e-02,
    (6, 0): 7.281450006792289e-01,
    (51, 44): 3.592116183550700e-01,
    (51, 64): 7.990385080087268e-01,
    (52, 42): 5.049886605562781e-01,
    (52, 47): 1.180422038773051e-01,
    (52, 99): 9.830348168504282e-01,
    (53, 40): 6.247525861791641e-01,
    (53, 50): -7.518513268855287e-05,
    (54, 45): 1.963150787647527e-01,
    (54, 99): 9.808569724491349e-01,
}
STRENGTH = 0.5  # of the fixed cluster terms
STEP, BETA = 0.1, 0.1


def chain() -> qep.Model:
    """Return the chain, which reads X_0 X_4; the code leaves out its first ZXZ."""
    cluster = qep.models.cluster_ising(10, edges="chain")
    zxz = SparsePauliOp.sum(cluster.trainable[1:8])
    _, zz, x = qep.models.cluster_ising(10, edges="chain", uniform=True).trainable
    return qep.Model((x, zz), readout=("IIIIIXIIIX",), fixed=-STRENGTH * zxz)


def explore(start: tuple[float, float], steps: int) -> tuple[Array, Array]:
    """Return the walk in (g_X, g_ZZ) and |<X_0 X_4>| along it."""
    model, walk, values = chain(), [np.array(start)], []
    # Ends of the chain carry nearly free spins: what a nudged state follows matters.
    exact = qep.Exact(follow=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of just these small gaps
        for _ in range(steps):
            theta, p = walk[-1], qep.predict(model, walk[-1], [])[0, 0]
            how: dict[str, Any] = {"loss": qep.expectation, "equilibrium": exact}
            nudge = qep.Nudge.one_sided(BETA * np.sign(p))  # -.1 X X for both signs
            found = qep.gradient(model, theta, [], [-np.sign(p)], nudge=nudge, **how)
            values.append(abs(p))
            walk.append(theta - STEP * found.values / np.linalg.norm(found.values))
    return np.array(walk), np.array(values)


def grid(points: Iterable[tuple[int, int]]) -> Array:
    """Return <X_0 X_4> at points of the published table."""
    model, exact = chain(), qep.Exact(follow=False)
    at = [(-2.01 + 0.0401 * j, -2.01 + 0.0401 * i) for i, j in points]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of small gaps
        return np.array([qep.predict(model, t, [], equilibrium=exact) for t in at])


def run(seeds: int | None = None, *, full: bool = False) -> None:
    """Walk from both published starts; there is no chance in it, and no seed."""
    lines = []
    begun = time.perf_counter()
    for start, published in RUNS.items():
        _, values = explore(start, 1 + max(published))
        for step, theirs in published.items():
            name = f"|<X_0 X_4>| from {start}, step {step}"
            lines.append(Line(name, f"{theirs:.6f}", f"{values[step]:.6f}"))
    seconds = time.perf_counter() - begun
    off = np.abs(grid(GRID).ravel() - list(GRID.values())).max()
    lines.append(
        Line(f"<X_0 X_4> on {len(GRID)} points, largest error", "-", f"{off:.0e}")
    )
    lines.append(Line("time of both walks", "-", f"{seconds:.1f} s"))
    show("Phase exploration (arXiv:2406.06482)", lines, ())
