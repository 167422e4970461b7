"""A phase sensor of Kitaev's honeycomb, beside the exact phase diagram.

The sensor and its loss are those of C. C. Wanjura, F. Marquardt, arXiv:2406.06482: two
spins, free to couple to one cell, learn to say which phase the rest is in. The rest is
a torus of 2 x 2 cells in its exact ground state, and the right answer is the phase of
the infinite plane: A_x, A_y or A_z where one J exceeds the sum of the two others, the
gapless B elsewhere. No figure is published for it. Batches of 10 points of the
triangle, Adam from .02 down along a cosine, centred nudge .2, no noise, 200 points to
test on.
"""

from __future__ import annotations

import time
import warnings
from itertools import islice
from typing import TYPE_CHECKING

import qiskit_qep as qep

from .cluster_sensor import accuracies
from .table import Line, show, spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

BATCHES, SHORT = 2000, 400
NEAR = 0.2  # of a boundary: 27 % of the triangle, where a torus of 8 spins is vague
PHASES = ("A_x", "A_y", "A_z", "B")
AFRESH = qep.Exact(follow=False)  # levels of a small torus cross at nudges of .2


def learn(seed: int, batches: int) -> Array:
    """Train a sensor; return theta."""
    x, y = qep.datasets.kitaev_honeycomb(10 * batches, seed=seed)
    states = qep.steps(
        qep.models.kitaev_sensor(),
        x,
        y,
        optimizer=qep.adam(qep.cosine(0.02, batches)),
        equilibrium=AFRESH,
        nudge=qep.Nudge.centered(0.2),
        batch_size=10,
        seed=seed,
    )
    return next(islice(states, batches, None)).theta


def scores_by_place(theta: Array, seed: int, points: int = 200) -> dict[str, float]:
    """Return what is right at new points: choices, by place, and single shots."""
    x, y = qep.datasets.kitaev_honeycomb(points, seed=10_000 + seed)
    p = qep.predict(qep.models.kitaev_sensor(), theta, x, equilibrium=AFRESH)
    (right, shots), far = accuracies(p, y), abs(x.max(axis=1) - 2) > NEAR
    found = {
        "right choices": right.mean(),
        f"right choices, {NEAR} from boundaries": right[far].mean(),
        "right shots": shots.mean(),
    }
    found |= {
        f"right choices in {phase}": right[y[:, k] == 1].mean()
        for k, phase in enumerate(PHASES)
    }
    return {name: float(value) for name, value in found.items()}


def run(seeds: int | None = None, *, full: bool = False) -> None:
    """Train some sensors and print how they do."""
    batches, count = (BATCHES if full else SHORT), seeds or (10 if full else 2)
    scores, seconds = [], []
    for seed in range(count):
        begun = time.perf_counter()
        with warnings.catch_warnings():  # a torus this small is nearly degenerate
            warnings.simplefilter("ignore")
            scores.append(scores_by_place(learn(seed, batches), seed))
        seconds.append(time.perf_counter() - begun)
        print(f"seed {seed}: {scores[-1]}", flush=True)
    lines = [
        Line(name, "-", spread([score[name] for score in scores])) for name in scores[0]
    ]
    lines.append(
        Line(f"time per seed, {batches} batches", "-", f"{spread(seconds, 0)} s")
    )
    show(
        "Kitaev honeycomb phase sensor, against the exact diagram",
        lines,
        ("mean ± sd over (seeds); a constant guess is right at .25 of the points",),
    )
