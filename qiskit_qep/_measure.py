"""One measurement of a gradient: settle, nudge, settle again, combine."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from ._equilibrium import Phase
from ._estimate import (
    Gradient,
    assemble,
    covariance_of,
    mean_by_theta,
    scatter,
    stds_of,
)
from ._streams import Streams, streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from ._equilibrium import Equilibrium
    from ._loss import Loss
    from ._model import Model
    from ._nudge import Nudge

    Array = NDArray[np.float64]
    # With its covariance, and with that of it and the free values.
    Change = tuple[Array, Array | None, Array | None]


def measure(
    model: Model,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    equilibrium: Equilibrium,
    nudge: Nudge,
    loss: Loss,
    seed: int,
    step: int = 0,
    start: Phase | None = None,
) -> tuple[Gradient, str, Phase]:
    """Return the gradient of one training step, a warning or "", and the free phase.

    The free phase settles from ``start``, if there is one.
    """
    theta, x = model.check(theta, x)
    targets = loss.targets(model, y, len(x))
    beta, weights, probe = _stencil(nudge)
    if nudge.signed:
        sign = _signs(seed, step, len(beta) + 1, len(x))
        beta, weights, probe = beta * sign, weights * sign, probe * sign
    rows = model.coefficients(theta, x)

    def nudged_rows(slope: Array) -> NDArray[Any]:
        push = beta * _direction(nudge, slope)[0]
        if not np.isfinite(push).all():
            raise ValueError(f"the loss's slope should be finite, got {slope}")
        nudged = np.empty((len(beta), *rows.shape), beta.dtype)
        nudged[:] = rows
        nudged[:, :, model.readout_columns] = push
        return nudged.reshape(-1, rows.shape[1])

    rng = [streams(seed, step, n, len(x)) for n in range(len(beta) + 1)]
    raw: Gradient | None = None
    bias: tuple[Array | None, Array | None] = (None, None)
    if len(beta) == 0:
        free = equilibrium(model.operators, rows, start=start, rng=rng[0])
        slope = loss.slope(free.values[:, model.readout_columns], targets)
        change = _respond(model, equilibrium, nudge, free, rows, slope)
    else:
        free, nudged, slope = _settle(
            model, equilibrium, nudge, loss, targets, rows, nudged_rows, rng, start
        )
        length = _direction(nudge, slope)[1]
        change = _combine(nudge, length * weights, free, nudged)
        if nudge.probe:
            bias = mean_by_theta(
                model, theta, x, *_combine(nudge, length * probe, free, nudged)[:2]
            )
        if free.raw is not None and nudged.raw is not None:
            noisy = _combine(nudge, length * weights, free.raw, nudged.raw)
            raw = assemble(model, theta, x, targets, loss, free.raw, slope, *noisy)
    made = assemble(model, theta, x, targets, loss, free, slope, *change)
    if nudge.signed:
        made = replace(made, stds=scatter(model, theta, x, change[0]))
    if raw is not None or nudge.probe:
        made = replace(made, raw=raw, bias=bias[0], bias_stds=bias[1])
    return made, near_gap(model, nudge, slope, free), free


def _direction(nudge: Nudge, slope: Array) -> tuple[Array, Array]:
    """Return what beta multiplies, and what multiplies the weights."""
    if not nudge.is_normalized:
        return slope, np.ones((len(slope), 1))
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    return slope / np.maximum(length, 1e-300), length


@lru_cache(maxsize=16)
def _stencil(nudge: Nudge) -> tuple[NDArray[Any], ...]:
    """Return the nodes to prepare, all weights and all probes, (nodes, 1, 1)."""
    nodes, weights = np.array(nudge.nodes), np.array(nudge.weights)
    every = nodes[nodes != 0], weights, np.array(nudge.probe)
    return tuple(numbers[:, None, None] for numbers in every)


def _signs(seed: int, step: int, phase: int, batch: int) -> Array:
    """Return the sign that every sample draws, shape (batch, 1)."""
    rng = streams(seed, step, phase, batch)
    return np.array([g.choice([-1.0, 1.0]) for g in rng])[:, None]


def _settle(
    model: Model,
    equilibrium: Equilibrium,
    nudge: Nudge,
    loss: Loss,
    targets: NDArray[Any],
    rows: Array,
    nudged_rows: Callable[[Array], NDArray[Any]],
    rng: list[Streams],
    begin: Phase | None,
) -> tuple[Phase, Phase, Array]:
    """Return the free phase, all nudged phases in one, and the slope.

    A nudge of random sign has one phase, which stands for both. Otherwise nudged
    phases wait for the free one where their slope or their start comes from it, and
    all are settled in one call where neither does.
    """
    operators, batch = model.operators, len(rows)
    if nudge.signed:
        if loss.needs_prediction:
            raise ValueError(
                f"{nudge} prepares one state per sample, so the slope cannot wait for "
                "a prediction; use cost_observable or expectation as the loss, or "
                "Nudge.centered"
            )
        slope = loss.slope(np.zeros(targets.shape), targets)
        only = equilibrium(operators, nudged_rows(slope), start=begin, rng=rng[1])
        return only, only, slope
    follows = nudge.is_complex or getattr(equilibrium, "follow", False)
    if loss.needs_prediction or follows:
        free = equilibrium(operators, rows, start=begin, rng=rng[0])
        slope = loss.slope(free.values[:, model.readout_columns], targets)
        start = free[np.arange((len(rng) - 1) * batch) % batch]
        later, left = nudged_rows(slope), reduce(add, rng[1:])
        return free, equilibrium(operators, later, start=start, rng=left), slope
    slope = loss.slope(np.zeros(targets.shape), targets)
    every = np.vstack([rows, nudged_rows(slope)])
    both = equilibrium(operators, every, rng=reduce(add, rng))
    return both[slice(0, batch)], both[slice(batch, None)], slope


def _combine(nudge: Nudge, weights: NDArray[Any], free: Phase, nudged: Phase) -> Change:
    """Return sum_n w_n <A>_n per sample, and the covariances of that sum."""
    batch, size = free.values.shape
    shared = None
    change = np.zeros((batch, size))
    noisy = bool(stds_of(free).any() or stds_of(nudged).any())
    covariance = np.zeros((batch, size, size)) if noisy else None
    prepared = 0
    for node, weight in zip(nudge.nodes, weights, strict=True):
        phase, first = (nudged, prepared) if node else (free, 0)
        rows, prepared = slice(first, first + batch), prepared + batch * (node != 0)
        change += (weight * phase.values[rows]).real
        if covariance is not None:
            every = covariance_of(phase)[rows]
            covariance += np.abs(weight[:, :, None]) ** 2 * every
            if not node:
                shared = weight.real[:, :, None] * every
    if nudge.signed and batch > 1:  # any number may stand for <A>_0 but the row's own
        others = (nudged.values.sum(axis=0) - nudged.values) / (batch - 1)
        change -= weights.sum(axis=0) * others
    return change, covariance, shared


def _respond(
    model: Model,
    equilibrium: Equilibrium,
    nudge: Nudge,
    free: Phase,
    coefficients: Array,
    slope: Array,
) -> Change:
    """Return the derivative of all values along the slope, and its covariances."""
    response = getattr(equilibrium, "response", None)
    if response is None:
        raise TypeError(
            f"{nudge} needs an equilibrium with a response, such as Exact, got "
            f"{equilibrium!r}; use Nudge.centered with it"
        )
    direction = np.zeros(coefficients.shape)
    direction[:, model.readout_columns] = slope
    found = response(free, model.operators, coefficients, direction)
    if isinstance(found, Phase):
        return found.values, covariance_of(found), found.cross_covariance
    return np.asarray(found), None, None


def near_gap(model: Model, nudge: Nudge, slope: Array, free: Phase) -> str:
    """Say where a nudge is larger than the gap that it must not close."""
    if free.gap is None or not nudge.nodes:
        return ""
    push = nudge.reach * pull(model, _direction(nudge, slope)[0])
    beyond = push > free.gap
    if not beyond.any():
        return ""
    sample = int(np.argmax(push / np.maximum(free.gap, 1e-300)))
    others = f" (and {beyond.sum() - 1} more)" if beyond.sum() > 1 else ""
    return (
        f"nudge {push[sample]:.2g} (beta * |slope|) exceeds the gap "
        f"{free.gap[sample]:.2g} of sample {sample}{others}, the gradient may be "
        "biased; lower beta"
    )


def pull(model: Model, slope: Array) -> Array:
    """Bound the energy by which a nudge of beta = 1 can shift a level, per sample.

    Operators other than Pauli sums have no bound; those that settle them refuse a nudge
    that leaves no state.
    """
    return np.asarray(np.abs(slope) @ readout_sizes(model))


@lru_cache(maxsize=16)
def readout_sizes(model: Model) -> Array:
    """Bound the size of every value that is read out."""
    sizes = [
        np.abs(op.coeffs).sum() if isinstance(op, SparsePauliOp) else 0.0
        for op in model.readout
    ]
    return np.array(sizes)
