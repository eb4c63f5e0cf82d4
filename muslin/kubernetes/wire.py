"""One connection: a request goes out, the response comes in; who waits is woken as seldom as possible.

Once for a whole answer. Of a stream, the first octets after a rest are handed on at once; what follows them closely is
gathered for a moment, in the kernel as far as it can: being woken for each event costs more than reading it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from muslin.kubernetes.responses import Malformed, ResponseReader
from muslin.kubernetes.secured import Secured

__all__ = ["Broken", "Wire"]

_MOST = 1 << 21
"""Octets of a stream that wait to be read before the server is held back."""

_GATHER_S, _LONGEST_S = 0.01, 0.05
"""How long an event of a busy stream is held back: longer, up to a bound, the longer it stays busy."""
_GATHER = 1 << 18
"""Octets that end it early."""


_OURSELVES_S = 1.0
"""So much later than asked a timer rings only where the whole process was stopped, or the machine."""


class Broken(Exception):
    """The connection ended, or brought what is no response, before what was waited for."""


class Wire(asyncio.Protocol):
    """A protocol that is handed a connection (`take`), for one exchange after the other.

    Args:
        gone: called once when the connection has ended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, gone: Callable[[BaseException | None], None]) -> None:
        self._loop, self._gone = loop, gone
        self._transport: asyncio.Transport | Secured | None = None
        self._reader = ResponseReader()
        self._waiter: asyncio.Future[None] | None = None
        self._whole = False
        self._error: Broken | None = None
        self._held, self._waiting = False, 0
        self._gathering: asyncio.TimerHandle | None = None
        self._gather_s = _GATHER_S
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.used_at = 0.0

    def take(self, transport: asyncio.Transport | Secured) -> None:
        """From here on this connection is ours."""
        self._transport = transport
        if isinstance(transport, Secured):
            transport.begin(self)
        else:
            transport.set_protocol(self)

    @property
    def content(self) -> bool:
        """Whether the response is whole, so that nothing more should come."""
        return self._reader.done

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
        reader = self._reader
        return reader.done and reader.reusable and not reader.pieces and self._error is None and self.usable

    def send(self, octets: bytes, most: int | None = None) -> None:
        """Write a request; a new response is awaited from here on, of at most so many octets."""
        self._reader, self._waiting = ResponseReader(most), 0
        if self._gathering is not None:  # of a stream that has ended
            self._gathering.cancel()
            self._gathering = None
            self._wake_at(1)
        if self._transport is None or self._error is not None:
            raise self._error or Broken("the connection was closed")
        self._transport.write(octets)

    async def answer(self, until: float) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the whole response, at this time of the loop's. Raises Broken, TimeoutError."""
        reader = self._reader
        if not reader.done:
            await self._wait(until, whole=True)
        pieces, reader.pieces = reader.pieces, []
        return reader.status, reader.headers, pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def head(self, within_s: float) -> tuple[int, dict[str, str]]:
        """Status and headers. Raises Broken, TimeoutError."""
        reader = self._reader
        while not reader.status:
            await self._wait(self._loop.time() + within_s, whole=False)
        return reader.status, reader.headers

    async def some(self, within_s: float) -> bytes:
        """What has come of the body; empty at its end. Raises Broken, TimeoutError."""
        reader = self._reader
        while not reader.pieces:
            if reader.done:
                return b""
            await self._wait(self._loop.time() + within_s, whole=False)
        pieces, reader.pieces, self._waiting = reader.pieces, [], 0
        if self._gathering is None and not reader.done:
            self._wake_at(_GATHER)
            self._gathering = self._loop.call_later(self._gather_s, self._gathered)
        if self._held and self._transport is not None:
            self._held = False
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self, until: float, *, whole: bool) -> None:
        if self._error is not None:
            raise self._error
        self._whole = whole
        waiter = self._waiter = self._loop.create_future()
        self._until = until
        if self._timer is None or self._timer.when() > self._until:
            self._set_timer()
        try:
            await waiter
        finally:
            self._waiter = None

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._until, self._rung)

    def _rung(self) -> None:
        """One timer serves many waits: it is set again if it rang for one that is over."""
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        late_s = self._loop.time() - self._until
        if late_s > _OURSELVES_S:  # it was this process that stood still: what came meanwhile is not read yet
            self._until = self._loop.time() + _OURSELVES_S
        if late_s < 0 or late_s > _OURSELVES_S:
            self._set_timer()
        elif self._reader.pieces and not self._whole:
            self._wake()  # it was being gathered
        else:
            self._waiter.set_exception(TimeoutError())

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
        self._waiting += len(data)
        if self._gathering is None or reader.done or self._waiting >= _GATHER:
            self._wake()
        if self._waiting > _MOST and not self._held and self._transport is not None:
            self._held = True
            self._transport.pause_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _gathered(self) -> None:
        """The moment is over: what the kernel has is handed on; if it has nothing, the next octets are at once."""
        self._gathering = None
        self._wake_at(1)
        if isinstance(self._transport, Secured):
            self._transport.read()
            self._look()
        else:  # the read that this makes ready comes with the loop's next turn
            self._loop.call_soon(self._loop.call_soon, self._look)

    def _look(self) -> None:
        if self._reader.pieces:
            self._gather_s = min(_LONGEST_S, self._gather_s * 1.5)
            self._wake()  # also what had been read before the moment was over
        elif self._waiter is not None:  # whoever reads has had all, and nothing followed
            self._gather_s = _GATHER_S

    def _wake_at(self, octets: int) -> None:
        """How many octets must be there for the kernel to wake us; it does all the same when the connection ends."""
        if self._transport is not None and (sock := self._transport.get_extra_info("socket")) is not None:
            with suppress(OSError):  # a wish: without it we are woken more often
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, octets)

    def connection_lost(self, error: BaseException | None) -> None:
        """The connection has ended."""
        reader, why = self._reader, str(error) if error is not None else "the server closed the connection"
        if error is None and reader.status and not reader.done:
            try:
                reader.end()
            except Malformed as malformed:
                why = str(malformed)
        if reader.done:
            self._wake()
        self._fail(Broken(why))
        self._transport = None
        for timer in (self._timer, self._gathering):
            if timer is not None:
                timer.cancel()
        self._gone(error)

    def _fail(self, error: Broken) -> None:
        if self._error is None:
            self._error = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._error)
