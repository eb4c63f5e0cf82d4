"""UPDATE: routes that came and went. RFC 4271, 4760, 4724 (End-of-RIB), 7606, 8950."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from runtime.bgp.families import IPV4_UNICAST, Family, WirePrefix, split
from runtime.bgp.messages.attributes import (
    Attributes,
    AttributeType,
    Block,
    Malformed,
    RawAttribute,
    decode_block,
    encode_attribute,
    usable_next_hop,
)
from runtime.bgp.messages.framing import HEADER_LENGTH, LENGTH, MessageType, message
from runtime.bgp.messages.notification import ErrorCode, Notify

__all__ = ["Announcement", "Context", "TooLarge", "Update", "UpdateDecoder", "announce", "end_of_rib", "withdraw"]

_CACHE_LIMIT = 20_000
"""Attribute sets kept decoded; all are forgotten when it is reached, which bounds memory at no bookkeeping."""


class Announcement(NamedTuple):
    """Prefixes of one family that are reached through one next hop (4, 16 or 32 octets)."""

    family: Family
    next_hop: bytes
    prefixes: list[WirePrefix]


@dataclass(slots=True)
class Update:
    """What one message says.

    Attributes:
        withdrawn: (family, prefixes) that are gone; those of a malformed announcement as well.
        announced: routes, all with `attributes`.
        malformed: why what was announced counts as withdrawn.
        end_of_rib: family of which the peer has now said everything.
        discarded: attributes thrown away.
    """

    withdrawn: list[tuple[Family, list[WirePrefix]]] = field(default_factory=list)
    announced: list[Announcement] = field(default_factory=list)
    attributes: Attributes = field(default_factory=Attributes)
    malformed: Malformed | None = None
    end_of_rib: Family | None = None
    discarded: tuple[int, ...] = ()


class Context(NamedTuple):
    """What both ends agreed on, as far as it changes what an UPDATE means."""

    internal: bool = True
    four_octet_as: bool = True
    families: tuple[Family, ...] = (IPV4_UNICAST,)
    extended_next_hops: tuple[tuple[Family, int], ...] = ()


class TooLarge(ValueError):
    """Attributes leave no room for a prefix in a message."""


class _Raw(NamedTuple):
    """Attributes cut apart."""

    others: list[RawAttribute]
    reach: bytes | None
    unreach: bytes | None
    overrun: bool


class UpdateDecoder:
    """Reads UPDATEs of sessions with one context; equal attribute bytes give the same object."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._blocks: dict[bytes, Block] = {}

    def decode(self, body: bytes) -> Update:
        """From a body of at least four octets. Raises Notify 3/x and nothing else."""
        withdrawn_end = 2 + int.from_bytes(body[:2], "big")
        if withdrawn_end + 2 > len(body):
            raise Notify(ErrorCode.UPDATE, 1)
        start = withdrawn_end + 2
        end = start + int.from_bytes(body[withdrawn_end:start], "big")
        if end > len(body):
            raise Notify(ErrorCode.UPDATE, 1)
        update = Update()
        if len(body) == 4:
            update.end_of_rib = IPV4_UNICAST
            return update
        try:
            gone = split(body, 2, withdrawn_end, 32)
            plain = split(body, end, len(body), 32)
        except ValueError:
            raise Notify(ErrorCode.UPDATE, 10) from None
        if gone and IPV4_UNICAST in self.context.families:
            update.withdrawn.append((IPV4_UNICAST, gone))
        if start == end:
            if plain:
                raise Notify(ErrorCode.UPDATE, 3, bytes((AttributeType.ORIGIN,)))
            return update
        block, raw = self._block(body[start:end])
        self._unreach(raw, update, alone=not (gone or plain or raw.others or raw.reach or raw.overrun))
        announced = self._reach(raw, update)
        if plain and IPV4_UNICAST in self.context.families:
            announced.insert(0, Announcement(IPV4_UNICAST, block.next_hop or b"", plain))
        if announced:
            self._judge(update, block, announced)
        return update

    def _judge(self, update: Update, block: Block, announced: list[Announcement]) -> None:
        needed = {AttributeType.ORIGIN, AttributeType.AS_PATH}
        if self.context.internal:
            needed.add(AttributeType.LOCAL_PREF)
        update.discarded = block.discarded
        update.malformed = update.malformed or block.malformed
        if update.malformed is None and not (needed <= block.present and all(item.next_hop for item in announced)):
            update.malformed = Malformed.MISSING
        if update.malformed is not None:
            update.withdrawn.extend((family, prefixes) for family, _, prefixes in announced)
            return
        update.attributes = block.attributes
        update.announced = announced

    def _block(self, data: bytes) -> tuple[Block, _Raw]:
        known = self._blocks.get(data)
        if known is not None:
            return known, _Raw([], None, None, overrun=False)
        raw = _cut(data)
        multiprotocol = raw.reach is not None or raw.unreach is not None
        key = b"".join(encode_attribute(*part) for part in raw.others) if multiprotocol else data
        block = None if raw.overrun else self._blocks.get(key)
        if block is None:
            context = self.context
            block = decode_block(
                raw.others, internal=context.internal, four_octet_as=context.four_octet_as, overrun=raw.overrun
            )
            if block.malformed is None:
                if len(self._blocks) >= _CACHE_LIMIT:
                    self._blocks.clear()
                self._blocks[key] = block
        return block, raw

    def _unreach(self, raw: _Raw, update: Update, *, alone: bool) -> None:
        value = raw.unreach
        if value is None:
            return
        if len(value) < 3:
            raise Notify(ErrorCode.UPDATE, 9)
        family = Family(int.from_bytes(value[:2], "big"), value[2])
        if family not in self.context.families:
            return
        prefixes = _optional(value, 3, family)
        if prefixes:
            update.withdrawn.append((family, prefixes))
        elif alone:
            update.end_of_rib = family

    def _reach(self, raw: _Raw, update: Update) -> list[Announcement]:
        value = raw.reach
        if value is None:
            return []
        if len(value) < 5 or 5 + value[3] > len(value):
            raise Notify(ErrorCode.UPDATE, 9)
        family, length = Family(int.from_bytes(value[:2], "big"), value[2]), value[3]
        if family not in self.context.families:
            return []
        allowed = (16, 32) if family.afi == 2 or (family, 2) in self.context.extended_next_hops else (4,)
        if length not in allowed:
            raise Notify(ErrorCode.UPDATE, 9)
        next_hop = value[4 : 4 + length]
        prefixes = _optional(value, 5 + length, family)
        if not prefixes:
            return []
        if not usable_next_hop(next_hop):
            update.malformed = Malformed.NEXT_HOP
        return [Announcement(family, next_hop, prefixes)]


def _optional(value: bytes, start: int, family: Family) -> list[WirePrefix]:
    try:
        return split(value, start, len(value), family.bits)
    except ValueError:
        raise Notify(ErrorCode.UPDATE, 9) from None


def _cut(data: bytes) -> _Raw:
    """The attributes one by one; of repeated ones the first counts, the multiprotocol ones must not repeat."""
    others: list[RawAttribute] = []
    multiprotocol: dict[int, bytes] = {}
    seen: set[int] = set()
    start, overrun = 0, False
    while start < len(data):
        flags = data[start]
        value = start + (4 if flags & 0x10 else 3)
        if value > len(data):
            overrun = True
            break
        kind, end = data[start + 1], value + int.from_bytes(data[start + 2 : value], "big")
        if end > len(data):
            overrun = True
            break
        if kind in (AttributeType.MP_REACH, AttributeType.MP_UNREACH):
            if kind in seen:
                raise Notify(ErrorCode.UPDATE, 1)
            multiprotocol[kind] = data[value:end]
        elif kind not in seen:
            others.append(RawAttribute(flags & 0xEF, kind, data[value:end]))
        seen.add(kind)
        start = end
    return _Raw(others, multiprotocol.get(AttributeType.MP_REACH), multiprotocol.get(AttributeType.MP_UNREACH), overrun)


def announce(
    family: Family, attributes: bytes, next_hop: bytes, prefixes: Iterable[WirePrefix], limit: int = LENGTH
) -> Iterator[bytes]:
    """Messages that announce `prefixes`.

    Args:
        family: of the prefixes.
        attributes: encoded, with NEXT_HOP for IPv4 unicast over IPv4, without it for all else.
        next_hop: goes into MP_REACH; not used for IPv4 unicast over IPv4.
        prefixes: as many as you like.
        limit: greatest length of a message.

    Raises:
        TooLarge: the attributes leave no room.
    """
    if family == IPV4_UNICAST and len(next_hop) == 4:
        head = b"\0\0" + struct.pack("!H", len(attributes)) + attributes
        for chunk in _chunks(prefixes, limit - HEADER_LENGTH - len(head)):
            yield message(MessageType.UPDATE, head + chunk)
        return
    start = struct.pack("!HBB", *family, len(next_hop)) + next_hop + b"\0"
    for chunk in _chunks(prefixes, limit - HEADER_LENGTH - 8 - len(attributes) - len(start)):
        reach = encode_attribute(0x80, AttributeType.MP_REACH, start + chunk)
        yield _with_attributes(reach + attributes)


def withdraw(family: Family, prefixes: Iterable[WirePrefix], limit: int = LENGTH) -> Iterator[bytes]:
    """Messages that withdraw `prefixes`."""
    if family == IPV4_UNICAST:
        for chunk in _chunks(prefixes, limit - HEADER_LENGTH - 4):
            yield message(MessageType.UPDATE, struct.pack("!H", len(chunk)) + chunk + b"\0\0")
        return
    for chunk in _chunks(prefixes, limit - HEADER_LENGTH - 11):
        unreach = struct.pack("!HB", *family) + chunk
        yield _with_attributes(encode_attribute(0x80, AttributeType.MP_UNREACH, unreach))


def end_of_rib(family: Family) -> bytes:
    """The message after the last route of the first exchange (RFC 4724 section 2)."""
    if family == IPV4_UNICAST:
        return message(MessageType.UPDATE, b"\0\0\0\0")
    return _with_attributes(encode_attribute(0x80, AttributeType.MP_UNREACH, struct.pack("!HB", *family)))


def _with_attributes(attributes: bytes) -> bytes:
    return message(MessageType.UPDATE, b"\0\0" + struct.pack("!H", len(attributes)) + attributes)


def _chunks(prefixes: Iterable[WirePrefix], room: int) -> Iterator[bytes]:
    if room < 17:
        raise TooLarge("the attributes leave no room for a prefix")
    pending: list[bytes] = []
    size = 0
    for prefix in prefixes:
        if size + len(prefix) > room:
            yield b"".join(pending)
            pending, size = [], 0
        pending.append(prefix)
        size += len(prefix)
    if pending:
        yield b"".join(pending)
