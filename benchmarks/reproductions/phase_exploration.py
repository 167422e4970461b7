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
    lines.append(Line("time of both walks", "-", f"{seconds:.1f} s"))
    show("Phase exploration (arXiv:2406.06482)", lines, ())
