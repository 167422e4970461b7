"""Relaxed: a minimum of a classical energy, such as an elastic network's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase, refuse_complex
from .._landscape import Landscape
from .._operators import compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from .._landscape import Energy

    Array = NDArray[np.float64]

FLAT = 1e-11  # of the largest curvature: below it nothing holds a coordinate
ROUNDING = 1e-12  # of the largest coefficient: what forces can be brought down to
MAX_STEPS = 1000


@dataclass(frozen=True)
class Relaxed:
    r"""A minimum of the energy of an elastic network, and the values there.

    .. math:: z^* = \arg\min_z E(z; \lambda), \qquad
              \langle A_k\rangle = \frac{\partial E}{\partial\lambda_k}(z^*)

    Operators are ``Distance``, ``QuadraticForm`` (momenta are at rest) and ``Clamped``.
    Newton's method where it converges at once, else a trust region (SciPy) before it.
    A nudged phase is the minimum that the free one moves into. ``Phase.residual`` is
    the largest force left, ``Phase.state`` the coordinates.

    Valid at a minimum that is curved in all directions, where no distance is zero.

    Attributes:
        positions: Where atoms are before they relax, (num_atoms, dimensions); by
            default where every ``Distance`` says. Which minimum a free phase finds
            depends on them.
        tolerance: Bound on the largest force left.

    Raises:
        ValueError: If positions are missing, do not fit or lead to no minimum.
        TypeError: If an operator is of another type, or coefficients are complex.

    Example:
        >>> import qiskit_qep as qep
        >>> at = [[0.0], [1.0], [2.0]]
        >>> model = qep.models.elastic_network(at, "chain", clamped=[0, 2], readout=[1])
        >>> theta = [1.0, 1.0, 1.0, 1.5]       # stiffness and rest length of 2 springs
        >>> qep.predict(model, theta, [[0.0, 2.0]], equilibrium=qep.Relaxed())
        array([[0.75]])

    Reference:
        B. Scellier, arXiv:2406.00879, Eqs. (17)-(18).
    """

    positions: ArrayLike | None = None
    tolerance: float = 1e-10

    follow = True  # a nudged phase waits for its free one, from whose minimum it moves

    def __post_init__(self) -> None:
        """Keep positions as numbers that can be compared."""
        if not self.tolerance > 0:
            raise ValueError(f"tolerance should be positive, got {self.tolerance}")
        if self.positions is not None:
            at = np.asarray(self.positions, dtype=np.float64)
            if not np.isfinite(at).all():
                raise ValueError(f"positions should be finite, got {at.tolist()}")
            object.__setattr__(self, "positions", tuple(at.ravel().tolist()))

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row; see ``Equilibrium``. Nothing is drawn."""
        refuse_complex(
            coefficients,
            "which have no minimum of energy; use Nudge.chebyshev with Relaxed",
        )
        landscape = compiled(Landscape, operators)
        begin = self._begin(landscape, len(coefficients), start)
        rest = [
            self._settle(landscape, row, z, b)
            for b, (row, z) in enumerate(zip(coefficients, begin, strict=True))
        ]
        z, values, residual = map(np.array, zip(*rest, strict=True))
        return Phase(values, residual=residual, state=(z,))

    def response(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        direction: NDArray[Any],
    ) -> Array:
        r"""Return d<A_k> along a direction of coefficient space.

        .. math:: dz = -H^{-1} \sum_k d\lambda_k \nabla A_k, \qquad
                  d\langle A_k\rangle = \nabla A_k \cdot dz

        with H the second derivatives of the energy; clamped coordinates move as their
        coefficients do.
        """
        landscape = compiled(Landscape, operators)
        changes, free = np.empty(coefficients.shape), landscape.free
        for b, (row, way) in enumerate(zip(coefficients, direction, strict=True)):
            z, H = phase.state[0][b], landscape.energy(row).hessian(phase.state[0][b])
            dz = landscape.place(np.zeros(z.shape), way)
            push = (
                landscape.energy(way).gradient(z) + H @ dz
            )  # while the free ones stay
            dz[free] = -np.linalg.solve(H[np.ix_(free, free)], push[free])
            push += H[:, free] @ dz[free]
            changes[b] = landscape.changes(z, dz, push)
        return changes

    def _begin(
        self, landscape: Landscape, batch: int, start: Phase | None
    ) -> NDArray[Any]:
        size = landscape.scales.shape[1]
        if start is not None:
            return np.asarray(start.state[0])
        if self.positions is None:
            if landscape.begin is None:
                raise ValueError(
                    "distances have more than one minimum; say where atoms are before "
                    "they relax, as in Relaxed(positions) or Distance(at=...)"
                )
            return np.tile(landscape.begin, (batch, 1))
        at = np.asarray(self.positions)
        if 2 * len(at) != size:
            raise ValueError(
                f"positions should be {size // 2} coordinates, got {len(at)}"
            )
        return np.tile(np.concatenate([at, np.zeros(len(at))]), (batch, 1))

    def _settle(
        self, landscape: Landscape, row: Array, z: Array, sample: int
    ) -> tuple[Array, Array, float]:
        """Return the minimum near z, the values there, and the largest force left."""
        z, energy = landscape.place(z, row), landscape.energy(row)
        enough = max(self.tolerance, ROUNDING * float(np.abs(row).max()))
        found = _newton(energy, z, enough)
        if found is None:
            z = _descend(energy, z, enough)
            found = _newton(energy, z, enough)
        if found is None:
            raise ValueError(_why(energy, z, sample))
        force = energy.gradient(found)
        residual = np.abs(force[landscape.free]).max(initial=0.0)
        return found, landscape.values(found, force), float(residual)


def _newton(energy: Energy, z: Array, enough: float) -> Array | None:
    """Return the minimum at which Newton's method arrives quickly, if it does.

    Every step has to halve the largest force, as it does near a minimum, until rounding
    forbids it.
    """
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    free = energy.landscape.free
    z, g = z.copy(), energy.gradient(z)[free]
    if not len(free):
        return z
    for _ in range(MAX_STEPS):
        H = energy.hessian(z)[np.ix_(free, free)]
        try:
            step = cho_solve(cho_factor(H), g)
        except LinAlgError:
            return None
        new = z.copy()
        new[free] -= step
        rest = energy.gradient(new)[free]
        if not np.abs(rest).max() < 0.5 * np.abs(g).max():
            break
        z, g = new, rest
    curvature = np.linalg.eigvalsh(H)
    held = curvature[0] > FLAT * curvature[-1]
    return z if held and np.abs(g).max() <= enough else None


def _descend(energy: Energy, z: Array, enough: float) -> Array:
    """Return a point near a minimum below z."""
    from scipy.optimize import minimize

    free, ends = energy.landscape.free, energy.landscape.ends

    def at(u: Array) -> Array:
        whole = z.copy()
        whole[free] = u
        return whole

    found = minimize(
        lambda u: energy(at(u)),
        z[free],
        jac=lambda u: energy.gradient(at(u))[free],
        hess=lambda u: energy.hessian(at(u))[np.ix_(free, free)],
        method="trust-exact",
        options={
            "initial_trust_radius": 0.05 * np.ptp(z[ends]) if ends.size else 1.0,
            "gtol": np.sqrt(enough),
            "maxiter": MAX_STEPS,
        },
    )
    return at(found.x)


def _why(energy: Energy, z: Array, sample: int) -> str:
    """Say why there is no minimum near z, and what to do."""
    free = energy.landscape.free
    curvature, ways = np.linalg.eigh(energy.hessian(z)[np.ix_(free, free)])
    force = np.abs(energy.gradient(z)[free]).max()
    way = np.abs(ways[:, 0])
    n = energy.landscape.terms.num_modes
    moving = [
        f"r_{k}" if k < n else f"p_{k - n}"
        for k in free[np.flatnonzero(way > 0.5 * way.max())[:6]]
    ]
    if abs(curvature[0]) <= FLAT * np.abs(curvature).max():
        cause = f"the energy is flat along {', '.join(moving)}"
        remedy = "clamp or pin atoms, or add springs, until nothing moves for free"
    elif curvature[0] < 0:
        cause = (
            f"the energy falls along {', '.join(moving)}, curvature {curvature[0]:.2g}"
        )
        remedy = (
            "raise spring constants, lower the nudge, or move the starting positions "
            "off a line or symmetry of the network"
        )
    else:
        cause = "forces do not vanish, as where two atoms meet or an energy has no end"
        remedy = "keep rest lengths positive and nudges small"
    return (
        f"sample {sample} did not come to rest in a minimum (largest force left "
        f"{force:.2g}): {cause}; {remedy}"
    )
