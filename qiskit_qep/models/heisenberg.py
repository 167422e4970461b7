"""Heisenberg, XXZ and XX + ZZ spins on any graph or lattice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qiskit.quantum_info import SparsePauliOp

from .graphs import pairs_of
from .terms import Kind, assemble, check_spins, field_kinds, on_each, string

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._model import Model


def heisenberg(
    num_spins: int,
    *,
    edges: str | Iterable[tuple[int, int]] | Any | None = None,
    inputs: Sequence[int] = (),
    readout: Sequence[int] = (),
    fields: str = "XZ",
    uniform: bool = False,
) -> Model:
    r"""Heisenberg spins in fields, antiferromagnetic where J > 0.

    .. math::
        H = \sum_{(j,k)} J_{jk} (X_j X_k + Y_j Y_k + Z_j Z_k) - \sum_k h_k X_k
            - \sum_k b_k Z_k - \sum_j x_j Z_{inputs[j]}, \qquad O_i = Z_{readout[i]}

    theta is J in edge order, then h, then b. In Pauli matrices J is a quarter of the
    coupling of spins S = 1/2. Without transverse fields the magnetisation along Z is
    conserved, and the prediction jumps where its value in the ground state does.

    Training starts with weak couplings J ~ N(0, 0.03^2) and b ~ N(0, 0.03^2) in
    transverse fields h ~ N(0.5, 0.03^2).

    Args:
        num_spins: N.
        edges: As in ``transverse_field_ising``.
        inputs: Spins that feel x.
        readout: Spins that are read.
        fields: Directions of the trainable fields, some of ``"XYZ"``, or ``""``.
        uniform: Whether all terms of a kind share one coefficient.

    Raises:
        ValueError: If a spin lies outside the register, an edge repeats, or a field has
            another direction.

    Example:
        >>> import qiskit_qep as qep
        >>> ring = qep.models.heisenberg(4, edges="ring", fields="", uniform=True)
        >>> phase = qep.Exact()(ring.operators, ring.coefficients([1.0], []))
        >>> phase.values.round(6)
        array([[-8.]])
    """
    return _exchange(num_spins, ("XYZ",), edges, inputs, readout, fields, uniform)


def xxz(
    num_spins: int,
    *,
    edges: str | Iterable[tuple[int, int]] | Any | None = None,
    inputs: Sequence[int] = (),
    readout: Sequence[int] = (),
    fields: str = "XZ",
    uniform: bool = False,
) -> Model:
    r"""Spins with one coupling in the plane and another along Z, in fields.

    .. math::
        H = \sum_{(j,k)} J^\perp_{jk} (X_j X_k + Y_j Y_k) + \sum_{(j,k)} J^z_{jk}
            Z_j Z_k - \sum_k h_k X_k - \sum_k b_k Z_k - \sum_j x_j Z_{inputs[j]},
        \qquad O_i = Z_{readout[i]}

    theta is J^perp in edge order, then J^z, then h, then b; the anisotropy is
    Delta = J^z / J^perp. The rest is as in ``heisenberg``.

    Args:
        num_spins: N.
        edges: As in ``transverse_field_ising``.
        inputs: Spins that feel x.
        readout: Spins that are read.
        fields: Directions of the trainable fields, some of ``"XYZ"``, or ``""``.
        uniform: Whether all terms of a kind share one coefficient.

    Raises:
        ValueError: As ``heisenberg``.

    Example:
        >>> import qiskit_qep as qep
        >>> qep.models.xxz(4, edges="ring", inputs=[0], readout=[3])
        Model(16 trainable, 1 inputs, 1 readout; 4 qubits)
    """
    return _exchange(num_spins, ("XY", "Z"), edges, inputs, readout, fields, uniform)


def xx_zz_network(
    num_spins: int,
    *,
    edges: str | Iterable[tuple[int, int]] | Any | None = None,
    inputs: Sequence[int] = (),
    readout: Sequence[int] = (),
    fields: str = "X",
    uniform: bool = False,
) -> Model:
    r"""Spins with couplings along X and along Z, in transverse fields.

    .. math::
        H = \sum_{(j,k)} J^x_{jk} X_j X_k + \sum_{(j,k)} J^z_{jk} Z_j Z_k
            - \sum_k h_k X_k - \sum_j x_j Z_{inputs[j]}, \qquad O_i = Z_{readout[i]}

    theta is J^x in edge order, then J^z, then h. With fields along X only the
    prediction is odd, p(-x) = -p(x): it learns spirals and centred moons, but neither
    XOR nor moons that are not centred. The rest is as in ``heisenberg``.

    Args:
        num_spins: N.
        edges: As in ``transverse_field_ising``.
        inputs: Spins that feel x.
        readout: Spins that are read.
        fields: Directions of the trainable fields, some of ``"XYZ"``, or ``""``.
        uniform: Whether all terms of a kind share one coefficient.

    Raises:
        ValueError: As ``heisenberg``.

    Example:
        >>> import qiskit_qep as qep
        >>> qep.models.xx_zz_network(6, inputs=[0, 1], readout=[5])
        Model(36 trainable, 2 inputs, 1 readout; 6 qubits)

    Reference:
        S. Massar, B. M. Mognetti, arXiv:2405.08467.
    """
    return _exchange(num_spins, ("X", "Z"), edges, inputs, readout, fields, uniform)


def _exchange(
    num_spins: int,
    groups: Sequence[str],
    edges: Any,
    inputs: Sequence[int],
    readout: Sequence[int],
    fields: str,
    uniform: bool,
) -> Model:
    """Return the model with one coupling of every pair for each group of letters."""
    check_spins(num_spins, inputs=inputs, readout=readout)
    pairs = pairs_of(num_spins, edges)
    couplings = [
        [
            SparsePauliOp.sum([string(num_spins, 2 * a, *pair) for a in letters])
            for pair in pairs
        ]
        for letters in groups
    ]
    return assemble(
        *(Kind(terms) for terms in couplings),
        *field_kinds(num_spins, fields),
        inputs=on_each(num_spins, "Z", inputs, -1.0),
        readout=on_each(num_spins, "Z", readout),
        uniform=uniform,
    )
