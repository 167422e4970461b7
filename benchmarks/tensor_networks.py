r"""Train a long chain by tensor networks: ``python -m benchmarks.tensor_networks``.

The chain, H = -sum J_k Z_k Z_{k+1} - sum h_k X_k, has no longitudinal fields, so that
free fermions give its values, gradient and gap in closed form, whatever its length. Two
transverse fields in the middle are the inputs; the correlation between them is read and
has to become a function to which they count unequally. Every step stands beside its
exact loss and gradient, from which a nudge of finite beta differs by O(beta^2).
"""

from __future__ import annotations

import os
import resource
import time
from argparse import ArgumentParser, Namespace
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

import qiskit_qep as qep

from ._threads import one_thread

Array = NDArray[np.float64]

X = 0.2 * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
Y = 0.35 - X @ [[0.35], [0.1]]


def chain(num_spins: int) -> qep.Model:
    """Return the chain, driven and read around its middle."""
    ising = qep.models.transverse_field_ising(num_spins, edges="chain", bias=False)
    middle, fields = num_spins // 2, ising.trainable[num_spins - 1 :]
    return qep.Model(
        trainable=ising.trainable,
        inputs=(fields[middle - 1], fields[middle]),
        readout=(-ising.trainable[middle - 1],),
    )


def free_fermions(num_spins: int, theta: Array) -> tuple[float, Array, float]:
    r"""Return the exact loss, its gradient, and the smallest gap of any sample.

    The energy is minus the sum of the singular values s of the matrix M = u s v^T with
    h on its diagonal and J beside it, so that values are its polar factor u v^T, whose
    derivative is u (P - P^T) / (s_j + s_k) v^T with P = u^T dM v. The gap is 2 min s.
    """
    middle, J = num_spins // 2, theta[: num_spins - 1]
    loss, gradient, gaps = 0.0, np.zeros(len(theta)), []
    for x, y in zip(X, Y[:, 0], strict=True):
        h = theta[num_spins - 1 :].copy()
        h[middle - 1 : middle + 1] += x
        u, s, vt = np.linalg.svd(np.diag(h) + np.diag(J, 1))
        p = u[middle - 1] @ vt[:, middle]
        read = np.outer(u[middle - 1], vt[:, middle])
        change = u @ ((read - read.T) / (s[:, None] + s)) @ vt
        parts = np.concatenate([np.diag(change, 1), np.diag(change)])
        loss += (p - y) ** 2 / len(X)
        gradient += 2 * (p - y) * parts / len(X)
        gaps.append(2 * s[-1])
    return float(loss), gradient, min(gaps)


def main(arguments: list[str] | None = None) -> None:
    """Train, and print loss, gap, errors and seconds of every step."""
    parser = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spins", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--max-bond", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--warm", action="store_true", help="keep tensors from step on")
    parser.add_argument("--seed", type=int, default=7)
    os.environ |= one_thread()  # for the processes of the pool
    train(parser.parse_args(arguments))


def train(how: Namespace) -> None:
    """Train with the settings of the command line."""
    model = chain(how.spins)
    rng = np.random.default_rng(how.seed)
    couplings, fields = [0.3, 1.0], [how.spins - 1, how.spins]
    theta = np.repeat(couplings, fields) + 0.05 * rng.standard_normal(sum(fields))
    begun, losses, gaps = time.perf_counter(), [], []
    with ProcessPoolExecutor(how.workers, get_context("spawn")) as pool:
        steps = qep.steps(
            model,
            X,
            Y,
            theta=theta,
            optimizer=qep.adam(0.03),
            equilibrium=qep.Parallel(
                qep.TensorNetwork(how.max_bond, warm=how.warm), pool, rows=1
            ),
            nudge=qep.Nudge.centered(0.1),
            seed=how.seed,
        )
        print("step  loss      gap   error of loss  error of gradient  seconds")
        for state in steps:
            exact, slope, gap = free_fermions(how.spins, state.theta)
            error = np.abs(state.gradient.values - slope).max() / np.abs(slope).max()
            losses.append(state.loss)
            gaps.append(gap)
            print(
                f"{state.step:4d}  {state.loss:.6f}  {gap:.2f}  "
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
