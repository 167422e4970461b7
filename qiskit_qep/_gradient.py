"""Gradient and prediction: the two measurements that a user asks for."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ._estimate import Gradient, stds_of
from ._loss import Loss, squared_error
from ._measure import measure
from ._nudge import Nudge
from ._streams import new_seed, streams
from .equilibria.exact import Exact

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._equilibrium import Equilibrium
    from ._model import Model


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
    result, warning, _ = measure(
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
