"""ctnetlink codec: filtered dumps, entries, deletion by tuple and id.

Source: linux/netfilter/nfnetlink_conntrack.h. Integers are big-endian, except the filter's flags.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from muslin.net import Address
from runtime.dataplane.netlink import wire
from runtime.dataplane.netlink.wire import Message

__all__ = ["Entry", "FlowTuple", "delete_entry", "dump_entries", "parse_entry"]

_GET, _DELETE = 0x101, 0x102
_ORIGINAL, _REPLY, _ID, _ZONE, _FILTER = 1, 2, 12, 18, 25
_IP, _PROTOCOL = 1, 2
_SOURCE_4, _DESTINATION_4, _SOURCE_6, _DESTINATION_6 = 1, 2, 3, 4
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT, _ICMP_TYPE, _ICMP_CODE, _ICMP6_TYPE, _ICMP6_CODE = 1, 2, 3, 5, 6, 8, 9
_BY_SOURCE: Final = 1  # CTA_FILTER_F_CTA_IP_SRC
_HEAD = 4


@dataclass(frozen=True, slots=True)
class FlowTuple:
    """One direction of a flow. Ports are 0 for protocols without; ICMP has type and code instead."""

    source: Address
    destination: Address
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    icmp: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A tracked flow: what its first packet said, what a reply says, and the bytes that identify it for deletion."""

    original: FlowTuple
    reply: FlowTuple
    identity: bytes


def _head(version: int) -> bytes:
    return struct.pack("!BBH", socket.AF_INET if version == 4 else socket.AF_INET6, 0, 0)


def dump_entries(
    version: int, *, original_source: Address | None = None, reply_source: Address | None = None
) -> Message:
    """Dump all entries of a family, or those that match; the kernel filters (5.8 or newer, else EINVAL)."""
    body = _head(version)
    flags = [0, 0]
    for place, (kind, address) in enumerate(((_ORIGINAL, original_source), (_REPLY, reply_source))):
        if address is not None:
            source = _SOURCE_4 if address.version == 4 else _SOURCE_6
            body += wire.nested(kind, wire.nested(_IP, wire.attribute(source, address.packed)))
            flags[place] = _BY_SOURCE
    if any(flags):
        body += wire.nested(_FILTER, wire.u32(1, flags[0]) + wire.u32(2, flags[1]))
    return Message(_GET, 0, body)


def delete_entry(entry: Entry) -> Message:
    """Delete one entry; ENOENT if it is gone or another took its place."""
    return Message(_DELETE, 0, _head(entry.original.source.version) + entry.identity)


def parse_entry(body: bytes | memoryview) -> Entry:
    """An entry from the body of a dump's message. Raises KeyError, ValueError if it is none."""
    view = memoryview(body)
    found = wire.attributes(view[_HEAD:])
    identity = wire.nested(_ORIGINAL, bytes(found[_ORIGINAL])) + wire.attribute(_ID, bytes(found[_ID]))
    if _ZONE in found:
        identity += wire.attribute(_ZONE, bytes(found[_ZONE]))
    return Entry(_tuple(found[_ORIGINAL]), _tuple(found[_REPLY]), identity)


def _tuple(view: memoryview) -> FlowTuple:
    outer = wire.attributes(view)
    addresses, protocol = wire.attributes(outer[_IP]), wire.attributes(outer[_PROTOCOL])
    source = addresses[_SOURCE_4] if _SOURCE_4 in addresses else addresses[_SOURCE_6]
    destination = addresses[_DESTINATION_4] if _DESTINATION_4 in addresses else addresses[_DESTINATION_6]
    icmp = None
    for kind, code in ((_ICMP_TYPE, _ICMP_CODE), (_ICMP6_TYPE, _ICMP6_CODE)):
        if kind in protocol:
            icmp = (protocol[kind][0], protocol[code][0])
    return FlowTuple(
        ip_address(bytes(source)),
        ip_address(bytes(destination)),
        protocol[_NUMBER][0],
        int.from_bytes(protocol.get(_SOURCE_PORT, b"\0"), "big"),
        int.from_bytes(protocol.get(_DESTINATION_PORT, b"\0"), "big"),
        icmp,
    )
