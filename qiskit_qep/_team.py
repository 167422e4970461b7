"""Threads that settle one large state together, each on blocks of its own.

Every thread of a team runs the same compiled solver on the same arrays, but touches
only its own part of each, and waits for the others before it reads theirs. Sums are
made block by block and added in the order of the blocks: all threads see the same
numbers and take the same turns, and find the same bits as one thread alone.

A team is the tuple ``(rank, size, turn, arrived, sums)``: which thread this is of how
many, how often it has waited; how often anyone has, and the sums of two turns.
"""

import numpy as np

from ._native import U, count_up, current, give_way, jit

BLOCK_BITS = 18  # 2 MB of float64: smaller blocks pay for a second pass up to N = 18
COLUMNS = 256  # into which the blocks are cut where work goes across them
COLUMN = (1 << BLOCK_BITS) // COLUMNS  # numbers: 8 kB of float64, two pages
SPINS = 1000  # looks at the counter before a waiting thread gives way


def team_of(size, dim):
    """Return the team as each of its threads sees it, for vectors of one length."""
    sums = np.empty((2, max(dim >> BLOCK_BITS, COLUMNS)))
    shared = np.zeros(1, np.int64), sums
    return [(rank, size, np.zeros(1, np.int64), *shared) for rank in range(size)]


@jit
def share(count, team):
    """Return the first of ``count`` items that are this thread's, and the end."""
    count, rank, size = U(count), U(team[0]), U(team[1])
    return count * rank // size, count * (rank + U(1)) // size


@jit
def block_size(v):
    """Return how long the blocks of a vector are."""
    return min(U(v.size), U(1) << U(BLOCK_BITS))


@jit
def mine(v, team):
    """Return this thread's part of a vector."""
    block = block_size(v)
    first, end = share(U(v.size) // block, team)
    return v[first * block : end * block]


@jit
def wait(team):
    """Return when all threads of the team have come here."""
    _, size, turn, arrived, _ = team
    turn[0] += 1
    if size > 1:
        count_up(arrived)
        spins = 0
        while current(arrived) < size * turn[0]:
            spins += 1
            if spins > SPINS:
                give_way()


@jit
def put(total, block, team):
    """Keep the sum of one block for ``together``."""
    _, _, turn, _, sums = team
    sums[turn[0] & 1, block] = total


@jit
def together(count, team):
    """Return the total of the sums of ``count`` blocks, when all are there.

    A thread may be one turn ahead of another that still reads: hence two rows.
    """
    _, _, turn, _, sums = team
    row = sums[turn[0] & 1]
    wait(team)
    total = 0.0
    for block in range(count):
        total += row[block]
    return total
