"""Measurement settings: which operators one basis of the register serves at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import rustworkx as rx

from .._pauli import PerOperators

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

    @cached_property
    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The weights as compiled loops read them: begins, strings, weights."""
        w = self.weights
        return w.indptr.astype(np.int64), w.indices.astype(np.int64), w.data

    def basis(self, num_qubits: int) -> str:
        """Return the basis as a label, qubit 0 rightmost."""
        letters = []
        for q in reversed(range(num_qubits)):
            x, z = self.flips >> q & 1, self.signs >> q & 1
            letters.append("Y" if x and z else "X" if x else "Z")
        return "".join(letters)


_known: PerOperators[tuple[Setting, ...]] = PerOperators()


def measurement_settings(terms: PauliTerms) -> tuple[Setting, ...]:
    """Sort the strings into qubit-wise commuting groups, as few as a colouring finds.

    Strings that need different bases on a shared qubit are joined by an edge, and the
    graph is coloured by saturation (DSATUR): all Z strings share one setting and all X
    strings another, so a transverse-field Ising network needs two. The identity needs
    none.

    Args:
        terms: The Pauli strings of a model's operators.

    Returns:
        The settings; every string but the identity is in at least one.
    """
    if terms not in _known:
        _known[terms] = _settings(terms)
    return _known[terms]


def _settings(terms: PauliTerms) -> tuple[Setting, ...]:
    flips, signs = terms.flips, terms.signs
    supports = flips | signs
    shared = supports[:, None] & supports
    differ = (flips[:, None] ^ flips) | (signs[:, None] ^ signs)
    conflicts = (shared & differ) != 0
    groups = _color(conflicts, np.flatnonzero(supports))
    bases = [
        (np.bitwise_or.reduce(flips[group]), np.bitwise_or.reduce(signs[group]))
        for group in groups
    ]
    # Qubits that no string of a group touches are measured in Z.
    diagonal = np.array(
        [
            (supports != 0)
            & (flips == in_x & supports)
            & (signs == (in_z | ~in_x) & supports)
            for in_x, in_z in bases
        ]
    ).reshape(len(bases), len(supports))
    settings = []
    for (in_x, in_z), measured in zip(bases, diagonal, strict=True):
        (here,) = np.nonzero(measured)
        weights = terms.weights[:, here] / diagonal[:, here].sum(axis=0)
        settings.append(
            Setting(int(in_x), int(in_z), here, supports[here], weights.tocsr())
        )
    return tuple(settings)


def _color(conflicts: NDArray[np.bool_], strings: NDArray[np.int64]) -> list[list[int]]:
    """Return groups without a conflict, the fewest that DSATUR finds in ten orders.

    The most contested string first is one order, the others are drawn: of the orders of
    the cluster sensor's 51 operators one in three leads to nine groups, which is the
    least possible, the others to ten or eleven; first fit needs 15.
    """
    rng = np.random.default_rng(0)
    contested = np.argsort(-conflicts[strings].sum(axis=1), kind="stable")
    orders = [contested, *(rng.permutation(len(strings)) for _ in range(9))]
    best: list[list[int]] = [[int(s)] for s in strings]
    for order in (strings[o] for o in orders):
        graph: rx.PyGraph[None, None] = rx.PyGraph(multigraph=False)
        graph.add_nodes_from([None] * len(order))
        edges = np.argwhere(np.triu(conflicts[np.ix_(order, order)]))
        graph.add_edges_from_no_data([(int(a), int(b)) for a, b in edges])
        strategy = rx.ColoringStrategy.Saturation
        groups: dict[int, list[int]] = {}
        for node, color in sorted(
            rx.graph_greedy_color(graph, strategy=strategy).items()
        ):
            groups.setdefault(color, []).append(int(order[node]))
        if len(groups) < len(best):
            best = [groups[color] for color in sorted(groups)]
        if len(best) < 3:
            break
    return best
