"""Errors of readout: measured by two more circuits, and taken out of the moments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit import QuantumCircuit

from .counts import constants, sample_moments
from .seeds import innermost
from .transpiled import QUBITS_OF_PUB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from qiskit.primitives import BitArray

    from .._pauli import PauliTerms
    from .groups import Setting

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Readout:
    r"""Error rates of every qubit's readout, and moments that are free of them.

    .. math::
        Z_q \to f_q(m) = \frac{(-1)^m - (b_q - a_q)}{1 - a_q - b_q}, \qquad
        \langle P \rangle = \frac1T \sum_t \prod_{q \in P} f_q(m_q^{(t)})

    with a = P(1|0), b = P(0|1): f is 1 or -1 on average over the errors. Exact for
    errors that are independent from qubit to qubit.

    All rows of a job share the rates, which T shots leave uncertain by sqrt(a / T).
    That is in the covariance of every row, but not in one between rows: too much of it
    for nudged phases, where it nearly cancels, and too little for the mean of B rows,
    where it does not fall with B.

    Attributes:
        rates: a of all qubits, then b, shape (2 N,).
        covariance: Of the rates, shape (2 N, 2 N).

    Raises:
        ValueError: If a qubit's bit says nothing of its state, a + b near 1.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> readout = qep.Readout(np.array([0.1, 0.2]), np.zeros((2, 2)))
        >>> counts = np.array([900, 100])  # of 0 and 1, when the qubit was in 0
        >>> outcomes, support = np.array([0, 1], "u8"), np.array([1], "u8")
        >>> readout.moments(outcomes, counts, support)[0].round(12)
        array([1.])

    Reference:
        S. Bravyi et al., arXiv:2006.14044: inversion of independent errors.
    """

    rates: Array
    covariance: Array

    def __post_init__(self) -> None:
        """Check that the bits can be trusted at all."""
        contrast = 1.0 - self.rates.reshape(2, -1).sum(axis=0)
        if contrast.min() < 0.1:
            q = int(contrast.argmin())
            zero, one = self.rates.reshape(2, -1)[:, q]
            raise ValueError(
                f"qubit {q} reads 1 for |0> in {zero:.3f} of the shots, 0 for |1> in "
                f"{one:.3f}: too often to correct; choose others, see best_qubits"
            )

    @staticmethod
    def of(zeros: BitArray, ones: BitArray) -> Readout:
        """Estimate the rates from the shots of ``calibration_circuits``.

        Their covariance is measured, too: neighbours may err together.
        """
        read = [bits.to_bool_array(order="little") for bits in (zeros, ones)]
        wrong = [read[0].astype(float), 1.0 - read[1]]
        size = wrong[0].shape[1]
        covariance = np.zeros((2 * size, 2 * size))
        for k, flips in enumerate(wrong):
            shots, block = len(flips), slice(k * size, (k + 1) * size)
            centred = flips - flips.mean(axis=0)
            covariance[block, block] = centred.T @ centred / max(shots - 1, 1) / shots
            # As much as one more shot could change: no shots prove a rate of zero.
            covariance[block, block] += np.eye(size) / (shots + 1) ** 2
        return Readout(np.concatenate([w.mean(axis=0) for w in wrong]), covariance)

    def moments(
        self,
        outcomes: NDArray[np.uint64],
        counts: NDArray[np.int64],
        supports: NDArray[np.uint64],
    ) -> tuple[Array, Array, Array]:
        r"""Estimate Pauli strings that share shots, as ``operator_moments`` does.

        .. math::
            \frac{\partial \langle P \rangle}{\partial a_q} =
            \frac{\langle P \rangle + \langle P_{\setminus q} \rangle}{1 - a_q - b_q},
            \qquad
            \frac{\partial \langle P \rangle}{\partial b_q} =
            \frac{\langle P \rangle - \langle P_{\setminus q} \rangle}{1 - a_q - b_q}

        Args:
            outcomes: Distinct bitstrings as integers, qubit q is bit q.
            counts: How often each was seen, same shape.
            supports: Bit mask of every string in the measured basis, shape (k,).

        Returns:
            Means, shape (k,); their covariance, shape (k, k), for exact rates; their
            derivatives by the rates, shape (k, 2 N).
        """
        zero, one = self.rates.reshape(2, -1)
        contrast = 1.0 - zero - one
        qubits = np.arange(len(zero), dtype=np.uint64)
        values = 1.0 - 2.0 * (outcomes[:, None] >> qubits & np.uint64(1))
        factors = (values - (one - zero)) / contrast
        inside = (supports >> qubits[:, None] & np.uint64(1)).astype(bool)
        samples = np.ones((len(outcomes), len(supports)))
        for q, strings in enumerate(inside):
            samples[:, strings] *= factors[:, q, None]
        means, covariance = sample_moments(samples, counts)
        # <P without q>, shape (N, k): no factor is zero, as |b - a| < 1.
        without = (counts[:, None] / factors).T @ samples / counts.sum()
        scale = inside / contrast[:, None]
        slopes = np.vstack([scale * (means + without), scale * (means - without)])
        return means, covariance, slopes.T

    def operator_moments(
        self,
        terms: PauliTerms,
        settings: Sequence[Setting],
        outcomes: NDArray[np.uint64],
    ) -> tuple[Array, Array]:
        """Do what ``counts.operator_moments`` does, without the errors of readout.

        What is uncertain about these enters the covariance, in all settings alike.
        """
        values = np.tile(constants(terms), (len(outcomes), 1))
        covariance = np.zeros((*values.shape, values.shape[1]))
        for value, spread, row in zip(values, covariance, outcomes, strict=True):
            by_rates = np.zeros((len(value), len(self.rates)))
            for setting, shots in zip(settings, row, strict=True):
                weights = setting.weights
                tally = np.unique(shots, return_counts=True)
                means, errors, slopes = self.moments(*tally, setting.supports)
                by_rates += weights @ slopes
                value += weights @ means
                spread += weights @ (weights @ errors).T
            spread += by_rates @ self.covariance @ by_rates.T
        return values, covariance


@cache
def calibration_circuits(num_qubits: int) -> tuple[QuantumCircuit, QuantumCircuit]:
    """Return the circuits that prepare all qubits in 0, and all in 1, and measure.

    In one job after a circuit, ``Transpiled`` measures them on the qubits of that one.
    They are the same objects at every call, so that it transpiles them once.

    Args:
        num_qubits: As of the circuit whose readout is calibrated.

    Example:
        >>> import qiskit_qep as qep
        >>> zeros, ones = qep.calibration_circuits(2)
        >>> ones.metadata, ones.count_ops()["x"]
        ({'qubits_of_pub': 0}, 2)
    """
    zeros = QuantumCircuit(num_qubits, metadata={QUBITS_OF_PUB: 0})
    ones = zeros.copy()
    ones.x(range(num_qubits))
    for circuit in (zeros, ones):
        circuit.measure_all()
    return zeros, ones


def suppress_errors(sampler: Any) -> None:
    """Switch on twirled measurement and dynamical decoupling, of a runtime sampler.

    Raises:
        ValueError: If the sampler has no such options.
    """
    inner = innermost(sampler)
    options = getattr(inner, "options", None)
    twirling = getattr(options, "twirling", None)
    decoupling = getattr(options, "dynamical_decoupling", None)
    if twirling is None or decoupling is None:
        raise ValueError(
            "mitigation 'full' needs a runtime sampler, with options for twirling and "
            f"dynamical decoupling, got {type(inner).__name__}; use 'readout'"
        )
    twirling.enable_measure = True
    decoupling.enable = True
