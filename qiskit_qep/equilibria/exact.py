"""Exact: eigenstates of Pauli models to solver precision, and their linear response."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase
from .._model import pauli_terms
from .._pauli import from_real, to_real
from ._branch import continue_branch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .._pauli import Hamiltonians

    Array = NDArray[np.float64]

DENSE_QUBITS = 4  # up to here LAPACK's eigh is quicker than Lanczos
KEEP_BYTES = 1 << 28  # a Lanczos basis beyond this is computed twice instead
KEEP_ROWS = 160
# From here Lanczos is worth running in float32 with corrections. It is quicker from 2^9
# on, but smaller registers then never wait for the compilation of a second precision.
SINGLE_DIM = 1 << 11
RESPONSE_TOLERANCE = 1e-10  # of the source; a gradient has as many digits
SAME_SYMMETRY = 0.01  # as in _eigenstates
NEARLY_DEGENERATE = 2e-3  # gap as a share of the largest coefficient


@dataclass(frozen=True)
class Exact:
    r"""An eigenstate of every row's Hamiltonian, and exact expectation values.

    .. math:: H(\lambda)\,|\psi_n\rangle = E_n|\psi_n\rangle, \qquad
              \langle A_k\rangle = \langle\psi_n|A_k|\psi_n\rangle

    Valid where the level is isolated: Phase.gap is the distance to the nearest other
    one (an upper bound). Small registers are diagonalised, larger ones settled by
    Lanczos without a matrix, so that the limit is memory for a few vectors of 2^N.

    Attributes:
        level: n; 0 is the ground state.
        follow: A nudged phase is the smooth deformation of its free state: of a ground
            state the lowest state that overlaps with it at all, of an excited one the
            state that overlaps most. With False it is level n again, solved afresh.
        tolerance: Bound on |H v - E v|; Phase.residual reports what was reached.

    Raises:
        ValueError: If the register has no such level, or the tolerance is not positive.

    Example:
        >>> import qiskit_qep as qep
        >>> model = qep.Model(["X"], readout=["Z"])
        >>> phase = qep.Exact()(model.operators, model.coefficients([-1.0], [], 1.0))
        >>> phase.values.round(4)
        array([[ 0.7071, -0.7071]])

    Reference:
        B. Scellier, arXiv:2406.00879.
    """

    level: int = 0
    follow: bool = True
    tolerance: float = 1e-10

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.level < 0:
            raise ValueError(f"level should be 0 or more, got {self.level}")
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
        terms = pauli_terms(operators)
        if self.level >= terms.dim:
            raise ValueError(
                f"level should be below 2^{terms.num_qubits}, got {self.level}"
            )
        if start is not None and len(start) != len(coefficients):
            raise ValueError(
                f"start should have {len(coefficients)} rows, as the coefficients, got "
                f"{len(start)}"
            )
        if np.iscomplexobj(coefficients):
            return continue_branch(terms, coefficients, start, self.tolerance)
        h = terms.hamiltonian(coefficients, identity=False)
        starts = start.state[0] if start is not None and self.follow else None
        settle = _diagonalize if terms.num_qubits <= DENSE_QUBITS else _lanczos
        states, gaps, residuals, overlaps = settle(
            h, starts, self.level, self.tolerance
        )
        scale = np.abs(h.rows).max(axis=1)  # without the identity: a size of H
        if starts is None:
            _warn_degenerate(gaps, scale)
        _warn_lost(overlaps)
        if start is not None and not self.follow:
            kept = np.abs((start.state[0].conj() * states).sum(axis=1)) ** 2
            _warn_crossed(self.level, kept)
        _warn_rough(residuals, self.tolerance, gaps, scale)
        values = terms.expectations(states, states)
        return Phase(
            values, gap=gaps, residual=residuals, state=(states, coefficients.copy())
        )

    def response(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        direction: NDArray[Any],
    ) -> Array:
        r"""Return d<A_k> along a direction of coefficient space.

        .. math:: d\langle A\rangle = 2\,\mathrm{Re}\langle\psi|A|d\psi\rangle,
                  \qquad (H - E)\,|d\psi\rangle = -(1 - P)\,dH\,|\psi\rangle

        Args:
            phase: What ``self`` returned for these coefficients.
            operators: As in the call.
            coefficients: Shape (batch, num_operators).
            direction: d lambda, same shape.

        Returns:
            Shape (batch, num_operators).
        """
        terms = pauli_terms(operators)
        h, states = terms.hamiltonian(coefficients, identity=False), phase.state[0]
        sources = terms.hamiltonian(direction, identity=False).apply(states)
        changes = _solve(h, states, sources)
        return 2.0 * terms.expectations(states, changes)


@lru_cache(maxsize=8)
def _generic(dim: int, count: int) -> Array:
    """Return starting vectors with weight in every symmetry sector.

    The first is close to |+>, where the ground state of a weakly coupled network in
    transverse fields lies; |+> itself would never see the sectors that it is not in.
    """
    noise = np.random.default_rng(dim).standard_normal((count, dim))
    noise[0] = 1.0 + 0.5 * noise[0]
    return noise


def lowest(h: Hamiltonians) -> tuple[Array, Array]:
    """Return the ground states' energies and gaps of a batch, degenerate or not."""
    dense = h.dim <= 1 << DENSE_QUBITS
    states, gaps, _, _ = (_diagonalize if dense else _lanczos)(h, None, 0, 1e-10)
    return np.asarray((states.conj() * h.apply(states)).sum(axis=1).real), gaps


def _diagonalize(
    h: Hamiltonians, starts: NDArray[Any] | None, level: int, tolerance: float
) -> tuple[NDArray[Any], Array, Array, Array]:
    """Return states, gaps, residuals and overlaps from all eigenvectors."""
    matrices = h.dense()
    energies, vectors = np.linalg.eigh(matrices)
    row = np.arange(len(energies))
    chosen, overlaps = np.full(len(row), level), np.ones(len(row))
    if starts is not None:
        weights = np.abs(np.einsum("bi,bin->bn", starts.conj(), vectors)) ** 2
        # As in _eigenstates: the lowest state of the ground state's own symmetry.
        own = weights > SAME_SYMMETRY if level == 0 else weights
        chosen = np.argmax(own, axis=1)
        overlaps = weights[row, chosen]
    distance = np.abs(energies - energies[row, chosen][:, None])
    distance[row, chosen] = np.inf
    states = np.ascontiguousarray(vectors[row, :, chosen])
    images = np.einsum("bij,bj->bi", matrices, states)
    residuals = images - energies[row, chosen][:, None] * states
    return states, distance.min(axis=1), np.linalg.norm(residuals, axis=1), overlaps


def _lanczos(
    h: Hamiltonians, starts: NDArray[Any] | None, level: int, tolerance: float
) -> tuple[NDArray[Any], Array, Array, Array]:
    """Return states, gaps, residuals and overlaps without a matrix."""
    from .. import _eigenstates, _kernels

    follow, copies = starts is not None, 1 if h.is_real else 2
    generic = to_real(_generic(h.dim, level + 2), h.is_real)
    begins = generic if starts is None else to_real(starts, h.is_real)
    batch, dim = len(h.rows), generic.shape[1]
    states = np.empty((batch, dim))
    results = (states, *np.empty((4, batch)))
    args = (h.layout, h.rows, begins, generic, copies, level, follow, tolerance)
    keep, keep_single = (
        KEEP_ROWS if size * KEEP_ROWS * dim <= KEEP_BYTES else 4 for size in (8, 4)
    )

    mixed = dim >= SINGLE_DIM

    def work(first: int, last: int) -> None:
        basis = _kernels.aligned(keep, dim, np.float64)
        single = _kernels.aligned(keep_single, dim, np.float32) if mixed else basis[:0]
        _eigenstates.settle(*args, basis, single, results, first, last)

    _kernels.over_rows(work, batch, 64 * dim)
    return from_real(states, h.dim, h.is_real), results[2], results[3], results[4]


def _solve(
    h: Hamiltonians, states: NDArray[Any], sources: NDArray[Any]
) -> NDArray[Any]:
    """Solve (H - E) x = -(1 - P) source for every row."""
    from .. import _eigenstates, _kernels

    given, right = to_real(states, h.is_real), to_real(sources, h.is_real)
    out, residuals = np.empty_like(given), np.empty(len(given))
    args = (h.layout, h.rows, right, given, 1 if h.is_real else 2, RESPONSE_TOLERANCE)
    _kernels.over_rows(
        lambda a, b: _eigenstates.respond(*args, out, residuals, a, b),
        len(given),
        64 * given.shape[1],
    )
    changes = from_real(out, h.dim, h.is_real)
    for b in np.flatnonzero(~np.isfinite(residuals)):
        changes[b] = _solve_excited(h, int(b), states[b], sources[b])
    return changes


def _solve_excited(
    h: Hamiltonians, b: int, state: NDArray[Any], source: NDArray[Any]
) -> NDArray[Any]:
    """Solve one row where H - E is indefinite, by MINRES on the complement.

    SciPy's MINRES knows real symmetric matrices only, and a Hermitian one is real
    symmetric on (real, imaginary) pairs: the same memory seen as twice as many floats.
    """
    from dataclasses import replace

    from scipy.sparse.linalg import LinearOperator, minres

    one = replace(h, rows=h.rows[b : b + 1])
    energy = np.vdot(state, one.apply(state[None])[0]).real

    def project(v: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(v - np.vdot(state, v) * state)

    def shifted(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
        v = project(pairs.view(state.dtype))
        return project(one.apply(v[None])[0] - energy * v).view(np.float64)

    target = project(-source).view(np.float64)
    matrix = LinearOperator((len(target),) * 2, matvec=shifted, dtype=np.float64)
    x, _ = minres(matrix, target, rtol=1e-13, maxiter=20 * len(target))
    return project(x.view(state.dtype))


def _warn_degenerate(gaps: Array, scale: Array) -> None:
    """Say which sample has no state of its own, and what to do."""
    close = gaps <= NEARLY_DEGENERATE * scale
    for sample in np.flatnonzero(close)[:1]:
        nearly = "nearly " if gaps[sample] > 1e-9 * scale[sample] else ""
        _warn(
            f"sample {sample}{_more(close)} is {nearly}degenerate: gap "
            f"{gaps[sample]:.2g}, so the slightest nudge mixes its states; add fields "
            "that lift the degeneracy, such as longitudinal bias fields"
        )


def _warn_lost(overlaps: Array) -> None:
    """Say which sample was not found again after the nudge."""
    lost = overlaps < SAME_SYMMETRY
    for sample in np.flatnonzero(lost)[:1]:
        _warn(
            f"sample {sample}{_more(lost)} could not be followed: its largest overlap "
            f"with the free state is {overlaps[sample]:.2g}; lower beta"
        )


def _warn_crossed(level: int, overlaps: Array) -> None:
    """Say of which sample the nudge made another state level n."""
    crossed = overlaps < SAME_SYMMETRY
    for sample in np.flatnonzero(crossed)[:1]:
        _warn(
            f"sample {sample}{_more(crossed)} crossed a level: its level {level} "
            f"overlaps with that of the free phase by {overlaps[sample]:.2g}; lower "
            "beta, or use Exact(follow=True)"
        )


def _warn_rough(residuals: Array, tolerance: float, gaps: Array, scale: Array) -> None:
    """Say which sample the solver did not settle as far as was asked."""
    # Rounding bounds what |H v - E v| can be: a few ulp of the largest coefficients.
    rough = residuals > np.maximum(2 * tolerance, 1e-12 * scale)
    for sample in np.flatnonzero(rough)[:1]:
        _warn(
            f"sample {sample}{_more(rough)} did not converge: residual "
            f"{residuals[sample]:.2g}, tolerance {tolerance:.2g}, gap "
            f"{gaps[sample]:.2g}; raise the tolerance or add fields that open the gap"
        )


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)  # at the line that called the equilibrium


def _more(bad: NDArray[np.bool_]) -> str:
    return f" (and {bad.sum() - 1} more)" if bad.sum() > 1 else ""
