"""State: a training run at one step, in one file that nothing has to be trusted for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._archive import NUMBERS, pack, read, write_atomically
from ._estimate import Gradient, with_error

if TYPE_CHECKING:
    import os

FORMAT, SCHEMA = "qiskit_qep.State", 1
PROBED = ("bias", "bias_stds")  # of a gradient whose nudge had a probe
PACKAGES = ("qiskit-qep", "qiskit", "numpy", "scipy", "numba")


@dataclass(frozen=True, eq=False)
class State:
    """Parameters with the loss and gradient measured *at* them.

    Attributes:
        step: Number of updates made.
        theta: Shape (num_trainable,).
        gradient: Measured at theta, on this step's batch.
        memory: Of the optimizer, after the update that led here.
        seed: All randomness of the run comes from seed and step.
        model: Fingerprint of the model.
        settled: Where every sample's next free phase starts, shape (num_samples,
            num_angles), nan where it has not been settled; None for equilibria that
            start afresh. A VQE needs it.
    """

    step: int
    theta: np.ndarray
    gradient: Gradient
    memory: Any
    seed: int
    model: str
    settled: np.ndarray | None = None

    @property
    def loss(self) -> float:
        """The loss measured at theta."""
        return self.gradient.loss

    @property
    def loss_std(self) -> float:
        """Its standard error."""
        return self.gradient.loss_std

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to one .npz file, at once or not at all.

        Args:
            path: Where; an existing file is replaced.

        Raises:
            ValueError: If the optimizer's memory holds anything but arrays.
        """
        leaves = flatten(self.memory)
        for leaf in leaves:
            if leaf.dtype.kind not in NUMBERS:
                raise ValueError(
                    f"the optimizer's memory should be arrays of numbers, got {leaf!r}"
                )
        header = {
            "format": FORMAT,
            "schema": SCHEMA,
            "step": self.step,
            "seed": self.seed,
            "model": self.model,
            "leaves": len(leaves),
            "versions": versions(),
        }
        arrays: dict[str, Any] = _arrays(self.gradient, "gradient")
        arrays["theta"] = self.theta
        if self.settled is not None:
            arrays["settled"] = self.settled
        arrays |= {f"memory.{k}": leaf for k, leaf in enumerate(leaves)}
        write_atomically(Path(path), pack(header, arrays))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> State:
        """Read a state that ``save`` wrote; nothing in the file is executed.

        The optimizer's memory comes back as a flat list, which ``steps`` restores into
        the shape that the optimizer's ``init`` gives.

        Raises:
            ValueError: If the file is no state, or of another schema.
        """
        try:
            header, arrays = read(Path(path))
            return _restore(header, arrays)
        except ValueError as error:
            raise ValueError(f"{path} is no saved State: {error}") from error

    def __repr__(self) -> str:
        """Show step, loss and length of the gradient with error bars."""
        g = self.gradient
        return (
            f"step {self.step}   loss {with_error(g.loss, g.loss_std)}   "
            f"|grad| {with_error(g.norm, g.norm_std)}"
        )


def _restore(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> State:
    if header.get("format") != FORMAT:
        raise ValueError(f"its format is {header.get('format')!r:.80}, not {FORMAT!r}")
    if header.get("schema") != SCHEMA:
        raise ValueError(
            f"it has schema {header.get('schema')!r:.80}, this version reads {SCHEMA}; "
            f"it was written by {header.get('versions')!r:.200}"
        )
    step, seed, leaves = (_number(header, key) for key in ("step", "seed", "leaves"))
    model = header.get("model")
    if not isinstance(model, str):
        raise ValueError(f"model should be a fingerprint, got {model!r:.80}")
    try:
        theta = arrays["theta"]
        gradient = _gradient(arrays, "gradient")
        memory = [arrays[f"memory.{k}"] for k in range(min(leaves, len(arrays) + 1))]
    except KeyError as error:
        raise ValueError(f"it lacks {error}") from None
    settled = arrays.get("settled")
    _check(theta, gradient, settled)
    return State(step, theta, gradient, memory, seed, model, settled)


def _number(header: dict[str, Any], key: str) -> int:
    value = header.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{key} should be a whole number from 0, got {value!r:.80}")
    return value


def _check(theta: np.ndarray, gradient: Gradient, settled: np.ndarray | None) -> None:
    """Refuse numbers that no training saves, before one goes on from them."""
    if theta.ndim != 1 or theta.dtype != np.float64 or not np.isfinite(theta).all():
        raise ValueError("theta should be one row of finite numbers")
    if settled is not None and (settled.ndim != 2 or settled.dtype != np.float64):
        raise ValueError(f"settled should be a table of angles, got {settled.shape}")
    _check_gradient(gradient, theta.shape)


def _check_gradient(gradient: Gradient, shape: tuple[int, ...]) -> None:
    wanted: dict[str, tuple[int, ...]] = dict.fromkeys(("loss", "loss_std", "gap"), ())
    wanted |= dict.fromkeys(("values", "stds", "slope_stds", *PROBED), shape)
    wanted["inputs_stds"] = np.shape(gradient.inputs)
    wanted["prediction_stds"] = np.shape(gradient.prediction)
    for name, value in vars(gradient).items():
        if name == "raw" or value is None:
            continue
        is_std = "std" in name
        wrong = np.less(value, 0.0) if is_std else ~np.isfinite(value)
        expected = wanted.get(name, np.shape(value))
        if np.shape(value) != expected or (np.any(wrong) and name != "gap"):
            raise ValueError(
                f"gradient.{name} should be {'0 or more' if is_std else 'finite'}, of "
                f"shape {expected}, got shape {np.shape(value)}"
            )
    if gradient.raw is not None:
        _check_gradient(gradient.raw, shape)


def _arrays(gradient: Gradient, name: str) -> dict[str, np.ndarray]:
    """Return the numbers of a gradient by name, those of its raw one below raw."""
    numbers = [f.name for f in fields(Gradient) if f.name != "raw"]
    given = {n: getattr(gradient, n) for n in numbers}
    found = {f"{name}.{n}": np.asarray(v) for n, v in given.items() if v is not None}
    raw = gradient.raw
    return found if raw is None else found | _arrays(raw, f"{name}.raw")


def _gradient(arrays: dict[str, np.ndarray], name: str) -> Gradient:
    """Undo ``_arrays``."""
    numbers = [f.name for f in fields(Gradient) if f.name != "raw"]
    optional = [n for n in PROBED if f"{name}.{n}" not in arrays]
    found = {n: arrays[f"{name}.{n}"] for n in numbers if n not in optional}
    measured: dict[str, Any] = {
        n: value if value.ndim else float(value) for n, value in found.items()
    }
    raw = f"{name}.raw"
    return Gradient(
        **measured, raw=_gradient(arrays, raw) if f"{raw}.loss" in arrays else None
    )


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide what a run computes."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def flatten(memory: Any) -> list[np.ndarray]:
    """Return the arrays of nested tuples, lists and dicts in a fixed order."""
    if memory is None:
        return []
    if isinstance(memory, dict):
        return [leaf for key in sorted(memory) for leaf in flatten(memory[key])]
    if isinstance(memory, tuple | list):
        return [leaf for part in memory for leaf in flatten(part)]
    return [np.asarray(memory)]


def unflatten(template: Any, leaves: list[np.ndarray]) -> Any:
    """Put a flat list of arrays into the shape of a template.

    Raises:
        ValueError: If the number or shapes of the arrays do not fit.
    """
    wanted = [np.shape(leaf) for leaf in flatten(template)]
    given = [leaf.shape for leaf in leaves]
    if wanted != given:
        raise ValueError(
            f"the optimizer's memory has arrays of shape {given}, this optimizer needs "
            f"{wanted}; continue with the optimizer that the run began with"
        )
    return _fill(template, iter(leaves))


def _fill(template: Any, leaves: Any) -> Any:
    if template is None:
        return None
    if isinstance(template, dict):
        filled = {key: _fill(template[key], leaves) for key in sorted(template)}
        return {key: filled[key] for key in template}
    if isinstance(template, tuple | list):
        parts = [_fill(part, leaves) for part in template]
        is_named = hasattr(template, "_fields")
        return type(template)(*parts) if is_named else type(template)(parts)
    return next(leaves)
