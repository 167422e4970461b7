"""The compiled part of shots: where random points fall, and how strings agree."""

import numpy as np

from ._native import U, jit
from ._simd import popcount
from ._walsh import walsh_hadamard

BLOCK = 32  # probabilities that are skipped at once
WORD = 64  # shots in one


@jit
def weigh(states, populations, setting, basis, weights, room, first, last):
    """Write sum_n p_n |<i|U|n>|^2 times a power of two, for rows in one setting.

    Args:
        states: Re and im, shape (batch, levels, dim, 1 or 2).
        populations: p, shape (batch, levels).
        setting: Its number.
        basis: The qubits that U turns from X or Y to Z, and those in Y among them.
        weights: To write to, shape (batch, num_settings, dim).
        room: An array of dim numbers, in the first place.
        first: Of the rows.
        last: The one after the last row.
    """
    flips, in_y = basis
    for b in range(first, last):
        mix(states[b], populations[b], flips, in_y, room[0], weights[b, setting])


@jit
def draw(states, populations, setting, basis, points, outcomes, room, first, last):
    """Write which bitstrings points fall on, among the weights of ``weigh``.

    Args:
        states: As there.
        populations: As there.
        setting: As there.
        basis: As there.
        points: Ascending shares of 1, shape (batch, num_settings, shots).
        outcomes: To write to, same shape.
        room: Two arrays of dim numbers.
        first: Of the rows.
        last: The one after the last row.
    """
    flips, in_y = basis
    for b in range(first, last):
        mix(states[b], populations[b], flips, in_y, room[0], room[1])
        place(room[1], points[b, setting], outcomes[b, setting])


@jit
def mix(states, populations, flips, in_y, part, weights):
    """Write the weights of one row."""
    for i in range(weights.size):
        weights[i] = 0.0
    for n in range(populations.size):
        if populations[n] > 0.0:
            born(states[n], flips, in_y, populations[n], part, weights)


@jit
def born(state, flips, in_y, share, part, weights):
    """Add share |<i|U|v>|^2 times a power of two to the weights."""
    factor, parts = part.dtype.type(share), state.shape[1]
    if not flips:
        for i in range(weights.size):
            square = state[i, 0] * state[i, 0]
            if parts == 2:
                square += state[i, 1] * state[i, 1]
            weights[i] += factor * part.dtype.type(square)
        return
    for k in range(2 if in_y or parts == 2 else 1):
        if in_y:
            turn(state, in_y, k, part)
        else:
            for i in range(part.size):
                part[i] = state[i, k]
        walsh_hadamard(part, flips)
        for i in range(part.size):
            weights[i] += factor * part[i] * part[i]


@jit
def turn(state, in_y, k, part):
    """Write the real (k = 0) or imaginary part of (-i)^popcount(i & in_y) v[i].

    In order of the power, and from the next one on if k = 1: re, im, -re, -im of v.
    """
    for i in range(U(part.size)):
        turns = (popcount(i & in_y) + U(k)) & U(3)
        number = 0.0
        if turns & U(1) == U(0) or state.shape[1] == 2:
            number = state[i, turns & U(1)]
        part[i] = -number if turns >= U(2) else number


@jit
def place(weights, points, outcomes):
    """Write between which cumulated weights every one of ascending points falls.

    Points are shares of the sum of the weights. First blocks are found, by their sums,
    then all places within blocks: these look-ups miss the cache, and without branches
    the processor has several of them under way.
    """
    blocks = (weights.size + BLOCK - 1) // BLOCK
    sums, rest, total = np.zeros(blocks), np.empty(points.size), 0.0
    for k in range(blocks):
        part = weights[k * BLOCK : (k + 1) * BLOCK]
        for i in range(part.size):
            sums[k] += part[i]
        total += sums[k]
    k, passed = 0, 0.0
    for t in range(points.size):
        target = points[t] * total
        while k < blocks - 1 and passed + sums[k] <= target:
            passed += sums[k]
            k += 1
        outcomes[t], rest[t] = k * BLOCK, target - passed
    for t in range(points.size):
        part = weights[outcomes[t] : outcomes[t] + U(BLOCK)]
        inside, beyond = 0.0, 0
        for i in range(part.size - 1):
            inside += part[i]
            beyond += inside <= rest[t]
        outcome = outcomes[t] + U(beyond)
        while weights[outcome] == 0.0 and outcome > U(0):
            outcome -= U(1)  # rounding went past the last possible one
        outcomes[t] = outcome


@jit
def moments(
    setting,
    seen,
    counted,
    shots,
    supports,
    operators,
    room,
    values,
    covariance,
    first,
    last,
):
    """Add what the shots of one setting say of operators, and its covariance.

    Args:
        setting: Its number.
        seen: The outcomes, shape (batch, num_settings, shots), or how often each of
            all was seen, (batch, num_settings, dim).
        counted: Whether it is the latter.
        shots: Of a row and setting.
        supports: Of the strings.
        operators: Their weights of the strings, as (begins, strings, weights).
        room: As many numbers as there are bitstrings, or none.
        values: To add to, shape (batch, num_operators).
        covariance: To add to, shape (batch, num_operators, num_operators).
        first: Of the rows.
        last: The one after the last row.
    """
    sums = np.empty((supports.size, supports.size))
    for b in range(first, last):
        if room.size == 0:
            agree_by_words(seen[b, setting], supports, sums)
        else:
            fill(seen[b, setting], counted, room)
            agree_by_transform(room, supports, sums)
        combine(sums, shots, operators, values[b], covariance[b])


@jit
def combine(sums, shots, operators, values, covariance):
    """Add the means of operators and their covariance, given the sums of strings."""
    begins, strings, weights = operators
    unseen, rest = (2.0 / (shots + 1)) ** 2, 1.0 / max(shots - 1, 1)
    sums /= shots
    for i in range(values.size):
        for p in range(begins[i], begins[i + 1]):
            values[i] += weights[p] * sums[strings[p], strings[p]]
        for j in range(i + 1):
            total = 0.0
            for p in range(begins[i], begins[i + 1]):
                x = strings[p]
                for q in range(begins[j], begins[j + 1]):
                    y = strings[q]
                    both = 1.0 if x == y else sums[x, y]
                    error = (both - sums[x, x] * sums[y, y]) * rest
                    error += unseen if x == y else 0.0
                    total += weights[p] * weights[q] * error
            covariance[i, j] += total
            if i != j:
                covariance[j, i] += total


@jit
def fill(seen, counted, tally):
    """Write how often every outcome was seen."""
    for i in range(tally.size):
        tally[i] = seen[i] if counted else 0
    if not counted:
        for t in range(seen.size):
            tally[seen[t]] += 1


@jit
def agree_by_transform(tally, supports, sums):
    """Write sum_t s_a s_b of all pairs of strings, and sum_t s_a on the diagonal.

    The Walsh-Hadamard transform of a histogram is sum_t (-1)^popcount(i_t & z), so that
    it has the sum of s_a s_b at z = a ^ b. The histogram is used up.
    """
    walsh_hadamard(tally, U(tally.size - 1))
    for a in range(supports.size):
        for b in range(a):
            sums[a, b] = sums[b, a] = tally[supports[a] ^ supports[b]]
        sums[a, a] = tally[supports[a]]


@jit
def agree_by_words(outcomes, supports, sums):
    """Do the same where there are fewer shots than bitstrings.

    The parity is one bit per shot, so that a pair takes one xor per 64 shots: 15 times
    as fast as a product of matrices of signs.
    """
    words = (outcomes.size + WORD - 1) // WORD
    qubits, size = np.zeros((64, words), np.uint64), supports.size
    for t in range(U(outcomes.size)):
        rest, q = outcomes[t], 0
        while rest:
            qubits[q, t // U(WORD)] |= (rest & U(1)) << (t % U(WORD))
            rest >>= U(1)
            q += 1
    odd = np.zeros((size, words), np.uint64)
    for a in range(size):
        for q in range(64):
            if supports[a] >> U(q) & U(1):
                for w in range(words):
                    odd[a, w] ^= qubits[q, w]
    for a in range(size):
        for b in range(a + 1):
            count = U(0)
            for w in range(words):
                count += popcount(odd[a, w] ^ odd[b, w] if a != b else odd[a, w])
            sums[a, b] = sums[b, a] = outcomes.size - 2.0 * count
