"""nfnetlink codec for nftables: messages for tables, chains, rules, sets and elements, and parsers of their dumps.

Source: linux/netfilter/nf_tables.h. All of it for family inet. Integers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from runtime.dataplane.ir import Hook
from runtime.dataplane.netlink import expressions, wire
from runtime.dataplane.netlink.wire import Message, attribute, text, u32_be

__all__ = [
    "GROUP", "NEW_GENERATION", "SetShape", "WireChain", "WireSet", "add_elements", "add_rule", "add_set", "add_table",
    "batch_begin", "batch_end", "delete_chain", "delete_elements", "delete_set", "delete_table", "flush_chain",
    "new_chain",
]  # fmt: skip

GROUP: Final = 7
"""Multicast group NFNLGRP_NFTABLES."""
_SUBSYSTEM: Final = 10
_INET: Final = 1
(
    _NEW_TABLE, _GET_TABLE, _DELETE_TABLE, _NEW_CHAIN, _GET_CHAIN, _DELETE_CHAIN, _NEW_RULE, _GET_RULE, _DELETE_RULE,
    _NEW_SET, _GET_SET, _DELETE_SET, _NEW_ELEMENT, _GET_ELEMENT, _DELETE_ELEMENT, _NEW_GENERATION, _GET_GENERATION,
) = ((_SUBSYSTEM << 8) | number for number in range(17))  # fmt: skip
NEW_GENERATION: Final = _NEW_GENERATION
"""Message type that ends every transaction's notifications."""
ANONYMOUS, INTERVAL, MAP, CONCATENATED = 0x1, 0x4, 0x8, 0x80
OWNER, PERSIST = 0x2, 0x4
_VERDICT_TYPE: Final = 0xFFFFFF00
_INTERVAL_END: Final = 1
_ELEMENTS_SIZE: Final = 60_000  # an attribute's length is 16 bits, and the list is one attribute
_HOST_ORDER: Final = struct.pack("=BBI", 0, 4, 1)  # NFTNL_UDATA_SET_KEYBYTEORDER, so that `nft list` prints names
_GEN = struct.Struct("!BBH")


@dataclass(frozen=True, slots=True)
class SetShape:
    """What can't be changed about a set: type numbers and octets of its key's parts, intervals, verdicts."""

    types: tuple[tuple[int, int], ...]
    intervals: bool = False
    verdicts: bool = False

    @property
    def key_length(self) -> int:
        """Octets of a key; the parts of a concatenation are filled up to multiples of 4."""
        if len(self.types) == 1:
            return self.types[0][1]
        return sum((width + 3) & ~3 for _, width in self.types)

    @property
    def key_type(self) -> int:
        """Type number as nft counts; of a concatenation 6 bits for each part."""
        number = 0
        for kind, _ in self.types:
            number = (number << 6) | kind
        return number

    @property
    def flags(self) -> int:
        """NFT_SET_*."""
        concatenated = CONCATENATED if len(self.types) > 1 else 0
        return (INTERVAL if self.intervals else 0) | (MAP if self.verdicts else 0) | concatenated


@dataclass(frozen=True, slots=True)
class WireSet:
    """A set as bytes.

    `elements`: Mapping[key, verdict attribute or nothing]; with intervals the key is first and last address joined.
    """

    shape: SetShape
    elements: Mapping[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WireChain:
    """A chain as bytes: the expressions of each rule, in order."""

    rules: tuple[bytes, ...] = ()
    hook: Hook | None = None


def _body(payload: bytes) -> bytes:
    return _GEN.pack(_INET, 0, 0) + payload


def batch_begin(generation: int | None) -> Message:
    """Begin a transaction that only goes through if the generation is still this one (else ERESTART)."""
    body = _GEN.pack(0, 0, _SUBSYSTEM) + (u32_be(1, generation) if generation is not None else b"")
    return Message(0x10, 0, body)


def batch_end() -> Message:
    """End of a transaction."""
    return Message(0x11, 0, _GEN.pack(0, 0, _SUBSYSTEM))


def get_generation() -> Message:
    """Ask for the generation id: it grows by one with every transaction of the namespace, whosoever's."""
    return Message(_GET_GENERATION, 0, _GEN.pack(0, 0, 0))


def parse_generation(body: bytes | memoryview) -> int:
    """Generation id from NEWGEN."""
    return int.from_bytes(wire.attributes(memoryview(body)[4:])[1], "big")


def add_table(name: str, flags: int = 0) -> Message:
    """Create the table, or take it over: with OWNER only this socket may change it."""
    return Message(_NEW_TABLE, wire.CREATE, _body(text(1, name) + (u32_be(2, flags) if flags else b"")))


def get_table(name: str) -> Message:
    """Ask for the table; ENOENT if there is none."""
    return Message(_GET_TABLE, 0, _body(text(1, name)))


def delete_table(name: str) -> Message:
    """Delete the table with all in it."""
    return Message(_DELETE_TABLE, 0, _body(text(1, name)))


def new_chain(table: str, name: str, hook: Hook | None) -> Message:
    """Create a chain; a base chain with policy accept (our rules say drop themselves)."""
    body = text(1, table) + text(3, name)
    if hook is not None:
        body += attribute(4, u32_be(1, hook.number) + u32_be(2, hook.priority)) + u32_be(5, 1) + text(7, hook.kind)
    return Message(_NEW_CHAIN, wire.CREATE, _body(body))


def delete_chain(table: str, name: str) -> Message:
    """Delete a chain with its rules; EBUSY while something jumps to it."""
    return Message(_DELETE_CHAIN, 0, _body(text(1, table) + text(3, name)))


def flush_chain(table: str, name: str) -> Message:
    """Delete all rules of a chain."""
    return Message(_DELETE_RULE, 0, _body(text(1, table) + text(2, name)))


def add_rule(table: str, chain: str, rule: bytes) -> Message:
    """Append a rule, given as its expressions."""
    return Message(_NEW_RULE, wire.CREATE | wire.APPEND, _body(text(1, table) + text(2, chain) + attribute(4, rule)))


def add_set(table: str, name: str, shape: SetShape, number: int) -> Message:
    """Create a set; `number` must be its own within the transaction."""
    body = text(1, table) + text(2, name)
    body += u32_be(3, shape.flags) + u32_be(4, shape.key_type) + u32_be(5, shape.key_length)
    if shape.verdicts:
        body += u32_be(6, _VERDICT_TYPE) + u32_be(7, 0)
    if len(shape.types) > 1:
        body += attribute(9, attribute(2, b"".join(attribute(1, u32_be(1, width)) for _, width in shape.types)))
    body += u32_be(10, number)
    if shape.types == ((41, 16),):
        body += attribute(13, _HOST_ORDER)
    return Message(_NEW_SET, wire.CREATE, _body(body))


def delete_set(table: str, name: str) -> Message:
    """Delete a set; EBUSY while a rule names it."""
    return Message(_DELETE_SET, 0, _body(text(1, table) + text(2, name)))


def add_elements(table: str, name: str, shape: SetShape, elements: Mapping[bytes, bytes]) -> Iterator[Message]:
    """Add elements, as many messages as they need."""
    packed = (_element(shape, key, data) for key, data in elements.items())
    yield from _element_messages(_NEW_ELEMENT, wire.CREATE, table, name, packed)


def delete_elements(table: str, name: str, shape: SetShape, keys: Iterable[bytes]) -> Iterator[Message]:
    """Delete elements; ENOENT if one is not there."""
    packed = (_element(shape, key, b"") for key in keys)
    yield from _element_messages(_DELETE_ELEMENT, 0, table, name, packed)


def _element_messages(kind: int, flags: int, table: str, name: str, packed: Iterable[bytes]) -> Iterator[Message]:
    head = text(1, table) + text(2, name)
    part: list[bytes] = []
    size = 0
    for item in packed:
        if size + len(item) > _ELEMENTS_SIZE:
            yield Message(kind, flags, _body(head + attribute(3, b"".join(part))))
            part, size = [], 0
        part.append(item)
        size += len(item)
    if part:
        yield Message(kind, flags, _body(head + attribute(3, b"".join(part))))


def _element(shape: SetShape, key: bytes, data: bytes) -> bytes:
    if not shape.intervals:
        return attribute(1, attribute(1, attribute(1, key)) + (attribute(2, data) if data else b""))
    width = len(key) // 2
    start = attribute(1, attribute(1, attribute(1, key[:width])))
    after = int.from_bytes(key[width:], "big") + 1
    if after >> (8 * width):
        return start  # up to the last address there is: an open end
    end = attribute(1, attribute(1, after.to_bytes(width, "big")))
    return start + attribute(1, end + u32_be(3, _INTERVAL_END))


def dump_chains() -> Message:
    """Dump chains of family inet, of every table: old kernels can't filter."""
    return Message(_GET_CHAIN, 0, _body(b""))


def dump_rules(table: str) -> Message:
    """Dump the rules of a table."""
    return Message(_GET_RULE, 0, _body(text(1, table)))


def dump_sets(table: str) -> Message:
    """Dump the sets of a table, without elements."""
    return Message(_GET_SET, 0, _body(text(1, table)))


def dump_elements(table: str, name: str) -> Message:
    """Dump the elements of a set."""
    return Message(_GET_ELEMENT, 0, _body(text(1, table) + text(2, name)))


def _string(view: memoryview) -> str:
    return bytes(view).rstrip(b"\0").decode()


def parse_chain(body: bytes, table: str) -> tuple[str, Hook | None] | None:
    """Name and hook of a chain, None if it is another table's. A base chain that drops by policy gets kind `drop`."""
    found = wire.attributes(memoryview(body)[4:])
    if _string(found[1]) != table:
        return None
    hook = None
    if 4 in found:
        place = wire.attributes(found[4])
        kind = cast("Literal['filter', 'nat']", _string(found[7]))
        if 5 in found and int.from_bytes(found[5], "big") != 1:
            kind = cast("Literal['filter', 'nat']", "drop")  # equals none of ours, so the chain is made again
        hook = Hook(kind, int.from_bytes(place[1], "big"), struct.unpack("!i", place[2])[0])
    return _string(found[3]), hook


def parse_rule(body: bytes, table: str) -> tuple[str, bytes] | None:
    """Chain and expressions of a rule, None if it is another table's."""
    found = wire.attributes(memoryview(body)[4:])
    if _string(found[1]) != table:
        return None
    return _string(found[2]), bytes(found.get(4, b""))


def parse_set(body: bytes, table: str) -> tuple[str, SetShape] | None:
    """Name and shape of a set, None if it is anonymous or another table's."""
    found = wire.attributes(memoryview(body)[4:])
    flags = int.from_bytes(found[3], "big") if 3 in found else 0
    if _string(found[1]) != table or flags & ANONYMOUS:
        return None
    key_type, key_length = (int.from_bytes(found[kind], "big") for kind in (4, 5))
    types: tuple[tuple[int, int], ...] = ((key_type, key_length),)
    concatenation = wire.attributes(found[9]).get(2) if 9 in found else None
    if concatenation is not None:
        widths = [int.from_bytes(wire.attributes(item)[1], "big") for _, item in wire.sequence_of(concatenation)]
        kinds = [(key_type >> (6 * place)) & 0x3F for place in reversed(range(len(widths)))]
        types = tuple(zip(kinds, widths, strict=True))
    return _string(found[2]), SetShape(types, bool(flags & INTERVAL), bool(flags & MAP))


def parse_elements(bodies: Iterable[bytes], shape: SetShape) -> dict[bytes, bytes]:
    """Elements of a set as `WireSet.elements`, from all bodies of its dump."""
    plain: dict[bytes, bytes] = {}
    ends: list[tuple[bytes, bool]] = []
    for body in bodies:
        listed = wire.attributes(memoryview(body)[4:]).get(3)
        for _, item in wire.sequence_of(listed) if listed is not None else ():
            found = wire.attributes(item)
            key = bytes(wire.attributes(found[1])[1])
            if shape.intervals:
                ends.append((key, not (3 in found and int.from_bytes(found[3], "big") & _INTERVAL_END)))
            else:
                plain[key] = _parse_verdict(found[2]) if 2 in found else b""
    return _paired(ends) if shape.intervals else plain


def _parse_verdict(view: memoryview) -> bytes:
    inner = wire.attributes(wire.attributes(view)[2])
    code = struct.unpack("!i", inner[1])[0]
    return expressions.verdict(code, _string(inner[2]) if 2 in inner else None)


def _paired(ends: list[tuple[bytes, bool]]) -> dict[bytes, bytes]:
    """Intervals from their starts and (exclusive) ends; at one key an end comes before a start."""
    paired: dict[bytes, bytes] = {}
    start: bytes | None = None
    for key, opens in sorted(ends):
        if opens:
            start = key
        elif start is not None:
            last = (int.from_bytes(key, "big") - 1).to_bytes(len(key), "big")
            paired[start + last] = b""
            start = None
    if start is not None:
        paired[start + b"\xff" * len(start)] = b""
    return paired
