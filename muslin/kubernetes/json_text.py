"""JSON in and out, as cheaply as this interpreter can: pydantic's reader, and no garbage collection while it builds.

What a reader makes is a tree and needs no collector; left on, the collector walks a growing list again and again, which
costs more than the reading (measured: three quarters of the time for 5,000 objects).
"""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

__all__ = ["decode", "decode_lines", "encode"]

_MUCH = 1 << 16
"""Octets from which a pause of the collector pays."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def encode(value: Any) -> bytes:
    """A value as JSON. Raises ValueError or TypeError for what JSON can't say."""
    return _encode(value).encode()


def _decoded(data: bytes) -> Any:
    try:
        return from_json(data, allow_inf_nan=False)
    except ValueError:
        return json.loads(data)  # reads nesting deeper than 200, and says better what is wrong


def decode(data: bytes) -> Any:
    """JSON as a value. Raises ValueError (RecursionError beyond a nesting of about a thousand)."""
    if len(data) < _MUCH or not gc.isenabled():
        return _decoded(data)
    gc.disable()
    try:
        return _decoded(data)
    finally:
        gc.enable()


def decode_lines(lines: Sequence[bytes]) -> tuple[list[Any], bool]:
    """Values of lines up to the first that is none; and whether all were."""
    values: list[Any] = []
    pause = len(lines) > 1 and gc.isenabled()
    if pause:
        gc.disable()
    try:
        values.extend(_decoded(line) for line in lines if line)
    except (ValueError, RecursionError):
        return values, False
    finally:
        if pause:
            gc.enable()
    return values, True
