"""OPEN and the capabilities in it. RFC 4271, 4724, 4760, 5492, 6286, 6793, 8538, 8654, 8950, 9072."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from runtime.bgp.families import IPV4_UNICAST, Family
from runtime.bgp.messages.framing import MessageType, message
from runtime.bgp.messages.notification import ErrorCode, Notify

__all__ = ["AS_TRANS", "GracefulRestart", "Open", "OpenError"]

AS_TRANS = 23456
"""Stands in two octets for a number that needs four (RFC 6793)."""
_CAPABILITIES_PARAMETER = 2
_EXTENDED_PARAMETERS = 255


class OpenError(enum.IntEnum):
    """Subcodes of an OPEN message error."""

    UNSPECIFIC = 0
    VERSION = 1
    PEER_AS = 2
    ROUTER_ID = 3
    PARAMETER = 4
    HOLD_TIME = 6
    CAPABILITY = 7


class _Code(enum.IntEnum):
    FAMILY = 1
    ROUTE_REFRESH = 2
    EXTENDED_NEXT_HOP = 5
    EXTENDED_MESSAGES = 6
    GRACEFUL_RESTART = 64
    FOUR_OCTET_AS = 65
    ENHANCED_REFRESH = 70


@dataclass(frozen=True, slots=True)
class GracefulRestart:
    """What a speaker says about its restarts.

    Attributes:
        time_s: how long its routes should outlive the session, seconds, 0..4095.
        restarting: it has just restarted (R bit).
        notifications: a NOTIFICATION keeps the routes too, a Hard Reset excepted (N bit, RFC 8538).
        families: Mapping[Family, forwarding state was kept (F bit)].
    """

    time_s: int
    restarting: bool = False
    notifications: bool = True
    families: Mapping[Family, bool] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The capability's value."""
        flags = (0x8000 if self.restarting else 0) | (0x4000 if self.notifications else 0)
        entries = b"".join(struct.pack("!HBB", *family, 0x80 if kept else 0) for family, kept in self.families.items())
        return struct.pack("!H", flags | self.time_s) + entries

    @classmethod
    def decode(cls, value: bytes) -> GracefulRestart | None:
        """From a capability's value, None for one that makes no sense: it is then as if it were absent."""
        if len(value) < 2 or (len(value) - 2) % 4:
            return None
        head = int.from_bytes(value[:2], "big")
        families = {Family(afi, safi): bool(bits & 0x80) for afi, safi, bits in struct.iter_unpack("!HBB", value[2:])}
        return cls(head & 0x0FFF, bool(head & 0x8000), bool(head & 0x4000), families)


@dataclass(frozen=True, slots=True)
class Open:
    """What a speaker says about itself.

    Attributes:
        local_as: the sender's AS.
        hold_time_s: its offer, seconds; 0 or 3..65535.
        router_id: its BGP identifier, not zero.
        families: what it can carry; IPv4 unicast alone if it names none.
        graceful_restart: None if it does not speak of it.
        extended_next_hops: (family, AFI of the next hop) of RFC 8950.
        four_octet_as: it writes AS numbers in four octets everywhere.
    """

    local_as: int
    hold_time_s: int
    router_id: IPv4Address
    families: tuple[Family, ...] = (IPV4_UNICAST,)
    graceful_restart: GracefulRestart | None = None
    route_refresh: bool = True
    enhanced_refresh: bool = True
    extended_messages: bool = True
    four_octet_as: bool = True
    extended_next_hops: tuple[tuple[Family, int], ...] = ()

    def encode(self) -> bytes:
        """The whole message."""
        capabilities = b"".join(bytes((code, len(value))) + value for code, value in self._capabilities())
        if len(capabilities) + 2 < 255:
            parameters = bytes((_CAPABILITIES_PARAMETER, len(capabilities))) + capabilities
            parameters = bytes((len(parameters),)) + parameters
        else:
            extended = struct.pack("!BH", _CAPABILITIES_PARAMETER, len(capabilities)) + capabilities
            parameters = struct.pack("!BBH", 255, _EXTENDED_PARAMETERS, len(extended)) + extended
        short_as = self.local_as if self.local_as < 0x10000 else AS_TRANS
        fixed = struct.pack("!BHH4s", 4, short_as, self.hold_time_s, self.router_id.packed)
        return message(MessageType.OPEN, fixed + parameters)

    def _capabilities(self) -> Iterator[tuple[int, bytes]]:
        for family in self.families:
            yield _Code.FAMILY, struct.pack("!HBB", family.afi, 0, family.safi)
        if self.route_refresh:
            yield _Code.ROUTE_REFRESH, b""
        if self.enhanced_refresh:
            yield _Code.ENHANCED_REFRESH, b""
        if self.four_octet_as:
            yield _Code.FOUR_OCTET_AS, struct.pack("!I", self.local_as)
        if self.extended_messages:
            yield _Code.EXTENDED_MESSAGES, b""
        if self.graceful_restart is not None:
            yield _Code.GRACEFUL_RESTART, self.graceful_restart.encode()
        if self.extended_next_hops:
            entries = (struct.pack("!HHH", *family, afi) for family, afi in self.extended_next_hops)
            yield _Code.EXTENDED_NEXT_HOP, b"".join(entries)

    @classmethod
    def decode(cls, body: bytes) -> Open:
        """From a body of at least 10 octets. Raises Notify 2/x."""
        version, local_as, hold_time_s, router_id = struct.unpack_from("!BHHI", body)
        if version != 4:
            raise Notify(ErrorCode.OPEN, OpenError.VERSION, struct.pack("!H", 4))
        if hold_time_s in (1, 2):
            raise Notify(ErrorCode.OPEN, OpenError.HOLD_TIME)
        if router_id == 0:
            raise Notify(ErrorCode.OPEN, OpenError.ROUTER_ID)
        seen = dict.fromkeys(_Code, False)
        families: list[Family] = []
        graceful_restart: GracefulRestart | None = None
        extended_next_hops: tuple[tuple[Family, int], ...] = ()
        for code, value in _decode_capabilities(body):
            if code in seen:
                seen[_Code(code)] = True
            if code == _Code.FAMILY:
                afi, _, safi = struct.unpack("!HBB", _exactly(4, value))
                families.append(Family(afi, safi))
            elif code == _Code.FOUR_OCTET_AS:
                local_as = int.from_bytes(_exactly(4, value), "big")
            elif code == _Code.GRACEFUL_RESTART:
                graceful_restart = GracefulRestart.decode(value)
            elif code == _Code.EXTENDED_NEXT_HOP and len(value) % 6 == 0:
                entries = struct.iter_unpack("!HHH", value)
                extended_next_hops = tuple((Family(afi, safi), hop) for afi, safi, hop in entries)
        if local_as == 0:
            raise Notify(ErrorCode.OPEN, OpenError.PEER_AS)
        return cls(
            local_as,
            hold_time_s,
            IPv4Address(router_id),
            tuple(dict.fromkeys(families)) or (IPV4_UNICAST,),
            graceful_restart,
            seen[_Code.ROUTE_REFRESH],
            seen[_Code.ENHANCED_REFRESH],
            seen[_Code.EXTENDED_MESSAGES],
            seen[_Code.FOUR_OCTET_AS],
            extended_next_hops,
        )


def _exactly(length: int, value: bytes) -> bytes:
    if len(value) != length:
        raise Notify(ErrorCode.OPEN, OpenError.UNSPECIFIC)
    return value


def _decode_capabilities(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Every capability of every capabilities parameter, in order."""
    extended = body[9] != 0 and len(body) >= 13 and body[10] == _EXTENDED_PARAMETERS  # RFC 9072 section 2
    start = 13 if extended else 10
    length = int.from_bytes(body[11:13], "big") if extended else body[9]
    if start + length != len(body):
        raise Notify(ErrorCode.OPEN, OpenError.UNSPECIFIC)
    for kind, parameter in _triples(body[start:], 2 if extended else 1):
        if kind != _CAPABILITIES_PARAMETER:
            raise Notify(ErrorCode.OPEN, OpenError.PARAMETER)
        yield from _triples(parameter, 1)


def _triples(data: bytes, length_octets: int) -> Iterator[tuple[int, bytes]]:
    """Type, length, value; one after the other."""
    start = 0
    while start < len(data):
        value = start + 1 + length_octets
        end = value + int.from_bytes(data[start + 1 : value], "big")
        if value > len(data) or end > len(data):
            raise Notify(ErrorCode.OPEN, OpenError.UNSPECIFIC)
        yield data[start], data[value:end]
        start = end
