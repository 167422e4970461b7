"""Plots of training runs, on axes of your own or on new ones.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart.
matplotlib (the extra ``[plot]``) is loaded by the first plot only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#555555"
GROUPS = (VERMILION, "#009E73", "#E69F00", "#CC79A7", "#56B4E9")


def learning_curve(
    values: ArrayLike,
    *,
    std: ArrayLike | None = None,
    step: ArrayLike | None = None,
    name: str = "loss",
    window: int | None = None,
    color: str = BLUE,
    ax: Any = None,
) -> Any:
    r"""Plot a quantity that was measured at every step, and its running mean.

    The mean is over ``window`` steps around each one; its band is twice the standard
    error of that mean, from the scatter of the batches and shots in the window.

    Args:
        values: Shape (num_steps,).
        std: Standard errors of the values (shots), same shape, drawn as bars.
        step: Their steps, same shape; by default 0, 1, 2 ...
        name: Of the quantity, with its unit if it has one.
        window: In steps; by default a twentieth of the run, 1 for no mean.
        color: Of the line and its band.
        ax: Where to plot; by default on a new figure.

    Returns:
        The matplotlib ``Axes``.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If shapes differ or the window is not positive.

    Example:
        >>> import qiskit_qep as qep
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().subplots()
        >>> qep.plotting.learning_curve([1.0, 0.6, 0.5], ax=ax).get_ylabel()
        'loss'
    """
    y = _column("values", values)
    steps = np.arange(len(y)) if step is None else _column("step", step, len(y))
    if window is None:
        window = max(1, len(y) // 20)
    if window < 1:
        raise ValueError(f"window should be at least 1, got {window}")
    ax = _axes(ax)
    if std is not None and np.any(errors := _column("std", std, len(y))):
        style = {"ecolor": color, "elinewidth": 0.6, "alpha": 0.35, "fmt": "none"}
        ax.errorbar(steps, y, errors, **style)
    if window == 1:
        ax.plot(steps, y, color=color, lw=1.6, label=name)
    else:
        mean, error = _running(y, window)
        ax.plot(steps, y, color=color, lw=0.6, alpha=0.35, label="one batch")
        low, high = mean - 2 * error, mean + 2 * error
        ax.fill_between(steps, low, high, color=color, alpha=0.25, lw=0)
        label = f"mean of {window} steps, ± 2 standard errors"
        ax.plot(steps, mean, color=color, lw=1.8, label=label)
    ax.set_xlabel("step")
    ax.set_ylabel(name)
    ax.margins(x=0.01)
    ax.grid(alpha=0.25, lw=0.6)
    return ax


def confusion_matrix(
    true: ArrayLike,
    predicted: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Plot how often each class was taken for which.

    Shades are shares of a row, numbers are samples; the diagonal is what was right.

    Args:
        true: Class numbers, shape (num_samples,).
        predicted: Class numbers, same shape.
        names: Of the classes; by default their numbers.
        ax: Where to plot; by default on a new figure.

    Returns:
        The matplotlib ``Axes``.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If shapes differ, or there are fewer names than classes.

    Example:
        >>> import qiskit_qep as qep
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().subplots()
        >>> qep.plotting.confusion_matrix([0, 1, 1], [0, 1, 0], ax=ax).get_title()
        '2 of 3 right (66.7 %)'
    """
    y, p = (np.asarray(a) for a in (true, predicted))
    if y.ndim != 1 or y.shape != p.shape or not len(y):
        raise ValueError(
            "true and predicted should be class numbers of one length, got shapes "
            f"{y.shape} and {p.shape}"
        )
    size = 1 + int(max(y.max(), p.max()))
    names = [str(k) for k in range(size)] if names is None else list(names)
    if len(names) < size:
        raise ValueError(f"names should be {size}, one per class, got {names}")
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (y, p), 1)
    ax = _axes(ax)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    font = float(np.clip(90 / len(names), 6, 14))
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if shares[row, column] > 0.5 else "black"
            style = {"ha": "center", "va": "center", "fontsize": font, "color": color}
            ax.text(column, row, str(count), **style)
    for edge in np.arange(1, len(names)) - 0.5:
        ax.axhline(edge, color=GREY, lw=0.3)
        ax.axvline(edge, color=GREY, lw=0.3)
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    right = int(np.trace(counts))
    ax.set_title(f"{right} of {len(y)} right ({100 * right / len(y):.1f} %)")
    return ax


def network(
    positions: ArrayLike,
    springs: Sequence[tuple[int, int]],
    *,
    strength: ArrayLike | None = None,
    moved: ArrayLike | None = None,
    marked: Mapping[str, Sequence[int]] | None = None,
    ax: Any = None,
) -> Any:
    """Plot atoms and springs in a plane, and where the atoms move to.

    Args:
        positions: Shape (num_atoms, 2).
        springs: Pairs of atoms.
        strength: Of every spring, shown as its width; negative ones are vermilion.
        moved: Other positions of the same atoms, which arrows lead to.
        marked: Names of groups of atoms, such as ``{"clamped": [0, 1]}``.
        ax: Where to plot; by default on a new figure.

    Returns:
        The matplotlib ``Axes``.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If a shape does not fit.

    Example:
        >>> import qiskit_qep as qep
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().subplots()
        >>> _ = qep.plotting.network([[0, 0], [1, 0]], [(0, 1)], ax=ax)
        >>> len(ax.lines)
        1
    """
    at = np.asarray(positions, dtype=np.float64)
    if at.ndim != 2 or at.shape[1] != 2:
        raise ValueError(f"positions should have shape (num_atoms, 2), got {at.shape}")
    pairs = np.asarray(springs, dtype=np.intp).reshape(-1, 2)
    width = np.ones(len(pairs))
    if strength is not None:
        width = _column("strength", strength, len(pairs))
    ax = _axes(ax)
    largest = np.abs(width).max(initial=1e-300)
    for (i, j), size in zip(pairs, width, strict=True):
        style = {
            "lw": 3 * abs(size) / largest,
            "color": GREY if size >= 0 else VERMILION,
        }
        ax.plot(*at[[i, j]].T, zorder=1, solid_capstyle="round", **style)
    ax.scatter(*at.T, s=18, color="black", zorder=2)
    for color, (name, atoms) in zip(GROUPS, (marked or {}).items(), strict=False):
        ax.scatter(*at[list(atoms)].T, s=90, color=color, zorder=3, label=name)
    if moved is not None:
        to = np.asarray(moved, dtype=np.float64)
        if to.shape != at.shape:
            raise ValueError(f"moved should have shape {at.shape}, got {to.shape}")
        arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.006}
        ax.quiver(*at.T, *(to - at).T, color=BLUE, zorder=4, **arrows)
    if marked:
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax


def _axes(ax: Any) -> Any:
    """Return the axes to plot on."""
    if ax is not None:
        return ax
    try:
        pyplot = import_module("matplotlib.pyplot")
    except ImportError as error:
        raise ImportError(
            'plots are drawn by matplotlib: pip install "qiskit-qep[plot]"'
        ) from error
    return pyplot.subplots(layout="constrained")[1]


def _column(name: str, values: ArrayLike, length: int | None = None) -> np.ndarray:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or len(column) != (len(column) if length is None else length):
        wanted = "(num_steps,)" if length is None else f"({length},)"
        raise ValueError(f"{name} should have shape {wanted}, got {column.shape}")
    return column


def _running(y: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error of ``window`` values around every step."""
    middle = np.arange(len(y))
    begin = np.maximum(middle - (window - 1) // 2, 0)
    end = np.minimum(middle + window // 2 + 1, len(y))
    size = end - begin
    first = y - y.mean()  # small numbers: no cancellation in the squares
    sums = [np.concatenate([[0.0], np.cumsum(first**k)]) for k in (1, 2)]
    mean, square = ((s[end] - s[begin]) / size for s in sums)
    variance = np.maximum(square - mean**2, 0.0) / np.maximum(size - 1, 1)
    return mean + y.mean(), np.sqrt(variance)
