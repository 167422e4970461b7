"""Variational: the state of lowest energy that a parametrised circuit can prepare."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._equilibrium import generators
from .._model import pauli_terms
from .._pauli import PauliTerms, PerOperators
from .ansatz import Ansatz
from .descent import Landscape, newton
from .lockstep import in_lockstep
from .ramp import Ramp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from .._equilibrium import Phase

    Array = NDArray[np.float64]

ROUGH = 1e-3  # a derivative left that is worth a word
NEWTON_BYTES = 1 << 27  # of all derivatives of one state; beyond, L-BFGS


@dataclass(frozen=True)
class Variational:
    r"""VQE: minimise the energy over the parameters of a circuit, for every row.

    .. math:: p^* = \arg\min_p\ \langle\psi(p)|H(\lambda)|\psi(p)\rangle

    The nudged phases start from the free one's parameters, and follow its minimum. At a
    minimum the measured gradient is the exact gradient of *the circuit's own*
    prediction, however small the circuit: the theorem holds for the stationary points
    of any family of states that does not itself depend on the coefficients. So every
    gate has a free angle, and no generator carries a coupling.

    Attributes:
        energy: "exact": from statevectors, with exact derivatives; "shots": measured
            as everything else, one job per round of evaluations of all rows.
        ansatz: A short ``Ramp``, whose circuit is taken with every angle free and
            started from the ramp's own angles; or any circuit of Clifford gates and
            Pauli rotations, such as ``efficient_su2(n)``, started near 0.
        optimizer: An optimizer of qiskit-algorithms, or a function such as
            ``scipy.optimize.minimize`` that takes (fun, x0, jac=...) and returns what
            has an ``x``. By default Newton's method for exact energies (L-BFGS where
            its memory is short); for shots three sweeps of qiskit-algorithms' NFT,
            which minimises over one rotation at a time.
        tolerance: Largest derivative of a converged exact energy.
        max_steps: Of Newton's method.

    Raises:
        ValueError: If energy is neither, or a number is not positive.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2])
        >>> theta, x = np.full(model.num_trainable, 0.5), [[1.0]]
        >>> vqe = qep.Prepared(qep.Variational(energy="exact"))
        >>> p = qep.predict(model, theta, x, equilibrium=vqe)
        >>> bool(abs(p - qep.predict(model, theta, x)) < 1e-3)
        True

    Reference:
        D. Wecker, M. B. Hastings and M. Troyer, arXiv:1507.08969 (the ansatz).
    """

    energy: Literal["exact", "shots"]
    ansatz: Ramp | QuantumCircuit = field(default_factory=lambda: Ramp(1.5, 2))
    optimizer: Any = None
    tolerance: float = 1e-7
    max_steps: int = 100
    _known: PerOperators[tuple[Ansatz, PauliTerms]] = field(
        default_factory=PerOperators, init=False, repr=False, compare=False
    )

    follow = True  # a nudged phase starts from the free one's parameters

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.energy not in ("exact", "shots"):
            raise ValueError(
                f"energy should be 'exact' or 'shots', got {self.energy!r}"
            )
        if not self.tolerance > 0 or self.max_steps < 1:
            raise ValueError(
                f"tolerance and max_steps should be positive, got {self.tolerance} and "
                f"{self.max_steps}"
            )

    def circuit(self, operators: Sequence[Any]) -> QuantumCircuit:
        """Return the ansatz, with all its angles free."""
        if isinstance(self.ansatz, Ramp):
            return self.ansatz.circuit(operators)
        return self.ansatz

    def states(self, operators: Sequence[Any], angles: Array) -> NDArray[Any]:
        """Return the prepared states, shape (batch, 2^N)."""
        return self._family(operators)[0].states(angles)

    def angles(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        measure: Callable[[Array], Phase] | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Array:
        """Return the parameters of lowest energy, shape (batch, num_parameters)."""
        begin = self._begin(operators, coefficients, start, rng)
        if self.energy == "exact":
            return self._descend(operators, coefficients, begin)
        if measure is None:
            raise ValueError("energy='shots' needs a sampler; give Prepared one")
        return self._search(coefficients, begin, measure, rng)

    def _begin(
        self,
        operators: Sequence[Any],
        coefficients: Array,
        start: Phase | None,
        rng: Sequence[np.random.Generator] | None,
    ) -> Array:
        """Return where to start: at a neighbour's minimum, if it is known."""
        known = None if start is None else start.state[-1]
        if known is not None and not np.isnan(known).any():
            return known
        if isinstance(self.ansatz, Ramp):
            fresh = self.ansatz.angles(operators, coefficients)
        else:
            size = (len(coefficients), self.ansatz.num_parameters)
            drawn = generators(rng, size[0])
            fresh = np.array([g.normal(0.0, 0.1, size[1]) for g in drawn]).reshape(size)
        return fresh if known is None else np.where(np.isnan(known), fresh, known)

    def _descend(
        self, operators: Sequence[Any], coefficients: Array, begin: Array
    ) -> Array:
        """Minimise the exact energy of every row."""
        ansatz, terms = self._family(operators)
        found, left = np.empty_like(begin), np.zeros(len(begin))
        for b, row in enumerate(coefficients):
            landscape = Landscape(
                ansatz.rotations, ansatz.matrix, ansatz.offset, terms, row
            )
            size = 16 * len(ansatz.rotations) << terms.num_qubits
            if self.optimizer is not None:
                found[b] = _minimize(self.optimizer, landscape.energy, begin[b])
            elif size <= NEWTON_BYTES:
                found[b], left[b] = newton(
                    landscape,
                    begin[b],
                    tolerance=self.tolerance,
                    max_steps=self.max_steps,
                )
            else:
                from scipy.optimize import minimize

                limits = {"ftol": 0.0, "gtol": self.tolerance, "maxiter": 10_000}
                result = minimize(
                    landscape.energy,
                    begin[b],
                    jac=True,
                    method="L-BFGS-B",
                    options=limits | {"maxfun": 10_000},
                )
                found[b], left[b] = result.x, np.abs(result.jac).max()
        worst = int(np.argmax(left))
        if left[worst] > ROUGH:
            warnings.warn(
                f"the energy of row {worst} is not at a minimum: a derivative of "
                f"{left[worst]:.1g} is left; raise max_steps ({self.max_steps})",
                stacklevel=5,
            )
        return found

    def _search(
        self,
        coefficients: Array,
        begin: Array,
        measure: Callable[[Array], Phase],
        rng: Sequence[np.random.Generator] | None,
    ) -> Array:
        """Minimise the measured energies of all rows side by side."""
        from qiskit_algorithms.optimizers import NFT
        from qiskit_algorithms.utils import algorithm_globals

        # One sweep evaluates two points per rotation.
        optimizer = self.optimizer or NFT(maxfev=6 * begin.shape[1])
        if rng is not None:  # its optimizers draw from this generator
            algorithm_globals.random_seed = int(rng[0].integers(1 << 31))

        def answer(rows: list[int], questions: list[Array]) -> list[Array]:
            values = measure(np.vstack(questions)).values
            ends = np.cumsum([len(q) for q in questions])
            parts = np.split(values, ends[:-1])
            return [v @ coefficients[b] for b, v in zip(rows, parts, strict=True)]

        def task(b: int) -> Callable[[Callable[[Array], Array]], Array]:
            def run(ask: Callable[[Array], Array]) -> Array:
                def fun(points: Array) -> Any:
                    points = np.asarray(points)
                    energies = ask(points.reshape(-1, begin.shape[1]))
                    return float(energies[0]) if points.ndim == 1 else energies

                return _minimize(copy.deepcopy(optimizer), fun, begin[b])

            return run

        return np.array(in_lockstep([task(b) for b in range(len(begin))], answer))

    def _family(self, operators: Sequence[Any]) -> tuple[Ansatz, PauliTerms]:
        """Return the ansatz as rotations, and the operators that it is measured in."""
        terms = pauli_terms(operators)
        if terms not in self._known:
            if isinstance(self.ansatz, Ramp):
                ansatz = Ansatz.free(self.ansatz.rotations(operators))
                self._known[terms] = ansatz, terms
            else:
                if self.ansatz.num_qubits != terms.num_qubits:
                    raise ValueError(
                        f"the ansatz should have {terms.num_qubits} qubits, as the "
                        f"operators, got {self.ansatz.num_qubits}"
                    )
                ansatz = Ansatz.of(self.ansatz)
                turned = PauliTerms.of(ansatz.operators(operators))
                self._known[terms] = ansatz, turned
        return self._known[terms]


def _minimize(optimizer: Any, fun: Callable[[Array], Any], x0: Array) -> Array:
    """Run an optimizer of qiskit-algorithms or a function in SciPy's manner.

    ``fun`` returns energies, or an energy with its gradient.
    """
    from qiskit_algorithms.optimizers import SPSA

    if isinstance(optimizer, SPSA):  # and QNSPSA: both points of a step in one job
        optimizer.set_max_evals_grouped(2)
    minimize = getattr(optimizer, "minimize", optimizer)
    first = fun(x0)
    if isinstance(first, tuple):
        result = minimize(fun=lambda p: fun(p)[0], x0=x0, jac=lambda p: fun(p)[1])
    else:
        result = minimize(fun=fun, x0=x0)
    return np.asarray(result.x, dtype=np.float64)
