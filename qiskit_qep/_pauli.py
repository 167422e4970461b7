"""Sums of Pauli operators by flip mask: the one form every spin solver works on.

A Pauli string with X mask x and Z mask z acts as

    P |j> = i^(number of Y) (-1)^popcount(j & z) |j ^ x>,

so H is one diagonal for every distinct flip mask x (see ``_kernels``). Qubit q is bit q
of a mask and of an amplitude's index, as in Qiskit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from qiskit.quantum_info import SparsePauliOp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

Layout = tuple[
    "NDArray[np.uint64]", "NDArray[np.int64]", "NDArray[np.uint64]", "NDArray[np.int64]"
]

Sparse = tuple["NDArray[np.int32]", "NDArray[np.int32]", "NDArray[np.float64]"]

T = TypeVar("T")
TILE = 32  # as in _kernels, which is not imported before it is needed
BLOCK_BITS = 18


@dataclass(frozen=True, eq=False)
class PauliTerms:
    r"""The distinct Pauli strings of a list of operators, grouped by flip mask.

    .. math:: A_k = \sum_s w_{ks} P_s

    Attributes:
        num_qubits: Size of the register, N.
        flips: X mask of every string, shape (num_strings,).
        signs: Z mask of every string, shape (num_strings,).
        weights: w, real, a sparse array of shape (num_operators, num_strings).
    """

    num_qubits: int
    flips: NDArray[np.uint64]
    signs: NDArray[np.uint64]
    weights: csr_array

    @staticmethod
    def of(operators: Sequence[Any]) -> PauliTerms:
        """Read the strings out of a list of Hermitian ``SparsePauliOp``.

        Raises:
            TypeError: If an operator is no ``SparsePauliOp``.
            ValueError: If operators differ in size or one is not Hermitian.
        """
        checked_paulis(operators)
        bits = np.left_shift(np.uint64(1), np.arange(64, dtype=np.uint64))
        strings: dict[tuple[int, int], int] = {}
        entries: list[tuple[int, int, float]] = []
        for k, operator in enumerate(operators):
            power = bits[: operator.num_qubits]
            flips, signs = operator.paulis.x @ power, operator.paulis.z @ power
            # SparsePauliOp keeps the phase of a label in its coefficient, so that the
            # coefficient of a Hermitian sum is real with Y written as Y.
            for flip, sign, c in zip(flips, signs, operator.coeffs.real, strict=True):
                s = strings.setdefault((int(flip), int(sign)), len(strings))
                entries.append((k, s, float(c)))
        rows, columns, values = zip(*entries, strict=True)
        shape = (len(operators), len(strings))
        from scipy.sparse import coo_array  # 150 ms that an import need not take

        weights = coo_array((values, (rows, columns)), shape=shape).tocsr()
        masks = np.array(list(strings), dtype=np.uint64).reshape(-1, 2)
        return PauliTerms(operators[0].num_qubits, masks[:, 0], masks[:, 1], weights)

    @property
    def dim(self) -> int:
        """Number of amplitudes, 2^N."""
        return 1 << self.num_qubits

    @cached_property
    def num_y(self) -> NDArray[np.int64]:
        """Number of Y in every string."""
        count: NDArray[np.uint8] = np.bitwise_count(self.flips & self.signs)
        return count.astype(np.int64)

    @cached_property
    def is_real(self) -> bool:
        """Whether every string is a real matrix: then all arithmetic is real."""
        return not np.any(self.num_y % 2)

    @cached_property
    def factors(self) -> NDArray[np.float64]:
        """The sign from a signed flip to the Pauli string, i^-(number of Y) R."""
        return np.array([1.0, 1.0, -1.0, -1.0])[self.num_y % 4]

    @cached_property
    def _to_strings(self) -> dict[bool, Sparse]:
        """Coefficients of operators to those of the layout's strings.

        With True the identity is kept, with False it is not.
        """
        made, order = {}, self.layout[0]
        for identity in (True, False):
            kept = identity | ((self.flips | self.signs) != 0)
            weights = self.weights.multiply(self.factors * kept).T.tocsr()[order]
            made[identity] = weights.indptr, weights.indices, weights.data
        return made

    @cached_property
    def _to_operators(self) -> Sparse:
        """Values of the layout's strings to those of operators."""
        order = self.layout[0]
        weights = self.weights.multiply(self.factors).tocsr()[:, order]
        return weights.indptr, weights.indices, weights.data

    @cached_property
    def layout(self) -> tuple[NDArray[np.int64], Layout]:
        """The strings sorted by flip, in the groups that the kernels treat alike.

        A string with an odd number of Y is i times a real matrix, and so flips and
        signs the bit of real and imaginary part as well.

        A pair: the order of the strings, and the layout that the kernels take.
        """
        turned = (self.num_y % 2).astype(np.uint64) << np.uint64(self.num_qubits)
        flips, signs = self.flips | turned, self.signs | turned
        distinct, of, size = np.unique(flips, return_inverse=True, return_counts=True)
        constant = np.ones(len(distinct), np.int64)
        constant[of[signs != 0]] = 0
        far = (distinct >> np.uint64(BLOCK_BITS) > 0).astype(np.int64)
        whole = distinct % np.uint64(2 * TILE) == 0
        group = np.where(whole, 0, 1 + (distinct % np.uint64(8)).astype(np.int64))
        key = (2 * constant + far) * 9 + group
        rank = np.argsort(key, kind="stable")
        order = np.lexsort((signs, np.argsort(rank)[of]))
        starts = np.concatenate([[0], np.cumsum(size[rank])]).astype(np.int64)
        begins = 9 * np.arange(4)[:, None] + np.arange(10)
        bounds = np.searchsorted(key[rank], begins).reshape(2, 2, 10)
        return order, (distinct[rank], starts, signs[order], bounds)

    def hamiltonian(
        self, coefficients: NDArray[Any], *, identity: bool = True
    ) -> Hamiltonians:
        """Sum the operators with one row of coefficients per Hamiltonian.

        Args:
            coefficients: Shape (batch, num_operators); complex ones make H
                non-Hermitian.
            identity: Whether to keep multiples of the identity. They change no state,
                but a large one costs a solver as many digits as it is larger than H.
        """
        from ._kernels import sparse_rows

        if is_complex(coefficients):
            real, imag = (
                self.hamiltonian(part, identity=identity)
                for part in (coefficients.real, coefficients.imag)
            )
            return replace(real, rows=real.rows + 1j * imag.rows)
        rows = np.empty((len(coefficients), len(self.flips)))
        given = np.ascontiguousarray(coefficients, np.float64)
        sparse_rows(self._to_strings[identity], given, rows)
        return Hamiltonians(self.dim, self.is_real, self.layout[1], rows)

    def expectations(
        self, left: NDArray[Any], right: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Return Re <l|A_k|r> of every operator for every row, (batch, num_operators).

        The imaginary part is that of <l|A_k|-i r>.
        """
        from ._kernels import sparse_rows

        out = np.empty((len(left), self.weights.shape[0]))
        sparse_rows(self._to_operators, self._sums(left, right), out)
        return out

    def _sums(self, left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
        """Return the sums over all amplitudes of every string of the layout."""
        from ._expectations import expectations
        from ._kernels import over_rows

        is_real = self.is_real and not (is_complex(left) or is_complex(right))
        bra = to_real(left, is_real)
        ket = bra if right is left else to_real(right, is_real)
        out = np.empty((len(bra), len(self.flips)))
        args = (self.layout[1], bra, ket, out)
        over_rows(
            lambda a, b: expectations(*args, a, b),
            len(bra) * len(args[0][0]),  # flip by flip
            bra.shape[1],
        )
        return out


def checked_paulis(operators: Sequence[Any]) -> int:
    """Return the number of qubits of Hermitian Pauli sums.

    Raises:
        TypeError: If an operator is no ``SparsePauliOp``.
        ValueError: If operators differ in size or one is not Hermitian.
    """
    for k, operator in enumerate(operators):
        if not isinstance(operator, SparsePauliOp):
            raise TypeError(
                f"operator {k} is a {type(operator).__name__}, but this "
                "equilibrium settles Pauli models only; give labels such as 'ZZI' "
                "or a SparsePauliOp, or use the equilibrium made for that type"
            )
        if operator.num_qubits != operators[0].num_qubits:
            raise ValueError(
                f"operators should act on one register, got operator 0 on "
                f"{operators[0].num_qubits} and {k} on {operator.num_qubits} qubits"
            )
        if np.any(operator.coeffs.imag != 0.0):
            raise ValueError(f"operator {k} should be Hermitian, got {operator}")
    return int(operators[0].num_qubits)


def is_complex(array: NDArray[Any]) -> bool:
    """Answer as np.iscomplexobj does, which takes 2 us."""
    return array.dtype.kind == "c"


def to_real(vectors: NDArray[Any], is_real: bool) -> NDArray[np.float64]:
    """Return real vectors as they are and complex ones as halves (re, im).

    They are padded with zeros to a tile: a bit that no string flips stays idle.
    """
    halves = [vectors] if is_real else [vectors.real, vectors.imag]
    size = len(halves) * vectors.shape[1]
    if size < TILE:
        halves.append(np.zeros((len(vectors), TILE - size)))
    if len(halves) == 1:
        return np.ascontiguousarray(vectors, np.float64)
    return np.concatenate(halves, axis=1)


def from_real(vectors: NDArray[np.float64], dim: int, is_real: bool) -> NDArray[Any]:
    """Return the vectors of ``dim`` amplitudes that ``to_real`` was given."""
    if is_real:
        return vectors[:, :dim]
    return vectors[:, :dim] + 1j * vectors[:, dim : 2 * dim]


class PerOperators(WeakKeyDictionary[PauliTerms, T]):
    """What was made once for some operators, and is made anew where it is sent."""

    def __reduce__(self) -> Any:
        """Travel empty: weak references do not, and what is in it can be large."""
        return type(self), ()


@dataclass(frozen=True, eq=False)
class Hamiltonians:
    """A batch of Hamiltonians with the same strings, ready for the kernels.

    Attributes:
        dim: Number of amplitudes.
        is_real: Whether every string is a real matrix.
        layout: Flip masks, where their strings begin, sign masks, bounds of groups.
        rows: Coefficient of every string as a signed flip, shape (batch, num_strings);
            float64 where H is Hermitian, else complex128.
    """

    dim: int
    is_real: bool
    layout: Layout
    rows: NDArray[Any]

    def apply(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Return H_b v_b for every row, shape (batch, 2^N)."""
        from ._kernels import apply_rows, in_teams, room_for

        if is_complex(self.rows):
            parts = (replace(self, rows=r) for r in (self.rows.real, self.rows.imag))
            real, imaginary = (part.apply(vectors) for part in parts)
            return np.asarray(real + 1j * imaginary)
        is_real = self.is_real and not is_complex(vectors)
        given, rows = to_real(vectors, is_real), np.ascontiguousarray(self.rows)
        out = np.empty_like(given)
        args, kind = (self.layout, rows, given, out), (out.shape[1], np.float64)
        in_teams(
            lambda *where: apply_rows(*args, *where),
            lambda: room_for(self.layout, *kind)[0],
            *out.shape,
        )
        return from_real(out, self.dim, is_real)

    def dense(self) -> NDArray[Any]:
        """Return the matrices, shape (batch, 2^N, 2^N)."""
        flips, starts, signs, _ = self.layout
        index = np.arange(self.dim, dtype=np.uint64)
        parity = np.bitwise_count(index[:, None] & signs) & 1
        diagonals = self.rows[:, None, :] * (1.0 - 2.0 * parity)
        matrices = np.zeros(
            (len(self.rows), self.dim, self.dim),
            self.rows.dtype if self.is_real else np.complex128,
        )
        for flip, a, b in zip(flips, starts[:-1], starts[1:], strict=True):
            factor = 1.0 if flip < self.dim else -1j
            column = index ^ (flip % np.uint64(self.dim))
            matrices[:, index, column] += factor * diagonals[:, :, a:b].sum(-1)
        return matrices
