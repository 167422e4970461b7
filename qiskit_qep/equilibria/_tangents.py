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
ROUNDING = 1e-15  # of a variance


def measured(each: Array, weights: Array) -> tuple[Array, Array, float]:
    """Return weighted means, their covariance, and how much chains disagree.

    The covariance is from the scatter of whole chains, so that autocorrelation is in
    it. R-hat is the largest of all operators: the spread of all samples over that
    within chains.

    Args:
        each: Chain after chain, shape (samples, num_operators).
        weights: In sum 1, shape (samples,).
    """
    mean = weights @ each
    parts = (weights[:, None] * (each - mean)).reshape(CHAINS, -1, len(mean))
    length = parts.shape[1]
    chains = parts.sum(axis=1)
    covariance = CHAINS / (CHAINS - 1) * chains.T @ chains
    between = np.diag(covariance)
    within = length * parts.var(axis=1).sum(axis=0)  # what it were without correlation
    seen = between > ROUNDING
    ratio = between[seen] / np.maximum(within[seen], ROUNDING)
    rhat = np.sqrt(1 + (ratio - 1) / length)
    return mean, covariance, float(rhat.max(initial=1.0))


def respond(
    ends: Array,
    weights: Array,
    o: Array,
    slope: Array,
    force: Array,
    neighbours: Iterable[tuple[Any, Array]],
) -> tuple[Array, Array]:
    r"""Return what every sample says of d<P>, so that ``measured`` has its error.

    And the change of ln psi at the samples.

    .. math::
        d\langle P\rangle = 2\, a \cdot c, \quad D c = -b, \quad
        a = \langle P \bar O \rangle, \quad b = \langle \bar O\, dH \rangle

    A sample disturbs a directly, and c through the residual of the equation at that
    sample, which vanishes where the tangents span the change of the state.

    Args:
        ends: Every string between a sample and its neighbour, with the share of both
            ends, shape (samples, num_strings).
        weights: In sum 1, shape (samples,).
        o: O of the samples, shape (samples, num_parameters).
        slope: Derivatives of the local energies, same shape.
        force: dH(s), shape (samples,).
        neighbours: For every flip, its strings and O of the flipped samples.
    """
    center = weights @ o
    o = o - center
    spread, turn = np.linalg.eigh((weights[:, None] * o).T @ o)
    kept = spread > DISTINCT * spread[-1]
    turn = turn[:, kept] / np.sqrt(spread[kept])
    o, slope = o @ turn, slope @ turn
    bra = (weights[:, None] * o).T
    d, b = bra @ slope, bra @ force
    c = -np.linalg.solve(d, b)
    a, each = np.empty((ends.shape[1], len(c))), np.empty_like(ends)
    for strings, other in neighbours:
        both, share = o + (other - center) @ turn, ends[:, strings]
        each[:, strings] = share * (both @ c)[:, None]
        a[strings] = 0.5 * (weights[:, None] * share).T @ both
    left = -np.linalg.solve(d.T, a.T)
    residual = force + slope @ c
    residual -= weights @ residual
    change = o @ c
    each -= 2.0 * change[:, None] * (weights @ ends)
    each += 2.0 * residual[:, None] * (o @ left)
    return each, change
