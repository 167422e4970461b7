"""A training run as a TOML file, in which every table is a call of the package.

``kind`` names the function and the other keys are its arguments: the table

    [nudge]
    kind = "centered"
    beta = 0.05

is ``Nudge.centered(beta=0.05)``. Names, types and defaults are those of the signature,
so a new kind is one line in ``KINDS``. Nothing in a file is executed.
"""

from __future__ import annotations

import difflib
import inspect
import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from . import datasets, models
from ._loss import Loss, cost_observable, cross_entropy, squared_error
from ._model import Model, linear_inputs
from ._nudge import Nudge
from ._optimizers import Optimizer, adam, cosine, momentum, sgd
from ._train import steps as iterate
from .equilibria.exact import Exact
from .equilibria.sampled import Sampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._equilibrium import Equilibrium

    Table = dict[str, Any]


class ConfigError(ValueError):
    """A run that cannot begin as it was described."""


@dataclass(frozen=True, eq=False)
class Config:
    """All that a training run needs, built and checked.

    Attributes:
        name: Of the file; run folders are called after it.
        text: The file itself.
        model: What is trained.
        x_train: Shape (num_samples, num_inputs).
        y_train: With as many rows.
        x_test: Held-out samples; no rows where there are none.
        y_test: With as many rows.
        equilibrium: What settles and measures.
        nudge: The stencil.
        loss: The cost of a prediction.
        optimizer: How a gradient becomes a change.
        steps: Number of updates.
        batch_size: Samples per step; None for all.
        seed: Of the start, the batches and all shots.
        test_every: Steps between two looks at the test samples.
    """

    name: str
    text: str
    model: Model
    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    equilibrium: Equilibrium
    nudge: Nudge
    loss: Loss
    optimizer: Optimizer
    steps: int
    batch_size: int | None
    seed: int
    test_every: int


def _pauli(
    trainable: Sequence[str],
    inputs: Sequence[str] = (),
    readout: Sequence[str] = (),
    fixed: str | None = None,
) -> Model:
    return Model(tuple(trainable), tuple(inputs), tuple(readout), fixed)


def _named(owner: Any, names: str) -> dict[str, Callable[..., Any]]:
    return {name: getattr(owner, name) for name in names.split()}


KINDS: dict[str, dict[str, Callable[..., Any]]] = {
    "data": _named(
        datasets,
        "xor parity moons spirals cluster_ising iris wine breast_cancer digits",
    ),
    "model": {**_named(models, "transverse_field_ising"), "pauli": _pauli},
    "equilibrium": {"exact": Exact, "sampled": Sampled},
    "nudge": _named(
        Nudge, "centered one_sided chebyshev holomorphic infinitesimal random_sign"
    ),
    "loss": {
        "squared_error": lambda: squared_error,
        "cross_entropy": cross_entropy,
        "cost_observable": lambda: cost_observable,
    },
    "optimizer": {"adam": adam, "momentum": momentum, "sgd": sgd},
}
REQUIRED = ("data", "model")
DEFAULTS: dict[str, Table | None] = {
    "data": None,
    "model": None,
    "equilibrium": {"kind": "exact"},
    "nudge": {"kind": "centered", "beta": 0.1},
    "loss": {"kind": "squared_error"},
    "optimizer": {"kind": "adam"},
}


# Keys that are no argument of a kind, as signatures.
def _top(
    steps: int,
    batch_size: int | None = None,
    seed: int = 0,
    test_every: int | None = None,
) -> None: ...
def _split(test: float = 0.3, split_seed: int = 0) -> None: ...
def _schedule(schedule: str = "constant") -> None: ...
def _features(linear_inputs: Table | None = None) -> None: ...


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_float(value: Any) -> bool:
    return _is_int(value) or (isinstance(value, float) and math.isfinite(value))


def _is_str(value: Any) -> bool:
    return isinstance(value, str)


def _list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_pair(value: Any) -> bool:
    return _list_of(_is_int)(value) and len(value) == 2


TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int": ("a whole number", _is_int),
    "float": ("a finite number", _is_float),
    "Rate": ("a finite number", _is_float),
    "str": ("a string", _is_str),
    "Table": ("a table", lambda value: isinstance(value, dict)),
    "Sequence[int]": ("a list of whole numbers", _list_of(_is_int)),
    "Sequence[str]": ("a list of strings", _list_of(_is_str)),
    "str | Iterable[tuple[int, int]] | Any": (
        "a string or a list of pairs such as [[0, 1], [1, 2]]",
        lambda value: _is_str(value) or _list_of(_is_pair)(value),
    ),
}
NESTED = {"Equilibrium": "equilibrium"}  # an argument that is a table with a kind


def load(source: str | Path) -> Config:
    """Read a TOML file, or a packaged config by its name.

    Raises:
        ConfigError: If there is no such file, or a key in it is unknown or mistyped.
    """
    path = Path(source)
    if path.is_file():
        return parse(path.read_text(encoding="utf-8"), path.name)
    names = packaged_names()
    if str(source) not in names:
        raise ConfigError(
            f"there is no file {str(source)!r}, and the packaged configs are "
            f"{_listed(names)}{_meant(source, names)}"
        )
    packaged = resources.files(__package__) / "configs" / f"{source}.toml"
    return parse(packaged.read_text(encoding="utf-8"), packaged.name)


def packaged_names() -> list[str]:
    """Return the names of the configs that come with the package."""
    files = (resources.files(__package__) / "configs").iterdir()
    return sorted(
        file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")
    )


def replace_key(text: str, key: str, value: int) -> str:
    """Return a TOML text in which a key above all tables has another value.

    Raises:
        ConfigError: If the text is laid out so that this cannot be done safely.
    """
    cut = re.search(r"(?m)^\s*\[", text)
    above, below = (text[: cut.start()], text[cut.start() :]) if cut else (text, "")
    line = rf"(?m)^({key}\s*=\s*)[^\s#]+"
    above, found = re.subn(line, rf"\g<1>{value}", above, count=1)
    changed = above + below if found else f"{key} = {value}\n{text}"
    if tomllib.loads(changed) != {**tomllib.loads(text), key: value}:
        raise ConfigError(f"could not set {key} = {value}; write it into the file")
    return changed


def parse(text: str, filename: str) -> Config:
    """Build a run from the text of a TOML file.

    Raises:
        ConfigError: If a key is unknown, missing or mistyped, or its value is refused.
    """
    try:
        return _config(tomllib.loads(text), text, filename.removesuffix(".toml"))
    except (ConfigError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{filename}: {error}") from error


def _config(tables: Table, text: str, name: str) -> Config:
    given = {role: tables.get(role, default) for role, default in DEFAULTS.items()}
    for role in REQUIRED:
        if given[role] is None:
            raise ConfigError(
                f"a table [{role}] is needed; its kind may be {_listed(KINDS[role])}"
            )
    rest = {key: value for key, value in tables.items() if key not in DEFAULTS}
    (top,) = _take(rest, "", _top, also=DEFAULTS)
    run = {"batch_size": None, "seed": 0, "test_every": None} | top
    run["test_every"] = run["test_every"] or max(1, run["steps"] // 5)
    for key, least in (("steps", 1), ("seed", 0), ("test_every", 1)):
        if run[key] < least:
            raise ConfigError(f"{key} should be at least {least}, got {run[key]}")
    parts = _data(given["data"], run["seed"])
    built = {
        role: _build(role, given[role])[0] for role in ("equilibrium", "nudge", "loss")
    }
    config = Config(
        name=name,
        text=text,
        **dict(zip(("x_train", "y_train", "x_test", "y_test"), parts, strict=True)),
        model=_model(given["model"], parts[0].shape[1]),
        optimizer=_optimizer(given["optimizer"], run["steps"]),
        **built,
        **run,
    )
    _check(config)
    return config


def _check(config: Config) -> None:
    """Refuse parts that do not fit together."""
    model, size = config.model, config.x_train.shape[1]
    if model.num_inputs != size:
        raise ConfigError(
            f"[model] has {model.num_inputs} inputs, but the data have {size} features; "
            "change inputs or add a table [model.linear_inputs]"
        )
    x, y = config.x_train, config.y_train
    _called("[loss]", config.loss.targets, model=model, y=y, batch=len(x))
    _called("the file", iterate, model=model, x=x, y=y, batch_size=config.batch_size)


def _data(table: Any, seed: int) -> tuple[Any, ...]:
    """Return x_train, y_train, x_test, y_test."""
    if isinstance(table, dict) and _takes_seed(table.get("kind")):
        table = {"seed": seed} | table
    (x, y), (parts,) = _build("data", table, _split)
    if parts.get("test") == 0:
        return x, y, x[:0], y[:0]
    names = {"test": "test", "split_seed": "seed"}
    how = {names[key]: value for key, value in parts.items()}
    return tuple(_called("[data]", datasets.split, x=x, y=y, **how))


def _takes_seed(kind: Any) -> bool:
    function = KINDS["data"].get(kind) if isinstance(kind, str) else None
    return function is not None and "seed" in inspect.signature(function).parameters


def _model(table: Any, num_features: int) -> Model:
    model, (extra,) = _build("model", table, _features)
    if "linear_inputs" not in extra:
        return model
    path, given = "model.linear_inputs", {"model": model, "num_features": num_features}
    (how,) = _take(extra["linear_inputs"], path, linear_inputs, skip=given)
    return cast("Model", _called(f"[{path}]", linear_inputs, **given, **how))


def _optimizer(table: Any, steps: int) -> Optimizer:
    function, how, (extra,) = _understand("optimizer", table, _schedule)
    schedule = extra.get("schedule", "constant")
    if schedule == "cosine":
        rate = how.get("rate", inspect.signature(function).parameters["rate"].default)
        how["rate"] = _called("[optimizer]", cosine, rate=rate, steps=steps)
    elif schedule != "constant":
        known = ["constant", "cosine"]
        raise ConfigError(
            f"[optimizer] schedule should be one of {_listed(known)}, got "
            f"{_shown(schedule)}{_meant(schedule, known)}"
        )
    return _called("[optimizer]", function, **how)


def _build(
    role: str, table: Any, *more: Any, path: str = ""
) -> tuple[Any, list[Table]]:
    """Return what a table with a kind describes, and the keys that belong to more."""
    function, how, rest = _understand(role, table, *more, path=path)
    return _called(f"[{path or role}]", function, **how), rest


def _understand(
    role: str, table: Any, *more: Any, path: str = ""
) -> tuple[Callable[..., Any], Table, list[Table]]:
    """Return the function that a table names, its arguments, and those of more."""
    path, kinds = path or role, KINDS[role]
    if not isinstance(table, dict):
        raise ConfigError(
            f"[{path}] should be a table with a kind, got {_shown(table)}"
        )
    kind = table.get("kind")
    if not (isinstance(kind, str) and kind in kinds):
        got = f", got {_shown(kind)}{_meant(kind, kinds)}" if "kind" in table else ""
        raise ConfigError(f"[{path}] kind should be one of {_listed(kinds)}{got}")
    rest = {key: value for key, value in table.items() if key != "kind"}
    how, *others = _take(rest, path, kinds[kind], *more, also=["kind"])
    return kinds[kind], how, others


def _take(
    table: Any,
    path: str,
    *functions: Callable[..., Any],
    also: Iterable[str] = (),
    skip: Iterable[str] = (),
) -> list[Table]:
    """Part a table into the arguments of functions, or say which key is wrong."""
    where = f"[{path}]" if path else "the file"
    if not isinstance(table, dict):
        raise ConfigError(f"{where} should be a table, got {_shown(table)}")
    taken = []
    allowed = list(also)
    for function in functions:
        arguments = {}
        for name, parameter in inspect.signature(function).parameters.items():
            if name in skip:
                continue
            allowed.append(name)
            kind = inspect.formatannotation(parameter.annotation)
            if name in table:
                arguments[name] = _read(table[name], path, name, kind)
            elif parameter.default is parameter.empty:
                raise ConfigError(f"{where} needs {name}, {_type(kind)[0]}")
        taken.append(arguments)
    for key in table:
        if key not in allowed:
            raise ConfigError(
                f"{where} has no key {key!r}{_meant(key, allowed)}; it may have "
                f"{_listed(allowed)}"
            )
    return taken


def _type(kind: str) -> tuple[str, Callable[[Any], bool]]:
    """Return in words what an annotation asks for, and the check of it."""
    return TYPES["Table" if kind in NESTED else kind.removesuffix(" | None")]


def _read(value: Any, path: str, name: str, kind: str) -> Any:
    if kind in NESTED:
        return _build(NESTED[kind], value, path=f"{path}.{name}")[0]
    words, fits = _type(kind)
    if not fits(value):
        key = f"[{path}] {name}" if path else name
        raise ConfigError(f"{key} should be {words}, got {_shown(value)}")
    return float(value) if _is_int(value) and kind in ("float", "Rate") else value


def _called(where: str, function: Callable[..., Any], **how: Any) -> Any:
    """Call a function of the package; say where in the file a refusal comes from."""
    try:
        return function(**how)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where} {error}") from error


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _meant(given: Any, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(given), list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
