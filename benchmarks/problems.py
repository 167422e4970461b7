r"""The systems that are settled, for us and as matrices for the peers.

.. math::
    H = -\sum_{j<k} J_{jk} Z_j Z_k - \sum_k h_k X_k - \sum_k b_k Z_k
        - \sum_j x_j Z_j + \sum_i \nu_i Z_i

with J ~ N(0, 1/N), h ~ U(0.8, 1.2), b ~ N(0, 0.01), on the complete graph: a third of
the spins feel an input x ~ U(-1, 1), the last sixth is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

import qiskit_qep as qep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

BETA = 0.1


@dataclass(frozen=True, eq=False)
class Network:
    """A random network.

    Attributes:
        num_spins: N.
        model: For us.
        theta: (J, h, b).
        x: Inputs, shape (batch, num_inputs).
        y: Targets, shape (batch, num_readout).
    """

    num_spins: int
    model: qep.Model
    theta: Array
    x: Array
    y: Array

    @staticmethod
    def random(
        num_spins: int, seed: int, *, batch: int = 1, num_edges: int | None = None
    ) -> Network:
        """Draw a network, complete unless only the first ``num_edges`` are wanted."""
        n = num_spins
        rng = np.random.default_rng([n, seed])
        edges = list(combinations(range(n), 2))
        rng.shuffle(edges)
        edges = edges[:num_edges]
        readout = range(n - max(1, n // 6), n)
        model = qep.models.transverse_field_ising(
            n, edges=edges, inputs=range(max(1, n // 3)), readout=readout
        )
        theta = np.concatenate(
            [
                rng.normal(scale=n**-0.5, size=len(edges)),
                rng.uniform(0.8, 1.2, n),
                rng.normal(scale=0.1, size=n),
            ]
        )
        x = rng.uniform(-1.0, 1.0, (batch, model.num_inputs))
        y = rng.choice([-1.0, 1.0], (batch, model.num_readout))
        return Network(n, model, theta, x, y)

    def row(self, b: int) -> Network:
        """Return the network with one row of inputs and targets."""
        return replace(self, x=self.x[b : b + 1], y=self.y[b : b + 1])

    @cached_property
    def edges(self) -> NDArray[np.int64]:
        """Pairs of coupled spins, in the order of theta, shape (num_edges, 2)."""
        count = len(self.theta) - 2 * self.num_spins
        z = [op.paulis.z[0] for op in self.model.trainable[:count]]
        return np.array([np.flatnonzero(row) for row in z], np.int64).reshape(-1, 2)

    @cached_property
    def signs(self) -> Array:
        """Z_k of every bitstring, shape (N, 2^N)."""
        index = np.arange(1 << self.num_spins)
        return np.array([1.0 - 2.0 * (index >> k & 1) for k in range(self.num_spins)])

    def matrix(self) -> csr_array:
        """Return H of the first row as a real sparse array.

        An array, since quimb replaces the products of SciPy's older matrix types.

        The real part of what Qiskit makes is a view that strides over the imaginary
        one, whose products with a vector take up to 2.8 times as long.
        """
        made = self.model.hamiltonian(self.theta, self.x[0]).to_matrix(sparse=True)
        parts = (np.ascontiguousarray(made.data.real), made.indices, made.indptr)
        matrix = csr_array(parts, shape=made.shape)
        matrix.sort_indices()
        return matrix

    def values(self, left: Array, right: Array) -> Array:
        """Return <l|A|r> of the trainable operators as a careful NumPy user would."""
        p, shape = left * right, (-1, 2)
        pairs = (self.signs * p) @ self.signs.T
        x = []
        for k in range(self.num_spins):
            a, b = (v.reshape(*shape, 1 << k) for v in (left, right))
            x.append(np.vdot(a[:, 0], b[:, 1]) + np.vdot(a[:, 1], b[:, 0]))
        zz = pairs[self.edges[:, 0], self.edges[:, 1]]
        return -np.concatenate([zz, x, self.signs @ p])

    @property
    def read(self) -> Array:
        """Z of the spins that are read, shape (num_readout, 2^N)."""
        return self.signs[-self.model.num_readout :]


@dataclass(frozen=True, eq=False)
class Sensor:
    """The phase sensor of Wanjura and Marquardt, Nat. Commun. 2025, arXiv:2406.06482.

    A ring of eight spins in a cluster-Ising Hamiltonian that is the input, and two
    sensor spins with 51 trainable terms, whose projectors say in which phase it is.
    """

    model: qep.Model
    theta: Array
    x: Array
    y: Array

    @staticmethod
    def random(seed: int, batch: int = 10) -> Sensor:
        """Draw initial parameters and a batch of inputs with their phases."""
        model, rng = qep.models.cluster_sensor(), np.random.default_rng(seed)
        x, y = qep.datasets.cluster_ising(batch, seed=seed)
        return Sensor(model, model.initial(rng), x, y)
