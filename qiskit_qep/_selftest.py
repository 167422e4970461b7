"""selftest: does a sampler mean by qubits, angles, bases and shots what we mean?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.primitives import BaseSamplerV2
from qiskit.quantum_info import SparsePauliOp

from ._estimate import stds_of
from ._gradient import gradient
from ._nudge import Nudge
from .equilibria.prepared import Prepared
from .models.ising import transverse_field_ising
from .preparations.ramp import Ramp
from .preparations.variational import Variational
from .runtime.requests import integers
from .runtime.seeds import check_sampler, job_seed, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from ._model import Model

    Array = NDArray[np.float64]

QUBITS = 4
SIGMA = 5.0
ENOUGH = 500  # shots
ROWS, FEW = 64, 100  # of the check of noise: rows, and shots of each
THETA = [0.6, -0.4, 0.5, 0.8, 0.7, 0.9, 0.8, 0.3, -0.2, 0.1, 0.4]
CNOTS = ((0, 3), (3, 1), (1, 2), (2, 0))  # no chain has them all: qubits have to move


@cache
def chain() -> Model:
    """Return the network whose gradient is checked."""
    return transverse_field_ising(QUBITS, edges="chain", inputs=[0], readout=[3])


@dataclass(frozen=True)
class Verdict:
    """What one check of ``selftest`` found.

    Attributes:
        name: What was checked.
        passed: Whether it is as it should be.
        numbers: What was measured, and its bound.
    """

    name: str
    passed: bool
    numbers: str

    def __repr__(self) -> str:
        """Show one line."""
        word = "passed" if self.passed else "FAILED"
        return f"{word}  {self.name:16}{self.numbers}"


def selftest(
    sampler: BaseSamplerV2 | Callable[[int], BaseSamplerV2],
    *,
    shots: int = 4000,
    ideal: bool = False,
    seed: int = 0,
) -> Iterator[Verdict]:
    r"""Check a sampler with circuits on four qubits whose answers are known.

    Qubit order, parameter order, layout and basis signs are yes-or-no: each expectation
    value is -1, 0 or 1, and has to be within 1/2 of it, at 5 sigma. Shot noise:

    .. math:: \frac{\text{measured variance}}{\text{reported } \sigma^2}
              = 1 \pm 5 \sqrt{2 / n}

    over the rows of a job and between two jobs, for n independent values. Gradient: of
    a ramp, against the same circuit without shots.

    Args:
        sampler: As for ``Prepared``.
        shots: Per circuit, at least 500; the check of shot noise takes 100.
        ideal: Whether there are no errors but shots: then every component of the
            gradient has to agree at 5 sigma. Otherwise it has to point the same way.
        seed: Of all shots.

    Yields:
        A verdict as soon as it is there; the first that fails is the one to look at.

    Raises:
        TypeError: If the sampler is none.
        ValueError: If it has a fixed seed, or shots are too few.

    Example:
        >>> import qiskit_qep as qep
        >>> from qiskit.primitives import StatevectorSampler
        >>> for verdict in qep.selftest(StatevectorSampler(), shots=1000, ideal=True):
        ...     print(verdict)
        passed  qubit order ...
        passed  parameter order ...
        passed  layout ...
        passed  basis signs ...
        passed  shot noise ...
        passed  gradient ...
    """
    check_sampler(sampler)
    if shots < ENOUGH:
        raise ValueError(
            f"shots should be at least {ENOUGH}, to tell -1, 0 and 1 apart at "
            f"{SIGMA:g} sigma, got {shots}"
        )
    streams = np.random.default_rng(seed).spawn(7)
    yield _qubit_order(sampler, shots, streams[0])
    yield _parameter_order(sampler, shots, streams[1])
    yield _layout(sampler, shots, streams[2])
    yield _basis_signs(sampler, shots, streams[3])
    yield _shot_noise(sampler, streams[4:6])
    yield _gradient(sampler, shots, ideal, int(streams[6].integers(1 << 31)))


def _pauli(letter: str) -> list[SparsePauliOp]:
    """Return one letter on every qubit in turn."""
    places = [[(letter, [q], 1.0)] for q in range(QUBITS)]
    return [SparsePauliOp.from_sparse_list(place, QUBITS) for place in places]


def _bits(number: ArrayLike) -> Array:
    """Return the bits of numbers, qubit 0 first, as the values of Z."""
    ones = np.asarray(number)[..., None] >> np.arange(QUBITS) & 1
    return np.asarray(1.0 - 2.0 * ones)


def _measured(
    sampler: Any,
    circuit: QuantumCircuit,
    operators: Sequence[SparsePauliOp],
    angles: Array,
    shots: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Return values and standard errors by the way that trainings take."""
    probe = Prepared(Variational("exact", ansatz=circuit), sampler, shots)
    phase = probe.measure(operators, angles, [rng])
    return phase.values, stds_of(phase)


def _decided(name: str, values: Array, stds: Array, expected: Array) -> Verdict:
    """Say whether -1, 0 and 1 were told apart."""
    distance = np.abs(values - expected)
    worst = np.unravel_index(np.argmax(distance + SIGMA * stds), distance.shape)
    far, std = distance[worst], stds[worst]
    return Verdict(
        name,
        bool(far + SIGMA * std < 0.5),
        f"{values.size} values of -1, 0 or 1: off by at most {far:.3f} ± {std:.3f}, "
        f"should be below 0.5 at {SIGMA:g} sigma",
    )


def _qubit_order(sampler: Any, shots: int, rng: np.random.Generator) -> Verdict:
    """Flip every qubit in turn, by gates without angles, and read the raw bits."""
    circuits = []
    for q in range(QUBITS):
        circuit = QuantumCircuit(QUBITS)
        circuit.x(q)
        circuit.measure_all()
        circuits.append(circuit)
    made = sampler
    if not isinstance(sampler, BaseSamplerV2):
        made = seeded(sampler, job_seed([rng]))
    answer = made.run([(circuit,) for circuit in circuits], shots=shots).result()
    z = np.array([_bits(integers(part.data.meas).astype(np.int64)) for part in answer])
    values = z.mean(axis=1)
    stds = np.sqrt(np.maximum(1.0 - values**2, 0.0) / shots)
    return _decided("qubit order", values, stds, _bits(1 << np.arange(QUBITS)))


def _parameter_order(sampler: Any, shots: int, rng: np.random.Generator) -> Verdict:
    """Turn one angle at a time, each of which flips a set of qubits of its own.

    Twelve of them, since "w[10]" comes before "w[2]" in the order of letters; a second
    vector, used first, whose name comes last.
    """
    late, early = ParameterVector("w", 12), ParameterVector("z", 3)
    circuit = QuantumCircuit(QUBITS)
    for number, angle in enumerate([*early, *late], start=1):
        for q in range(QUBITS):
            if number >> q & 1:
                circuit.ry(angle, q)
    numbers = {angle: k for k, angle in enumerate([*early, *late], start=1)}
    flipped = np.array([numbers[angle] for angle in circuit.parameters])
    rows = np.pi * np.eye(len(flipped))
    found = _measured(sampler, circuit, _pauli("Z"), rows, shots, rng)
    return _decided("parameter order", *found, _bits(flipped))


def _layout(sampler: Any, shots: int, rng: np.random.Generator) -> Verdict:
    """Copy bits between distant qubits, which a device does by moving them."""
    flips = ParameterVector("flip", QUBITS)
    circuit = QuantumCircuit(QUBITS)
    for q in range(QUBITS):
        circuit.rx(flips[q], q)
    numbers = 1 << np.arange(QUBITS)
    for control, target in CNOTS:
        circuit.cx(control, target)
        numbers = numbers ^ (numbers >> control & 1) << target
    rows = np.pi * np.eye(QUBITS)
    found = _measured(sampler, circuit, _pauli("Z"), rows, shots, rng)
    return _decided("layout", *found, _bits(numbers))


def _basis_signs(sampler: Any, shots: int, rng: np.random.Generator) -> Verdict:
    """Measure X, Y and Z of states along x, -x, y, -y, z and -z."""
    tilt, turn = ParameterVector("tilt", QUBITS), ParameterVector("turn", QUBITS)
    circuit = QuantumCircuit(QUBITS)
    for q in range(QUBITS):
        circuit.ry(tilt[q], q)
        circuit.rz(turn[q], q)
    right = 0.5 * np.pi
    along = np.array(
        [[0, 0, 1], [0, 0, -1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]
    )
    angles = right * np.array([[0, 0], [2, 0], [1, 0], [1, 2], [1, 1], [1, -1]])
    which = (np.arange(6)[:, None] + np.arange(QUBITS)) % 6  # by row and qubit
    rows = angles[which].transpose(0, 2, 1).reshape(6, -1)
    operators = [op for letter in "XYZ" for op in _pauli(letter)]
    expected = along[which].transpose(0, 2, 1).reshape(6, -1)
    named = dict(zip([*tilt, *turn], rows.T, strict=True))
    rows = np.array([named[angle] for angle in circuit.parameters]).T
    found = _measured(sampler, circuit, operators, rows, shots, rng)
    return _decided("basis signs", *found, expected)


def _shot_noise(sampler: Any, rngs: Sequence[np.random.Generator]) -> Verdict:
    """Compare the scatter of equal rows, and of two jobs, with the reported sigma."""
    tilt = ParameterVector("tilt", QUBITS)
    circuit = QuantumCircuit(QUBITS)
    for q in range(QUBITS):
        circuit.ry(tilt[q], q)
    rows = np.full((ROWS, QUBITS), 0.5 * np.pi)
    jobs = [_measured(sampler, circuit, _pauli("Z"), rows, FEW, rng) for rng in rngs]
    values, stds = map(np.array, zip(*jobs, strict=True))
    scatter = values - values.mean(axis=1, keepdims=True)
    between = (values[0] - values[1]) ** 2 / (stds[0] ** 2 + stds[1] ** 2)
    n = np.array([scatter.size - 2 * QUBITS, between.size])
    found = np.array([(scatter**2 / stds**2).sum(), between.sum()]) / n
    bound = SIGMA * np.sqrt(2.0 / n)
    return Verdict(
        "shot noise",
        bool(np.all(np.abs(found - 1.0) < bound)),
        f"variance / sigma^2 over rows {found[0]:.2f}, should be 1 ± {bound[0]:.2f}; "
        f"between jobs {found[1]:.2f}, should be 1 ± {bound[1]:.2f}",
    )


def _gradient(sampler: Any, shots: int, ideal: bool, seed: int) -> Verdict:
    """Compare a measured gradient with that of the same circuit without shots."""
    how: dict[str, Any] = {"nudge": Nudge.centered(0.3), "seed": seed}
    sample = chain(), THETA, [[0.7]], [[-1.0]]
    ramp = Ramp(time=3, steps=6)
    measured = gradient(*sample, equilibrium=Prepared(ramp, sampler, shots), **how)
    exact = gradient(*sample, equilibrium=Prepared(ramp), **how)
    states = gradient(*sample, nudge=how["nudge"])
    stds = np.hypot(measured.stds, measured.slope_stds)
    off = np.abs(measured.values - exact.values) / stds
    along = exact.values / exact.norm
    length, std = measured.values @ along, np.sqrt(stds**2 @ along**2)
    cosine = length / measured.norm
    passed = off.max() < SIGMA if ideal else length > SIGMA * std and cosine > 0.5
    said = f"largest deviation of {off.size} parts {off.max():.1f} sigma"
    bound = f", should be below {SIGMA:g}" if ideal else ""
    also = "" if ideal else ", should be above 0.5"
    true = measured.values @ states.values / measured.norm / states.norm
    return Verdict(
        "gradient",
        bool(passed),
        f"{said}{bound}; cosine {cosine:.3f}{also}; with ground states {true:.3f}",
    )
