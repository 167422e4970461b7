"""Where a ramp starts: the ground state of a driver, block of qubits by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._pauli import PauliTerms
from .rotations import bits_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from qiskit.quantum_info import SparsePauliOp

    Masks = NDArray[np.uint64]
    Array = NDArray[np.float64]

MOST_QUBITS = 6  # of a block: as many rotations as its state has amplitudes, or twice
SAME = 1e-9  # of the lowest energy: levels that cannot be told apart
NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class Block:
    """Qubits that an operator couples to no others, in its ground state there.

    Attributes:
        qubits: Lowest first.
        state: Amplitudes, shape (2^k,); the largest one is positive.
    """

    qubits: tuple[int, ...]
    state: NDArray[np.complex128]

    def local(self, mask: int) -> int:
        """Return the bits of a mask of the register that lie in the block."""
        return sum((mask >> q & 1) << k for k, q in enumerate(self.qubits))

    def mean(self, flip: int, sign: int) -> float:
        """Return <P> of the part of a Pauli string that lies in the block."""
        images = times(self.local(flip), self.local(sign), self.state)
        return float(np.vdot(self.state, images).real)

    def rotations(self) -> list[tuple[int, int, float]]:
        r"""Return (X mask, Z mask, angle) of the rotations from 0 to the state.

        Qubit by qubit, from the highest, one rotation about Y for each setting of those
        above it; then the phases. Both are sums over Z strings, as a Walsh transform
        says:

        .. math:: \sum_c \theta_c |c\rangle\langle c| = \sum_S \alpha_S Z_S, \qquad
                  \alpha_S = 2^{-n} \sum_c (-1)^{|S \wedge c|}\, \theta_c
        """
        chance, found = np.abs(self.state) ** 2, []
        for q in reversed(range(len(self.qubits))):
            zero, one = chance.reshape(-1, 2, 1 << q).sum(axis=2).T
            turns = walsh(2.0 * np.arctan2(np.sqrt(one), np.sqrt(zero)))
            found += [(1 << q, 1 << q | s << q + 1, a) for s, a in enumerate(turns)]
        phases = np.where(chance > NOTHING, np.angle(self.state), 0.0)
        found += [(0, s, -2.0 * a) for s, a in enumerate(walsh(phases)) if s]
        return [
            (self._spread(flip), self._spread(sign), float(angle))
            for flip, sign, angle in found
            if abs(angle) > NOTHING
        ]

    def _spread(self, mask: int) -> int:
        return sum(1 << self.qubits[k] for k in bits_of(mask))


@dataclass(frozen=True, eq=False)
class Start:
    r"""A driver D, and the rotations from 0 to its ground state.

    Attributes:
        flips: X mask of every string of D but the identity.
        signs: Z mask.
        weights: Their coefficients.
        blocks: Between which D couples nothing.
        turns: X mask, Z mask and angle of the rotations in order.
    """

    flips: Masks
    signs: Masks
    weights: Array
    blocks: tuple[Block, ...]
    turns: tuple[tuple[int, int, float], ...]

    @staticmethod
    def fields(num_qubits: int) -> Start:
        """Return D = - sum_q X_q."""
        bits = np.left_shift(np.uint64(1), np.arange(num_qubits, dtype=np.uint64))
        plus = np.full(2, np.sqrt(0.5), complex)
        blocks = tuple(Block((q,), plus) for q in range(num_qubits))
        turns = tuple((bit, bit, 0.5 * np.pi) for bit in bits.tolist())
        return Start(bits, np.zeros_like(bits), -np.ones(num_qubits), blocks, turns)

    @staticmethod
    def of(driver: SparsePauliOp, num_qubits: int) -> Start:
        """Solve a driver block by block.

        Raises:
            ValueError: If the driver leaves a qubit out, couples too many, or has
                several ground states.
        """
        terms = PauliTerms.of([driver])
        supports = terms.flips | terms.signs
        kept = supports != 0
        parts = _connected(supports[kept].tolist())
        if driver.num_qubits != num_qubits or sum(parts) != (1 << num_qubits) - 1:
            raise ValueError(
                f"driver should act on each of {num_qubits} qubits, got "
                f"{driver.to_list()}"
            )
        weights = terms.weights.toarray()[0]
        blocks = []
        for part in parts:
            (inside,) = np.nonzero(supports & np.uint64(part))
            strings = zip(terms.flips[inside], terms.signs[inside], strict=True)
            blocks.append(_solved(tuple(bits_of(part)), strings, weights[inside]))
        turns = tuple(turn for block in blocks for turn in block.rotations())
        flips, signs = terms.flips[kept], terms.signs[kept]
        return Start(flips, signs, weights[kept], tuple(blocks), turns)

    def is_eigenstate(self, flips: Masks, signs: Masks) -> bool:
        """Tell whether some strings do nothing to the ground state but give a phase."""
        for flip, sign in zip(flips.tolist(), signs.tolist(), strict=True):
            here = [b for b in self.blocks if b.local(flip | sign)]
            if abs(np.prod([b.mean(flip, sign) for b in here])) < 1.0 - SAME:
                return False
        return True


def _connected(supports: Sequence[int]) -> list[int]:
    """Join masks that overlap, however indirectly."""
    parts: list[int] = []
    for joined in supports:
        for other in [part for part in parts if part & joined]:
            parts.remove(other)
            joined |= other
        parts.append(joined)
    return parts


def _solved(qubits: tuple[int, ...], strings: Any, weights: Array) -> Block:
    """Diagonalise a sum of strings on some qubits."""
    if len(qubits) > MOST_QUBITS:
        raise ValueError(
            f"driver should fall into blocks of at most {MOST_QUBITS} qubits, got one "
            f"of {len(qubits)}, {list(qubits)}"
        )
    one = np.eye(1 << len(qubits), dtype=complex)
    block, h = Block(qubits, one[0]), np.zeros_like(one)
    for (flip, sign), c in zip(strings, weights, strict=True):
        h += c * times(block.local(int(flip)), block.local(int(sign)), one)
    # Of a real matrix real amplitudes, so that no rounding decides between -pi and pi.
    levels, states = np.linalg.eigh(h if h.imag.any() else h.real)
    if levels[1] - levels[0] <= SAME * np.abs(levels).max():
        raise ValueError(
            "driver should have one ground state, but has several on qubits "
            f"{list(qubits)}, of energy {levels[0]:.6g}; add a field there, or to an "
            "oscillator an anchor"
        )
    largest = states[np.abs(states[:, 0]).argmax(), 0]
    return Block(qubits, (states[:, 0] * (abs(largest) / largest)).astype(complex))


def times(flip: int, sign: int, vectors: NDArray[Any]) -> NDArray[Any]:
    """Return a Pauli string times vectors, shape (2^k, ...)."""
    bits = np.arange(len(vectors))
    phase = 1j ** ((flip & sign).bit_count() % 4) * _parity(sign, bits)
    images = np.empty(vectors.shape, complex)
    images[bits ^ flip] = phase.reshape(-1, *[1] * (vectors.ndim - 1)) * vectors
    return images


def walsh(values: Array) -> Array:
    """Return the coefficients of Z strings in a diagonal, shape (2^k,)."""
    bits = np.arange(len(values))
    return np.asarray(_parity(bits[:, None], bits) @ values / len(values))


def _parity(mask: Any, bits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (-1)^(number of bits in both)."""
    odd = np.bitwise_count(mask & bits) & 1
    return np.where(odd, -1, 1)
