"""Small data sets ``(x, y)`` with stated codings: toys, files, one phase diagram.

Inputs x are (num_samples, num_inputs). Targets y are real (num_samples, num_readout),
for `squared_error`, or class numbers (num_samples,), for `cross_entropy`. Randomness
comes from `seed` alone; ``seed=None`` draws a new set at every call.

A network of ZZ and X terms with inputs on Z obeys p(-x) = -p(x): without bias fields it
learns odd sets only. Centred moons, spirals and the parity of an odd number of bits are
odd; XOR and un-centred moons are not.
"""

import math
from importlib import import_module
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)


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

    Coding: inputs +-strength, targets +-1; rows count in binary, - for 0 and + for 1,
    input 0 first, so ``parity(2)`` is `xor`. The set is odd, y(-x) = -y(x), for odd n
    and even for even n. Source: the truth table.

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
    _require(0 < strength < math.inf, f"strength is {strength}; pass a number > 0")
    bits = np.indices((2,) * num_bits, dtype=np.float64).reshape(num_bits, -1).T
    corners = 2 * bits - 1
    return strength * corners, -np.prod(-corners, axis=1, keepdims=True)


def moons(
    num_samples: int = 200,
    *,
    noise: float = 0.1,
    centered: bool = True,
    seed: int | None = None,
) -> tuple[Floats, Floats]:
    """Two interleaved half circles, one the mirror image of the other.

        x = 2/3 (cos t - 1/2, sin t - 1/4) for y = +1, and -x for y = -1;  0 < t < pi

    Coding: inputs in about [-1, 1] x [-1/2, 1/2], targets +-1, rows shuffled. The noise
    is mirrored too: a centred set is exactly odd. A model without bias fields that has
    seen x knows -x, so test it on another seed rather than on a `split`.
    Source: made here; the curves of scikit-learn's ``make_moons``, times 2/3.

    Args:
        num_samples: even; half of the samples are in each class.
        noise: standard deviation per input, in units of the circles' radius (2/3).
        centered: False shifts x by (1/3, 1/6), a circle's centre to 0: no longer odd.
        seed: where the randomness enters.

    Returns:
        x (num_samples, 2) and y (num_samples, 1).

    Raises:
        ValueError: if `num_samples` is odd or < 2, or `noise` < 0 or not finite.

    Example:
        >>> [array.shape for array in moons(100, seed=7)]
        [(100, 2), (100, 1)]
    """
    rng = np.random.default_rng(seed)
    t = np.pi * _spread(num_samples, rng)
    arm = 2 / 3 * np.stack([np.cos(t) - 1 / 2, np.sin(t) - 1 / 4], axis=1)
    return _mirrored(arm, 2 / 3, noise, centered, rng)


def spirals(
    num_samples: int = 200,
    *,
    noise: float = 0.02,
    turns: float = 1.0,
    centered: bool = True,
    seed: int | None = None,
) -> tuple[Floats, Floats]:
    """Two spiral arms, one the mirror image of the other.

        x = (.1 + .9 t) (cos a, sin a) for y = +1, and -x for y = -1;  a = 2 pi turns t

    Coding: inputs in about [-1, 1]^2, targets +-1, rows shuffled; t^2 is uniform in
    (0, 1), so samples lie about evenly along the arms. Odd like `moons`, see there for
    how to test. Source: made here; two Archimedean spirals.

    Args:
        num_samples: even; half of the samples are in each class.
        noise: standard deviation per input, in units of the outer radius (1).
        turns: how often an arm winds around 0 (> 0); the arms are .45 / turns apart.
        centered: False shifts x by (1/3, 1/6): no longer odd.
        seed: where the randomness enters.

    Returns:
        x (num_samples, 2) and y (num_samples, 1).

    Raises:
        ValueError: as `moons`, or if `turns` is not positive and finite.

    Example:
        >>> [array.shape for array in spirals(100, seed=7)]
        [(100, 2), (100, 1)]
    """
    _require(0 < turns < math.inf, f"turns is {turns}; pass a number > 0")
    rng = np.random.default_rng(seed)
    t = np.sqrt(_spread(num_samples, rng))
    angle = 2 * np.pi * turns * t
    arm = (0.1 + 0.9 * t) * np.stack([np.cos(angle), np.sin(angle)])
    return _mirrored(arm.T, 1.0, noise, centered, rng)


def iris() -> tuple[Floats, Classes]:
    """Three species of iris by the sizes of their sepals and petals.

    Coding: each feature scaled to [-1, 1] by its extremes in the whole file (whatever
    the split); classes 0 setosa, 1 versicolor, 2 virginica. Source: R. A. Fisher
    (1936), the file bundled with scikit-learn.

    Returns:
        x (150, 4) and class numbers y (150,).

    Raises:
        ImportError: if scikit-learn is not installed.

    Example:
        >>> np.bincount(iris()[1]).tolist()
        [50, 50, 50]
    """
    return _scaled(*_bundled("iris"))


def wine() -> tuple[Floats, Classes]:
    """Three cultivars of one Italian region by the chemistry of their wines.

    Coding: features as in `iris`, classes 0, 1, 2. Source: M. Forina et al. (UCI Wine),
    the file bundled with scikit-learn.

    Returns:
        x (178, 13) and class numbers y (178,).

    Raises:
        ImportError: if scikit-learn is not installed.

    Example:
        >>> np.bincount(wine()[1]).tolist()
        [59, 71, 48]
    """
    return _scaled(*_bundled("wine"))


def breast_cancer() -> tuple[Floats, Classes]:
    """Malignant and benign breast tumours by the shapes of their cell nuclei.

    Coding: features as in `iris`, classes 0 malignant, 1 benign. Source: W. H. Wolberg
    et al. (UCI Breast Cancer Wisconsin), the file bundled with scikit-learn.

    Returns:
        x (569, 30) and class numbers y (569,).

    Raises:
        ImportError: if scikit-learn is not installed.

    Example:
        >>> np.bincount(breast_cancer()[1]).tolist()
        [212, 357]
    """
    return _scaled(*_bundled("breast_cancer"))


def digits() -> tuple[Floats, Classes]:
    """Handwritten digits, 8 x 8 pixels each.

    Coding: pixels row by row, 0 blank to 1 full (the file's 0 to 16, over 16); class d
    is digit d. Source: E. Alpaydin and C. Kaynak (UCI Optical Recognition of
    Handwritten Digits, its test part), the file bundled with scikit-learn.

    Returns:
        x (1797, 64) and class numbers y (1797,).

    Raises:
        ImportError: if scikit-learn is not installed.

    Example:
        >>> digits()[1][:4].tolist()
        [0, 1, 2, 3]
    """
    x, y = _bundled("digits")
    return x / 16, y


def cluster_ising(
    num_samples: int = 1000, *, seed: int | None = None
) -> tuple[Floats, Floats]:
    """Points of the cluster-Ising phase diagram, and the phase each of them lies in.

        H = g_ZXZ sum_j Z_j X_{j+1} Z_{j+2} - g_ZZ sum_j Z_j Z_{j+1} - g_X sum_j X_j

    Coding: x = (g_ZXZ, g_ZZ, g_X) >= 0 with sum 4, uniform in that triangle; y one-hot
    with columns (cluster, ferromagnet, paramagnet): the couplings' order, and that of
    the readouts (1+Z1)(1+Z2)/4, (1+Z1)(1-Z2)/4, (1-Z1)(1-Z2)/4 in the published code.
    ``y.argmax(axis=1)`` are class numbers. Labels are exact for the infinite chain
    (free fermions): ferromagnet if g_ZZ >= 2, else cluster if 2 g_X < 4 - g_ZZ, else
    paramagnet; areas 3/8, 1/4, 3/8, so a constant guess scores .375.
    Source: made here; C. C. Wanjura, F. Marquardt, arXiv:2406.06482.

    Args:
        num_samples: number of points (>= 1).
        seed: where the randomness enters.

    Returns:
        x (num_samples, 3) and y (num_samples, 3).

    Raises:
        ValueError: if `num_samples` < 1.

    Example:
        >>> cluster_ising(100, seed=7)[1].sum(axis=0).tolist()
        []
    """
    _require(num_samples >= 1, f"num_samples is {num_samples}; pass at least 1")
    x = 4 * np.random.default_rng(seed).dirichlet((1, 1, 1), size=num_samples)
    _, g_zz, g_x = x.T
    phase = np.where(g_zz >= 2, 1, np.where(2 * g_x < 4 - g_zz, 0, 2))
    return x, np.eye(3)[phase]


def split(
    x: Floats, y: NDArray[Scalar], *, test: float = 0.3, seed: int | None = 0
) -> tuple[Floats, NDArray[Scalar], Floats, NDArray[Scalar]]:
    """Shuffle a set and part it in two, to train on and to test on.

    Coding and source: as given. Each class of integer y (n,) gives the fraction `test`
    of its own samples, to the nearest whole one; for any other y the whole set does.

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
    stratified = y.ndim == 1 and np.issubdtype(y.dtype, np.integer)
    groups = y if stratified else np.zeros(len(y))
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


def _spread(num_samples: int, rng: np.random.Generator) -> Floats:
    """Half as many numbers in (0, 1), random but without gaps: one in each cell."""
    even = num_samples >= 2 and num_samples % 2 == 0
    _require(even, f"num_samples is {num_samples}; pass an even number, 2 or more")
    half = num_samples // 2
    return (np.arange(half) + rng.random(half)) / half


def _mirrored(
    arm: Floats, radius: float, noise: float, centered: bool, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """The noisy arm as class +1, its mirror image as class -1, in shuffled order."""
    _require(0 <= noise < math.inf, f"noise is {noise}; pass a number >= 0")
    arm = arm + noise * radius * rng.standard_normal(arm.shape)
    y = np.repeat([[1.0], [-1.0]], len(arm), axis=0)
    x = y * np.tile(arm, (2, 1)) + (0.0 if centered else np.array([1 / 3, 1 / 6]))
    order = rng.permutation(len(x))
    return x[order], y[order]


def _bundled(name: str) -> tuple[Floats, Classes]:
    """One of the files that come with scikit-learn, as it is."""
    try:
        loaders = import_module("sklearn.datasets")
    except ImportError as error:
        raise ImportError(
            f'{name}() reads a file of scikit-learn: pip install "qiskit-qep[sklearn]"'
        ) from error
    x, y = getattr(loaders, f"load_{name}")(return_X_y=True)
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.int64)


def _scaled(x: Floats, y: Classes) -> tuple[Floats, Classes]:
    """Each feature mapped linearly so that its extremes are -1 and 1."""
    low, high = x.min(axis=0), x.max(axis=0)
    return 2 * (x - low) / (high - low) - 1, y
