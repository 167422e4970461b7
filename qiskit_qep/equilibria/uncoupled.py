"""Uncoupled: the same spins with every coupling left out, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase
from .._model import pauli_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .._pauli import PauliTerms

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Uncoupled:
    r"""The ground state of every spin alone in its field, without any coupling.

    .. math:: H = \sum_q f_q \cdot \sigma_q, \qquad
              \langle\sigma_q\rangle = -\frac{f_q}{|f_q|}

    For an Ising spin in fields h and b this is <Z> = b / sqrt(b^2 + h^2). Strings on
    two and more qubits neither act nor are measured (their value is 0), so they are not
    trained: what a network learns here, it learns without being a network.

    Raises:
        TypeError: On complex coefficients.

    Example:
        >>> import qiskit_qep as qep
        >>> from qiskit_qep.equilibria.uncoupled import Uncoupled
        >>> model = qep.Model(["XI", "ZI"], readout=["ZI"], fixed="ZZ")
        >>> qep.predict(model, [-3.0, -4.0], [], equilibrium=Uncoupled())
        array([[0.8]])
    """

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row; see ``Equilibrium``. Nothing is drawn."""
        if np.iscomplexobj(coefficients):
            raise TypeError(
                "Uncoupled needs real coefficients, got complex ones; use a real nudge "
                "such as Nudge.centered"
            )
        terms = pauli_terms(operators)
        fields = _fields(terms, coefficients)
        strength = np.linalg.norm(fields, axis=2)
        bloch = -fields / np.where(strength > 0, strength, 1.0)[:, :, None]
        values = _measured(terms, bloch, identity=1.0)
        return Phase(values, gap=2.0 * strength.min(axis=1), state=(bloch, strength))

    def response(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        direction: NDArray[Any],
    ) -> Array:
        r"""Return d<A_k> along a direction of coefficient space.

        .. math:: d\langle\sigma\rangle = -\frac{df - n\,(n\cdot df)}{|f|}, \qquad
                  n = \langle\sigma\rangle
        """
        terms = pauli_terms(operators)
        bloch, strength = phase.state
        change = _fields(terms, direction)
        along = (bloch * change).sum(axis=2, keepdims=True) * bloch
        size = np.where(strength > 0, strength, 1.0)[:, :, None]
        return _measured(terms, (along - change) / size, identity=0.0)


def _single(terms: PauliTerms) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return which strings act on one qubit, which one, and the axis (X, Y, Z)."""
    support = terms.flips | terms.signs
    strings = np.flatnonzero(np.bitwise_count(support) == 1)
    qubit = np.bitwise_count(support[strings] - np.uint64(1)).astype(np.intp)
    x, z = (mask[strings] != 0 for mask in (terms.flips, terms.signs))
    return strings, qubit, np.where(x & z, 1, np.where(x, 0, 2))


def _fields(terms: PauliTerms, coefficients: Array) -> Array:
    """Return f, shape (batch, num_qubits, 3)."""
    strings, qubit, axis = _single(terms)
    fields = np.zeros((len(coefficients), terms.num_qubits, 3))
    fields[:, qubit, axis] = coefficients @ terms.weights[:, strings]
    return fields


def _measured(terms: PauliTerms, bloch: Array, identity: float) -> Array:
    """Return the operators' values for Bloch vectors, (batch, num_operators)."""
    strings, qubit, axis = _single(terms)
    per_string = np.zeros((len(bloch), len(terms.flips)))
    per_string[:, strings] = bloch[:, qubit, axis]
    per_string[:, (terms.flips | terms.signs) == 0] = identity
    return np.asarray(per_string @ terms.weights.T)
