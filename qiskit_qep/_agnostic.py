"""Agnostic learning: parameters that are slow variables find their own gradient."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._estimate import covariance_of, loss_error, mean_by_theta, stds_of, with_error
from ._loss import Loss, squared_error
from ._measure import near_gap
from ._nudge import Nudge
from ._streams import Streams, new_seed, streams
from .equilibria.exact import Exact

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ._equilibrium import Equilibrium, Phase
    from ._model import Model

    Array = NDArray[np.float64]

MAX_STROKES = 200
STILL = 1e-6  # a stroke as a share of the whole way
TOO_SOFT = 0.9  # a softness; at 1 theta cannot be held, and jumps
FORCE_ERROR = 1e-10  # that of exact equilibria, below which no stroke means anything


@dataclass(frozen=True, eq=False)
class AgnosticStep:
    """Where the parameters of a device came to rest, and what their way tells.

    Attributes:
        theta: Where they came to rest, the theta of the next step, (num_trainable,).
        control: u, which held them where they were before and then let them go.
        values: The gradient that the way stands for, (theta - theta') / (eps * span of
            beta), shape (num_trainable,).
        stds: Standard errors of values for the slope that was measured, to leading
            order in eps.
        loss: Batch mean of the loss before the step.
        loss_std: Its standard error.
        prediction: Before the step, shape (batch, num_readout).
        prediction_stds: Standard errors of prediction, same shape.
        softness: eps chi along the way, less what noise can make of it: which part of
            the way is the system's response to theta's own motion. It makes the way
            longer by 1 / (1 - softness).
        strokes: How many times the system settled while theta came to rest.
    """

    theta: Array
    control: Array
    values: Array
    stds: Array
    loss: float
    loss_std: float
    prediction: Array
    prediction_stds: Array
    softness: float
    strokes: int

    def __repr__(self) -> str:
        """Show the loss and the length of the way's gradient."""
        return (
            f"AgnosticStep(loss {with_error(self.loss, self.loss_std)}, "
            f"|grad| {np.linalg.norm(self.values):.4g}; "
            f"softness {self.softness:.2g})"
        )


def agnostic(
    model: Model,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    compliance: float,
    equilibrium: Equilibrium | None = None,
    nudge: Nudge | None = None,
    loss: Loss = squared_error,
    seed: int | None = None,
) -> AgnosticStep:
    r"""Let the parameters of a device take one step of learning by themselves.

    Every theta_k is a slow variable on a spring that a control u_k pulls:

    .. math::
        E_{total}(u, \theta, \beta) = \frac{|u - \theta|^2}{2 \epsilon}
        + F_\beta(\theta), \qquad
        F_\beta = \frac{1}{B} \sum_b E\big(H(\theta, x_b) + \beta\, s_b \cdot O\big)

    with E the energy of the settled system, whose fast variables follow theta at once
    (Born and Oppenheimer). At the stencil's node of negative weight, u is turned until
    theta rests where it is; then the nudge goes to the other node, u stays, and theta
    comes to rest at theta':

    .. math::
        u = \theta + \epsilon \nabla F_{\beta_1}(\theta), \qquad
        \theta' = u - \epsilon \nabla F_{\beta_2}(\theta'), \qquad
        \frac{\theta - \theta'}{\epsilon (\beta_2 - \beta_1)} =
        (1 - \epsilon \chi)^{-1} \nabla L + O(\beta)

    chi is the susceptibility -d<dH/dtheta>/dtheta of the free phase. The error is
    O(beta) + O(eps) for ``Nudge.one_sided(b)`` of either sign, O(beta^2) + O(eps) for
    ``Nudge.centered(b)``, which adds O(eps beta). Learning is to go on from theta'; the
    learner sees theta and u only, never dH/dtheta: the forces are nature's, and the
    model that is passed here is the device as it *is*.

    Valid while the springs are stiffer than the system is soft, eps chi < 1. Both theta
    and theta' are then minima of the total energy, and, for a loss whose slope needs no
    prediction, a step never raises, however large the nudge,

    .. math:: L_{12}(\theta) = \frac{F_{\beta_2} - F_{\beta_1}}{\beta_2 - \beta_1},

    which is ``contrastive`` at beta for one-sided nudges, and its mean at both signs
    for centred ones.

    Args:
        model: The device, with its true operators and parametrization.
        theta: Where its parameters are held, shape (num_trainable,).
        x: Shape (batch, num_inputs), or one row; all act on one theta.
        y: Targets, one row per sample.
        compliance: eps, what a unit force moves theta by.
        equilibrium: What settles the fast variables; by default ``Exact()``.
        nudge: A stencil of two real nodes; by default ``Nudge.centered(0.1)``.
        loss: The cost of a prediction; its slope is measured before the step.
        seed: Of all shots; None draws one.

    Returns:
        The new theta, and the gradient, loss and prediction of the old one.

    Raises:
        ValueError: If the compliance is not positive, the stencil has not two real
            nodes, or theta does not come to rest.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
        >>> where = model, np.ones(5), [[1.0]], [[-1.0]]
        >>> small = qep.Nudge.centered(0.01)
        >>> qep.agnostic(*where, compliance=1e-4, nudge=small).values.round(2)
        array([ 0.35, -0.06, -0.72,  0.03,  0.38])
        >>> qep.gradient(*where, nudge=small).values.round(2)
        array([ 0.35, -0.06, -0.72,  0.03,  0.38])

    Reference:
        B. Scellier, S. Mishra, Y. Bengio, Y. Ollivier, arXiv:2205.15021; here with
        quantum states as the fast variables.
    """
    if not (np.isfinite(compliance) and compliance > 0):
        raise ValueError(f"compliance should be a positive number, got {compliance}")
    nudge = Nudge.centered(0.1) if nudge is None else nudge
    hold, release = _held_and_released(nudge)
    theta, x = model.check(theta, x)
    targets = loss.targets(model, y, len(x))
    seed = new_seed() if seed is None else seed
    rng = [streams(seed, 0, phase, len(x)) for phase in range(3)]
    device = _Device(
        model, Exact() if equilibrium is None else equilibrium, x, float(compliance)
    )
    free = device.settle(theta, 0.0, rng[0])
    columns = model.readout_columns
    prediction = free.values[:, columns]
    slope = loss.slope(prediction, targets)
    if warning := near_gap(model, nudge, slope, free):
        warnings.warn(warning, stacklevel=2)
    held = device.settle(theta, hold * slope, rng[1], free) if hold else free
    pull, held_noise = device.pull(theta, held)
    moved, noise, rest, strokes = _come_to_rest(
        device, theta, theta + pull, release * slope, rng[2], held
    )
    back = device.pull(moved, device.settle(moved, hold * slope, rng[1], rest))[0]
    way, response, shake = (
        float(np.linalg.norm(v)) for v in (moved - theta, back - pull, held_noise)
    )
    floor = compliance * FORCE_ERROR + 6 * shake
    softness = max(response - floor, 0.0) / max(way, floor)
    if softness > TOO_SOFT:
        warnings.warn(
            f"theta ran away: {softness:.2f} of its way is the system's response to "
            "the motion itself, so the way is no gradient; lower compliance (got "
            f"{compliance:g})",
            stacklevel=2,
        )
    span = release - hold
    return AgnosticStep(
        theta=moved,
        control=theta + pull,
        values=(theta - moved) / (compliance * span),
        stds=np.hypot(held_noise, noise) / (compliance * span),
        loss=float(np.mean(loss.value(prediction, targets))),
        loss_std=loss_error(slope, covariance_of(free)[:, columns, columns]),
        prediction=prediction,
        prediction_stds=stds_of(free)[:, columns],
        softness=softness,
        strokes=strokes,
    )


@dataclass(frozen=True)
class _Device:
    """Nature: it settles, and it pulls at theta. No learner looks inside."""

    model: Model
    equilibrium: Equilibrium
    x: Array
    compliance: float

    def settle(
        self, theta: Array, push: Any, rng: Streams, start: Phase | None = None
    ) -> Phase:
        """Settle the fast variables while theta stays where it is."""
        rows = self.model.coefficients(theta, self.x, push)
        return self.equilibrium(self.model.operators, rows, start=start, rng=rng)

    def pull(self, theta: Array, phase: Phase) -> tuple[Array, Array]:
        """Return how far <dH/dtheta> stretches the springs, and its standard errors."""
        noise = covariance_of(phase) if stds_of(phase).any() else None
        force = mean_by_theta(self.model, theta, self.x, phase.values, noise)
        return self.compliance * force[0], self.compliance * force[1]


def _held_and_released(nudge: Nudge) -> tuple[float, float]:
    """Return the betas at which theta is held and at which it moves."""
    nodes, weights = nudge.nodes, np.real(nudge.weights)
    simple = not (nudge.is_complex or nudge.signed or nudge.probe)
    if len(nodes) != 2 or not simple or nudge.is_normalized:
        raise ValueError(
            "agnostic learning holds theta at one nudge and lets it move at another, "
            f"got {nudge}; use Nudge.centered, or Nudge.one_sided of either sign"
        )
    hold, release = (float(np.real(nodes[i])) for i in np.argsort(weights))
    return hold, release


def _come_to_rest(
    device: _Device,
    theta: Array,
    control: Array,
    push: Array,
    rng: Streams,
    phase: Phase,
) -> tuple[Array, Array, Phase, int]:
    """Return where theta comes to rest, the error of that, the phase, the strokes.

    A stroke lets theta go where its springs balance the present pull.
    """
    moved, strokes = theta, 0
    while strokes < MAX_STROKES:
        strokes += 1
        phase = device.settle(moved, push, rng, phase)
        pull, noise = device.pull(moved, phase)
        length = np.linalg.norm(control - pull - moved)
        moved = control - pull
        floor = device.compliance * FORCE_ERROR + STILL * np.linalg.norm(moved - theta)
        if length <= floor + 3 * np.linalg.norm(noise):
            return moved, noise, phase, strokes
    raise ValueError(
        f"theta does not come to rest: stroke {MAX_STROKES} still moves it by "
        f"{length:.2g}; lower compliance (got {device.compliance:g}) or beta"
    )
