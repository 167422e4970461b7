"""Which pairs of spins or atoms are coupled."""

from __future__ import annotations

from itertools import combinations
from typing import Any


def pairs_of(
    num_spins: int, edges: Any, *, words: tuple[str, str] = ("edges", "spins")
) -> list[tuple[int, int]]:
    """Return the pairs of a graph in the order of its couplings.

    Args:
        num_spins: How many there are to couple.
        edges: As in ``transverse_field_ising``.
        words: What couplings and coupled are called, for what is refused.
    """
    coupling, coupled = words
    if edges is None:
        return list(combinations(range(num_spins), 2))
    if isinstance(edges, str):
        chain = [(k, k + 1) for k in range(num_spins - 1)]
        if edges == "chain":
            return chain
        if edges == "ring":
            return [*chain, (0, num_spins - 1)] if num_spins > 2 else chain
        raise ValueError(f"{coupling} should be 'chain' or 'ring', got {edges!r}")
    if hasattr(edges, "graph") and not hasattr(edges, "get_edges"):
        # A Lattice of qiskit-nature, whose loops (j, j) are on-site terms.
        edges = [e for e in sorted(edges.graph.edge_list()) if e[0] != e[1]]
    for name in ("edge_list", "get_edges"):  # rustworkx graph, CouplingMap
        if hasattr(edges, name):
            undirected = {(min(e), max(e)) for e in getattr(edges, name)()}
            pairs = sorted(undirected)
            break
    else:
        pairs = [(int(j), int(k)) for j, k in edges]
    seen: set[frozenset[int]] = set()
    for j, k in pairs:
        if j == k or not (0 <= j < num_spins and 0 <= k < num_spins):
            raise ValueError(
                f"{coupling} should join two of the {coupled} 0 to {num_spins - 1}, "
                f"got {(j, k)}"
            )
        if frozenset((j, k)) in seen:
            raise ValueError(f"{coupling} should not repeat, got {(j, k)} twice")
        seen.add(frozenset((j, k)))
    return pairs
