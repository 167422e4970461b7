"""Classical Ising spins in fields, on any graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .graphs import pairs_of
from .terms import Kind, assemble, check_spins, on_each, string

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._model import Model


def classical_ising(
    num_spins: int,
    *,
    edges: str | Iterable[tuple[int, int]] | Any | None = None,
    inputs: Sequence[int] = (),
    readout: Sequence[int] = (),
    bias: bool = True,
) -> Model:
    r"""Classical spins s = +-1 with couplings and fields, as on an Ising machine.

    .. math::
        E = -\sum_{(j,k)} J_{jk} s_j s_k - \sum_k b_k s_k
            - \sum_j x_j s_{inputs[j]}, \qquad O_i = s_{readout[i]}

    theta is J in edge order, then b. It is ``transverse_field_ising`` at h = 0. Settle
    it with ``Annealed()`` or, up to some 20 spins, ``Enumerated()``, with a nudge that
    is large enough to turn spins over: the prediction is piecewise constant, so that
    small nudges measure 0, and the rule descends on ``contrastive``. ``Exact()``
    follows the free configuration through any nudge, and always measures 0.

    Training starts with J ~ N(0, 0.1^2) and b ~ N(0, 0.1^2).

    Args:
        num_spins: N.
        edges: As in ``transverse_field_ising``.
        inputs: Spins that feel x.
        readout: Spins that are read.
        bias: Whether there are trainable fields b.

    Raises:
        ValueError: If a spin lies outside the register or an edge repeats.

    Example:
        >>> import qiskit_qep as qep
        >>> how = {"edges": "chain", "inputs": [0], "readout": [2]}
        >>> chain = qep.models.classical_ising(3, **how)
        >>> theta = [1.0, -1.0, 0.0, 0.0, 0.0]
        >>> qep.predict(chain, theta, [[0.5], [-0.5]], equilibrium=qep.Enumerated())
        array([[-1.], [ 1.]])

    Reference:
        B. Scellier, arXiv:2406.00879, Eqs. (15-16).
    """
    check_spins(num_spins, inputs=inputs, readout=readout)
    spins, pairs = range(num_spins), pairs_of(num_spins, edges)
    couplings = [string(num_spins, "ZZ", *pair, weight=-1.0) for pair in pairs]
    return assemble(
        Kind(couplings, width=0.1),
        Kind(on_each(num_spins, "Z", spins if bias else (), -1.0), width=0.1),
        inputs=on_each(num_spins, "Z", inputs, -1.0),
        readout=on_each(num_spins, "Z", readout),
    )
