"""Lindblad: steady states of Pauli models that are open to noise and to baths."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from .._equilibrium import Phase, refuse_complex
from .._model import pauli_terms
from ._generators import Bath, Generator
from ._mixed import bitstrings, of_levels, scale

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from .._pauli import PauliTerms

    Array = NDArray[np.float64]

MAX_QUBITS = 7  # 4 s a state; each qubit more is 10 times that
ROUGH = 1e-9  # |d rho / dt| that is warned of
SAME = 1e-6  # distance of two steady states that are one
STEP = 1e-3  # of a derivative of the generator, in units of T
ROUNDING = 1e-12  # of the sizes of all jumps


@dataclass(frozen=True)
class Lindblad:
    r"""The steady state of every row's Hamiltonian under noise, and perhaps a bath.

    .. math::
        0 = -i[H, \rho] + \sum_j \Big(L_j\rho L_j^\dagger
        - \tfrac12\{L_j^\dagger L_j, \rho\}\Big) + \kappa\,\mathcal{B}_T\,\rho,
        \qquad \langle A_k\rangle = \mathrm{tr}(\rho A_k)

    B_T couples X, Y and Z of every qubit to baths of temperature T, such that alone
    they lead to the Gibbs state exactly: then this is ``Thermal(T)``, and the nudge
    rule holds. Local noise L_j leads elsewhere. Such a state minimises nothing that
    its coefficients are linear in, and what a nudge measures is *not* the gradient of
    its own loss: ``reciprocity`` says by how much.

    The state is found by GMRES on density matrices, without the matrix of 4^N rows, up
    to 7 qubits; ``Phase.residual`` is the size of d rho / dt, and beside a bath
    ``Phase.gap`` is that of ``Thermal``. ``Nudge.infinitesimal()`` takes the nudge rule
    at beta -> 0.

    Attributes:
        jumps: L_j, the rates within; ``qep.jumps`` has the usual ones. One on a single
            qubit acts on every qubit.
        temperature: T of the baths, in the units of H; None for no bath.
        rate: kappa, the rate 1 / T_1 at which a bath cools a single cold qubit.

    Raises:
        ValueError: If nothing leads to a steady state, or it would not depend on H.
        TypeError: If a jump is no ``SparsePauliOp``.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(2, readout=[1])
        >>> quiet = qep.Lindblad(temperature=0.5)
        >>> noisy = qep.Lindblad(qep.jumps.dephasing(0.2), temperature=0.5)
        >>> for settle in (qep.Thermal(0.5), quiet, noisy):
        ...     print(qep.predict(model, np.ones(5), [], equilibrium=settle).round(4))
        [[0.8694]]
        [[0.8694]]
        [[0.8036]]

    Reference:
        G. Lindblad, Commun. Math. Phys. 48, 119 (1976); for the baths Z. Ding, B. Li
        and L. Lin, arXiv:2404.05998.
    """

    jumps: tuple[SparsePauliOp, ...] = ()
    temperature: float | None = None
    rate: float = 1.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        object.__setattr__(self, "jumps", tuple(self.jumps))
        for k, jump in enumerate(self.jumps):
            if not isinstance(jump, SparsePauliOp):
                raise TypeError(
                    f"jump {k} should be a SparsePauliOp, got {jump!r}; "
                    "qep.jumps has the usual ones"
                )
        if not (np.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"rate should be a positive number, got {self.rate}")
        if self.temperature is None:
            self._check_noise()
        elif not (np.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(
                f"temperature should be a positive number, got {self.temperature}; "
                "leave it out for no bath"
            )

    def _check_noise(self) -> None:
        """Refuse what leads nowhere, or to the same state whatever H is."""
        if not self.jumps:
            raise ValueError(
                "without jumps and temperature nothing leads to a steady state; give "
                "one of them, or use Exact()"
            )
        change = [L @ L.adjoint() - L.adjoint() @ L for L in self.jumps]
        registers = {L.num_qubits for L in self.jumps}
        size = ROUNDING * sum(np.sum(np.abs(L.coeffs)) ** 2 for L in self.jumps)
        left = [
            SparsePauliOp.sum([c for c in change if c.num_qubits == n]).simplify(size)
            for n in registers
        ]
        if all(np.abs(c.coeffs).max() <= size for c in left):
            raise ValueError(
                "these jumps leave the maximally mixed state alone, where every value "
                "is zero whatever the couplings are; add a temperature, or "
                "qep.jumps.damping"
            )

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row; see ``Equilibrium``. Nothing is drawn.

        Raises:
            TypeError: On complex coefficients, and operators that are no Pauli sums.
            ValueError: On too many qubits, jumps of another register, or where there
                is more than one steady state.
        """
        refuse_complex(
            coefficients,
            "which Lindblad does not "
            "settle; use Nudge.chebyshev, or Nudge.infinitesimal without a nudge",
        )
        terms = pauli_terms(operators)
        around = self._surroundings(terms.num_qubits)
        settled = []
        for b, made in enumerate(_generators(terms, coefficients, *around)):
            rho = made.solve()
            if start is None and self.temperature is None:
                _check_unique(b, made, rho)
            residual = float(np.linalg.norm(made.apply(rho)))
            if not np.isfinite(residual):
                raise ValueError(
                    f"sample {b} did not settle: |d rho / dt| is {residual}; give "
                    "coefficients and rates that are not as large as numbers can be"
                )
            if residual > ROUGH:
                warnings.warn(
                    f"sample {b} did not settle: |d rho / dt| is {residual:.2g}; some "
                    "state decays too slowly, raise the rates of the jumps",
                    stacklevel=2,
                )
            populations, vectors = np.linalg.eigh(made.back(rho))
            settled.append((vectors.T, populations, residual, made.gap))
        vectors, populations, residuals, gaps = map(
            np.array, zip(*settled, strict=True)
        )
        each = of_levels(terms, vectors, vectors)
        values = (populations[:, :, None] * each).sum(axis=1)
        gap = None if self.temperature is None else scale(gaps, self.temperature)
        return Phase(values, gap=gap, residual=residuals, state=(vectors, populations))

    def response(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        direction: NDArray[Any],
    ) -> Array:
        r"""Return d<A_k> along a direction of coefficient space.

        .. math:: d\langle A\rangle = \mathrm{tr}(A\,d\rho), \qquad
                  \mathcal{L}\,d\rho = -d\mathcal{L}\,\rho, \qquad
                  \mathrm{tr}\,d\rho = 0

        A bath depends on H through all its levels, so that dL is a difference of order
        four, good to about 11 digits.

        Args:
            phase: What ``self`` returned for these coefficients.
            operators: As in the call.
            coefficients: Shape (batch, num_operators).
            direction: d lambda, same shape.
        """
        terms, T = pauli_terms(operators), self.temperature or 1.0
        around = self._surroundings(terms.num_qubits)
        strength = np.abs(terms.hamiltonian(direction, identity=False).rows).sum(axis=1)
        step = STEP * T / np.maximum(strength, 1e-300)
        v, p = phase.state
        rho = (v.transpose(0, 2, 1) * p[:, None, :]) @ v.conj()
        change = np.zeros(rho.shape, complex)
        for weight, n in ((8.0, 1), (-8.0, -1), (-1.0, 2), (1.0, -2)):
            near = coefficients + n * step[:, None] * direction
            for b, made in enumerate(_generators(terms, near, *around)):
                image = made.back(made.apply(made.rotated(rho[b])))
                change[b] += weight / (12.0 * step[b]) * image
        values = np.empty(coefficients.shape)
        for b, made in enumerate(_generators(terms, coefficients, *around)):
            moved = made.back(made.solve(-made.rotated(change[b]), trace=0.0))
            populations, vectors = np.linalg.eigh(moved)
            rows = np.ascontiguousarray(vectors.T)
            values[b] = populations @ terms.expectations(rows, rows)
        return values

    def sample(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        shots: int,
        rng: Sequence[np.random.Generator],
    ) -> tuple[Array, Array, int]:
        """Measure bitstrings of the mixed state; see ``Equilibrium``."""
        return bitstrings(phase, operators, shots, rng)

    def _surroundings(self, n: int) -> tuple[NDArray[Any], Bath | None]:
        """Return what acts on n qubits whatever H is: all jumps, and the bath."""
        if n > MAX_QUBITS:
            raise ValueError(
                f"Lindblad settles density matrices of up to {MAX_QUBITS} qubits, got "
                f"{n}; use Prepared on a noisy simulator, or Thermal without noise"
            )
        empty = np.zeros((0, 1 << n, 1 << n), complex)
        noise = [_matrix(k, jump, n) for k, jump in enumerate(self.jumps)]
        together = np.concatenate([empty, *noise])
        if self.temperature is None:
            return together, None
        pauli = np.sqrt(0.5 * self.rate)  # X and Y both cool
        couplings = [_matrix(0, SparsePauliOp([a], [pauli]), n) for a in "XYZ"]
        return together, Bath(np.concatenate(couplings), self.temperature)


def _generators(
    terms: PauliTerms,
    coefficients: NDArray[Any],
    noise: NDArray[Any],
    bath: Bath | None,
) -> Iterator[Generator]:
    """Return the generators of all rows, each built when it is asked for."""
    h = terms.hamiltonian(coefficients, identity=False).dense()
    return (Generator.of(one, noise, bath) for one in h)


def _matrix(k: int, jump: SparsePauliOp, num_qubits: int) -> NDArray[Any]:
    """Return a jump, or one for every qubit, (number, 2^N, 2^N).

    In this thread: those of Qiskit would hang in a process that was forked later.
    """
    if jump.num_qubits not in (1, num_qubits):
        raise ValueError(
            f"jump {k} should act on one qubit, then on each, or on all {num_qubits}, "
            f"got one on {jump.num_qubits}"
        )
    if jump.num_qubits == num_qubits:
        return np.array([jump.to_matrix(force_serial=True)])
    each = (jump.apply_layout([q], num_qubits) for q in range(num_qubits))
    return np.array([one.to_matrix(force_serial=True) for one in each])


def _check_unique(sample: int, made: Generator, rho: NDArray[Any]) -> None:
    """Settle once more from elsewhere: a second steady state shows."""
    rng = np.random.default_rng(0)
    v = rng.standard_normal((len(rho), 2)) @ [1.0, 1j]
    other = made.solve(begin=np.outer(v, v.conj()) / np.vdot(v, v))
    if np.abs(other - rho).max() > SAME:
        raise ValueError(
            f"sample {sample} has several steady states, and its past would decide; "
            "let jumps act on every qubit, or add a temperature"
        )
