"""Training: an iterator of states; the loop belongs to the user."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ._equilibrium import Phase
from ._estimate import with_error
from ._loss import Loss, squared_error
from ._measure import measure
from ._nudge import Nudge
from ._optimizers import Optimizer, adam
from ._state import State, flatten, unflatten
from ._streams import new_seed
from .equilibria.exact import Exact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from ._equilibrium import Equilibrium
    from ._model import Model


def steps(
    model: Model,
    x: ArrayLike,
    y: ArrayLike,
    *,
    theta: ArrayLike | None = None,
    optimizer: Optimizer | None = None,
    equilibrium: Equilibrium | None = None,
    nudge: Nudge | None = None,
    loss: Loss = squared_error,
    batch_size: int | None = None,
    seed: int | None = None,
    state: State | None = None,
) -> Iterator[State]:
    r"""Yield one state per update, for ever: leave the loop when satisfied.

    .. math:: \theta_{t+1} = \theta_t + \text{update}(g_t), \qquad
              g_t = \text{gradient at } \theta_t

    Step 0 is the start, measured. A run that goes on from a saved state equals the
    uninterrupted one bit for bit: step t uses the generators of (seed, t), and epoch e
    the order of (seed, e).

    Args:
        model: Operators with roles.
        x: All inputs, shape (num_samples, num_inputs).
        y: All targets, with as many rows.
        theta: Where to start; by default drawn as the model's family suggests.
        optimizer: By default ``adam()``.
        equilibrium: What settles and measures; by default ``Exact()``.
        nudge: The stencil; by default ``Nudge.centered(0.1)``.
        loss: The cost of a prediction.
        batch_size: Samples per step; all of them by default.
        seed: Of the start, the order and all shots; None draws one.
        state: Go on after this one; theta and seed are taken from it.

    Raises:
        ValueError: If arguments contradict each other or the state is another model's.

    Example:
        >>> import qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(6, inputs=[0, 1], readout=[5])
        >>> for state in qep.steps(model, *qep.datasets.xor(), seed=7):
        ...     if state.loss < 0.1:
        ...         break
        >>> state.step < 100
        True
    """
    optimizer = adam() if optimizer is None else optimizer
    x, y = np.asarray(x), np.asarray(y)
    size = _batch_size(x, y, batch_size)
    how: dict[str, Any] = {
        "equilibrium": Exact() if equilibrium is None else equilibrium,
        "nudge": Nudge.centered(0.1) if nudge is None else nudge,
        "loss": loss,
    }
    if state is not None:
        _check_continues(model, state, theta, seed)
    seed = new_seed() if seed is None and state is None else seed
    return _iterate(model, x, y, theta, optimizer, size, seed, state, how)


def _iterate(
    model: Model,
    x: NDArray[Any],
    y: NDArray[Any],
    theta: ArrayLike | None,
    optimizer: Optimizer,
    size: int,
    seed: int | None,
    state: State | None,
    how: dict[str, Any],
) -> Iterator[State]:
    said: set[str] = set()

    def at(
        step: int,
        theta: NDArray[Any],
        memory: Any,
        seed: int,
        settled: NDArray[Any] | None = None,
    ) -> State:
        rows = rows_of_step(len(x), size, step, seed)
        start = None
        if settled is not None:
            start = Phase(np.zeros((len(rows), 0)), state=(settled[rows],))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found, warning, free = measure(
                model, theta, x[rows], y[rows], seed=seed, step=step, start=start, **how
            )
        heard = [(str(w.message), w.category) for w in caught]
        for text, category in heard + [(warning, UserWarning)] * bool(warning):
            kind = re.sub(r"[\d.]+", "", text)
            if kind not in said:
                said.add(kind)
                text = f"step {step}: {text} (said once per run)"
                warnings.warn(text, category, stacklevel=3)
        if getattr(how["equilibrium"], "warm", False):
            settled = _keep(settled, rows, free.state[-1], len(x))
        return State(step, theta, found, memory, seed, model.fingerprint, settled)

    if state is None:
        assert seed is not None
        if theta is None:
            theta = model.initial(np.random.default_rng(np.random.SeedSequence(seed)))
        theta = np.array(theta, dtype=np.float64)
        state = at(0, theta, optimizer.init(theta), seed)
        yield state
    while True:
        memory = unflatten(optimizer.init(state.theta), flatten(state.memory))
        values = state.gradient.values
        change, memory = optimizer.update(values, memory, state.theta)
        theta = np.asarray(state.theta + np.asarray(change), dtype=np.float64)
        state = at(state.step + 1, theta, memory, state.seed, state.settled)
        yield state


def train(
    model: Model,
    x: ArrayLike,
    y: ArrayLike,
    *,
    steps: int,
    progress: bool = True,
    **how: Any,
) -> State:
    """Run ``steps`` updates and return the last state.

    Args:
        model: Operators with roles.
        x: All inputs, shape (num_samples, num_inputs).
        y: All targets, with as many rows.
        steps: How many updates to make, from the start or from ``state``.
        progress: Whether to show a progress bar.
        **how: As in ``qiskit_qep.steps``.

    Raises:
        ValueError: If steps is negative, and as ``qiskit_qep.steps``.

    Example:
        >>> import qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(6, inputs=[0, 1], readout=[5])
        >>> x, y = qep.datasets.xor()
        >>> state = qep.train(model, x, y, steps=100, seed=7, progress=False)
        >>> bool(state.loss < 0.1)
        True
    """
    if steps < 0:
        raise ValueError(f"steps should be 0 or more, got {steps}")
    from tqdm import tqdm

    begun = how.get("state")
    last = steps + (begun.step if begun is not None else 0)
    state: State | None = begun
    states = _steps(model, x, y, **how)
    with tqdm(total=steps, disable=not progress, unit="step") as bar:
        while state is None or state.step < last:
            state = next(states)
            bar.update(state.step > (begun.step if begun is not None else 0))
            bar.set_postfix_str(describe(state), refresh=False)
    return state


_steps = steps  # ``train`` has an argument of the same name


def describe(state: State) -> str:
    """Return what a progress bar shows of a state."""
    g = state.gradient
    gap = "" if np.isnan(g.gap) else f", gap {g.gap:.2g}"
    return (
        f"loss {with_error(g.loss, g.loss_std)}, "
        f"|grad| {with_error(g.norm, g.norm_std)}{gap}"
    )


def _keep(
    settled: NDArray[Any] | None,
    rows: NDArray[np.int64],
    angles: NDArray[Any],
    num_samples: int,
) -> NDArray[Any]:
    """Return what every sample has last settled to, nan where it never did."""
    size = (num_samples, angles.shape[1])
    kept = np.full(size, np.nan) if settled is None else settled.copy()
    kept[rows] = angles
    return kept


def _batch_size(x: NDArray[Any], y: NDArray[Any], batch_size: int | None) -> int:
    if x.ndim != 2 or len(x) == 0:
        raise ValueError(
            f"x should have shape (num_samples, num_inputs), got {x.shape}"
        )
    if len(y) != len(x):
        raise ValueError(f"y should have as many rows as x ({len(x)}), got {len(y)}")
    if batch_size is None:
        return len(x)
    if not 1 <= batch_size <= len(x):
        raise ValueError(f"batch_size should be 1 to {len(x)}, got {batch_size}")
    return batch_size


def rows_of_step(
    num_samples: int, size: int, step: int, seed: int
) -> NDArray[np.int64]:
    """Return which samples step ``step`` uses: a new order every epoch."""
    if size == num_samples:
        return np.arange(num_samples)
    epoch, batch = divmod(step, -(-num_samples // size))
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch,)))
    return rng.permutation(num_samples)[batch * size : (batch + 1) * size]


def _check_continues(
    model: Model, state: State, theta: ArrayLike | None, seed: int | None
) -> None:
    if state.model != model.fingerprint:
        raise ValueError(
            f"the state belongs to model {state.model}, not to this one "
            f"({model.fingerprint}); pass theta=state.theta to start a new run from it"
        )
    if theta is not None:
        raise ValueError("theta is taken from the state; give one of theta and state")
    if seed is not None and seed != state.seed:
        raise ValueError(f"seed is {state.seed} in the state, got {seed}; leave it out")
