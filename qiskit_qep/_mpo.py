r"""Sums of Pauli strings along a line as matrix-product operators.

.. math::
    \sum_s c_s P_s = W_0 W_1 \cdots W_{N-1}

A string that has begun is known by what is left of it, its suffix: strings with the
same suffix share a state of the bond, so that fields and couplings of neighbours need 3
states whatever N. The coefficient stands where a string begins. The same states serve
to read out all strings in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._pauli import checked_paulis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    Array = NDArray[np.float64]

# 1, X, Z and iY, the real matrix; in the order of (x bit) + 2 (z bit).
LETTERS = np.array(
    [[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [0, -1]], [[0, 1], [-1, 0]]], float
)
MAX_STATES = 128  # 128 states cost 40 times what a chain of neighbours does


@dataclass(frozen=True, eq=False)
class StringsOnALine:
    r"""The distinct Pauli strings of a list of operators, by where they begin.

    .. math:: A_k = \sum_s w_{ks} P_s

    Bond c, between sites c - 1 and c, has the states: 0, all strings to the left have
    ended; one for each suffix; and last, none has begun.

    Attributes:
        weights: w times the factor from P to a product of ``LETTERS``, a sparse array
            of shape (num_operators, num_strings); complex if a string has an odd number
            of Y.
        begins: For every site, the strings that begin there.
        letters: Their first letters, likewise.
        targets: The states of the bond to the right that they lead to, likewise.
        passes: For every site, transitions whose coefficient is 1: arrays of states to
            the left, states to the right, and letters.
        sizes: Number of states of every bond, (N + 1,).
    """

    weights: csr_array
    begins: tuple[NDArray[np.intp], ...]
    letters: tuple[NDArray[np.intp], ...]
    targets: tuple[NDArray[np.intp], ...]
    passes: tuple[tuple[NDArray[np.intp], ...], ...]
    sizes: tuple[int, ...]

    @staticmethod
    def of(operators: Sequence[Any]) -> StringsOnALine:
        """Read the strings out of a list of Hermitian ``SparsePauliOp``.

        Raises:
            TypeError: If an operator is no ``SparsePauliOp``.
            ValueError: If operators differ in size or one is not Hermitian, or if too
                many long strings overlap.
        """
        size = checked_paulis(operators)
        strings, weights = _distinct(operators)
        suffixes: list[dict[bytes, int]] = [{} for _ in range(size + 1)]
        begins: list[list[int]] = [[] for _ in range(size)]
        passes: list[set[tuple[int, int, int]]] = [set() for _ in range(size)]
        targets = np.zeros(len(strings), int)
        for s, string in enumerate(strings):
            support = np.flatnonzero(string)
            if not len(support):
                continue  # the identity
            first, last, state = support[0], support[-1], 0
            for site in range(last, first, -1):
                known = suffixes[site]
                new = known.setdefault(string[site : last + 1].tobytes(), len(known))
                passes[site].add((new + 1, state, int(string[site])))
                state = new + 1
            targets[s] = state
            begins[first].append(s)
        sizes = [1, *(len(known) + 2 for known in suffixes[1:-1]), 1]
        if max(sizes) > MAX_STATES:
            where = int(np.argmax(sizes))
            raise ValueError(
                f"{max(sizes) - 2} different strings reach across the bond between "
                f"sites {where - 1} and {where}, and a matrix-product operator of "
                f"bond {max(sizes)} is beyond {MAX_STATES}; number the qubits so that "
                "those that are coupled are close, or use Exact"
            )
        for site in range(size):
            if site > 0:
                passes[site].add((0, 0, 0))
            if site < size - 1:
                passes[site].add((sizes[site] - 1, sizes[site + 1] - 1, 0))
        first_letters = [
            np.array([strings[s][site] for s in those], dtype=int)
            for site, those in enumerate(begins)
        ]
        return StringsOnALine(
            weights,
            tuple(np.array(those, dtype=int) for those in begins),
            tuple(first_letters),
            tuple(targets[those] for those in begins),
            tuple(
                tuple(np.array(sorted(these), dtype=int).reshape(-1, 3).T)
                for these in passes
            ),
            tuple(sizes),
        )

    @property
    def num_sites(self) -> int:
        """N."""
        return len(self.begins)

    def tensors(self, row: Array) -> list[NDArray[Any]]:
        """Return W of every site for one row of coefficients.

        Multiples of the identity are left out: they change no state.

        Returns:
            Arrays of shape (states to the left, states to the right, 2, 2).
        """
        c = self.weights.T @ row
        found = []
        for site in range(self.num_sites):
            shape = (self.sizes[site], self.sizes[site + 1], len(LETTERS))
            w = np.zeros(shape, dtype=c.dtype)
            w[self.passes[site]] = 1.0
            w[-1, self.targets[site], self.letters[site]] = c[self.begins[site]]
            found.append(np.tensordot(w, LETTERS, 1))
        return found


def _distinct(operators: Sequence[Any]) -> tuple[list[NDArray[np.uint8]], csr_array]:
    """Return the distinct strings as letters of every site, and w."""
    from scipy.sparse import coo_array  # 150 ms that an import need not take

    known: dict[bytes, int] = {}
    strings: list[NDArray[np.uint8]] = []
    entries: list[tuple[int, int, complex]] = []
    for k, operator in enumerate(operators):
        letters = operator.paulis.x + 2 * operator.paulis.z.astype(np.uint8)
        for string, c in zip(letters, operator.coeffs.real, strict=True):
            s = known.setdefault(string.tobytes(), len(known))
            if s == len(strings):
                strings.append(string)
            num_y = np.count_nonzero(string == 3)
            entries.append((k, s, c * (1, -1j, -1, 1j)[num_y % 4]))
    rows, columns, values = zip(*entries, strict=True)
    w = np.array(values)
    w = w if np.any(w.imag) else w.real
    return strings, coo_array((w, (rows, columns))).tocsr()
