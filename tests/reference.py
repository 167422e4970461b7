"""The slow, obvious twins: Kronecker products, all eigenvectors, finite differences."""

from functools import cache
from itertools import combinations

import numpy as np
from qiskit.quantum_info import SparsePauliOp
from scipy import sparse
from scipy.linalg import expm

import qiskit_qep as qep

PAULI = {"I": [[1, 0], [0, 1]], "X": [[0, 1], [1, 0]]}
PAULI |= {"Y": [[0, -1j], [1j, 0]], "Z": [[1, 0], [0, -1]]}


@cache
def string(label):
    """Write a Pauli string as a Kronecker product, qubit 0 rightmost."""
    first, rest = sparse.csr_array(PAULI[label[0]], dtype=complex), label[1:]
    return sparse.kron(first, string(rest), "csr") if rest else first


def matrix(operator):
    """Return a SparsePauliOp as a sparse matrix."""
    return sum(c * string(label) for label, c in operator.to_list())


def total(operators, row):
    """Return sum_k row[k] A_k as a dense matrix, real where it is."""
    dense = sum(c * matrix(op) for c, op in zip(row, operators, strict=True)).toarray()
    return dense if dense.imag.any() else dense.real.copy()


def expectations(operators, left, right):
    """Return <left|A_k|right> of every operator."""
    return np.array([left.conj() @ (matrix(op) @ right) for op in operators])


def settle(operators, row, level=0):
    """Return all energies and the exact values of one level."""
    energies, vectors = np.linalg.eigh(total(operators, row))
    v = vectors[:, level]
    return energies, expectations(operators, v, v).real


def thermal(operators, row, temperature):
    """Return tr(rho A_k) of every operator, rho by Pade's matrix exponential."""
    h = total(operators, row)
    h = h - np.linalg.eigvalsh(h)[0] * np.eye(len(h))  # its trace shall not overflow
    rho = expm(-h / temperature)
    rho /= np.trace(rho)
    return np.array([(matrix(op) @ rho).trace().real for op in operators])


def steady(operators, row, settle):
    """Return tr(rho A_k) of what jumps alone leave at rest: a row of L is the trace."""
    h, size = total(operators, row), operators[0].num_qubits
    one = np.eye(len(h))
    generator = -1j * (np.kron(h, one) - np.kron(one, h.T))
    for jump in settle.jumps:
        where = [[q] for q in range(size)] if jump.num_qubits == 1 else [range(size)]
        for place in where:
            j = jump.apply_layout(list(place), size).to_matrix()
            decay = 0.5 * j.conj().T @ j
            generator += np.kron(j, j.conj())
            generator -= np.kron(decay, one) + np.kron(one, decay.T)
    generator[0], source = one.ravel(), np.eye(len(generator))[0]
    rho = np.linalg.solve(generator, source).reshape(h.shape)
    return np.array([(matrix(op) @ rho).trace().real for op in operators])


def gap(energies, level=0):
    """Return the distance from a level to its nearest neighbour."""
    return np.abs(np.delete(energies, level) - energies[level]).min()


def continued(operators, origin, target, level=0, steps=50):
    """Continue <L|A|R> / <L|R> from real to complex coefficients in small steps."""
    energy = np.linalg.eigvalsh(total(operators, origin))[level]
    for t in np.linspace(0, 1, steps + 1)[1:]:
        found, right = np.linalg.eig(total(operators, origin + t * (target - origin)))
        n = np.argmin(np.abs(found - energy))
        energy = found[n]
    left = np.linalg.inv(right)[n].conj()  # scaled so that <L|R> = 1
    return expectations(operators, left, right[:, n])


def loss(model, theta, x, y, value=qep.squared_error.value, level=0):
    """Return the loss of every sample, by diagonalisation."""
    rows = model.coefficients(theta, x)
    values = [settle(model.operators, row, level)[1] for row in rows]
    return value(np.array(values)[:, model.readout_columns], np.asarray(y))


def five_point(function, at, step=1e-3):
    """Differentiate by every component of ``at``: shape (len(at), *shape of values)."""
    unit = step * np.eye(len(at))
    near = [function(at + u) - function(at - u) for u in unit]
    far = [function(at + 2 * u) - function(at - 2 * u) for u in unit]
    return (8 * np.array(near) - np.array(far)) / (12 * step)


def slopes(model, theta, x, y, **how):
    """Differentiate the mean loss by theta, and every sample's own loss by its x."""
    by_theta = five_point(lambda t: loss(model, t, x, y, **how).mean(), theta)
    by_x = [
        five_point(lambda u, b=b: loss(model, theta, u, y[b : b + 1], **how)[0], x[b])
        for b in range(len(x))
    ]
    return by_theta, np.array(by_x)


def at(letters, where, num_qubits, c=1.0):
    """Return c times a string with letters on some qubits."""
    return SparsePauliOp.from_sparse_list([(letters, where, c)], num_qubits)


def ising(rng, num_spins, *, size=1.0):
    """Draw a complete Ising network: operators and one row of coefficients."""
    places = [("ZZ", pair) for pair in combinations(range(num_spins), 2)]
    places += [(letter, [k]) for letter in "XZ" for k in range(num_spins)]
    operators = [at(*place, num_spins, -1.0) for place in places]
    return operators, size * rng.standard_normal(len(operators))


def general(rng, num_qubits, *, real=False):
    """Draw fields on all qubits and sums of two random strings, real or with odd Y."""

    def label():
        drawn = "".join(rng.choice(list("IXYZ"), num_qubits))
        return label() if real and drawn.count("Y") % 2 else drawn

    letters = "XZ" if real else "XYZ"
    operators = [at(a, [q], num_qubits) for q in range(num_qubits) for a in letters]
    for _ in range(3 + num_qubits):
        operators.append(SparsePauliOp([label(), label()], rng.standard_normal(2)))
    return operators, rng.standard_normal(len(operators))


def classical(rng, num_spins):
    """Draw all Z and ZZ, and sums of two of them: operators and coefficients."""
    places = [[k] for k in range(num_spins)]
    places += [list(pair) for pair in combinations(range(num_spins), 2)]
    operators = [at("Z" * len(place), place, num_spins) for place in places]
    drawn = rng.integers(len(operators), size=(3, 2))
    operators += [operators[a] - 0.5 * operators[b] for a, b in drawn]
    return operators, rng.standard_normal(len(operators))


def gapped(rng, make, *args, bound=0.3, level=0, **how):
    """Draw until the level is further than ``bound`` from any other."""
    while True:
        operators, row = make(rng, *args, **how)
        if gap(np.linalg.eigvalsh(total(operators, row)), level) > bound:
            return operators, row
