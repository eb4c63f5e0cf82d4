"""A node's claim on a block, in two phases, so that a crash at any point is healed by whoever comes next.

Claim: affinity `pending`, then the block, then affinity `confirmed`. Release: affinity `pendingDeletion`, then the
block (deleted, or without affinity), then the affinity. The block decides: where it names another owner, an affinity
is stale. Whoever revives a claim writes the block once more, so that a release under way meets a conflict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_network
from typing import Any

from muslin.errors import BadInput
from muslin.ipam.blocks import API_VERSION, Block, timestamp
from muslin.ipam.handles import contended
from muslin.ipam.names import affinity_key, affinity_labels, block_key
from muslin.ipam.requests import ATTEMPTS, Operation, Stored, create, delete, get, list_all, update
from muslin.net import Prefix

__all__ = ["HeldBlock", "Owner", "affine_prefixes", "claim", "claimed_before", "read_block", "release_affinity"]

_CONFIRMED = ("confirmed", "")


@dataclass(frozen=True, slots=True)
class Owner:
    """Who claims blocks: a node, or something that is not one (`virtual`)."""

    host: str
    kind: str = "host"

    def __str__(self) -> str:
        return f"{self.kind}:{self.host}"


@dataclass(frozen=True, slots=True)
class HeldBlock:
    """A block, and the object it was read from or written as."""

    block: Block
    stored: Stored

    def write(self, block: Block) -> Operation[HeldBlock | None]:
        """Write a successor over exactly this; None if somebody was faster."""
        block = block.touched()
        answer = yield from update(self.stored, block.json())
        return HeldBlock(block, answer) if isinstance(answer, Stored) else None


def read_block(prefix: Prefix) -> Operation[HeldBlock | None]:
    """The block now, None where there is none. Raises `BadInput` if it makes no sense."""
    stored = yield from get(block_key(prefix))
    return None if stored is None else HeldBlock(Block.read(stored.value), stored)


def affine_prefixes(owner: Owner, version: int) -> Operation[tuple[Prefix, ...]]:
    """Blocks that somebody has claimed or is claiming, in their order. Affinities that make no sense are left out."""
    found = []
    for stored in (yield from list_all("BlockAffinity")):
        spec = stored.value.get("spec")
        if not isinstance(spec, Mapping) or spec.get("node") != owner.host:
            continue
        if (spec.get("type") or "host") != owner.kind:
            continue
        try:
            prefix = ip_network(str(spec.get("cidr")))
        except ValueError:
            continue
        if prefix.version == version:
            found.append(prefix)
    return tuple(sorted(found, key=lambda prefix: (int(prefix.network_address), prefix.prefixlen)))


def claim(owner: Owner, prefix: Prefix, now: datetime) -> Operation[HeldBlock | None]:
    """The block, claimed and confirmed; None if it is another's, and nothing of us is left there then.

    Works from whatever a former attempt left. Raises `BadInput` if the block makes no sense.
    """
    for _ in range(ATTEMPTS):
        affinity = yield from _pending(owner, prefix)
        if affinity is None:
            continue
        confirmed = _state(affinity) in _CONFIRMED
        try:
            held = yield from read_block(prefix)
        except BadInput:
            if not confirmed:
                yield from delete(affinity)
            raise
        if held is None:
            if confirmed:  # a block lost its object, or a former release was cut short: claim it anew
                yield from update(affinity, _value(owner, prefix, "pending"))
                continue
            block = Block.new(prefix, str(owner), now)
            answer = yield from create(block_key(prefix), block.json())
            if not isinstance(answer, Stored):
                continue
            held = HeldBlock(block, answer)
        elif held.block.affinity != str(owner):
            if (yield from delete(affinity)):
                return None
            continue
        elif confirmed:
            return held
        else:
            bumped = yield from held.write(held.block)
            if bumped is None:
                continue
            held = bumped
        answer = yield from update(affinity, _value(owner, prefix, "confirmed"))
        if isinstance(answer, Stored) or (answer.current is not None and _state(answer.current) in _CONFIRMED):
            return held
    raise contended(str(affinity_key(owner.host, prefix)))


def release_affinity(
    owner: Owner, prefix: Prefix, *, require_empty: bool = False, sequence: int | None = None
) -> Operation[bool]:
    """Give a block up: deleted if it is empty, else without affinity, so that others may borrow from it.

    Args:
        owner: whose claim.
        prefix: which block.
        require_empty: leave it alone if somebody holds an address.
        sequence: leave it alone if it was written since.

    Returns:
        Whether the claim is gone. False means that it was not to be given up, or that it was claimed anew meanwhile.
    """
    marked = False
    for _ in range(ATTEMPTS):
        affinity = yield from get(affinity_key(owner.host, prefix))
        if affinity is None:
            return True
        held = yield from read_block(prefix)
        if held is None or held.block.affinity != str(owner):
            if held is None and require_empty and _state(affinity) == "pending":
                return False  # a claim under way
            return (yield from delete(affinity))
        if (require_empty and not held.block.empty) or sequence not in (None, held.block.sequence):
            if marked:  # an address was given out while we were at it: the claim stands
                yield from update(affinity, _value(owner, prefix, "confirmed"))
            return False
        answer = yield from update(affinity, _value(owner, prefix, "pendingDeletion"))
        if not isinstance(answer, Stored):
            continue
        affinity, marked = answer, True
        if held.block.empty:
            done = yield from delete(held.stored)
        else:
            done = (yield from held.write(replace(held.block, affinity=None, claimed_at=None))) is not None
        if done:
            return (yield from delete(affinity))
    raise contended(str(affinity_key(owner.host, prefix)))


def claimed_before(block: Block, limit: datetime) -> bool:
    """Whether the block was claimed before this time, or nobody knows when."""
    return block.claimed_at is None or block.claimed_at <= timestamp(limit)


def _pending(owner: Owner, prefix: Prefix) -> Operation[Stored | None]:
    """Our affinity, `pending` if it was not confirmed; None if somebody wrote in between."""
    key = affinity_key(owner.host, prefix)
    found = yield from get(key)
    if found is None:
        answer = yield from create(key, _value(owner, prefix, "pending"))
    elif _state(found) in (*_CONFIRMED, "pending"):
        return found
    else:
        answer = yield from update(found, _value(owner, prefix, "pending"))
    return answer if isinstance(answer, Stored) else None


def _state(stored: Stored) -> str:
    spec = stored.value.get("spec")
    return str(spec.get("state", "")) if isinstance(spec, Mapping) else "pending"


def _value(owner: Owner, prefix: Prefix, state: str) -> dict[str, Any]:
    key = affinity_key(owner.host, prefix)
    return {
        "apiVersion": API_VERSION,
        "kind": "BlockAffinity",
        "metadata": {"name": key.name, "labels": affinity_labels(owner.host, prefix, owner.kind)},
        "spec": {"state": state, "node": owner.host, "type": owner.kind, "cidr": str(prefix), "deleted": False},
    }
