"""Ising spins in transverse and longitudinal fields, on any graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .graphs import pairs_of
from .terms import Kind, assemble, check_spins, on_each, string

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._model import Model


def transverse_field_ising(
    num_spins: int,
    *,
    edges: str | Iterable[tuple[int, int]] | Any | None = None,
    inputs: Sequence[int] = (),
    readout: Sequence[int] = (),
    bias: bool = True,
) -> Model:
    r"""Ising spins in transverse and longitudinal fields.

    .. math::
        H = -\sum_{(j,k)} J_{jk} Z_j Z_k - \sum_k h_k X_k - \sum_k b_k Z_k
            - \sum_j x_j Z_{inputs[j]}, \qquad O_i = Z_{readout[i]}

    theta is J in edge order, then h, then b. Without bias fields the prediction is odd,
    p(-x) = -p(x): such a network cannot learn XOR in +-1 coding.

    Training starts with weak couplings J ~ N(0, 0.03^2) and b ~ N(0, 0.03^2) in
    transverse fields h ~ N(0.5, 0.03^2), far from any level crossing.

    Args:
        num_spins: N.
        edges: None for the complete graph, ``"chain"``, ``"ring"``, pairs (their order
            is kept), a rustworkx graph, a ``Lattice`` of qiskit-nature or a
            ``CouplingMap`` (pairs j < k, sorted). A network that is the device's graph
            needs no SWAP.
        inputs: Spins that feel x.
        readout: Spins that are read.
        bias: Whether there are trainable longitudinal fields b.

    Raises:
        ValueError: If a spin lies outside the register or an edge repeats.

    Example:
        >>> import qiskit_qep as qep
        >>> qep.models.transverse_field_ising(4, edges="ring", inputs=[0], readout=[3])
        Model(12 trainable, 1 inputs, 1 readout; 4 qubits)

    Reference:
        B. Scellier, arXiv:2406.00879, Eq. (33).
    """
    check_spins(num_spins, inputs=inputs, readout=readout)
    spins, pairs = range(num_spins), pairs_of(num_spins, edges)
    couplings = [string(num_spins, "ZZ", *pair, weight=-1.0) for pair in pairs]
    return assemble(
        Kind(couplings),
        Kind(on_each(num_spins, "X", spins, -1.0), center=0.5),
        Kind(on_each(num_spins, "Z", spins if bias else (), -1.0)),
        inputs=on_each(num_spins, "Z", inputs, -1.0),
        readout=on_each(num_spins, "Z", readout),
    )
