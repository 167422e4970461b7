"""What an argument's annotation asks for in a TOML file, and the check of it."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def is_int(value: Any) -> bool:
    """Tell whole numbers; true is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_float(value: Any) -> bool:
    """Tell finite numbers that are no larger than a float."""
    number = is_int(value) or isinstance(value, float)
    return number and abs(value) <= sys.float_info.max


def is_str(value: Any) -> bool:
    """Tell strings."""
    return isinstance(value, str)


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _is_pair(value: Any) -> bool:
    return _list_of(is_int)(value) and len(value) == 2


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_floats(value: Any) -> bool:
    return _list_of(is_float)(value)


def _is_interval(value: Any) -> bool:
    return _is_floats(value) and len(value) == 2


def _is_atom(value: Any) -> bool:
    return is_int(value) or _is_pair(value)


def _is_form(value: Any) -> bool:
    return is_int(value) or is_str(value)


def _is_array(value: Any) -> bool:
    """Tell numbers, lists of them, and lists of lists of one length."""
    if not isinstance(value, list):
        return is_float(value)
    lengths = {len(part) if isinstance(part, list) else -1 for part in value}
    return len(lengths) <= 1 and all(map(_is_array, value))


def _floats(value: list[float]) -> tuple[float, ...]:
    return tuple(map(float, value))


def _atoms(value: list[Any]) -> list[Any]:
    return [tuple(one) if isinstance(one, list) else one for one in value]


_ATOMS = "a list of atoms and of pairs [atom, axis]", _list_of(_is_atom)
_KIND = "a table with a kind", _is_table

# What an annotation asks for, in words, and the check of it; "| None" is left off.
TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int": ("a whole number", is_int),
    "float": ("a finite number", is_float),
    "Rate": ("a finite number", is_float),
    "str": ("a string", is_str),
    "Sequence[int]": ("a list of whole numbers", _list_of(is_int)),
    "Sequence[str]": ("a list of strings", _list_of(is_str)),
    "Sequence[float]": ("a list of numbers", _is_floats),
    "float | Sequence[float]": (
        "a number or a list of numbers",
        lambda value: is_float(value) or _is_floats(value),
    ),
    "tuple[float, float]": ("two numbers such as [2.0, 0.1]", _is_interval),
    "ArrayLike": ("a number, a list of numbers, or lists of one length", _is_array),
    "Sequence[int | str | QuadraticForm]": (
        'a list of atoms and of products such as "r_3 r_3"',
        _list_of(_is_form),
    ),
    "Sequence[int | tuple[int, int]]": _ATOMS,
    "Sequence[int | tuple[int, int] | Any]": _ATOMS,
    "Table": ("a table", _is_table),
    "Equilibrium": _KIND,
    "Preparation": _KIND,
    "Ramp | QuantumCircuit": _KIND,
    "tuple[SparsePauliOp, ...]": (
        'a list of tables such as [{ kind = "damping", rate = 0.1 }]',
        _list_of(_is_table),
    ),
    "Literal['exact', 'shots']": ("a string", is_str),
    "Literal['none', 'readout', 'full']": ("a string", is_str),
    "Literal['gentle', 'linear', 'smooth'] | Callable[[float], float]": (
        "a string",
        is_str,
    ),
    "str | Iterable[tuple[int, int]] | Any": (
        "a string or a list of pairs such as [[0, 1], [1, 2]]",
        lambda value: is_str(value) or _list_of(_is_pair)(value),
    ),
}
MADE: dict[str, Callable[[Any], Any]] = {  # of what TOML writes otherwise than Python
    "float": float,
    "Rate": float,
    "tuple[float, float]": _floats,
    "Sequence[int | tuple[int, int]]": _atoms,
    "Sequence[int | tuple[int, int] | Any]": _atoms,
}


def annotation(parameter: inspect.Parameter) -> str:
    """Return a parameter's type as it is written, without ``| None``."""
    kind = parameter.annotation
    text = kind if isinstance(kind, str) else inspect.formatannotation(kind)
    return text.removesuffix(" | None")
