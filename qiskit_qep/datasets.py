"""Small data sets ``(x, y)`` with stated codings: toys, files, one phase diagram.

Inputs x are (num_samples, num_inputs). Targets y are real (num_samples, num_readout),
for `squared_error`, or class numbers (num_samples,), for `cross_entropy`. Without bias
fields a network of ZZ and X terms with inputs on Z obeys p(-x) = -p(x): it learns odd
sets only, such as centred moons and spirals, not XOR.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Arm = Callable[[Floats], NDArray[np.complexfloating]]
_CENTRE = 0.5 + 0.25j  # of the usual moons, in units of their radius


def xor(strength: float = 1.0) -> tuple[Floats, Floats]:
    """Exclusive or of two inputs: y = -x_0 x_1 / strength^2, +1 where they differ.

    Coding: inputs +-strength, targets +-1; rows (-,-), (-,+), (+,-), (+,+). The set is
    even, y(-x) = y(x): learning it takes bias fields. Source: the truth table.

    Args:
        strength: magnitude of the inputs (> 0), in the model's energy units.

    Returns:
        x (4, 2) and y (4, 1).

    Raises:
        ValueError: if `strength` is not positive and finite.

    Example:
        >>> xor()[1].ravel().tolist()
        [-1.0, 1.0, 1.0, -1.0]
    """
    return parity(2, strength)


def parity(num_bits: int = 3, strength: float = 1.0) -> tuple[Floats, Floats]:
    """Parity of n bits: y = -prod_i (-x_i / strength), +1 if oddly many are positive.

    Coding: inputs +-strength, targets +-1, in binary order: ``parity(2)`` is `xor`.
    The set is odd, y(-x) = -y(x), for odd n, else even. Source: the truth table.

    Args:
        num_bits: number n of inputs (>= 1).
        strength: magnitude of the inputs (> 0), in the model's energy units.

    Returns:
        x (2^n, n) and y (2^n, 1).

    Raises:
        ValueError: if `num_bits` < 1, or `strength` is not positive and finite.

    Example:
        >>> parity(3)[1].ravel().tolist()
        [-1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0]
    """
    _require(num_bits >= 1, f"num_bits is {num_bits}; pass at least 1")
    _require(0 < strength < np.inf, f"strength is {strength}; pass a number > 0")
    bits = np.indices((2,) * num_bits, dtype=np.float64).reshape(num_bits, -1).T
    return strength * (2 * bits - 1), -np.prod(1 - 2 * bits, axis=1, keepdims=True)


def moons(
    num_samples: int = 200,
    *,
    noise: float = 0.1,
    centered: bool = True,
    seed: int | None = None,
) -> tuple[Floats, Floats]:
    """Two half moons, x_0 + i x_1 = 2/3 (exp(i pi t) - 1/2 - i/4) and its mirror image.

    Coding: inputs in about [-1, 1] x [-1/2, 1/2], target +1, or -1 for the image -x; t
    uniform in (0, 1), rows shuffled. Noise is mirrored too: a centred set is odd, and a
    model without bias fields that has seen x knows -x, so test it on another seed, not
    on a `split`. Source: made here; scikit-learn's ``make_moons``, times 2/3.

    Args:
        num_samples: even; half of the samples are in each class.
        noise: standard deviation per input, in units of the circles' radius (2/3).
        centered: False shifts x by (1/3, 1/6), to where ``make_moons`` has it: not odd.
        seed: where the randomness enters.

    Returns:
        x (num_samples, 2) and y (num_samples, 1).

    Raises:
        ValueError: if `num_samples` is odd or < 2, or `noise` < 0 or not finite.

    Example:
        >>> [array.shape for array in moons(100, seed=7)]
        [(100, 2), (100, 1)]
    """
    x, y = _mirrored(
        lambda t: np.exp(1j * np.pi * t) - _CENTRE, num_samples, noise, centered, seed
    )
    return 2 / 3 * x, y


def spirals(
    num_samples: int = 200,
    *,
    noise: float = 0.02,
    turns: float = 1.0,
    centered: bool = True,
    seed: int | None = None,
) -> tuple[Floats, Floats]:
    """Two spirals, x_0 + i x_1 = (.1 + .9 t) exp(2 pi i turns t) and its mirror image.

    Coding: inputs in about [-1, 1]^2, the rest as `moons`; see there how to test a
    model without bias fields. Source: made here; Archimedean spirals.

    Args:
        num_samples: even; half of the samples are in each class.
        noise: standard deviation per input, in units of the outer radius (1).
        turns: how often an arm winds around 0 (> 0); the arms are .45 / turns apart.
        centered: False shifts x by (1/2, 1/4): not odd.
        seed: where the randomness enters.

    Returns:
        x (num_samples, 2) and y (num_samples, 1).

    Raises:
        ValueError: as `moons`, or if `turns` is not positive and finite.

    Example:
        >>> [array.shape for array in spirals(100, seed=7)]
        [(100, 2), (100, 1)]
    """
    _require(0 < turns < np.inf, f"turns is {turns}; pass a number > 0")
    rate = 2j * np.pi * turns
    return _mirrored(
        lambda t: (0.1 + 0.9 * t) * np.exp(rate * t), num_samples, noise, centered, seed
    )


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


def cluster_ising(
    num_samples: int = 1000, *, seed: int | None = None
) -> tuple[Floats, Floats]:
    """Points of the cluster-Ising phase diagram, and the phase each of them lies in.

        H = g_ZXZ sum_j Z_j X_{j+1} Z_{j+2} - g_ZZ sum_j Z_j Z_{j+1} - g_X sum_j X_j

    Coding: x = (g_ZXZ, g_ZZ, g_X) >= 0 with sum 4, uniform in that triangle; y one-hot,
    columns (cluster, ferromagnet, paramagnet) as the couplings and as the authors'
    readouts (1+Z1)(1+Z2)/4, (1+Z1)(1-Z2)/4, (1-Z1)(1-Z2)/4; ``y.argmax(axis=1)`` is the
    class number. Exact for the infinite chain: ferromagnet if g_ZZ >= 2, else cluster
    if 2 g_X < 4 - g_ZZ, else paramagnet. Areas 3/8, 1/4, 3/8: a constant guess scores
    .375. Source: made here; C. C. Wanjura, F. Marquardt, arXiv:2406.06482.

    Args:
        num_samples: number of points (>= 1).
        seed: where the randomness enters.

    Returns:
        x (num_samples, 3) and y (num_samples, 3).

    Raises:
        ValueError: if `num_samples` < 1.

    Example:
        >>> cluster_ising(100, seed=7)[1].sum(axis=0).tolist()
        [35.0, 33.0, 32.0]
    """
    _require(num_samples >= 1, f"num_samples is {num_samples}; pass at least 1")
    x = 4 * np.random.default_rng(seed).dirichlet((1, 1, 1), size=num_samples)
    g_zz, g_x = x[:, 1], x[:, 2]
    phase = np.where(g_zz >= 2, 1, np.where(2 * g_x < 4 - g_zz, 0, 2))
    return x, np.eye(3)[phase]


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
        >>> [len(part) for part in split(*moons(), test=0.2)]
        [160, 160, 40, 40]
    """
    _require(len(x) == len(y), f"x has {len(x)} rows and y has {len(y)}; match them")
    _require(0 < test < 1, f"test is {test}; pass a fraction between 0 and 1")
    groups = y if y.ndim == 1 and y.dtype.kind in "iu" else np.zeros(len(y))
    order = np.random.default_rng(seed).permutation(len(y))
    tested = np.zeros(len(y), dtype=bool)
    for group in np.unique(groups):
        members = order[groups[order] == group]
        tested[members[: round(test * len(members))]] = True
    train, held = order[~tested[order]], order[tested[order]]
    sizes = f"{len(train)} samples to train on and {len(held)} to test on"
    _require(min(len(train), len(held)) > 0, f"test={test} leaves {sizes}; pass more")
    return x[train], y[train], x[held], y[held]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _mirrored(
    arm: Arm, size: int, noise: float, centered: bool, seed: int | None
) -> tuple[Floats, Floats]:
    """Noisy points of an arm of radius 1 as class +1, mirrored as -1, shuffled."""
    _require(size > 0 and size % 2 == 0, f"num_samples is {size}; pass 2, 4, 6, ...")
    _require(0 <= noise < np.inf, f"noise is {noise}; pass a number >= 0")
    rng = np.random.default_rng(seed)
    t = (np.arange(size // 2) + rng.random(size // 2)) / (size // 2)  # leaves no gaps
    z = arm(t) + noise * (rng.standard_normal((len(t), 2)) @ [1, 1j])
    z = np.concatenate([z, -z]) + (0 if centered else _CENTRE)
    y = np.repeat([[1.0], [-1.0]], len(t), axis=0)
    order = rng.permutation(size)
    return np.stack([z.real, z.imag], axis=1)[order], y[order]


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
