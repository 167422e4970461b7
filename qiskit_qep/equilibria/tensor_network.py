"""TensorNetwork: ground states of chains and narrow ladders, by DMRG."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase, refuse_complex
from .._mpo import StringsOnALine
from .._operators import compiled
from .._whole import refuse_fractions
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
    r"""The ground state among matrix-product states of bonded tensors, by DMRG.

    .. math::
        \psi_\sigma = A_0^{\sigma_0} A_1^{\sigma_1} \cdots A_{N-1}^{\sigma_{N-1}},
        \qquad E = \min_A \frac{\langle\psi|H|\psi\rangle}{\langle\psi|\psi\rangle}

    For chains and narrow ladders of up to a hundred spins and more: qubit q is site q
    of a line, and what is coupled should be close on it. Bonds grow by quimb's two-site
    sweeps (registers small enough for exact bonds need none); one-site sweeps then make
    the energy stationary at every tensor. A nudged phase starts from its free one and
    keeps its bonds. So the gradient is that of this state's own prediction, however
    small ``max_bond`` is; a two-site sweep, which truncates last, would not do.

    Valid where the level is isolated and sweeps converge to the lowest minimum, as they
    do on gapped chains. ``Phase.residual`` is the norm of H psi - E psi, the square
    root of the variance of the energy: what ``max_bond`` leaves out of an eigenstate.
    ``Phase.gap`` is an upper bound, from changes of one tensor. ``Phase.state`` is the
    tensors, padded to N x D x 2 x D and flat, complex numbers as pairs.

    Attributes:
        max_bond: D, the largest bond; entanglement is at most log2 D bits.
        tolerance: Bound on the slope of the energy at any tensor. A gradient's error is
            about this over beta.
        max_sweeps: One-site sweeps, to and fro, before a row is given up with a
            warning.
        warm: Whether a training step starts from what the last one settled to, which
            saves the two-site sweeps. It then keeps to its level where another crosses
            below (a negative gap is warned of), and a State holds all samples' tensors.

    Raises:
        ValueError: If an argument is out of range, too many long strings overlap, or
            the start is of another kind.
        TypeError: If an operator is no ``SparsePauliOp``, or coefficients are complex.
        ImportError: If quimb, the extra ``[tn]``, is needed and not installed.

    Example:
        >>> import qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(
        ...     10, edges="chain", inputs=[0], readout=[1], bias=False)
        >>> theta, x = [0.5] * 9 + [1.0] * 10, [[1.0]]
        >>> p = qep.predict(model, theta, x, equilibrium=qep.TensorNetwork(8))
        >>> bool(abs(p - qep.predict(model, theta, x)).max() < 1e-7)
        True

    Reference:
        S. R. White, Phys. Rev. Lett. 69, 2863 (1992); U. Schollwoeck,
        arXiv:1008.3477, Section 6, for one-site sweeps and matrix-product operators.
    """

    max_bond: int = 32
    tolerance: float = 1e-10
    max_sweeps: int = 200
    warm: bool = False

    follow = True  # a nudged phase waits for its free one, whose tensors it starts from

    def __post_init__(self) -> None:
        """Check the arguments."""
        refuse_fractions(max_bond=self.max_bond, max_sweeps=self.max_sweeps)
        if not self.tolerance > 0:
            raise ValueError(f"tolerance should be positive, got {self.tolerance}")

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row; see ``Equilibrium``. Nothing is drawn."""
        strings = compiled(StringsOnALine, operators)
        refuse_complex(
            coefficients,
            "whose H has no lowest energy; use Nudge.chebyshev with TensorNetwork",
        )
        sizes = bonds(strings.num_sites, self.max_bond)
        begins = _tensors(start, len(coefficients), sizes)
        rows = []
        for b, row in enumerate(coefficients):
            operator = strings.tensors(row)
            begin = None if begins is None else begins[b]
            if begin is None or np.isnan(begin).any():  # it never settled yet
                begin = _grown(operator, sizes)
            enough = max(self.tolerance, ROUNDING * float(np.abs(row).sum()))
            found = settle(
                orthonormal(padded(begin, sizes)), operator, enough, self.max_sweeps
            )
            values = (strings.weights @ found.string_values(strings)).real
            state = padded(found.tensors, [max(sizes)] * len(sizes))
            rows.append((values, found.gap, found.residual, np.array(state)))
            if found.slope > enough:
                self._warn(b, found)
        values, gap, residual, states = map(np.array, zip(*rows, strict=True))
        flat = states.reshape(len(states), -1).view(np.float64)
        return Phase(values, gap=gap, residual=residual, state=(flat,))

    def _warn(self, sample: int, found: Settled) -> None:
        warnings.warn(
            f"sample {sample} did not converge: the energy still slopes by "
            f"{found.slope:.2g} at a tensor after {found.sweeps} sweeps, tolerance "
            f"{self.tolerance:.2g}, gap {found.gap:.2g}; raise max_sweeps or max_bond, "
            "or add fields that open the gap",
            stacklevel=3,
        )


def _tensors(start: Phase | None, batch: int, sizes: list[int]) -> NDArray[Any] | None:
    """Return the tensors of a phase to start from, checked."""
    if start is None:
        return None
    shape = (batch, len(sizes) - 1, max(sizes), 2, max(sizes))
    numbers = int(np.prod(shape[1:]))
    got = start.state[-1].shape if start.state else "none"
    if got not in ((batch, numbers), (batch, 2 * numbers)):
        raise ValueError(
            f"start should be a phase of this equilibrium, with tensors of {numbers} "
            f"numbers in each of {batch} rows, got {got}"
        )
    flat = np.ascontiguousarray(start.state[-1])
    kind = np.float64 if flat.shape[1] == numbers else np.complex128
    return flat.view(kind).reshape(shape)


def _grown(operator: Tensors, sizes: list[int]) -> Tensors:
    """Return a state near the ground state, from a fixed random one."""
    exact = sizes == bonds(len(operator), 2**62)
    small = sizes if exact else bonds(len(operator), 2)
    rng, dtype = np.random.default_rng(0), operator[0].dtype
    shapes = pairwise(small)
    begin = [rng.standard_normal((a, 2, b)).astype(dtype) for a, b in shapes]
    return begin if exact else _two_site(operator, orthonormal(begin), max(sizes))


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
    operator = [operator[0][0], *operator[1:last], operator[last][:, 0]]
    tensors = [tensors[0][0], *tensors[1:last], tensors[last][..., 0]]
    dmrg = DMRG2(
        MatrixProductOperator(operator, shape="lrdu"),  # W's rows are bras
        bond_dims=[*(d for d in (4, 8, 16) if d < max_bond), max_bond],
        cutoffs=1e-14,
        p0=MatrixProductState(tensors, shape="lpr"),
    )
    dmrg.solve(tol=GROWTH, max_sweeps=GROWTH_SWEEPS)
    dmrg.state.permute_arrays("lpr")
    first, *inner, final = dmrg.state.arrays
    return [first[None], *inner, final[..., None]]
