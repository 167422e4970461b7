"""Gaussian: the ground state of coupled oscillators in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase
from .._operators import compiled
from .._quadratic import QuadraticTerms
from ._modes import NormalModes, continued

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gaussian:
    r"""The ground state of quadratic forms in positions and momenta, exactly.

    .. math::
        H = \tfrac12 z^T Q z + c^T z, \qquad
        \langle z\rangle = -Q^{-1} c, \qquad
        V = \tfrac12 S S^T, \qquad S^T Q S = \mathrm{diag}(\omega, \omega)

    with z = (r, p), hbar = 1, and S the symplectic matrix of the normal modes. Where
    positions and momenta are not multiplied, with stiffness K and inverse masses 1/M,

    .. math:: \langle r r^T\rangle - \langle r\rangle\langle r\rangle^T =
              \tfrac12 M^{-1/2} (M^{-1/2} K M^{-1/2})^{-1/2} M^{-1/2}.

    Valid where Q is positive definite: otherwise nothing holds the system, and it is
    refused. Rows with the same Q share its normal modes. ``Phase.gap`` is the lowest
    frequency. ``Sampled(shots, Gaussian())`` draws positions.

    Raises:
        TypeError: If an operator is no ``QuadraticForm``.
        ValueError: If a row has no ground state.

    Example:
        >>> import qiskit_qep as qep
        >>> model = qep.models.oscillator_network(
        ...     [1.0, 1.0], "chain", anchors=1.0, inputs=[0], readout=[1])
        >>> qep.predict(model, [2.0], [[5.0]], equilibrium=qep.Gaussian()).round(6)
        array([[2.]])

    Reference:
        B. Scellier, arXiv:2406.00879, Eq. (41); J. Williamson, Am. J. Math. 58, 141
        (1936), for the normal modes.
    """

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row; see ``Equilibrium``. Nothing is drawn.

        Complex coefficients are the analytic continuation of real ones, as long as the
        real part of Q is positive definite.
        """
        terms = compiled(QuadraticTerms, operators)
        if np.iscomplexobj(coefficients):
            values, mean = continued(terms, coefficients)
            return Phase(values, state=(mean,))
        modes = NormalModes.of(terms, coefficients)
        mean = -modes.solve(terms.forces(coefficients))
        spread = modes.spread_at(terms.first, terms.second)[modes.row]
        pairs = spread + mean[:, terms.first] * mean[:, terms.second]
        values = terms.combine(pairs, mean[:, terms.single]) + terms.constant
        gap = modes.frequencies.min(axis=1)[modes.row]
        return Phase(values, gap=gap, state=(mean,))

    def covariance(self, operators: Sequence[Any], coefficients: NDArray[Any]) -> Array:
        """Return V, the symmetrised covariance of z, shape (batch, 2n, 2n).

        Modes that no operator acts on have none.
        """
        terms = compiled(QuadraticTerms, operators)
        modes = NormalModes.of(terms, coefficients)
        return np.asarray(modes.spread[modes.row])

    def response(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        direction: NDArray[Any],
    ) -> Array:
        r"""Return d<A_k> along a direction of coefficient space.

        .. math::
            d\langle z\rangle = -Q^{-1}(dc + dQ\,\langle z\rangle), \qquad
            dV = -S\,\frac{(G - J G J^T)_{jk}}{2(\omega_j + \omega_k)}\,S^T

        with G = S^T dQ S, J the symplectic form, and omega repeated for r and p.
        """
        terms = compiled(QuadraticTerms, operators)
        modes, mean = NormalModes.of(terms, coefficients), phase.state[0]
        weights = terms.weights(direction)
        changed = terms.matrices(weights)
        push = terms.forces(direction) + np.matmul(changed, mean[:, :, None])[..., 0]
        moved = -modes.solve(push)
        i, j = terms.first, terms.second
        pairs = moved[:, i] * mean[:, j] + mean[:, i] * moved[:, j]
        for b in np.flatnonzero(weights.any(axis=1)):
            pairs[b] += modes.spread_change_at(modes.row[b], changed[b], i, j)
        return np.asarray(terms.combine(pairs, moved[:, terms.single]))

    def sample(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        shots: int,
        rng: Sequence[np.random.Generator],
    ) -> tuple[Array, Array, int]:
        r"""Measure positions and momenta, each setting with ``shots`` shots.

        .. math:: r \sim N(\langle r\rangle, V_{rr}), \qquad
                  p \sim N(\langle p\rangle, V_{pp})

        All positions are read in one setting and all momenta in another; an operator
        with both, such as an energy, is the sum of what the two settings tell.

        Returns:
            Values, their covariance, and the number of shots per row.

        Raises:
            ValueError: If there is one shot, which has no standard error.
            TypeError: If an operator multiplies a position with a momentum.
        """
        terms = compiled(QuadraticTerms, operators)
        if shots < 2:
            raise ValueError(
                f"positions need at least 2 shots for a standard error, got {shots}"
            )
        settings = _settings(terms)
        modes, mean = NormalModes.of(terms, coefficients), phase.state[0]
        roots = [[_root(S[read]) for read in settings] for S in modes.matrix]
        values = np.tile(terms.constant, (len(mean), 1))
        covariance = np.zeros((*values.shape, values.shape[1]))
        for b, generator in enumerate(rng):
            for read, root in zip(settings, roots[modes.row[b]], strict=True):
                draw = generator.standard_normal((shots, len(read)))
                z = np.zeros((shots, mean.shape[1]))  # what is not read adds nothing
                z[:, read] = mean[b, read] + draw @ root.T
                each = terms.at(z) - terms.constant
                values[b] += each.mean(axis=0)
                covariance[b] += np.cov(each, rowvar=False).reshape(covariance[b].shape)
        return values, covariance / shots, shots * len(settings)


def _root(part: Array) -> Array:
    """Return the lower root of the covariance of coordinates, some rows of S."""
    return np.asarray(np.linalg.cholesky(0.5 * part @ part.T))


def _settings(terms: QuadraticTerms) -> list[NDArray[np.intp]]:
    """Return what is read together: positions, and momenta, of those there are."""
    n = terms.num_modes
    mixed = (terms.first < n) & (terms.second >= n)
    for k in np.flatnonzero(np.abs(terms.quadratic[:, mixed]).sum(axis=1))[:1]:
        raise TypeError(
            f"operator {k} multiplies a position with a momentum, which are not "
            "measured in one shot; read it without shots, by Gaussian()"
        )
    positions, momenta = terms.touched < n, terms.touched >= n
    return [terms.touched[read] for read in (positions, momenta) if read.any()]
