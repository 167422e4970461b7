"""Exact: eigenstates of Pauli models to solver precision, and their linear response."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase
from .._model import pauli_terms
from .._pauli import from_real, is_complex, to_real
from . import _doubts as doubts
from ._branch import continue_branch
from ._doubts import NEARLY_DEGENERATE, SAME_SYMMETRY

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
        from .._kernels import doubtful

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
        if is_complex(coefficients):
            return continue_branch(terms, coefficients, start, self.tolerance)
        h = terms.hamiltonian(coefficients, identity=False)
        starts = start.state[0] if start is not None and self.follow else None
        settle = _diagonalize if terms.num_qubits <= DENSE_QUBITS else _lanczos
        states, gaps, residuals, overlaps = settle(
            h, starts, self.level, self.tolerance
        )
        # One compiled look at all, rather than five calls of NumPy.
        limits = NEARLY_DEGENERATE, 2 * self.tolerance, SAME_SYMMETRY
        if doubtful(h.rows, gaps, residuals, overlaps, *limits):
            scale = np.abs(h.rows).max(axis=1)  # without the identity: a size of H
            if starts is None:
                doubts.degenerate(gaps, scale)
            doubts.lost(overlaps)
            doubts.rough(residuals, self.tolerance, gaps, scale)
        if start is not None and not self.follow:
            kept = np.abs((start.state[0].conj() * states).sum(axis=1)) ** 2
            doubts.crossed(self.level, kept)
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
        h = terms.hamiltonian(coefficients, identity=False)
        turn = terms.hamiltonian(direction, identity=False)
        changes = _solve(h, turn, phase.state[0])
        return 2.0 * terms.expectations(phase.state[0], changes)


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
    from .._eigenstates import MAX_LEVELS, settle
    from .._kernels import in_teams, room_for

    follow, copies = starts is not None, 1 if h.is_real else 2
    batch, dim = len(h.rows), copies * h.dim
    states, numbers = np.empty((batch, dim)), np.empty((4, batch))
    begins = states if starts is None else to_real(starts, h.is_real)
    args = (h.layout, h.rows, begins, level, follow, tolerance, (states, *numbers))
    mixed = dim if dim >= SINGLE_DIM else 0
    most = copies * (level + 1 + (MAX_LEVELS if follow else 0))

    def room() -> Any:
        kinds = (dim, np.float64), (mixed, np.float32)
        keep = [_rows_to_keep(*kind) for kind in kinds]
        exact, rows = room_for(h.layout, *kinds[0], keep[0] + most)
        rough, single = room_for(h.layout, *kinds[1], keep[1] + most)
        bases = rows[: keep[0]], single[: keep[1]]
        return exact, rough, *bases, rows[keep[0] :], single[keep[1] :], copies

    in_teams(lambda *where: settle(*args, *where), room, batch, dim)
    gaps, residuals, overlaps = numbers[1:]
    return from_real(states, h.dim, h.is_real), gaps, residuals, overlaps


def _rows_to_keep(dim: int, dtype: type) -> int:
    """Return the number of vectors in a Lanczos basis."""
    if dim == 0:
        return 0
    fits = KEEP_ROWS * dim * np.dtype(dtype).itemsize <= KEEP_BYTES
    return KEEP_ROWS if fits else 4


def _solve(h: Hamiltonians, turn: Hamiltonians, states: NDArray[Any]) -> NDArray[Any]:
    """Solve (H - E) x = -(1 - P) dH v for every row."""
    from .._eigenstates import respond
    from .._kernels import in_teams, room_for

    given = to_real(states, h.is_real)
    out, residuals = np.empty_like(given), np.empty(len(given))
    args = (h.layout, h.rows, turn.rows, given, RESPONSE_TOLERANCE, out, residuals)
    kind = (given.shape[1], np.float64)

    def room() -> Any:
        made, rows = room_for(h.layout, *kind, 4 if h.is_real else 5)
        return made, rows[:3], rows[3:]

    in_teams(lambda *where: respond(*args, *where), room, *given.shape)
    changes = from_real(out, h.dim, h.is_real)
    for b in np.flatnonzero(~np.isfinite(residuals)):
        source = replace(turn, rows=turn.rows[b : b + 1]).apply(states[b : b + 1])
        changes[b] = _solve_excited(h, int(b), states[b], source[0])
    return changes


def _solve_excited(
    h: Hamiltonians, b: int, state: NDArray[Any], source: NDArray[Any]
) -> NDArray[Any]:
    """Solve one row where H - E is indefinite, by MINRES on the complement.

    SciPy's MINRES knows real symmetric matrices only, and a Hermitian one is real
    symmetric on (real, imaginary) pairs: the same memory seen as twice as many floats.
    """
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
