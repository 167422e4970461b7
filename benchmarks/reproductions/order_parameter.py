"""The search for antiferromagnetic order by sweeps of finite time.

The public code and notes of Q. Wang, github.com/chaganbajala/QEP_paper (2026, folder
AFM_searching): atoms in a chain or a square lattice,

    H = (Omega / 2) sum X - Delta sum n + sum_<ij> n_i n_j,    n = (1 + Z) / 2,

whose Omega and Delta are trained from (1, 2.6) until the staggered magnetisation
A = (1/N) sum (-1)^i Z_i, or its square, is 1: plain descent, squared error, one-sided
nudge .1. States are swept from Omega = 0, Delta = -1 in a time T, by ramps that are
smooth (raised cosines) or stiff (linear). A sweep is not stationary: with T the
gradient oscillates about the exact one. What is compared is the standard deviation of
the Omega component over 81 times, .25 apart, around T of a single atom.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp

import qiskit_qep as qep

from .table import Line, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

OSCILLATION = {100: 0.1604873, 500: 0.0424470, 2000: 0.0066942}  # stiff, beta = .1
LATTICE = {0: 0.1521, 10_000: 0.99944}  # <A^2> on 4 x 4 by epoch, exact states
START = (1.0, 2.6)  # Omega, Delta
NUDGE = qep.Nudge.one_sided(0.1)
STEP = 0.05  # of time
YOSHIDA = 1.0 / (2.0 - 2.0 ** (1 / 3))  # three second-order steps make one of fourth


def search(pairs: Sequence[tuple[int, int]], stagger: Sequence[int]) -> qep.Model:
    """Return the model on a graph, which reads A; Omega and Delta are its inputs."""
    n = len(stagger)

    def total(letters: str, each: dict[tuple[int, ...], float]) -> SparsePauliOp:
        terms = [(letters[: len(k)], list(k), c) for k, c in each.items()]
        return SparsePauliOp.from_sparse_list(terms, n).simplify()

    drive = total("X", {(k,): 0.5 for k in range(n)})
    detuning = total("Z", {(): -0.5 * n} | {(k,): -0.5 for k in range(n)})
    order = total("Z", {(k,): s / n for k, s in enumerate(stagger)})
    bonds = [
        total("ZZ", {(): 0.25, (i,): 0.25, (j,): 0.25, (i, j): 0.25}) for i, j in pairs
    ]
    fixed = SparsePauliOp.sum(bonds).simplify() if bonds else None
    return qep.Model((), (drive, detuning), (order,), fixed)


def chain(num_atoms: int) -> qep.Model:
    """Return an open chain."""
    pairs = [(k, k + 1) for k in range(num_atoms - 1)]
    return search(pairs, [(-1) ** k for k in range(num_atoms)])


def lattice(size: int) -> qep.Model:
    """Return an open square lattice, which reads A^2: it has two ordered states."""
    sites = [(row, column) for row in range(size) for column in range(size)]
    pairs = [
        (i, j)
        for j, b in enumerate(sites)
        for i, a in enumerate(sites[:j])
        if abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1
    ]
    model = search(pairs, [(-1) ** (row + column) for row, column in sites])
    return replace(model, readout=((model.readout[0] @ model.readout[0]).simplify(),))


def smooth(s: Array) -> Array:
    """Rise from 0 to 1 with flat ends."""
    return np.asarray(np.sin(0.5 * np.pi * np.clip(s, 0.0, 1.0)) ** 2)


def stiff(s: Array) -> Array:
    """Rise from 0 to 1 in a straight line."""
    return np.asarray(np.clip(s, 0.0, 1.0))


@dataclass(frozen=True)
class Swept:
    """States at the end of sweeps in continuous time: an equilibrium of one's own.

    Omega rises to 1 in the first fifth of the time and goes to its value in the last,
    Delta goes from -1 to its value in between; a nudge rises smoothly all the time.

    Attributes:
        times: T, of the rows in turn.
        ramp: ``smooth`` or ``stiff``.
    """

    times: tuple[float, ...]
    ramp: Any

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: qep.Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> qep.Phase:
        """Sweep every row of (Omega, Delta, nudge, 1) from its empty start."""
        duration = np.resize(self.times, len(coefficients))
        _, detuning, order, *fixed = (
            operator.to_matrix(sparse=True).diagonal().real for operator in operators
        )
        static = fixed[0] if fixed else 0.0 * order
        qubits = operators[0].num_qubits
        states = np.zeros((len(coefficients), 1 << qubits), complex)
        states[:, -1] = 1.0  # Z = -1: no atom is excited
        steps = int(np.ceil(duration.max() / STEP))
        ends, omega, delta, nu = duration / steps, *coefficients.T[:3]
        for step in range(steps):
            done = float(step)
            for part in (YOSHIDA, 1.0 - 2.0 * YOSHIDA, YOSHIDA):
                s, dt = (done + 0.5 * part) / steps, (part * ends)[:, None]
                done += part
                first, middle, last = (
                    self.ramp(np.array(u)) for u in (5 * s, (s - 0.2) / 0.6, 5 * s - 4)
                )
                field = first + (omega - 1.0) * last
                shift = -1.0 + (delta + 1.0) * middle
                push = nu * smooth(np.array(s))
                diagonal = np.outer(shift, detuning) + np.outer(push, order) + static
                half = np.exp(-0.5j * dt * diagonal)
                states *= half
                turn(states, 0.5 * field * dt[:, 0], qubits)
                states *= half
        values = [
            np.einsum("bi,bi->b", states.conj(), states @ op.to_matrix(sparse=True).T)
            for op in operators
        ]
        return qep.Phase(np.array(values).T.real, state=(states,))


def turn(states: NDArray[Any], angles: Array, qubits: int) -> None:
    """Apply exp(-i angle X) to every atom."""
    c, s = np.cos(angles)[:, None, None], -1j * np.sin(angles)[:, None, None]
    for q in range(qubits):
        view = states.reshape(len(states), -1, 2, 1 << q)
        low, high = view[:, :, 0].copy(), view[:, :, 1].copy()
        view[:, :, 0], view[:, :, 1] = c * low + s * high, c * high + s * low


def slopes(model: qep.Model, settle: Any, rows: int = 1) -> Array:
    """Return the gradient by (Omega, Delta) at the start, a row for every time."""
    x, y = np.tile(START, (rows, 1)), np.ones((rows, 1))
    found = qep.gradient(model, [], x, y, equilibrium=settle, nudge=NUDGE)
    return found.inputs


def oscillation(center: float) -> float:
    """Return the standard deviation over 81 stiff sweeps of one atom."""
    times = tuple(center + 0.25 * np.arange(-40, 41))
    return float(slopes(chain(1), Swept(times, stiff), 81)[:, 0].std())


def climb(model: qep.Model, epochs: int) -> list[float]:
    """Descend by exact ground states; return the order parameter by epoch."""
    at, found = np.array([START]), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two ordered states nearly degenerate
        for epoch in range(epochs + 1):
            exact = qep.Exact(follow=False)
            g = qep.gradient(model, [], at, [[1.0]], equilibrium=exact, nudge=NUDGE)
            found.append(float(g.prediction[0, 0]))
            at = at - 0.01 * g.inputs
            if epoch % 1000 == 999:
                print(f"4 x 4, epoch {epoch + 1}: {found[-1]:.5f}", flush=True)
    return found


def run(seeds: int | None = None, *, full: bool = False) -> None:
    """Compare sweeps with exact states; there is no chance in it, and no seed."""
    lines, begun = [], time.perf_counter()
    for center, published in OSCILLATION.items():
        if full or center <= 500:
            name, ours = f"oscillation, 1 atom, T = {center}", oscillation(center)
            lines.append(Line(name, f"{published:.7f}", f"{ours:.7f}"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact = slopes(chain(5), qep.Exact(follow=False))
    for duration in (20, 50, 100, 200):
        for ramp in (smooth, stiff):
            times = tuple(duration + 0.5 * np.arange(-8, 9))
            off = slopes(chain(5), Swept(times, ramp), 17) - exact
            error = np.sqrt((off**2).sum(axis=1).mean()) / np.linalg.norm(exact)
            name = f"error, 5 atoms, {ramp.__name__}, T = {duration}"
            lines.append(Line(name, "-", f"{error:.3f}"))
    climbed = climb(lattice(4), max(LATTICE) if full else 0)
    for epoch, published in LATTICE.items():
        if epoch < len(climbed):
            name = f"<A^2>, 4 x 4, exact, epoch {epoch}"
            lines.append(Line(name, f"{published:.5f}", f"{climbed[epoch]:.5f}"))
    seconds = time.perf_counter() - begun
    lines.append(Line("time of all", "-", f"{seconds:.0f} s"))
    show(
        "Adiabatic order-parameter search (chaganbajala/QEP_paper, 2026)",
        lines,
        (
            "error: of the gradient, root mean square over 17 times, over its length;",
            "theirs are drawn, not printed; trainings by sweeps of T = 1000 and more,",
            "days on GPUs, and sweeps that go on from the free state, are left out",
        ),
    )
