"""The peers: each function prepares one and returns an entrant, or None if absent.

What a peer prepares (its matrix, its basis, its compiled function) is not timed. All
settle to the residual TOLERANCE from |+> where they let us choose; Krylov sizes are
tuned in advance.
"""

from __future__ import annotations

from functools import lru_cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import cg, eigsh

from ._measure import Entrant, seconds_of
from .problems import BETA, Network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    Array = NDArray[np.float64]

TOLERANCE = 1e-10
MOST_SPINS = {  # beyond these a peer takes seconds and is far from the best
    "numpy eigh": 10,
    "qiskit-algorithms": 14,
    "QuSpin": 20,
    "quimb": 16,
    "NetKet": 12,
}
LEAST_SPINS = {"QuSpin": 6}  # below, its Krylov space exceeds the whole one


def plus(dim: int) -> Array:
    """Return |+>, where everybody starts."""
    return np.full(dim, dim**-0.5)


def lowest(
    matrix: csr_array,
    energy: float,
    ncv: int,
    start: Any = None,
    tolerance: float = TOLERANCE,
) -> Any:
    """Return SciPy's lowest eigenpair; its tolerance is relative to the energy."""
    start = plus(matrix.shape[0]) if start is None else start
    tol = tolerance / abs(energy)
    return eigsh(matrix, k=1, which="SA", v0=start, tol=tol, ncv=ncv)


@lru_cache(maxsize=32)
def best_ncv(num_spins: int) -> int:
    """Return the size of SciPy's Krylov space that is quickest for N spins."""
    if num_spins > 16:
        return 20
    matrix = Network.random(num_spins, 0).matrix()
    energy = float(eigsh(matrix, k=1, which="SA", tol=1e-4)[0][0])
    sizes = [n for n in (8, 12, 20, 30, 45, 60) if n < matrix.shape[0]]
    return quickest(partial(lowest, matrix, energy), sizes)


def quickest(call: Callable[[int], Any], sizes: Sequence[int]) -> int:
    """Return the size for which a call takes least time."""
    times = {n: min(seconds_of(partial(call, n), 1) for _ in range(3)) for n in sizes}
    return min(times, key=times.__getitem__)


def residual_of(matrix: csr_array) -> Callable[[Array], float]:
    """Return the function from a state to |H v - E v|."""

    def residual(state: Array) -> float:
        v = np.asarray(state).reshape(-1)
        image = matrix @ v
        return float(np.linalg.norm(image - np.vdot(v, image).real * v))

    return residual


def ground_states(network: Network) -> dict[str, Entrant | None]:
    """Return every peer's way to the ground state of the first row, as entrants."""
    n, matrix = network.num_spins, network.matrix()
    energy = float(eigsh(matrix, k=1, which="SA", v0=plus(1 << n), tol=1e-6)[0][0])
    size, error = best_ncv(n), residual_of(matrix)
    calls: dict[str, Callable[[], Any] | None] = {
        "scipy eigsh": lambda: lowest(matrix, energy, size)[1][:, 0]
    }
    for name, prepare in (
        ("numpy eigh", _numpy_ground),
        ("qiskit-algorithms", _qiskit_ground),
        ("QuSpin", _quspin_ground),
        ("quimb", _quimb_ground),
        ("NetKet", _netket_ground),
    ):
        if n <= MOST_SPINS[name] and n >= LEAST_SPINS.get(name, 1):
            calls[name] = prepare(network, matrix, energy, size)
    return {
        name: Entrant(call, error) if call else None for name, call in calls.items()
    }


def _numpy_ground(_: Network, matrix: csr_array, *__: Any) -> Callable[[], Any]:
    dense = matrix.toarray()
    return lambda: np.linalg.eigh(dense)[1][:, 0]


def _qiskit_ground(network: Network, *_: Any) -> Callable[[], Any] | None:
    if find_spec("qiskit_algorithms") is None:
        return None
    from qiskit.quantum_info import Statevector
    from qiskit_algorithms import NumPyMinimumEigensolver

    operator = network.model.hamiltonian(network.theta, network.x[0])
    solver = NumPyMinimumEigensolver()

    def call() -> Any:
        state = solver.compute_minimum_eigenvalue(operator).eigenstate
        return state.data if isinstance(state, Statevector) else Statevector(state).data

    return call


def _quspin_ground(
    network: Network, matrix: csr_array, *_: Any
) -> Callable[[], Any] | None:
    """Prepare the smallest Krylov space that reaches the residual."""
    if find_spec("quspin") is None:
        return None
    from quspin.basis import spin_basis_general
    from quspin.operators import hamiltonian
    from quspin.tools.lanczos import lanczos_full, lin_comb_Q_T

    n, model = network.num_spins, network.model
    row = model.coefficients(network.theta, network.x)[0]
    terms: dict[str, list[list[Any]]] = {"zz": [], "x": [], "z": []}
    for coefficient, operator in zip(row, model.operators, strict=True):
        ((letters, spins, sign),) = operator.to_sparse_list()
        weight = float((coefficient * sign).real)
        terms[letters.lower()].append([weight, *(n - 1 - k for k in spins)])
    quiet = dict.fromkeys(("check_herm", "check_pcon", "check_symm"), False)
    h = hamiltonian(
        [list(term) for term in terms.items()],
        [],
        basis=spin_basis_general(n, pauli=1),
        dtype=np.float64,
        **quiet,
    )
    start, residual = plus(1 << n), residual_of(h.tocsr())

    def call(size: int) -> Any:
        _, vectors, krylov = lanczos_full(h, start, size)
        return lin_comb_Q_T(vectors[:, 0], krylov)

    sizes = range(*((40, 200, 10) if n > 16 else (10, min(200, 1 << n), 5)))
    size = next((m for m in sizes if residual(call(m)) < TOLERANCE), sizes[-1])
    return lambda: call(size)


def _quimb_ground(
    _: Network, matrix: csr_array, energy: float, size: int
) -> Callable[[], Any] | None:
    if find_spec("quimb") is None:
        return None
    import quimb

    how = {"v0": plus(matrix.shape[0]), "tol": TOLERANCE / abs(energy), "ncv": size}
    own = csr_matrix(matrix)  # it knows this type alone, whose products it replaces
    return lambda: quimb.groundstate(own, **how)


def _netket_ground(
    network: Network, matrix: csr_array, energy: float, size: int
) -> Callable[[], Any] | None:
    """Prepare its operator; it builds its matrix at every call."""
    if find_spec("netket") is None:
        return None
    import netket

    total = network.model.hamiltonian(network.theta, network.x[0])
    operator = netket.operator.PauliStrings(
        netket.hilbert.Spin(0.5, network.num_spins),
        total.paulis.to_labels(),
        total.coeffs.real,
        dtype=float,
    )
    how = {"v0": plus(matrix.shape[0]), "tol": TOLERANCE / abs(energy), "ncv": size}
    exact = netket.exact.lanczos_ed
    return lambda: exact(operator, compute_eigenvectors=True, scipy_args=how)[1][:, 0]


class ScipyGradient:
    """The gradient of one row by SciPy: one matrix whose diagonal is written anew.

    With tolerance 0 it goes to rounding, which is the reference of all gradients.
    """

    def __init__(self, network: Network, tolerance: float = TOLERANCE) -> None:
        """Prepare the matrix, where its diagonal stands, and the size of the space."""
        self.network, self.matrix = network, network.matrix()
        self.tolerance = tolerance
        self.diagonal = self.matrix.diagonal()
        rows = np.repeat(np.arange(self.matrix.shape[0]), np.diff(self.matrix.indptr))
        self.where = np.flatnonzero(rows == self.matrix.indices)
        if len(self.where) != len(self.diagonal):
            raise ValueError("an element of the diagonal is zero")
        self.energy = float(eigsh(self.matrix, k=1, which="SA", tol=1e-6)[0][0])
        self.size = best_ncv(network.num_spins)

    def settle(self, push: Any = 0.0, start: Any = None) -> tuple[float, Array]:
        """Return energy and state with ``push`` added to the diagonal."""
        self.matrix.data[self.where] = self.diagonal + push
        how = (self.energy, self.size, start, self.tolerance)
        energies, states = lowest(self.matrix, *how)
        return float(energies[0]), np.ascontiguousarray(states[:, 0])

    def push(self, state: Array) -> Array:
        """Return the diagonal of dH / d beta: the slope times what is read."""
        slope = 2.0 * (self.network.read @ state**2 - self.network.y[0])
        return np.asarray(slope @ self.network.read)

    def centered(self) -> Array:
        """Return the difference of two nudged states over 2 beta."""
        _, free = self.settle()
        push = self.push(free)
        plus_, minus_ = (self.settle(b * push, free)[1] for b in (BETA, -BETA))
        values = self.network.values
        return (values(plus_, plus_) - values(minus_, minus_)) / (2.0 * BETA)

    def response(self) -> Array:
        """Return the exact derivative, by conjugate gradients."""
        energy, free = self.settle()
        source = self.push(free) * free
        source -= np.vdot(free, source) * free
        self.matrix.data[self.where] = self.diagonal - energy
        change, _ = cg(self.matrix, -source, rtol=self.tolerance or 1e-14, atol=0.0)
        change -= np.vdot(free, change) * free
        return 2.0 * self.network.values(free, change)
