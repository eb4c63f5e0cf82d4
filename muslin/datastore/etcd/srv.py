"""Questions for SRV records and their answers as bytes: the one thing of DNS that Python does not bring. Pure.

Why not a package: one record type, one question, is less than what a resolver library would have to be trusted for.
Source: RFC 1035 section 4 (messages), RFC 2782 (SRV).
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

__all__ = ["BadAnswer", "Srv", "Truncated", "answer", "question"]

_HEADER: Final = struct.Struct("!6H")
_RECORD: Final = struct.Struct("!HHIH")
_SRV: Final = 33
_IN: Final = 1
_NAME_ERROR: Final = 3


class Srv(NamedTuple):
    """One record; those with the lowest priority come first, among them those of the largest weight."""

    priority: int
    weight: int
    port: int
    target: str


class BadAnswer(Exception):
    """Not an answer to this question, or one that says that there is no answer; the text says which."""


class Truncated(Exception):
    """The answer is too long for a datagram: ask by TCP."""


def question(name: str, number: int) -> bytes:
    """The message that asks for the SRV records of a name. Raises ValueError for what cannot be a name."""
    labels = [label.encode("ascii") for label in name.removesuffix(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels) or sum(map(len, labels)) + len(labels) > 254:
        raise ValueError(f"{name!r} is no name of DNS")
    header = _HEADER.pack(number, 0x0100, 1, 0, 0, 0)  # recursion desired
    return header + b"".join(bytes((len(it),)) + it for it in labels) + b"\0" + struct.pack("!HH", _SRV, _IN)


def answer(asked: bytes, message: bytes) -> tuple[Srv, ...]:
    """The records in an answer to `asked`, in the order in which to try them; none where the name has none.

    Raises:
        BadAnswer: it is none, or the server refuses.
        Truncated: ask again by TCP.
    """
    try:
        return _answer(asked, message)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise BadAnswer("the message ends too early") from None


def _answer(asked: bytes, message: bytes) -> tuple[Srv, ...]:
    _, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
    body = asked[_HEADER.size :]
    echoed = message[_HEADER.size : _HEADER.size + len(body)]
    if not flags & 0x8000 or asked[:2] != message[:2] or questions != 1 or echoed.lower() != body.lower():
        raise BadAnswer("it answers another question")
    if flags & 0x0200:
        raise Truncated
    code = flags & 0xF
    if code == _NAME_ERROR:
        return ()
    if code:
        raise BadAnswer(f"the server refuses (code {code})")
    found = []
    position = _HEADER.size + len(body)
    for _ in range(answers):
        _, position = _name(message, position)
        kind, of_class, _, length = _RECORD.unpack_from(message, position)
        position += _RECORD.size
        if (kind, of_class) == (_SRV, _IN):
            priority, weight, port = struct.unpack_from("!3H", message, position)
            target, _ = _name(message, position + 6)
            if target:  # the root alone says that there is decidedly no such service
                found.append(Srv(priority, weight, port, target))
        position += length
    return tuple(sorted(found, key=lambda it: (it.priority, -it.weight, it.target, it.port)))


def _name(message: bytes, position: int) -> tuple[str, int]:
    """A name and the position after it. Its end may be elsewhere, but only before where we are."""
    labels: list[str] = []
    after, limit = -1, position
    while (length := message[position]) != 0:
        if length >= 0xC0:
            after = position + 2 if after < 0 else after
            position = struct.unpack_from("!H", message, position)[0] & 0x3FFF
            if position >= limit:
                raise BadAnswer("a name in it points forward")
            limit = position
        else:
            labels.append(message[position + 1 : position + 1 + length].decode("ascii"))
            position += 1 + length
            if sum(map(len, labels)) > 255:
                raise BadAnswer("a name in it is too long")
    return ".".join(labels), position + 1 if after < 0 else after
