"""Terms of one kind, and the model that they make together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from qiskit.quantum_info import SparsePauliOp

from .._model import Model
from .._parametrization import direct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Kind:
    """Trainable terms of one kind, such as all couplings or all transverse fields.

    Attributes:
        terms: Their operators.
        center: Mean of their coefficients where training starts.
        width: Standard deviation of their coefficients where training starts.
    """

    terms: Sequence[SparsePauliOp]
    center: float = 0.0
    width: float = 0.03


def assemble(
    *kinds: Kind,
    inputs: Iterable[SparsePauliOp],
    readout: Iterable[SparsePauliOp],
    fixed: SparsePauliOp | None = None,
    uniform: bool = False,
) -> Model:
    """Return a model whose theta is the coefficients of all kinds, one after another.

    With ``uniform`` the terms of a kind share one coefficient.
    """
    present = [kind for kind in kinds if len(kind.terms)]
    sums = [
        [SparsePauliOp.sum(kind.terms)] if uniform else kind.terms for kind in present
    ]
    each = [
        (kind.center, kind.width)
        for kind, terms in zip(present, sums, strict=True)
        for _ in terms
    ]
    return Model(
        trainable=tuple(term for terms in sums for term in terms),
        inputs=tuple(inputs),
        readout=tuple(readout),
        fixed=fixed,
        parametrization=partial(
            direct,
            center=tuple(center for center, _ in each),
            width=tuple(width for _, width in each),
        ),
    )


def string(
    num_spins: int, letters: str, *where: int, weight: float = 1.0
) -> SparsePauliOp:
    """Return a weight times a Pauli string with letters on some spins."""
    return SparsePauliOp.from_sparse_list([(letters, list(where), weight)], num_spins)


def on_each(
    num_spins: int, letter: str, spins: Iterable[int], weight: float = 1.0
) -> list[SparsePauliOp]:
    """Return a weight times a Pauli letter on each of some spins."""
    return [string(num_spins, letter, k, weight=weight) for k in spins]


def field_kinds(num_spins: int, letters: str) -> list[Kind]:
    """Return fields on every spin, -h X, -h Y or -b Z, one kind for every letter.

    Training starts in transverse fields along the first letter of XY, without others.
    """
    if len(set(letters)) < len(letters) or not set(letters) <= set("XYZ"):
        raise ValueError(f"fields should be some of the letters XYZ, got {letters!r}")
    main = letters.strip("Z")[:1]
    return [
        Kind(on_each(num_spins, a, range(num_spins), -1.0), 0.5 * (a == main))
        for a in letters
    ]


def check_spins(num_spins: int, **roles: Any) -> None:
    """Say which spin with a role lies outside the register."""
    if num_spins < 1:
        raise ValueError(f"num_spins should be at least 1, got {num_spins}")
    for name, spins in roles.items():
        for spin in spins:
            if not 0 <= spin < num_spins:
                raise ValueError(
                    f"{name} should be spins 0 to {num_spins - 1}, got {spin}"
                )
