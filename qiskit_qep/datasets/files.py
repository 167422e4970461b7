"""Files of scikit-learn: iris, wine, breast cancer, digits."""

from importlib import import_module

import numpy as np

from .sets import Classes, Floats


def iris() -> tuple[Floats, Classes]:
    """Three species of iris by the sizes of their sepals and petals.

    Coding: each feature scaled to [-1, 1] by its extremes over all rows; 0 setosa,
    1 versicolor, 2 virginica. Source: R. A. Fisher (1936), scikit-learn's own file.

    Returns:
        x (150, 4) and class numbers y (150,).

    Raises:
        ImportError: if scikit-learn is not installed.

    Example:
        >>> np.bincount(iris()[1]).tolist()
        [50, 50, 50]
    """
    return _bundled("iris")


def wine() -> tuple[Floats, Classes]:
    """Three cultivars of one Italian region by the chemistry of their wines.

    Coding: as `iris`; cultivars 0, 1, 2. Source: UCI Wine, scikit-learn's own file.

    Returns:
        x (178, 13) and class numbers y (178,).

    Raises:
        ImportError: if scikit-learn is not installed.

    Example:
        >>> np.bincount(wine()[1]).tolist()
        [59, 71, 48]
    """
    return _bundled("wine")


def breast_cancer() -> tuple[Floats, Classes]:
    """Malignant and benign breast tumours by the shapes of their cell nuclei.

    Coding: as `iris`; 0 malignant, 1 benign. Source: UCI WDBC, scikit-learn's own file.

    Returns:
        x (569, 30) and class numbers y (569,).

    Raises:
        ImportError: if scikit-learn is not installed.

    Example:
        >>> np.bincount(breast_cancer()[1]).tolist()
        [212, 357]
    """
    return _bundled("breast_cancer")


def digits() -> tuple[Floats, Classes]:
    """Handwritten digits, 8 x 8 pixels each.

    Coding: pixels / 16; class d is digit d. Source: UCI Optdigits, scikit-learn's file.

    Returns:
        x (1797, 64) and class numbers y (1797,).

    Raises:
        ImportError: if scikit-learn is not installed.

    Example:
        >>> digits()[1][:4].tolist()
        [0, 1, 2, 3]
    """
    x, y = _bundled("digits", axis=None)
    return (x + 1) / 2, y


def _bundled(name: str, axis: int | None = 0) -> tuple[Floats, Classes]:
    """A file of scikit-learn, mapped linearly to [-1, 1] along the axis."""
    try:
        loaders = import_module("sklearn.datasets")
    except ImportError as error:
        remedy = 'pip install "qiskit-qep[sklearn]"'
        raise ImportError(f"{name}() reads a file of scikit-learn: {remedy}") from error
    x, y = getattr(loaders, f"load_{name}")(return_X_y=True)
    low, high = x.min(axis), x.max(axis)
    return 2 * (x - low) / (high - low) - 1, y.astype(np.int64)
