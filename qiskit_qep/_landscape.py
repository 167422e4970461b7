"""Energy landscapes of elastic networks: distances, clamps, and derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ._quadratic import QuadraticForm, QuadraticTerms, coordinates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True)
class Distance:
    r"""The distance between two atoms, |R_i - R_j|.

    Coordinate a of atom i is the position r_(i d + a) of ``QuadraticForm``.

    Attributes:
        first: i.
        second: j.
        num_atoms: Of the whole network.
        dimensions: d, 1 to 3.
        at: Where both atoms are before they relax, for ``Relaxed()``.

    Raises:
        ValueError: If the atoms are the same, or one does not exist.

    Example:
        >>> import qiskit_qep as qep
        >>> qep.Distance(0, 1, num_atoms=2, dimensions=1).squared()
        QuadraticForm({'r_0 r_0': 1.0, 'r_0 r_1': -2.0, 'r_1 r_1': 1.0}, num_modes=2)
    """

    first: int
    second: int
    num_atoms: int
    dimensions: int = 2
    at: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    def __post_init__(self) -> None:
        """Check the atoms."""
        if self.at is not None and np.shape(self.at) != (2, self.dimensions):
            raise ValueError(
                f"at should be two places of {self.dimensions} coordinates, got "
                f"{self.at}"
            )
        if self.dimensions not in (1, 2, 3):
            raise ValueError(f"dimensions should be 1, 2 or 3, got {self.dimensions}")
        pair = (self.first, self.second)
        if self.first == self.second or not all(0 <= i < self.num_atoms for i in pair):
            raise ValueError(
                f"a distance is between two of the atoms 0 to {self.num_atoms - 1}, "
                f"got {pair}"
            )

    @property
    def num_modes(self) -> int:
        """Number of coordinates of the network."""
        return self.num_atoms * self.dimensions

    def squared(self) -> QuadraticForm:
        """Return |R_i - R_j|^2."""
        terms: dict[str, float] = {}
        for a in range(self.dimensions):
            i, j = (atom * self.dimensions + a for atom in (self.first, self.second))
            terms |= {f"r_{i} r_{i}": 1.0, f"r_{i} r_{j}": -2.0, f"r_{j} r_{j}": 1.0}
        return QuadraticForm(terms, self.num_modes)


@dataclass(frozen=True)
class Clamped:
    r"""Coordinates that stand where the coefficient says: r_i = scale_i * lambda.

    The value is dE / d lambda = sum_i scale_i dE/dr_i, the force that it takes to hold
    them. So it is the derivative of the energy by the coefficient, as of any operator,
    though the energy is not linear in it.

    Attributes:
        scales: ``{"r_0": scale_0, ...}``; kept as sorted pairs.
        num_modes: Number of coordinates of the network.

    Raises:
        ValueError: If a key is no coordinate, or a scale is not finite.

    Example:
        >>> import qiskit_qep as qep
        >>> qep.Clamped({"r_3": 1.0}, num_modes=6)
        Clamped({'r_3': 1.0}, num_modes=6)
    """

    scales: Mapping[str, float] | Iterable[tuple[str, float]]
    num_modes: int

    def __post_init__(self) -> None:
        """Sort and check the coordinates."""
        given = dict(self.scales)
        found = {}
        for label, scale in given.items():
            where = coordinates(label, self.num_modes)
            if len(where) != 1:
                raise ValueError(f"one coordinate such as 'r_3' is held, got {label!r}")
            if not np.isfinite(scale):
                raise ValueError(f"{label} should have a finite scale, got {scale}")
            found[where[0]] = (label, float(scale))
        kept = tuple(pair for _, pair in sorted(found.items()))
        object.__setattr__(self, "scales", kept)

    @cached_property
    def held(self) -> tuple[tuple[int, float], ...]:
        """The same with indices of z instead of names."""
        pairs: Any = self.scales
        return tuple((coordinates(z, self.num_modes)[0], c) for z, c in pairs)

    def __repr__(self) -> str:
        """Show how it is made."""
        return f"Clamped({dict(self.scales)}, num_modes={self.num_modes})"


@dataclass(frozen=True, eq=False)
class Landscape:
    """Operators sorted by type: quadratic forms, distances, clamped coordinates.

    Attributes:
        terms: What is quadratic; distances and clamps have empty rows in it.
        distances: Columns of the distances among the operators, shape (num_distances,).
        ends: Coordinates of both atoms of each, (2, num_distances, dimensions).
        clamps: Columns of the clamps.
        scales: What a clamp's coefficient does to z, (num_clamps, 2n).
        held: Indices of z that are clamped.
        free: Those that are not, and on which some operator acts.
        begin: Where atoms are before they relax, shape (2n,); None if not all say.
    """

    terms: QuadraticTerms
    distances: Index
    ends: Index
    clamps: Index
    scales: Array
    held: Index
    free: Index
    begin: Array | None

    @staticmethod
    def of(operators: Sequence[Any]) -> Landscape:
        """Sort operators by type.

        Raises:
            TypeError: If one is neither a form, nor a distance, nor a clamp.
            ValueError: If a coordinate is clamped twice, or dimensions differ.
        """
        distances = [k for k, op in enumerate(operators) if isinstance(op, Distance)]
        clamps = [k for k, op in enumerate(operators) if isinstance(op, Clamped)]
        size = getattr(operators[0], "num_modes", 1)
        nothing = QuadraticForm({}, size)
        others = {*distances, *clamps}
        forms = [nothing if k in others else op for k, op in enumerate(operators)]
        terms = QuadraticTerms.of(forms)
        if wrong := {op.num_modes for op in operators} - {size}:
            raise ValueError(
                f"operators should have as many coordinates, got {size} and {wrong}"
            )
        spans = {operators[k].dimensions for k in distances} or {1}
        if len(spans) > 1:
            raise ValueError(f"distances should have one dimension, got {spans}")
        axes = np.arange(min(spans))
        atoms = np.array([(operators[k].first, operators[k].second) for k in distances])
        atoms = atoms.reshape(-1, 2).T.astype(np.intp)
        ends = atoms[:, :, None] * len(axes) + axes
        scales = np.zeros((len(clamps), 2 * size))
        seen: set[int] = set()
        for row, k in zip(scales, clamps, strict=True):
            for z, scale in operators[k].held:
                if z in seen:
                    raise ValueError(f"r_{z} is clamped twice, by operator {k}, too")
                seen.add(z)
                row[z] = scale
        held = np.array(sorted(seen), dtype=np.intp)
        begin = np.zeros(2 * size)
        places = [operators[k].at for k in distances]
        known = None not in places
        if known and places:
            begin[ends] = np.array(places).transpose(1, 0, 2)
        touched = np.union1d(terms.touched, ends.ravel())
        return Landscape(
            terms,
            np.array(distances, dtype=np.intp),
            ends,
            np.array(clamps, dtype=np.intp),
            scales,
            held,
            np.setdiff1d(touched, held).astype(np.intp),
            begin if known else None,
        )

    def place(self, z: Array, row: Array) -> Array:
        """Return z with the clamped coordinates where the coefficients say."""
        placed = z.copy()
        placed[self.held] = (row[self.clamps] @ self.scales)[self.held]
        return placed

    def separations(self, z: Array) -> tuple[Array, Array]:
        """Return the unit vectors of all distances, zero at distance 0, and lengths."""
        d = z[self.ends[0]] - z[self.ends[1]]
        length = np.sqrt((d**2).sum(axis=1))
        return d / np.where(length > 0, length, 1.0)[:, None], length

    def energy(self, row: Array) -> Energy:
        """Return the energy of one row of coefficients."""
        Q = self.terms.matrices(self.terms.weights(row[None]))[0]
        return Energy(self, Q, self.terms.forces(row[None])[0], row[self.distances])

    def values(self, z: Array, force: Array) -> Array:
        """Return every operator's value, where dE/dz is ``force``."""
        values = self.terms.at(z[None])[0]
        values[self.distances] = self.separations(z)[1]
        values[self.clamps] = self.scales @ force
        return np.asarray(values)

    def changes(self, z: Array, dz: Array, dforce: Array) -> Array:
        """Return what the values change by when z and dE/dz do."""
        i, j = self.terms.first, self.terms.second
        pairs = z[i] * dz[j] + dz[i] * z[j]
        changes = self.terms.combine(pairs[None], dz[None, self.terms.single])[0]
        apart = dz[self.ends[0]] - dz[self.ends[1]]
        changes[self.distances] = (self.separations(z)[0] * apart).sum(axis=1)
        changes[self.clamps] = self.scales @ dforce
        return np.asarray(changes)


@dataclass(frozen=True, eq=False)
class Energy:
    r"""The energy of one row as a function of z, up to constants, and its derivatives.

    .. math:: E(z) = \tfrac12 z^T Q z + c^T z + \sum_s w_s |d_s(z)|

    Attributes:
        landscape: Which distances there are.
        Q: Shape (2n, 2n).
        c: Shape (2n,).
        w: Shape (num_distances,).
    """

    landscape: Landscape
    Q: Array
    c: Array
    w: Array

    def __call__(self, z: Array) -> float:
        """Return E."""
        smooth = 0.5 * (self.Q @ z) + self.c
        return float(smooth @ z + self.w @ self.landscape.separations(z)[1])

    def gradient(self, z: Array) -> Array:
        """Return dE/dz, shape (2n,)."""
        g = self.c + self.Q @ z
        pull = self.w[:, None] * self.landscape.separations(z)[0]
        np.add.at(g, self.landscape.ends[0], pull)
        np.add.at(g, self.landscape.ends[1], -pull)
        return np.asarray(g)

    def hessian(self, z: Array) -> Array:
        """Return the second derivatives, shape (2n, 2n)."""
        H = self.Q.copy()
        unit, length = self.landscape.separations(z)
        across = np.eye(unit.shape[1]) - unit[:, :, None] * unit[:, None, :]
        stiff = self.w / np.where(length > 0, length, 1.0)
        block = stiff[:, None, None] * across
        for a, b in ((0, 0), (1, 1), (0, 1), (1, 0)):
            rows, columns = self.landscape.ends[a], self.landscape.ends[b]
            sign = 1.0 if a == b else -1.0
            np.add.at(H, (rows[:, :, None], columns[:, None, :]), sign * block)
        return H
