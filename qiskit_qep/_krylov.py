"""The compiled solvers: Lanczos for eigenstates, conjugate gradients for responses.

Both see a Hamiltonian only through ``_kernels.apply``. Lanczos keeps its basis while it
fits into the rows it is given and repeats the recurrence otherwise (twice the time,
three vectors of memory); states already found are projected out at every step, so that
excited and degenerate states need no other method.

A complex state is real numbers in the halves (re, im). Its multiple by i, (-im, re), is
then another vector with the same energy, and is locked together with it.
"""

import numpy as np

from ._kernels import allocate, apply, fill, jit
from ._tridiagonal import second_lowest, tridiagonal_lowest

MAX_STEPS = 3000  # of one Lanczos run; a gap of 1e-4 of the spectrum needs about 1000
MAX_RUNS = 6  # a run starts again from its best vector until the residual is reached
SAME_SYMMETRY = 0.01  # overlap of states that one level deforms into one another
REFRESH = 8  # steps between projections: the state's residual leaks back into r
MAX_LEVELS = 8  # how many levels above the asked one an overlap is looked for


@jit
def dot(a, b):
    """Return <a|b>."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@jit
def combine(w, c, a, v, b, u):
    """Replace w by c w + a v + b u and return its squared length."""
    total = 0.0
    for i in range(w.size):
        x = c * w[i] + a * v[i] + b * u[i]
        w[i] = x
        total += x * x
    return total


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
    alpha, lengths, ritz, pivots = work
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
    rows, (_, lengths, ritz, _) = len(basis), work
    weights = ritz[:steps] / lengths[:steps]
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
            lanczos_step(h, u, v, w, before, lengths[j], locked)
            before = lengths[j]
    inverse = 1.0 / np.sqrt(dot(out, out))
    for i in range(out.size):
        out[i] *= inverse


@jit
def eigenpair(h, start, locked, tolerance, basis, work, out):
    """Run Lanczos until the measured residual |H v - E v| is below the tolerance.

    Returns:
        Energy, second Ritz value, measured residual.
    """
    second, energy, residual = np.inf, 0.0, np.inf
    for run in range(MAX_RUNS):
        begin = start if run == 0 else out.copy()
        _, above, steps = lanczos(
            h, begin, locked, np.nan, 0.5 * tolerance, basis, work
        )
        ritz_vector(h, begin, locked, steps, basis, work, out)
        second = above if run == 0 else second
        w = basis[0]
        energy = apply(h, out, w)
        residual = np.sqrt(combine(w, 1.0, -energy, out, 0.0, out))
        if residual <= tolerance:
            break
    return energy, second, residual


@jit
def times_i(v, out):
    """Write i v for the halves (re, im) of v."""
    half = v.size // 2
    for i in range(half):
        out[i], out[half + i] = -v[half + i], v[i]


@jit
def settle(
    layout,
    rows,
    starts,
    generic,
    copies,
    level,
    follow,
    tolerance,
    keep,
    results,
    first,
    last,
):
    """Find eigenstate ``level`` of every row, or the one that overlaps starts most.

    ``copies`` is 2 of complex states. Without ``follow`` states n = 0, 1, ... are
    locked one after another, each from the fresh vector ``generic[n]``; one more run
    measures the distance to the next one, which a start vector in another symmetry
    sector would not show. With ``follow`` the search runs from ``starts[b]`` and goes
    on until no other eigenstate can hold more of it.
    """
    states, energies, gaps, residuals, overlaps = results
    dim = states.shape[1]
    h = allocate(layout, dim, states)
    basis, work = np.empty((keep, dim), states.dtype), np.empty((4, MAX_STEPS + 1))
    most = level + 1 + (MAX_LEVELS if follow else 0)
    locked, found = np.empty((copies * most, dim), states.dtype), np.empty(most)
    for b in range(first, last):
        fill(layout, rows[b], h)
        best, weight, seen, second = 0, -1.0, 0.0, np.inf
        for n in range(most):
            q = copies * n
            state = locked[q]
            energy, second, residual = eigenpair(
                h,
                starts[b] if follow else generic[n],
                locked[:q],
                tolerance,
                basis,
                work,
                state,
            )
            if copies == 2:
                times_i(state, locked[q + 1])
            found[n], overlap = energy, 0.0
            if follow:
                for k in range(q, q + copies):
                    overlap += dot(starts[b], locked[k]) ** 2
                seen += overlap
            if not follow or overlap > weight:
                best, weight = n, overlap
                states[b], energies[b], residuals[b] = state, energy, residual
            # No other level can hold more, or none is left to look at. The ground
            # state deforms smoothly into the lowest state of its own symmetry.
            own = level == 0 and overlap > SAME_SYMMETRY
            if follow and (own or weight >= 1.0 - seen - 1e-6 or n + 2 > dim // copies):
                break
        gap = second - energies[b] if follow and n == best else np.inf
        for k in range(n + 1):
            if k != best:
                gap = min(gap, abs(found[k] - energies[b]))
        if not follow and level + 1 < dim // copies:
            above, _, _ = lanczos(
                h, generic[n + 1], locked, energies[b], tolerance, basis, work
            )
            gap = min(gap, abs(above - energies[b]))
        gaps[b] = gap
        overlaps[b] = weight if follow else 1.0


@jit
def respond(
    layout, rows, sources, states, copies, tolerance, out, residuals, first, last
):
    """Solve (H - E) x = -P source by conjugate gradients, P projecting out the state.

    Valid where the state is the lowest: H - E is then positive on the complement. A
    direction of negative curvature ends the row with residual infinity.
    """
    dim = states.shape[1]
    h = allocate(layout, dim, states)
    r, p, q = np.empty((3, dim), states.dtype)
    own = np.empty((copies, dim), states.dtype)
    for b in range(first, last):
        fill(layout, rows[b], h)
        x, own[0] = out[b], states[b]
        if copies == 2:
            times_i(own[0], own[1])
        energy = apply(h, own[0], q)
        x[:] = 0.0
        r[:] = sources[b]
        r *= -1.0
        project(r, own)  # twice: r may be far smaller than what is taken away
        size = project(r, own) ** 2
        p[:] = r
        squared = size
        rounding = 1e-30 * dot(sources[b], sources[b])
        target = max(size * tolerance**2, rounding)
        steps = 0
        while size > target and steps < MAX_STEPS:
            curvature = apply(h, p, q) - energy * squared
            if curvature <= 0.0:
                size = np.inf
                break
            step = size / curvature
            before = size
            size = combine(r, 1.0, -step, q, step * energy, p)
            steps += 1
            if steps % REFRESH == 0:
                size = project(r, own) ** 2
            for i in range(dim):
                x[i] += step * p[i]
                p[i] = r[i] + (size / before) * p[i]
            squared = size + (size / before) ** 2 * squared
        project(x, own)
        residuals[b] = np.sqrt(size)
