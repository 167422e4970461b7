"""A training run as a TOML file, in which every table is a call of the package.

``kind`` names the function and the other keys are its arguments: the table

    [nudge]
    kind = "centered"
    beta = 0.05

is ``Nudge.centered(beta=0.05)``. A new kind is one line in ``_kinds.KINDS``.
"""

from __future__ import annotations

import inspect
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _kinds, datasets
from ._backends import check_name
from ._keys import (
    ConfigError,
    build,
    call,
    listed,
    meant,
    read_text,
    shown,
    take,
    understand,
)
from ._kinds import KINDS, LIMITS, OMITTED, nowhere
from ._model import Model, linear_inputs
from ._optimizers import Optimizer, bounded, cosine
from ._train import steps as iterate
from .equilibria.exact import Exact
from .equilibria.prepared import Prepared
from .equilibria.sampled import Sampled
from .preparations.ramp import Ramp
from .runtime.costs import Budget

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._equilibrium import Equilibrium
    from ._loss import Loss
    from ._nudge import Nudge

    Table = dict[str, Any]


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
        backend: Where circuits run, as ``_backends.connect`` understands it; None for
            what the equilibrium does by itself.
        account: Name of a saved IBM account; None for the default one.
        budget: That jobs on a device may not exceed.
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
    backend: str | None
    account: str | None
    budget: Budget

    @property
    def how(self) -> dict[str, Any]:
        """The arguments of ``qiskit_qep.steps`` that a whole run shares."""
        names = ("optimizer", "equilibrium", "nudge", "loss", "batch_size")
        return {name: getattr(self, name) for name in names}


def load(source: str | Path) -> Config:
    """Read a TOML file, or a packaged config by its name.

    Raises:
        ConfigError: If there is no such file, or as ``parse``.
    """
    return parse(*read(source))


def read(source: str | Path) -> tuple[str, str]:
    """Return the text and the name of a TOML file or a packaged config."""
    path, folder = Path(source), resources.files(__package__) / "configs"
    if path.is_file():
        return read_text(path), path.name
    names = sorted(file.name.removesuffix(".toml") for file in folder.iterdir())
    if str(source) not in names:
        raise ConfigError(
            f"there is no file {str(source)!r}{meant(source, names)}; the packaged "
            f"configs are {listed(names)}"
        )
    return (folder / f"{source}.toml").read_text(encoding="utf-8"), f"{source}.toml"


def parse(text: str, filename: str) -> Config:
    """Build a run from the text of a TOML file.

    Raises:
        ConfigError: If a key is unknown, missing or mistyped, or its value is refused.
    """
    try:
        return _config(tomllib.loads(text), text, filename.removesuffix(".toml"))
    except (ValueError, MemoryError) as error:  # TOML's among them
        raise ConfigError(f"{filename}: {error}") from error
    except RecursionError:
        raise ConfigError(f"{filename}: tables are nested too deeply") from None


def _config(tables: Table, text: str, name: str) -> Config:
    rest = {key: value for key, value in tables.items() if key not in OMITTED}
    (top,) = take(KINDS, rest, "", _kinds.top, also=OMITTED)
    table = {role: tables.get(role, omitted) for role, omitted in OMITTED.items()}
    for role in table:
        if table[role] is None:
            raise ConfigError(
                f"a table [{role}] is needed; its kind is one of {listed(KINDS[role])}"
            )
    steps, seed = top["steps"], top.get("seed", 0)
    test_every = top.get("test_every", max(1, steps // 5))
    for key, value in (("steps", steps), ("test_every", test_every)):
        if value < 1:
            raise ConfigError(f"{key} should be at least 1, got {value}")
    if seed < 0:
        raise ConfigError(f"seed should be 0 or more, got {seed}")
    for key in ("backend", "account"):
        if key in top:
            check_name(key, top[key])
    x_train, y_train, x_test, y_test = _data(table["data"], seed)
    config = Config(
        name=name,
        text=text,
        model=_model(table["model"], x_train.shape[1]),
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        equilibrium=_equilibrium(table["equilibrium"], top.get("backend")),
        nudge=build(KINDS, "nudge", table["nudge"])[0],
        loss=build(KINDS, "loss", table["loss"])[0],
        optimizer=_optimizer(table["optimizer"], steps),
        steps=steps,
        batch_size=top.get("batch_size"),
        seed=seed,
        test_every=test_every,
        backend=top.get("backend"),
        account=top.get("account"),
        budget=call("", Budget, **{key: top.get(key) for key in LIMITS}),
    )
    _check(config)
    return config


def _check(config: Config) -> None:
    """Refuse parts that do not fit together."""
    model, x, y = config.model, config.x_train, config.y_train
    if model.num_inputs != x.shape[1]:
        raise ConfigError(
            f"[model] has {model.num_inputs} inputs, but the data have {x.shape[1]} "
            "features; change inputs or add a table [model.linear_inputs]"
        )
    call("loss", config.loss.targets, model=model, y=y, batch=len(x))
    call("", iterate, model=model, x=x, y=y, seed=config.seed, **config.how)


def _data(table: Any, seed: int) -> tuple[NDArray[Any], ...]:
    """Return x_train, y_train, x_test, y_test."""
    function, how, (parts,) = understand(KINDS, "data", table, _kinds.split)
    if "seed" in inspect.signature(function).parameters:
        how = {"seed": seed} | how
    x, y = call("data", function, **how)
    if parts.get("test") == 0:
        return x, y, x[:0], y[:0]
    names = {"test": "test", "split_seed": "seed"}
    split = {names[key]: value for key, value in parts.items()}
    return tuple(call("data", datasets.split, x=x, y=y, **split))


def _model(table: Any, num_features: int) -> Any:
    model, (extra,) = build(KINDS, "model", table, _kinds.features)
    if "linear_inputs" not in extra:
        return model
    path, given = "model.linear_inputs", {"model": model, "num_features": num_features}
    (how,) = take(KINDS, extra["linear_inputs"], path, linear_inputs, skip=given)
    return call(path, linear_inputs, **given, **how)


def _equilibrium(table: Any, backend: str | None) -> Any:
    """Return what settles; on a backend these are circuits, by default a ramp's."""
    made = build(KINDS, "equilibrium", table)[0]
    if backend == "exact":
        return Exact()
    if backend is None:
        if isinstance(made, Prepared) and made.sampler is not None:
            nowhere(0)
        return made
    if isinstance(made, Prepared):
        return made
    shots = made.shots if isinstance(made, Sampled) else Prepared.shots
    return Prepared(Ramp(), shots=shots)


def _optimizer(table: Any, steps: int) -> Any:
    function, how, (extra,) = understand(KINDS, "optimizer", table, _kinds.schedule)
    schedule, known = extra.get("schedule", "constant"), ["constant", "cosine"]
    if schedule not in known:
        raise ConfigError(
            f"[optimizer] schedule should be one of {listed(known)}, got "
            f"{shown(schedule)}{meant(schedule, known)}"
        )
    made = call("optimizer", function, **how)  # which checks the rate
    if schedule == "cosine":
        rate = how.get("rate", inspect.signature(function).parameters["rate"].default)
        made = call("optimizer", function, **how | {"rate": cosine(rate, steps)})
    if "bounded" not in extra:
        return made
    path = "optimizer.bounded"
    (limits,) = take(KINDS, extra["bounded"], path, bounded)
    return call(path, bounded, optimizer=made, **limits)
