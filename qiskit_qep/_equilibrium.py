r"""The contract of everything that settles: coefficients in, expectation values out.

.. math::
    \lambda \;\mapsto\; \langle A\rangle(\lambda) = \nabla E(\lambda)
    \qquad\text{(Hellmann-Feynman)}

E is an energy level, a free energy or the minimum of a classical energy. Gradients,
training and plots know nothing else of the physics; a new way to settle is a new file.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ._pauli import is_complex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Phase:
    """What was measured of a batch of settled systems.

    Attributes:
        values: Expectation values, shape (batch, num_operators).
        stds: Standard errors of the values, same shape; zero where they are exact.
        covariance: Covariance of the values, shape (batch, num_operators,
            num_operators), where operators share shots; None where they do not.
        gap: Distance to the nearest other level, an upper bound, shape (batch,).
        residual: |H v - E v| of the solver, shape (batch,).
        shots: Shots taken per row.
        jobs: Identifiers of the jobs that were run.
        state: Arrays with the batch first that describe the settled state, enough to
            settle a neighbour from it.
        raw: The same shots as they were, where errors of readout were taken out.
        cross_covariance: Of a noisy response only: covariance of its values with those
            of the phase it belongs to, same shape; None where they share no draws.
    """

    values: NDArray[Any]
    stds: Array | None = None
    covariance: Array | None = None
    gap: Array | None = None
    residual: Array | None = None
    shots: int = 0
    jobs: tuple[str, ...] = ()
    state: tuple[NDArray[Any], ...] = ()
    raw: Phase | None = None
    cross_covariance: Array | None = None

    def __post_init__(self) -> None:
        """Take the standard errors from the covariance where they are not given."""
        if self.stds is None:
            stds = np.zeros(self.values.shape)
            if self.covariance is not None:
                variance = np.diagonal(self.covariance, axis1=1, axis2=2)
                stds = np.sqrt(np.maximum(variance, 0.0))
            object.__setattr__(self, "stds", stds)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.values)

    def __getitem__(self, rows: Any) -> Phase:
        """Select and repeat rows, by a slice or a list of row numbers."""
        if isinstance(rows, int | np.integer):
            rows = [rows]
        picked = dict(self.__dict__)
        picked["state"] = tuple(a[rows] for a in self.state)
        for name, value in picked.items():
            if isinstance(value, np.ndarray | Phase):
                picked[name] = value[rows]
        return Phase(**picked)

    @staticmethod
    def join(phases: Sequence[Phase]) -> Phase:
        """Put the rows of several phases of one model under one another.

        Raises:
            ValueError: If there is none.
        """
        if not phases:
            raise ValueError("there is no phase to join")
        first = phases[0]
        joined: dict[str, Any] = {
            "state": tuple(
                map(np.concatenate, zip(*(p.state for p in phases), strict=True))
            )
        }
        for field in fields(first):
            if isinstance(getattr(first, field.name), np.ndarray):
                joined[field.name] = np.concatenate(
                    [getattr(p, field.name) for p in phases]
                )
        if first.raw is not None:
            joined["raw"] = Phase.join([p.raw for p in phases if p.raw is not None])
        joined["jobs"] = tuple(dict.fromkeys(job for p in phases for job in p.jobs))
        return replace(first, **joined)


def refuse_complex(coefficients: NDArray[Any], why: str) -> None:
    """Raise where a holomorphic nudge asks for what an equilibrium cannot settle.

    Raises:
        TypeError: If the coefficients are complex.
    """
    if is_complex(coefficients):
        raise TypeError(f"Nudge.holomorphic needs complex coefficients, {why}")


def generators(
    rng: Sequence[np.random.Generator] | None, batch: int
) -> Sequence[np.random.Generator]:
    """Return the generators that were given, or fresh ones, one for every row."""
    return [np.random.default_rng() for _ in range(batch)] if rng is None else rng


class Equilibrium(Protocol):
    """Settles systems: one call, coefficients in, a ``Phase`` out.

    Row i of a call depends on row i of its arguments only, so that a batch may be cut
    anywhere. Four things are optional. ``follow``, true where settling a nudged phase
    waits for its free one as ``start``. ``warm``, true where a training step starts
    from what the last one settled to, the last array of ``Phase.state``.
    ``response(phase, operators, coefficients, direction)``, the derivative of the
    values along a direction of coefficient space, which ``Nudge.infinitesimal()``
    needs: shape (batch, num_operators), or where it is noisy a ``Phase`` with its
    covariances. ``sample(phase, operators, coefficients, shots, rng)``, what
    ``Sampled`` reads of a state that is no amplitudes of bitstrings: values,
    covariance, and the number of shots per row.
    """

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row and measure every operator.

        Args:
            operators: What H is a sum of, and what is measured.
            coefficients: Shape (batch, num_operators).
            start: A phase with as many rows: row i settles as the smooth deformation
                of row i of start.
            rng: One generator per row, for equilibria that draw.

        Raises:
            TypeError: If the operators or complex coefficients cannot be settled.
        """
