r"""Hamiltonians without a sign problem, up to a sign of every qubit's X and Y.

.. math::
    \langle s|U H U|s'\rangle \le 0 \quad (s \ne s'), \qquad U = \prod_{q\in g} Z_q

By Perron and Frobenius U psi is then positive for the ground state psi.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.quantum_info import Pauli

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._pauli import PauliTerms

ROUNDING = 1e-12  # by which XX + YY may fall short of vanishing on parallel spins


def gauge(terms: PauliTerms, h: NDArray[np.float64], sample: int) -> NDArray[Any]:
    r"""Return the sign of every string in UPU = +-P, or refuse H.

    A string that flips the qubits x has the sign :math:`(-1)^{|x \cap g|}`. What flips
    the same qubits is one matrix element: no more than one sign where the string of X
    alone outweighs all others. Its sign asks for one parity of g, and all parities are
    solved together over GF(2).

    Args:
        terms: The strings.
        h: Coefficient of every string.
        sample: Number of the row, for the message.

    Returns:
        Shape (num_strings,).

    Raises:
        ValueError: If there is no such g.
    """
    present = (h != 0) & (terms.flips != 0)
    solved: list[tuple[int, int]] = []  # masks in echelon form, parities of g there
    for flip in np.unique(terms.flips[present]):
        same = np.flatnonzero(present & (terms.flips == flip))
        plain = same[terms.signs[same] == 0]
        leading, size = h[plain].sum(), np.abs(h[same]).sum()
        largest = same[np.argmax(np.abs(h[same]) * (terms.signs[same] != 0))]
        if np.any(terms.num_y[same] % 2):
            odd = same[terms.num_y[same] % 2 == 1][0]
            _refuse(terms, h, odd, sample, "makes amplitudes complex")
        if 2 * abs(leading) < size * (1 - ROUNDING):
            why = "outweighs what flips the same qubits by X alone"
            _refuse(terms, h, largest, sample, why)
        mask, parity = _reduced(solved, int(flip), int(leading > 0))
        if mask:
            solved.append((mask, parity))
        elif parity:
            why = "is frustrated: signs of other flips multiply to the opposite sign"
            _refuse(terms, h, plain[0], sample, why)
    g = np.uint64(_solution(solved))
    return np.asarray(1.0 - 2.0 * (np.bitwise_count(terms.flips & g) % 2))


def _reduced(solved: list[tuple[int, int]], mask: int, parity: int) -> tuple[int, int]:
    """Subtract equations until no leading bit of theirs is left."""
    for other, its in sorted(solved, reverse=True):
        if mask >> (other.bit_length() - 1) & 1:
            mask, parity = mask ^ other, parity ^ its
    return mask, parity


def _solution(solved: list[tuple[int, int]]) -> int:
    """Return a g that has all parities, lowest leading bits first."""
    g = 0
    for mask, parity in sorted(solved):
        if (g & mask).bit_count() % 2 != parity:
            g |= 1 << (mask.bit_length() - 1)
    return g


def _refuse(
    terms: PauliTerms, h: NDArray[np.float64], string: int, sample: int, why: str
) -> None:
    bits = np.arange(terms.num_qubits, dtype=np.uint64)
    x, z = (
        ((masks[string] >> bits) & np.uint64(1)).astype(bool)
        for masks in (terms.flips, terms.signs)
    )
    raise ValueError(
        f"sample {sample} has a sign problem: {h[string]:+.3g} {Pauli((z, x))} {why}, "
        "so that its ground state is not positive; VariationalMonteCarlo settles what "
        "is positive up to a sign for every qubit, such as transverse-field Ising "
        "models; use Exact, or TensorNetwork for chains"
    )
