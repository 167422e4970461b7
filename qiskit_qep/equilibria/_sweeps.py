r"""One-site sweeps of a matrix-product state, and what can be read of it.

.. math::
    |\psi\rangle = \sum_\sigma A_0^{\sigma_0} A_1^{\sigma_1} \cdots
                   A_{N-1}^{\sigma_{N-1}} |\sigma\rangle

A tensor A has the axes (bond to the left, spin, bond to the right). States are kept
with all tensors but the first right-orthonormal: sum_s A^s A^s+ = 1.

Environments hold the Hamiltonian to the left or right of a site. Left ones have the
axes (bra, ket, state of the operator), right ones (ket, state of the operator, bra), so
that H acts on a tensor by three products of matrices and no transposition.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .._mpo import LETTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from .._mpo import StringsOnALine

    Array = NDArray[np.float64]
    Tensors = list[NDArray[Any]]

KRYLOV = 10  # vectors per site: more are spent better on the next sweep
ENOUGH = 0.03  # share of a site's residual that is left to the next sweep
ROUNDING = (
    1e-14  # of the sum of all coefficients: what residuals can be brought down to
)


@dataclass(frozen=True)
class Site:
    """The Hamiltonian as one tensor sees it, all others fixed.

    Attributes:
        left: Environment, (bra, ket, state of the operator).
        operator: W of the site, (state to the left, state to the right, 2, 2).
        right: Environment, (ket, state of the operator, bra).
    """

    left: NDArray[Any]
    operator: NDArray[Any]
    right: NDArray[Any]

    @cached_property
    def _matrices(self) -> Tensors:
        w = self.operator.transpose(0, 2, 3, 1)
        return [
            self.left.reshape(len(self.left), -1),
            w.reshape(w.shape[0] * w.shape[1], -1),
            self.right.reshape(len(self.right), -1),
        ]

    def _half(self, a: NDArray[Any]) -> NDArray[Any]:
        """Apply W and what is right of it: (ket to the left, state, spin, bra)."""
        _, w, right = self._matrices
        size = self.right.shape[2]
        x = (a.reshape(-1, len(right)) @ right).reshape(-1, w.shape[1], size)
        return np.asarray(w @ x)

    def apply(self, a: NDArray[Any]) -> NDArray[Any]:
        """Return H a, flat."""
        left = self._matrices[0]
        return np.asarray(left @ self._half(a).reshape(left.shape[1], -1)).ravel()

    def to_the_left(self, a: NDArray[Any]) -> NDArray[Any]:
        """Return the right environment of the site to the left."""
        bras = a.reshape(len(a), -1).conj()
        states = self.operator.shape[0]
        x = self._half(a).reshape(len(a) * states, -1) @ bras.T
        return np.ascontiguousarray(x.reshape(len(a), states, len(a)))

    def to_the_right(self, a: NDArray[Any]) -> NDArray[Any]:
        """Return the left environment of the site to the right."""
        x = np.tensordot(self.left, a, (1, 0))  # bra, state, spin, ket
        x = np.tensordot(x, self.operator, ((1, 2), (0, 3)))  # bra, ket, state, spin
        x = np.tensordot(a.conj(), x, ((0, 1), (0, 3)))
        return np.ascontiguousarray(x)


def bonds(num_sites: int, max_bond: int) -> list[int]:
    """Return the dimensions of all bonds, as large as the sites and max_bond allow."""
    reach = [min(n, num_sites - n, 62) for n in range(num_sites + 1)]
    return [min(2**n, max_bond) for n in reach]


def padded(tensors: Sequence[NDArray[Any]], sizes: list[int]) -> Tensors:
    """Return tensors cut or filled by zeros to bonds of the given sizes."""
    found = []
    for site, a in enumerate(tensors):
        whole = np.zeros((sizes[site], 2, sizes[site + 1]), dtype=a.dtype)
        kept = a[: sizes[site], :, : sizes[site + 1]]
        whole[: kept.shape[0], :, : kept.shape[2]] = kept
        found.append(whole)
    return found


def orthonormal(tensors: Tensors) -> Tensors:
    """Return the same state, normalised and right-orthonormal.

    Where a bond is larger than the state needs, directions without weight fill it, into
    which sweeps may grow.
    """
    made = list(tensors)
    for site in range(len(made) - 1, 0, -1):
        made[site], rest = _to_the_left(made[site])
        made[site - 1] = made[site - 1] @ rest
    made[0] = made[0] / np.linalg.norm(made[0])
    return made


def _to_the_left(a: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    q, r = np.linalg.qr(a.reshape(len(a), -1).T)
    return q.T.reshape(a.shape), r.T


def _to_the_right(a: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    q, r = np.linalg.qr(a.reshape(-1, a.shape[2]))
    return q.reshape(a.shape), r


@dataclass(frozen=True)
class Settled:
    """A stationary state among those of its bonds, centred on the first site.

    Attributes:
        tensors: A of every site.
        operator: W of every site.
        rights: Right environments of every site.
        slope: Largest |H a - E a| of any tensor in the last sweep, all others fixed:
            zero where the energy is stationary.
        sweeps: Number of sweeps.
    """

    tensors: Tensors
    operator: Tensors
    rights: Tensors
    slope: float
    sweeps: int

    @property
    def energy(self) -> float:
        """<H>, without multiples of the identity."""
        first = np.ones((1, 1, 1))
        a, site = self.tensors[0], Site(first, self.operator[0], self.rights[0])
        return float(np.vdot(a, site.apply(a)).real)

    @property
    def residual(self) -> float:
        r"""The norm of H |psi> - E |psi>, whose square is the variance of the energy.

        Both are matrix-product states; their difference is orthonormalised site by
        site, which keeps twice as many digits as <H^2> - <H>^2 does.
        """
        r: NDArray[Any] = np.array([[1.0, -self.energy]])
        for a, w in zip(self.tensors, self.operator, strict=True):
            image = np.tensordot(w, a, (3, 1)).transpose(0, 3, 2, 1, 4)
            left, right = w.shape[0] * a.shape[0], w.shape[1] * a.shape[2]
            both = np.zeros((left + a.shape[0], 2, right + a.shape[2]), image.dtype)
            both[:left, :, :right] = image.reshape(left, 2, right)
            both[left:, :, right:] = a
            r = (r @ both.reshape(len(both), -1)).reshape(2 * len(r), -1)
            r = np.asarray(np.linalg.qr(r, "r"))
        return float(np.linalg.norm(r.sum(axis=1)))

    @property
    def gap(self) -> float:
        """An upper bound on the distance to the next level of the same H.

        The lowest energy beside the state that one tensor alone can reach, of any site:
        tight where an excitation is no wider than the bonds allow.
        """
        left, a, found = np.ones((1, 1, 1)), self.tensors[0], np.inf
        for n, w in enumerate(self.operator):
            site = Site(left, w, self.rights[n])
            found = min(found, _second(site, a))
            if n + 1 < len(self.tensors):
                a, rest = _to_the_right(a)
                left = site.to_the_right(a)
                a = np.tensordot(rest, self.tensors[n + 1], 1)
        return found

    def string_values(self, strings: StringsOnALine) -> NDArray[Any]:
        """Return the values of all strings in one pass over the sites.

        A string needs nothing to the left of where it begins, and what is right of that
        are environments of H, which share suffixes.
        """
        values = np.ones(strings.weights.shape[1], dtype=self.tensors[0].dtype)
        weight = np.ones((1, 1))  # of what is left: (bra, ket)
        for site, (a, right) in enumerate(zip(self.tensors, self.rights, strict=True)):
            half = np.tensordot(weight, a, 1)
            if len(strings.begins[site]):
                x = np.tensordot(half, right, 1)  # bra, spin, state, bra
                x = np.tensordot(a.conj(), x, ((0, 2), (0, 3)))
                read = np.tensordot(LETTERS, x, ((1, 2), (0, 1)))
                where = strings.letters[site], strings.targets[site]
                values[strings.begins[site]] = read[where]
            weight = np.tensordot(a.conj(), half, ((0, 1), (0, 1)))
        return values


def settle(
    tensors: Tensors, operator: Tensors, tolerance: float, max_sweeps: int
) -> Settled:
    """Lower the energy site by site, to and fro, until it is stationary at every site.

    Args:
        tensors: Right-orthonormal.
        operator: W of every site.
        tolerance: Bound on ``Settled.slope``.
        max_sweeps: When to give up.
    """
    a, last = list(tensors), len(tensors) - 1
    edge = np.ones((1, 1, 1))
    lefts, rights = [edge] * len(a), [edge] * len(a)
    for n in range(last, 0, -1):
        rights[n - 1] = Site(edge, operator[n], rights[n]).to_the_left(a[n])
    slope, sweeps = np.inf, 0
    while slope > tolerance and sweeps < max_sweeps:
        slope, sweeps = 0.0, sweeps + 1
        for n in range(last + 1):
            site = Site(lefts[n], operator[n], rights[n])
            a[n], _, steep = _lowest(site.apply, a[n], tolerance)
            slope = max(slope, steep)
            if n < last:
                a[n], rest = _to_the_right(a[n])
                a[n + 1] = np.tensordot(rest, a[n + 1], 1)
                lefts[n + 1] = site.to_the_right(a[n])
        for n in range(last, 0, -1):
            site = Site(lefts[n], operator[n], rights[n])
            a[n], _, steep = _lowest(site.apply, a[n], tolerance)
            slope = max(slope, steep)
            a[n], rest = _to_the_left(a[n])
            a[n - 1] = a[n - 1] @ rest
            rights[n - 1] = site.to_the_left(a[n])
    return Settled(a, operator, rights, slope, sweeps)


def _lowest(
    apply: Callable[[NDArray[Any]], NDArray[Any]],
    a: NDArray[Any],
    tolerance: float,
    steps: int = KRYLOV,
) -> tuple[NDArray[Any], float, float]:
    """Return the lowest vector by Lanczos from a, its energy, and |H a - E a|."""
    steps = min(steps, a.size)
    image = apply(a.ravel())
    basis = np.empty((steps, a.size), dtype=image.dtype)
    basis[0] = a.ravel()
    matrix = np.zeros((steps, steps))
    first = 0.0
    for k in range(steps):
        known = basis[: k + 1]
        new = apply(basis[k]) if k else image
        overlaps = known.conj() @ new
        matrix[k, k] = overlaps[k].real
        new = new - overlaps @ known
        new -= (known.conj() @ new) @ known  # again: rounding left some of it
        length = float(np.linalg.norm(new))
        first = length if k == 0 else first
        if first <= tolerance:
            return a, float(matrix[0, 0]), first
        energies, vectors = np.linalg.eigh(matrix[: k + 1, : k + 1])
        left = length * abs(vectors[k, 0])
        if k + 1 == steps or left <= max(ENOUGH * first, 0.1 * tolerance):
            break
        matrix[k, k + 1] = matrix[k + 1, k] = length
        basis[k + 1] = new / length
    return (vectors[:, 0] @ known).reshape(a.shape), float(energies[0]), first


def _second(site: Site, a: NDArray[Any]) -> float:
    """Return an upper bound on the distance from a to the next energy of the site."""
    flat = a.ravel()

    def beside(v: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(v - np.vdot(flat, v) * flat)

    draw = np.random.default_rng(a.size).standard_normal(a.size).astype(a.dtype)
    begin = beside(beside(draw))
    begin /= np.linalg.norm(begin)
    energy = np.vdot(flat, site.apply(flat)).real
    _, above, _ = _lowest(lambda v: beside(site.apply(v)), begin, 1e-10, 3 * KRYLOV)
    return float(above - energy)
