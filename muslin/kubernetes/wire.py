"""One connection: a request goes out, the response comes in; who waits is woken once for a whole answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from muslin.kubernetes.responses import Malformed, ResponseReader

__all__ = ["Broken", "Wire"]

_MOST = 1 << 21
"""Octets of a stream that wait to be read before the server is held back."""


class Broken(Exception):
    """The connection ended, or brought what is no response, before what was waited for."""


class Wire(asyncio.Protocol):
    """A protocol that is handed a connection (`take`), for one exchange after the other.

    Args:
        gone: called once when the connection has ended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, gone: Callable[[BaseException | None], None]) -> None:
        self._loop, self._gone = loop, gone
        self._transport: asyncio.Transport | None = None
        self._reader = ResponseReader()
        self._waiter: asyncio.Future[None] | None = None
        self._whole = False
        self._error: Broken | None = None
        self._held, self._waiting = False, 0
        self.used_at = 0.0

    def take(self, transport: asyncio.Transport) -> None:
        """From here on this connection is ours."""
        self._transport = transport
        transport.set_protocol(self)

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return (
            self._error is None
            and self._waiter is None
            and self._transport is not None
            and not self._transport.is_closing()
        )

    @property
    def finished(self) -> bool:
        """Whether the response was read to its end and another request may follow."""
        return self._reader.done and self._reader.reusable and not self._reader.pieces and self.usable

    def send(self, octets: bytes) -> None:
        """Write a request; a new response is awaited from here on."""
        self._reader, self._waiting = ResponseReader(), 0
        if self._transport is None or self._error is not None:
            raise self._error or Broken("the connection was closed")
        self._transport.write(octets)

    async def answer(self, within_s: float) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the whole response. Raises Broken, TimeoutError."""
        reader = self._reader
        if not reader.done:
            await self._wait(within_s, whole=True)
        pieces, reader.pieces = reader.pieces, []
        return reader.status, reader.headers, pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def head(self, within_s: float) -> tuple[int, dict[str, str]]:
        """Status and headers. Raises Broken, TimeoutError."""
        reader = self._reader
        while not reader.status:
            await self._wait(within_s, whole=False)
        return reader.status, reader.headers

    async def some(self, within_s: float) -> bytes:
        """What has come of the body; empty at its end. Raises Broken, TimeoutError."""
        reader = self._reader
        while not reader.pieces:
            if reader.done:
                return b""
            await self._wait(within_s, whole=False)
        pieces, reader.pieces, self._waiting = reader.pieces, [], 0
        if self._held and self._transport is not None:
            self._held = False
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self, within_s: float, *, whole: bool) -> None:
        if self._error is not None:
            raise self._error
        self._whole = whole
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(within_s, _late, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def data_received(self, data: bytes) -> None:
        """Octets have come."""
        reader = self._reader
        try:
            reader.feed(data)
        except Malformed as error:
            self._fail(Broken(str(error)))
            self.close()
            return
        waiter = self._waiter
        if self._whole and waiter is not None:
            if reader.done and not waiter.done():
                waiter.set_result(None)
            return
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        self._waiting += len(data)
        if self._waiting > _MOST and not self._held and self._transport is not None:
            self._held = True
            self._transport.pause_reading()

    def connection_lost(self, error: BaseException | None) -> None:
        """The connection has ended."""
        reader, why = self._reader, str(error) if error is not None else "the server closed the connection"
        if error is None and reader.status and not reader.done:
            try:
                reader.end()
            except Malformed as malformed:
                why = str(malformed)
        if reader.done and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._fail(Broken(why))
        self._transport = None
        self._gone(error)

    def _fail(self, error: Broken) -> None:
        if self._error is None:
            self._error = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._error)


def _late(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())
