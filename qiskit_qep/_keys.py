"""TOML tables as calls: ``kind`` names a function, the other keys are its arguments.

Names, types and defaults are those of the function's signature. What is unknown,
missing or mistyped is refused by name; nothing in a file is executed.
"""

from __future__ import annotations

import difflib
import inspect
import json
import re
import tomllib
from itertools import chain
from typing import TYPE_CHECKING, Any

from ._types import MADE, TYPES, annotation, is_float, is_str

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    Table = dict[str, Any]
    Kinds = Mapping[str, Mapping[str, Callable[..., Any]]]  # role -> kind -> function


class ConfigError(ValueError):
    """A run that cannot begin as it was described."""


NESTED = {  # the role of such an argument's own table
    "Equilibrium": "equilibrium",
    "Preparation": "preparation",
    "Ramp | QuantumCircuit": "ansatz",
    "tuple[SparsePauliOp, ...]": "jumps",  # of each table, put together
}
MOST = {  # in a table: a mistyped number should not fill the memory, or take for ever
    "num_spins": 63,
    "num_bits": 20,
    "num_samples": 1_000_000,
    "shots": 100_000_000,
    "n": 1000,
    "steps": 10_000,  # of a ramp
    "reads": 1_000_000,
    "sweeps": 1_000_000,
    "vectors": 10_000,
    "max_bond": 4096,
    "samples": 1_000_000,
    "alpha": 100,
}
MAX_TEXT = 1 << 24  # bytes of a file
MAX_SHOWN = 200  # characters of a value in a message


def build(
    kinds: Kinds,
    role: str,
    table: Any,
    *more: Callable[..., Any],
    path: str | None = None,
) -> tuple[Any, list[Table]]:
    """Return what a table with a kind describes, and the arguments of ``more``."""
    function, how, rest = understand(kinds, role, table, *more, path=path)
    return call(path or role, function, **how), rest


def understand(
    kinds: Kinds,
    role: str,
    table: Any,
    *more: Callable[..., Any],
    path: str | None = None,
) -> tuple[Callable[..., Any], Table, list[Table]]:
    """Return the function that a table names, its arguments and those of ``more``."""
    path, known = path or role, kinds[role]
    if not isinstance(table, dict):
        raise ConfigError(f"[{path}] should be a table with a kind, got {shown(table)}")
    kind = table.get("kind")
    if not (isinstance(kind, str) and kind in known):
        got = f", got {shown(kind)}{meant(kind, known)}" if "kind" in table else ""
        raise ConfigError(f"[{path}] kind should be one of {listed(known)}{got}")
    rest = {key: value for key, value in table.items() if key != "kind"}
    how, *others = take(kinds, rest, path, known[kind], *more, also=["kind"])
    return known[kind], how, others


def take(
    kinds: Kinds,
    table: Table,
    path: str,
    *functions: Callable[..., Any],
    also: Iterable[str] = (),
    skip: Collection[str] = (),
) -> list[Table]:
    """Part a table into the arguments of functions, or say which key is wrong.

    An argument whose type is not in ``TYPES``, such as a sampler, has no key.

    Args:
        kinds: For arguments that are tables with a kind of their own.
        table: What was read.
        path: Of the table, "" for the keys above all tables.
        *functions: Whose arguments the keys are.
        also: Further keys that are allowed, and read elsewhere.
        skip: Arguments that no key may give.
    """
    wanted = [
        {
            name: parameter
            for name, parameter in inspect.signature(function).parameters.items()
            if name not in skip and annotation(parameter) in TYPES
        }
        for function in functions
    ]
    allowed = [*also, *(name for parameters in wanted for name in parameters)]
    for key in table:
        if key not in allowed:
            raise ConfigError(
                f"{_where(path)} has no key {key!r}{meant(key, allowed)}; it may have "
                f"{listed(allowed)}"
            )
    for parameters in wanted:
        for name, parameter in parameters.items():
            if parameter.default is parameter.empty and name not in table:
                words, _ = TYPES[annotation(parameter)]
                raise ConfigError(f"{_where(path)} needs {name}, {words}")
    return [
        {
            name: _read(kinds, table[name], path, name, annotation(parameter))
            for name, parameter in parameters.items()
            if name in table
        }
        for parameters in wanted
    ]


def _read(kinds: Kinds, value: Any, path: str, name: str, kind: str) -> Any:
    words, fits = TYPES[kind]
    if not fits(value):
        key = f"[{path}] {name}" if path else name
        raise ConfigError(f"{key} should be {words}, got {shown(value)}")
    most = MOST.get(name) if path else None
    if most is not None and value > most:
        raise ConfigError(
            f"[{path}] {name} should be at most {most} in a file, got {shown(value)}"
        )
    if kind in NESTED:
        role, where = NESTED[kind], f"{path}.{name}"
        if isinstance(value, list):
            every = (
                build(kinds, role, one, path=f"{where}, entry {k}")[0]
                for k, one in enumerate(value, 1)
            )
            return tuple(chain.from_iterable(every))
        return build(kinds, role, value, path=where)[0]
    return MADE[kind](value) if kind in MADE else value


def call(path: str, function: Callable[..., Any], /, **how: Any) -> Any:
    """Call a function of the package; say where in the file a refusal comes from."""
    where = f"[{path}] " * bool(path)
    try:
        return function(**how)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where}{error}") from error
    except (MemoryError, OverflowError) as error:
        raise ConfigError(f"{where}numbers are too large: {error}") from error


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ConfigError: If it is none, or too long.
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(MAX_TEXT + 1)
    if len(content) > MAX_TEXT:
        raise ConfigError(f"{path} has more than {MAX_TEXT} bytes; is it the file?")
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no UTF-8 text: {error}") from None


def replace_key(text: str, key: str, value: float | str) -> str:
    """Return a TOML text in which a key above all tables has another value.

    Raises:
        ConfigError: If the text is laid out so that this cannot be done safely.
    """
    if not (is_str(value) or is_float(value)):
        raise ConfigError(f"{key} should be a finite number, got {shown(value)}")
    table, new = re.search(r"(?m)^\s*\[", text), shown(value)
    end = table.start() if table else len(text)
    line = re.compile(rf"(?m)^({key}\s*=\s*)(\"[^\"\n]*\"|[^\s#]+)")
    above, found = line.subn(lambda old: old[1] + new, text[:end], count=1)
    changed = above + text[end:] if found else f"{key} = {new}\n{text}"
    try:
        same = tomllib.loads(changed) == {**tomllib.loads(text), key: value}
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"no TOML: {error}") from error
    if not same:
        raise ConfigError(f"could not set {key} = {new}; write it into the file")
    return changed


def shown(value: Any) -> str:
    """Return a value much as TOML writes it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def listed(names: Iterable[str]) -> str:
    """Return names as a list in a sentence."""
    return ", ".join(names)


def meant(given: Any, names: Iterable[str]) -> str:
    """Return a hint at the name that was probably meant, or nothing."""
    close = difflib.get_close_matches(str(given), list(names), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _where(path: str) -> str:
    return f"[{path}]" if path else "the file"
