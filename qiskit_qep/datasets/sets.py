"""What all sets share: types, a check, a split."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]


def split(
    x: Floats, y: NDArray[Any], *, test: float = 0.3, seed: int | None = 0
) -> tuple[Floats, NDArray[Any], Floats, NDArray[Any]]:
    """Shuffle a set and part it in two, to train on and to test on.

    Coding and source: as given. Of integer y (n,) every class gives the fraction `test`
    of its samples, to the nearest whole one; of other y the whole set does.

    Args:
        x: inputs, samples first.
        y: class numbers or targets, samples first.
        test: fraction of the samples to test on, between 0 and 1.
        seed: where the randomness enters; by default the same split every time.

    Returns:
        x_train, y_train, x_test, y_test; each sample is in exactly one part.

    Raises:
        ValueError: if x and y differ in length, or `test` leaves a part empty.

    Example:
        >>> from qiskit_qep.datasets import moons
        >>> [len(part) for part in split(*moons(), test=0.2)]
        [160, 160, 40, 40]
    """
    require(len(x) == len(y), f"x has {len(x)} rows and y has {len(y)}; match them")
    require(0 < test < 1, f"test is {test}; pass a fraction between 0 and 1")
    groups = y if y.ndim == 1 and y.dtype.kind in "iu" else np.zeros(len(y))
    order = np.random.default_rng(seed).permutation(len(y))
    tested = np.zeros(len(y), dtype=bool)
    for group in np.unique(groups):
        members = order[groups[order] == group]
        tested[members[: round(test * len(members))]] = True
    train, held = order[~tested[order]], order[tested[order]]
    sizes = f"{len(train)} samples to train on and {len(held)} to test on"
    require(min(len(train), len(held)) > 0, f"test={test} leaves {sizes}; pass more")
    return x[train], y[train], x[held], y[held]


def require(condition: bool, message: str) -> None:
    """Raise a ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)
