"""Everything that a datastore says of addresses, read once: blocks, pools, reservations, handles, settings."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from muslin.cli.stored import text_at, value_at
from muslin.datastore.protocol import Datastore, Entry, Json
from muslin.errors import BadInput, Problem
from muslin.ipam.blocks import Attribute, Block
from muslin.ipam.pools import reservations
from muslin.net import Address, Prefix

__all__ = ["Books", "Usage", "blocks_of", "networks_of", "pool_prefix", "read_books", "usage_of"]


@dataclass(frozen=True, slots=True)
class Books:
    """What was read; `unreadable` are the blocks that make no sense."""

    blocks: tuple[Block, ...]
    pools: tuple[Entry, ...]
    reserved: tuple[Prefix, ...]
    unreadable: tuple[Problem, ...] = ()

    def allocations(self) -> Iterator[tuple[Block, int, Address, Attribute]]:
        """Every address that is given out or cooling down: its block, position, and who has it."""
        for block in self.blocks:
            for ordinal, index in enumerate(block.allocations):
                if index is not None:
                    yield block, ordinal, block.address(ordinal), block.attributes[index]


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a range of addresses is. What is in use and reserved as well counts for both."""

    prefix: Prefix
    in_use: int
    reserved: int
    free: int

    @property
    def total(self) -> int:
        """How many addresses it has."""
        return self.prefix.num_addresses


async def read_books(store: Datastore) -> Books:
    """Blocks, pools and reservations as they are now."""
    blocks, unreadable = await blocks_of(store)
    pools = (await store.list("IPPool")).entries
    reserved = [prefix for entry in (await store.list("IPReservation")).entries for prefix in networks_of(entry.value)]
    return Books(blocks, pools, tuple(reserved), unreadable)


async def blocks_of(store: Datastore) -> tuple[tuple[Block, ...], tuple[Problem, ...]]:
    """The blocks that can be read, those being deleted left out, and what is wrong with the others."""
    blocks: list[Block] = []
    problems: list[Problem] = []
    for entry in (await store.list("IPAMBlock")).entries:
        if value_at(entry.value, "spec", "deleted") is True:
            continue
        try:
            blocks.append(Block.read(entry.value))
        except BadInput as error:
            problems += error.problems
    return tuple(blocks), tuple(problems)


def networks_of(reservation: Json) -> list[Prefix]:
    """The prefixes that an IPReservation keeps; what is none is left out."""
    found: list[Prefix] = []
    texts = value_at(reservation, "spec", "reservedCIDRs")
    for text in texts if isinstance(texts, list | tuple) else ():
        with contextlib.suppress(ValueError):
            found.append(ip_network(str(text), strict=False))
    return found


def usage_of(prefix: Prefix, blocks: Collection[Block], reserved: Collection[Prefix]) -> Usage:
    """How full a pool or block is, going by the blocks inside it."""
    is_reserved = reservations(reserved)
    used = [block.address(o) for block in blocks for o, index in enumerate(block.allocations) if index is not None]
    both = sum(1 for address in used if is_reserved(address))
    kept = sum(_common(prefix, other) for other in _collapsed(reserved, prefix.version))
    return Usage(prefix, len(used), kept, prefix.num_addresses - len(used) - kept + both)


def _collapsed(prefixes: Collection[Prefix], version: int) -> Iterator[Prefix]:
    if version == 4:
        yield from collapse_addresses([each for each in prefixes if isinstance(each, IPv4Network)])
    else:
        yield from collapse_addresses([each for each in prefixes if isinstance(each, IPv6Network)])


def _common(one: Prefix, other: Prefix) -> int:
    """How many addresses two prefixes of one family share."""
    if not one.overlaps(other):
        return 0
    return min(one.num_addresses, other.num_addresses)


def pool_prefix(pool: Json) -> Prefix | None:
    """A pool's addresses; None where it says nothing that makes sense."""
    try:
        return ip_network(text_at(pool, "spec", "cidr"))
    except ValueError:
        return None
