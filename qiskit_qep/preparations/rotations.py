"""A circuit of Pauli rotations: as Qiskit gates, as states, and as derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Masks = NDArray[np.uint64]
    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rotations:
    r"""Rotations about Pauli strings, one free angle each, from all qubits in 0.

    .. math:: |\phi\rangle = e^{-i\phi_G P_G/2} \cdots e^{-i\phi_1 P_1/2}
              |0\dots0\rangle

    Attributes:
        num_qubits: Size of the register, N.
        flips: X mask of every string in the order of application, shape (G,).
        signs: Z mask of every string, shape (G,).
    """

    num_qubits: int
    flips: Masks
    signs: Masks

    def __len__(self) -> int:
        """Return the number of rotations."""
        return len(self.flips)

    def circuit(self) -> QuantumCircuit:
        """Return the circuit, with the parameters ``angle[0]`` to ``angle[G - 1]``."""
        circuit = QuantumCircuit(self.num_qubits)
        angles = ParameterVector("angle", len(self))
        masks = zip(self.flips, self.signs, angles, strict=True)
        for flip, sign, angle in masks:
            rotate(circuit, int(flip), int(sign), angle)
        return circuit

    def states(self, angles: Array) -> NDArray[np.complex128]:
        """Return the state of every row of angles, shape (batch, 2^N)."""
        from .. import _evolution, _kernels

        angles = np.ascontiguousarray(angles, np.float64)
        out = np.empty((len(angles), 1 << self.num_qubits), np.complex128)
        _kernels.over_rows(
            lambda a, b: _evolution.evolve(self.flips, self.signs, angles, out, a, b),
            len(angles),
            len(self) << self.num_qubits,
        )
        return out

    def derivatives(
        self, angles: Array, states: NDArray[Any], images: NDArray[Any]
    ) -> Array:
        r"""Return dE/dphi of E = <phi|H|phi>, shape (batch, G), in two sweeps back.

        .. math:: \frac{\partial E}{\partial\phi_g} = \mathrm{Im}
                  \langle\lambda_g|P_g|\phi_g\rangle, \qquad
                  |\lambda_G\rangle = H|\phi\rangle

        Args:
            angles: Shape (batch, G).
            states: What ``states`` returned for them; used up.
            images: H applied to these; used up.
        """
        from .. import _evolution, _kernels

        angles = np.ascontiguousarray(angles, np.float64)
        args = (self.flips, self.signs, angles, states, images, np.empty(angles.shape))
        _kernels.over_rows(
            lambda a, b: _evolution.differentiate(*args, a, b),
            len(angles),
            len(self) << self.num_qubits,
        )
        return args[-1]

    def tangents(
        self, angles: Array, hamiltonian: Any
    ) -> tuple[NDArray[Any], NDArray[Any], Array]:
        r"""Return |phi>, all d|phi>/dphi_g, and 2 Re <phi|H|d_i d_j phi>, for one row.

        Args:
            angles: Shape (G,).
            hamiltonian: H, as one row of Hamiltonians.

        Returns:
            Shapes (2^N,), (G, 2^N) and (G, G).
        """
        from .. import _evolution

        states = self.states(angles[None])
        images = hamiltonian.apply(states)
        self.derivatives(angles[None], states, images)  # back to where they came from
        tangents = np.empty((len(self), states.shape[1]), np.complex128)
        second = np.empty((len(self), len(self)))
        masks = (self.flips, self.signs, np.ascontiguousarray(angles))
        _evolution.curve(*masks, states[0], images[0], tangents, second)
        return states[0], tangents, second


def rotate(circuit: QuantumCircuit, flip: int, sign: int, angle: Parameter) -> None:
    """Append exp(-i angle P / 2) of one string, in Qiskit's standard gates."""
    qubits = list(bits_of(flip | sign))
    if len(qubits) == 1:
        axis = "ry" if flip & sign else "rx" if flip else "rz"
        getattr(circuit, axis)(angle, qubits[0])
        return
    for q in qubits:  # to the basis in which the string is a product of Z
        if flip >> q & 1:
            circuit.sx(q) if sign >> q & 1 else circuit.h(q)
    ladder = list(pairwise(qubits[:-1]))
    for a, b in ladder:
        circuit.cx(a, b)
    circuit.rzz(angle, *qubits[-2:])
    for a, b in reversed(ladder):
        circuit.cx(a, b)
    for q in qubits:
        if flip >> q & 1:
            circuit.sxdg(q) if sign >> q & 1 else circuit.h(q)


def bits_of(mask: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set, lowest first."""
    while mask:
        yield (mask & -mask).bit_length() - 1
        mask &= mask - 1
