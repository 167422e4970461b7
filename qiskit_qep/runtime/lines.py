"""Lines of a journal: JSON records that carry the first letters of their SHA-256."""

from __future__ import annotations

import hashlib
import json
from typing import Any

BEGIN = b'{"check": "'  # of every line


def line_of(record: dict[str, Any]) -> bytes:
    """Return the line of a record."""
    body = json.dumps(record, sort_keys=True, allow_nan=False)
    check = hashlib.sha256(body.encode()).hexdigest()[:16]
    return BEGIN + f'{check}", {body[1:]}\n'.encode()


def parse(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line, or None if the line is damaged."""
    try:
        record = json.loads(line)
        check = record.pop("check")
        body = json.dumps(record, sort_keys=True, allow_nan=False)
        whole = check == hashlib.sha256(body.encode()).hexdigest()[:16]
        return record if whole and isinstance(record["kind"], str) else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
