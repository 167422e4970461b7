"""Operators: what a model is a sum of, checked, and compiled once."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from qiskit.quantum_info import Pauli, SparsePauliOp

from ._pauli import PauliTerms

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


class Operators(tuple[Any, ...]):
    """The operators of a model in the order trainable, inputs, readout, fixed."""

    @cached_property
    def compiled(self) -> dict[Any, Any]:
        """What ``compiled`` made of them, by kind."""
        return {}

    @property
    def terms(self) -> PauliTerms:
        """Their Pauli strings, grouped by flip mask, computed once."""
        return compiled(PauliTerms, self)

    @cached_property
    def _labels(self) -> tuple[tuple[tuple[str, complex], ...], ...]:
        return tuple(tuple(op.to_list()) for op in self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as labels, a fifth of the operators' bytes."""
        if all(isinstance(op, SparsePauliOp) for op in self):
            return _received, (self._labels,)
        return _same, (tuple(self),)


@lru_cache(maxsize=16)
def _received(labels: tuple[tuple[tuple[str, complex], ...], ...]) -> Operators:
    """Return the operators that were sent: one object, so that ``terms`` is kept."""
    return Operators(SparsePauliOp.from_list(sum_) for sum_ in labels)


def _same(operators: tuple[Any, ...]) -> Operators:
    """Return the operators that were sent; one object, where they can be compared."""
    try:
        return _interned(operators)
    except TypeError:  # not hashable
        return Operators(operators)


@lru_cache(maxsize=16)
def _interned(operators: tuple[Any, ...]) -> Operators:
    return Operators(operators)


def compiled(kind: type[T], operators: Sequence[Any]) -> T:
    """Return ``kind.of(operators)``, which a model's operators do once."""
    made: Any = kind
    if not isinstance(operators, Operators):
        return cast("T", made.of(operators))
    if kind not in operators.compiled:
        operators.compiled[kind] = made.of(operators)
    return cast("T", operators.compiled[kind])


def pauli_terms(operators: Sequence[Any]) -> PauliTerms:
    """Return the Pauli strings of operators, from a model or any sequence."""
    return compiled(PauliTerms, operators)


def checked(given: Any, role: str) -> Any:
    """Return labels and Paulis as a checked ``SparsePauliOp``, the rest as it is."""
    if isinstance(given, str | Pauli):
        given = SparsePauliOp(given)
    if not isinstance(given, SparsePauliOp):
        return given
    if not np.all(np.isfinite(given.coeffs.astype(complex))):
        raise ValueError(f"{role} operator should be finite, got {given}")
    merged = given.simplify(atol=0.0)
    if np.any(np.abs(merged.coeffs.imag) > 1e-12 * np.abs(merged.coeffs).max()):
        raise ValueError(
            f"{role} operator should be Hermitian (real coefficients), got {given}"
        )
    return SparsePauliOp(given.paulis, given.coeffs.real)


def register(operators: Sequence[Any]) -> str:
    """Return what operators act on, such as "3 qubits", or "" if they do not say.

    Raises:
        ValueError: If they act on different registers.
    """
    sizes = {
        f"{getattr(op, name)} {name.removeprefix('num_')}"
        for name in ("num_qubits", "num_modes")
        for op in operators
        if hasattr(op, name)
    }
    if len(sizes) > 1:
        raise ValueError(
            f"operators should act on one register, got {' and '.join(sorted(sizes))}"
        )
    return sizes.pop() if sizes else ""
