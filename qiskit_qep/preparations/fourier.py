"""Momenta on grids of positions: Z strings behind a Fourier transform of every mode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.quantum_info import PauliList, SparsePauliOp

from .blocks import times, walsh

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    Masks = NDArray[np.uint64]
    Array = NDArray[np.float64]

NOTHING = 1e-13  # of an operator's norm: a coefficient that is rounding
SAME = 1e-12  # of its square: what may be diagonal in neither basis, by rounding
SHOWN = 4  # strings of an operator that is refused


@dataclass(frozen=True, eq=False)
class Strings:
    r"""Sums of Pauli strings, some of which act behind the Fourier transform F.

    .. math:: A_k = \sum_{s \in V} w_{ks} P_s + F^\dagger \sum_{s \in K} w_{ks} P_s\, F

    Attributes:
        behind: Whether s is in K, shape (num_strings,).
        flips: X mask of every string.
        signs: Z mask.
        weights: w, shape (num_operators, num_strings).
    """

    behind: NDArray[np.bool_]
    flips: Masks
    signs: Masks
    weights: csr_array

    @staticmethod
    def of(flips: Masks, signs: Masks, weights: Any) -> Strings:
        """Take strings as they are, but for the identity."""
        from scipy.sparse import csr_array

        (kept,) = np.nonzero(flips | signs)
        weights = csr_array(weights)[:, kept]
        return Strings(np.zeros(len(kept), bool), flips[kept], signs[kept], weights)


@dataclass(frozen=True)
class Fourier:
    r"""The centred Fourier transform of every mode of a register, as rotations.

    .. math:: F_{kj} = \frac{1}{\sqrt D}\, e^{-2 \pi i\,k j / D}
              = \frac{1}{\sqrt D} \prod_{q, q'}
              \exp(-i \pi\, 2^{q + q' - n - 1} z_q z'_{q'})

    with j and k from -(D - 1) / 2 to (D - 1) / 2, in bits -1/2 sum_q 2^q z_q, z = +-1.
    Qubit n - 1 - q' has bit q' of the momentum where it had its bit of the position, so
    that a pair of q + q' = n - 1 is one rotation about X; pairs below are rotations
    about ZZ; of those above only signs are left, by position and by momentum. Signs by
    momentum change no F^+ K F with a diagonal K. Those by position are taken through F,
    where they turn the sense of all X but the lowest.

    Attributes:
        points: D = 2^n.
        num_qubits: Of the register: n for every mode, from qubit 0 on.
    """

    points: int
    num_qubits: int

    def __post_init__(self) -> None:
        """Check that modes fill the register."""
        if self.num_qubits % self._size:
            raise ValueError(
                f"fourier={self.points} needs {self._size} qubits for every mode, got "
                f"{self.num_qubits} qubits; give the number of points of the grid, or "
                "leave fourier out"
            )

    @property
    def _size(self) -> int:
        return self.points.bit_length() - 1

    def rotations(self) -> tuple[Masks, Masks, Array]:
        """Return X mask, Z mask and angle of every rotation of F in order.

        It is F up to the sign Z_0 Z_{n-1} of the momenta of every mode.
        """
        found = []
        for lowest in range(0, self.num_qubits, self._size):
            for top in reversed(range(self._size)):
                bit = 1 << lowest + top
                found.append((bit, 0, 0.5 * np.pi if top else -0.5 * np.pi))
                for q in reversed(range(top)):
                    found.append((0, bit | 1 << lowest + q, np.pi / 2 ** (top - q + 1)))
        flips, signs, angles = zip(*found, strict=True)
        return np.array(flips, np.uint64), np.array(signs, np.uint64), np.array(angles)

    def split(self, given: Strings, name: str, remedy: str) -> Strings:
        r"""Take all strings with X and Y behind F, where they are Z strings.

        .. math:: \sum_s w_{ks} P_s = F^\dagger \sum_T v_{kT} Z_T\, F, \qquad
                  v_{kT} = \sum_s w_{ks}\, 2^{-N} \mathrm{tr}\, Z_T F P_s F^\dagger

        Args:
            given: Strings none of which is behind F.
            name: Of operator {}, for a refusal.
            remedy: The same.

        Raises:
            ValueError: If these parts of an operator are not diagonal behind F.
        """
        from scipy.sparse import csr_array, hstack

        here, there = given.flips == 0, np.flatnonzero(given.flips)
        flips, signs = given.flips[there], given.signs[there]
        weights = given.weights[:, there]
        parts = [
            self._diagonal(int(f), int(s)) for f, s in zip(flips, signs, strict=True)
        ]
        none = np.array([], np.uint64), np.array([])
        masks, values = map(np.concatenate, zip(none, *parts, strict=True))
        masks, column = np.unique(masks, return_inverse=True)
        row = np.repeat(np.arange(len(parts)), [len(m) for m, _ in parts])
        table = csr_array((values, (row, column)), shape=(len(parts), len(masks)))
        found = (weights @ table).toarray()
        square = np.asarray(weights.multiply(weights).sum(axis=1)).ravel()
        lost = square - (found**2).sum(axis=1)  # Parseval: what is off the diagonal
        for k in np.flatnonzero(lost > SAME * square):
            raise ValueError(
                f"fourier={self.points} needs operators that are a sum of one diagonal "
                "in positions and one in momenta, as of models.position_grid with as "
                f"many points, got {name.format(k)} with "
                f"{self._shown(flips, signs, weights[[k]].toarray()[0])}; {remedy}"
            )
        found[np.abs(found) < NOTHING * np.sqrt(square)[:, None]] = 0.0
        (kept,) = np.nonzero(found.any(axis=0))
        momenta = csr_array(found[:, kept])
        return Strings(
            np.concatenate([given.behind[here], np.ones(len(kept), bool)]),
            np.concatenate([given.flips[here], np.zeros(len(kept), np.uint64)]),
            np.concatenate([given.signs[here], masks[kept]]),
            hstack([given.weights[:, here], momenta], format="csr"),
        )

    def _diagonal(self, flip: int, sign: int) -> tuple[Masks, Array]:
        """Return the Z strings in the diagonal of F P F^+, and their coefficients."""
        masks, values = np.zeros(1, np.uint64), np.ones(1)
        for lowest in range(0, self.num_qubits, self._size):
            mode = [mask >> lowest & self.points - 1 for mask in (flip, sign)]
            if any(mode):
                own = _of_one_mode(self.points, *mode)
                (kept,) = np.nonzero(np.abs(own) > NOTHING)
                shifted = np.left_shift(kept.astype(np.uint64), np.uint64(lowest))
                masks = (masks[:, None] | shifted).ravel()
                values = np.outer(values, own[kept]).ravel()
        return masks, values

    def _shown(self, flips: Masks, signs: Masks, weights: Array) -> str:
        """Return the first strings of an operator."""
        (here,) = np.nonzero(weights)
        qubit = np.arange(self.num_qubits, dtype=np.uint64)
        x, z = (m[here, None] >> qubit & np.uint64(1) > 0 for m in (flips, signs))
        paulis = PauliList.from_symplectic(z, x)
        strings = SparsePauliOp(paulis, weights[here]).to_list()
        shown = [f"{c.real:.3g} {label}" for label, c in strings[:SHOWN]]
        return ", ".join([*shown, *["..."] * (len(strings) > SHOWN)])


@lru_cache(maxsize=4096)
def _of_one_mode(points: int, flip: int, sign: int) -> Array:
    """Return the coefficients of Z strings in the diagonal of F P F^+ of one mode."""
    bits = np.arange(points)
    size = points.bit_length() - 1
    swapped = sum((bits >> q & 1) << (size - 1 - q) for q in range(size))
    half = 0.5 * (points - 1)
    j, k = bits - half, swapped - half
    F = np.exp(-2j * np.pi / points * np.outer(k, j)) / np.sqrt(points)
    images = times(flip, sign, F.conj().T)
    return walsh(np.einsum("kj,jk->k", F, images).real)
