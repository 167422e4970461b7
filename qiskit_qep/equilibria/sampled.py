"""Sampled: another equilibrium's state, read by a finite number of ideal shots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Equilibrium, Phase, refuse_complex
from .._model import pauli_terms
from ..runtime.counts import operator_moments
from ..runtime.groups import Setting, measurement_settings
from .exact import Exact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


MULTINOMIAL = 1 << 12  # outcomes; measured with 10^4 shots
# From here states are turned in float32, five times as fast at 2^20. Probabilities are
# then off by 1e-7 in all, which 10^13 shots would show.
SINGLE_DIM = 1 << 16


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
        if self.shots < 1:
            raise ValueError(f"shots should be at least 1, got {self.shots}")

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
        if rng is None:
            rng = [np.random.default_rng() for _ in coefficients]
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
        settings = measurement_settings(terms)
        values = np.empty(coefficients.shape)
        covariance = np.empty((*coefficients.shape, coefficients.shape[1]))
        for b, generator in enumerate(rng):
            tallies = [
                draw(probabilities(states[b], setting), shots, generator)
                for setting in settings
            ]
            values[b], covariance[b] = operator_moments(terms, settings, tallies)
        return values, covariance, shots * len(settings)


def probabilities(state: NDArray[Any], setting: Setting) -> NDArray[Any]:
    """Return the weight of every bitstring of a state measured in a setting.

    Weights are probabilities times the squared length of the state and a power of two.
    """
    if not setting.flips:
        squares = np.square(state.real)
        return np.asarray(
            squares if np.isrealobj(state) else squares + np.square(state.imag)
        )
    from .. import _sampling

    in_y = setting.flips & setting.signs
    if in_y:  # S^dagger on the qubits measured in Y
        index = np.arange(len(state), dtype=np.uint64)
        turns = np.bitwise_count(index & np.uint64(in_y))
        state = state * np.array([1, -1j, -1, 1j])[turns % 4]
    parts = [state] if np.isrealobj(state) else [state.real, state.imag]
    kind = np.float32 if len(state) >= SINGLE_DIM else np.float64
    turned: NDArray[Any] = np.array(parts, kind)
    _sampling.born(turned, np.uint64(setting.flips))
    return np.asarray(turned[0])


def draw(
    weights: NDArray[Any], shots: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Draw shots and return the distinct outcomes with their counts.

    A multinomial draw takes 40 ns per outcome; with many of them it is quicker to place
    sorted uniform numbers among the cumulated weights.
    """
    if len(weights) <= min(MULTINOMIAL, 4 * shots):
        tally = rng.multinomial(shots, weights / weights.sum())
        outcomes = np.flatnonzero(tally)
        return outcomes.astype(np.uint64), tally[outcomes]
    from .. import _sampling

    found = np.empty(shots, np.uint64)
    _sampling.place(weights, np.sort(rng.random(shots)), found)
    first = np.flatnonzero(np.append(True, found[1:] != found[:-1]))
    return found[first], np.diff(np.append(first, shots))
