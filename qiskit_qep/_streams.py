"""Streams of random numbers: one for every step, phase and row, made when used."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, overload

import numpy as np


class Streams(Sequence[np.random.Generator]):
    """A list of generators that are made when first asked for.

    Making one takes 10 us, and an exact equilibrium asks for none.
    """

    def __init__(self, seed: int, keys: list[tuple[int, int, int]]) -> None:
        self._seed, self._keys = seed, keys
        self._made: dict[tuple[int, int, int], np.random.Generator] = {}

    def __len__(self) -> int:
        """Return the number of generators."""
        return len(self._keys)

    @overload
    def __getitem__(self, row: int) -> np.random.Generator: ...

    @overload
    def __getitem__(self, row: slice) -> Streams: ...

    def __getitem__(self, row: Any) -> Any:
        """Return the generator of a row, the same one at every call, or a part."""
        if isinstance(row, slice):
            part = Streams(self._seed, self._keys[row])
            part._made = self._made
            return part
        key = self._keys[row]
        if key not in self._made:
            sequence = np.random.SeedSequence(self._seed, spawn_key=key)
            self._made[key] = np.random.default_rng(sequence)
        return self._made[key]

    def __add__(self, other: Streams) -> Streams:
        """Return the generators of both, of one seed, in their order."""
        both = Streams(self._seed, self._keys + other._keys)
        both._made = self._made | other._made
        return both


def streams(seed: int, step: int, phase: int, batch: int) -> Streams:
    """Return one generator per row; no two phases, rows or steps share a stream."""
    return Streams(seed, [(step, phase, row) for row in range(batch)])


def new_seed() -> int:
    """Draw a seed from the operating system."""
    return secrets.randbits(63)
