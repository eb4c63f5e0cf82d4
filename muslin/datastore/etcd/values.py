"""The JSON of etcd's values, read with what costs least.

Pydantic's reader is several times as quick as Python's and takes 50 ms to load, which `muslin get` of one object does
without: it comes in where somebody else has loaded it, or once so much is read that it pays.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

__all__ = ["object_of", "objects_of"]

_MUCH: Final = 2_000
_scan = json.JSONDecoder().raw_decode


class _Reader:
    """How many values this process has read with Python's reader, and pydantic's once it is there."""

    slowly = 0
    decode: Callable[[bytes], Any] | None = None
    decode_lines: Callable[[Sequence[bytes]], tuple[list[Any], bool]]


def object_of(text: bytes) -> dict[str, Any] | None:
    """JSON that is an object, None for anything else."""
    try:
        value = (_Reader.decode or _chosen(1) or _plainly)(text)
    except (ValueError, RecursionError):
        return None
    return value if type(value) is dict else None


def objects_of(texts: Sequence[bytes]) -> list[dict[str, Any] | None]:
    """As `object_of` for each of many."""
    if _Reader.decode or _chosen(len(texts)):
        values, whole = _Reader.decode_lines(texts)
        if whole and len(values) == len(texts):  # those that are empty are left out there
            return [value if type(value) is dict else None for value in values]
    return [object_of(text) for text in texts]


def _chosen(more: int) -> Callable[[bytes], Any] | None:
    """Pydantic's reader if it is to be used from these values on."""
    _Reader.slowly += more
    if _Reader.slowly > _MUCH or "pydantic_core" in sys.modules:
        from muslin.kubernetes.json_text import decode, decode_lines  # noqa: PLC0415 - see above

        _Reader.decode, _Reader.decode_lines = staticmethod(decode), staticmethod(decode_lines)
    return _Reader.decode


def _plainly(text: bytes) -> Any:
    """As `json.loads`, in two thirds of the time for what programs write."""
    try:
        decoded = text.decode()
        value, end = _scan(decoded)
    except ValueError:
        return json.loads(text)
    return value if end == len(decoded) else json.loads(text)
