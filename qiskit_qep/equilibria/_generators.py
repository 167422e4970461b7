r"""Generators of open dynamics in the eigenbasis of H, and what they leave at rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Matrices = NDArray[np.complex128]

TOLERANCE = 1e-13  # of GMRES, relative
RESTART, ROUNDS = 100, 10
SHIFT = 0.1  # of the mean rate of decay: without it a dark state divides by 0


@dataclass(frozen=True)
class Bath:
    """Independent baths of one temperature, one for every coupling.

    Attributes:
        couplings: S, Hermitian, shape (couplings, dim, dim); sqrt(rate) is in them.
        temperature: T.
    """

    couplings: Matrices
    temperature: float


@dataclass(frozen=True)
class Generator:
    r"""A Lindblad generator, written in the eigenbasis of H.

    .. math:: \mathcal{L}\rho = M\rho + \rho M^\dagger + \sum_j L_j\rho L_j^\dagger,
              \qquad M = -i(H + G) - \tfrac12\sum_j L_j^\dagger L_j

    Attributes:
        vectors: Eigenvectors of H as columns.
        drift: M.
        jumps: L, shape (jumps, dim, dim).
        guess: A state to begin from: what a bath alone leads to, else all mixed.
    """

    vectors: NDArray[Any]
    drift: Matrices
    jumps: Matrices
    guess: Matrices

    @staticmethod
    def of(h: NDArray[Any], noise: Matrices, bath: Bath | None) -> Generator:
        r"""Build it from H, the jump operators of noise, and a bath.

        A bath of temperature T jumps down and up with the ratio of Boltzmann and turns
        states by a small coherent term G, so that the Gibbs state is at rest:

        .. math::
            \langle m|L|n\rangle &= \frac{\langle m|S|n\rangle}
            {1 + e^{(E_m - E_n) / 2T}} \\
            \langle m|G|n\rangle &= \frac{i}{2}\tanh\Big(\frac{E_m - E_n}{4T}\Big)
            \sum\langle m|L^\dagger L|n\rangle

        Reference: Z. Ding, B. Li and L. Lin, arXiv:2404.05998, for baths of this form.
        """
        from scipy.special import expit

        energies, vectors = np.linalg.eigh(h)
        left, dim = vectors.conj().T, len(h)
        jumps = left @ noise @ vectors
        turn = np.diag(energies).astype(complex)
        populations = np.full(dim, 1.0 / dim)
        if bath is not None:
            change = (energies[:, None] - energies) / (2.0 * bath.temperature)
            cooling = expit(-change) * (left @ bath.couplings @ vectors)
            jumps = np.concatenate([jumps, cooling])
            turn += 0.5j * np.tanh(0.5 * change) * _decay(cooling)
            populations = np.exp((energies[0] - energies) / bath.temperature)
        guess = np.diag(populations / populations.sum()).astype(complex)
        return Generator(vectors, -1j * turn - 0.5 * _decay(jumps), jumps, guess)

    @property
    def gap(self) -> float:
        """Distance of the two lowest energies; G has no diagonal."""
        lowest, second = -np.diag(self.drift)[:2].imag
        return float(second - lowest)

    def rotated(self, rho: NDArray[Any]) -> Matrices:
        """Return a matrix of the register's basis in that of H."""
        return np.asarray(self.vectors.conj().T @ rho @ self.vectors)

    def back(self, rho: NDArray[Any]) -> Matrices:
        """Return a matrix of the basis of H in the register's."""
        return np.asarray(self.vectors @ rho @ self.vectors.conj().T)

    def apply(self, rho: NDArray[Any]) -> Matrices:
        """Return d rho / dt."""
        moved = self.drift @ rho + rho @ self.drift.conj().T
        kets, bras = self._stacked
        dim = len(rho)
        # Side by side, so that their sum is one product of matrices.
        every = (kets @ rho).reshape(-1, dim, dim).transpose(1, 0, 2)
        moved += every.reshape(dim, len(bras)) @ bras
        return np.asarray(moved)

    @cached_property
    def _stacked(self) -> tuple[Matrices, Matrices]:
        """All L, and all L^+, below one another."""
        dim = len(self.drift)
        adjoint = self.jumps.conj().transpose(0, 2, 1)
        return self.jumps.reshape(-1, dim), adjoint.reshape(-1, dim)

    def solve(
        self,
        source: NDArray[Any] | float = 0.0,
        trace: float = 1.0,
        begin: NDArray[Any] | None = None,
    ) -> Matrices:
        r"""Solve L rho = source for a Hermitian rho with the given trace.

        By GMRES. The generator's diagonal D in the eigenbasis of H is what it is
        divided by, and a term that only sees the trace makes it invertible:

        .. math:: D^{-1}\mathcal{L}\rho + \sigma\,\mathrm{tr}\rho
                  = D^{-1}\,\mathrm{source} + \sigma\,\mathrm{trace}
        """
        from scipy.sparse.linalg import LinearOperator, gmres

        dim = len(self.drift)
        turn, stay = np.diag(self.drift), np.diagonal(self.jumps, axis1=1, axis2=2)
        d = turn[:, None] + turn.conj() + stay.T @ stay.conj()
        d += SHIFT * self.drift.trace().real / dim

        def image(flat: NDArray[Any]) -> NDArray[Any]:
            rho = flat.reshape(dim, dim)
            return np.asarray(self.apply(rho) / d + rho.trace() * self.guess).ravel()

        found, _ = gmres(
            LinearOperator((dim * dim,) * 2, matvec=image, dtype=complex),
            (source / d + trace * self.guess).ravel(),
            x0=(trace * self.guess if begin is None else begin).ravel(),
            rtol=TOLERANCE,
            atol=0.0,
            restart=RESTART,
            maxiter=ROUNDS,
        )
        rho = found.reshape(dim, dim)
        return np.asarray(0.5 * (rho + rho.conj().T))


def _decay(jumps: Matrices) -> Matrices:
    """Return the sum of L^+ L."""
    return np.asarray((jumps.conj().transpose(0, 2, 1) @ jumps).sum(axis=0))
