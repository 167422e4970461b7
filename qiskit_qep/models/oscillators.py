"""Networks of masses and springs in their quantum ground state."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from .._model import Model
from .._quadratic import QuadraticForm
from .graphs import pairs_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class ClampedSprings:
    r"""Spring constants, and the forces of clamped atoms and inputs on the others.

    .. math:: \lambda_s = k_s, \qquad
              \lambda_{S + i} = - \sum_{s:\, i \to c} k_s x_c - f_i

    for a spring k/2 (r_i - x_c)^2 to a clamped atom is k r_i^2 / 2 - k x_c r_i, and a
    constant, and a force is -f_i r_i.

    Attributes:
        num_trainable: Number of springs, S.
        num_inputs: Length of a row of x.
        tied: Of every spring to a clamped atom: its number, i and c.
        forced: Of every atom that feels a force: i and the column of x.
        stiffness: Training starts at k ~ N(stiffness, (stiffness / 10)^2).
    """

    num_trainable: int
    num_inputs: int
    tied: tuple[tuple[int, int, int], ...]
    forced: tuple[tuple[int, int], ...]
    stiffness: float

    def coefficients(self, theta: Array, x: Array) -> Array:
        """Return k and the negative forces, (batch, S + number of driven atoms)."""
        driven = {i for _, i, _ in self.tied} | {i for i, _ in self.forced}
        forces = np.zeros((len(x), len(driven)))
        for s, i, c in self.tied:
            forces[:, i] -= theta[s] * x[:, c]
        for i, column in self.forced:
            forces[:, i] -= x[:, column]
        return np.concatenate([np.tile(theta, (len(x), 1)), forces], axis=1)

    def pullback(self, theta: Array, x: Array, v: Array) -> tuple[Array, Array]:
        """Chain derivatives by the coefficients with k and k x."""
        by_k, by_force = np.split(v, [self.num_trainable], axis=1)
        d_theta, d_x = by_k.copy(), np.zeros(x.shape)
        for s, i, c in self.tied:
            d_theta[:, s] -= x[:, c] * by_force[:, i]
            d_x[:, c] -= theta[s] * by_force[:, i]
        for i, column in self.forced:
            d_x[:, column] -= by_force[:, i]
        return d_theta, d_x

    def initial(self, rng: np.random.Generator) -> Array:
        """Draw spring constants near ``stiffness``."""
        draw = rng.standard_normal(self.num_trainable)
        return np.asarray(self.stiffness * (1.0 + 0.1 * draw))


def oscillator_network(
    masses: Sequence[float],
    springs: str | Iterable[tuple[int, int]] | Any | None = None,
    *,
    anchors: float | Sequence[float] = 0.0,
    clamped: Sequence[int] = (),
    inputs: Sequence[int] = (),
    readout: Sequence[int | str | QuadraticForm] = (),
    stiffness: float = 1.0,
) -> Model:
    r"""Atoms on a line, joined by springs, in their quantum ground state.

    .. math::
        H = \sum_i \frac{p_i^2}{2 m_i} + \sum_i \frac{a_i}{2} r_i^2
            + \sum_{(i,j)} \frac{k_{ij}}{2} (r_i - r_j)^2 - \sum_i f_i r_i

    theta is k in spring order. Each spring is counted once, and the operator of k_ij is
    (r_i - r_j)^2 / 2; the paper's sum over ordered pairs is k = 2 k_paper.
    A clamped atom is no oscillator: its r_j is an input. A row of x holds the positions
    of the clamped atoms, then the forces f on ``inputs``.

    r_i is the displacement from where the atom rests alone. The mean <r> responds
    linearly to x, and is that of classical springs; <r_i r_i> does not, and contains
    the zero-point motion. Settled by ``Gaussian()``, whatever the number of atoms; it
    needs something that holds every atom: an anchor, or springs that lead to a clamped
    atom.

    Args:
        masses: m of every atom; that of a clamped one does not matter.
        springs: None for all pairs, ``"chain"``, ``"ring"``, pairs, or a graph, as for
            ``transverse_field_ising``.
        anchors: a, the stiffness of fixed springs to r = 0, one or one per atom.
        clamped: Atoms whose position is given.
        inputs: Atoms that feel a force.
        readout: What is read: an atom for r_i, a product such as ``"r_3 r_3"``, or any
            ``QuadraticForm`` of as many modes as there are atoms, such as an energy.
        stiffness: Training starts at k ~ N(stiffness, (stiffness / 10)^2).

    Raises:
        ValueError: If a mass is not positive, an atom does not exist, is given twice or
            both clamped and driven or read, or a spring joins two clamped atoms.

    Example:
        >>> import qiskit_qep as qep
        >>> qep.models.oscillator_network(
        ...     [1.0] * 4, "chain", clamped=[0], readout=[3, "r_3 r_3"])
        Model(3 trainable, 1 inputs, 2 readout; 4 modes)

    Reference:
        B. Scellier, arXiv:2406.00879, Eq. (41).
    """
    m = np.asarray(masses, dtype=np.float64)
    n = len(m)
    if not (m.ndim == 1 and n and np.isfinite(m).all() and (m > 0).all()):
        raise ValueError(f"masses should be positive numbers, got {masses}")
    a = np.broadcast_to(np.asarray(anchors, dtype=np.float64), (n,))
    for name, atoms in (("clamped", clamped), ("inputs", inputs)):
        distinct_atoms(name, atoms, n)
    read = [_form(given, n) for given in readout]
    for form in read:
        if touched := set(clamped) & {z % n for zs, _ in form.products for z in zs}:
            raise ValueError(f"readout should not be of clamped atoms, got {touched}")
    if both := set(clamped) & set(inputs):
        raise ValueError(f"clamped atoms feel no force, got {min(both)} as both")
    pairs = spring_pairs(n, springs, clamped)
    driven = sorted({*inputs, *(i for i, _ in _tied(pairs, clamped).values())})
    column = {atom: k for k, atom in enumerate(driven)}
    place = {atom: k for k, atom in enumerate((*clamped, *inputs))}
    tied = _tied(pairs, clamped).items()
    return Model(
        trainable=tuple(_spring(i, j, clamped, n) for i, j in pairs),
        inputs=tuple(QuadraticForm({f"r_{i}": 1.0}, n) for i in driven),
        readout=tuple(read),
        fixed=QuadraticForm(
            {f"p_{i} p_{i}": 0.5 / m[i] for i in range(n) if i not in clamped}
            | {f"r_{i} r_{i}": 0.5 * a[i] for i in range(n) if i not in clamped},
            n,
        ),
        parametrization=ClampedSprings(
            len(pairs),
            len(place),
            tuple((s, column[i], place[c]) for s, (i, c) in tied),
            tuple((column[i], place[i]) for i in inputs),
            stiffness,
        ),
    )


def spring_pairs(
    num_atoms: int, springs: Any, clamped: Sequence[int]
) -> list[tuple[int, int]]:
    """Return the pairs that springs join, never two clamped atoms.

    Raises:
        ValueError: If such a pair is given.
    """
    if springs is None:
        springs = [
            pair
            for pair in combinations(range(num_atoms), 2)
            if not set(pair) <= set(clamped)
        ]
    pairs = pairs_of(num_atoms, springs, words=("springs", "atoms"))
    for pair in pairs:
        if set(pair) <= set(clamped):
            raise ValueError(f"a spring between clamped atoms does nothing, got {pair}")
    return pairs


def distinct_atoms(name: str, atoms: Sequence[int], num_atoms: int) -> None:
    """Refuse atoms that do not exist or are given twice."""
    for atom in atoms:
        if not 0 <= atom < num_atoms:
            raise ValueError(f"{name} should be atoms 0 to {num_atoms - 1}, got {atom}")
    if len(set(atoms)) != len(atoms):
        raise ValueError(f"{name} should not repeat, got {list(atoms)}")


def _tied(
    pairs: list[tuple[int, int]], clamped: Sequence[int]
) -> dict[int, tuple[int, int]]:
    """Return the free and the clamped atom of every spring that joins such two."""
    return {
        s: (i, j) if j in clamped else (j, i)
        for s, (i, j) in enumerate(pairs)
        if i in clamped or j in clamped
    }


def _spring(i: int, j: int, clamped: Sequence[int], n: int) -> QuadraticForm:
    """Return (r_i - r_j)^2 / 2, without what a clamped atom adds: see ``inputs``."""
    whole = {f"r_{i} r_{i}": 0.5, f"r_{i} r_{j}": -1.0, f"r_{j} r_{j}": 0.5}
    held = {f"r_{c}" for c in clamped}
    free = {z: c for z, c in whole.items() if not held & set(z.split())}
    return QuadraticForm(free, n)


def _form(given: Any, num_modes: int) -> QuadraticForm:
    """Return what a readout stands for."""
    if isinstance(given, QuadraticForm):
        return given
    label = given if isinstance(given, str) else f"r_{given}"
    return QuadraticForm({label: 1.0}, num_modes)
