"""Kitaev's honeycomb: spins on a torus with conserved fluxes."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from .terms import Kind, assemble, check_spins, on_each, string

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qiskit.quantum_info import SparsePauliOp

    from .._model import Model


def kitaev_honeycomb(
    rows: int,
    columns: int,
    *,
    inputs: Sequence[int] = (),
    readout: Sequence[int] = (),
    uniform: bool = False,
) -> Model:
    r"""Kitaev's honeycomb model on a torus of rows x columns unit cells.

    .. math::
        H = -\sum_{a = x, y, z}\ \sum_{(j,k) \in a\text{-links}} J^a_{jk}
            \sigma^a_j \sigma^a_k - \sum_j x_j Z_{inputs[j]}, \qquad
        O_i = Z_{readout[i]}

    Cell (r, c) holds spins A = 2 (r columns + c) and B = A + 1. Spin A has a z-link to
    its own B, an x-link to the B of (r, c - 1) and a y-link to the B of (r - 1, c).
    theta is J^x, then J^y, then J^z, each by the cell of A. For J^x = J^y = J^z the
    infinite system is gapless (phase B); it is gapped (A_x) where |J^x| > |J^y| + |J^z|
    and so on. Without inputs the fluxes ``kitaev_plaquettes`` are conserved.

    Training starts around the symmetric point, J ~ N(1, 0.03^2).

    Args:
        rows: Unit cells along the first direction, at least 2.
        columns: Unit cells along the second direction, at least 2.
        inputs: Spins that feel x.
        readout: Spins that are read. Without inputs <Z> is 0: read links or fluxes with
            ``dataclasses.replace(model, readout=qep.models.kitaev_plaquettes(2, 2))``.
        uniform: Whether all links of a kind share one J: theta is then (J_x, J_y, J_z).

    Raises:
        ValueError: If the torus is too small, or a spin lies outside it.

    Example:
        >>> import qiskit_qep as qep
        >>> qep.models.kitaev_honeycomb(2, 3, uniform=True)
        Model(3 trainable, 0 inputs, 0 readout; 12 qubits)

    Reference:
        A. Kitaev, arXiv:cond-mat/0506438, Eq. (4).
    """
    terms = honeycomb_terms(rows, columns)
    num_spins = 2 * rows * columns
    check_spins(num_spins, inputs=inputs, readout=readout)
    return assemble(
        *(Kind(kind, center=1.0) for kind in terms),
        inputs=on_each(num_spins, "Z", inputs, -1.0),
        readout=on_each(num_spins, "Z", readout),
        uniform=uniform,
    )


def kitaev_plaquettes(rows: int, columns: int) -> list[SparsePauliOp]:
    r"""Return the flux through every hexagon of ``kitaev_honeycomb``, by cell.

    .. math:: W_p = \prod_{j \in p} \sigma_j^{\text{out}(j)}, \qquad W_p^2 = 1

    with out(j) the kind of the link that leaves the hexagon at j. They commute with
    each other and with every link, and their product is 1.

    Args:
        rows: As in ``kitaev_honeycomb``.
        columns: As in ``kitaev_honeycomb``.

    Raises:
        ValueError: If the torus is too small.

    Example:
        >>> import qiskit_qep as qep
        >>> qep.models.kitaev_plaquettes(2, 2)[0].paulis.to_labels()
        ['XYZIIZYX']

    Reference:
        A. Kitaev, arXiv:cond-mat/0506438, Eq. (5).
    """
    site = _sites(rows, columns)
    fluxes = []
    for r, c in product(range(rows), range(columns)):
        a, b = site(r, c)
        right, _ = site(r, c + 1)
        above = site(r - 1, c + 1)
        around = (a, b, right, above[1], above[0], site(r - 1, c)[1])
        fluxes.append(string(2 * rows * columns, "XYZXYZ", *around))
    return fluxes


def honeycomb_terms(
    rows: int, columns: int, register: int | None = None
) -> tuple[list[SparsePauliOp], ...]:
    """Return -XX, -YY and -ZZ on the links of each kind, on the first spins."""
    site, size = _sites(rows, columns), register or 2 * rows * columns
    cells = list(product(range(rows), range(columns)))

    def links(letter: str, up: int, left: int) -> list[SparsePauliOp]:
        ends = [(site(r, c)[0], site(r - up, c - left)[1]) for r, c in cells]
        return [string(size, 2 * letter, *pair, weight=-1.0) for pair in ends]

    return links("X", 0, 1), links("Y", 1, 0), links("Z", 0, 0)


def _sites(rows: int, columns: int) -> Callable[[int, int], tuple[int, int]]:
    """Return the function from a cell to its spins A and B, periodic in both ways."""
    if rows < 2 or columns < 2:
        raise ValueError(
            f"rows and columns should be at least 2, got {rows} and {columns}: on a "
            "narrower torus two links join the same spins"
        )

    def site(r: int, c: int) -> tuple[int, int]:
        a = 2 * (r % rows * columns + c % columns)
        return a, a + 1

    return site
