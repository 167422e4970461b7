"""Thermal: Gibbs states of Pauli models, and their exact fluctuations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase, generators, refuse_complex
from .._model import pauli_terms
from .._whole import refuse_fractions
from . import _purified
from ._mixed import bitstrings, of_levels, scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .._pauli import Hamiltonians

    Array = NDArray[np.float64]

DENSE_QUBITS = 10  # 0.4 s and 8 MB a row; each qubit more is 8 and 4 times that
VECTORS = 32


@dataclass(frozen=True)
class Thermal:
    r"""The thermal state of every row's Hamiltonian, k_B = 1.

    .. math::
        \rho = \frac{e^{-H/T}}{Z}, \qquad \langle A_k\rangle = \mathrm{tr}(\rho A_k)
        = \frac{\partial F}{\partial\lambda_k}, \qquad F = -T \ln Z

    Analytic in all coefficients, whatever crosses or is degenerate. Up to 10 qubits
    all levels are computed. Beyond, and wherever ``vectors`` is given, traces are
    averages over random vectors cooled in imaginary time,

    .. math:: \langle A\rangle \approx
              \frac{\sum_r \langle\phi_r|A|\phi_r\rangle}
                   {\sum_r \langle\phi_r|\phi_r\rangle},
              \qquad |\phi_r\rangle = e^{-H/2T}|r\rangle,

    whose scatter gives ``Phase.covariance``. A ratio of averages has a bias of order
    1 / vectors, which is less than its standard error.

    ``Phase.gap`` is sqrt(gap^2 + (pi T)^2). A thermal state has no level to lose, but
    its stencils converge only up to the zeros of Z at complex nudges, and for two
    levels those are where a ground state with this gap would have its exceptional
    points. With ``Nudge.infinitesimal()`` the gradient is the fluctuation rule, without
    any nudge; with random vectors it needs fewer of them than a nudge. For T far below
    the gap ``Exact()`` gives the same and is quicker.

    Attributes:
        temperature: T, in the units of H; positive, perhaps infinite.
        vectors: Number of random vectors, at least 2; None computes all levels up to 10
            qubits, and takes 32 beyond.

    Raises:
        ValueError: If the temperature is not positive, or there are too few vectors.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.Model(["Z"], readout=["Z"])
        >>> p = qep.predict(model, [-1.0], [], equilibrium=qep.Thermal(2.0))
        >>> bool(np.isclose(p, np.tanh(0.5)))
        True

    Reference:
        B. Scellier, arXiv:2406.00879, for the nudge; S. Massar and B. Mognetti,
        arXiv:2405.08467, for fluctuations; S. Sugiura and A. Shimizu, arXiv:1302.3138,
        for random vectors.
    """

    temperature: float
    vectors: int | None = None

    def __post_init__(self) -> None:
        """Check the arguments."""
        if not self.temperature > 0:
            raise ValueError(
                f"temperature should be positive, got {self.temperature}; at zero "
                "temperature use Exact()"
            )
        if self.vectors is not None:  # two have a standard error
            refuse_fractions(2, vectors=self.vectors)

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row; see ``Equilibrium``. Only random vectors are drawn.

        Raises:
            TypeError: On complex coefficients, and operators that are no Pauli sums.
        """
        refuse_complex(
            coefficients,
            "which Thermal does not "
            "settle; use Nudge.chebyshev, or Nudge.infinitesimal without a nudge",
        )
        terms = pauli_terms(operators)
        h = terms.hamiltonian(coefficients, identity=False)
        count = self._count(terms.num_qubits)
        if count:
            rng = generators(rng, len(coefficients))
            return _purified.settle(terms, h, self.temperature, count, rng)
        energies, vectors = _levels(h)
        weights = np.exp(-(energies - energies[:, :1]) / self.temperature)
        populations = weights / weights.sum(axis=1, keepdims=True)
        parts = populations[:, :, None] * of_levels(terms, vectors, vectors)
        return Phase(
            parts.sum(axis=1),
            gap=scale(energies[:, 1] - energies[:, 0], self.temperature),
            state=(vectors, populations),
        )

    def response(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        direction: NDArray[Any],
    ) -> Array | Phase:
        r"""Return d<A_k> along a direction: the fluctuation of A with -dH.

        .. math::
            d\langle A\rangle &= -\int_0^{1/T}\! ds\, \big(
            \langle e^{sH} dH\, e^{-sH} A\rangle - \langle dH\rangle\langle A\rangle
            \big) = \sum_{mn} G_{mn} \langle n|A|m\rangle \\
            G_{mn} &= \frac{p_m - p_n}{E_m - E_n}
            \langle m|\,dH - \langle dH\rangle\,|n\rangle

        with -p/T for the fraction where levels are equal: the product of Kubo and Mori.
        Where everything commutes it is -Cov(A, dH) / T. With random vectors it is

        .. math::
            d\langle A\rangle \approx 2\,\mathrm{Re}
            \frac{\sum_r \langle\phi_r|A - \langle A\rangle|d\phi_r\rangle}
                 {\sum_r \langle\phi_r|\phi_r\rangle}, \qquad
            |d\phi_r\rangle = -\int_0^{1/2T}\! ds\,
            e^{-(1/2T - s)H}\, dH\, e^{-sH}|r\rangle,

        the exact derivative of the values that the same vectors gave.

        Args:
            phase: What ``self`` returned for these coefficients.
            operators: As in the call.
            coefficients: Shape (batch, num_operators).
            direction: d lambda, same shape.

        Returns:
            Shape (batch, num_operators); with random vectors a ``Phase`` of it with its
            covariances.
        """
        terms = pauli_terms(operators)
        h = terms.hamiltonian(coefficients, identity=False)
        turn = terms.hamiltonian(direction, identity=False)
        count = self._count(terms.num_qubits)
        if count:
            how = (self.temperature, count, phase.state[2])
            return _purified.respond(terms, h, turn, *how)
        dh = turn.dense()
        vectors, p = phase.state
        energies = _energies(h, vectors)
        distance = np.abs(energies[:, :, None] - energies[:, None, :])
        x = distance / self.temperature
        # (p_low - p_high) / distance in a form that neither overflows nor cancels.
        ratio = np.where(x > 0, -np.expm1(-x) / np.where(x > 0, x, 1.0), 1.0)
        lower = np.maximum(p[:, :, None], p[:, None, :])
        pushed = vectors.conj() @ dh @ vectors.transpose(0, 2, 1)
        diagonal = np.arange(p.shape[1])
        shifts = pushed[:, diagonal, diagonal].real
        mean = (p * shifts).sum(axis=1, keepdims=True)
        pushed[:, diagonal, diagonal] = shifts - mean  # before 1 / T makes it large
        change = -lower / self.temperature * ratio * pushed
        moved = change.transpose(0, 2, 1) @ vectors
        return np.asarray(of_levels(terms, vectors, moved).sum(axis=1))

    def sample(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        shots: int,
        rng: Sequence[np.random.Generator],
    ) -> tuple[Array, Array, int]:
        """Measure bitstrings of the mixed state; see ``Equilibrium``."""
        return bitstrings(phase, operators, shots, rng)

    def _count(self, num_qubits: int) -> int:
        """Return the number of random vectors, 0 where all levels are computed."""
        if self.vectors is None:
            return VECTORS if num_qubits > DENSE_QUBITS else 0
        return self.vectors


def _levels(h: Hamiltonians) -> tuple[Array, NDArray[Any]]:
    """Return all energies, and all eigenvectors as rows."""
    energies, vectors = np.linalg.eigh(h.dense())
    return energies, np.ascontiguousarray(vectors.transpose(0, 2, 1))


def _energies(h: Hamiltonians, vectors: NDArray[Any]) -> Array:
    """Return the energies of eigenvectors."""
    images = vectors @ h.dense().transpose(0, 2, 1)
    return np.asarray((vectors.conj() * images).sum(axis=2).real)
