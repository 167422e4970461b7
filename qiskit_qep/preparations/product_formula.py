"""From a slowly changing Hamiltonian to rotations: groups, layers and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .rotations import bits_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Masks = NDArray[np.uint64]
    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ProductFormula:
    r"""Rotations that follow H(t) = sum_s c_s(t) P_s over slices of length dt.

    .. math:: \phi_g = 2\,dt \sum_m w_{l(g) m}\, c_{s(g)}(t_m)

    with t_m the middle of slice m. Strings that commute form a group; the groups are
    applied in turn (order 1) or in turn and back (order 2, Strang), and neighbouring
    layers of one group are one layer.

    Attributes:
        strings: s(g), the string of every rotation, shape (G,).
        layers: l(g), its layer, shape (G,).
        weights: w, the share of every slice in a layer, shape (num_layers, steps).
        constants: What is added to the angles, shape (G,), or None.
    """

    strings: NDArray[np.int64]
    layers: NDArray[np.int64]
    weights: Array
    constants: Array | None = None

    @staticmethod
    def of(
        groups: Sequence[NDArray[np.int64]], steps: int, order: int
    ) -> ProductFormula:
        """Lay out groups of commuting strings, given as string numbers."""
        kinds, weights = _layers(len(groups), steps, order)
        strings = [groups[kind] for kind in kinds]
        sizes = [len(group) for group in strings]
        return ProductFormula(
            np.concatenate(strings), np.repeat(np.arange(len(kinds)), sizes), weights
        )

    def without_first_layer(self) -> ProductFormula:
        """Drop a layer that does nothing to the initial state."""
        kept = self.layers > 0
        return ProductFormula(
            self.strings[kept], self.layers[kept] - 1, self.weights[1:]
        )

    def behind(
        self, frame: NDArray[np.int64], angles: Array, inside: NDArray[np.int64]
    ) -> ProductFormula:
        r"""Conjugate every layer of some strings by fixed rotations F.

        .. math:: e^{-i K} \to F^\dagger e^{-i K} F

        Args:
            frame: Strings of F in order, which H has no coefficients of.
            angles: Of F.
            inside: Strings of K.
        """
        ends = np.flatnonzero(np.diff(self.layers)) + 1
        strings, layers, constants = [], [], []
        for rotations in np.split(np.arange(len(self.strings)), ends):
            own = self.strings[rotations]
            turns = np.zeros(len(own))
            if np.isin(own, inside).all():
                own = np.concatenate([frame, own, frame[::-1]])
                turns = np.concatenate([angles, turns, -angles[::-1]])
            strings.append(own)
            layers.append(np.full(len(own), self.layers[rotations[0]]))
            constants.append(turns)
        return ProductFormula(
            np.concatenate(strings),
            np.concatenate(layers),
            self.weights,
            np.concatenate(constants),
        )

    def angles(self, coefficients: Array, dt: float) -> Array:
        """Return phi, shape (batch, G).

        Args:
            coefficients: c_s(t_m), shape (batch, steps, num_strings).
            dt: Length of a slice.
        """
        per_layer = 2.0 * dt * (self.weights @ coefficients)
        angles = np.asarray(per_layer[:, self.layers, self.strings])
        return angles if self.constants is None else angles + self.constants


def _layers(groups: int, steps: int, order: int) -> tuple[list[int], Array]:
    """Return the group of every layer, and the weights of the slices in it."""
    forth = list(range(groups))
    turn = [(k, 1.0) for k in forth]
    if order == 2:
        half = [(k, 0.5) for k in forth[:-1]]
        turn = [*half, (groups - 1, 1.0), *reversed(half)]
    kinds: list[int] = []
    rows: list[Array] = []
    for step in range(steps):
        for kind, share in turn:
            if not kinds or kinds[-1] != kind:
                kinds.append(kind)
                rows.append(np.zeros(steps))
            rows[-1][step] += share
    return kinds, np.array(rows)


def commuting_groups(flips: Masks, signs: Masks) -> list[NDArray[np.int64]]:
    """Sort strings into groups that commute, first fit, in the order given.

    Within a group, strings that share no qubit stand side by side, so that a device
    can apply them at once: a chain's bonds take two rounds, not N - 1.
    """
    groups: list[list[int]] = []
    for s in range(len(flips)):
        for group in groups:
            crossings = np.bitwise_count(flips[group] & signs[s]) + np.bitwise_count(
                signs[group] & flips[s]
            )
            if not np.any(crossings & 1):
                group.append(s)
                break
        else:
            groups.append([s])
    return [_rounds(np.array(group), flips | signs) for group in groups]


def _rounds(group: NDArray[np.int64], supports: Masks) -> NDArray[np.int64]:
    """Sort a group into rounds of strings on disjoint qubits, first fit."""
    busy: list[int] = []
    round_of = np.empty(len(group), int)
    qubits = [list(bits_of(int(m))) for m in supports[group]]
    # Short bonds first is perfect on chains; single qubits fill what is left.
    spans = [q[-1] - q[0] if len(q) > 1 else 64 for q in qubits]
    for k in np.argsort(spans, kind="stable"):
        support = int(supports[group[k]])
        free = (r for r, taken in enumerate(busy) if taken & support == 0)
        r = next(free, len(busy))
        if r == len(busy):
            busy.append(0)
        busy[r] |= support
        round_of[k] = r
    return group[np.argsort(round_of, kind="stable")]
