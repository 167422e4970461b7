"""Two trainable spins beside a system that tell which phase it is in."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from qiskit.quantum_info import SparsePauliOp

from .cluster import cluster_terms
from .honeycomb import honeycomb_terms
from .terms import Kind, assemble, on_each, string

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._model import Model


def cluster_sensor(num_spins: int = 8) -> Model:
    r"""A phase sensor: two trainable spins at a cluster-Ising ring that is the input.

    .. math::
        H = \sum_{i, a, s, b} c_{iasb}\, \sigma^a_i \sigma^b_s
            + \sum_{s, b} f_{sb}\, \sigma^b_s
            + \sum_{b, b'} d_{bb'}\, \sigma^b_A \sigma^{b'}_B
            + \sum_n x_n H_n

    with sites i = 0, 1, sensor spins s = A, B (the last two), a, b in X, Y, Z, and
    H_n the sums of ZXZ, -ZZ and -X around the ring: x = (g_ZXZ, g_ZZ, g_X). Read are
    the projectors (1+Z_A)(1+Z_B)/4, (1+Z_A)(1-Z_B)/4 and (1-Z_A)(1-Z_B)/4, in the
    order of the phases of ``datasets.cluster_ising``: cluster, ferromagnet,
    paramagnet. theta is c by (i, a, s, b), then f by (s, b), then d: 51 numbers.

    Training starts with c ~ N(0, 0.06^2) and f, d ~ N(0, 1). The published start draws
    c uniformly from (-0.1, 0.1), with the same standard deviation.

    Args:
        num_spins: Length of the ring, at least 3.

    Raises:
        ValueError: If the ring is too short.

    Example:
        >>> import qiskit_qep as qep
        >>> qep.models.cluster_sensor()
        Model(51 trainable, 3 inputs, 3 readout; 10 qubits)

    Reference:
        C. C. Wanjura, F. Marquardt, arXiv:2406.06482, and their published code.
    """
    terms = cluster_terms(num_spins, "ring", num_spins + 2)
    return _sensor(num_spins, [SparsePauliOp.sum(kind) for kind in terms], 3)


def kitaev_sensor(rows: int = 2, columns: int = 2) -> Model:
    r"""A phase sensor: two trainable spins at a Kitaev honeycomb that is the input.

    The sensor is that of ``cluster_sensor``, beside the two spins of the first unit
    cell. The input x = (J_x, J_y, J_z) multiplies -XX, -YY and -ZZ on all links of
    that kind, as in ``kitaev_honeycomb``. Read are the projectors
    (1+Z_A)(1+Z_B)/4, (1+Z_A)(1-Z_B)/4, (1-Z_A)(1-Z_B)/4 and (1-Z_A)(1+Z_B)/4, in the
    order of the phases of ``datasets.kitaev_honeycomb``: A_x, A_y, A_z and B.

    Args:
        rows: Unit cells along the first direction of the torus, at least 2.
        columns: Unit cells along the second direction, at least 2.

    Raises:
        ValueError: If the torus is too small.

    Example:
        >>> import qiskit_qep as qep
        >>> qep.models.kitaev_sensor()
        Model(51 trainable, 3 inputs, 4 readout; 10 qubits)

    Reference:
        A. Kitaev, arXiv:cond-mat/0506438; C. C. Wanjura, F. Marquardt,
        arXiv:2406.06482.
    """
    num_spins = 2 * rows * columns
    kinds = honeycomb_terms(rows, columns, num_spins + 2)
    return _sensor(num_spins, [SparsePauliOp.sum(kind) for kind in kinds], 4)


def _sensor(num_spins: int, terms: Sequence[SparsePauliOp], num_phases: int) -> Model:
    """Return the model of a sensor at spins 0 and 1 of a system with given terms."""
    size, a, b = num_spins + 2, num_spins, num_spins + 1
    couplings = [
        string(size, p + q, site, sensor)
        for site, p, sensor, q in product((0, 1), "XYZ", (a, b), "XYZ")
    ]
    fields = [string(size, q, sensor) for sensor, q in product((a, b), "XYZ")]
    bonds = [string(size, p + q, a, b) for p, q in product("XYZ", "XYZ")]
    one, (z_a, z_b) = string(size, ""), on_each(size, "Z", (a, b))
    signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))[:num_phases]
    return assemble(
        Kind(couplings, width=0.06),
        Kind([*fields, *bonds], width=1.0),
        inputs=terms,
        readout=[
            ((one + s * z_a) @ (one + t * z_b)).simplify() / 4.0 for s, t in signs
        ],
    )
