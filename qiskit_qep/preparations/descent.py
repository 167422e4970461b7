"""Minimising exact energies of an ansatz: Newton steps in the metric of its states."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._pauli import Hamiltonians, PauliTerms
    from .rotations import Rotations

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Landscape:
    r"""The energy of a family of states, with its derivatives.

    .. math:: E(p) = \langle\psi(p)|H|\psi(p)\rangle

    Attributes:
        rotations: The family; its angles are matrix p + offset.
        matrix: Shape (num_rotations, num_parameters).
        offset: Shape (num_rotations,).
        terms: Pauli strings of the operators.
        coefficients: Of the operators, shape (num_operators,).
    """

    rotations: Rotations
    matrix: Array
    offset: Array
    terms: PauliTerms
    coefficients: Array

    def energy(self, p: Array) -> tuple[float, Array]:
        """Return E and its gradient, by two sweeps through the circuit."""
        angles = (self.matrix @ p + self.offset)[None]
        states = self.rotations.states(angles)
        images = self.hamiltonian.apply(states)
        energy = float(np.vdot(states, images).real)
        slopes = self.rotations.derivatives(angles, states, images)
        return energy, slopes[0] @ self.matrix

    def curvature(self, p: Array) -> tuple[Array, Array]:
        r"""Return the Hessian of E, and the metric of the states.

        .. math:: F_{ij} = \mathrm{Re}\,\langle\partial_i\psi|(1 - |\psi\rangle
                  \langle\psi|)|\partial_j\psi\rangle
        """
        angles = self.matrix @ p + self.offset
        state, tangents, second = self.rotations.tangents(angles, self.hamiltonian)
        rows = np.repeat(self.hamiltonian.rows, len(tangents), axis=0)
        images = replace(self.hamiltonian, rows=rows).apply(tangents)
        hessian = second + 2.0 * (tangents.conj() @ images.T).real
        across = tangents - np.outer(tangents @ state.conj(), state)
        metric = (across.conj() @ across.T).real
        m = self.matrix
        return m.T @ hessian @ m, m.T @ metric @ m

    @cached_property
    def hamiltonian(self) -> Hamiltonians:
        """H, one row."""
        return self.terms.hamiltonian(self.coefficients[None], identity=False)


def newton(
    landscape: Landscape, p: Array, *, tolerance: float, max_steps: int
) -> tuple[Array, float]:
    r"""Descend until no derivative exceeds the tolerance.

    .. math:: \delta = -(|E''| + \mu F)^{-1} E'

    |E''| has the Hessian's eigenvalues in the metric F without their signs, so that
    every step leads down, also past saddles. Large mu is imaginary time evolution, mu =
    0 Newton's method; a step is taken if it lowers the energy. Measured in the metric
    of the states, a step does not depend on how they are parametrised: some twenty of
    them do what takes a quasi-Newton method a thousand.

    Returns:
        The parameters, and the largest derivative that is left.
    """
    from scipy.linalg import eigh  # 150 ms that an import of the package need not take

    damping, ridge = 1.0, 1e-4 * np.eye(len(p))
    energy, slope = landscape.energy(p)
    for _ in range(max_steps):
        if np.abs(slope).max() <= tolerance:
            break
        hessian, metric = landscape.curvature(p)
        curvatures, axes = eigh(hessian, metric + ridge)
        along = axes.T @ slope
        while damping < 1e12:
            change = along / (np.abs(curvatures) + damping)
            trial = p - axes @ change
            found, trial_slope = landscape.energy(trial)
            if found <= energy + 1e-14 * abs(energy):
                break
            damping *= 4.0
        else:
            break  # no step leads down: rounding has the last word
        if energy - found > 0.25 * (along @ change):
            damping *= 0.3
        p, energy, slope = trial, found, trial_slope
    return p, float(np.abs(slope).max())
