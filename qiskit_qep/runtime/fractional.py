"""Fractional gates: free rzz angles, folded exactly into the range of a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression, ParameterVector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    Array = NDArray[np.float64]

GATE = "rzz"


def fold(
    circuit: QuantumCircuit,
) -> tuple[QuantumCircuit, tuple[ParameterExpression, ...], tuple[Parameter, ...]]:
    r"""Write every free rzz with an angle between 0 and pi / 2, exactly.

    .. math::
        R_{ZZ}(t) \simeq X_a^f\, R_{ZZ}(r)\, X_a^f\, (Z_a Z_b)^k, \qquad
        t = \pi k + (-1)^f r, \quad 0 \le r \le \pi/2

    up to a global phase, with f and k mod 2 as angles of rx and rz: one circuit serves
    all bindings. Each rzz costs two rx, and rz that a device gets for nothing.

    Args:
        circuit: Any circuit; numbers as rzz angles are left as they are.

    Returns:
        The circuit; the n distinct expressions t that were replaced; the 3 n parameters
        that replace them, whose values ``folded`` returns.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> from qiskit.circuit import Parameter
        >>> from qiskit_qep.runtime.fractional import fold
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.rzz(Parameter("t"), 0, 1)
        >>> sorted(fold(circuit)[0].count_ops().items())
        [('rx', 2), ('rz', 2), ('rzz', 1)]
    """
    column: dict[ParameterExpression, int] = {}
    for instruction in circuit.data:
        if is_free(instruction.operation):
            column.setdefault(instruction.operation.params[0], len(column))
    angles = ParameterVector("fold", 3 * len(column))
    out = circuit.copy_empty_like()
    for instruction in circuit.data:
        if not is_free(instruction.operation):
            out._append(instruction)
            continue
        k = 3 * column[instruction.operation.params[0]]
        size, flip, turn = angles[k : k + 3]
        a, b = instruction.qubits
        out.rx(flip, a)
        out.rzz(size, a, b)
        out.rx(flip, a)
        out.rz(turn, a)
        out.rz(turn, b)
    return out, tuple(column), tuple(angles)


def folded(angles: Array) -> Array:
    """Return the values of the parameters of ``fold``.

    Args:
        angles: t, shape (..., n).

    Returns:
        r, pi f and pi (k mod 2) of every angle, shape (..., 3 n).

    Example:
        >>> import numpy as np
        >>> from qiskit_qep.runtime.fractional import folded
        >>> folded(np.array([-np.pi / 3, np.pi])) / np.pi
        array([0.33333333, 1.        , 0.        , 0.        , 0.        , 1.        ])
    """
    turns = np.round(angles / np.pi)
    rest = angles - np.pi * turns
    size = np.minimum(np.abs(rest), 0.5 * np.pi)  # rounding must not leave the range
    parts = [size, np.pi * (rest < 0.0), np.pi * (turns % 2)]
    return np.stack(parts, axis=-1).reshape(*angles.shape[:-1], -1)


def is_free(operation: Any) -> bool:
    """Say whether an operation is an rzz whose angle is yet to be bound."""
    return operation.name == GATE and isinstance(
        operation.params[0], ParameterExpression
    )


def evaluate(
    expressions: Sequence[ParameterExpression],
    parameters: Sequence[Parameter],
    values: Array,
) -> Array:
    """Return the values of some expressions.

    Args:
        expressions: Of the parameters.
        parameters: In the order of the last axis of values.
        values: Shape (..., num_parameters).

    Returns:
        Shape (..., num_expressions).
    """
    column = {p: k for k, p in enumerate(parameters)}
    out = np.empty((*values.shape[:-1], len(expressions)))
    for k, expression in enumerate(expressions):
        if isinstance(expression, Parameter):
            out[..., k] = values[..., column[expression]]
            continue
        used = list(expression.parameters)
        rows = values[..., [column[p] for p in used]]
        for row in np.ndindex(rows.shape[:-1]):
            out[(*row, k)] = expression.bind(dict(zip(used, rows[row], strict=True)))
    return out
