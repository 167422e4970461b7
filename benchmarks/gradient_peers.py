"""Peers that differentiate: JAX through eigh, PennyLane's adjoint method."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from .problems import Network


def jax_gradient(network: Network) -> Callable[[], Any] | None:
    """Compile the gradient of the squared error by automatic differentiation of eigh.

    All rows of the network are one batch; the result is the batch mean.
    """
    if find_spec("jax") is None:
        return None
    import jax
    import jax.numpy as jnp

    n, count = network.num_spins, len(network.edges)
    index = np.arange(1 << n)
    signs = jnp.asarray(network.signs)
    pairs = signs[network.edges[:, 0]] * signs[network.edges[:, 1]]
    driven, read = signs[: network.model.num_inputs], jnp.asarray(network.read)

    def loss(theta: Any, x: Any, y: Any) -> Any:
        couplings, h, b = theta[:count], theta[count : count + n], theta[count + n :]
        matrix = -jnp.diag(couplings @ pairs + b @ signs + x @ driven)
        for k in range(n):
            matrix = matrix.at[index, index ^ (1 << k)].add(-h[k])
        state = jnp.linalg.eigh(matrix)[1][:, 0]
        return jnp.sum((read @ state**2 - y) ** 2)

    def mean(theta: Any, x: Any, y: Any) -> Any:
        return jnp.mean(jax.vmap(loss, (None, 0, 0))(theta, x, y))

    gradient = jax.jit(jax.grad(mean))
    arguments = [jnp.asarray(a) for a in (network.theta, network.x, network.y)]
    return lambda: np.asarray(gradient(*arguments))


def pennylane_gradient(network: Network) -> Callable[[], Any] | None:
    """Prepare one evaluation of a VQE: energy and gradient of N/2 layers, adjoint.

    This is another task, a step towards one ground state, of which a VQE takes
    hundreds.
    """
    if find_spec("pennylane") is None or find_spec("pennylane_lightning") is None:
        return None
    import pennylane as qml

    n = network.num_spins
    total = network.model.hamiltonian(network.theta, network.x[0])
    pauli = {"X": qml.PauliX, "Y": qml.PauliY, "Z": qml.PauliZ}
    words, weights = [], []
    for letters, spins, coefficient in total.to_sparse_list():
        pairs = zip(letters, spins, strict=True)
        words.append(qml.prod(*(pauli[letter](k) for letter, k in pairs)))
        weights.append(float(coefficient.real))
    energy = qml.dot(weights, words)

    def expectation(angles: Any) -> Any:
        for k in range(n):
            qml.Hadamard(k)
        for layer in angles:
            for (j, k), angle in zip(network.edges, layer, strict=False):
                qml.IsingZZ(angle, wires=[int(j), int(k)])
            for k in range(n):
                qml.RX(layer[len(network.edges) + k], wires=k)
                qml.RZ(layer[len(network.edges) + n + k], wires=k)
        return qml.expval(energy)

    device = qml.device("lightning.qubit", wires=n)
    gradient = qml.grad(qml.QNode(expectation, device, diff_method="adjoint"))
    shape = (max(1, n // 2), len(network.theta))
    angles = qml.numpy.array(
        np.random.default_rng(0).normal(scale=0.1, size=shape), requires_grad=True
    )
    return lambda: gradient(angles)
