"""TensorNetwork: ground states of chains and narrow ladders, by DMRG."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase
from .._mpo import StringsOnALine
from .._operators import compiled
from ._sweeps import ROUNDING, Settled, bonds, orthonormal, padded, settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ._sweeps import Tensors

    Array = NDArray[np.float64]

GROWTH = 1e-8  # change of energy at which two-site sweeps end, one-site sweeps begin
GROWTH_SWEEPS = 20


@dataclass(frozen=True)
class TensorNetwork:
    max_bond: int = 32
    tolerance: float = 1e-10
    max_sweeps: int = 200

    follow = True  # a nudged phase starts from its free one, and keeps its bonds

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row; see ``Equilibrium``. Nothing is drawn."""
        if np.iscomplexobj(coefficients):
            raise TypeError(
                "Nudge.holomorphic needs complex coefficients, whose H has no lowest "
                "energy; use Nudge.chebyshev with TensorNetwork"
            )
        strings = compiled(StringsOnALine, operators)
        sizes = bonds(strings.num_sites, self.max_bond)
        widest = max(sizes)
        values, residual, states = [], [], []
        for b, row in enumerate(coefficients):
            operator = strings.tensors(row)
            if start is None:
                begin = self._grown(operator, sizes)
            else:
                begin = padded(start.state[0][b], sizes)
            enough = max(self.tolerance, ROUNDING * float(np.abs(row).sum()))
            found = settle(orthonormal(begin), operator, enough, self.max_sweeps)
            values.append((strings.weights @ found.string_values(strings)).real)
            residual.append(found.residual)
            states.append(padded(found.tensors, [widest] * len(sizes)))
        return Phase(
            np.array(values), residual=np.array(residual), state=(np.array(states),)
        )

    def _grown(self, operator: Tensors, sizes: list[int]) -> Tensors:
        """Return a state near the ground state, from a fixed random one."""
        rng, dtype = np.random.default_rng(0), operator[0].dtype
        exact = bonds(len(operator), 2**62)
        small = sizes if sizes == exact else bonds(len(operator), 2)
        shapes = zip(small[:-1], small[1:], strict=True)
        begin = [rng.standard_normal((a, 2, b)).astype(dtype) for a, b in shapes]
        if sizes == exact:
            return begin
        return padded(_two_site(operator, orthonormal(begin), max(sizes)), sizes)


def _two_site(operator: Tensors, tensors: Tensors, max_bond: int) -> Tensors:
    """Let bonds grow by quimb's two-site DMRG."""
    try:
        from quimb.tensor import DMRG2, MatrixProductOperator, MatrixProductState
    except ImportError:
        raise ImportError(
            "TensorNetwork grows the bonds of its states by quimb, which is not "
            "installed: pip install 'qiskit-qep[tn]'"
        ) from None
    last = len(tensors) - 1
    edges = {0: 0, last: 1}
    w = [o[0] if n == 0 else o[:, 0] if n == last else o for n, o in enumerate(operator)]
    a = [t[0] if n == 0 else t[..., 0] if n == last else t for n, t in enumerate(tensors)]
    sizes = [d for d in (4, 8, 16) if d < max_bond] + [max_bond]
    dmrg = DMRG2(
        MatrixProductOperator(w, shape="lrud"),
        bond_dims=sizes,
        cutoffs=1e-14,
        p0=MatrixProductState(a, shape="lpr"),
    )
    dmrg.solve(tol=GROWTH, max_sweeps=GROWTH_SWEEPS)
    found = dmrg.state
    found.permute_arrays("lpr")
    arrays = list(found.arrays)
    return [arrays[0][None], *arrays[1:-1], arrays[-1][..., None]]
