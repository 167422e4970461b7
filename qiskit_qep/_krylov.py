"""The compiled solvers: Lanczos for eigenstates, conjugate gradients for responses.

Both see a Hamiltonian only through ``_kernels.apply``. Lanczos keeps its basis while it
fits into the rows it is given and repeats the recurrence otherwise (twice the time,
three vectors of memory); states already found are projected out at every step, so that
excited and degenerate states need no other method.
"""

import numpy as np

from ._kernels import apply, jit
from ._tridiagonal import second_lowest, tridiagonal_lowest

MAX_STEPS = 3000  # of one Lanczos run; a gap of 1e-4 of the spectrum needs about 1000
CHUNK = 4096  # numbers that float32 sums before float64 does
REFRESH = 8  # steps between projections: the state's residual leaks back into r


@jit
def dot(a, b):
    """Return <a|b>."""
    total = 0.0
    for g in range(0, a.size, CHUNK):
        x, y, part = a[g : g + CHUNK], b[g : g + CHUNK], a.dtype.type(0.0)
        for i in range(x.size):
            part += x[i] * y[i]
        total += part
    return total


@jit
def combine(w, c, a, v, b, u):
    """Replace w by c w + a v + b u and return its squared length."""
    kind, total = w.dtype.type, 0.0
    c, a, b = kind(c), kind(a), kind(b)
    for g in range(0, w.size, CHUNK):
        x, y, z = w[g : g + CHUNK], v[g : g + CHUNK], u[g : g + CHUNK]
        part = kind(0.0)
        for i in range(x.size):
            new = c * x[i] + a * y[i] + b * z[i]
            x[i] = new
            part += new * new
        total += part
    return total


@jit
def scale(v, c):
    """Replace v by c v."""
    c = v.dtype.type(c)
    for i in range(v.size):
        v[i] *= c


@jit
def project(v, locked):
    """Take the locked states out of v and return its length."""
    for q in range(len(locked)):
        combine(v, 1.0, -dot(locked[q], v), locked[q], 0.0, locked[q])
    return np.sqrt(dot(v, v))


@jit
def lanczos_step(h, u, v, w, before, length, locked):
    """Write the next vector of the recurrence into w; return alpha and its length.

    Vectors keep the length that the recurrence gives them (``before`` of u, ``length``
    of v), which spares a pass over memory that would do nothing but normalize.
    """
    alpha = apply(h, v, w) / length**2
    squared = combine(w, 1.0 / length, -alpha / length, v, -length / before, u)
    return alpha, project(w, locked) if len(locked) else np.sqrt(squared)


@jit
def lanczos(h, start, locked, lowest, tolerance, basis, work):
    """Find the lowest level of H orthogonal to the locked states, from ``start``.

    With a finite energy ``lowest`` the run only asks how far the answer lies above it,
    and ends when that distance is known to about one per cent.

    Returns:
        Energy, second Ritz value, number of steps; the small matrix and its lowest
        vector are left in ``work``.
    """
    rows = len(basis)
    alpha, lengths, ritz, pivots = work[0], work[1], work[2], work[3]
    beta = lengths[1:]
    basis[0] = start
    lengths[0] = project(basis[0], locked)
    steps, check, seen = 0, 10, 0
    energy, residual, second, before = np.nan, np.inf, np.inf, np.inf
    while True:
        u, v, w = (
            basis[(steps - 1) % rows],
            basis[steps % rows],
            basis[(steps + 1) % rows],
        )
        if steps == 0:
            u = v
        alpha[steps], beta[steps] = lanczos_step(
            h, u, v, w, before, lengths[steps], locked
        )
        before = lengths[steps]
        steps += 1
        length = beta[steps - 1]
        ended = length < 1e-13 * max(1.0, abs(alpha[0])) or steps == MAX_STEPS
        if steps < check and not ended:
            continue
        last = residual if seen else beta[0]
        guess = energy - residual if seen else np.nan
        energy = tridiagonal_lowest(alpha, beta, steps, guess, ritz, pivots)
        residual = length * abs(ritz[steps - 1]) + 1e-300
        if residual < 1e-4 and second == np.inf:
            # Later, rounding lets a copy of the lowest level appear above it.
            second = second_lowest(alpha, beta, steps, energy)
        enough = tolerance
        if np.isfinite(lowest):
            enough = max(enough, 0.003 * (energy - lowest))
        if ended or residual <= enough:
            break
        # The next look is where the residual should have come down so far.
        wanted = max(enough, 1e-5) if second == np.inf else enough
        pace = max(np.log(last / residual) / (steps - seen), 0.1)
        check = (
            steps + 1 + int(min(0.8 * np.log(residual / wanted) / pace, 0.5 * steps))
        )
        seen = steps
    return energy, second, steps


@jit
def ritz_vector(h, start, locked, steps, basis, work, out):
    """Write the lowest vector of a run, from the kept basis or by a second pass."""
    rows, weights = len(basis), work[2, :steps] / work[1, :steps]
    out[:] = 0.0
    if steps < rows:
        if steps % 2:
            combine(out, 0.0, weights[0], basis[0], 0.0, basis[0])
        for j in range(steps % 2, steps, 2):
            combine(out, 1.0, weights[j], basis[j], weights[j + 1], basis[j + 1])
    else:
        basis[0] = start
        project(basis[0], locked)
        before = np.inf
        for j in range(steps):
            u, v, w = basis[(j - 1) % rows], basis[j % rows], basis[(j + 1) % rows]
            if j == 0:
                u = v
            combine(out, 1.0, weights[j], v, 0.0, v)
            lanczos_step(h, u, v, w, before, work[1, j], locked)
            before = work[1, j]
    scale(out, 1.0 / np.sqrt(dot(out, out)))


@jit
def conjugate_gradients(h, energy, own, r, p, q, x, share):
    """Solve (H - energy) x = r for r orthogonal to ``own``, to a share of its length.

    Valid where ``own`` is the lowest state: H - E is then positive on the complement. A
    direction of negative curvature ends the search. r is used up.

    Returns:
        Length of the residual; infinity for negative curvature.
    """
    x[:] = 0.0
    p[:] = r
    size = dot(r, r)
    squared, target, steps = size, size * share**2, 0
    while size > target and steps < MAX_STEPS:
        curvature = apply(h, p, q) - energy * squared
        if curvature <= 0.0:
            return np.inf
        step, before = size / curvature, size
        size = combine(r, 1.0, -step, q, step * energy, p)
        steps += 1
        if steps % REFRESH == 0:
            size = project(r, own) ** 2
        combine(x, 1.0, step, p, 0.0, p)
        combine(p, size / before, 1.0, r, 0.0, r)
        squared = size + (size / before) ** 2 * squared
    project(x, own)
    return np.sqrt(size)
