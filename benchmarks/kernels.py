"""The two kernels: all expectation values at once, and H times a vector."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

import qiskit_qep as qep
from qiskit_qep.equilibria import _shots

from ._measure import OURS, Entrant, Sample, bandwidth, race
from .problems import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PASS = 24  # bytes per amplitude: the vector and the diagonal are read, one is written


def correlations(num_spins: int, seed: int) -> Sample:
    """Take every <Z_j Z_k> and <Z_k> of a random state at once."""
    model = qep.models.transverse_field_ising(num_spins)
    z_only = qep.Model(tuple(op for op in model.trainable if not op.paulis.x.any()))
    terms = z_only.operators.terms
    state = np.random.default_rng(seed).standard_normal((1, terms.dim))
    state /= np.linalg.norm(state)
    signs = Network.random(num_spins, seed).signs
    upper = tuple(np.array(list(combinations(range(num_spins), 2))).T)

    def matrices() -> Array:
        p = state[0] ** 2
        return -np.concatenate([((signs * p) @ signs.T)[upper], signs @ p])

    reference = matrices()

    def error(found: Array) -> float:
        return float(np.abs(np.asarray(found).ravel() - reference).max())

    return race(
        {
            OURS: Entrant(lambda: terms.expectations(state, state).real, error),
            "S p S^T": Entrant(matrices, error),
        }
    )


def shots(num_spins: int, letter: str, seed: int) -> Sample:
    """Draw 10^4 bitstrings of a chain's worth of strings; take means and covariance.

    Everything beyond the state itself, in one measurement setting.
    """
    count, rng = 10_000, np.random.default_rng(seed)
    chain = qep.models.transverse_field_ising(num_spins, edges="chain")
    kept = [op for op in chain.trainable if op.paulis.x.any() == (letter == "X")]
    terms = qep.Model(tuple(kept)).operators.terms
    state = rng.standard_normal((1, 1, terms.dim))
    state /= np.linalg.norm(state)
    supports, weights = terms.flips | terms.signs, terms.weights.toarray()
    bits = np.arange(num_spins, dtype=np.uint64)

    def turned() -> Array:
        a: Array = state[0, 0].reshape([2] * num_spins)
        for axis in range(num_spins) if letter == "X" else ():
            low, high = np.moveaxis(a, axis, 0)
            a = np.stack([low + high, low - high], axis) * np.sqrt(0.5)
        return a.ravel()

    def by_hand() -> Array:
        p = turned() ** 2
        seen = rng.choice(terms.dim, count, p=p / p.sum()).astype(np.uint64)
        signs = 1.0 - 2.0 * (seen[:, None] >> bits & np.uint64(1))
        inside = supports[:, None] >> bits & np.uint64(1) != 0
        says = np.stack([signs[:, q].prod(axis=1) for q in inside], axis=1)
        np.cov(says.T)
        return np.asarray(weights @ says.mean(axis=0))

    def ours() -> Array:
        one = np.ones((1, 1))
        values, _, _ = _shots.bitstrings(terms, state, one, count, [rng])
        return np.asarray(values[0])

    exact = terms.expectations(state[0], state[0]).real[0]

    def error(found: Array) -> float:
        return float(np.abs(found - exact).max())

    return race({OURS: Entrant(ours, error), "NumPy": Entrant(by_hand, error)})


def matvec_seconds(num_spins: int, seed: int, repeats: int = 7) -> float:
    """Return the seconds of one H v, its diagonal at hand, as in a Lanczos step."""
    from qiskit_qep import _kernels

    network = Network.random(num_spins, seed)
    terms = network.model.operators.terms
    h = terms.hamiltonian(network.model.coefficients(network.theta, network.x))
    room, (v, out) = _kernels.room_for(h.layout, terms.dim, np.float64, rows=2)
    v[:] = np.random.default_rng(seed).standard_normal(terms.dim)
    team = _kernels.alone(terms.dim)
    _kernels.fill(h.layout, h.rows[0], room, team)
    ours = Entrant(lambda: _kernels.apply(room, v, out, team))
    return min(race({OURS: ours}, repeats=repeats).raw[OURS])


def matvec(num_spins: int, seed: int) -> Sample:
    """Compare H v with two passes over memory at the bandwidth measured just now."""
    seconds = matvec_seconds(num_spins, seed)
    bound = 2 * PASS * (1 << num_spins) / bandwidth()
    return Sample({OURS: seconds, "two passes of a = b + c": bound})


def roofline(num_spins: int, _: int) -> Sample:
    """Give the bytes per second of H v, and of a = b + c on vectors of that length."""
    dim = 1 << num_spins
    ours = PASS * dim / matvec_seconds(num_spins, 0)
    return Sample({OURS: ours, "a = b + c": bandwidth(dim), "DRAM": dram()})


@lru_cache(maxsize=1)
def dram() -> float:
    """Return the bandwidth of vectors that no cache holds."""
    return bandwidth()
