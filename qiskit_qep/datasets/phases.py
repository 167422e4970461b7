"""Points of phase diagrams, and the phase each of them lies in."""

import numpy as np

from .sets import Floats, require


def cluster_ising(
    num_samples: int = 1000, *, seed: int | None = None
) -> tuple[Floats, Floats]:
    """Points of the cluster-Ising phase diagram, and the phase each of them lies in.

        H = g_ZXZ sum_j Z_j X_{j+1} Z_{j+2} - g_ZZ sum_j Z_j Z_{j+1} - g_X sum_j X_j

    Coding: x = (g_ZXZ, g_ZZ, g_X) >= 0 with sum 4, uniform in that triangle; y one-hot,
    columns (cluster, ferromagnet, paramagnet) as the couplings and as the authors'
    readouts (1+Z1)(1+Z2)/4, (1+Z1)(1-Z2)/4, (1-Z1)(1-Z2)/4; ``y.argmax(axis=1)`` is the
    class number. Exact for the infinite chain: ferromagnet if g_ZZ >= 2, else cluster
    if 2 g_X < 4 - g_ZZ, else paramagnet. Areas 3/8, 1/4, 3/8: a constant guess scores
    .375. Source: made here; C. C. Wanjura, F. Marquardt, arXiv:2406.06482.

    Args:
        num_samples: number of points (>= 1).
        seed: where the randomness enters.

    Returns:
        x (num_samples, 3) and y (num_samples, 3).

    Raises:
        ValueError: if `num_samples` < 1.

    Example:
        >>> cluster_ising(100, seed=7)[1].sum(axis=0).tolist()
        [35.0, 33.0, 32.0]
    """
    x = _triangle(num_samples, seed)
    g_zz, g_x = x[:, 1], x[:, 2]
    phase = np.where(g_zz >= 2, 1, np.where(2 * g_x < 4 - g_zz, 0, 2))
    return x, np.eye(3)[phase]


def kitaev_honeycomb(
    num_samples: int = 1000, *, seed: int | None = None
) -> tuple[Floats, Floats]:
    """Points of the phase diagram of Kitaev's honeycomb, and the phase of each.

        H = -J_x sum_x XX - J_y sum_y YY - J_z sum_z ZZ

    Coding: x = (J_x, J_y, J_z) >= 0 with sum 4, uniform in that triangle; y one-hot,
    columns (A_x, A_y, A_z, B): gapped where one coupling exceeds the sum of the other
    two, A_a if J_a > 2, gapless (B) elsewhere. Exact for the infinite plane. Areas 1/4
    each: a constant guess scores .25. Source: made here; A. Kitaev,
    arXiv:cond-mat/0506438, Fig. 5.

    Args:
        num_samples: number of points (>= 1).
        seed: where the randomness enters.

    Returns:
        x (num_samples, 3) and y (num_samples, 4).

    Raises:
        ValueError: if `num_samples` < 1.

    Example:
        >>> kitaev_honeycomb(100, seed=7)[1].sum(axis=0).tolist()
        [25.0, 33.0, 25.0, 17.0]
    """
    x = _triangle(num_samples, seed)
    phase = np.where(x.max(axis=1) > 2, x.argmax(axis=1), 3)
    return x, np.eye(4)[phase]


def _triangle(num_samples: int, seed: int | None) -> Floats:
    """Draw points with three coordinates >= 0 of sum 4, uniformly."""
    require(num_samples >= 1, f"num_samples is {num_samples}; pass at least 1")
    return 4 * np.random.default_rng(seed).dirichlet((1, 1, 1), size=num_samples)
