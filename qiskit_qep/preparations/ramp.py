"""Ramp: the ground state by a digitised adiabatic passage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._model import pauli_terms
from .._pauli import PauliTerms, PerOperators
from .counterdiabatic import gauge_field
from .product_formula import ProductFormula, commuting_groups
from .rotations import Rotations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp

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
        driver: D, another sum of one Pauli operator per qubit; its terms' signs are
            taken as they are.
        counterdiabatic: Whether to add the local gauge field, two Y rotations per qubit
            and step, that undoes much of what the speed excites (Sels and Polkovnikov,
            2017). It takes no two-qubit gate; ``benchmarks.circuits`` has its effect.

    Raises:
        ValueError: If an argument is out of range, or the driver no such sum.

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

    follow = False  # a nudged state is prepared afresh, beside its free one

    def __post_init__(self) -> None:
        """Check the arguments."""
        if not (np.isfinite(self.time) and self.time > 0):
            raise ValueError(f"time should be a positive number, got {self.time}")
        if self.steps < 1:
            raise ValueError(f"steps should be at least 1, got {self.steps}")
        if self.order not in (1, 2):
            raise ValueError(f"order should be 1 or 2, got {self.order}")
        if not (callable(self.schedule) or self.schedule in _SCHEDULES):
            raise ValueError(
                f"schedule should be 'gentle', 'linear', 'smooth' or a function, got "
                f"{self.schedule!r}"
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
        target[:, layout.own] = (terms.weights.T @ coefficients.T).T[:, layout.kept]
        sense = self._sense(layout, target)
        driver = np.zeros(target.shape)
        driver[:, layout.fields] = -sense * layout.strengths
        dt, ends = self.time / self.steps, np.arange(self.steps + 1) / self.steps
        u = self._progress(ends[1:] - 0.5 / self.steps)[:, None]
        path = (1.0 - u) * driver[:, None, :] + u * target[:, None, :]
        if self.counterdiabatic:
            rate = np.diff(self._progress(ends))[:, None] / dt
            speed = rate * (target - driver)[:, None, :]
            path[:, :, layout.gauge] += gauge_field(
                layout.flips, layout.signs, path, speed, terms.num_qubits
            )
        tilts = layout.tilts[0] + sense * layout.tilts[1]
        return np.hstack([tilts, layout.formula.angles(path, dt)])

    def _progress(self, s: Array) -> Array:
        """Return u at the fractions s of the time."""
        if callable(self.schedule):
            return np.array([float(self.schedule(float(v))) for v in s])
        return _SCHEDULES[self.schedule](s)

    def _sense(self, layout: _Layout, target: Array) -> Array:
        """Return s_q of every row: the ground state that the ramp begins with."""
        if self.driver is not None:
            return np.broadcast_to(layout.sense, (len(target), len(layout.sense)))
        return np.where(target[:, layout.fields] > 0.0, -1.0, 1.0)

    def _layout(self, terms: PauliTerms) -> _Layout:
        key = (self.steps, self.order, self.counterdiabatic, repr(self.driver))
        known = _known.setdefault(terms, {})
        if key not in known:
            known[key] = _lay_out(terms, self)
        return known[key]


@dataclass(frozen=True, eq=False)
class _Layout:
    """Which strings a ramp turns about, in which order.

    Attributes:
        flips: X mask of every string of driver, gauge field and H.
        signs: Z mask.
        kept: Numbers of the strings of H that are not the identity.
        own: Where they are in flips.
        fields: Where the driver's strings are, one per qubit.
        strengths: |coefficient| of each.
        sense: s_q = -sign of each; of a default driver, replaced row by row.
        tilts: (a, b): the ground state for s_q is |0> turned by a + b s_q.
        gauge: Where Y of every qubit is, if there is a gauge field.
        formula: The product formula.
        rotations: The tilts, then the formula's rotations.
    """

    flips: NDArray[np.uint64]
    signs: NDArray[np.uint64]
    kept: NDArray[np.int64]
    own: NDArray[np.int64]
    fields: NDArray[np.int64]
    strengths: Array
    sense: Array
    tilts: Array
    gauge: NDArray[np.int64]
    formula: ProductFormula
    rotations: Rotations


_known: PerOperators[dict[tuple[Any, ...], _Layout]] = PerOperators()


def _lay_out(terms: PauliTerms, ramp: Ramp) -> _Layout:
    size = terms.num_qubits
    qubit = np.left_shift(np.uint64(1), np.arange(size, dtype=np.uint64))
    in_x, in_z, strengths = _fields(ramp.driver, qubit)
    kept = np.flatnonzero((terms.flips | terms.signs) != 0)
    number: dict[tuple[int, int], int] = {}

    def add(flips: Masks, signs: Masks) -> NDArray[np.int64]:
        pairs = zip(flips.tolist(), signs.tolist(), strict=True)
        return np.array([number.setdefault(p, len(number)) for p in pairs], int)

    fields = add(in_x, in_z)
    gauge = add(qubit, qubit) if ramp.counterdiabatic else np.array([], int)
    own = add(terms.flips[kept], terms.signs[kept])
    flips, signs = np.array(list(number), np.uint64).reshape(-1, 2).T.copy()
    groups = commuting_groups(flips, signs)
    formula = ProductFormula.of(groups, ramp.steps, ramp.order)
    support = (flips | signs)[groups[0]]
    diagonal = (flips[groups[0]] == np.bitwise_or.reduce(in_x) & support) & (
        signs[groups[0]] == np.bitwise_or.reduce(in_z) & support
    )
    if np.all(diagonal):
        formula = formula.without_first_layer()
    # |0> turns about Y to the axis X, and about X to the axes Y and -Z.
    about_y = (in_x != 0) & (in_z == 0)
    along_z = in_x == 0
    turn = np.where(about_y, 0.5 * np.pi, -0.5 * np.pi)
    rotations = Rotations(
        size,
        np.concatenate([qubit, flips[formula.strings]]),
        np.concatenate([qubit * about_y, signs[formula.strings]]),
    )
    return _Layout(
        flips=flips,
        signs=signs,
        kept=kept,
        own=own,
        fields=fields,
        strengths=np.abs(strengths),
        sense=-np.sign(strengths),
        tilts=np.array([0.5 * np.pi * along_z, turn]),
        gauge=gauge,
        formula=formula,
        rotations=rotations,
    )


def _fields(driver: SparsePauliOp | None, qubit: Masks) -> tuple[Masks, Masks, Array]:
    """Return X mask, Z mask and coefficient of the driver's term on every qubit."""
    if driver is None:
        return qubit, np.zeros_like(qubit), -np.ones(len(qubit))
    terms = PauliTerms.of([driver])
    support = terms.flips | terms.signs
    order = np.argsort(support)
    if terms.num_qubits != len(qubit) or not np.array_equal(support[order], qubit):
        raise ValueError(
            f"driver should hold one Pauli operator for each of {len(qubit)} qubits, "
            f"as the sum of -X does, got {driver.to_list()}"
        )
    strengths = terms.weights.toarray()[0, order]
    if np.any(strengths == 0.0):
        raise ValueError(f"driver should not vanish anywhere, got {driver.to_list()}")
    return terms.flips[order], terms.signs[order], strengths
