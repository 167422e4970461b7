r"""Gradients by variational Monte Carlo: ``python -m benchmarks.neural_states``.

Two tables against ``Exact``. The first is one complete network of six spins, settled
again and again: how far a gradient is off, and how far its error bar says it is, by the
response of shared samples and by centred nudges of samples apart. The second are other
networks, each once: longer chains and complete ones. An error of a gradient is its
length over that of the exact one; z is a component's error over its standard error,
whose mean square is 1 where error bars are right.

Needs the extra [vmc].
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import TYPE_CHECKING

import numpy as np

import qiskit_qep as qep

from .report import markdown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SHARED = qep.Nudge.infinitesimal()
NUDGES = {
    "shared samples": SHARED,
    **{f"centred, {b}": qep.Nudge.centered(b) for b in (0.1, 0.03, 0.01)},
}
NETWORKS = {"chain": (12, 16, 20), "complete": (8, 12, 16)}
SAMPLES = 4096


def network(num_spins: int, edges: str, seed: int) -> tuple[qep.Model, Array]:
    """Return a network with one input and one readout, and parameters of it."""
    rng = np.random.default_rng([num_spins, seed])
    model = qep.models.transverse_field_ising(
        num_spins,
        edges=None if edges == "complete" else edges,
        inputs=[0],
        readout=[num_spins // 2],
    )
    couplings = model.num_trainable - 2 * num_spins
    strength = 1.5 / np.sqrt(num_spins) if edges == "complete" else 0.5
    J = strength * rng.standard_normal(couplings)
    h, b = rng.uniform(0.8, 1.2, num_spins), 0.3 * rng.standard_normal(num_spins)
    return model, np.concatenate([J, h, b])


def measure(
    model: qep.Model, theta: Array, seed: int | None = None, nudge: qep.Nudge = SHARED
) -> tuple[qep.Gradient, float]:
    """Return a gradient, exact without a seed, and the seconds it took."""
    settle = qep.Exact() if seed is None else qep.VariationalMonteCarlo(SAMPLES)
    task = model, theta, [[1.0]], [[1.0]]
    begun = time.perf_counter()
    found = qep.gradient(*task, nudge=nudge, equilibrium=settle, seed=seed)
    return found, time.perf_counter() - begun


def line(
    name: str, exact: list[Array], found: list[tuple[qep.Gradient, float]]
) -> list[str]:
    """Return a row of a table: root mean squares over seeds."""
    truth = np.array(exact)
    length = np.linalg.norm(truth, axis=1)
    off = np.array([g.values for g, _ in found]) - truth
    claimed = np.array([np.hypot(g.stds, g.slope_stds) for g, _ in found])
    shares = (np.linalg.norm(part, axis=1) / length for part in (off, claimed))
    z = off / claimed
    return [
        name,
        *(f"{np.sqrt(np.mean(share**2)):.3f}" for share in shares),
        f"{np.mean(z**2):.2f}",
        f"{np.abs(z).max():.1f}",
        f"{np.mean([seconds for _, seconds in found]):.1f} s",
    ]


def main() -> None:
    """Print both tables."""
    parser = ArgumentParser(prog="python -m benchmarks.neural_states")
    parser.add_argument("--seeds", type=int, default=10, help="of every row")
    seeds = parser.parse_args().seeds
    heads = ["", "error", "claimed", "mean z²", "largest z", "time"]
    rows = []
    task = network(6, "complete", 0)
    exact = [measure(*task)[0].values] * seeds
    measure(*task, 0)  # compiles
    for name, nudge in NUDGES.items():
        found = [measure(*task, seed, nudge) for seed in range(seeds)]
        rows.append(line(name, exact, found))
    print(f"\n6 spins, complete, {SAMPLES} samples, {seeds} seeds\n")
    print(markdown(heads, rows))
    rows = []
    for edges, sizes in NETWORKS.items():
        for size in sizes:
            tasks = [network(size, edges, k) for k in range(max(seeds // 3, 1))]
            exact = [measure(*task)[0].values for task in tasks]
            found = [measure(*task, seed) for seed, task in enumerate(tasks)]
            rows.append(line(f"{edges}, {size} spins", exact, found))
    print("\nshared samples, other networks; time with compilation\n")
    print(markdown(heads, rows))


if __name__ == "__main__":
    main()
