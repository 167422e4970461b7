"""Rydberg atoms in a chain, driven by a laser."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from qiskit.quantum_info import SparsePauliOp

from .terms import Kind, assemble, check_spins, on_each, string

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._model import Model


def rydberg_chain(
    num_atoms: int,
    *,
    interaction: float = 1.0,
    inputs: Sequence[int] = (),
    readout: Sequence[int] = (),
    uniform: bool = False,
) -> Model:
    r"""A chain of Rydberg atoms with local drives and detunings.

    .. math::
        H = \sum_k \frac{\Omega_k}{2} X_k - \sum_k \Delta_k n_k
            + \sum_{j<k} \frac{V}{|j - k|^6} n_j n_k - \sum_j x_j n_{inputs[j]},
        \qquad n = \frac{1 - Z}{2}, \qquad O_i = Z_{readout[i]}

    Bit 1 is the excited state. theta is Omega, then Delta, by atom. The interaction is
    fixed: atoms stand at distance 1, closer than the blockade radius
    (V / Omega)^(1/6) where V > Omega.

    Training starts with Omega ~ N(1, 0.03^2) and Delta ~ N(0, 0.03^2).

    Args:
        num_atoms: N.
        interaction: V, of two neighbours, in units of energy.
        inputs: Atoms whose detuning is shifted by x.
        readout: Atoms that are read.
        uniform: Whether all atoms share one Omega and one Delta.

    Raises:
        ValueError: If an atom lies outside the chain.

    Example:
        >>> import qiskit_qep as qep
        >>> pair = qep.models.rydberg_chain(2, interaction=100.0, readout=[0, 1])
        >>> qep.predict(pair, [1.0, 1.0, 2.0, 2.0], []).round(2)  # blockaded
        array([[0.09, 0.09]])

    Reference:
        H. Bernien et al., arXiv:1707.04344, Eq. (1).
    """
    check_spins(num_atoms, inputs=inputs, readout=readout)
    atoms = range(num_atoms)
    one = string(num_atoms, "")

    def excited(which: Iterable[int]) -> list[SparsePauliOp]:
        return [(one - z) / 2 for z in on_each(num_atoms, "Z", which)]

    n = excited(atoms)
    repelled = [
        (n[j] @ n[k]).simplify() * (interaction / (k - j) ** 6)
        for j, k in combinations(atoms, 2)
    ]
    return assemble(
        Kind(on_each(num_atoms, "X", atoms, 0.5), center=1.0),
        Kind([-term for term in n]),
        inputs=[-term for term in excited(inputs)],
        readout=on_each(num_atoms, "Z", readout),
        fixed=SparsePauliOp.sum(repelled).simplify() if repelled else None,
        uniform=uniform,
    )
