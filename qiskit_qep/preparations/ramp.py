"""Ramp: the ground state by a digitised adiabatic passage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._model import pauli_terms
from .._pauli import PauliTerms, PerOperators
from .._whole import refuse_fractions
from .blocks import Start
from .counterdiabatic import gauge_field
from .fourier import Fourier, Strings
from .product_formula import ProductFormula, commuting_groups
from .rotations import Rotations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp
    from scipy.sparse import csr_array

    from .._equilibrium import Phase

    Masks = NDArray[np.uint64]
    Array = NDArray[np.float64]

START = 0.15  # of the time in which a gentle ramp gathers speed


def _gentle(s: Array) -> Array:
    """Return u with a speed that grows from 0 to 1 / (1 - START / 2), and stays."""
    starting = 0.5 * np.minimum(s, START) ** 2 / START
    return (starting + np.maximum(s - START, 0.0)) / (1.0 - 0.5 * START)


def _linear(s: Array) -> Array:
    return s


def _smooth(s: Array) -> Array:
    return np.asarray(np.sin(0.5 * np.pi * s) ** 2)


_SCHEDULES: dict[str, Callable[[Array], Array]] = {
    "gentle": _gentle,
    "linear": _linear,
    "smooth": _smooth,
}


@dataclass(frozen=True)
class Ramp:
    r"""Drag the ground state of a simple driver to that of H, in small steps.

    .. math:: H(u) = (1 - u)\,D + u\,H(\lambda), \qquad D = -\sum_q s_q X_q, \qquad
              u = f(t / T), \quad 0 \le t \le T

    as a product formula of Pauli rotations: the circuit is built and transpiled once,
    and its angles are a formula of the coefficients, the nudge ramped with the rest.
    The sign s_q is that of the transverse field of H, so that no qubit has to turn
    round. Valid where T exceeds 1 / gap^2 and dt = T / steps is below about 0.4 / |H|:
    the state is *not* stationary, so that its gradient has a bias; ``fidelity_report``
    measures it.

    Attributes:
        time: T, in units of 1 / energy.
        steps: Number of slices.
        order: 2 is the symmetric (Strang) formula, 1 the plain one.
        schedule: f: "gentle" (linear, but for the first 15 % of the time, in which it
            gathers speed), "linear", "smooth" (sin^2(pi t / 2T), flat at both ends), or
            a function of [0, 1] onto itself. A sudden start excites an amplitude of
            order 1 / T, and a nudge turns its phase, the integral of the gap, at a rate
            of order T: its share in a gradient hardly falls with T.
        driver: D, another operator that acts on every qubit, its signs taken as they
            are. It has to fall into blocks of at most 6 qubits, whose ground states
            start the ramp: one field per qubit, or one oscillator per block, as
            ``model.fixed`` of an anchored ``models.position_grid`` or ``models.fock``.
        counterdiabatic: Whether to add the local gauge field, two Y rotations per qubit
            and step, that undoes much of what the speed excites (Sels and Polkovnikov,
            2017). It takes no two-qubit gate; ``benchmarks.circuits`` has its effect.
        fourier: Points of a ``models.position_grid``. What is diagonal in momenta, of H
            and of a given driver, then acts behind a Fourier transform of every mode:
            a slice is exp(-i dt V) F^+ exp(-i dt K) F, by rotations about X, Z and ZZ
            alone. Pauli strings of K take more gates from 8 points on, do not commute
            with each other, and need shorter slices the more points there are. What is
            left of the error is the ramp's own: raise ``time``.

    Raises:
        ValueError: If an argument is out of range, the driver no such operator, or an
            operator not the sum that ``fourier`` takes.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
        >>> ramp = qep.Ramp(time=4, steps=8)
        >>> ramp.circuit(model.operators).num_parameters
        42
        >>> ramp.angles(model.operators, model.coefficients(np.ones(5), [1.0])).shape
        (1, 42)

    Reference:
        E. Farhi et al., arXiv:quant-ph/0001106.
    """

    time: float = 24.0
    steps: int = 72
    order: int = 2
    schedule: Literal["gentle", "linear", "smooth"] | Callable[[float], float] = (
        "gentle"
    )
    driver: SparsePauliOp | None = None
    counterdiabatic: bool = False
    fourier: int | None = None

    follow = False  # a nudged state is prepared afresh, beside its free one

    def __post_init__(self) -> None:
        """Check the arguments."""
        if not (np.isfinite(self.time) and self.time > 0):
            raise ValueError(f"time should be a positive number, got {self.time}")
        refuse_fractions(steps=self.steps)
        if self.order not in (1, 2):
            raise ValueError(f"order should be 1 or 2, got {self.order}")
        if not (callable(self.schedule) or self.schedule in _SCHEDULES):
            raise ValueError(
                f"schedule should be 'gentle', 'linear', 'smooth' or a function, got "
                f"{self.schedule!r}"
            )
        points = self.fourier
        if points is not None:
            refuse_fractions(2, fourier=points)
            if points & (points - 1):
                raise ValueError(f"fourier should be a power of two, got {points}")
        if points is not None and self.counterdiabatic:
            raise ValueError(
                f"fourier={points} excludes counterdiabatic=True: the gauge field of "
                "qubits is none of oscillators"
            )
        ends = self._progress(np.array([0.0, 1.0]))
        if not np.allclose(ends, [0.0, 1.0], atol=1e-9):
            raise ValueError(f"schedule should go from 0 to 1, got {ends.tolist()}")

    def circuit(self, operators: Sequence[Any]) -> QuantumCircuit:
        """Return the circuit without its angles, for operators of a Pauli model."""
        return self.rotations(operators).circuit()

    def rotations(self, operators: Sequence[Any]) -> Rotations:
        """Return the circuit as a sequence of Pauli rotations."""
        return self._layout(pauli_terms(operators)).rotations

    def states(self, operators: Sequence[Any], angles: Array) -> NDArray[Any]:
        """Return the prepared states, shape (batch, 2^N)."""
        return self.rotations(operators).states(angles)

    def angles(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        measure: Callable[[Array], Phase] | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Array:
        """Return the angle of every rotation, shape (batch, num_parameters).

        Args:
            operators: Of a Pauli model.
            coefficients: lambda, shape (batch, num_operators).
            start: Not needed.
            measure: Not needed.
            rng: Not needed.
        """
        terms = pauli_terms(operators)
        layout = self._layout(terms)
        target = np.zeros((len(coefficients), len(layout.flips)))
        target[:, layout.own] = (layout.weights.T @ coefficients.T).T
        driver, begin = np.zeros(target.shape), layout.begin
        driver[:, layout.driver] = layout.strength
        if self.driver is None:  # no qubit has to turn round
            sense = np.where(target[:, layout.driver] > 0.0, -1.0, 1.0)
            driver[:, layout.driver] *= sense
            begin = sense * begin
        dt, ends = self.time / self.steps, np.arange(self.steps + 1) / self.steps
        u = self._progress(ends[1:] - 0.5 / self.steps)[:, None]
        path = (1.0 - u) * driver[:, None, :] + u * target[:, None, :]
        if self.counterdiabatic:
            rate = np.diff(self._progress(ends))[:, None] / dt
            speed = rate * (target - driver)[:, None, :]
            path[:, :, layout.gauge] += gauge_field(
                layout.flips, layout.signs, path, speed, terms.num_qubits
            )
        begin = np.broadcast_to(begin, (len(target), begin.shape[-1]))
        return np.hstack([begin, layout.formula.angles(path, dt)])

    def _progress(self, s: Array) -> Array:
        """Return u at the fractions s of the time."""
        if callable(self.schedule):
            return np.array([float(self.schedule(float(v))) for v in s])
        return _SCHEDULES[self.schedule](s)

    def _layout(self, terms: PauliTerms) -> _Layout:
        given = self.driver
        made_of = None if given is None else str(given.to_list(array=True).tolist())
        how = (self.steps, self.order, self.counterdiabatic, self.fourier)
        key = (*how, made_of)
        known = _known.setdefault(terms, {})
        if key not in known:
            known[key] = _lay_out(terms, self)
        return known[key]


@dataclass(frozen=True, eq=False)
class _Layout:
    """Which strings a ramp turns about, in which order.

    Attributes:
        flips: X mask of every string of driver, gauge field and H, and of those of a
            Fourier transform, that H has no coefficients of.
        signs: Z mask.
        driver: Where the driver's strings are.
        strength: Their coefficients; a default driver's times s_q, row by row.
        gauge: Where Y of every qubit is, if there is a gauge field.
        own: Where the strings of H are that are not the identity.
        weights: Their share in every operator, shape (num_operators, len(own)).
        begin: The angles that turn |0> into the driver's ground state, as ``strength``.
        formula: The product formula.
        rotations: Those to the driver's ground state, then the formula's.
    """

    flips: Masks
    signs: Masks
    driver: NDArray[np.int64]
    strength: Array
    gauge: NDArray[np.int64]
    own: NDArray[np.int64]
    weights: csr_array
    begin: Array
    formula: ProductFormula
    rotations: Rotations


_known: PerOperators[dict[tuple[Any, ...], _Layout]] = PerOperators()


def _lay_out(terms: PauliTerms, ramp: Ramp) -> _Layout:
    size, given = terms.num_qubits, ramp.driver
    start = Start.fields(size) if given is None else Start.of(given, size)
    driver = Strings.of(start.flips, start.signs, start.weights[None])
    turned = range(size) if ramp.counterdiabatic else []
    qubits = np.array([1 << q for q in turned], np.uint64)
    gauge = Strings.of(qubits, qubits, np.zeros((0, len(qubits))))
    own = Strings.of(terms.flips, terms.signs, terms.weights)
    fourier = None if ramp.fourier is None else Fourier(ramp.fourier, size)
    if fourier is not None:
        points = "give the number of points of the grid, or leave fourier out"
        own = fourier.split(own, "operator {}", points)
        if given is not None:
            fixed = "give the fixed part of the grid, or no driver"
            driver = fourier.split(driver, "driver", fixed)
    (behind, flips, signs), places = _numbered(driver, gauge, own)
    groups = []
    for side in (0, 1):
        (here,) = np.nonzero(behind == side)
        groups += [here[g] for g in commuting_groups(flips[here], signs[here])]
    formula = ProductFormula.of(groups, ramp.steps, ramp.order)
    if start.is_eigenstate(flips[groups[0]], signs[groups[0]]):
        formula = formula.without_first_layer()
    if fourier is not None:
        x, z, angles = fourier.rotations()
        frame = len(flips) + np.arange(len(x))
        formula = formula.behind(frame, angles, np.flatnonzero(behind))
        flips, signs = np.concatenate([flips, x]), np.concatenate([signs, z])
    begin = np.array([turn[:2] for turn in start.turns], np.uint64).reshape(-1, 2)
    return _Layout(
        flips=flips,
        signs=signs,
        driver=places[0],
        strength=driver.weights.toarray()[0],
        gauge=places[1],
        own=places[2],
        weights=own.weights,
        begin=np.array([angle for _, _, angle in start.turns]),
        formula=formula,
        rotations=Rotations(
            size,
            np.concatenate([begin[:, 0], flips[formula.strings]]),
            np.concatenate([begin[:, 1], signs[formula.strings]]),
        ),
    )


def _numbered(*sums: Strings) -> tuple[Masks, list[NDArray[np.int64]]]:
    """Return all strings once, as columns behind, flip and sign, and where they are."""
    number: dict[tuple[int, ...], int] = {}
    places = []
    for s in sums:
        keys = map(tuple, np.stack([s.behind, s.flips, s.signs], axis=1).tolist())
        found = [number.setdefault(key, len(number)) for key in keys]
        places.append(np.array(found, int))
    return np.array(list(number), np.uint64).reshape(-1, 3).T.copy(), places
