"""Prepared: states that a circuit prepares, read by the shots of any sampler."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

from qiskit.primitives import BaseSamplerV2

from .._equilibrium import Phase, generators, refuse_complex
from .._model import pauli_terms
from .._pauli import PerOperators
from .._whole import refuse_fractions
from ..runtime.answers import warn_of_bounds
from ..runtime.costs import warn_of_hardware
from ..runtime.fingerprints import stamped
from ..runtime.groups import measurement_settings
from ..runtime.readout import Readout, calibration_circuits, suppress_errors
from ..runtime.requests import build_pub, measurement_circuit, read_counts
from ..runtime.seeds import check_sampler, job_seed, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    Array = NDArray[np.float64]


_submission = Lock()


class Preparation(Protocol):
    """A circuit that is built once, and its angles for every Hamiltonian."""

    @property
    def follow(self) -> bool:
        """Whether the angles of a nudged phase start from those of its free one."""

    def circuit(self, operators: Sequence[Any]) -> QuantumCircuit:
        """Return the parametrised circuit, without measurements."""

    def states(self, operators: Sequence[Any], angles: Array) -> NDArray[Any]:
        """Return the prepared states, shape (batch, 2^N): what shots are drawn from."""

    def angles(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        measure: Callable[[Array], Phase] | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Array:
        """Return values of the circuit's parameters, shape (batch, num_parameters).

        Args:
            operators: What H is a sum of.
            coefficients: Shape (batch, num_operators).
            start: A neighbouring phase, with its angles as the last array of its state.
            measure: Angles, shape (rows, num_parameters), to a phase of all operators,
                by one job.
            rng: One generator per row.
        """


@dataclass(frozen=True)
class Prepared:
    r"""The state that a circuit prepares for every row, and its measured operators.

    .. math:: \langle A_k\rangle = \frac{1}{T}\sum_{t=1}^{T} a_k^{(t)}

    All rows and all measurement settings of a call are one PUB of one job. Operators
    that share a setting share its shots; ``Phase.covariance`` knows.

    Attributes:
        preparation: ``Ramp`` or ``Variational``.
        sampler: Any ``BaseSamplerV2``, or a function from a seed to one, for simulators
            with reproducible shots: one with a fixed seed would repeat its noise.
            With None, the exact expectation values of the prepared states, without
            shots; ``Sampled(shots, Prepared(ramp))`` adds ideal ones.
        shots: Per row and measurement setting.
        mitigation: "none"; "readout", which takes every qubit's errors of readout out,
            measured by two more circuits in every job: values, stds and covariance are
            corrected, ``Phase.raw`` is what was there before; or "full", which also
            switches on twirled measurement and dynamical decoupling, among the options
            of a runtime sampler.
        max_circuits: Of one job: rows times settings. Rows that are too many for a job
            are spread over several, which are all submitted before the first is read.
        max_executions: Of one job: circuits times shots; IBM's limit.
        max_payload: Bytes of one job's angles, before compression; None is no limit.

    Raises:
        ValueError: If a number is not positive, the sampler has a fixed seed, or it
            cannot do the mitigation.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> from qiskit.primitives import StatevectorSampler
        >>> model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
        >>> shots = qep.Prepared(qep.Ramp(time=4, steps=8), StatevectorSampler())
        >>> p = qep.predict(model, np.ones(5), [[1.0]], equilibrium=shots)
        >>> bool(abs(p - qep.predict(model, np.ones(5), [[1.0]])) < 0.1)
        True
    """

    preparation: Preparation
    sampler: BaseSamplerV2 | Callable[[int], BaseSamplerV2] | None = None
    shots: int = 4000
    mitigation: Literal["none", "readout", "full"] = "none"
    max_circuits: int | None = field(default=None, kw_only=True)
    max_executions: int = field(default=10_000_000, kw_only=True)
    max_payload: int | None = field(default=None, kw_only=True)
    _circuits: PerOperators[QuantumCircuit] = field(
        default_factory=PerOperators, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the arguments."""
        for name in ("shots", "max_circuits", "max_executions", "max_payload"):
            given = getattr(self, name)
            if given is not None:
                refuse_fractions(**{name: given})
        if self.mitigation not in ("none", "readout", "full"):
            raise ValueError(
                "mitigation should be 'none', 'readout' or 'full', got "
                f"{self.mitigation!r}"
            )
        if self.sampler is None and self.mitigation != "none":
            raise ValueError(
                f"mitigation {self.mitigation!r} needs a sampler: without one, values "
                "are exact"
            )
        if self.sampler is not None:
            check_sampler(self.sampler)
        if isinstance(self.sampler, BaseSamplerV2) and self.mitigation == "full":
            suppress_errors(self.sampler)

    @property
    def follow(self) -> bool:
        """Whether a nudged phase waits for its free one."""
        return self.preparation.follow

    @property
    def warm(self) -> bool:
        """Whether a training step starts from what the last one settled to."""
        return self.preparation.follow

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Prepare and measure every row; see ``Equilibrium``."""
        refuse_complex(
            coefficients,
            "which no circuit can prepare; use Nudge.chebyshev with Prepared",
        )
        rng = generators(rng, len(coefficients))

        def measure(trial: Array) -> Phase:
            return self.measure(operators, trial, rng)

        angles = self.preparation.angles(
            operators,
            coefficients,
            start=start,
            measure=None if self.sampler is None else measure,
            rng=rng,
        )
        return self.measure(operators, angles, rng)

    def measure(
        self,
        operators: Sequence[Any],
        angles: Array,
        rng: Sequence[np.random.Generator],
    ) -> Phase:
        """Measure all operators in the states of some rows, by one job if it can.

        Args:
            operators: Of a Pauli model.
            angles: Shape (rows, num_parameters).
            rng: Generators that the job's seed is drawn from.
        """
        if self.sampler is None:
            states = self.preparation.states(operators, angles)
            values = pauli_terms(operators).expectations(states, states).real
            return Phase(values, state=(states, angles))
        rows = self._rows_of_a_job(operators, angles)
        parts = [angles[k : k + rows] for k in range(0, len(angles), rows)]
        jobs = [self._submit(operators, part, rng) for part in parts]
        phases = [
            self._read(operators, job, part)
            for job, part in zip(jobs, parts, strict=True)
        ]
        return Phase.join(phases)

    def _submit(
        self,
        operators: Sequence[Any],
        angles: Array,
        rng: Sequence[np.random.Generator],
    ) -> Any:
        """Submit one job, with shot noise of its own."""
        circuit, values = build_pub(self.circuit(operators), operators, angles)
        sampler, seed = self.sampler, job_seed(rng)
        assert sampler is not None
        if not isinstance(sampler, BaseSamplerV2):
            sampler = seeded(sampler, seed)
            if self.mitigation == "full":
                suppress_errors(sampler)
        warn_of_hardware(sampler)
        calibration = self._calibration(circuit)
        with _submission:  # the circuit is shared, also by the threads of Parallel
            circuit.metadata = stamped(circuit.metadata, seed)  # known to Resumable
            return sampler.run([(circuit, values), *calibration], shots=self.shots)

    def _read(self, operators: Sequence[Any], job: Any, angles: Array) -> Phase:
        """Wait for a job, and read what it measured."""
        bits, *known = (answer.data.meas for answer in job.result())
        readout = Readout.of(*known) if known else None
        phase = read_counts(operators, bits, readout)
        if readout is not None:
            warn_of_bounds(operators, phase)
        return replace(phase, jobs=(job.job_id(),), state=(angles,))

    def _calibration(self, circuit: QuantumCircuit) -> tuple[QuantumCircuit, ...]:
        if self.mitigation == "none":
            return ()
        return calibration_circuits(circuit.num_qubits)

    def _rows_of_a_job(self, operators: Sequence[Any], angles: Array) -> int:
        """Return how many rows keep a job within every limit."""
        circuit = self.circuit(operators)
        settings = len(measurement_settings(pauli_terms(operators)))
        more = len(self._calibration(circuit))
        limits = {"max_executions": self.max_executions // self.shots - more}
        if self.max_circuits is not None:
            limits["max_circuits"] = self.max_circuits - more
        if self.max_payload is not None:
            limits["max_payload"] = self.max_payload // (8 * circuit.num_parameters)
        name, fewest = min(limits.items(), key=lambda limit: limit[1])
        if fewest < settings:
            raise ValueError(
                f"{name} is {getattr(self, name)}, which leaves {max(fewest, 0)} "
                f"circuits for a job, and one row needs {settings}, one for each "
                "measurement setting; raise it, or take fewer shots"
            )
        return min(fewest // settings, len(angles))

    def circuit(self, operators: Sequence[Any]) -> QuantumCircuit:
        """Return the measured circuit, the same object at every call."""
        terms = pauli_terms(operators)
        if terms not in self._circuits:
            self._circuits[terms] = measurement_circuit(
                self.preparation.circuit(operators), operators
            )
        return self._circuits[terms]
