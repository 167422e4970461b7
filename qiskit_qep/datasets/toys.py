"""XOR, parity, moons and spirals."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .sets import Floats, require

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
    require(num_bits >= 1, f"num_bits is {num_bits}; pass at least 1")
    require(0 < strength < np.inf, f"strength is {strength}; pass a number > 0")
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
    require(0 < turns < np.inf, f"turns is {turns}; pass a number > 0")
    rate = 2j * np.pi * turns
    return _mirrored(
        lambda t: (0.1 + 0.9 * t) * np.exp(rate * t), num_samples, noise, centered, seed
    )


def _mirrored(
    arm: Arm, size: int, noise: float, centered: bool, seed: int | None
) -> tuple[Floats, Floats]:
    """Noisy points of an arm of radius 1 as class +1, mirrored as -1, shuffled."""
    require(size > 0 and size % 2 == 0, f"num_samples is {size}; pass 2, 4, 6, ...")
    require(0 <= noise < np.inf, f"noise is {noise}; pass a number >= 0")
    rng = np.random.default_rng(seed)
    t = (np.arange(size // 2) + rng.random(size // 2)) / (size // 2)  # leaves no gaps
    z = arm(t) + noise * (rng.standard_normal((len(t), 2)) @ [1, 1j])
    z = np.concatenate([z, -z]) + (0 if centered else _CENTRE)
    y = np.repeat([[1.0], [-1.0]], len(t), axis=0)
    order = rng.permutation(size)
    return np.stack([z.real, z.imag], axis=1)[order], y[order]
