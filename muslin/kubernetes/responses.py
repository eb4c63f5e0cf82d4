"""An HTTP/1.1 response from its octets: bytes in, pieces of the body out. Pure; strict, as a lax reader can be misled.

Knows what an API server sends: bodies with a length, in chunks, or up to the end of the connection. Sources: RFC 9112
sections 4 to 7.
"""

from __future__ import annotations

import functools
import re
from enum import Enum, auto

__all__ = ["Malformed", "ResponseReader"]

_STATUS = re.compile(r"HTTP/1\.[01] ([1-9][0-9]{2})(?: .*)?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LONGEST_HEAD = 1 << 16
_LONGEST_LINE = 1 << 10
"""Of a chunk's size with its extensions, or of a trailer."""
_MOST_LINES = 128
"""Trailers, and heads that only announce another one."""
_DIGITS = 15
"""Of a length, and of a chunk's size in hexadecimal: a thousand times what any server holds."""
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEX = b"0123456789abcdefABCDEF"
_BODILESS = frozenset({204, 304})


class Malformed(Exception):
    """The octets are no HTTP response, or end within one."""


class _At(Enum):
    HEAD = auto()
    LENGTH = auto()
    TO_THE_END = auto()
    SIZE = auto()
    CHUNK = auto()
    AFTER_CHUNK = auto()
    TRAILERS = auto()
    DONE = auto()


@functools.lru_cache(64)
def _status(line: str) -> int:
    found = _STATUS.fullmatch(line)
    if found is None:
        raise Malformed("this is no HTTP answer")
    return int(found[1])


@functools.lru_cache(512)
def _field(line: str) -> tuple[str, str]:
    """Name and value of a header line; most are the same in each response of a server."""
    name, colon, value = line.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise Malformed("a header of the answer has no name")
    if _CONTROL.search(value):
        raise Malformed("a header of the answer holds control characters")
    return name.lower(), value.strip(" \t")


class ResponseReader:
    """Reads one response.

    Args:
        most: octets of a body; a longer one is refused as soon as that shows. None for a stream, whose pieces are taken
            away while it goes on.

    Attributes:
        status: 0 until the head is complete.
        headers: names in small letters; of several with one name, all values joined by a comma.
        pieces: of the body, as they came; whoever reads them empties the list.
        done: the response is complete.
        reusable: whether the connection can carry another one.
    """

    __slots__ = ("_at", "_left", "_lines", "_most", "_rest", "done", "headers", "pieces", "reusable", "status")

    def __init__(self, most: int | None = None) -> None:
        self.status, self.headers = 0, dict[str, str]()
        self.pieces: list[bytes] = []
        self.done, self.reusable = False, True
        self._at, self._left, self._rest = _At.HEAD, 0, b""
        self._lines, self._most = 0, most

    def feed(self, data: bytes) -> None:
        """More octets. Raises Malformed, after which nothing is of use any more."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        position = 0
        while self._at is _At.HEAD:  # after a 1xx another head follows
            end = data.find(b"\r\n\r\n", position)
            if (end if end >= 0 else len(data)) - position > _LONGEST_HEAD:
                raise Malformed("the head of the answer is too long")
            if end < 0:
                self._rest = data[position:]
                return
            self._head(data[position:end].decode("latin-1"))
            position = end + 4
        if self._at is _At.LENGTH:
            self._counted(data[position:] if position else data)
        elif self._at is _At.TO_THE_END:
            if position < len(data):
                self._spend(len(data) - position)
                self.pieces.append(data[position:])
        elif self._at is _At.DONE:
            if position < len(data):
                raise Malformed("there is more than one answer")
        else:
            self._chunks(data, position)

    def end(self) -> None:
        """The connection was closed in order. Raises Malformed within a response."""
        if self._at is _At.TO_THE_END:
            self._finish()
        elif self._at is not _At.DONE:
            raise Malformed("the connection was closed within the answer")

    def _finish(self) -> None:
        self._at, self.done = _At.DONE, True

    def _head(self, text: str) -> None:
        lines = text.split("\r\n")
        status, headers = _status(lines[0]), self.headers
        for line in lines[1:]:
            name, value = _field(line)
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if status < 200:
            if status == 101:
                raise Malformed("the server changes to another protocol")
            headers.clear()
            self._line()
            return
        self.status = status
        if lines[0].startswith("HTTP/1.0") or "close" in headers.get("connection", "").lower():
            self.reusable = False
        self._body(headers)

    def _body(self, headers: dict[str, str]) -> None:
        """What ends the body."""
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if self.status in _BODILESS:
            self._finish()
        elif coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise Malformed("the length of the answer is told in two ways")
            self._at = _At.SIZE
        elif length is not None:
            if not (length.isascii() and length.isdigit() and len(length) <= _DIGITS):
                raise Malformed("the length of the answer is no number")
            self._at, self._left = _At.LENGTH, int(length)
            if self._most is not None and self._left > self._most:
                raise Malformed("the answer is far too large")
            if not self._left:
                self._finish()
        else:
            self._at, self.reusable = _At.TO_THE_END, False

    def _counted(self, data: bytes) -> None:
        left = self._left = self._left - len(data)
        if left < 0:
            raise Malformed("the answer is longer than it says")
        if data:
            self.pieces.append(data)
        if not left:
            self._at, self.done = _At.DONE, True

    def _chunks(self, data: bytes, position: int) -> None:
        end = len(data)
        while True:
            if self._at is _At.CHUNK:
                stop = position + self._left
                if stop > end:
                    if position < end:
                        self.pieces.append(data[position:])
                        self._left = stop - end
                    return
                self.pieces.append(data[position:stop])
                position, self._at = stop, _At.AFTER_CHUNK
            line = data.find(b"\r\n", position)
            if line < 0:
                if end - position > _LONGEST_LINE:
                    raise Malformed("a chunk's head is too long")
                self._rest = data[position:]
                return
            text, position = data[position:line], line + 2
            if self._at is _At.AFTER_CHUNK:
                if text:
                    raise Malformed("a chunk is longer than it says")
                self._at = _At.SIZE
            elif self._at is _At.SIZE:
                size = text.partition(b";")[0].rstrip(b" \t")
                if not size or size.strip(_HEX) or len(size) > _DIGITS:
                    raise Malformed("a chunk's size is no number")
                self._left = int(size, 16)
                self._spend(self._left)
                self._at = _At.CHUNK if self._left else _At.TRAILERS
            elif text:
                self._line()
            else:
                self._finish()
                if position < end:
                    raise Malformed("there is more than one answer")
                return

    def _spend(self, octets: int) -> None:
        """So many more belong to the body. Raises Malformed beyond what was allowed."""
        if self._most is not None:
            self._most -= octets
            if self._most < 0:
                raise Malformed("the answer is far too large")

    def _line(self) -> None:
        """One more line or head that is thrown away."""
        self._lines += 1
        if self._lines > _MOST_LINES:
            raise Malformed("the answer has no end of heads or trailers")
