r"""Normal modes of quadratic forms, and what their covariance does when Q changes.

Of a positive definite Q they are the symplectic S with S^T Q S = diag(omega, omega),
where J is the form that S keeps, S J S^T = J = (0, 1; -1, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._quadratic import QuadraticTerms

    Array = NDArray[np.float64]

FREE = 1e-12  # of the largest squared frequency: below it nothing holds a mode
FLAT = 1e-11  # of the largest curvature: zero up to rounding


@dataclass(frozen=True, eq=False)
class NormalModes:
    """The normal modes of every different Q of a batch.

    Attributes:
        row: Which Q every row has, shape (batch,).
        frequencies: omega, shape (num_different, num_used).
        matrix: S, (num_different, 2n, 2 num_used); zero for modes nothing acts on.
    """

    row: NDArray[np.intp]
    frequencies: Array
    matrix: Array

    @staticmethod
    def of(terms: QuadraticTerms, coefficients: Array) -> NormalModes:
        weights, first, row = np.unique(
            terms.weights(coefficients), axis=0, return_index=True, return_inverse=True
        )
        used = _used(terms)
        Q = terms.matrices(weights)[:, used[:, None], used]
        n = terms.num_modes
        mixes = bool(((terms.first < n) & (terms.second >= n)).any())
        frequencies, matrix = (_mixed if mixes else _separate)(Q, used % n, first)
        whole = np.zeros((len(Q), 2 * n, len(used)))
        whole[:, used] = matrix
        return NormalModes(row.ravel(), frequencies, whole)

    @property
    def spread(self) -> Array:
        """V = S S^T / 2 of every different Q."""
        return np.asarray(0.5 * self.matrix @ self.matrix.swapaxes(1, 2))

    def solve(self, v: Array) -> Array:
        """Return Q^-1 v of every row; row by row, so that a batch may be cut."""
        solved = np.empty(v.shape)
        for q, S in enumerate(self.matrix):
            rows = np.flatnonzero(self.row == q)
            parts = np.matmul(S.T, v[rows, :, None])
            parts /= np.tile(self.frequencies[q], 2)[:, None]
            solved[rows] = np.matmul(S, parts)[..., 0]
        return solved

    def spread_at(self, i: NDArray[np.intp], j: NDArray[np.intp]) -> Array:
        """Return V_ij of every different Q, (num_different, len(i))."""
        found = [0.5 * np.einsum("pk,pk->p", S[i], S[j]) for S in self.matrix]
        return np.array(found)

    def spread_change_at(
        self, q: int, changed: Array, i: NDArray[np.intp], j: NDArray[np.intp]
    ) -> Array:
        """Return dV_ij of one Q for a change dQ of it, which is often small."""
        S, omega = self.matrix[q], np.tile(self.frequencies[q], 2)
        rows = np.flatnonzero(changed.any(axis=1))
        G = S[rows].T @ (changed[np.ix_(rows, rows)] @ S[rows])
        m = len(omega) // 2
        A, B, D = G[:m, :m], G[:m, m:], G[m:, m:]
        turned = np.block([[D, -B.T], [-B, A]])  # J G J^T
        shape = (G - turned) / (2.0 * (omega[:, None] + omega))
        return np.asarray(-np.einsum("pk,pk->p", (S @ shape)[i], S[j]))


def _used(terms: QuadraticTerms) -> NDArray[np.intp]:
    """Return the indices of z of all modes that some operator acts on."""
    modes = np.unique(terms.touched % terms.num_modes)
    if not len(modes):
        raise ValueError("no operator acts on a mode, so there is nothing to settle")
    return np.concatenate([modes, modes + terms.num_modes])


def _symplectic(num_modes: int) -> Array:
    zero, one = np.zeros((num_modes, num_modes)), np.eye(num_modes)
    return np.block([[zero, one], [-one, zero]])


def _separate(
    Q: Array, names: NDArray[np.intp], first: NDArray[np.intp]
) -> tuple[Array, Array]:
    r"""Return omega and S where Q = diag(K, T): T = L L^T, L^T K L = U omega^2 U^T.

    S is diag(L U omega^-1/2, L^-T U omega^1/2).
    """
    m = Q.shape[1] // 2
    K, T = Q[:, :m, :m], Q[:, m:, m:]
    try:
        L = np.linalg.cholesky(T)
    except np.linalg.LinAlgError:
        curvature = np.linalg.eigvalsh(T)
        flat = FLAT * np.abs(curvature).max(axis=1)
        _refuse_unbounded(curvature[:, 0] <= flat, Q, names, first)
        raise
    square, U = np.linalg.eigh(L.swapaxes(1, 2) @ K @ L)
    _refuse_unbounded(square[:, 0] <= FREE * square[:, -1], Q, names, first)
    root = square[:, None, :] ** 0.25
    S = np.zeros(Q.shape)
    S[:, :m, :m] = L @ U / root
    S[:, m:, m:] = np.linalg.solve(L.swapaxes(1, 2), U * root)
    return np.sqrt(square), S


def _mixed(
    Q: Array, names: NDArray[np.intp], first: NDArray[np.intp]
) -> tuple[Array, Array]:
    r"""Return omega and S of any Q = L L^T: i L^T J L has the eigenvalues +-omega.

    With its orthonormal eigenvectors v of +omega, S is
    L^-T sqrt(2) (Im v, Re v) omega^1/2.
    """
    m = Q.shape[1] // 2
    curvature = np.linalg.eigvalsh(Q)
    _refuse_unbounded(curvature[:, 0] <= FREE * curvature[:, -1], Q, names, first)
    L = np.linalg.cholesky(Q)
    both, v = np.linalg.eigh(1j * L.swapaxes(1, 2) @ _symplectic(m) @ L)
    omega, v = both[:, m:], v[:, :, m:]
    orthogonal = np.sqrt(2.0) * np.concatenate([v.imag, v.real], axis=2)
    root = np.sqrt(np.concatenate([omega, omega], axis=1))[:, None, :]
    return omega, np.linalg.solve(L.swapaxes(1, 2), orthogonal * root)


def _refuse_unbounded(
    bad: NDArray[np.bool_], Q: Array, names: NDArray[np.intp], first: NDArray[np.intp]
) -> None:
    """Say which sample nothing holds, along which modes, and what to do."""
    for q in np.flatnonzero(bad)[:1]:
        what, curvature, way = _lowest(Q[q])
        moving = np.unique(names[np.flatnonzero(way > 0.5 * way.max())])
        falls = f"falls (curvature {curvature:.2g})" if curvature < 0 else "is flat"
        remedy = {
            "p": "give every mode a kinetic energy p_i p_i / 2m, or lower the nudge",
            "r": "raise spring constants or lower the nudge",
            "z": "make the form positive definite, or lower the nudge",
        }[what]
        if what == "r" and curvature == 0:
            remedy = (
                "anchor an atom, or tie one to a clamped atom that holds the others"
            )
        raise ValueError(
            f"sample {first[q]} has no ground state: its energy {falls} along {what} "
            f"of modes {moving[:8].tolist()}; {remedy}"
        )


def _lowest(Q: Array) -> tuple[str, float, Array]:
    """Return where the energy does not rise (p, r or both), how it falls, and where."""
    m = len(Q) // 2
    for what, block in (("p", Q[m:, m:]), ("r", Q[:m, :m])):
        curvature, way = _bottom(block)
        if curvature <= 0:
            return what, curvature, way
    return "z", *_bottom(Q)


def _bottom(block: Array) -> tuple[float, Array]:
    """Return the lowest curvature, 0 up to rounding, and how much each mode moves."""
    curvatures, ways = np.linalg.eigh(block)
    flat = abs(curvatures[0]) <= FLAT * np.abs(curvatures).max()
    return 0.0 if flat else float(curvatures[0]), np.abs(ways[:, 0])


def continued(
    terms: QuadraticTerms, coefficients: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    r"""Return values and mean at complex coefficients, by the eigenvectors of i J Q.

    .. math:: V = \tfrac12\, JQ\,(-(JQ)^2)^{-1/2} J^T

    An eigenvector v of i J Q with eigenvalue w has v^+ Q v = w (v^+ i J v), whose last
    factor is real: w cannot cross the imaginary axis while Re Q is positive definite.
    """
    used = _used(terms)
    Q = terms.matrices(terms.weights(coefficients))[:, used[:, None], used]
    lowest = np.linalg.eigvalsh(Q.real)[:, 0]
    for b in np.flatnonzero(lowest <= 0)[:1]:
        raise ValueError(
            f"sample {b} cannot be continued to complex coefficients: the real part of "
            f"its energy falls (curvature {lowest[b]:.2g}); lower the radius"
        )
    J = _symplectic(len(used) // 2)
    w, R = np.linalg.eig(1j * J @ Q)
    sign = np.where(w.real > 0, -1j, 1j)
    spread = 0.5 * (R * sign[:, None, :]) @ np.linalg.inv(R) @ J.T
    c = terms.forces(coefficients)
    mean, whole = np.zeros_like(c), np.zeros((*c.shape, c.shape[1]), complex)
    mean[:, used] = -np.linalg.solve(Q, c[:, used, None])[..., 0]
    whole[:, used[:, None], used] = spread
    i, j = terms.first, terms.second
    pairs = whole[:, i, j] + mean[:, i] * mean[:, j]
    values = terms.combine(pairs, mean[:, terms.single]) + terms.constant
    return values, mean
