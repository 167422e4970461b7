"""Gradient and prediction: settle, nudge, settle again, combine."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from ._estimate import Gradient, assemble, covariance_of, stds_of
from ._loss import Loss, squared_error
from ._nudge import Nudge
from ._streams import Streams, new_seed, streams
from .equilibria.exact import Exact

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from ._equilibrium import Equilibrium, Phase
    from ._model import Model

    Array = NDArray[np.float64]


def gradient(
    model: Model,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    equilibrium: Equilibrium | None = None,
    nudge: Nudge | None = None,
    loss: Loss = squared_error,
    seed: int | None = None,
) -> Gradient:
    r"""Measure the gradient of the batch-mean loss by nudging the readout.

    .. math::
        \frac{d\ell}{d\theta_k} = \frac{d\langle A_k\rangle}{d\beta}\Big|_{\beta=0}
        \approx \sum_n w_n \langle A_k\rangle_{\beta_n}, \qquad
        H_\beta = H(\theta, x) + \beta \sum_i \frac{\partial\ell}{\partial p_i}\, O_i

    Valid for eigenstates, thermal states and any other stationary state, as long as
    beta times the slope stays below the gap.

    Args:
        model: Operators with roles.
        theta: Shape (num_trainable,).
        x: Shape (batch, num_inputs), or one row.
        y: Targets, shape (batch, num_readout); class numbers (batch,) for
            ``cross_entropy``.
        equilibrium: What settles and measures; by default ``Exact()``.
        nudge: The stencil; by default ``Nudge.centered(0.1)``.
        loss: The cost of a prediction.
        seed: Of all shots; None draws one.

    Returns:
        The gradient by theta and by x, loss and prediction, with standard errors.

    Raises:
        ValueError: On wrong shapes or numbers that are not finite.
        TypeError: If the equilibrium cannot do this nudge.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
        >>> exact = qep.Nudge.infinitesimal()
        >>> g = qep.gradient(model, np.ones(5), [[1.0]], [[-1.0]], nudge=exact)
        >>> g.values.round(3)
        array([ 0.347, -0.061, -0.72 ,  0.027,  0.381])

    Reference:
        B. Scellier, arXiv:2406.00879, Theorem 3 and Eqs. (26)-(31).
    """
    result, warning = measure(
        model,
        theta,
        x,
        y,
        equilibrium=Exact() if equilibrium is None else equilibrium,
        nudge=Nudge.centered(0.1) if nudge is None else nudge,
        loss=loss,
        seed=new_seed() if seed is None else seed,
    )
    if warning:
        warnings.warn(warning, stacklevel=2)
    return result


def predict(
    model: Model,
    theta: ArrayLike,
    x: ArrayLike,
    *,
    equilibrium: Equilibrium | None = None,
    seed: int | None = None,
    return_std: bool = False,
) -> Any:
    r"""Settle without a nudge and read out: p_i = <O_i> at nu = 0.

    Args:
        model: Operators with roles.
        theta: Shape (num_trainable,).
        x: Shape (batch, num_inputs), or one row.
        equilibrium: What settles and measures; by default ``Exact()``.
        seed: Of all shots; None draws one.
        return_std: Whether to return the standard errors as well.

    Returns:
        Predictions of shape (batch, num_readout); with ``return_std`` a pair of them
        and their standard errors.

    Example:
        >>> import qiskit_qep as qep
        >>> model = qep.Model(["X"], readout=["Z"], fixed="Z")
        >>> qep.predict(model, [1.0], []).round(4)
        array([[-0.7071]])
    """
    coefficients = model.coefficients(theta, x)
    rng = streams(new_seed() if seed is None else seed, 0, 0, len(coefficients))
    settle = Exact() if equilibrium is None else equilibrium
    phase = settle(model.operators, coefficients, rng=rng)
    columns = model.readout_columns
    values = phase.values[:, columns]
    return (values, stds_of(phase)[:, columns]) if return_std else values


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
) -> tuple[Gradient, str]:
    """Return the gradient of one training step, and a warning or an empty string."""
    theta, x = model.check(theta, x)
    targets = loss.targets(model, y, len(x))
    beta, weights = _per_sample(nudge, seed, step, len(x))
    free_weight = weights[np.equal(nudge.nodes, 0)].sum(axis=0).real
    rows = model.coefficients(theta, x)

    def nudged_rows(slope: Array) -> NDArray[Any]:
        nudged = np.tile(rows, (len(beta), 1)).astype(beta.dtype)
        nudged[:, model.readout_columns] = (beta * slope).reshape(len(nudged), -1)
        if not np.isfinite(nudged).all():
            raise ValueError(f"the loss's slope should be finite, got {slope}")
        return nudged

    rng = [streams(seed, step, n, len(x)) for n in range(len(beta) + 1)]
    raw = None
    if len(beta) == 0:
        free = equilibrium(model.operators, rows, rng=rng[0])
        slope = loss.slope(free.values[:, model.readout_columns], targets)
        change = _respond(model, equilibrium, nudge, free, rows, slope)
        covariance = None
    else:
        free, nudged, slope = _settle(
            model, equilibrium, nudge, loss, targets, rows, nudged_rows, rng
        )
        change, covariance = _combine(nudge, weights, free, nudged)
        if free.raw is not None and nudged.raw is not None:
            noisy = _combine(nudge, weights, free.raw, nudged.raw)
            raw = assemble(
                model, theta, x, targets, loss, free.raw, slope, *noisy, free_weight
            )
    made = assemble(
        model, theta, x, targets, loss, free, slope, change, covariance, free_weight
    )
    return replace(made, raw=raw), _near_gap(model, nudge, slope, free)


def _per_sample(
    nudge: Nudge, seed: int, step: int, batch: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the nodes to prepare and all weights, of shape (nodes, batch, 1)."""
    nodes, weights = np.array(nudge.nodes), np.array(nudge.weights)
    sign = np.ones(batch)
    if nudge.signed:
        rng = streams(seed, step, len(nodes) + 1, batch)
        sign = np.array([g.choice([-1.0, 1.0]) for g in rng])
    prepared = nodes[nodes != 0]
    signs = sign[None, :, None]
    return prepared[:, None, None] * signs, weights[:, None, None] * signs


def _settle(
    model: Model,
    equilibrium: Equilibrium,
    nudge: Nudge,
    loss: Loss,
    targets: NDArray[Any],
    rows: Array,
    nudged_rows: Callable[[Array], NDArray[Any]],
    rng: list[Streams],
) -> tuple[Phase, Phase, Array]:
    """Return the free phase, all nudged phases in one, and the slope.

    Nudged phases wait for the free one where their slope or their start comes from it;
    otherwise all are settled in one call.
    """
    operators, batch = model.operators, len(rows)
    follows = nudge.is_complex or getattr(equilibrium, "follow", False)
    if loss.needs_prediction or follows:
        free = equilibrium(operators, rows, rng=rng[0])
        slope = loss.slope(free.values[:, model.readout_columns], targets)
        start = free[np.tile(np.arange(batch), len(rng) - 1)]
        later, left = nudged_rows(slope), reduce(add, rng[1:])
        return free, equilibrium(operators, later, start=start, rng=left), slope
    slope = loss.slope(np.zeros(targets.shape), targets)
    every = np.vstack([rows, nudged_rows(slope)])
    both = equilibrium(operators, every, rng=reduce(add, rng))
    return both[slice(0, batch)], both[slice(batch, None)], slope


def _combine(
    nudge: Nudge, weights: NDArray[Any], free: Phase, nudged: Phase
) -> tuple[Array, Array | None]:
    """Return sum_n w_n <A>_n per sample, and the covariance of that sum."""
    batch, size = free.values.shape
    change = np.zeros((batch, size))
    noisy = bool(stds_of(free).any() or stds_of(nudged).any())
    covariance = np.zeros((batch, size, size)) if noisy else None
    prepared = 0
    for node, weight in zip(nudge.nodes, weights, strict=True):
        if node == 0:
            phase = free
        else:
            phase = nudged[slice(prepared * batch, (prepared + 1) * batch)]
            prepared += 1
        change += (weight * phase.values).real
        if covariance is not None:
            covariance += np.abs(weight[:, :, None]) ** 2 * covariance_of(phase)
    return change, covariance


def _respond(
    model: Model,
    equilibrium: Equilibrium,
    nudge: Nudge,
    free: Phase,
    coefficients: Array,
    slope: Array,
) -> Array:
    """Return the exact derivative of all values along the slope."""
    response = getattr(equilibrium, "response", None)
    if response is None:
        raise TypeError(
            f"{nudge} needs an equilibrium with a response, such as Exact, got "
            f"{equilibrium!r}; use Nudge.centered with it"
        )
    direction = np.zeros(coefficients.shape)
    direction[:, model.readout_columns] = slope
    return np.asarray(response(free, model.operators, coefficients, direction))


def _near_gap(model: Model, nudge: Nudge, slope: Array, free: Phase) -> str:
    """Say where a nudge is larger than the gap that it must not close."""
    if free.gap is None or not nudge.nodes:
        return ""
    sizes = np.array(
        [
            np.abs(op.coeffs).sum() if isinstance(op, SparsePauliOp) else 1.0
            for op in model.readout
        ]
    )
    push = nudge.reach * (np.abs(slope) @ sizes)
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
