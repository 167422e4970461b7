"""Whole numbers: shots, steps, sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

MOST = 1 << 62  # what 64 bits count, with room to add


def refuse_fractions(least: int = 1, **given: Any) -> None:
    """Refuse numbers that count nothing.

    Args:
        least: The smallest number allowed.
        given: Numbers by name.

    Raises:
        TypeError: If one is not whole.
        ValueError: If one is too small, or more than 64 bits count.
    """
    for name, number in given.items():
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
            raise TypeError(f"{name} should be a whole number, got {number!r}")
        if number < least:
            raise ValueError(f"{name} should be at least {least}, got {number}")
        if number > MOST:
            raise ValueError(f"{name} should be at most 2^62, got {number:.3g}")
