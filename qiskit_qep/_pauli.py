"""Sums of Pauli operators by flip mask: the one form every spin solver works on.

A Pauli string with X mask x and Z mask z acts as

    P |j> = i^(number of Y) (-1)^popcount(j & z) |j ^ x>,

so H is one diagonal for every distinct flip mask x (see ``_kernels``). Qubit q is bit q
of a mask and of an amplitude's index, as in Qiskit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp
from scipy.sparse import coo_array, csr_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Layout = tuple[
    "NDArray[np.uint64]",
    "NDArray[np.int64]",
    "NDArray[np.uint64]",
    tuple[int, int, int],
]

TILE = 64  # as in _kernels, which is not imported before it is needed
TABLE, MIXED, FAR, NEAR = range(4)  # groups of flips, in the order of a layout


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
    def phases(self) -> NDArray[Any]:
        """(-i)^(number of Y): from a signed flip to the Pauli string."""
        phases = np.array([1, -1j, -1, 1j])[self.num_y % 4]
        return phases.real if self.is_real else phases

    @cached_property
    def is_real(self) -> bool:
        """Whether every string is a real matrix: then all arithmetic is real."""
        return not np.any(self.num_y % 2)

    @cached_property
    def _transposed(self) -> Any:
        return self.weights.T.tocsr()

    @cached_property
    def layout(self) -> tuple[NDArray[np.int64], Layout]:
        """The strings sorted by flip, in the groups that the kernels treat alike.

        A pair: the order of the strings, and the layout that the kernels take.
        """
        distinct, of, size = np.unique(
            self.flips, return_inverse=True, return_counts=True
        )
        group = np.full(len(distinct), MIXED)
        if self.dim >= TILE:
            group[distinct % np.uint64(TILE) == 0] = FAR
            group[np.isin(distinct, [1, 2, 4, 8, 16, 32])] = NEAR
        group[of[self.signs != 0]] = TABLE
        rank = np.argsort(group, kind="stable")
        order = np.lexsort((self.signs, np.argsort(rank)[of]))
        starts = np.concatenate([[0], np.cumsum(size[rank])]).astype(np.int64)
        a, b, c = (int((group <= g).sum()) for g in (TABLE, MIXED, FAR))
        return order, (distinct[rank], starts, self.signs[order], (a, b, c))

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
        order, layout = self.layout
        # A sparse product adds in the same order whatever the batch: BLAS does not,
        # and a batch may be cut anywhere without changing a bit.
        rows = (self._transposed @ coefficients.T).T * self.phases
        if not identity:
            rows[:, (self.flips | self.signs) == 0] = 0.0
        return Hamiltonians(self.dim, layout, np.ascontiguousarray(rows[:, order]))

    def string_values(
        self, left: NDArray[Any], right: NDArray[Any]
    ) -> NDArray[np.complex128]:
        """Return <l|P_s|r> of every string for every row, (batch, num_strings)."""
        from . import _kernels

        order, layout = self.layout
        out = np.empty((len(left), len(self.flips)), left.dtype)
        _kernels.over_rows(
            lambda a, b: _kernels.expectations(layout, left, right, out, a, b),
            len(left),
            self.dim,
        )
        values = np.empty(out.shape, np.complex128)
        values[:, order] = out
        values *= self.phases
        return values

    def expectations(
        self, left: NDArray[Any], right: NDArray[Any]
    ) -> NDArray[np.complex128]:
        """Return <l|A_k|r> of every operator for every row, (batch, num_operators)."""
        return np.asarray((self.weights @ self.string_values(left, right).T).T)


@dataclass(frozen=True, eq=False)
class Hamiltonians:
    """A batch of Hamiltonians with the same strings, ready for the kernels.

    Attributes:
        dim: Number of amplitudes.
        layout: Flip masks, where their strings begin, sign masks, ends of groups.
        rows: Coefficient of every string with its phase, shape (batch, num_strings);
            float64 where H is real, else complex128.
    """

    dim: int
    layout: Layout
    rows: NDArray[Any]

    def apply(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Return H_b v_b for every row, shape (batch, 2^N)."""
        from . import _kernels

        dtype = np.result_type(self.rows, vectors)
        rows = self.rows.astype(dtype, copy=False)
        vectors = np.ascontiguousarray(vectors, dtype)
        out = np.empty_like(vectors)
        _kernels.over_rows(
            lambda a, b: _kernels.apply_rows(self.layout, rows, vectors, out, a, b),
            *out.shape,
        )
        return out

    def dense(self) -> NDArray[Any]:
        """Return the matrices, shape (batch, 2^N, 2^N)."""
        flips, starts, signs, _ = self.layout
        index = np.arange(self.dim, dtype=np.uint64)
        parity = np.bitwise_count(index[:, None] & signs) & 1
        diagonals = self.rows[:, None, :] * (1.0 - 2.0 * parity)
        matrices = np.zeros((len(self.rows), self.dim, self.dim), self.rows.dtype)
        for flip, a, b in zip(flips, starts[:-1], starts[1:], strict=True):
            matrices[:, index, index ^ flip] = diagonals[:, :, a:b].sum(-1)
        return matrices
