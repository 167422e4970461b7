"""Measurement settings: which operators one basis of the register serves at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from .._pauli import PauliTerms


@dataclass(frozen=True, eq=False)
class Setting:
    """One basis per qubit, and the Pauli strings that are diagonal in it.

    Attributes:
        flips: Bit mask of the qubits measured in X or Y; the others are measured in Z.
        signs: Bit mask of the qubits measured in Y or Z.
        strings: Numbers of the strings that this setting measures.
        supports: Bit mask of each of these strings: its value is the parity there.
        weights: Their share in every operator, (num_operators, number of strings).
    """

    flips: int
    signs: int
    strings: NDArray[np.int64]
    supports: NDArray[np.uint64]
    weights: csr_array

    def basis(self, num_qubits: int) -> str:
        """Return the basis as a label, qubit 0 rightmost."""
        letters = []
        for q in reversed(range(num_qubits)):
            x, z = self.flips >> q & 1, self.signs >> q & 1
            letters.append("Y" if x and z else "X" if x else "Z")
        return "".join(letters)


_known: WeakKeyDictionary[PauliTerms, tuple[Setting, ...]] = WeakKeyDictionary()


def measurement_settings(terms: PauliTerms) -> tuple[Setting, ...]:
    """Sort the strings into qubit-wise commuting groups, first fit, longest first.

    All Z strings share one setting and all X strings another, so a transverse-field
    Ising network needs two. The identity needs none.

    Args:
        terms: The Pauli strings of a model's operators.

    Returns:
        The settings; every string but the identity is in exactly one.
    """
    if terms not in _known:
        _known[terms] = _first_fit(terms)
    return _known[terms]


def _first_fit(terms: PauliTerms) -> tuple[Setting, ...]:
    supports = terms.flips | terms.signs
    order = np.argsort(-np.bitwise_count(supports).astype(int), kind="stable")
    groups: list[tuple[list[int], int, int, int]] = []  # strings, flips, signs, fixed
    for s in order:
        flip, sign, support = (int(m[s]) for m in (terms.flips, terms.signs, supports))
        if support == 0:
            continue
        for g, (strings, flips, signs, fixed) in enumerate(groups):
            shared = support & fixed
            if (flip ^ flips) & shared == 0 and (sign ^ signs) & shared == 0:
                strings.append(int(s))
                groups[g] = (strings, flips | flip, signs | sign, fixed | support)
                break
        else:
            groups.append(([int(s)], flip, sign, support))
    return tuple(
        Setting(
            flips,
            signs,
            np.array(strings),
            supports[strings],
            terms.weights[:, strings],
        )
        for strings, flips, signs, _ in groups
    )
