"""Taking addresses back: one by one, or all of a handle. Releasing what is free already is success."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from ipaddress import ip_network

from muslin.errors import BadInput, Problem
from muslin.ipam.affinities import HeldBlock, read_block
from muslin.ipam.blocks import Block
from muslin.ipam.handles import blocks_of, contended, decrement, forget_block
from muslin.ipam.names import handle_key
from muslin.ipam.requests import ATTEMPTS, Operation, delete, get, list_all
from muslin.net import Address, Prefix
from muslin.resources.ipam import IPAMConfigurationSpec

__all__ = ["Claim", "Mismatch", "Released", "release_by_handle", "release_ips", "write_or_delete"]


@dataclass(frozen=True, slots=True)
class Claim:
    """An address to release, and what the caller believes of it; a wrong belief leaves its block untouched.

    `sequence` is that of the allocation (`Block.sequences`), `handle` who holds it. None: whatever it is.
    """

    address: Address
    handle: str | None = None
    sequence: int | None = None


class Mismatch(Enum):
    """Why an address was not released."""

    HANDLE = "another handle holds it"
    SEQUENCE = "it was given out anew since"
    UNREADABLE = "its block cannot be read"


@dataclass(frozen=True, slots=True)
class Released:
    """What became of the addresses: every one asked for is in exactly one of the three."""

    released: tuple[Address, ...] = ()
    unallocated: tuple[Address, ...] = ()
    refused: Mapping[Address, Mismatch] = field(default_factory=dict)


def release_ips(
    claims: Collection[Claim], now: datetime, configuration: IPAMConfigurationSpec | None = None
) -> Operation[Released]:
    """Release addresses; all of one block, or none of it."""
    cooldown_s = (configuration.ip_cooldown_seconds if configuration else None) or 0
    wanted = {claim.address: claim for claim in claims}
    inside: dict[Prefix, list[Claim]] = {}
    for stored in (yield from list_all("IPAMBlock")):
        prefix = _prefix_of(stored.value.get("spec"))
        mine = [address for address in wanted if prefix is not None and _holds(prefix, address)]
        if prefix is not None and mine:
            inside[prefix] = [wanted.pop(address) for address in mine]
    released: list[Address] = []
    unallocated = list(wanted)
    refused: dict[Address, Mismatch] = {}
    for prefix, block_claims in inside.items():
        part = yield from _release_in_block(prefix, block_claims, now, cooldown_s)
        released += part.released
        unallocated += part.unallocated
        refused |= part.refused
    return Released(tuple(released), tuple(unallocated), refused)


def release_by_handle(
    handle: str, now: datetime, configuration: IPAMConfigurationSpec | None = None
) -> Operation[tuple[Address, ...]]:
    """Release all that a handle holds, and the handle; gives the addresses, none if there is no such handle.

    Also makes good what a crash left: a handle that counts more than its blocks have. So that no assignment under
    way for the same handle slips through, every block named is written, even if there is nothing to release in it;
    that assignment then meets a conflict, takes its count back and starts again.

    Raises:
        BadInput: blocks that cannot be read; everything in the others is released.
    """
    cooldown_s = (configuration.ip_cooldown_seconds if configuration else None) or 0
    released: list[Address] = []
    unreadable: dict[str, tuple[Problem, ...]] = {}
    for _ in range(ATTEMPTS):
        stored = yield from get(handle_key(handle))
        if stored is None:
            return tuple(released)
        counts = blocks_of(stored)
        text = min(counts.keys() - unreadable.keys(), default=None)
        if text is None and counts:
            raise BadInput(problem for problems in unreadable.values() for problem in problems)
        if text is None:
            if (yield from delete(stored)):
                return tuple(released)
            continue
        prefix = _prefix_of({"cidr": text})
        if prefix is not None:
            try:
                released += yield from _release_handle_in_block(prefix, handle, now, cooldown_s)
            except BadInput as error:
                unreadable[text] = error.problems
                continue
        yield from forget_block(stored, handle, text)
    raise contended(handle)


def _release_in_block(prefix: Prefix, claims: Collection[Claim], now: datetime, cooldown_s: int) -> Operation[Released]:
    addresses = tuple(claim.address for claim in claims)
    for _ in range(ATTEMPTS):
        try:
            held = yield from read_block(prefix)
        except BadInput:
            return Released(refused=dict.fromkeys(addresses, Mismatch.UNREADABLE))
        if held is None:
            return Released(unallocated=addresses)
        block = held.block
        refused = {claim.address: why for claim in claims if (why := _mismatch(block, claim)) is not None}
        if refused:
            # Somebody acts on old knowledge: nothing of this block is released, the others named with their block.
            return Released(
                refused={address: refused.get(address, next(iter(refused.values()))) for address in addresses}
            )
        holders = {address: block.holder(address) for address in addresses}
        taken = tuple(address for address, it in holders.items() if it is not None and it.released_at is None)
        free = tuple(address for address in addresses if address not in taken)
        if not taken:
            return Released(unallocated=free)
        block = block.released([block.ordinal(address) for address in taken], now).collected(now, cooldown_s)
        if not (yield from write_or_delete(held, block)):
            continue
        counts: dict[str, int] = {}
        for address in taken:
            holder = holders[address]
            if holder is not None and holder.handle is not None:
                name = holder.handle.split("\r")[0]
                counts[name] = counts.get(name, 0) + 1
        for handle, count in counts.items():
            yield from decrement(handle, prefix, count)
        return Released(released=taken, unallocated=free)
    raise contended(str(prefix))


def _release_handle_in_block(
    prefix: Prefix, handle: str, now: datetime, cooldown_s: int
) -> Operation[tuple[Address, ...]]:
    for _ in range(ATTEMPTS):
        held = yield from read_block(prefix)
        if held is None:
            return ()
        ordinals = held.block.held_by(handle)
        block = held.block.released(ordinals, now).collected(now, cooldown_s) if ordinals else held.block
        if (yield from write_or_delete(held, block)):
            return tuple(block.address(ordinal) for ordinal in ordinals)
    raise contended(str(prefix))


def write_or_delete(held: HeldBlock, block: Block) -> Operation[bool]:
    """Write a block back; one that is nobody's and has nothing, not even a cooling address, is deleted."""
    if block.affinity is None and not any(index is not None for index in block.allocations):
        return (yield from delete(held.stored))
    return (yield from held.write(block)) is not None


def _mismatch(block: Block, claim: Claim) -> Mismatch | None:
    if claim.sequence is not None and block.sequences.get(block.ordinal(claim.address), 0) != claim.sequence:
        return Mismatch.SEQUENCE
    holder = block.holder(claim.address)
    if (
        claim.handle is not None
        and holder is not None
        and holder.released_at is None
        and not holder.is_of(claim.handle)
    ):
        return Mismatch.HANDLE
    return None


def _prefix_of(spec: object) -> Prefix | None:
    try:
        return ip_network(str(spec.get("cidr"))) if isinstance(spec, Mapping) else None
    except ValueError:
        return None


def _holds(prefix: Prefix, address: Address) -> bool:
    return prefix.version == address.version and address in prefix
