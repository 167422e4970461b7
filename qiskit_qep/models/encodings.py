"""Oscillators on qubits: a truncated Fock basis, and a grid of positions."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, reduce
from operator import matmul
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from .._quadratic import QuadraticForm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from .._model import Model

NOTHING = 1e-14  # coefficients below are rounding; Qiskit's own bound is 1e-8


def fock(model: Model, levels: int, *, scale: float | Sequence[float] = 1.0) -> Model:
    r"""Write oscillators on qubits in a truncated Fock basis.

    .. math:: r_i = \frac{a_i + a_i^\dagger}{\sqrt{2 \mu_i}}, \qquad
              p_i = i \sqrt{\frac{\mu_i}{2}}\,(a_i^\dagger - a_i)

    Operators are ordered normally before they are cut off, so that they are the exact
    ones between the lowest ``levels`` states of every mode: the ground-state energy is
    an upper bound. The error falls exponentially with ``levels`` once these hold the
    mean displacement; the fastest for mu close to sqrt(Q_rr / Q_pp), which is m omega
    of the mode alone. Every mode takes log2(levels) qubits, from qubit 0 on; modes that
    no operator acts on, of clamped atoms, take none. Written by qiskit-nature's
    ``BosonicLogarithmicMapper``.

    Args:
        model: Its operators are ``QuadraticForm``.
        levels: A power of two.
        scale: mu, one or one per mode.

    Returns:
        The same roles and parametrization with Pauli operators.

    Raises:
        ValueError: If levels is no power of two above 1, or mu not positive.
        TypeError: If an operator is no ``QuadraticForm``.

    Example:
        >>> import qiskit_qep as qep
        >>> springs = qep.models.oscillator_network(
        ...     [1.0, 1.0], anchors=1.0, inputs=[0], readout=[1])
        >>> qubits = qep.models.fock(springs, 4, scale=1.2)
        >>> p, exact = (qep.predict(m, [0.5], [[0.3]], equilibrium=e).item()
        ...     for m, e in ((qubits, qep.Exact()), (springs, qep.Gaussian())))
        >>> abs(p - exact) < 1e-3
        True
    """
    _refuse_size(levels)
    modes, n = _modes(model), model.operators[0].num_modes
    mu = _per_mode("scale", scale, n)[modes]

    def product(z: tuple[int, ...]) -> SparsePauliOp:
        among = tuple((modes.index(k % n), k >= n) for k in z)
        return _bosons(among, tuple(mu.tolist()), levels)

    return _encoded(model, product)


def position_grid(
    model: Model, points: int, *, extent: float | Sequence[float]
) -> Model:
    r"""Write oscillators on qubits on a grid of positions.

    .. math:: r = \Delta \Big(j - \frac{D - 1}{2}\Big)
              = -\frac{\Delta}{2} \sum_q 2^q Z_q, \qquad p = F^\dagger\, p_k F

    Potentials are diagonal, and of quadratic forms contain Z and ZZ only, however many
    points there are; so do momenta behind the Fourier transform F, which is how
    ``Ramp(fourier=points)`` applies them. The error falls exponentially with
    ``points`` while the grid holds the state in positions, up to extent, and in
    momenta, up to pi D / (2 extent). Every mode takes log2(D) qubits, from qubit 0 on;
    modes that no operator acts on, of clamped atoms, take none. A ``Variational`` finds
    such states; a ``Ramp`` keeps them if it starts from single oscillators,
    ``Ramp(driver=qubits.fixed, fourier=points)`` where all atoms are anchored, and can
    lose them from 8 points on if it starts from fields, or from 16 on by Pauli strings,
    without ``fourier``: see ``fidelity_report``.

    Args:
        model: Its operators are ``QuadraticForm``.
        points: D, a power of two.
        extent: Half of the length of the grid, D Delta / 2, one or one per mode.

    Returns:
        The same roles and parametrization with Pauli operators.

    Raises:
        ValueError: If points is no power of two above 1, or extent not positive.
        TypeError: If an operator is no ``QuadraticForm``.

    Example:
        >>> import qiskit_qep as qep
        >>> springs = qep.models.oscillator_network(
        ...     [1.0, 1.0], anchors=1.0, inputs=[0], readout=[1])
        >>> qubits = qep.models.position_grid(springs, 8, extent=3.5)
        >>> qubits.trainable[0].num_qubits
        6
        >>> ramp = qep.Prepared(qep.Ramp(driver=qubits.fixed, fourier=8))
        >>> p, exact = (qep.predict(m, [0.5], [[0.3]], equilibrium=e).item()
        ...     for m, e in ((qubits, ramp), (springs, qep.Gaussian())))
        >>> abs(p - exact) < 0.01
        True
    """
    _refuse_size(points)
    modes, n = _modes(model), model.operators[0].num_modes
    size = _per_mode("extent", extent, n)

    def product(z: tuple[int, ...]) -> SparsePauliOp:
        written = SparsePauliOp("")
        for mode in modes:  # the first one is on the rightmost qubits
            r, p = _grid(points, float(size[mode]))
            kinds = [p if k >= n else r for k in z if k % n == mode]
            one = np.eye(points)
            if kinds:
                one = 0.5 * (reduce(matmul, kinds) + reduce(matmul, kinds[::-1]))
            written = SparsePauliOp.from_operator(one, atol=NOTHING).tensor(written)
        return written

    return _encoded(model, product)


def _encoded(
    model: Model, product: Callable[[tuple[int, ...]], SparsePauliOp]
) -> Model:
    """Return a model whose forms are written as sums of encoded products."""
    known: dict[tuple[int, ...], SparsePauliOp] = {}

    def encode(form: QuadraticForm) -> SparsePauliOp:
        parts = [0.0 * one]
        for z, c in form.products:
            if z and z not in known:
                known[z] = product(z).simplify(atol=NOTHING)
            parts.append(c * known.get(z, one))
        total = SparsePauliOp.sum(parts).simplify(atol=NOTHING)
        return SparsePauliOp(total.paulis, total.coeffs.real)

    some = next(z for op in model.operators for z, _ in op.products if z)
    one = SparsePauliOp("I" * product(some).num_qubits)
    return replace(
        model,
        trainable=tuple(map(encode, model.trainable)),
        inputs=tuple(map(encode, model.inputs)),
        readout=tuple(map(encode, model.readout)),
        fixed=None if model.fixed is None else encode(model.fixed),
    )


@lru_cache(maxsize=4096)
def _bosons(
    factors: tuple[tuple[int, bool], ...], mu: tuple[float, ...], levels: int
) -> SparsePauliOp:
    """Return a symmetrised product of factors (mode, whether it is p) in Fock space."""
    from qiskit_nature.second_q.mappers import BosonicLogarithmicMapper
    from qiskit_nature.second_q.operators import BosonicOp

    def coordinate(mode: int, is_momentum: bool) -> Any:
        width = np.sqrt(0.5 / mu[mode])
        up = 0.5j / width if is_momentum else width
        terms = {f"+_{mode}": up, f"-_{mode}": np.conj(up)}
        return BosonicOp(terms, num_modes=len(mu))

    found = [coordinate(*factor) for factor in factors]
    both = 0.5 * (reduce(matmul, found) + reduce(matmul, found[::-1]))
    return BosonicLogarithmicMapper(levels - 1).map(both.normal_order())


@lru_cache(maxsize=64)
def _grid(points: int, extent: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return r and p of one mode as matrices."""
    step, j = 2.0 * extent / points, np.arange(points) - 0.5 * (points - 1)
    r, k = step * j, 2.0 * np.pi / (points * step) * j
    F = np.exp(-1j * np.outer(k, r)) / np.sqrt(points)
    return np.diag(r), F.conj().T @ (k[:, None] * F)


def _refuse_size(levels: int) -> None:
    if levels < 2 or levels & (levels - 1):
        raise ValueError(
            f"a mode on qubits has 2, 4, 8 ... states, a power of two, got {levels}"
        )


def _modes(model: Model) -> list[int]:
    """Return the modes that some operator acts on."""
    for k, op in enumerate(model.operators):
        if not isinstance(op, QuadraticForm):
            raise TypeError(
                f"operator {k} is a {type(op).__name__}, but oscillators on qubits are "
                "made of a QuadraticForm"
            )
    products = (z for op in model.operators for z, _ in op.products)
    modes = sorted({k % model.operators[0].num_modes for z in products for k in z})
    if not modes:
        raise ValueError(f"no mode occurs in {model}")
    return modes


def _per_mode(name: str, given: float | Sequence[float], n: int) -> NDArray[Any]:
    """Return one positive number per mode."""
    numbers = np.asarray(given, dtype=np.float64)
    if numbers.shape not in ((), (n,)) or not (numbers > 0).all():
        raise ValueError(f"{name} should be one or {n} positive numbers, got {given}")
    return np.broadcast_to(numbers, (n,))
