"""Arrays and a JSON header in one .npz file, read without trusting it.

What is allocated is bounded by the length of the file: members are not compressed, and
an array's header has to promise exactly the bytes that follow it.
"""

from __future__ import annotations

import io
import json
import os
import secrets
from math import prod
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from numpy.lib import format as npy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NUMBERS = "biufc"  # kinds of dtype
MAX_BYTES = 1 << 30  # of a file
MAX_MEMBERS = 10_000
MAX_HEADER = 1 << 16  # bytes of JSON
MAX_WORD = 10_000  # characters of an array's own header


def pack(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> bytes:
    """Return the bytes of an .npz file with the header as one more array."""
    text = np.frombuffer(json.dumps(header, allow_nan=False).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, header=text, **arrays)
    return buffer.getvalue()


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return header and arrays of a file that ``pack`` made; nothing is executed.

    Raises:
        ValueError: If the file is none, damaged, or larger than it may be.
        OSError: If it cannot be read.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"it has {size} bytes, more than {MAX_BYTES}")
    try:
        with ZipFile(io.BytesIO(path.read_bytes())) as file:
            arrays = _members(file)
        text = arrays.pop("header.npy")
        if text.dtype != np.uint8 or text.size > MAX_HEADER:
            raise ValueError(f"its header has {text.size} {text.dtype}")
        header = json.loads(text.tobytes(), parse_constant=_no_number)
    except ValueError:
        raise
    except Exception as error:  # zipfile alone has six kinds
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not isinstance(header, dict):
        raise ValueError("its header is no table")
    return header, {name.removesuffix(".npy"): a for name, a in arrays.items()}


def _members(file: ZipFile) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    members = file.infolist()
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"it has {len(members)} members, more than {MAX_MEMBERS}")
    for member in members:
        name = member.filename
        if member.compress_type != ZIP_STORED or member.file_size > MAX_BYTES:
            raise ValueError(f"{name} is compressed: {member.file_size} bytes")
        if name in found:
            raise ValueError(f"{name} is there twice")
        found[name] = _array(name, file.read(member))  # which checks its CRC
    return found


def _array(name: str, content: bytes) -> np.ndarray:
    """Return an array whose header promises exactly the bytes that are there."""
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{name} has version {version} of the format, not (1, 0)")
    shape, by_column, dtype = npy.read_array_header_1_0(file, max_header_size=MAX_WORD)
    if dtype.kind not in NUMBERS:
        raise ValueError(f"{name} holds {dtype}, not numbers")
    left = len(content) - file.tell()
    if min(shape, default=0) < 0 or prod(shape) * dtype.itemsize != left:
        raise ValueError(f"{name} promises shape {shape} of {dtype} in {left} bytes")
    flat = np.frombuffer(content, dtype, offset=file.tell())
    return flat.reshape(shape, order="F" if by_column else "C").copy(order="K")


def _no_number(word: str) -> None:
    raise ValueError(f"its header holds {word}, which is no number")


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by new content that is safely on disk, or leave it as it was."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
