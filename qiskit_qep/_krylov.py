"""The compiled solvers: Lanczos for eigenstates, conjugate gradients for responses.

Both see a Hamiltonian only through ``_kernels.apply``. Lanczos keeps its basis while it
fits into the rows it is given and repeats the recurrence otherwise (twice the time,
three vectors of memory); states already found are projected out at every step, so that
excited and degenerate states need no other method.
"""

import numpy as np

from ._kernels import apply
from ._native import U, jit
from ._team import block_size, mine, put, share, together
from ._tridiagonal import second_lowest, tridiagonal_lowest

MAX_STEPS = 3000  # of one Lanczos run; a gap of 1e-4 of the spectrum needs about 1000
CHUNK = 4096  # numbers that float32 sums before float64 does
REFRESH = 8  # steps between projections: the state's residual leaks back into r


@jit
def dot(a, b, team):
    """Return <a|b>."""
    block, count = block_size(a), U(a.size) // block_size(a)
    first, end = share(count, team)
    for k in range(first, end):
        total = 0.0
        for g in range(k * block, (k + U(1)) * block, CHUNK):
            x, y, part = a[g : g + CHUNK], b[g : g + CHUNK], a.dtype.type(0.0)
            for i in range(x.size):
                part += x[i] * y[i]
            total += part
        put(total, k, team)
    return together(count, team)


@jit
def combine(w, c, a, v, b, u, team):
    """Replace w by c w + a v + b u and return its squared length."""
    kind = w.dtype.type
    c, a, b = kind(c), kind(a), kind(b)
    block, count = block_size(w), U(w.size) // block_size(w)
    first, end = share(count, team)
    for k in range(first, end):
        total = 0.0
        for g in range(k * block, (k + U(1)) * block, CHUNK):
            x, y, z = w[g : g + CHUNK], v[g : g + CHUNK], u[g : g + CHUNK]
            part = kind(0.0)
            for i in range(x.size):
                new = c * x[i] + a * y[i] + b * z[i]
                x[i] = new
                part += new * new
            total += part
        put(total, k, team)
    return together(count, team)


@jit
def scale(v, c, team):
    """Replace v by c v."""
    part, c = mine(v, team), v.dtype.type(c)
    for i in range(part.size):
        part[i] *= c


@jit
def copy(v, out, team):
    """Write v into out."""
    given, part = mine(v, team), mine(out, team)
    for i in range(part.size):
        part[i] = given[i]


@jit
def clear(v, team):
    """Replace v by zero."""
    part = mine(v, team)
    for i in range(part.size):
        part[i] = 0.0


@jit
def begin(v, start, seed, team):
    """Write the start, or where there is none a vector of every symmetry sector.

    The vector of seed 0 is close to |+>, where the ground state of a weakly coupled
    network in transverse fields lies; |+> itself would never see other sectors. The
    noise is that of SplitMix64, a function of the index, and so takes no memory.
    """
    if start.size:
        copy(start, v, team)
        return
    part, first = mine(v, team), share(U(v.size) // block_size(v), team)[0]
    mean = 1.0 if seed == 0 else 0.0
    for i in range(U(part.size)):
        z = first * block_size(v) + i + U(1) + (U(seed) << U(40))
        z *= U(0x9E3779B97F4A7C15)
        z = (z ^ (z >> U(30))) * U(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> U(27))) * U(0x94D049BB133111EB)
        z ^= z >> U(31)
        part[i] = mean + np.float64(z >> U(11)) * 2.0**-52 - 1.0


@jit
def project(v, locked, team):
    """Take the locked states out of v and return its length."""
    for q in range(len(locked)):
        part = dot(locked[q], v, team)
        combine(v, 1.0, -part, locked[q], 0.0, locked[q], team)
    return np.sqrt(dot(v, v, team))


@jit
def lanczos_step(h, u, v, w, before, length, locked, team):
    """Write the next vector of the recurrence into w; return alpha and its length.

    Vectors keep the length that the recurrence gives them (``before`` of u, ``length``
    of v), which spares a pass over memory that would do nothing but normalize.
    """
    alpha = apply(h, v, w, team) / length**2
    squared = combine(w, 1.0 / length, -alpha / length, v, -length / before, u, team)
    return alpha, project(w, locked, team) if len(locked) else np.sqrt(squared)


@jit
def lanczos(h, locked, lowest, tolerance, basis, work, team):
    """Find the lowest level of H orthogonal to the locked states, from ``basis[0]``.

    With a finite energy ``lowest`` the run only asks how far the answer lies above it,
    and ends when that distance is known to about one per cent.

    Returns:
        Energy, second Ritz value, number of steps; the small matrix and its lowest
        vector are left in ``work``.
    """
    rows = len(basis)
    alpha, lengths, ritz, pivots = work[0], work[1], work[2], work[3]
    beta = lengths[1:]
    lengths[0] = project(basis[0], locked, team)
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
            h, u, v, w, before, lengths[steps], locked, team
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
def ritz_vector(h, start, seed, locked, steps, basis, work, out, team):
    """Write the lowest vector of a run, from the kept basis or by a second pass.

    The run began at ``begin(start, seed)``; out may be that start.
    """
    rows, weights = len(basis), work[2]
    for j in range(steps):
        weights[j] /= work[1, j]
    if steps >= rows:
        begin(basis[0], start, seed, team)
        project(basis[0], locked, team)
    clear(out, team)
    if steps < rows:
        if steps % 2:
            combine(out, 0.0, weights[0], basis[0], 0.0, basis[0], team)
        for j in range(steps % 2, steps, 2):
            one, other = basis[j], basis[j + 1]
            combine(out, 1.0, weights[j], one, weights[j + 1], other, team)
    else:
        before = np.inf
        for j in range(steps):
            u, v, w = basis[(j - 1) % rows], basis[j % rows], basis[(j + 1) % rows]
            if j == 0:
                u = v
            combine(out, 1.0, weights[j], v, 0.0, v, team)
            lanczos_step(h, u, v, w, before, work[1, j], locked, team)
            before = work[1, j]
    scale(out, 1.0 / np.sqrt(dot(out, out, team)), team)


@jit
def conjugate_gradients(h, energy, own, r, p, q, x, tolerance, team):
    """Solve (H - energy) x = r for r orthogonal to ``own``, to a relative tolerance.

    Valid where ``own`` is the lowest state: H - E is then positive on the complement. A
    direction of negative curvature ends the search. r is used up.

    Returns:
        Length of the residual; infinity for negative curvature.
    """
    clear(x, team)
    copy(r, p, team)
    size = dot(r, r, team)
    squared, target, steps = size, size * tolerance**2, 0
    while size > target and steps < MAX_STEPS:
        curvature = apply(h, p, q, team) - energy * squared
        if curvature <= 0.0:
            return np.inf
        step, before = size / curvature, size
        size = combine(r, 1.0, -step, q, step * energy, p, team)
        steps += 1
        if steps % REFRESH == 0:
            size = project(r, own, team) ** 2
        combine(x, 1.0, step, p, 0.0, p, team)
        combine(p, size / before, 1.0, r, 0.0, r, team)
        squared = size + (size / before) ** 2 * squared
    project(x, own, team)
    return np.sqrt(size)
