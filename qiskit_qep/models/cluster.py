"""Cluster-Ising chains, between symmetry-protected, ferro- and paramagnetic phases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .terms import Kind, assemble, check_spins, on_each, string

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qiskit.quantum_info import SparsePauliOp

    from .._model import Model


def cluster_ising(
    num_spins: int,
    *,
    edges: str = "ring",
    inputs: Sequence[int] = (),
    readout: Sequence[int] = (),
    uniform: bool = False,
) -> Model:
    r"""A chain of spins with cluster terms, Ising couplings and transverse fields.

    .. math::
        H = \sum_j g^{ZXZ}_j Z_j X_{j+1} Z_{j+2} - \sum_j g^{ZZ}_j Z_j Z_{j+1}
            - \sum_j g^X_j X_j - \sum_j x_j Z_{inputs[j]}, \qquad
        O_i = Z_{readout[i]}

    theta is g^ZXZ, then g^ZZ, then g^X, each by j. There are no longitudinal fields, so
    that the prediction is odd, p(-x) = -p(x).

    Training starts near a paramagnet, g^X ~ N(0.5, 0.03^2), all others N(0, 0.03^2).

    Args:
        num_spins: N, at least 3.
        edges: ``"ring"``, which closes all three sums, or ``"chain"``.
        inputs: Spins that feel x.
        readout: Spins that are read; ``dataclasses.replace(model, readout=[...])``
            reads anything else, such as the string X_0 X_4.
        uniform: Whether all terms of a kind share one coefficient: theta is then
            (g^ZXZ, g^ZZ, g^X).

    Raises:
        ValueError: If a spin lies outside the register, there are fewer than three, or
            edges is another graph.

    Example:
        >>> import qiskit_qep as qep
        >>> qep.models.cluster_ising(8, uniform=True)
        Model(3 trainable, 0 inputs, 0 readout; 8 qubits)

    Reference:
        C. C. Wanjura, F. Marquardt, arXiv:2406.06482.
    """
    check_spins(num_spins, inputs=inputs, readout=readout)
    kinds = cluster_terms(num_spins, edges)
    return assemble(
        *(
            Kind(terms, center)
            for terms, center in zip(kinds, (0, 0, 0.5), strict=True)
        ),
        inputs=on_each(num_spins, "Z", inputs, -1.0),
        readout=on_each(num_spins, "Z", readout),
        uniform=uniform,
    )


def cluster_terms(
    num_spins: int, edges: str, register: int | None = None
) -> tuple[list[SparsePauliOp], ...]:
    """Return +ZXZ, -ZZ and -X on the first spins of a register."""
    if num_spins < 3:
        raise ValueError(f"num_spins should be at least 3, got {num_spins}")
    if edges not in ("ring", "chain"):
        raise ValueError(f"edges should be 'chain' or 'ring', got {edges!r}")
    n, size = num_spins, register or num_spins

    def along(letters: str, weight: float) -> list[SparsePauliOp]:
        reach = range(len(letters))
        starts = range(n if edges == "ring" else n - len(letters) + 1)
        return [
            string(size, letters, *((j + k) % n for k in reach), weight=weight)
            for j in starts
        ]

    return along("ZXZ", 1.0), along("ZZ", -1.0), along("X", -1.0)
