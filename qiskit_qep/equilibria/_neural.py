r"""A positive restricted Boltzmann machine on NetKet's samplers, in compiled JAX.

.. math::
    u(s) = \ln\psi(s) = a\cdot s + \sum_h \ln\cosh\Big(b_h + \sum_q W_{hq} s_q\Big),
    \qquad O = \nabla_\theta u

Samples are drawn from psi^p, p < 2, and reweighted by psi^(2 - p): responses hang on
configurations that are rare in psi^2, and have no error bar where none of them is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import netket
import numpy as np
from jax.flatten_util import ravel_pytree

from ._tangents import CHAINS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from .._pauli import PauliTerms

COUNTED = 12  # qubits up to which samples are independent: all amplitudes are at hand
FEW = 10  # qubits up to which p is 1; beyond, N (2 - p)^2 stays, the weights' spread
THERMALIZE = 100  # sweeps of every chain before its samples
ALL_FLIP = 0.1  # of all moves: wells are often each other's mirror image
SLOW, FAST = 1.0, 200.0  # imaginary time of the first and last step, over sum |lambda|
STRIDE = 0.06  # longest step of a spin (pi / 4 is from all alike to one direction)
SHIFT = 1e-3  # of the mean of S's diagonal
FLOOR = 1e-10  # the same where all samples are one, as of a product state along Z


@dataclass(frozen=True, eq=False)
class Network:
    """A machine of some size and its sampler.

    Attributes:
        size: Number of parameters.
        power: p.
        log: (parameters, spins) -> u of every row of spins, +1 where a bit is 0.
        chains: (parameters, key) -> chains that have forgotten where they began.
        sweep: (parameters, chains, length) -> spins (CHAINS, length, N), and chains.
    """

    size: int
    power: float
    log: Callable[..., Any]
    chains: Callable[..., Any]
    sweep: Callable[..., Any]


@lru_cache(maxsize=16)
def network(num_qubits: int, alpha: int) -> Network:
    """Return the machine with alpha hidden spins for every one."""
    machine = netket.models.RBM(alpha=alpha, param_dtype=float)
    spins = netket.hilbert.Spin(0.5, num_qubits)
    shapes = jax.eval_shape(machine.init, jax.random.key(0), np.ones((1, num_qubits)))
    flat, tree = ravel_pytree(jax.tree.map(lambda a: np.zeros(a.shape), shapes))

    def log(theta: Any, s: Any) -> Any:
        return machine.apply(tree(theta), s)

    def drawn(theta: Any, s: Any) -> Any:  # samplers square it
        return 0.5 * power * log(theta, s)

    power = 2.0 - min(1.0, (FEW / num_qubits) ** 0.5)
    pieces = (_counted if num_qubits <= COUNTED else _walked)(spins, drawn)
    return Network(len(flat), power, log, *pieces)


def _counted(spins: Any, log: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    """Draw independent samples, of the probabilities of all configurations."""
    sampler = netket.sampler.ExactSampler(spins)
    every = jnp.asarray(spins.all_states(), float)

    def renewed(theta: Any, state: Any) -> Any:  # its reset cannot be compiled
        return state.replace(pdf=jax.nn.softmax(2.0 * log(theta, every)))

    def chains(theta: Any, key: Any) -> Any:
        return renewed(theta, sampler.init_state(log, theta, seed=key))

    def sweep(theta: Any, state: Any, length: int) -> Any:
        drawn, state = sampler.sample(
            log, theta, state=renewed(theta, state), chain_length=CHAINS * length
        )
        return drawn.reshape(CHAINS, length, -1).astype(float), state

    return chains, sweep


def _walked(spins: Any, log: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    """Let chains walk by single flips, and now and then by a flip of all spins."""
    rules = netket.sampler.rules
    each, every = rules.LocalRule(), rules.GlobalSpinFlipRule()
    rule = rules.MultipleRules((each, every), np.array([1 - ALL_FLIP, ALL_FLIP]))
    sampler = netket.sampler.MetropolisSampler(spins, rule, n_chains=CHAINS)

    def sweep(theta: Any, state: Any, length: int) -> Any:
        state = sampler.reset(log, theta, state)  # its probabilities are of old theta
        drawn, state = sampler.sample(log, theta, state=state, chain_length=length)
        return drawn.astype(float), state

    def chains(theta: Any, key: Any) -> Any:
        state = sampler.init_state(log, theta, seed=key)
        return sweep(theta, state, THERMALIZE)[1]

    return chains, sweep


def tables(terms: PauliTerms) -> tuple[NDArray[Any], ...]:
    """Return what strings do: flips, whose they are, Z masks, and i^(number of Y).

    Of the last only the real part: what is imaginary vanishes between real amplitudes.
    """
    bits = np.uint64(1) << np.arange(terms.num_qubits, dtype=np.uint64)
    masks, whose = np.unique(terms.flips, return_inverse=True)
    flips, signs = ((m[:, None] & bits) != 0 for m in (masks, terms.signs))
    factors = np.array([1.0, 0.0, -1.0, 0.0])[terms.num_y % 4]
    return padded(flips, 8), *map(padded, (whose, signs, factors))


def padded(array: NDArray[Any], block: int = 32) -> NDArray[Any]:
    """Append zeros up to a multiple, which are no flip or an identity: less to compile.

    Arrays of strings, which coefficients are too, have one length.
    """
    missing = -len(array) % block
    return np.pad(array, [(0, missing), *((array.ndim - 1) * [(0, 0)])])


def _neighbours(net: Network, theta: Any, s: Any, table: Any) -> tuple[Any, Any]:
    """Return P between s and its neighbour of every string, and ln psi'/psi."""
    flips, whose, signs, factors = table
    moved = jnp.where(flips, -s, s)
    steps = net.log(theta, moved) - net.log(theta, s[None])
    elements = factors * jnp.where(signs, moved[whose], 1.0).prod(axis=1)
    return elements, steps[whose]


def local(net: Network, theta: Any, spins: Any, table: Any, h: Any) -> Any:
    """Return (h psi)(s) / psi(s) of every sample."""

    def one(s: Any) -> Any:
        elements, steps = _neighbours(net, theta, s, table)
        return (h * elements * jnp.exp(steps)).sum()

    return jax.vmap(one)(spins)


def ends(net: Network, theta: Any, spins: Any, table: Any) -> Any:
    r"""Return what every sample says of every string, (samples, num_strings).

    A flip has two ends, and each stands for both with its share of probability,

    .. math:: 2 \psi\psi' / (\psi^p + \psi'^p) = w \cdot 2 x / (1 + x^p) \quad
              (x = \psi' / \psi, \; w = \psi^{2-p}),

    which is bounded, as x alone is not at the end that is hardly ever visited.
    """

    def one(s: Any) -> Any:
        elements, steps = _neighbours(net, theta, s, table)
        return 2.0 * elements / (jnp.exp(-steps) + jnp.exp((net.power - 1) * steps))

    return jax.vmap(one)(spins)


def weigh(net: Network, theta: Any, spins: Any) -> Any:
    """Return what turns averages over samples into those of the state, in sum 1."""
    return jax.nn.softmax((2 - net.power) * net.log(theta, spins))


@partial(jax.jit, static_argnums=0)
def slopes(net: Network, theta: Any, spins: Any) -> Any:
    """Return O of every sample."""
    slope = jax.grad(lambda t, s: net.log(t, s[None])[0])
    return jax.vmap(slope, (None, 0))(theta, spins)


@partial(jax.jit, static_argnums=0)
def energies(net: Network, theta: Any, spins: Any, table: Any, h: Any) -> Any:
    """Return local energies of all samples, and their derivatives by theta."""

    def one(t: Any, s: Any) -> Any:
        return local(net, t, s[None], table, h)[0]

    return jax.vmap(jax.value_and_grad(one), (None, 0))(theta, spins)


def flipped(
    net: Network, theta: Any, spins: Any, table: Any, num_strings: int
) -> Iterator[tuple[Any, Any]]:
    """Yield of every flip its strings, and O of all samples after it."""
    flips, whose = table[0], table[1][:num_strings]
    for f in np.unique(whose):
        moved = jnp.where(flips[f], -spins, spins)
        yield np.flatnonzero(whose == f), np.array(slopes(net, theta, moved))


@partial(jax.jit, static_argnums=(0, 5))
def look(net: Network, theta: Any, seed: Any, table: Any, h: Any, length: int) -> Any:
    """Draw samples: spins, chain after chain, weights, ``ends``, and h's ``local``."""
    chains = net.chains(theta, jax.random.key(seed))
    spins = _flat(net.sweep(theta, chains, length)[0])
    how = net, theta, spins
    return spins, weigh(*how), ends(*how, table), local(*how, table, h)


def _flat(spins: Any) -> Any:
    return spins.reshape(-1, spins.shape[-1])


@partial(jax.jit, static_argnums=(0, 5, 6))
def settle(
    net: Network, theta: Any, seed: Any, table: Any, h: Any, steps: int, length: int
) -> Any:
    r"""Let the state cool in imaginary time, and return its parameters.

    .. math::
        (S + \tau D)\, d\theta = -\tau f, \quad S = \langle \bar O \bar O \rangle,
        \quad f = \langle \bar O E \rangle, \quad D = \langle \bar O \nabla E \rangle

    This is stochastic reconfiguration, but implicit: D is positive (see ``_tangents``),
    so that tau may grow until steps are Newton's. The result is the mean of the last
    quarter of all steps, whose noise is smaller.
    """
    scale = jnp.abs(h).sum() + FLOOR

    def step(carry: Any, n: Any) -> Any:
        theta, chains = carry
        spins, chains = net.sweep(theta, chains, length)
        spins = _flat(spins)
        o, w = slopes(net, theta, spins), weigh(net, theta, spins)
        e, de = energies(net, theta, spins, table, h)
        o, e = o - w @ o, e - w @ e
        s, f, d = ((w[:, None] * o).T @ v for v in (o, e, de))
        speed = SLOW * (FAST / SLOW) ** jnp.minimum(4 * n / (3 * steps), 1.0)
        shift = SHIFT * (1 + speed) * jnp.trace(s) / net.size + FLOOR
        tau = speed / scale
        change = jnp.linalg.solve(s + tau * d + shift * jnp.eye(net.size), -tau * f)
        stride = jnp.sqrt(jnp.abs(change @ s @ change)) + FLOOR
        theta += change * jnp.minimum(1.0, STRIDE * spins.shape[1] ** 0.5 / stride)
        return (theta, chains), theta

    begin = theta, net.chains(theta, jax.random.key(seed))
    _, path = jax.lax.scan(step, begin, jnp.arange(steps))
    return path[(3 * steps) // 4 :].mean(axis=0)
