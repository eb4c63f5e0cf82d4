"""Handles: how many addresses a holder has, and in which blocks, so that it can be released without a search.

The count is written before the block. After a crash a handle may name a block that has nothing of it, never the
other way round; `muslin.ipam.release.release_by_handle` makes that good.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muslin.errors import Problem, Unavailable
from muslin.ipam.blocks import API_VERSION
from muslin.ipam.names import handle_key, handle_name
from muslin.ipam.requests import ATTEMPTS, Create, Operation, Refused, Stored, create, delete, get, update
from muslin.net import Prefix

__all__ = ["blocks_of", "contended", "decrement", "first_count", "forget_block", "increment"]


def blocks_of(stored: Stored) -> dict[str, int]:
    """Mapping[block's prefix as text, addresses held there]; what makes no sense is left out."""
    spec = stored.value.get("spec")
    counts = spec.get("block") if isinstance(spec, Mapping) else None
    if not isinstance(counts, Mapping):
        return {}
    return {str(prefix): n for prefix, n in counts.items() if isinstance(n, int)}


def increment(handle: str, prefix: Prefix, count: int) -> Operation[None]:
    """Count addresses of a block to a handle. One request for a handle that is new."""
    answer = yield from create(handle_key(handle), _value(handle, {str(prefix): count}))
    for _ in range(ATTEMPTS):
        if isinstance(answer, Stored):
            return
        stored = answer.current
        if answer.reason is Refused.NOT_FOUND or stored is None:
            answer = yield from create(handle_key(handle), _value(handle, {str(prefix): count}))
            continue
        counts = blocks_of(stored)
        counts[str(prefix)] = counts.get(str(prefix), 0) + count
        answer = yield from update(stored, _value(handle, counts))
    raise contended(handle)


def first_count(handle: str, prefix: Prefix, count: int) -> Create:
    """The request that makes a new handle with addresses of one block."""
    return Create(handle_key(handle), _value(handle, {str(prefix): count}))


def decrement(handle: str, prefix: Prefix, count: int) -> Operation[None]:
    """Take addresses of a block off a handle; a handle without any is deleted. No such handle is success."""
    for _ in range(ATTEMPTS):
        stored = yield from get(handle_key(handle))
        if stored is None:
            return
        counts = blocks_of(stored)
        counts[str(prefix)] = counts.get(str(prefix), 0) - count
        if (yield from _write(stored, handle, counts)):
            return
    raise contended(handle)


def forget_block(stored: Stored, handle: str, block: str) -> Operation[bool]:
    """Take a block off exactly this handle object, whatever its count; False if somebody wrote it in between."""
    counts = blocks_of(stored)
    counts.pop(block, None)
    return (yield from _write(stored, handle, counts))


def contended(what: str) -> Unavailable:
    """Others wrote in between every time."""
    return Unavailable(Problem("others write the same object all the time", what, "try again"))


def _write(stored: Stored, handle: str, counts: Mapping[str, int]) -> Operation[bool]:
    left = {prefix: n for prefix, n in counts.items() if n > 0}
    if not left:
        return (yield from delete(stored))
    answer = yield from update(stored, _value(handle, left))
    return isinstance(answer, Stored) or answer.reason is Refused.NOT_FOUND


def _value(handle: str, counts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "IPAMHandle",
        "metadata": {"name": handle_name(handle)},
        "spec": {"handleID": handle, "block": dict(sorted(counts.items())), "deleted": False},
    }
