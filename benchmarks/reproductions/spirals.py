"""Two spirals on six spins with couplings along X and Z.

The network, the nudge .01, the 200 epochs and the rate .001 are those of a public code
for S. Massar, B. M. Mognetti, arXiv:2405.08467, which states no accuracy. Its sets and
batches are not ours: 200 samples of ``datasets.spirals``, in batches of 20, inputs
times 3, plain Adam in place of AdamW.
"""

from __future__ import annotations

import time
import warnings

import qiskit_qep as qep

from .table import Line, show, spread

EDGES = [
    *((0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)),
    *((2, 3), (3, 4), (4, 2), (2, 5), (3, 5), (4, 5)),
]
EPOCHS, SHORT = 200, 60
STRENGTH = 3.0
RATES = (0.001, 0.01)


def network() -> qep.Model:
    """Return the six spins: two inputs, three between, one output."""
    return qep.models.xx_zz_network(6, edges=EDGES, inputs=[0, 1], readout=[5])


def learn(seed: int, epochs: int, rate: float) -> tuple[float, float]:
    """Train on one set of spirals; return the accuracies on it and on another."""
    model = network()
    x, y = qep.datasets.spirals(200, seed=seed)
    state = qep.train(
        model,
        STRENGTH * x,
        y,
        steps=epochs * len(x) // 20,
        batch_size=20,
        optimizer=qep.adam(rate),
        nudge=qep.Nudge.centered(0.01),
        seed=seed,
        progress=False,
    )
    test = qep.datasets.spirals(200, seed=10_000 + seed)
    scores = [
        float((qep.predict(model, state.theta, STRENGTH * x) * y > 0).mean())
        for x, y in ((x, y), test)
    ]
    return scores[0], scores[1]


def run(seeds: int | None = None, *, full: bool = False) -> None:
    """Train some networks and print their accuracies."""
    epochs, count = (EPOCHS if full else SHORT), seeds or (10 if full else 2)
    lines = []
    for rate in RATES:
        begun = time.perf_counter()
        with warnings.catch_warnings():  # of small gaps, which this network has
            warnings.simplefilter("ignore")
            scores = [learn(seed, epochs, rate) for seed in range(count)]
        seconds = (time.perf_counter() - begun) / count
        for k, what in enumerate(("training", "new")):
            ours = spread([score[k] for score in scores])
            lines.append(Line(f"accuracy, {what} spirals, Adam {rate}", "-", ours))
        lines.append(Line(f"time per seed, {epochs} epochs", "-", f"{seconds:.0f} s"))
    show("Spirals on six spins (arXiv:2405.08467)", lines, ())
