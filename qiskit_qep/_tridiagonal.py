"""The compiled eigenvalue solver of Lanczos' small matrix: its two lowest values.

alpha holds the diagonal, beta the positive off-diagonal; ``size`` of them count.
"""

import numpy as np

from ._native import jit


@jit
def eigenvalues_below(alpha, beta, size, x):
    """Count the eigenvalues below x of a tridiagonal matrix (Sturm sequence)."""
    count, q = 0, 1.0
    for i in range(size):
        coupling = beta[i - 1] * beta[i - 1] / q if i > 0 else 0.0
        q = alpha[i] - x - coupling
        if q == 0.0:
            q = 1e-300
        count += q < 0.0
    return count


@jit
def bounds(alpha, beta, size):
    """Return numbers below and above all eigenvalues (Gershgorin's circles)."""
    low, high = alpha[0], alpha[0]
    for i in range(size):
        reach = (beta[i - 1] if i > 0 else 0.0) + (beta[i] if i < size - 1 else 0.0)
        low, high = min(low, alpha[i] - reach), max(high, alpha[i] + reach)
    width = max(abs(low), abs(high), 1e-100)
    return low - 1e-15 * width, high, width


@jit
def tridiagonal_lowest(alpha, beta, size, guess, vector, inverse):
    """Return the lowest eigenvalue of a tridiagonal matrix; its vector is written.

    Laguerre's iteration on the characteristic polynomial: all roots are real, so from
    the left of the spectrum (from ``guess`` if that is there) it climbs to the lowest
    one, cubically, without passing. Then inverse iteration just below the root, where
    every pivot is positive.
    """
    x, _, width = bounds(alpha, beta, size)
    if np.isfinite(guess) and eigenvalues_below(alpha, beta, size, guess) == 0:
        x = max(x, guess)
    for _ in range(100):
        # q is the i-th pivot of T - x; first = q'/q and second = q''/q.
        q, first, second, s1, s2 = 1.0, 0.0, 0.0, 0.0, 0.0
        for i in range(size):
            ratio = beta[i - 1] * beta[i - 1] / q if i > 0 else 0.0
            q = alpha[i] - x - ratio
            if q <= 0.0:
                break
            slope = ratio * first - 1.0
            second = ratio * (second - 2.0 * first * first) / q
            first = slope / q
            s1 -= first
            s2 -= second - first * first
        if q <= 0.0:
            break  # at the root, to rounding
        spread = (size - 1) * max(size * s2 - s1 * s1, 0.0)
        step = size / (s1 + np.sqrt(spread))
        x += step
        if step < 4e-16 * width:
            break
    shift = x - 1e-14 * width
    for i in range(size):
        vector[i] = 1.0 - 2.0 * (i & 1)  # the lowest vector alternates, as beta > 0
        coupling = beta[i - 1] * beta[i - 1] * inverse[i - 1] if i > 0 else 0.0
        inverse[i] = 1.0 / (alpha[i] - shift - coupling)
    for _ in range(2):
        for i in range(1, size):
            vector[i] -= beta[i - 1] * inverse[i - 1] * vector[i - 1]
        vector[size - 1] *= inverse[size - 1]
        for i in range(size - 2, -1, -1):
            vector[i] = (vector[i] - beta[i] * vector[i + 1]) * inverse[i]
        squares = 0.0
        for i in range(size):
            squares += vector[i] * vector[i]
        for i in range(size):
            vector[i] /= np.sqrt(squares)
    return x


@jit
def second_lowest(alpha, beta, size, lowest):
    """Return the second eigenvalue of a tridiagonal matrix to 0.1 % of the gap."""
    if size < 2:
        return np.inf
    low, (_, high, width) = lowest, bounds(alpha, beta, size)
    scale = 1e-14 * width
    while high - low > 1e-3 * (high - lowest) and high - lowest > scale:
        middle = 0.5 * (low + high)
        if eigenvalues_below(alpha, beta, size, middle) >= 2:
            high = middle
        else:
            low = middle
    return high
