"""Model: operators with roles; the Hamiltonian that is trained."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from qiskit.quantum_info import Pauli, SparsePauliOp

from ._operators import Operators, checked, register
from ._operators import pauli_terms as pauli_terms
from ._parametrization import LinearInputs, Parametrization, direct
from ._pauli import is_complex

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Model:
    r"""Operators with roles: a Hamiltonian to be trained, driven, read and nudged.

    .. math::
        H(\theta, x, \nu) =
        \sum_k \theta_k A_k + \sum_j x_j B_j + \sum_i \nu_i O_i + H_0

    Labels such as ``"ZZI"`` become ``SparsePauliOp``; any other object is carried as it
    is, for an equilibrium that knows how to settle it.

    Attributes:
        trainable: A_k.
        inputs: B_j.
        readout: O_i; their expectation values are the prediction.
        fixed: H_0.
        parametrization: How (theta, x) become coefficients; by default they are.

    Raises:
        ValueError: If an operator is not Hermitian, not finite, or acts on another
            number of qubits than the first.

    Example:
        >>> import qiskit_qep as qep
        >>> model = qep.Model(["ZZ", "XI", "IX"], inputs=["ZI"], readout=["IZ"])
        >>> model
        Model(3 trainable, 1 inputs, 1 readout; 2 qubits)
        >>> model.hamiltonian([1.0, 0.5, 0.5], [2.0]).num_qubits
        2

    Reference:
        B. Scellier, arXiv:2406.00879.
    """

    trainable: tuple[Any, ...]
    inputs: tuple[Any, ...] = ()
    readout: tuple[Any, ...] = ()
    fixed: Any = None
    parametrization: Parametrization | Callable[[int, int], Parametrization] = direct

    def __post_init__(self) -> None:
        """Convert labels and check every operator."""
        for role in ("trainable", "inputs", "readout"):
            given = getattr(self, role)
            if isinstance(given, str | SparsePauliOp | Pauli):
                raise ValueError(f"{role} should be a list of operators, got {given!r}")
            object.__setattr__(self, role, tuple(checked(op, role) for op in given))
        if self.fixed is not None:
            object.__setattr__(self, "fixed", checked(self.fixed, "fixed"))
        if not self.operators:
            raise ValueError("a model needs at least one operator, got none")
        register(self.operators)
        if not isinstance(self.parametrization, Parametrization):
            made = self.parametrization(len(self.trainable), len(self.inputs))
            object.__setattr__(self, "parametrization", made)
            if not isinstance(made, Parametrization):
                raise TypeError(f"{made!r} is no Parametrization")

    @cached_property
    def operators(self) -> Operators:
        """All operators in the order trainable, inputs, readout, fixed."""
        fixed = () if self.fixed is None else (self.fixed,)
        return Operators((*self.trainable, *self.inputs, *self.readout, *fixed))

    @property
    def _map(self) -> Parametrization:
        # Checked once: isinstance of a protocol takes 20 us.
        return cast("Parametrization", self.parametrization)

    @property
    def num_trainable(self) -> int:
        """Length of theta."""
        return self._map.num_trainable

    @property
    def num_inputs(self) -> int:
        """Length of one row of x."""
        return self._map.num_inputs

    @property
    def num_readout(self) -> int:
        """Length of one prediction."""
        return len(self.readout)

    def initial(self, rng: np.random.Generator) -> Array:
        """Draw a theta to start training from, shape (num_trainable,)."""
        return self._map.initial(rng)

    def coefficients(
        self, theta: ArrayLike, x: ArrayLike, nudge: ArrayLike = 0.0
    ) -> NDArray[Any]:
        """Return the coefficient of every operator.

        Args:
            theta: Shape (num_trainable,).
            x: Shape (batch, num_inputs), or one row.
            nudge: nu, one number or shape (batch, num_readout); complex for a
                holomorphic nudge only.

        Returns:
            Shape (batch, num_operators), in the order of ``operators``.

        Raises:
            ValueError: On a wrong shape or a number that is not finite.
        """
        theta, x = self.check(theta, x)
        nudge = np.asarray(nudge)
        if not np.isfinite(nudge).all():
            raise ValueError(f"nudge should be finite, got {nudge}")
        shape = (len(x), self.num_readout)
        try:
            nudge = np.full(shape, nudge)
        except ValueError:
            raise ValueError(
                f"nudge should have shape {shape} or be one number, got {nudge.shape}"
            ) from None
        fixed = np.ones((len(x), 0 if self.fixed is None else 1))
        driven = self._map.coefficients(theta, x)
        if driven.shape != (len(x), self.num_driven):
            raise ValueError(
                f"the parametrization {self._map!r} should give coefficients of shape "
                f"{(len(x), self.num_driven)}, got {driven.shape}"
            )
        return np.concatenate([driven, nudge, fixed], axis=1)

    def check(self, theta: ArrayLike, x: ArrayLike) -> tuple[Array, Array]:
        """Return theta and x as float arrays of shape (P,) and (batch, num_inputs)."""
        theta = _finite("theta", theta)
        if theta.shape != (self.num_trainable,):
            raise ValueError(
                f"theta should have shape ({self.num_trainable},), got {theta.shape}"
            )
        x = np.atleast_2d(_finite("x", x))
        if x.ndim != 2 or x.shape[1] != self.num_inputs or len(x) == 0:
            raise ValueError(
                f"x should have shape (batch, {self.num_inputs}), got {x.shape}"
            )
        return theta, x

    def pullback(self, theta: Array, x: Array, v: Array) -> tuple[Array, Array]:
        """Turn derivatives by coefficients into those by theta and x, per sample.

        Args:
            theta: Shape (num_trainable,), as ``check`` returns it.
            x: Shape (batch, num_inputs), likewise.
            v: Shape (batch, num_operators); readout and fixed columns are not used.
        """
        return self._map.pullback(theta, x, v[:, : self.num_driven])

    @property
    def num_driven(self) -> int:
        """Number of trainable and input operators: those whose coefficients vary."""
        return len(self.trainable) + len(self.inputs)

    @property
    def readout_columns(self) -> slice:
        """Where the readout stands among the operators."""
        return slice(self.num_driven, self.num_driven + self.num_readout)

    def hamiltonian(
        self, theta: ArrayLike, x: ArrayLike, nudge: ArrayLike = 0.0
    ) -> SparsePauliOp:
        """Return H(theta, x, nu) of one row as a ``SparsePauliOp``.

        With ``nudge=beta * s`` this is the paper's H^beta, up to a constant.

        Raises:
            TypeError: If an operator is no Pauli sum.
            ValueError: If x has more than one row.
        """
        rows = self.coefficients(theta, x, nudge)
        if len(rows) != 1:
            raise ValueError(f"hamiltonian takes one row of x, got {len(rows)}")
        for op in self.operators:
            if not isinstance(op, SparsePauliOp):
                raise TypeError(f"hamiltonian needs Pauli operators, got {op!r}")
        terms = [c * op for c, op in zip(rows[0], self.operators, strict=True)]
        return SparsePauliOp.sum(terms).simplify(atol=0.0)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the operators, their roles and the parametrization's sizes."""
        text = [f"{len(self.trainable)} {len(self.inputs)} {len(self.readout)}"]
        for op in self.operators:
            is_pauli = isinstance(op, SparsePauliOp)
            text.append(
                str(op.simplify(atol=0.0).sort().to_list()) if is_pauli else repr(op)
            )
        inner: Any = self._map
        while inner is not None:
            sizes = f"{inner.num_trainable} {inner.num_inputs}"
            text.append(f"{type(inner).__qualname__} {sizes}")
            inner = getattr(inner, "base", None)
        return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        """Show the sizes."""
        acted_on = register(self.operators)
        return (
            f"Model({self.num_trainable} trainable, {self.num_inputs} inputs, "
            f"{self.num_readout} readout{acted_on and '; '}{acted_on})"
        )


def linear_inputs(model: Model, num_features: int, *, scale: float = 0.5) -> Model:
    r"""Drive the inputs of a model by trainable linear functions of features.

    .. math:: u = b + V f, \qquad \theta = (\theta_{model}, b, V \text{ row by row})

    Args:
        model: A model with at least one input.
        num_features: Length of f, which becomes the new row of x.
        scale: Standard deviation of the initial V f for features of size one.

    Returns:
        The model with ``num_inputs = num_features``.

    Raises:
        ValueError: If the model has no input or num_features is not positive.

    Example:
        >>> import qiskit_qep as qep
        >>> chain = qep.models.transverse_field_ising(3, inputs=[0, 1], readout=[2])
        >>> qep.linear_inputs(chain, 4).num_trainable - chain.num_trainable
        10
    """
    if not model.inputs:
        raise ValueError(f"linear_inputs needs a model with inputs, got {model}")
    if num_features < 1:
        raise ValueError(f"num_features should be at least 1, got {num_features}")
    return replace(model, parametrization=LinearInputs(model._map, num_features, scale))


def _finite(name: str, values: ArrayLike) -> Array:
    """Return values as floats, or say which one is not a finite real number."""
    array = np.asarray(values)
    if is_complex(array):
        raise ValueError(f"{name} should be real, got {array.dtype}")
    array = array.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} should be finite, got {array[where]} at {where}")
    return array
