"""The local gauge field that undoes what a finite speed excites."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Masks = NDArray[np.uint64]
    Array = NDArray[np.float64]


def gauge_field(
    flips: Masks, signs: Masks, path: Array, speed: Array, num_qubits: int
) -> Array:
    r"""Return the coefficients alpha_q of A = sum_q alpha_q Y_q along a path.

    .. math:: \min_\alpha \; \mathrm{tr}\,G^2, \qquad
              G = \partial_t H + i\,[A, H]

    which makes H + A follow the eigenstates of H as well as single-spin terms can.

    Args:
        flips: X mask of every string of H, shape (num_strings,).
        signs: Z mask of every string.
        path: Coefficients of H, shape (batch, steps, num_strings).
        speed: Their derivatives by t, same shape.
        num_qubits: N.

    Returns:
        alpha, shape (batch, steps, N).

    Reference:
        D. Sels and A. Polkovnikov, arXiv:1607.05687, Eqs. (5)-(7).
    """
    qubit = np.left_shift(np.uint64(1), np.arange(num_qubits, dtype=np.uint64))
    # i [Y_q, P_s] = 2 i Y_q P_s where they anticommute: a string again, with a sign.
    crossing = np.bitwise_count(qubit[:, None] & (flips ^ signs)) & 1
    q, s = np.nonzero(crossing)
    new_flips, new_signs = flips[s] ^ qubit[q], signs[s] ^ qubit[q]
    turns = 1 + 1 + _num_y(flips[s], signs[s]) - _num_y(new_flips, new_signs)
    turns += 2 * np.bitwise_count(qubit[q] & flips[s]).astype(int)
    factor = 2.0 * np.array([1, 0, -1, 0])[turns % 4]
    keys = np.stack([new_flips, new_signs], axis=1)
    targets, column = np.unique(keys, axis=0, return_inverse=True)
    commutators = np.zeros((*path.shape[:2], num_qubits, len(targets)))
    commutators[:, :, q, column.ravel()] = factor * path[:, :, s]  # no two coincide
    own = {(int(f), int(z)): k for k, (f, z) in enumerate(targets)}
    slope = np.zeros((*path.shape[:2], len(targets)))
    for k, key in enumerate(zip(flips.tolist(), signs.tolist(), strict=True)):
        if key in own:
            slope[:, :, own[key]] = speed[:, :, k]
    gram = commutators @ np.swapaxes(commutators, -1, -2)
    pull = commutators @ slope[..., None]
    ridge = 1e-12 * np.trace(gram, axis1=-2, axis2=-1)[..., None, None]
    solved = np.linalg.solve(gram + ridge * np.eye(num_qubits), -pull)
    return np.asarray(solved[..., 0])


def _num_y(flips: Masks, signs: Masks) -> NDArray[np.int64]:
    return np.asarray(np.bitwise_count(flips & signs), np.int64)
