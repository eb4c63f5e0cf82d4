"""JSON in and out, as cheaply as this interpreter can: pydantic's reader, and a collector that is spared what we build.

What a reader makes is a tree and needs no garbage collection. Left on, the collector walks a growing list again and
again while it is built, which costs more than the reading (measured: three quarters of the time for 5,000 objects). So
it pauses while much is read, and what was read goes to its oldest generation unexamined.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic_core import from_json

from muslin.kubernetes.json_writer import JsonWriter

__all__ = ["decode", "decode_lines", "encode"]

_MUCH = 1 << 14
"""Octets from which sparing the collector pays."""
_MOST_OFTEN = 1000
"""Times between two full collections that all is moved to the oldest generation: what others left in the younger ones
comes along, and must not pile up there."""
_encode = JsonWriter(ensure_ascii=False).encode


class _Moves:
    """Counts moves to the oldest generation since the collector last went through it.

    A program that has frozen what it keeps would lose that by a move, and so none is made any more. Counting what is
    frozen takes as long as walking over it, and so it is counted until there is something.
    """

    full, made, frozen = -1, 0, False

    @classmethod
    def allowed(cls) -> bool:
        if cls.frozen:
            return False
        cls.frozen = gc.get_freeze_count() > 0
        full = gc.get_stats()[2]["collections"]
        if full != cls.full:
            cls.full, cls.made = full, 0
        cls.made += 1
        return cls.made <= _MOST_OFTEN and not cls.frozen


@contextmanager
def _spared() -> Iterator[None]:
    """No collection within; what was built counts as old afterwards."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if _Moves.allowed():
            gc.freeze()
            gc.unfreeze()
        gc.enable()


def encode(value: Any) -> bytes:
    """A value as JSON. Raises ValueError or TypeError for what JSON can't say."""
    return _encode(value).encode()


def _decoded(data: bytes) -> Any:
    try:
        return from_json(data, allow_inf_nan=False, cache_strings="keys")  # looking values up costs more than it saves
    except ValueError:
        return json.loads(data)  # reads nesting deeper than 200, and says better what is wrong


def decode(data: bytes) -> Any:
    """JSON as a value. Raises ValueError (RecursionError beyond a nesting of about a thousand)."""
    if len(data) < _MUCH:
        return _decoded(data)
    with _spared():
        return _decoded(data)


def decode_lines(lines: Sequence[bytes]) -> tuple[list[Any], bool]:
    """Values of lines up to the first that is none; and whether all were."""
    values: list[Any] = []
    try:
        if sum(map(len, lines)) < _MUCH:
            values.extend(_decoded(line) for line in lines if line)
        else:
            with _spared():
                values.extend(_decoded(line) for line in lines if line)
    except (ValueError, RecursionError):
        return values, False
    return values, True
