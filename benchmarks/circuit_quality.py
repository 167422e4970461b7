"""How close gradients from circuits are to those from exact ground states."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.circuit.library import efficient_su2

import qiskit_qep as qep

from .success_rates import wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SPINS = 6
CORNERS = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
GAP = 0.5
FAILED = 0.85  # cosines below
FLAG = 0.3  # doublings above
SHORT = 0.5  # gradients below
SHOTS = 100_000
WEAK = qep.Nudge.centered(0.05).normalized()  # without shots: its own bias is small
STRONG = qep.Nudge.centered(0.2).normalized()
INTRODUCTION = f"""\
Instances: {SPINS} spins, all coupled, J ~ N(0, 0.5), h ~ U(0.5, 1), b ~ N(0, 0.5), one
readout, targets +-1 at random, inputs +-1 on two spins, drawn again until every sample
has a gap above {GAP}. "1 sample" is one of the four inputs, "4 samples" the mean
gradient over all four. Cosine and length are against the exact derivative of the ground
states. "Gates" act on two qubits: rzz of a ramp, CX of efficient_su2."""
HEADS = (
    "circuit",
    "gates",
    "samples",
    "instances",
    "median cosine",
    "10 % quantile",
    "worst",
    f"below {FAILED}",
    "length, median (range)",
    "fidelity",
)


@dataclass(frozen=True)
class Instance:
    """One network with one or four samples, and its exact gradient.

    Attributes:
        seed: What it was drawn with.
        theta: Shape (num_trainable,).
        x: Inputs, shape (batch, 2).
        y: Targets, shape (batch, 1).
    """

    seed: int
    theta: Array
    x: Array
    y: Array

    def gradient(self, equilibrium: Any, nudge: qep.Nudge) -> qep.Gradient:
        """Return the gradient by all parameters."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tables count what goes wrong
            return qep.gradient(
                network(),
                self.theta,
                self.x,
                self.y,
                equilibrium=equilibrium,
                nudge=nudge,
                seed=self.seed,
            )

    @cached_property
    def truth(self) -> Array:
        """The exact derivative of the ground states' loss."""
        return self.gradient(qep.Exact(), qep.Nudge.infinitesimal()).values

    def fidelity(self, preparation: Any) -> float:
        """Return the mean overlap of the prepared states with the ground states."""
        operators = network().operators
        rows = network().coefficients(self.theta, self.x)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours, ground = (
                settle(operators, rows, rng=streams(self)).state[0]
                for settle in (qep.Prepared(preparation), qep.Exact())
            )
        return float(np.mean(np.abs((ours.conj() * ground).sum(axis=1)) ** 2))


@dataclass(frozen=True)
class Circuit:
    """One row of a table.

    Attributes:
        name: How to write it down.
        preparation: Prepares the states.
        most: Instances at most; those of a VQE take seconds each.
    """

    name: str
    preparation: Any
    most: int = 1000


def streams(instance: Instance) -> list[np.random.Generator]:
    """Return a generator for every sample."""
    return [np.random.default_rng([instance.seed, b]) for b in range(len(instance.x))]


@cache
def network() -> qep.Model:
    """Return the network of all instances."""
    return qep.models.transverse_field_ising(SPINS, inputs=[0, 1], readout=[SPINS - 1])


def draw(seed: int, batch: int) -> Instance:
    """Draw a network and its samples until every gap is large enough."""
    rng, model = np.random.default_rng([seed, batch]), network()
    pairs = SPINS * (SPINS - 1) // 2
    while True:
        parts = (
            rng.normal(0.0, 0.5, pairs),
            rng.uniform(0.5, 1.0, SPINS),
            rng.normal(0.0, 0.5, SPINS),
        )
        theta = np.concatenate(parts)
        x = CORNERS if batch == len(CORNERS) else CORNERS[rng.integers(4, size=batch)]
        y = rng.choice([-1.0, 1.0], (batch, 1))
        gap = qep.Exact()(model.operators, model.coefficients(theta, x)).gap
        if gap is not None and np.min(gap) > GAP:
            return Instance(seed, theta, x, y)


def circuits() -> tuple[Circuit, ...]:
    """Return what is compared without shots."""
    linear = qep.Ramp(schedule="linear")
    return (
        *(Circuit(f"Ramp({t}, {n})", qep.Ramp(t, n)) for t, n in RAMPS),
        Circuit("Ramp(), the default: (24, 72)", qep.Ramp()),
        Circuit('Ramp(16, 48, schedule="linear")', replace(linear, time=16, steps=48)),
        Circuit('Ramp(schedule="linear")', linear),
        Circuit('Ramp(schedule="smooth")', qep.Ramp(schedule="smooth")),
        Circuit("Ramp(order=1)", qep.Ramp(order=1)),
        Circuit("Ramp(counterdiabatic=True)", qep.Ramp(counterdiabatic=True)),
        Circuit("Ramp(driver=-1.5 sum X)", qep.Ramp(driver=driver(1.5))),
        Circuit("VQE, Ramp(1, 1)", qep.Variational("exact", qep.Ramp(1, 1)), 20),
        Circuit("VQE, Ramp(1.5, 2), the default", qep.Variational("exact"), 20),
        Circuit(
            "VQE, efficient_su2", qep.Variational("exact", efficient_su2(SPINS)), 10
        ),
    )


RAMPS = ((2, 6), (4, 12), (8, 24), (16, 48))


def driver(strength: float) -> Any:
    """Return -strength sum X."""
    from qiskit.quantum_info import SparsePauliOp

    terms = [("X", [q], -strength) for q in range(SPINS)]
    return SparsePauliOp.from_sparse_list(terms, SPINS)


def compare(ours: Array, truth: Array) -> tuple[float, float]:
    """Return the cosine of two gradients, and the ratio of their lengths."""
    a, b = np.linalg.norm(ours), np.linalg.norm(truth)
    return float(ours @ truth / (a * b)), float(a / b)


def measure(
    circuit: Circuit,
    instances: list[Instance],
    settle: Callable[[Any], Any] = qep.Prepared,
    nudge: qep.Nudge = WEAK,
) -> str:
    """Return a line of the table."""
    chosen = instances[: circuit.most]
    equilibrium = settle(circuit.preparation)
    pairs = [
        compare(instance.gradient(equilibrium, nudge).values, instance.truth)
        for instance in chosen
    ]
    cosines, lengths = np.array(pairs).T
    fidelity = [instance.fidelity(circuit.preparation) for instance in chosen]
    gates = circuit.preparation.circuit(network().operators).num_nonlocal_gates()
    cells = (
        circuit.name,
        str(gates),
        str(len(chosen[0].x)),
        str(len(chosen)),
        f"{np.median(cosines):.4f}",
        f"{np.quantile(cosines, 0.1):.3f}",
        f"{cosines.min():.2f}",
        failed((cosines < FAILED).sum(), len(cosines)),
        f"{np.median(lengths):.3f} ({lengths.min():.2g} to {lengths.max():.2g})",
        f"{np.median(fidelity):.4f}",
    )
    return f"| {' | '.join(cells)} |"


def failed(count: int, of: int) -> str:
    """Return a count and the 95 % confidence interval of its share."""
    low, high = wilson(count, of)
    return f"{count} ({low:.0f} to {high:.0f} %)"


def failures(instances: list[Instance]) -> Iterator[str]:
    """Yield why the default ramp fails where it does, and what tells."""
    ramp = qep.Ramp()
    slow = replace(ramp, time=2 * ramp.time, steps=2 * ramp.steps)
    rows = []
    for instance in instances:
        truth = instance.truth
        ours, slower = (
            instance.gradient(qep.Prepared(r), WEAK).values for r in (ramp, slow)
        )
        doubling = np.linalg.norm(ours - slower) / np.linalg.norm(slower)
        rows.append((compare(ours, truth)[0], np.linalg.norm(truth), doubling))
    cosine, length, doubling = np.array(rows).T
    bad, flagged, short = cosine < FAILED, doubling > FLAG, length < SHORT
    kept = cosine[~flagged]
    yield (
        f"| {len(instances[0].x)} | {bad.sum()} of {len(bad)} "
        f"| {(bad & short).sum()} of {bad.sum()} | {np.median(length):.2f} "
        f"| {(bad & flagged).sum()} of {bad.sum()} | {(flagged & ~bad).sum()} "
        f"| {kept.min() if len(kept) else np.nan:.3f} |"
    )


def table(heads: tuple[str, ...]) -> str:
    """Return the first two lines of a Markdown table."""
    return f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}"


def lines(seeds: int = 60, *, quick: bool = False) -> Iterator[str]:
    """Yield the report line by line.

    Args:
        seeds: Instances of each kind; a third of them with shots.
        quick: Whether to leave out what takes long.
    """
    seeds = 3 if quick else seeds
    sets = [[draw(k, batch) for k in range(seeds)] for batch in (1, len(CORNERS))]
    yield "### Gradients of circuits, no shots\n"
    yield INTRODUCTION + "\n"
    yield table(HEADS)
    for circuit in circuits():
        if quick and circuit.most < seeds * 20:
            continue
        for instances in sets:
            yield measure(circuit, instances)
    yield "\n### Where the default ramp fails\n"
    yield (
        f"Failed is a cosine below {FAILED}; short an exact gradient below {SHORT}. "
        "Flagged: the gradient\nchanges by more than "
        f'{FLAG} of its length when the ramp takes twice as long ("doubling" of\n'
        "fidelity_report, which needs no exact state).\n"
    )
    heads = ("samples", "failed", "of them short", "median length", "of them flagged")
    yield table((*heads, "flagged, not failed", "worst cosine not flagged"))
    for instances in sets:
        yield from failures(instances)
    yield from with_shots(sets, quick=quick)


def with_shots(sets: list[list[Instance]], *, quick: bool) -> Iterator[str]:
    """Yield the table of the default ramp and VQE, measured on Aer."""
    shots = 1000 if quick else SHOTS
    settle = partial(qep.Prepared, sampler=qep.AerSampler, shots=shots)
    ramp, vqe = qep.Ramp(), qep.Variational("exact")
    plain = qep.Nudge.centered(STRONG.reach)
    rows = (
        (Circuit(f"Ramp(), {STRONG}", ramp), STRONG),
        (Circuit(f"Ramp(), {plain}", ramp), plain),
        (Circuit(f"VQE, Ramp(1.5, 2), {STRONG}", vqe), STRONG),
        (Circuit(f"VQE, Ramp(1.5, 2), {plain}", vqe), plain),
    )
    yield f"\n### Gradients of circuits, {shots} shots on Aer\n"
    yield table(HEADS)
    for circuit, nudge in rows[: 1 if quick else 4]:
        for instances in sets:
            chosen = instances[: max(1, len(instances) // 3)]
            yield measure(circuit, chosen, settle, nudge)
