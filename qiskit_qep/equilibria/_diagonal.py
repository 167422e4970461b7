"""Sums of Z strings: energies of classical spins, for any number of spins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import refuse_complex
from .._operators import compiled
from .._pauli import checked_paulis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DiagonalTerms:
    r"""The distinct Z strings of a list of operators.

    .. math:: A_k(s) = \sum_m w_{km} \prod_{j \in m} s_j, \qquad s_j = \pm 1

    Attributes:
        strings: Whether a spin is in a string, shape (num_strings, num_spins).
        weights: w, a sparse array of shape (num_operators, num_strings).
    """

    strings: NDArray[np.bool_]
    weights: csr_array

    @staticmethod
    def of(operators: Sequence[Any]) -> DiagonalTerms:
        """Read the strings out of a list of diagonal ``SparsePauliOp``.

        Raises:
            TypeError: If an operator is no ``SparsePauliOp``, or has X or Y in it.
            ValueError: If operators differ in size or one is not Hermitian.
        """
        from scipy.sparse import coo_array  # 150 ms that an import need not take

        places: dict[bytes, int] = {}
        entries: list[tuple[int, int, float]] = []
        found: list[NDArray[np.bool_]] = []
        _check(operators)
        for k, operator in enumerate(operators):
            for z, c in zip(operator.paulis.z, operator.coeffs.real, strict=True):
                m = places.setdefault(z.tobytes(), len(places))
                if m == len(found):
                    found.append(z)
                entries.append((k, m, float(c)))
        rows, columns, values = zip(*entries, strict=True)
        shape = (len(operators), len(found))
        weights = coo_array((values, (rows, columns)), shape=shape).tocsr()
        return DiagonalTerms(np.array(found), weights)

    @property
    def num_spins(self) -> int:
        """Number of spins, N."""
        return int(self.strings.shape[1])

    @cached_property
    def orders(self) -> NDArray[np.int64]:
        """Number of spins in every string."""
        return np.asarray(self.strings.sum(axis=1))

    @cached_property
    def single(self) -> NDArray[np.int64]:
        """The spin of every string of one."""
        return np.argwhere(self.strings[self.orders == 1])[:, 1]

    @cached_property
    def pairs(self) -> NDArray[np.int64]:
        """The two spins of every string of two, shape (2, number)."""
        spins = np.argwhere(self.strings[self.orders == 2])[:, 1]
        return spins.reshape(-1, 2).T

    @cached_property
    def _transposed(self) -> Any:
        return self.weights.T.tocsr()

    def energies(self, coefficients: NDArray[Any]) -> Array:
        """Return the coefficient of every string, (batch, num_strings), without 1's."""
        rows = np.asarray((self._transposed @ coefficients.T).T)
        rows[:, self.orders == 0] = 0.0  # the zero of energy costs digits
        return rows

    def values(self, spins: NDArray[np.int8]) -> Array:
        """Return A_k of every configuration, (configurations, num_operators).

        Args:
            spins: Shape (configurations, num_spins), +1 or -1.
        """
        product = np.ones((len(spins), len(self.strings)))
        product[:, self.orders == 1] = spins[:, self.single]
        product[:, self.orders == 2] = spins[:, self.pairs].prod(axis=1)
        for m in np.flatnonzero(self.orders > 2):
            product[:, m] = spins[:, self.strings[m]].prod(axis=1)
        return np.asarray((self.weights @ product.T).T)


def diagonal_terms(
    operators: Sequence[Any], coefficients: NDArray[Any]
) -> DiagonalTerms:
    """Return the Z strings of operators, from a model or any sequence.

    Raises:
        TypeError: As ``DiagonalTerms.of``, or if coefficients are complex.
    """
    terms = compiled(DiagonalTerms, operators)
    refuse_complex(
        coefficients,
        "which the energies of classical spins have no minimum at; use Nudge.centered",
    )
    return terms


def _check(operators: Sequence[Any]) -> None:
    """Refuse what is no sum of Z strings."""
    checked_paulis(operators)
    for k, operator in enumerate(operators):
        flipping = operator.paulis.x.any(axis=1)
        if flipping.any():
            label = operator.paulis[flipping][0].to_label()
            raise TypeError(
                f"operator {k} contains {label!r}, but classical spins have Z strings "
                "only; use Exact, Sampled or Prepared for a quantum model, or "
                "models.classical_ising"
            )
