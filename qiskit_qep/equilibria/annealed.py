"""Annealed: low configurations of classical spins by simulated annealing."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase, generators
from .._whole import refuse_fractions
from ._diagonal import diagonal_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ._diagonal import DiagonalTerms


@dataclass(frozen=True)
class Annealed:
    r"""Classical spins annealed as on an Ising machine, by dwave-samplers.

    .. math:: E(s) = \sum_j h_j s_j + \sum_{(j,k)} J_{jk} s_j s_k

    Every read starts from random spins and cools by Metropolis sweeps. By default the
    read with the lowest energy is the settled state, a minimum only as good as reads
    and sweeps allow, and without a standard error. With ``average=True`` the values are
    means over all reads, with standard errors; at one temperature, ``(T, T)``, and
    enough sweeps these are the thermal averages at T. Strings of more than two spins
    may be measured but not settled: ``Enumerated`` takes them.

    Attributes:
        reads: Number of annealings per row.
        sweeps: Attempts to turn every spin over, per read.
        temperatures: Of the first and the last sweep, in units of energy, with a
            geometric schedule between. None is from where every spin is turned over by
            one attempt in two, to where one in a hundred climbs the least coefficient.
        average: Whether to take the mean over the reads in place of the best one.

    Raises:
        ValueError: If a number is too small, or temperatures are not two positive ones.

    Example:
        >>> import qiskit_qep as qep
        >>> ring = qep.models.classical_ising(40, edges="ring", inputs=[0], readout=[9])
        >>> theta, x = [1.0] * 40 + [0.0] * 40, [[1.0], [-1.0]]
        >>> qep.predict(ring, theta, x, equilibrium=qep.Annealed(), seed=7)
        array([[ 1.], [-1.]])

    Reference:
        B. Scellier, arXiv:2406.00879, Eqs. (15-16); J. Laydevant, D. Markovic,
        J. Grollier, Nat. Commun. 15, 3671 (2024).
    """

    reads: int = 10
    sweeps: int = 1000
    temperatures: tuple[float, float] | None = None
    average: bool = False

    def __post_init__(self) -> None:
        """Check the arguments."""
        refuse_fractions(1 + self.average, reads=self.reads)
        refuse_fractions(sweeps=self.sweeps)
        ends = self.temperatures
        if ends is not None and not (len(ends) == 2 and min(ends) > 0):
            raise ValueError(f"temperatures should be two positive ones, got {ends}")

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row afresh; see ``Equilibrium``."""
        coefficients = np.asarray(coefficients)
        terms = diagonal_terms(operators, coefficients)
        rows = terms.energies(coefficients)
        high = np.argwhere((rows != 0) & (terms.orders > 2))
        for _, string in high[:1]:
            spins = np.flatnonzero(terms.strings[string]).tolist()
            raise ValueError(
                f"Annealed settles couplings of two spins, got one of {len(spins)}, "
                f"{spins}; use Enumerated"
            )
        rng = generators(rng, len(rows))
        anneal = self._annealer(terms)
        found = [anneal(row, g) for row, g in zip(rows, rng, strict=True)]
        if self.average:
            samples = np.array([spins for spins, _ in found])
            return self._mean(terms, samples)
        best = np.array([spins[energy.argmin()] for spins, energy in found])
        return Phase(terms.values(best), shots=self.reads, state=(best,))

    def _annealer(self, terms: DiagonalTerms) -> Any:
        """Return the function from string coefficients and a generator to all reads."""
        try:
            dimod, samplers = map(import_module, ("dimod", "dwave.samplers"))
        except ImportError as error:
            raise ImportError(
                'Annealed uses dwave-samplers: pip install "qiskit-qep[anneal]", '
                "or use Enumerated for up to 24 spins"
            ) from error
        one, two = terms.orders == 1, terms.orders == 2
        sampler = samplers.SimulatedAnnealingSampler()
        how = {"num_reads": self.reads, "num_sweeps": self.sweeps}

        def anneal(row: NDArray[np.float64], rng: np.random.Generator) -> Any:
            fields = np.zeros(terms.num_spins)
            fields[terms.single] = row[one]
            problem = dimod.BinaryQuadraticModel.from_numpy_vectors(
                fields, (*terms.pairs, row[two]), 0.0, dimod.SPIN
            )
            hot, cold = self.temperatures or _range(terms, row)
            seed = int(rng.integers(1 << 31))
            answer = sampler.sample(
                problem, seed=seed, beta_range=[1.0 / hot, 1.0 / cold], **how
            )
            record = answer.record
            return record.sample, record.energy

        return anneal

    def _mean(self, terms: DiagonalTerms, samples: NDArray[np.int8]) -> Phase:
        """Return means over reads with their covariance."""
        batch, size = len(samples), terms.weights.shape[0]
        values, covariance = np.empty((batch, size)), np.empty((batch, size, size))
        for b, spins in enumerate(samples):
            each = terms.values(spins)
            values[b] = each.mean(axis=0)
            centered = each - values[b]
            covariance[b] = centered.T @ centered / (self.reads * (self.reads - 1))
        return Phase(values, covariance=covariance, shots=self.reads, state=(samples,))


def _range(terms: DiagonalTerms, row: NDArray[np.float64]) -> tuple[float, float]:
    """Return the temperatures that suit a row; the library's own loop takes 50 ms."""
    sizes = np.abs(row)
    if not sizes.any():
        return 1.0, 1.0
    pulls = sizes @ terms.strings
    return 2 * pulls.max() / np.log(2), 2 * sizes[sizes > 0].min() / np.log(100)
