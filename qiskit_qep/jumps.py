r"""Jump operators of common noise, for ``Lindblad``: one-qubit, on every qubit alike.

.. math::
    \dot\rho = \sum_j \Big(L_j\rho L_j^\dagger - \tfrac12\{L_j^\dagger L_j, \rho\}\Big)

Rates are in the units of H, with hbar = 1; add tuples to have several kinds of noise.
"""

from __future__ import annotations

import numpy as np
from qiskit.quantum_info import SparsePauliOp


def damping(rate: float, *, excited: float = 0.0) -> tuple[SparsePauliOp, ...]:
    r"""Decay towards :math:`|0\rangle`, at 1 / T_1: amplitude damping.

    .. math:: L = \sqrt{\gamma (1 - p)}\, |0\rangle\langle 1|, \qquad
              L' = \sqrt{\gamma p}\, |1\rangle\langle 0|

    Args:
        rate: gamma, at which populations relax.
        excited: p, the population of :math:`|1\rangle` without H.

    Raises:
        ValueError: If the rate is not positive, or p is no probability.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.Model(["Z"], readout=["Z"])
        >>> noise = qep.Lindblad(qep.jumps.damping(0.1, excited=0.25))
        >>> qep.predict(model, [1.0], [], equilibrium=noise).round(6)
        array([[0.5]])
    """
    gamma = _positive(rate)
    if not 0.0 <= excited <= 1.0:
        raise ValueError(f"excited should be between 0 and 1, got {excited}")
    ways = (1.0 - excited, 1j), (excited, -1j)
    return tuple(
        SparsePauliOp(["X", "Y"], 0.5 * np.sqrt(gamma * p) * np.array([1.0, y]))
        for p, y in ways
        if p > 0
    )


def dephasing(rate: float) -> tuple[SparsePauliOp, ...]:
    r"""Decay of X and Y at this rate, 1 / T_phi: :math:`L = \sqrt{\gamma / 2}\, Z`.

    Alone it leaves the maximally mixed state, whatever H is: combine it.

    Raises:
        ValueError: If the rate is not positive.
    """
    return (SparsePauliOp(["Z"], [np.sqrt(0.5 * _positive(rate))]),)


def depolarizing(rate: float) -> tuple[SparsePauliOp, ...]:
    r"""Decay of X, Y and Z at this rate: :math:`L = \tfrac12\sqrt\gamma\,(X, Y, Z)`.

    Alone it leaves the maximally mixed state, whatever H is: combine it.

    Raises:
        ValueError: If the rate is not positive.
    """
    size = 0.5 * np.sqrt(_positive(rate))
    return tuple(SparsePauliOp([letter], [size]) for letter in "XYZ")


def _positive(rate: float) -> float:
    if not (np.isfinite(rate) and rate > 0):
        raise ValueError(f"rate should be a positive number, got {rate}")
    return float(rate)
