"""Digits on an Ising machine: classical spins, and the same in transverse fields.

After J. Laydevant, D. Markovic, J. Grollier, Nat. Commun. 15 (2024): pixels drive 120
hidden spins through trained fields, those couple to 40 outputs, four for each digit,
and the nudge is 5 in their units, 2.5 in ours. Theirs were 1000 + 100 images of MNIST,
28 x 28, in single steps of plain descent over 50 epochs, and nudged phases annealed
backwards from free ones. Ours are 1000 + 100 of scikit-learn's digits, 8 x 8, Adam on
batches of 10, and nudged phases annealed afresh.

The second network is small enough to be settled exactly, without and with transverse
fields h: digits 0 to 3 by 6 hidden spins and 4 outputs.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp

import qiskit_qep as qep

from .table import Line, show, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PUBLISHED = "0.888 ± 0.015"


@dataclass(frozen=True)
class Machine:
    """A network of two layers and how it is trained.

    Attributes:
        classes: Digits 0 to this, exclusive.
        hidden: Number of hidden spins.
        copies: Outputs per digit.
        h: Transverse field on every spin.
        beta: One-sided nudge of the cost observable.
        rate: Of Adam.
        equilibrium: What settles it.
        scale: Of the initial fields on hidden spins.
    """

    classes: int
    hidden: int
    copies: int
    h: float
    beta: float
    rate: float
    equilibrium: Any
    scale: float = 0.05

    def model(self) -> qep.Model:
        """Return the network with trained fields from 64 pixels to hidden spins."""
        outputs = range(self.hidden, self.hidden + self.classes * self.copies)
        size = outputs.stop
        spins = qep.models.classical_ising(
            size,
            edges=product(range(self.hidden), outputs),
            inputs=range(self.hidden),
            readout=outputs,
        )
        if self.h:
            each = [("X", [k], -self.h) for k in range(size)]
            spins = replace(spins, fixed=SparsePauliOp.from_sparse_list(each, size))
        return qep.linear_inputs(spins, 64, scale=self.scale)

    def learn(self, seed: int, epochs: int, images: int = 1000) -> float:
        """Train on some digits; return the accuracy on 100 others."""
        model, rng = self.model(), np.random.default_rng(seed)
        pixels, digits = qep.datasets.digits()
        pixels, digits = pixels[digits < self.classes], digits[digits < self.classes]
        order = rng.permutation(len(digits))
        pixels = 2.0 * pixels - 1.0
        chosen, others = order[: min(images, len(order) - 100)], order[-100:]
        y = np.where(np.arange(self.classes) == digits[:, None], 1.0, -1.0)
        y = np.repeat(y, self.copies, axis=1)
        state = qep.train(
            model,
            pixels[chosen],
            y[chosen],
            steps=epochs * len(chosen) // 10,
            batch_size=10,
            theta=self.start(model, rng),
            optimizer=qep.adam(self.rate),
            nudge=qep.Nudge.one_sided(self.beta),
            loss=qep.cost_observable,
            equilibrium=self.equilibrium,
            seed=seed,
            progress=False,
        )
        how: dict[str, Any] = {"equilibrium": self.equilibrium, "seed": seed}
        votes = qep.predict(model, state.theta, pixels[others], **how)
        votes = votes.reshape(100, self.classes, self.copies).sum(axis=2)
        # Classical spins tie; of equal votes the first would win too often.
        votes += 1e-9 * rng.standard_normal(votes.shape)
        return float((votes.argmax(axis=1) == digits[others]).mean())

    def start(self, model: qep.Model, rng: np.random.Generator) -> Array:
        """Draw couplings as small as there are many, and fields from the pixels."""
        theta = model.initial(rng)
        outputs = self.classes * self.copies
        count = outputs * self.hidden
        theta[:count] *= 2.5 * np.sqrt(1 / self.hidden)
        theta[count : count + self.hidden + outputs] = 0.0
        return theta


LARGE = Machine(10, 120, 4, 0.0, 2.5, 0.002, qep.Annealed(10, 50))
AFRESH = qep.Exact(follow=False)  # at large nudges
SMALL = Machine(4, 6, 1, 0.0, 0.3, 0.003, qep.Enumerated())
MACHINES = {
    "64-120-40, annealed": LARGE,
    "64-6-4, enumerated": SMALL,
    "64-6-4, h = 0.05": replace(SMALL, h=0.05, equilibrium=AFRESH),
    "64-6-4, h = 0.5": replace(SMALL, h=0.5, equilibrium=AFRESH),
}


def run(seeds: int | None = None, *, full: bool = False) -> None:
    """Train the machines and print their accuracies."""
    epochs, count = (50 if full else 2), seeds or (5 if full else 2)
    lines = []
    for name, machine in MACHINES.items():
        begun = time.perf_counter()
        with warnings.catch_warnings():  # nudges beyond the gap are what is meant
            warnings.simplefilter("ignore")
            scores = [machine.learn(seed, epochs) for seed in range(count)]
        seconds = (time.perf_counter() - begun) / count
        published = PUBLISHED if machine is LARGE else "-"
        lines.append(Line(f"accuracy, {name}", published, spread(scores)))
        lines.append(Line(f"time per seed, {epochs} epochs", "-", f"{seconds:.0f} s"))
        print(f"{name}: {scores}", flush=True)
    show(
        "Digits on an Ising machine (Nat. Commun. 15, 2024)",
        lines,
        ("published: 784-120-40, MNIST/100, 50 epochs; the file says what differs",),
    )
