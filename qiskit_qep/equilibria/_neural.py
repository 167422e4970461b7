r"""A positive restricted Boltzmann machine on NetKet, in compiled JAX.

.. math::
    u(s) = \ln\psi(s) = a\cdot s + \sum_h \ln\cosh\Big(b_h + \sum_q W_{hq} s_q\Big),
    \qquad O = \nabla_\theta u
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

    from .._pauli import PauliTerms

FEW = 10  # qubits up to which the power is 1
COUNTED = 12  # qubits up to which samples are independent: all amplitudes are at hand
THERMALIZE = 100  # sweeps of every chain before its samples
ALL_FLIP = 0.1  # of all moves: wells are often each other's mirror image
SPREAD = 0.1  # of the parameters that a machine begins with
SLOW, FAST = 1.0, 200.0  # imaginary time of the first and last step, over sum |lambda|
STRIDE = 0.1  # longest step, in the state's own metric
SHIFT = 1e-3  # of the mean of S's diagonal
FLOOR = 1e-10  # the same where all samples are one, as of a product state along Z


@dataclass(frozen=True, eq=False)
class Network:
    """A machine of some size and its sampler.

    Attributes:
        size: Number of parameters.
        power: Samples are drawn from psi to this power, and reweighted to its square.
        begin: key -> parameters near the uniform state.
        log: (parameters, spins) -> u of every row of spins, +1 where a bit is 0.
        chains: (parameters, key) -> chains at random spins.
        sweep: (parameters, chains, length) -> spins (CHAINS, length, N), and chains.
    """

    size: int
    power: float
    begin: Callable[[Any], Any]
    log: Callable[..., Any]
    chains: Callable[..., Any]
    sweep: Callable[..., Any]


@lru_cache(maxsize=16)
def network(num_qubits: int, alpha: int) -> Network:
    """Return the machine with alpha hidden spins for every one."""
    normal = jax.nn.initializers.normal(SPREAD)
    machine = netket.models.RBM(
        alpha=alpha,
        param_dtype=float,
        kernel_init=normal,
        hidden_bias_init=normal,
        visible_bias_init=normal,
    )
    spins = netket.hilbert.Spin(0.5, num_qubits)
    one = jnp.ones((1, num_qubits))
    flat, tree = ravel_pytree(machine.init(jax.random.key(0), one))

    def begin(key: Any) -> Any:
        return ravel_pytree(machine.init(key, one))[0]

    def log(theta: Any, s: Any) -> Any:
        return machine.apply(tree(theta), s)

    power = 2.0 - min(1.0, np.sqrt(FEW / num_qubits))

    def flat_log(theta: Any, s: Any) -> Any:
        return 0.5 * power * log(theta, s)

    pieces = (_counted if num_qubits <= COUNTED else _walked)(spins, flat_log)
    return Network(len(flat), float(power), begin, log, *pieces)


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


def tables(terms: PauliTerms) -> tuple[Any, ...]:
    """Return what strings do: flips, whose they are, Z masks, and i^(number of Y).

    Of the last only the real part: the others vanish between real amplitudes.
    """
    bits = np.uint64(1) << np.arange(terms.num_qubits, dtype=np.uint64)
    masks, whose = np.unique(terms.flips, return_inverse=True)
    flips, signs = ((m[:, None] & bits) != 0 for m in (masks, terms.signs))
    factors = np.array([1.0, 0.0, -1.0, 0.0])[terms.num_y % 4]
    return padded(flips, 8), *map(padded, (whose, signs, factors))


def padded(array: Any, block: int = 32) -> Any:
    """Append zeros up to a multiple, which are no flip or an identity: less to compile.

    Arrays of strings, which coefficients are too, have one length.
    """
    missing = -len(array) % block
    return jnp.pad(jnp.asarray(array), [(0, missing), *((array.ndim - 1) * [(0, 0)])])


def _neighbours(net: Network, theta: Any, s: Any, table: Any) -> tuple[Any, Any]:
    """Return P between s and its neighbour of every string, and ln psi'/psi."""
    flips, whose, signs, factors = table
    moved = jnp.where(flips, -s, s)
    steps = net.log(theta, moved) - net.log(theta, s[None])
    elements = factors * jnp.where(signs, moved[whose], 1.0).prod(axis=1)
    return elements, steps[whose]


@partial(jax.jit, static_argnums=0)
def ends(net: Network, theta: Any, spins: Any, table: Any) -> Any:
    r"""Return what every sample says of every string, (samples, num_strings).

    A flip has two ends, and each stands for both with its share of probability,

    .. math:: 2 \psi\psi' / (\psi^2 + \psi'^2) = 1 / \cosh(u' - u) \le 1,

    where psi' / psi is large at one of them, which is hardly ever visited.
    """

    def one(s: Any) -> Any:
        elements, steps = _neighbours(net, theta, s, table)
        return 2 * elements / (jnp.exp(-steps) + jnp.exp((net.power - 1) * steps))

    return jax.vmap(one)(_flat(spins))


@partial(jax.jit, static_argnums=0)
def weigh(net: Network, theta: Any, spins: Any) -> Any:
    """Return what turns averages over samples into those of the state, in sum 1."""
    return jax.nn.softmax((2 - net.power) * net.log(theta, _flat(spins)))


@partial(jax.jit, static_argnums=0)
def local(net: Network, theta: Any, spins: Any, table: Any, h: Any) -> Any:
    """Return (h psi)(s) / psi(s) of every sample."""

    def one(s: Any) -> Any:
        elements, steps = _neighbours(net, theta, s, table)
        return (h * elements * jnp.exp(steps)).sum()

    return jax.vmap(one)(_flat(spins))


@partial(jax.jit, static_argnums=0)
def slopes(net: Network, theta: Any, spins: Any) -> Any:
    """Return O of every sample."""
    slope = jax.grad(lambda t, s: net.log(t, s[None])[0])
    return jax.vmap(slope, (None, 0))(theta, _flat(spins))


@partial(jax.jit, static_argnums=0)
def energies(net: Network, theta: Any, spins: Any, table: Any, h: Any) -> Any:
    """Return local energies and their derivatives by theta."""

    def one(t: Any, s: Any) -> Any:
        elements, steps = _neighbours(net, t, s, table)
        return (h * elements * jnp.exp(steps)).sum()

    return jax.vmap(jax.value_and_grad(one), (None, 0))(theta, _flat(spins))


def flipped(
    net: Network, theta: Any, spins: Any, table: Any, num_strings: int
) -> Iterator[tuple[Any, Any]]:
    """Yield of every flip its strings, and O of all samples after it."""
    flips, whose = np.array(table[0]), np.array(table[1])[:num_strings]
    for f in np.unique(whose):
        moved = jnp.where(flips[f], -spins, spins)
        yield np.flatnonzero(whose == f), np.array(slopes(net, theta, moved))


def _flat(spins: Any) -> Any:
    """Return spins of chains one after another."""
    return spins.reshape(-1, spins.shape[-1])


def first(net: Network, seed: int) -> Any:
    """Return parameters to begin with."""
    return net.begin(jax.random.key(seed))


@partial(jax.jit, static_argnums=(0, 3))
def draw(net: Network, theta: Any, seed: Any, length: int) -> Any:
    """Draw (CHAINS, length, N) spins from the square of the state."""
    chains = net.chains(theta, jax.random.key(seed))
    return net.sweep(theta, chains, length)[0]


@partial(jax.jit, static_argnums=(0, 5, 6))
def settle(
    net: Network, theta: Any, seed: Any, table: Any, h: Any, steps: int, length: int
) -> Any:
    r"""Let the state cool in imaginary time, and return its parameters.

    .. math::
        (S + \tau D)\, d\theta = -\tau f, \quad S = \langle \bar O \bar O \rangle,
        \quad f = \langle \bar O E \rangle, \quad D = \langle \bar O \nabla E \rangle,

    which is stochastic reconfiguration, but implicit: D is positive (see
    ``_tangents``), so that tau may grow until steps are Newton's. The result is the
    mean of the last quarter of all steps.
    """
    scale = jnp.abs(h).sum() + FLOOR

    def step(carry: Any, n: Any) -> Any:
        theta, chains = carry
        spins, chains = net.sweep(theta, chains, length)
        o = slopes(net, theta, spins)
        e, de = energies(net, theta, spins, table, h)
        w = weigh(net, theta, spins)
        o, e = o - w @ o, e - w @ e
        s, f, d = ((w[:, None] * o).T @ v for v in (o, e, de))
        speed = SLOW * (FAST / SLOW) ** jnp.minimum(4 * n / (3 * steps), 1.0)
        tau = speed / scale
        shift = SHIFT * (1 + speed) * jnp.trace(s) / net.size + FLOOR
        matrix = s + tau * d + shift * jnp.eye(net.size)
        change = -jnp.linalg.solve(matrix, tau * f)
        stride = jnp.sqrt(jnp.abs(change @ s @ change)) + FLOOR
        theta += change * jnp.minimum(1.0, STRIDE / stride)
        return (theta, chains), theta

    begin = theta, net.chains(theta, jax.random.key(seed))
    _, path = jax.lax.scan(step, begin, jnp.arange(steps))
    return path[(3 * steps) // 4 :].mean(axis=0)
