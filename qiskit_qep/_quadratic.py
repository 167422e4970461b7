"""Quadratic forms in positions and momenta: what oscillators are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

COORDINATE = re.compile(r"([rp])_(\d+)")


@dataclass(frozen=True)
class QuadraticForm:
    r"""A polynomial of at most second degree in positions r and momenta p.

    .. math::
        A = \tfrac12 z^T Q z + c^T z + e, \qquad
        z = (r_0, \dots, r_{n-1}, p_0, \dots, p_{n-1})

    with hbar = 1. A product of r_i and p_i stands for (r_i p_i + p_i r_i) / 2.

    Attributes:
        terms: The coefficient of every product. Its key is one or two of ``r_i`` and
            ``p_i`` with a space between them, or ``""`` for a constant. Kept as sorted
            pairs without zeros, so that equal polynomials are equal.
        num_modes: n.

    Raises:
        ValueError: If a key is no such product or names a mode that there is not, or a
            coefficient is no finite real number.

    Example:
        >>> import qiskit_qep as qep
        >>> spring = qep.QuadraticForm(
        ...     {"r_0 r_0": 0.5, "r_1 r_0": -1.0, "r_1 r_1": 0.5}, num_modes=2)
        >>> spring == qep.QuadraticForm.of([[1, -1], [-1, 1]])
        True
    """

    terms: Mapping[str, float] | Iterable[tuple[str, float]]
    num_modes: int

    def __post_init__(self) -> None:
        """Write the polynomial in its one sorted way."""
        if self.num_modes < 1:
            raise ValueError(f"num_modes should be at least 1, got {self.num_modes}")
        given = self.terms.items() if isinstance(self.terms, Mapping) else self.terms
        total: dict[tuple[int, ...], float] = {}
        for label, c in given:
            if isinstance(c, complex) or not isfinite(c):
                raise ValueError(f"{label!r} should have a finite real factor, got {c}")
            product = tuple(sorted(coordinates(label, self.num_modes)))
            total[product] = total.get(product, 0.0) + float(c)
        kept = sorted(term for term in total.items() if term[1] != 0.0)
        n = self.num_modes
        named = tuple(
            (" ".join(f"r_{k}" if k < n else f"p_{k - n}" for k in zs), c)
            for zs, c in kept
        )
        object.__setattr__(self, "terms", named)

    @staticmethod
    def of(
        matrix: ArrayLike,
        linear: ArrayLike | None = None,
        constant: float = 0.0,
        *,
        num_modes: int | None = None,
    ) -> QuadraticForm:
        """Return z^T Q z / 2 + c^T z + e, such as the second derivatives of an energy.

        Args:
            matrix: Q, symmetric, by positions only or by positions and momenta.
            linear: c, of the same length; zero by default.
            constant: e.
            num_modes: n; by default the length of Q, which then has no momenta.

        Raises:
            ValueError: If Q is not symmetric, or shapes do not fit.
        """
        Q = np.asarray(matrix, dtype=np.float64)
        if Q.ndim != 2 or not np.array_equal(Q, Q.T):
            raise ValueError(f"matrix should be symmetric, got {Q.tolist()}")
        size, n = len(Q), len(Q) if num_modes is None else num_modes
        if size not in (n, 2 * n):
            raise ValueError(f"matrix should have {n} or {2 * n} rows, got {size}")
        c = np.zeros(size) if linear is None else np.asarray(linear, dtype=np.float64)
        if c.shape != (size,):
            raise ValueError(f"linear should have shape ({size},), got {c.shape}")
        names = [f"r_{k}" if k < n else f"p_{k - n}" for k in range(size)]
        terms = {"": float(constant), **dict(zip(names, c.tolist(), strict=True))}
        for i, j in np.argwhere(np.triu(Q)):
            terms[f"{names[i]} {names[j]}"] = Q[i, j] * (0.5 if i == j else 1.0)
        return QuadraticForm(terms, n)

    @cached_property
    def products(self) -> tuple[tuple[tuple[int, ...], float], ...]:
        """The same terms with indices of z instead of names."""
        pairs: Any = self.terms
        return tuple((coordinates(label, self.num_modes), c) for label, c in pairs)

    def __repr__(self) -> str:
        """Show how it is made."""
        return f"QuadraticForm({dict(self.terms)}, num_modes={self.num_modes})"


def coordinates(label: str, num_modes: int) -> tuple[int, ...]:
    """Return the factors of a product such as "r_0 p_1" as indices of z.

    Raises:
        ValueError: If there are more than two, or one is no coordinate.
    """
    found = [COORDINATE.fullmatch(factor) for factor in label.split()]
    if len(found) > 2 or not all(found):
        raise ValueError(
            f"a product should be one or two of r_i and p_i, as in 'r_0 r_1', or '', "
            f"got {label!r}"
        )
    modes = [int(match[2]) for match in found if match]
    if modes and max(modes) >= num_modes:
        raise ValueError(f"{label!r} should name modes 0 to {num_modes - 1}")
    momentum = [match[1] == "p" for match in found if match]
    return tuple(k + num_modes * p for k, p in zip(modes, momentum, strict=True))


@dataclass(frozen=True, eq=False)
class QuadraticTerms:
    """The products that occur in a list of forms, and every form's coefficients.

    Attributes:
        num_modes: n.
        first: Of every product of two, the smaller index of z, shape (num_products,).
        second: The other one.
        single: What occurs alone, shape (num_single,).
        quadratic: Sparse, (num_operators, num_products).
        linear: Sparse, (num_operators, num_single).
        constant: Shape (num_operators,).
    """

    num_modes: int
    first: Index
    second: Index
    single: Index
    quadratic: Any
    linear: Any
    constant: Array

    @staticmethod
    def of(operators: Sequence[Any]) -> QuadraticTerms:
        """Sort the products of forms.

        Raises:
            TypeError: If an operator is no ``QuadraticForm``.
            ValueError: If they have different numbers of modes.
        """
        from scipy.sparse import coo_array  # 150 ms that an import need not take

        products: tuple[dict[Any, int], ...] = ({}, {}, {})  # by degree
        entries: tuple[list[Any], ...] = ([], [], [])
        for k, form in enumerate(operators):
            if not isinstance(form, QuadraticForm):
                raise TypeError(
                    f"operator {k} is a {type(form).__name__}, but this equilibrium "
                    "settles forms in positions and momenta (QuadraticForm); a "
                    "SparsePauliOp is settled by Exact, a Distance by Relaxed"
                )
            if form.num_modes != operators[0].num_modes:
                raise ValueError(
                    "operators should have as many modes, got operator 0 with "
                    f"{operators[0].num_modes} and {k} with {form.num_modes}"
                )
            for product, c in form.products:
                known = products[len(product)]
                column = known.setdefault(product, len(known))
                entries[len(product)].append((c, k, column))

        def matrix(degree: int) -> Any:
            shape = (len(operators), max(len(products[degree]), degree == 0))
            c, k, column = np.array(entries[degree]).reshape(-1, 3).T
            where = (k.astype(np.intp), column.astype(np.intp))
            return coo_array((c, where), shape=shape).tocsr()

        pairs = np.array(list(products[2]), dtype=np.intp).reshape(-1, 2)
        single = np.array(list(products[1]), dtype=np.intp).reshape(-1)
        constant = np.asarray(matrix(0).sum(axis=1)).ravel()
        size = operators[0].num_modes
        return QuadraticTerms(
            size, pairs[:, 0], pairs[:, 1], single, matrix(2), matrix(1), constant
        )

    @cached_property
    def touched(self) -> Index:
        """Indices of z that occur at all."""
        return np.unique(np.concatenate([self.first, self.second, self.single]))

    def weights(self, coefficients: NDArray[Any]) -> NDArray[Any]:
        """Return the factor of every product of two in H, (batch, num_products)."""
        return np.asarray((self.quadratic.T @ coefficients.T).T)

    def matrices(self, weights: NDArray[Any]) -> NDArray[Any]:
        """Return Q for products with these factors, (batch, 2n, 2n)."""
        size = 2 * self.num_modes
        Q = np.zeros((len(weights), size, size), weights.dtype)
        Q[:, self.first, self.second] += weights
        Q[:, self.second, self.first] += weights  # r_i r_i has d^2/dr_i^2 = 2
        return Q

    def forces(self, coefficients: NDArray[Any]) -> NDArray[Any]:
        """Return c, (batch, 2n)."""
        c = np.zeros((len(coefficients), 2 * self.num_modes), coefficients.dtype)
        c[:, self.single] = (self.linear.T @ coefficients.T).T
        return c

    def combine(self, pairs: NDArray[Any], singles: NDArray[Any]) -> NDArray[Any]:
        """Return operators' values, up to constants, for those of their products.

        Args:
            pairs: Of products of two, (batch, num_products).
            singles: Of what occurs alone, (batch, num_single).

        Returns:
            Shape (batch, num_operators).
        """
        return np.asarray((self.quadratic @ pairs.T + self.linear @ singles.T).T)

    def at(self, z: NDArray[Any]) -> NDArray[Any]:
        """Return every operator's value at points z of shape (batch, 2n)."""
        pairs = z[:, self.first] * z[:, self.second]
        return self.combine(pairs, z[:, self.single]) + self.constant
