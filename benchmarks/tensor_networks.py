r"""Train a long chain by matrix-product states: ``python -m benchmarks.tensor_networks``.

The chain, H = -sum J_k Z_k Z_{k+1} - sum h_k X_k, has no longitudinal fields, so that
free fermions give its values, gradient and gap in closed form, whatever its length. Two
transverse fields beside the middle are the inputs, a correlation there is read, and the
task is AND: an exact check of every step beside the time it takes.
"""

from __future__ import annotations

import os
import resource
import time
from argparse import ArgumentParser, Namespace
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from ._threads import one_thread

os.environ |= one_thread()  # read by NumPy when it is loaded, here and in workers

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from qiskit.quantum_info import SparsePauliOp  # noqa: E402

import qiskit_qep as qep  # noqa: E402

Array = NDArray[np.float64]

X = 0.4 * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
Y = np.array([[0.2], [0.6], [0.6], [0.6]])


def chain(num_spins: int) -> qep.Model:
    """Return the chain, driven and read around its middle."""

    def minus(letters: str, *where: int) -> SparsePauliOp:
        return SparsePauliOp.from_sparse_list([(letters, where, -1.0)], num_spins)

    middle = num_spins // 2
    return qep.Model(
        [minus("ZZ", k, k + 1) for k in range(num_spins - 1)]
        + [minus("X", k) for k in range(num_spins)],
        inputs=[minus("X", middle - 1), minus("X", middle)],
        readout=[-minus("ZZ", middle - 1, middle)],
    )


def free_fermions(num_spins: int, theta: Array) -> tuple[Array, Array]:
    """Return the exact predictions of all samples, and their gaps.

    The energy is minus the sum of the singular values of the matrix with h on its
    diagonal and J beside it, so that the values are its polar factor; the gap is twice
    the smallest singular value.
    """
    middle = num_spins // 2
    J, h = theta[: num_spins - 1], np.tile(theta[num_spins - 1 :], (len(X), 1))
    h[:, middle - 1 : middle + 1] += X
    matrices = np.diag(J, 1) + h[:, :, None] * np.eye(num_spins)
    u, s, vt = np.linalg.svd(matrices)
    return (u @ vt)[:, middle - 1, middle], 2 * s[:, -1]


def exact_gradient(num_spins: int, theta: Array) -> Array:
    """Return the gradient of the mean loss, by differences of free fermions."""

    def loss(at: Array) -> float:
        return float(((free_fermions(num_spins, at)[0] - Y[:, 0]) ** 2).mean())

    step = 1e-4 * np.eye(len(theta))
    near = np.array([loss(theta + s) - loss(theta - s) for s in step])
    far = np.array([loss(theta + 2 * s) - loss(theta - 2 * s) for s in step])
    return (8 * near - far) / 12e-4


def main() -> None:
    """Train, and print loss, gap, errors and seconds of every step."""
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--spins", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--max-bond", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    train(parser.parse_args())


def train(how: Namespace) -> None:
    """Train with the settings of the command line."""
    model = chain(how.spins)
    rng = np.random.default_rng(how.seed)
    couplings, fields = [0.6, 1.0], [how.spins - 1, how.spins]
    theta = np.repeat(couplings, fields) + 0.05 * rng.standard_normal(sum(fields))
    begun, losses, gaps = time.perf_counter(), [], []
    with ProcessPoolExecutor(how.workers, get_context("spawn")) as pool:
        steps = qep.steps(
            model,
            X,
            Y,
            theta=theta,
            optimizer=qep.adam(0.05),
            equilibrium=qep.Parallel(qep.TensorNetwork(how.max_bond), pool, rows=1),
            nudge=qep.Nudge.centered(0.1),
            seed=how.seed,
        )
        print("step  loss      gap   error of loss  error of gradient  seconds")
        for state in steps:
            p, gap = free_fermions(how.spins, state.theta)
            exact = float(((p - Y[:, 0]) ** 2).mean())
            slope = exact_gradient(how.spins, state.theta)
            error = np.abs(state.gradient.values - slope).max() / np.abs(slope).max()
            losses.append(state.loss)
            gaps.append(gap.min())
            print(
                f"{state.step:4d}  {state.loss:.6f}  {gap.min():.2f}  "
                f"{abs(state.loss - exact):13.1e}  {error:17.1e}  "
                f"{time.perf_counter() - begun:7.0f}",
                flush=True,
            )
            if state.step == how.steps:
                break
    wall = time.perf_counter() - begun
    print(
        f"{how.spins} spins, bond {how.max_bond}, {len(X)} samples, {how.steps} steps: "
        f"loss {losses[0]:.4f} -> {losses[-1]:.4f} (factor "
        f"{losses[0] / losses[-1]:.1f}), smallest gap {min(gaps):.2f}, "
        f"{wall:.0f} s on the clock, {seconds_of_cpu():.0f} s of CPU "
        "(free fermions included)"
    )


def seconds_of_cpu() -> float:
    """Return what this process and its ended children used."""
    used = [
        resource.getrusage(who)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return sum(u.ru_utime + u.ru_stime for u in used)


if __name__ == "__main__":  # the processes of a pool import this file too
    main()
