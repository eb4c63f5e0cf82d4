"""Path attributes: what a set of routes has in common.

Errors are judged as RFC 7606 says: an attribute that could change a route's meaning makes the whole message a
withdrawal (`Malformed`), one that could not is thrown away, and only what hides the prefixes themselves ends the
session (`Notify`). The rules stand in one table, `_RULES`.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from runtime.bgp.messages.notification import ErrorCode, Notify
from runtime.bgp.messages.open import AS_TRANS

__all__ = ["AttributeType", "Attributes", "Block", "Malformed", "Origin", "RawAttribute", "Segment", "SegmentKind"]


class AttributeType(enum.IntEnum):
    """Numbers of the attributes that we understand."""

    ORIGIN = 1
    AS_PATH = 2
    NEXT_HOP = 3
    MED = 4
    LOCAL_PREF = 5
    ATOMIC_AGGREGATE = 6
    AGGREGATOR = 7
    COMMUNITIES = 8
    ORIGINATOR_ID = 9
    CLUSTER_LIST = 10
    MP_REACH = 14
    MP_UNREACH = 15
    EXTENDED_COMMUNITIES = 16
    AS4_PATH = 17
    AS4_AGGREGATOR = 18
    LARGE_COMMUNITIES = 32


class Malformed(enum.Enum):
    """Why the routes of a message count as withdrawn (RFC 7606 treat-as-withdraw)."""

    FLAGS = "attribute flags"
    OVERRUN = "attribute list overruns"
    ORIGIN = "origin"
    AS_PATH = "as path"
    NEXT_HOP = "next hop"
    MED = "med"
    LOCAL_PREF = "local pref"
    COMMUNITIES = "communities"
    ORIGINATOR_ID = "originator id"
    CLUSTER_LIST = "cluster list"
    MISSING = "mandatory attribute missing"


class Origin(enum.IntEnum):
    """How the first speaker came to know the prefix; the smaller is preferred."""

    IGP = 0
    EGP = 1
    INCOMPLETE = 2


class SegmentKind(enum.IntEnum):
    """Kinds of AS path segments. Confederations (3, 4) are not spoken here and count as malformed."""

    SET = 1
    SEQUENCE = 2


class Segment(NamedTuple):
    """AS numbers of one segment, the nearest first; 1..255 of them."""

    kind: SegmentKind
    ases: tuple[int, ...]


class RawAttribute(NamedTuple):
    """An attribute that is carried on and not looked into. `flags` without the extended-length bit."""

    flags: int
    type: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes of a route, without the next hop, which belongs to its family.

    Attributes:
        med, local_pref: None if absent.
        communities, large_communities: RFC 1997 as 32-bit numbers, RFC 8092 as triples.
        originator_id, cluster_list: RFC 4456, four octets each.
        others: carried on unchanged.
    """

    origin: Origin = Origin.IGP
    as_path: tuple[Segment, ...] = ()
    med: int | None = None
    local_pref: int | None = None
    communities: tuple[int, ...] = ()
    originator_id: bytes | None = None
    cluster_list: tuple[bytes, ...] = ()
    large_communities: tuple[tuple[int, int, int], ...] = ()
    others: tuple[RawAttribute, ...] = ()

    @property
    def path_length(self) -> int:
        """Length that counts in the decision: a set is one (RFC 4271 section 9.1.2.2 a)."""
        return sum(len(ases) if kind is SegmentKind.SEQUENCE else 1 for kind, ases in self.as_path)

    @property
    def neighbour_as(self) -> int | None:
        """AS that the route came in from, None for a route of our own AS."""
        if self.as_path and self.as_path[0].kind is SegmentKind.SEQUENCE:
            return self.as_path[0].ases[0]
        return None

    def prepend(self, local_as: int) -> Attributes:
        """The same with `local_as` in front."""
        first = self.as_path[0] if self.as_path else None
        if first is not None and first.kind is SegmentKind.SEQUENCE and len(first.ases) < 255:
            grown = Segment(SegmentKind.SEQUENCE, (local_as, *first.ases))
            return replace(self, as_path=(grown, *self.as_path[1:]))
        return replace(self, as_path=(Segment(SegmentKind.SEQUENCE, (local_as,)), *self.as_path))

    def encode(self, next_hop: bytes | None = None, *, four_octet_as: bool = True) -> bytes:
        """Attribute bytes in order of type. `next_hop`: four octets for the NEXT_HOP attribute, None leaves it out."""
        parts: list[RawAttribute] = [RawAttribute(0x40, AttributeType.ORIGIN, bytes((self.origin,)))]
        parts.append(RawAttribute(0x40, AttributeType.AS_PATH, _encode_path(self.as_path, four_octet_as=four_octet_as)))
        if next_hop is not None:
            parts.append(RawAttribute(0x40, AttributeType.NEXT_HOP, next_hop))
        if self.med is not None:
            parts.append(RawAttribute(0x80, AttributeType.MED, struct.pack("!I", self.med)))
        if self.local_pref is not None:
            parts.append(RawAttribute(0x40, AttributeType.LOCAL_PREF, struct.pack("!I", self.local_pref)))
        if self.communities:
            value = struct.pack(f"!{len(self.communities)}I", *self.communities)
            parts.append(RawAttribute(0xC0, AttributeType.COMMUNITIES, value))
        if self.originator_id is not None:
            parts.append(RawAttribute(0x80, AttributeType.ORIGINATOR_ID, self.originator_id))
        if self.cluster_list:
            parts.append(RawAttribute(0x80, AttributeType.CLUSTER_LIST, b"".join(self.cluster_list)))
        if not four_octet_as and any(asn > 0xFFFF for _, ases in self.as_path for asn in ases):
            parts.append(RawAttribute(0xC0, AttributeType.AS4_PATH, _encode_path(self.as_path, four_octet_as=True)))
        if self.large_communities:
            value = b"".join(struct.pack("!III", *community) for community in self.large_communities)
            parts.append(RawAttribute(0xC0, AttributeType.LARGE_COMMUNITIES, value))
        parts.extend(self.others)
        parts.sort(key=lambda part: part.type)
        return b"".join(encode_attribute(*part) for part in parts)


def encode_attribute(flags: int, kind: int, value: bytes) -> bytes:
    """One attribute with its header."""
    if len(value) > 255:
        return struct.pack("!BBH", flags | 0x10, kind, len(value)) + value
    return bytes((flags & ~0x10, kind, len(value))) + value


def _encode_path(path: Iterable[Segment], *, four_octet_as: bool) -> bytes:
    if four_octet_as:
        return b"".join(struct.pack(f"!BB{len(ases)}I", kind, len(ases), *ases) for kind, ases in path)
    short = ((kind, [asn if asn < 0x10000 else AS_TRANS for asn in ases]) for kind, ases in path)
    return b"".join(struct.pack(f"!BB{len(ases)}H", kind, len(ases), *ases) for kind, ases in short)


@dataclass(slots=True)
class Block:
    """Outcome of decoding the attributes of one message, the multiprotocol ones left aside.

    Attributes:
        present: numbers of the attributes that were there and well formed.
        next_hop: of the NEXT_HOP attribute.
        malformed: first reason to take the routes for withdrawn.
        discarded: numbers of attributes that were thrown away (RFC 7606 attribute discard).
    """

    attributes: Attributes = field(default_factory=Attributes)
    present: frozenset[int] = frozenset()
    next_hop: bytes | None = None
    malformed: Malformed | None = None
    discarded: tuple[int, ...] = ()


class _Discard(Exception):
    """Throw this attribute away."""


class _Withdraw(Exception):
    """Take the routes for withdrawn."""

    def __init__(self, reason: Malformed) -> None:
        self.reason = reason


_Values = dict[str, Any]


class _Rule(NamedTuple):
    """How one attribute is read: flags it must have, reader, whether only our own AS may send it."""

    flags: int
    read: Callable[[bytes, _Values, bool], None]
    internal: bool = False
    discard: bool = False


def _need(condition: object, reason: Malformed) -> None:
    if not condition:
        raise _Withdraw(reason)


def _origin(value: bytes, values: _Values, _: bool) -> None:
    _need(len(value) == 1 and value[0] <= 2, Malformed.ORIGIN)
    values["origin"] = Origin(value[0])


def _as_path(value: bytes, values: _Values, four_octet_as: bool, name: str = "as_path") -> None:
    segments: list[Segment] = []
    width, letter = (4, "I") if four_octet_as else (2, "H")
    start, end = 0, len(value)
    while start < end:
        _need(start + 2 <= end, Malformed.AS_PATH)
        kind, count = value[start], value[start + 1]
        start += 2
        _need(kind in (1, 2) and count and start + width * count <= end, Malformed.AS_PATH)
        ases = struct.unpack_from(f"!{count}{letter}", value, start)
        _need(0 not in ases, Malformed.AS_PATH)  # RFC 7607
        segments.append(Segment(SegmentKind(kind), ases))
        start += width * count
    values[name] = tuple(segments)


def _as4_path(value: bytes, values: _Values, four_octet_as: bool) -> None:
    if four_octet_as:
        raise _Discard
    try:
        _as_path(value, values, True, "as4_path")
    except _Withdraw:
        raise _Discard from None  # RFC 6793 section 6


def _next_hop(value: bytes, values: _Values, _: bool) -> None:
    _need(len(value) == 4 and usable_next_hop(value), Malformed.NEXT_HOP)
    values["next_hop"] = value


def _number(name: str, reason: Malformed) -> Callable[[bytes, _Values, bool], None]:
    def read(value: bytes, values: _Values, _: bool) -> None:
        _need(len(value) == 4, reason)
        values[name] = int.from_bytes(value, "big")

    return read


def _originator_id(value: bytes, values: _Values, _: bool) -> None:
    _need(len(value) == 4, Malformed.ORIGINATOR_ID)
    values["originator_id"] = value


def _cluster_list(value: bytes, values: _Values, _: bool) -> None:
    _need(value and len(value) % 4 == 0, Malformed.CLUSTER_LIST)
    values["cluster_list"] = tuple(value[start : start + 4] for start in range(0, len(value), 4))


def _communities(value: bytes, values: _Values, _: bool) -> None:
    _need(value and len(value) % 4 == 0, Malformed.COMMUNITIES)
    values["communities"] = struct.unpack(f"!{len(value) // 4}I", value)


def _large_communities(value: bytes, values: _Values, _: bool) -> None:
    _need(value and len(value) % 12 == 0, Malformed.COMMUNITIES)
    values["large_communities"] = tuple(struct.iter_unpack("!III", value))


def _carried(kind: AttributeType, flags: int, check: Callable[[int, bool], bool]) -> _Rule:
    """An attribute that is carried on if its length is right; else it is discarded, a community withdraws."""

    def read(value: bytes, values: _Values, four_octet_as: bool) -> None:
        if not check(len(value), four_octet_as):
            if kind is AttributeType.EXTENDED_COMMUNITIES:
                raise _Withdraw(Malformed.COMMUNITIES)
            raise _Discard
        values.setdefault("others", []).append(RawAttribute(flags, kind, value))

    return _Rule(flags, read, discard=kind is not AttributeType.EXTENDED_COMMUNITIES)


def _thrown_away(_: bytes, __: _Values, ___: bool) -> None:
    raise _Discard


def _wrong_flags(rule: _Rule) -> None:
    raise _Discard if rule.discard else _Withdraw(Malformed.FLAGS)


_RULES: Mapping[int, _Rule] = {
    AttributeType.ORIGIN: _Rule(0x40, _origin),
    AttributeType.AS_PATH: _Rule(0x40, _as_path),
    AttributeType.NEXT_HOP: _Rule(0x40, _next_hop),
    AttributeType.MED: _Rule(0x80, _number("med", Malformed.MED)),
    AttributeType.LOCAL_PREF: _Rule(0x40, _number("local_pref", Malformed.LOCAL_PREF), internal=True),
    AttributeType.ATOMIC_AGGREGATE: _carried(AttributeType.ATOMIC_AGGREGATE, 0x40, lambda size, _: size == 0),
    AttributeType.AGGREGATOR: _carried(AttributeType.AGGREGATOR, 0xC0, lambda size, four: size == (8 if four else 6)),
    AttributeType.COMMUNITIES: _Rule(0xC0, _communities),
    AttributeType.ORIGINATOR_ID: _Rule(0x80, _originator_id, internal=True),
    AttributeType.CLUSTER_LIST: _Rule(0x80, _cluster_list, internal=True),
    AttributeType.EXTENDED_COMMUNITIES: _carried(
        AttributeType.EXTENDED_COMMUNITIES, 0xC0, lambda size, _: size > 0 and size % 8 == 0
    ),
    AttributeType.AS4_PATH: _Rule(0xC0, _as4_path, discard=True),
    AttributeType.AS4_AGGREGATOR: _Rule(0xC0, _thrown_away, discard=True),
    AttributeType.LARGE_COMMUNITIES: _Rule(0xC0, _large_communities),
}


def usable_next_hop(packed: bytes) -> bool:
    """Whether a host can have this address: not unspecified, loopback, multicast or reserved (RFC 4271 section 6.3)."""
    if len(packed) == 4:
        return packed[0] not in (0, 127) and packed[0] < 224
    return packed[0] != 0xFF and any(packed[:15]) and packed[:12] != bytes(10) + b"\xff\xff"


def decode_block(raw: Iterable[RawAttribute], *, internal: bool, four_octet_as: bool, overrun: bool = False) -> Block:
    """Attributes of one message, first occurrences only, MP_REACH and MP_UNREACH not among them.

    Args:
        raw: as they stood in the message.
        internal: the session is within one AS.
        four_octet_as: both ends write AS numbers in four octets.
        overrun: the list did not end where it should.

    Raises:
        Notify: 3/2, a well-known attribute that nobody knows.
    """
    values: _Values = {}
    present: set[int] = set()
    discarded: list[int] = []
    malformed = Malformed.OVERRUN if overrun else None
    for flags, kind, value in raw:
        rule = _RULES.get(kind)
        try:
            if rule is None:
                _unknown(flags, kind, value, values)
            elif flags & 0xC0 != rule.flags:
                _wrong_flags(rule)
            elif rule.internal and not internal:
                _thrown_away(value, values, four_octet_as)
            else:
                rule.read(value, values, four_octet_as)
            present.add(kind)
        except _Withdraw as outcome:
            malformed = malformed or outcome.reason
        except _Discard:
            discarded.append(kind)
    next_hop = values.pop("next_hop", None)
    whole_path = values.pop("as4_path", None)
    if whole_path is not None:
        values["as_path"] = _merge(values.get("as_path", ()), whole_path)
    values["others"] = tuple(values.get("others", ()))
    return Block(Attributes(**values), frozenset(present), next_hop, malformed, tuple(discarded))


def _unknown(flags: int, kind: int, value: bytes, values: _Values) -> None:
    if not flags & 0x80:
        raise Notify(ErrorCode.UPDATE, 2, encode_attribute(flags, kind, value))
    if flags & 0x40:  # optional transitive: carried on, marked as not understood by everybody
        values.setdefault("others", []).append(RawAttribute(flags & 0xC0 | 0x20, kind, value))


def _merge(path: tuple[Segment, ...], whole: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """The real path behind AS_TRANS: what AS_PATH has more than AS4_PATH stands in front (RFC 6793 section 4.2.3)."""
    surplus = Attributes(as_path=path).path_length - Attributes(as_path=whole).path_length
    if surplus < 0:
        return path
    front: list[Segment] = []
    for kind, ases in path:
        if surplus <= 0:
            break
        if kind is SegmentKind.SEQUENCE:
            front.append(Segment(kind, ases[:surplus]))
            surplus -= len(ases)
        else:
            front.append(Segment(kind, ases))
            surplus -= 1
    return (*front, *whole)
