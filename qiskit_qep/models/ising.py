"""Ising spins in transverse and longitudinal fields, on any graph."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qiskit.quantum_info import SparsePauliOp

from .._model import Model
from .._parametrization import direct
from .graphs import pairs_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


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
            is kept), a rustworkx graph or a ``CouplingMap`` (pairs j < k, sorted). A
            network that is the device's graph needs no SWAP.
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
    if num_spins < 1:
        raise ValueError(f"num_spins should be at least 1, got {num_spins}")
    pairs = pairs_of(num_spins, edges)
    for name, spins in (("inputs", inputs), ("readout", readout)):
        for spin in spins:
            if not 0 <= spin < num_spins:
                raise ValueError(
                    f"{name} should be spins 0 to {num_spins - 1}, got {spin}"
                )
    spins = range(num_spins)

    def minus(pauli: str, *where: int) -> SparsePauliOp:
        return SparsePauliOp.from_sparse_list([(pauli, list(where), -1.0)], num_spins)

    trainable = [minus("ZZ", j, k) for j, k in pairs] + [minus("X", k) for k in spins]
    if bias:
        trainable += [minus("Z", k) for k in spins]
    center = [0.0] * len(pairs) + [0.5] * num_spins + [0.0] * num_spins * bias
    return Model(
        trainable=tuple(trainable),
        inputs=tuple(minus("Z", k) for k in inputs),
        readout=tuple(-minus("Z", k) for k in readout),
        parametrization=partial(direct, center=tuple(center), width=0.03),
    )
