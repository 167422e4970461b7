r"""Complex coefficients: the eigenpair continued analytically from a real one.

For complex lambda the Hamiltonian is not Hermitian. Its eigenvalue E(lambda) is the
analytic continuation along the straight way from a free phase, and

.. math:: \langle A\rangle(\lambda) = \frac{\langle L|A|R\rangle}{\langle L|R\rangle},

with R the right eigenvector and L the left one, which is R at the conjugate lambda.
The way ends at an exceptional point, where <L|R> = 0 and two levels meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .._pauli import PauliTerms

    Vector = NDArray[np.complex128]

SMALLEST_STEP = 1 / 64
MIN_OVERLAP = 0.9  # of neighbouring states on the way, else the step is halved
MAX_CORRECTIONS = 30


def continue_branch(
    terms: PauliTerms,
    coefficients: NDArray[Any],
    start: Phase | None,
    tolerance: float,
) -> Phase:
    """Continue every row from the real coefficients of ``start`` to complex ones.

    Raises:
        TypeError: If there is no free phase to continue from.
    """
    if start is None or len(start.state) < 2 or np.iscomplexobj(start.state[1]):
        raise TypeError(
            "complex coefficients (Nudge.holomorphic) are continued from a free phase; "
            "pass start= a phase of real coefficients"
        )
    free, origin = start.state
    right = np.empty((len(free), terms.dim), np.complex128)
    left, residuals = np.empty_like(right), np.zeros(len(free))
    for b, row in enumerate(coefficients):
        way = row - origin[b]
        right[b], residual = _walk(terms, free[b], origin[b], way, tolerance)
        left[b], other = _walk(terms, free[b], origin[b], way.conj(), tolerance)
        residuals[b] = max(residual, other)
    norms = np.einsum("bi,bi->b", left.conj(), right)[:, None]
    # The error of E there is the square root of the residual, and so is that of norms.
    if np.any(np.abs(norms) < 30 * np.sqrt(tolerance)):
        raise ValueError(
            f"the branch is lost at 1.00 of the way to the nudge (<L|R> "
            f"{np.abs(norms).min():.1e}): an exceptional point is near; lower the "
            "radius"
        )
    parts = [terms.expectations(left, phase * right) for phase in (1.0, -1j)]
    values = (parts[0] + 1j * parts[1]) / norms
    return Phase(values, residual=residuals, state=(right, coefficients))


def _walk(
    terms: PauliTerms,
    state: NDArray[Any],
    origin: NDArray[Any],
    way: NDArray[Any],
    tolerance: float,
) -> tuple[Vector, float]:
    """Follow the right eigenvector from origin to origin + way."""
    v, done, step, residual = state.astype(np.complex128), 0.0, 1.0, 0.0
    while done < 1.0:
        reach = min(1.0, done + step)
        h = terms.hamiltonian((origin + reach * way)[None], identity=False)

        def apply(u: Vector, h: Any = h) -> Vector:
            return np.asarray(h.apply(u[None])[0])

        new, residual = _correct(apply, v, tolerance)
        if abs(np.vdot(v, new)) >= MIN_OVERLAP and residual <= 10 * tolerance:
            v, done = new, reach
        elif step > SMALLEST_STEP:
            step /= 2
        else:
            raise ValueError(
                f"the branch is lost at {done:.2f} of the way to the nudge (residual "
                f"{residual:.1e}): an exceptional point is near; lower the radius"
            )
    return v, residual


def _correct(
    apply: Callable[[Vector], Vector], v: Vector, tolerance: float
) -> tuple[Vector, float]:
    """Turn an approximate right eigenvector into an exact one.

    Newton's method on (H - E) v = 0, <v|v> = 1: the correction t is orthogonal to v and
    solves (1 - P)(H - E) t = -r, well conditioned away from exceptional points.
    """
    from scipy.sparse.linalg import LinearOperator, gmres

    residual = np.inf
    for _ in range(MAX_CORRECTIONS):
        image = apply(v)
        energy = np.vdot(v, image)
        r = image - energy * v
        residual = float(np.linalg.norm(r))
        if residual <= tolerance or residual > 1e6:
            break

        def shifted(t: Vector, v: Vector = v, energy: Any = energy) -> Vector:
            t = t - np.vdot(v, t) * v
            image = apply(t) - energy * t
            return np.asarray(image - np.vdot(v, image) * v)

        matrix = LinearOperator((len(v), len(v)), matvec=shifted, dtype=v.dtype)
        rough = max(0.1 * tolerance / residual, 1e-4)
        t, _ = gmres(matrix, -r, rtol=rough, restart=60, maxiter=5)
        v = v + t - np.vdot(v, t) * v
        v /= np.linalg.norm(v)
    return v, residual
