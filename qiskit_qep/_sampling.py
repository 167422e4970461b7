"""The compiled part of shots: where random points fall, and how strings agree."""

import numpy as np

from ._native import U, jit
from ._simd import popcount
from ._walsh import walsh_hadamard

BLOCK = 64  # probabilities that are skipped at once, and shots in one word


@jit
def born(parts, mask):
    """Replace the rows (re, im) of v by |<i|U|v>|^2 in the first of them.

    U is Hadamard gates on the qubits of the mask; the sum is left as it comes.
    """
    for part in parts:
        walsh_hadamard(part, mask)
    for i in range(parts.shape[1]):
        parts[0, i] *= parts[0, i]
    for part in parts[1:]:
        for i in range(part.size):
            parts[0, i] += part[i] * part[i]


@jit
def place(weights, points, outcomes):
    """Write between which cumulated weights every one of ascending points falls.

    Points are shares of the sum of the weights. One pass adds up blocks and another
    one enters those that points fall into, so that few weights are added one by one.
    """
    blocks = (weights.size + BLOCK - 1) // BLOCK
    sums, total = np.zeros(blocks), 0.0
    for k in range(blocks):
        part = weights[k * BLOCK : (k + 1) * BLOCK]
        for i in range(part.size):
            sums[k] += part[i]
        total += sums[k]
    k, i, passed, inside = 0, 0, 0.0, 0.0
    for t in range(points.size):
        target = points[t] * total
        while k < blocks - 1 and passed + sums[k] <= target:
            passed += sums[k]
            k, i, inside = k + 1, k * BLOCK + BLOCK, 0.0
        end = min((k + 1) * BLOCK, weights.size) - 1
        while i < end and passed + inside + weights[i] <= target:
            inside += weights[i]
            i += 1
        outcome = i
        while weights[outcome] == 0.0 and outcome > 0:
            outcome -= 1  # rounding went past the last possible one
        outcomes[t] = outcome


@jit
def disagreements(outcomes, supports):
    """Count the shots whose parities on two supports differ, for all pairs.

    The parity is one bit per shot, so that a pair takes one xor per 64 shots: 15 times
    as fast as a product of matrices of signs. On the diagonal are the odd parities.
    """
    words = (outcomes.size + BLOCK - 1) // BLOCK
    qubits, size = np.zeros((64, words), np.uint64), supports.size
    for t in range(U(outcomes.size)):
        rest, q = outcomes[t], 0
        while rest:
            qubits[q, t // U(64)] |= (rest & U(1)) << (t % U(64))
            rest >>= U(1)
            q += 1
    odd = np.zeros((size, words), np.uint64)
    for a in range(size):
        for q in range(64):
            if supports[a] >> U(q) & U(1):
                for w in range(words):
                    odd[a, w] ^= qubits[q, w]
    counts = np.zeros((size, size), np.int64)
    for a in range(size):
        for b in range(a):
            count = U(0)
            for w in range(words):
                count += popcount(odd[a, w] ^ odd[b, w])
            counts[a, b] = counts[b, a] = count
        for w in range(words):
            counts[a, a] += popcount(odd[a, w])
    return counts
