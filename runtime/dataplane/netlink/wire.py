"""Netlink framing without I/O: headers, attributes, errors; the same for every netlink family.

Source: linux/netlink.h; RFC 3549. Integers are native unless a function says otherwise.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = [
    "ACK",
    "APPEND",
    "CREATE",
    "DONE",
    "DUMP",
    "DUMP_INTERRUPTED",
    "ERROR",
    "EXCLUSIVE",
    "REPLACE",
    "REQUEST",
    "Message",
    "Received",
    "Reply",
    "attribute",
    "attributes",
    "messages",
    "nested",
    "pack",
    "parse_reply",
    "text",
    "u32",
    "u32_be",
]

REQUEST: Final = 0x1
ACK: Final = 0x4
DUMP_INTERRUPTED: Final = 0x10
REPLACE: Final = 0x100
EXCLUSIVE: Final = 0x200
CREATE: Final = 0x400
APPEND: Final = 0x800
DUMP: Final = 0x300
_CAPPED: Final = 0x100
_ACK_TLVS: Final = 0x200

ERROR: Final = 2
DONE: Final = 3

_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_KIND_MASK: Final = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_NESTED: Final = 0x8000


class Message(NamedTuple):
    """One request without its number: what is asked (`kind`), how (`flags`) and the family's own bytes."""

    kind: int
    flags: int
    body: bytes


class Received(NamedTuple):
    """One message from the kernel; `body` is a view into the receive buffer, valid until the next read.

    `port` of a notification is that of the socket which asked for the change.
    """

    kind: int
    flags: int
    sequence: int
    port: int
    body: memoryview


class Reply(NamedTuple):
    """What an error or ack message says: `errno` 0 is success, `extack` the kernel's own words if it gave any."""

    errno: int
    extack: str


def pack(message: Message, sequence: int) -> bytes:
    """The message as bytes, padded so that another may follow."""
    body = message.body
    head = _HEADER.pack(16 + len(body), message.kind, message.flags | REQUEST, sequence, 0)
    return head + body + b"\0" * (-len(body) & 3)


def messages(buffer: memoryview) -> Iterator[Received]:
    """All messages of one datagram.

    Raises:
        ValueError: a length points outside the datagram.
    """
    at, end = 0, len(buffer)
    while at + 16 <= end:
        length, kind, flags, sequence, port = _HEADER.unpack_from(buffer, at)
        if length < 16 or at + length > end:
            raise ValueError(f"a netlink message of {length} octets does not fit into the {end - at} that are left")
        yield Received(kind, flags, sequence, port, buffer[at + 16 : at + length])
        at += (length + 3) & ~3


def parse_reply(received: Received) -> Reply:
    """Meaning of an ERROR message. The socket must have set NETLINK_CAP_ACK, or extack is looked for further back."""
    (code,) = struct.unpack_from("=i", received.body)
    extack = ""
    if received.flags & _ACK_TLVS:
        skip = 20
        if not received.flags & _CAPPED:
            (length,) = struct.unpack_from("=I", received.body, 4)
            skip = 4 + ((length + 3) & ~3)
        found = attributes(received.body[skip:]).get(1)
        if found is not None:
            extack = bytes(found).rstrip(b"\0").decode(errors="replace")
    return Reply(-code, extack)


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    length = 4 + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length & 3)


def nested(kind: int, payload: bytes) -> bytes:
    """One attribute that holds attributes, marked as such (nftables does not want the mark: use `attribute`)."""
    return attribute(kind | _NESTED, payload)


def text(kind: int, value: str) -> bytes:
    """One attribute that holds a C string."""
    return attribute(kind, value.encode() + b"\0")


def u32(kind: int, value: int) -> bytes:
    """One attribute that holds 32 bits."""
    return attribute(kind, struct.pack("=I", value))


def u32_be(kind: int, value: int) -> bytes:
    """One attribute that holds 32 bits, big-endian; negative numbers as two's complement."""
    return attribute(kind, struct.pack("!I", value & 0xFFFFFFFF))


def attributes(buffer: memoryview) -> dict[int, memoryview]:
    """Mapping[attribute number without flag bits, payload]; of a repeated attribute the last.

    Raises:
        ValueError: a length points outside the buffer.
    """
    at, end = 0, len(buffer)
    found: dict[int, memoryview] = {}
    while at + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(buffer, at)
        if length < 4 or at + length > end:
            raise ValueError(f"a netlink attribute of {length} octets does not fit into the {end - at} that are left")
        found[kind & _KIND_MASK] = buffer[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def sequence_of(buffer: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Every attribute in order, for lists whose entries all carry one number. Raises ValueError as `attributes`."""
    at, end = 0, len(buffer)
    while at + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(buffer, at)
        if length < 4 or at + length > end:
            raise ValueError(f"a netlink attribute of {length} octets does not fit into the {end - at} that are left")
        yield kind & _KIND_MASK, buffer[at + 4 : at + length]
        at += (length + 3) & ~3
