"""Elastic networks: springs with rest lengths between points in space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._landscape import Clamped, Distance
from .._model import Model
from .._quadratic import QuadraticForm
from .oscillators import distinct_atoms, spring_pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class RestLengths:
    r"""Spring constants and rest lengths: k/2 (d - l)^2 = k/2 d^2 - k l d + constant.

    .. math:: \theta = (k, l), \qquad \lambda = (k / 2,\; -k l,\; x)

    Attributes:
        lengths: Rest lengths to start training from, shape (num_springs,).
        stiffness: Training starts at k ~ N(stiffness, (stiffness / 10)^2).
        num_inputs: Length of a row of x.
    """

    lengths: tuple[float, ...]
    stiffness: float
    num_inputs: int

    @property
    def num_trainable(self) -> int:
        """Length of (k, l)."""
        return 2 * len(self.lengths)

    def coefficients(self, theta: Array, x: Array) -> Array:
        """Return (k / 2, -k l, x), (batch, 2 num_springs + num_inputs)."""
        k, length = np.split(theta, 2)
        springs = np.concatenate([0.5 * k, -k * length])
        return np.concatenate([np.tile(springs, (len(x), 1)), x], axis=1)

    def pullback(self, theta: Array, x: Array, v: Array) -> tuple[Array, Array]:
        """Chain derivatives by the coefficients with k / 2 and -k l."""
        k, length = np.split(theta, 2)
        size = len(k)
        squares, lengths, d_x = np.split(v, [size, 2 * size], axis=1)
        return np.hstack([0.5 * squares - length * lengths, -k * lengths]), d_x

    def initial(self, rng: np.random.Generator) -> Array:
        """Draw k near ``stiffness``; l starts as the distances that are given."""
        draw = rng.standard_normal(len(self.lengths))
        k = self.stiffness * (1.0 + 0.1 * draw)
        return np.concatenate([k, self.lengths])


def elastic_network(
    positions: ArrayLike,
    springs: str | Iterable[tuple[int, int]] | Any | None = None,
    *,
    clamped: Sequence[int] = (),
    pinned: Sequence[int] = (),
    inputs: Sequence[int | tuple[int, int]] = (),
    readout: Sequence[int | tuple[int, int] | Any] = (),
    stiffness: float = 1.0,
) -> Model:
    r"""Points in 1 to 3 dimensions that springs with rest lengths join.

    .. math:: E = \sum_{(i,j)} \frac{k_{ij}}{2} \big(|R_i - R_j| - l_{ij}\big)^2
                  - \sum_i F_i \cdot R_i

    theta is k in spring order, then l. Each spring is counted once, as in
    ``oscillator_network``; the paper's sum over ordered pairs is k = 2 k_paper. The
    operators are |R_i - R_j|^2 and |R_i - R_j|, with coefficients k/2 and -k l.

    A row of x holds the positions of the clamped atoms, atom by atom, then the forces F
    on ``inputs``. With all l = 0 the positions are the means of an oscillator network,
    one for every axis. Settled by ``Relaxed()``, from these positions.

    Args:
        positions: Where atoms are before they relax, (num_atoms, dimensions); training
            starts with rest lengths that hold them there.
        springs: None for all pairs, ``"chain"``, ``"ring"``, pairs, or a graph, as for
            ``transverse_field_ising``.
        clamped: Atoms whose positions are inputs.
        pinned: Atoms that stay where they are.
        inputs: What feels a force: an atom, for all its axes, or a pair (atom, axis).
        readout: What is read: an atom, for all its coordinates; a pair (atom, axis); a
            ``Distance``, or another operator.
        stiffness: Training starts at k ~ N(stiffness, (stiffness / 10)^2).

    Raises:
        ValueError: If positions are not finite or of another shape, an atom or axis
            does not exist, is given twice or in two roles, or a spring joins atoms that
            are both clamped or pinned, or that start at the same place.

    Example:
        >>> import qiskit_qep as qep
        >>> square = [[0, 0], [1, 0], [1, 1], [0, 1]]
        >>> qep.models.elastic_network(square, clamped=[0], pinned=[1], readout=[2])
        Model(10 trainable, 2 inputs, 2 readout; 8 modes)

    Reference:
        B. Scellier, arXiv:2406.00879, Eqs. (17)-(18).
    """
    at = np.asarray(positions, dtype=np.float64)
    if at.ndim != 2 or at.shape[1] not in (1, 2, 3) or not np.isfinite(at).all():
        raise ValueError(
            "positions should be finite, of shape (num_atoms, 1 to 3), got "
            f"{at.tolist()}"
        )
    n, d = at.shape
    distinct_atoms("clamped and pinned atoms", [*clamped, *pinned], n)
    fixed = [*clamped, *pinned]
    pushed = _coordinates("inputs", inputs, n, d)
    if both := {z // d for z in pushed} & set(fixed):
        raise ValueError(f"clamped and pinned atoms feel no force, got {both} as both")
    pairs = spring_pairs(n, springs, fixed)
    where = [tuple(place) for place in at.tolist()]
    distances = [Distance(i, j, n, d, (where[i], where[j])) for i, j in pairs]
    lengths = [float(np.linalg.norm(at[i] - at[j])) for i, j in pairs]
    for pair, length in zip(pairs, lengths, strict=True):
        if length == 0:
            raise ValueError(f"atoms {pair} start at the same place, {at[pair[0]]}")
    moved = [Clamped({f"r_{z}": 1.0}, n * d) for z in _coordinates("", clamped, n, d)]
    forces = [QuadraticForm({f"r_{z}": -1.0}, n * d) for z in pushed]
    pins = {f"r_{z}": at.ravel()[z] for z in _coordinates("", pinned, n, d)}
    return Model(
        trainable=(*(distance.squared() for distance in distances), *distances),
        inputs=(*moved, *forces),
        readout=tuple(op for given in readout for op in _read(given, n, d)),
        fixed=Clamped(pins, n * d) if pins else None,
        parametrization=RestLengths(
            tuple(lengths), stiffness, len(moved) + len(forces)
        ),
    )


def _coordinates(
    name: str, given: Sequence[int | tuple[int, int]], n: int, d: int
) -> list[int]:
    """Return the coordinates of atoms and of pairs (atom, axis), in their order."""
    found = []
    for one in given:
        atom, axes = (one, range(d)) if isinstance(one, int) else (one[0], [one[1]])
        if not (0 <= atom < n and all(0 <= axis < d for axis in axes)):
            raise ValueError(
                f"{name} should be atoms 0 to {n - 1}, or pairs with an axis 0 to "
                f"{d - 1}, got {one}"
            )
        found += [atom * d + axis for axis in axes]
    if len(set(found)) != len(found):
        raise ValueError(f"{name} should not repeat, got {list(given)}")
    return found


def _read(given: Any, n: int, d: int) -> list[Any]:
    """Return the operators that a readout stands for."""
    if isinstance(given, int | tuple):
        named = _coordinates("readout", [given], n, d)
        return [QuadraticForm({f"r_{z}": 1.0}, n * d) for z in named]
    return [given]
