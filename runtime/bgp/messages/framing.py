"""The header of every message, and cutting a byte stream at it. RFC 4271 section 4.1, RFC 8654."""

from __future__ import annotations

import enum
import struct

from runtime.bgp.messages.notification import ErrorCode, Notify

__all__ = ["EXTENDED_LENGTH", "HEADER_LENGTH", "KEEPALIVE", "LENGTH", "MessageType", "message", "take"]

MARKER = b"\xff" * 16
HEADER_LENGTH = 19
LENGTH = 4096
"""Greatest length of a message."""
EXTENDED_LENGTH = 65535
"""Greatest length where both ends announced it (RFC 8654); never of OPEN and KEEPALIVE."""


class MessageType(enum.IntEnum):
    """The header's type octet."""

    OPEN = 1
    UPDATE = 2
    NOTIFICATION = 3
    KEEPALIVE = 4
    REFRESH = 5


_SHORTEST = {
    MessageType.OPEN: 29,
    MessageType.UPDATE: 23,
    MessageType.NOTIFICATION: 21,
    MessageType.KEEPALIVE: 19,
    MessageType.REFRESH: 19,  # a wrong length is an error of its own: RFC 7313 section 5
}


def message(kind: MessageType, body: bytes) -> bytes:
    """A whole message."""
    return MARKER + struct.pack("!HB", HEADER_LENGTH + len(body), kind) + body


KEEPALIVE = message(MessageType.KEEPALIVE, b"")


def take(buffer: bytes, start: int, limit: int) -> tuple[MessageType, bytes, int] | None:
    """The message that begins at `start`: type, body, where the next one begins. None: not all of it is here.

    A header is judged as soon as it is here, so that nobody makes us wait for a body that we would refuse.

    Raises:
        Notify: the header is wrong (1/1, 1/2, 1/3).
    """
    if len(buffer) - start < HEADER_LENGTH:
        return None
    if buffer[start : start + 16] != MARKER:
        raise Notify(ErrorCode.HEADER, 1)
    length, kind = struct.unpack_from("!HB", buffer, start + 16)
    wrong_length = Notify(ErrorCode.HEADER, 2, struct.pack("!H", length))
    if not HEADER_LENGTH <= length <= limit:
        raise wrong_length
    try:
        known = MessageType(kind)
    except ValueError:
        raise Notify(ErrorCode.HEADER, 3, bytes((kind,))) from None
    longest = {MessageType.OPEN: LENGTH, MessageType.KEEPALIVE: HEADER_LENGTH}.get(known, limit)
    if not _SHORTEST[known] <= length <= longest:
        raise wrong_length
    end = start + length
    return None if end > len(buffer) else (known, buffer[start + HEADER_LENGTH : end], end)
