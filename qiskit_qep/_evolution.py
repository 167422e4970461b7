r"""The compiled loops of a circuit of Pauli rotations, and of its derivatives.

A rotation exp(-i phi P / 2) of a string with X mask ``flip`` and Z mask ``sign`` mixes
the amplitudes j and j ^ flip:

    v[i] <- cos(phi/2) v[i] - i sin(phi/2) p(i ^ flip) v[i ^ flip],
    p(j) = i^(number of Y) (-1)^popcount(j & sign).

Rotations without a flip are phases. A run of them commutes, so its angles are summed
over all strings by one Walsh-Hadamard transform before any amplitude is touched.
"""

import numpy as np

from ._native import U, jit
from ._walsh import walsh_hadamard


@jit
def parity_sign(i):
    """Return (-1)^popcount(i) for i < 2^32."""
    i ^= i >> U(16)
    i ^= i >> U(8)
    i ^= i >> U(4)
    i ^= i >> U(2)
    i ^= i >> U(1)
    return 1.0 - 2.0 * np.float64(i & U(1))


@jit
def y_phase(flip, sign):
    """Return i^(number of Y) of a string."""
    count = 0
    both = flip & sign
    while both != U(0):
        both &= both - U(1)
        count += 1
    return (1 + 0j, 1j, -1 + 0j, -1j)[count % 4]


@jit
def end_of_phases(flips, g):
    """Return the end of the run of rotations without a flip that begins at g."""
    while g < flips.size and flips[g] == U(0):
        g += 1
    return g


@jit
def turn_phases(v, signs, angles, scale, table):
    """Apply a run of rotations without a flip, with their angles times ``scale``."""
    table[:] = 0.0
    for g in range(signs.size):
        table[signs[g]] += 0.5 * scale * angles[g]
    walsh_hadamard(table, U(table.size - 1))
    for i in range(v.size):
        v[i] *= np.cos(table[i]) - 1j * np.sin(table[i])


@jit
def turn(v, flip, sign, angle):
    """Apply one rotation that flips bits."""
    c, s = np.cos(0.5 * angle), np.sin(0.5 * angle)
    top = U(1)
    while top + top <= flip:
        top += top
    low = flip ^ top
    there = -1j * s * y_phase(flip, sign)
    back = there if parity_sign(flip & sign) > 0.0 else -there
    for g in range(U(0), U(v.size), top + top):
        if sign == U(0):
            for i in range(g, g + top):
                j = i ^ low ^ top
                a, b = v[i], v[j]
                v[i] = c * a + there * b
                v[j] = c * b + there * a
        else:
            for i in range(g, g + top):
                j = i ^ low ^ top
                a, b, p = v[i], v[j], parity_sign(i & sign)
                v[i] = c * a + back * p * b
                v[j] = c * b + there * p * a


@jit
def overlap(bra, ket, flip, sign):
    """Return Im <bra|P|ket>."""
    total, phase = 0j, y_phase(flip, sign)
    for j in range(U(ket.size)):
        total += np.conj(bra[j ^ flip]) * ket[j] * parity_sign(j & sign)
    return (phase * total).imag


@jit
def evolve(flips, signs, angles, states, first, last):
    """Apply all rotations to the rows first:last of states, from |0...0>."""
    table = np.empty(states.shape[1])
    for b in range(first, last):
        v = states[b]
        v[:] = 0.0
        v[0] = 1.0
        g = 0
        while g < flips.size:
            end = end_of_phases(flips, g)
            if end > g:
                turn_phases(v, signs[g:end], angles[b, g:end], 1.0, table)
                g = end
            else:
                turn(v, flips[g], signs[g], angles[b, g])
                g += 1


@jit
def differentiate(flips, signs, angles, kets, bras, out, first, last):
    r"""Write dE/dphi_g = Im <bra_g|P_g|ket_g>, undoing one rotation after the other.

    ``kets`` are the final states and ``bras`` H times them; both are used up.
    """
    table = np.empty(kets.shape[1])
    products = np.empty(kets.shape[1])
    for b in range(first, last):
        ket, bra = kets[b], bras[b]
        end = flips.size
        while end > 0:
            g = end - 1
            if flips[g] != U(0):
                out[b, g] = overlap(bra, ket, flips[g], signs[g])
                turn(ket, flips[g], signs[g], -angles[b, g])
                turn(bra, flips[g], signs[g], -angles[b, g])
            else:
                while g > 0 and flips[g - 1] == U(0):
                    g -= 1
                for i in range(ket.size):
                    products[i] = (np.conj(bra[i]) * ket[i]).imag
                walsh_hadamard(products, U(products.size - 1))
                for k in range(g, end):
                    out[b, k] = products[signs[k]]
                turn_phases(ket, signs[g:end], angles[b, g:end], -1.0, table)
                turn_phases(bra, signs[g:end], angles[b, g:end], -1.0, table)
            end = g


@jit
def turn_phase(v, sign, angle):
    """Apply one rotation that flips no bit."""
    c, s = np.cos(0.5 * angle), np.sin(0.5 * angle)
    for i in range(U(v.size)):
        v[i] *= c - 1j * s * parity_sign(i & sign)


@jit
def curve(flips, signs, angles, ket, bra, tangents, second):
    r"""Write all d|psi>/dphi_i, and Im <bra|P_j ... P_i|psi>, the Hessian's other half.

    .. math:: \partial_i\partial_j E = 2\,\mathrm{Re}\langle\partial_i\psi|H
              |\partial_j\psi\rangle + 2\,\mathrm{Re}\langle\psi|H
              |\partial_i\partial_j\psi\rangle

    ``ket`` and ``bra`` are |0...0> and U^dagger H |psi>; they end as |psi> and H |psi>.
    """
    for g in range(flips.size):
        flip, sign, angle = flips[g], signs[g], angles[g]
        for k in range(-2, g):
            v = ket if k == -2 else bra if k == -1 else tangents[k]
            if flip == U(0):
                turn_phase(v, sign, angle)
            else:
                turn(v, flip, sign, angle)
        phase, new = y_phase(flip, sign), tangents[g]
        for j in range(U(ket.size)):
            new[j ^ flip] = -0.5j * phase * parity_sign(j & sign) * ket[j]
        for k in range(g + 1):
            second[k, g] = second[g, k] = overlap(bra, tangents[k], flip, sign)
