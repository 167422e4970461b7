r"""Averages over samples of a positive state and its tangents, with their errors.

.. math::
    O_i(s) = \partial_i \ln\psi(s), \qquad S = \langle \bar O \bar O \rangle, \qquad
    D = \langle \bar O\, \nabla E \rangle
      = \tfrac12 \sum_{s,s'} |H_{ss'}|\, \psi_s \psi_{s'}\, (O_s - O_{s'})(O_s - O_{s'})

with bars for what is less its mean and E(s) the local energy. D, the Dirichlet form of
a Hamiltonian without sign problem, is positive: the matrix of H - E among the tangents
of its ground state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CHAINS = 64  # whose scatter is the standard error
DISTINCT = 1e-6  # of S's largest eigenvalue: tangents that samples tell apart


def measured(each: Array, weights: Array) -> tuple[Array, Array, float]:
    """Return means over all chains, their covariance, and how chains disagree.

    Args:
        each: Chain after chain, shape (samples, num_operators).

    Returns:
        Means and covariance from the scatter of chains' own means, so that
        autocorrelation is in it; the largest R-hat of all operators.
    """
    mean = weights @ each
    parts = (weights[:, None] * (each - mean)).reshape(CHAINS, -1, len(mean))
    apart = parts.sum(axis=1)
    covariance = CHAINS / (CHAINS - 1) * apart.T @ apart
    independent = parts.shape[1] * parts.var(axis=1).sum(axis=0)
    between = np.diag(covariance)
    seen = between > 1e-15
    rhat = np.sqrt(1 + (between / np.maximum(independent,1e-300) - 1)[seen]/parts.shape[1])
    return mean, covariance, float(rhat.max(initial=1.0))


def respond(
    ends: Array,
    o: Array,
    slope: Array,
    force: Array,
    neighbours: Iterable[tuple[Any, Array]],
    weights: Array,
) -> Array:
    r"""Return what every sample says of d<P>, so that ``measured`` has its error.

    .. math::
        d\langle P\rangle = 2\, a \cdot c, \quad D c = -b, \quad
        a = \langle P \bar O \rangle, \quad b = \langle \bar O\, dH \rangle

    A sample disturbs a directly, and c through the residual of the equation at that
    sample, which vanishes where the tangents span the change of the state.

    Args:
        ends: Every string between a sample and its neighbour, with the share of both
            ends, shape (samples, num_strings).
        o: O of the samples, shape (samples, num_parameters).
        slope: Derivatives of the local energies, same shape.
        force: dH(s), shape (samples,).
        neighbours: For every flip, its strings and O of the flipped samples.
    """
    center, force = weights @ o, force - weights @ force
    bra = (weights[:, None] * (o - center)).T
    spread, turn = np.linalg.eigh(bra @ (o - center))
    kept = spread > DISTINCT * spread[-1]
    turn = turn[:, kept] / np.sqrt(spread[kept])
    t, moved, bra = (o - center) @ turn, slope @ turn, turn.T @ bra
    d = bra @ moved
    c = -np.linalg.solve(d, bra @ force)
    residual = force + moved @ c
    a, each = np.empty((ends.shape[1], len(c))), np.empty_like(ends)
    for strings, other in neighbours:
        both, share = t + (other - center) @ turn, ends[:, strings]
        each[:, strings] = share * (both @ c)[:, None]
        a[strings] = (weights[:, None] * share).T @ both / 2
    left = -np.linalg.solve(d.T, a.T)
    each -= 2.0 * (weights @ ends) * (t @ c)[:, None]
    each += 2.0 * (t @ left) * (residual - weights @ residual)[:, None]
    return each
