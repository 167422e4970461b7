"""Gradients: one row or a batch, by nudging or by response, against every peer's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, vstack
from scipy.sparse.linalg import eigsh

import qiskit_qep as qep

from ._measure import OURS, Entrant, Sample, race, seconds_of
from .gradient_peers import jax_gradient, pennylane_gradient
from .peers import TOLERANCE, ScipyGradient, plus, quickest
from .problems import BETA, Network, Sensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CENTERED = qep.Nudge.centered(BETA)
SMALL = qep.Nudge.centered(0.01)  # its error is of the order of that of differences
RESPONSE = qep.Nudge.infinitesimal()


def distance_from(reference: Array) -> Callable[[Any], float]:
    """Return the function from a gradient to its largest error."""
    return lambda found: float(np.abs(np.asarray(found) - reference).max())


def ours(network: Network | Sensor, nudge: qep.Nudge) -> Callable[[], Any]:
    """Return the call that gives our gradient of the batch mean."""
    args = (network.model, network.theta, network.x, network.y)
    return lambda: qep.gradient(*args, nudge=nudge).values


def centered(num_spins: int, batch: int, seed: int) -> Sample:
    """Time a centred gradient: ours of a whole batch, SciPy's of its first row."""
    network = Network.random(num_spins, seed, batch=batch)
    first, peer = network.row(0), ScipyGradient(network.row(0))
    error = distance_from(ScipyGradient(first, tolerance=0.0).centered())
    single = ours(first, CENTERED)
    return race(
        {
            OURS: Entrant(ours(network, CENTERED), lambda _: error(single()), batch),
            "scipy eigsh": Entrant(peer.centered, error),
        }
    )


def response(num_spins: int, seed: int) -> Sample:
    """Time the exact gradient of one row."""
    network = Network.random(num_spins, seed)
    error = distance_from(ScipyGradient(network, tolerance=0.0).response())
    entrants: dict[str, Entrant | None] = {
        OURS: Entrant(ours(network, RESPONSE), error),
        "scipy eigsh + cg": Entrant(ScipyGradient(network).response, error),
    }
    if num_spins <= 10:
        automatic = jax_gradient(network)
        entrants["JAX eigh"] = Entrant(automatic, error) if automatic else None
    sample = race(entrants)
    adjoint = pennylane_gradient(network) if num_spins <= 10 else None
    if adjoint:
        adjoint()
        sample.beside["PennyLane adjoint, one VQE step"] = seconds_of(adjoint, 5)
    return sample


def mini_batch(num_spins: int, batch: int, seed: int) -> Sample:
    """Time the exact gradient of a batch; every entrant does the whole batch."""
    network = Network.random(num_spins, seed, batch=batch)
    rows = [network.row(b) for b in range(batch)]
    exact = [ScipyGradient(row, tolerance=0.0).response() for row in rows]
    error = distance_from(np.mean(exact, axis=0))
    peers = [ScipyGradient(row) for row in rows]
    entrants: dict[str, Entrant | None] = {
        OURS: Entrant(ours(network, RESPONSE), error),
        "scipy eigsh + cg": Entrant(
            lambda: np.mean([peer.response() for peer in peers], axis=0), error
        ),
    }
    if num_spins <= 8:
        automatic = jax_gradient(network)
        entrants["JAX eigh"] = Entrant(automatic, error) if automatic else None
    return race(entrants)


def sensor(seed: int) -> Sample:
    """Time the sensor's centred gradient of a batch of ten, per row."""
    problem, peer = Sensor.random(seed), SparseSensor(Sensor.random(seed))
    error = distance_from(SparseSensor(problem, tolerance=0.0).gradient())
    batch = len(problem.x)
    return race(
        {
            OURS: Entrant(ours(problem, CENTERED), error, batch),
            "scipy eigsh": Entrant(peer.gradient, error, batch),
        },
        repeats=5,
    )


class SparseSensor:
    """The sensor's gradient by SciPy: all operators are rows of one sparse matrix."""

    def __init__(self, problem: Sensor, tolerance: float = TOLERANCE) -> None:
        """Prepare the operators as one matrix, and H as a weighted sum of them."""
        self.problem, self.tolerance = problem, tolerance
        operators = problem.model.operators
        parts = [csr_array(op.to_matrix(sparse=True)) for op in operators]
        self.stacked, self.dim = vstack(parts, format="csr"), parts[0].shape[0]
        # One sparsity pattern for every H, whose elements are a product: element i is
        # the sum of what the operators have there, times their coefficients.
        pattern = csr_array(sum(abs(part) for part in parts))
        pattern.sort_indices()
        self.pattern = (pattern.indices, pattern.indptr)
        for part in parts:
            part.eliminate_zeros()
        entries = [part.tocoo() for part in parts]
        row, column, value = (
            np.concatenate([getattr(e, name) for e in entries])
            for name in ("row", "col", "data")
        )
        operator = np.repeat(np.arange(len(parts)), [e.nnz for e in entries])
        place = pattern.tocoo()
        keys = self.dim * place.row.astype(np.int64) + place.col
        element = np.searchsorted(keys, self.dim * row.astype(np.int64) + column)
        shape = (pattern.nnz, len(parts))
        self.elements = csr_array((value, (element, operator)), shape)
        self.rows = problem.model.coefficients(problem.theta, problem.x)
        self.size = quickest(self.ground, (12, 20, 30, 45, 60))

    def ground(self, size: int, row: Array | None = None, start: Any = None) -> Any:
        """Return the ground state of a row of coefficients, by default the first."""
        row = self.rows[0] if row is None else row
        matrix = csr_array((self.elements @ row, *self.pattern))
        start = plus(self.dim) if start is None else start
        tol = self.tolerance / np.abs(row).max()
        return eigsh(matrix, k=1, which="SA", v0=start, tol=tol, ncv=size)[1][:, 0]

    def settle(self, row: Array, start: Any = None) -> tuple[Any, Array]:
        """Return the ground state and the values of all operators."""
        state = self.ground(self.size, row, start)
        images = (self.stacked @ state).reshape(-1, self.dim)
        return state, (images @ state.conj()).real

    def gradient(self) -> Array:
        """Return the centred gradient of the batch mean."""
        model, found = self.problem.model, []
        for row, y in zip(self.rows, self.problem.y, strict=True):
            state, values = self.settle(row)
            push = np.zeros(len(row))
            readout = model.readout_columns
            push[readout] = 2.0 * BETA * (values[readout] - y)
            above, below = (self.settle(row + s * push, state)[1] for s in (1, -1))
            found.append((above - below)[: model.num_trainable] / (2.0 * BETA))
        return np.asarray(np.mean(found, axis=0))


def finite_differences(num_spins: int, num_edges: int | None, seed: int) -> Sample:
    """Time the gradient against our own differences over every parameter.

    The differences settle all 2 M systems in one call, as quick as we can.
    """
    network = Network.random(num_spins, seed, num_edges=num_edges)
    model, theta, exact = network.model, network.theta, qep.Exact()
    step = 1e-4
    moved = theta + step * np.vstack([np.eye(len(theta)), -np.eye(len(theta))])

    def call() -> Array:
        rows = np.vstack([model.coefficients(t, network.x) for t in moved])
        values = exact(model.operators, rows).values[:, model.readout_columns]
        losses = ((values - network.y) ** 2).sum(axis=1)
        return np.asarray((losses[: len(theta)] - losses[len(theta) :]) / (2.0 * step))

    error = distance_from(ScipyGradient(network, tolerance=0.0).response())
    return race(
        {
            OURS: Entrant(ours(network, SMALL), error),
            "ours, 2 M ground states": Entrant(call, error),
        }
    )
