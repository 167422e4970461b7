"""The slow, obvious twins of oscillators and springs, and systems to draw."""

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import prod

import numpy as np
from scipy.linalg import sqrtm
from scipy.optimize import minimize

import qiskit_qep as qep

WALLS = 4.0 * np.array([[1.0, 0.0], [-0.5, 0.8], [-0.5, -0.9]])


@cache
def parsed(operator):
    """Return a form's terms with factors as indices of z = (r, p)."""
    n = operator.num_modes
    return [
        ([int(s[2:]) + n * (s[0] == "p") for s in label.split()], c)
        for label, c in operator.terms
    ]


def evaluate(operator, z):
    """Return a form or a distance at a point z, which may be complex."""
    if isinstance(operator, qep.Distance):
        d = operator.dimensions
        i, j = operator.first * d, operator.second * d
        return np.sqrt(((z[i : i + d] - z[j : j + d]) ** 2).sum())
    return sum(c * prod(z[k] for k in factors) for factors, c in parsed(operator))


def dense(operators, row):
    """Return Q and c of sum_k row[k] A_k, by evaluation at unit vectors."""
    size = 2 * operators[0].num_modes
    unit = np.eye(size)

    def at(z):
        return sum(c * evaluate(op, z) for c, op in zip(row, operators, strict=True))

    origin = at(np.zeros(size))
    up, down = (np.array([at(s * u) - origin for u in unit]) for s in (1, -1))
    Q = np.diag(up + down)
    for i, j in combinations(range(size), 2):
        Q[i, j] = Q[j, i] = at(unit[i] + unit[j]) - origin - up[i] - up[j]
    return Q, 0.5 * (up - down)


def symplectic(n):
    return np.kron([[0, 1], [-1, 0]], np.eye(n))


def covariance(Q):
    """Return V = Q^-1/2 (Q^1/2 J^T Q J Q^1/2)^1/2 Q^-1/2 / 2 of the ground state."""
    J = symplectic(len(Q) // 2)
    root = sqrtm(Q)
    inverse = np.linalg.inv(root)
    return 0.5 * inverse @ sqrtm(root @ J.T @ Q @ J @ root) @ inverse


def ground(operators, row, level=0):
    """Return the values of quadratic forms in their ground state."""
    Q, c = dense(operators, row)
    mean, V = -np.linalg.solve(Q, c), covariance(Q)
    values = []
    for op in operators:
        A, a = dense([op], [1.0])
        constant = evaluate(op, np.zeros(len(mean)))
        second = V + np.outer(mean, mean)
        values.append(0.5 * np.trace(A @ second) + a @ mean + constant)
    return None, np.array(values).real


def fock(form, cutoff):
    """Return a form as a matrix on the states of oscillators below a cutoff."""
    n = form.num_modes
    a = np.diag(np.sqrt(np.arange(1, cutoff + 8)), 1)
    r, p = (a + a.T) / np.sqrt(2), (a - a.T) / (1j * np.sqrt(2))
    keep = slice(0, cutoff)

    def one(*factors):  # the product before it is cut off
        m = np.linalg.multi_dot([np.eye(len(a))] * 2 + list(factors))
        return m[keep, keep]

    total = 0.0
    for label, c in form.terms:
        per_mode = [[] for _ in range(n)]
        for name in label.split():
            per_mode[int(name[2:])].append(r if name[0] == "r" else p)
        matrix = np.eye(1)
        for factors in per_mode:
            both = (one(*factors) + one(*factors[::-1])) / 2
            matrix = np.kron(both, matrix)
        total = total + c * matrix
    return total + np.zeros((cutoff**n,) * 2)


def rest(operators, row, level=0, begin=None):
    """Return the values at the minimum near z = begin: all slopes by complex steps."""
    size = 2 * operators[0].num_modes
    clamps = {k: op for k, op in enumerate(operators) if isinstance(op, qep.Clamped)}
    others = [k for k in range(len(operators)) if k not in clamps]
    held = {int(z[2:]) for op in clamps.values() for z, _ in op.scales}
    free = sorted(touched(operators[k] for k in others) - held)

    def energy(u, row):
        z = [0.0] * size
        for k, op in clamps.items():
            for name, scale in op.scales:
                z[int(name[2:])] = scale * row[k]
        for index, value in zip(free, u, strict=True):
            z[index] = value
        return sum(row[k] * evaluate(operators[k], np.array(z)) for k in others)

    def slope(function, at):
        step = 1e-30j * np.eye(len(at))
        return np.array([function(at + s).imag for s in step]) / 1e-30

    def gradient(u):
        return slope(lambda u: energy(u, row), u)

    begin = np.resize([0.3, -0.2, 0.1], size) if begin is None else begin
    found = minimize(lambda u: energy(u, row).real, begin[free], jac=gradient)
    u, step = found.x, 1e-5 * np.eye(len(free))
    H = np.array([(gradient(u + s) - gradient(u - s)) / 2e-5 for s in step])
    for _ in range(6):
        u = u - np.linalg.solve(H, gradient(u))
    assert np.linalg.eigvalsh(H).min() > 0
    assert np.abs(gradient(u)).max() < 1e-10
    return None, slope(lambda row: energy(u, row), np.asarray(row))


def touched(operators):
    """Return the indices of z that occur in forms and distances."""
    found = set()
    for op in operators:
        if isinstance(op, qep.Distance):
            d = op.dimensions
            found |= {i * d + a for i in (op.first, op.second) for a in range(d)}
        else:
            found |= {z for factors, _ in parsed(op) for z in factors}
    return found


def oscillators(rng, n):
    """Draw springs, forces and kinetic energies around a stiff network."""
    base = np.diag(rng.uniform(0.5, 0.6, 2 * n))
    parts = [qep.QuadraticForm.of(base, num_modes=n)]
    parts += [spring(i, j, n) for i, j in combinations(range(n), 2)]
    parts += [qep.QuadraticForm({f"{z}_{i}": 2.0}, n) for i in range(n) for z in "rp"]
    parts += [qep.QuadraticForm({f"p_{i} p_{i}": 1.0, "": 0.5}, n) for i in range(n)]
    parts += [qep.QuadraticForm({"r_0 r_0": 1.0, f"r_{n - 1}": 1.0}, n)]
    row = rng.uniform(0.5, 1.0, len(parts)) * rng.choice([-1, 1], len(parts))
    row[0] = 12.0
    return parts, row


def mixed(rng, n):
    """Draw the same with products of positions and momenta."""
    parts, row = oscillators(rng, n)
    size = 2 * n
    for _ in range(2):
        A = rng.standard_normal((size, size)) / np.sqrt(size)
        parts.append(qep.QuadraticForm.of(A + A.T, num_modes=n))
    return parts, np.append(row, [0.5, -0.5])


def spring(i, j, n):
    return qep.QuadraticForm(
        {f"r_{i} r_{i}": 0.5, f"r_{i} r_{j}": -1.0, f"r_{j} r_{j}": 0.5}, n
    )


def elastic(rng, size):
    """Draw ``size`` atoms in a plane, near homes of their own, between three walls."""
    n = size + 3
    homes = 2.0 * rng.standard_normal((size, 2))
    parts, row = [], []
    pairs = [(i, i + 1) for i in range(size - 1)]
    pairs += [(i, size + w) for i in range(size) for w in range(3)]
    for i, j in pairs:
        distance, k = qep.Distance(i, j, n, 2), rng.uniform(1.0, 2.0)
        parts += [distance, distance.squared()]
        row += [-k * rng.uniform(0.5, 1.5), 0.5 * k]
    for i, home in enumerate(homes):
        x, y = f"r_{2 * i}", f"r_{2 * i + 1}"
        centre = {
            f"{x} {x}": 4.0,
            f"{y} {y}": 4.0,
            x: -8.0 * home[0],
            y: -8.0 * home[1],
        }
        parts += [qep.QuadraticForm(centre, 2 * n), qep.QuadraticForm({x: 1.0}, 2 * n)]
        row += [1.0, rng.standard_normal()]
    for w, (x, y) in enumerate(WALLS):
        where = {f"r_{2 * (size + w)}": x, f"r_{2 * (size + w) + 1}": y}
        parts.append(qep.Clamped(where, 2 * n))
        row.append(1.0)
    return parts, np.array(row)


def relabelled(operators, order):
    """Return operators on exchanged modes; atoms have two of them."""
    found = []
    for op in operators:
        if isinstance(op, qep.Distance):
            atoms = [order[2 * i] // 2 for i in (op.first, op.second)]
            found.append(qep.Distance(*atoms, op.num_atoms, op.dimensions))
            continue
        terms = op.terms if isinstance(op, qep.QuadraticForm) else op.scales
        moved = {
            " ".join(f"{s[0]}_{order[int(s[2:])]}" for s in label.split()): c
            for label, c in terms
        }
        found.append(type(op)(moved, op.num_modes))
    return found


@dataclass(frozen=True)
class AsDrawn:
    """``Relaxed`` from the same scattered positions for networks of any size."""

    follow = True

    def _relaxed(self, operators):
        size = getattr(operators[0], "num_modes", 2)
        return qep.Relaxed(np.random.default_rng(size).standard_normal(size))

    def __call__(self, operators, coefficients, *, start=None, rng=None):
        return self._relaxed(operators)(operators, coefficients, start=start, rng=rng)

    def response(self, phase, operators, coefficients, direction):
        relaxed = self._relaxed(operators)
        return relaxed.response(phase, operators, coefficients, direction)
