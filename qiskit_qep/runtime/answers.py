"""Answers of samplers: checked against what was asked, and written as plain JSON."""

from __future__ import annotations

import base64
import binascii
import warnings
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from qiskit.primitives import BitArray, PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers.data_bin import DataBin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from qiskit.primitives.containers.sampler_pub import SamplerPub

    from .._equilibrium import Phase


class AnswerError(RuntimeError):
    """An answer that cannot be one to the request; no number was taken from it."""


def check_answer(
    answer: PrimitiveResult[Any], pubs: Sequence[SamplerPub], *, twirled: bool = False
) -> None:
    """Check that every PUB was answered by bits of the right shape and number.

    Args:
        answer: Of a sampler.
        pubs: What it was asked.
        twirled: Whether shots may have been rounded up, as the runtime does to twirl.

    Raises:
        AnswerError: If not; the message names the PUB, what it got and what it should.
    """
    if len(answer) != len(pubs):
        raise AnswerError(f"{len(pubs)} PUBs were asked, {len(answer)} were answered")
    for number, (pub, part) in enumerate(zip(pubs, answer, strict=True)):
        for register in pub.circuit.cregs:
            bits = getattr(part.data, register.name, None)
            where = f"register {register.name} of PUB {number}"
            if not isinstance(bits, BitArray):
                raise AnswerError(
                    f"{where} should hold bits, got {type(bits).__name__}"
                    f"{_not_finite(bits)}"
                )
            got = (bits.shape, bits.num_bits, bits.num_shots)
            want = (pub.shape, register.size, pub.shots)
            more = twirled and got[:2] == want[:2] and pub.shots <= bits.num_shots
            if got != want and not more:
                raise AnswerError(
                    f"{where} should have shape, bits and shots {want}, got {got}"
                )
            spare = -register.size % 8
            if spare and np.any(bits.array[..., 0] >> (8 - spare)):
                raise AnswerError(f"{where} has bits beyond the {register.size} asked")


def warn_of_bounds(operators: Sequence[Any], phase: Phase) -> None:
    r"""Warn of expectation values that no state has, by more than five standard errors.

    .. math:: |\langle A \rangle| \le \sum_P |c_P|

    Only values that were corrected for errors of readout can be such.
    """
    bounds = np.array([np.abs(op.coeffs).sum() for op in operators])
    stds = cast("NDArray[np.float64]", phase.stds)
    excess = np.abs(phase.values) - bounds - 5.0 * stds
    row, k = np.unravel_index(excess.argmax(), excess.shape)
    if excess[row, k] > 1e-9:
        warnings.warn(
            f"operator {k} of row {row} reads {phase.values[row, k]:.4f} +- "
            f"{stds[row, k]:.4f} after its readout was corrected, beyond the bound of "
            f"{bounds[k]:.4g}: errors of neighbouring qubits are not independent, or "
            "have drifted; compare with the raw values, and choose other qubits",
            stacklevel=4,
        )


def _not_finite(values: Any) -> str:
    """Say whether there are NaNs among what should have been bits."""
    try:
        return "" if np.isfinite(values).all() else " that is not finite"
    except TypeError:
        return ""


def pack(answer: PrimitiveResult[Any]) -> list[dict[str, Any]]:
    """Return the bits of every PUB and register as what JSON can hold."""
    return [
        {
            name: {
                "shape": list(bits.array.shape),
                "num_bits": bits.num_bits,
                "bits": base64.b64encode(bits.array.tobytes()).decode("ascii"),
            }
            for name, bits in part.data.items()
        }
        for part in answer
    ]


def unpack(packed: list[dict[str, Any]]) -> PrimitiveResult[Any]:
    """Undo ``pack``.

    Raises:
        AnswerError: If the numbers contradict each other.
    """
    try:
        parts = [{name: _bits(**b) for name, b in part.items()} for part in packed]
    except (binascii.Error, AttributeError, TypeError, ValueError) as error:
        raise AnswerError(f"recorded bits are no bits: {error}") from error
    shapes = [next(iter(part.values())).shape if part else () for part in parts]
    return PrimitiveResult(
        [
            SamplerPubResult(DataBin(**part, shape=shape))
            for part, shape in zip(parts, shapes, strict=True)
        ]
    )


def _bits(*, shape: list[int], num_bits: int, bits: str) -> BitArray:
    flat = np.frombuffer(base64.b64decode(bits, validate=True), np.uint8)
    return BitArray(flat.reshape([int(n) for n in shape]).copy(), int(num_bits))
