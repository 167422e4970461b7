"""Sampled: another equilibrium's state, read by a finite number of ideal shots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Equilibrium, Phase, generators, refuse_complex
from .._model import pauli_terms
from .._whole import refuse_fractions
from ._shots import bitstrings
from .exact import Exact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Sampled:
    r"""Ideal shots of a settled state: bitstrings drawn from its Born probabilities.

    .. math:: P(i) = |\langle i|U_g|\psi\rangle|^2

    with U_g the basis change of measurement setting g. Operators that are diagonal in
    one setting share its shots; ``Phase.covariance`` knows. Every row and setting draws
    fresh shots from the row's generator. An equilibrium with a ``sample`` of its own
    says what a shot is: of ``Gaussian()`` it is all positions, or all momenta.

    Attributes:
        shots: Shots per state and measurement setting.
        equilibrium: What settles; it has a ``sample``, or its state is amplitudes of
            2^N bitstrings.

    Raises:
        ValueError: If shots is not positive.
        TypeError: If it is no whole number.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
        >>> p, std = qep.predict(model, np.ones(5), [[1.0]], return_std=True, seed=1,
        ...                      equilibrium=qep.Sampled(10_000))
        >>> bool(abs(p - qep.predict(model, np.ones(5), [[1.0]])) < 5 * std)
        True
    """

    shots: int
    equilibrium: Equilibrium = field(default_factory=Exact)

    def __post_init__(self) -> None:
        """Check the arguments."""
        refuse_fractions(shots=self.shots)

    @property
    def follow(self) -> bool:
        """Whether a nudged phase waits for its free one."""
        return bool(getattr(self.equilibrium, "follow", False))

    @property
    def warm(self) -> bool:
        """Whether a training step starts from what the last one settled to."""
        return bool(getattr(self.equilibrium, "warm", False))

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row and draw its shots; see ``Equilibrium``."""
        refuse_complex(
            coefficients,
            "whose state has no "
            "probabilities to sample; use Nudge.chebyshev with Sampled",
        )
        phase = self.equilibrium(operators, coefficients, start=start, rng=rng)
        rng = generators(rng, len(coefficients))
        sample = getattr(self.equilibrium, "sample", None) or self._bitstrings
        drawn = sample(phase, operators, coefficients, self.shots, rng)
        values, covariance, shots = drawn
        return Phase(
            values,
            covariance=covariance,
            gap=phase.gap,
            residual=phase.residual,
            shots=shots,
            state=phase.state,
        )

    def _bitstrings(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        shots: int,
        rng: Sequence[np.random.Generator],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """Draw bitstrings of amplitudes; see ``Equilibrium`` for the signature."""
        states = phase.state[0] if phase.state else np.empty(0)
        try:
            terms = pauli_terms(operators)
        except TypeError as error:
            raise TypeError(
                f"{self.equilibrium!r} has no shots to draw: its values are what a "
                f"noiseless measurement finds; leave Sampled out ({error})"
            ) from None
        if states.shape != (len(coefficients), terms.dim):
            raise TypeError(
                f"Sampled needs a state of 2^{terms.num_qubits} amplitudes per row, "
                f"got {self.equilibrium!r} with shape {states.shape}"
            )
        pure = np.ones((len(states), 1))
        return bitstrings(terms, states[:, None], pure, shots, rng)
