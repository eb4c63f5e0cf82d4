"""TLS straight on a socket, for one `Wire`: what asyncio's transport is to it without TLS.

asyncio's TLS is a protocol over another transport, with two buffers between them: each answer goes through a dozen
functions, which cost as much processor time as all that we do with it, most of it where other programs have emptied the
processor's caches meanwhile. Here OpenSSL reads from the socket itself, once for each record.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import ssl
import termios
from typing import Any, Protocol

__all__ = ["Receiver", "Secured", "secured"]

_RECORD = 1 << 14
"""Octets of a TLS record: no read gives more."""
_AT_ONCE = 1 << 18
"""Octets that are read before others of the loop get their turn."""
_NONE = bytes(4)


class Receiver(Protocol):
    """Who reads: a `Wire`."""

    @property
    def content(self) -> bool:
        """Whether it awaits nothing more now: then nothing is read in vain."""
        ...

    def data_received(self, data: bytes) -> None:
        """Octets have come."""
        ...

    def connection_lost(self, error: BaseException | None) -> None:
        """The connection has ended: in order (None), or not."""
        ...


async def secured(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, context: ssl.SSLContext, name: str | None
) -> Secured:
    """TLS on a connected, non-blocking socket, which is ours from here on; the context says what is checked.

    Raises:
        ssl.SSLError: as OpenSSL says it.
        OSError: the connection ended.
    """
    try:
        made = context.wrap_socket(
            sock, server_hostname=name, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
    except BaseException:
        sock.close()
        raise
    try:
        while True:
            try:
                made.do_handshake()
            except ssl.SSLWantReadError:
                await _ready(loop, made.fileno(), reading=True)
            except ssl.SSLWantWriteError:
                await _ready(loop, made.fileno(), reading=False)
            else:
                return Secured(loop, made)
    except BaseException:
        made.close()
        raise


async def _ready(loop: asyncio.AbstractEventLoop, descriptor: int, *, reading: bool) -> None:
    """Wait until a socket can be read from, or written to."""
    waiter: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_reader, loop.remove_reader) if reading else (loop.add_writer, loop.remove_writer)

    def there() -> None:
        if not waiter.done():
            waiter.set_result(None)

    add(descriptor, there)
    try:
        await waiter
    finally:
        remove(descriptor)


class Secured:
    """A connection with TLS; reads once somebody `begin`s."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: ssl.SSLSocket) -> None:
        self._loop, self._sock, self._descriptor = loop, sock, sock.fileno()
        self._receiver: Receiver | None = None
        self._unsent = bytearray()
        self._closing, self._reading = False, False

    def begin(self, receiver: Receiver) -> None:
        """Hand on to whom what comes."""
        self._receiver = receiver
        self.resume_reading()

    def is_closing(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The `socket`, as asyncio's transports give it."""
        return self._sock if name == "socket" else default

    def write(self, octets: bytes) -> None:
        """Send; what the socket does not take now follows as soon as it does."""
        if self._closing:
            return
        if self._unsent:
            self._unsent += octets
            return
        try:
            sent = self._sock.write(octets)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = 0
        except OSError as error:
            self._refused(error)
            return
        if sent < len(octets):
            self._unsent += octets[sent:]
            self._loop.add_writer(self._descriptor, self._writable)

    def _writable(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._sock.write(bytes(self._unsent))]
        except ssl.SSLWantWriteError:
            return
        except ssl.SSLWantReadError:  # TLS has to hear something first: `read` goes on with it
            pass
        except OSError as error:
            self._refused(error)
            return
        self._loop.remove_writer(self._descriptor)

    def _refused(self, error: OSError) -> None:
        """Nobody takes what we write: what was said before the end, an answer or TLS's reason, is still there."""
        self._unsent.clear()
        self.read()
        self._end(error)

    def pause_reading(self) -> None:
        """Leave what comes where it is."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def resume_reading(self) -> None:
        """Read on."""
        if not self._reading and not self._closing:
            self._reading = True
            self._loop.add_reader(self._descriptor, self.read)

    def read(self) -> None:
        """Hand on what has come; nothing if nothing has."""
        receiver, read = self._receiver, self._sock.read
        if receiver is None or self._closing:
            return
        pieces: list[bytes] = []
        size, ended, error = 0, False, None
        try:
            while size < _AT_ONCE and self._reading:
                piece = read(_RECORD)
                if not piece:
                    ended = True
                    break
                if size:
                    pieces.append(piece)
                else:
                    receiver.data_received(piece)
                    # To ask whether more has come than was awaited costs a third of reading in vain.
                    if receiver.content and fcntl.ioctl(self._descriptor, termios.FIONREAD, _NONE) == _NONE:
                        break
                size += len(piece)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # a part of a record, or what TLS tells about itself
        except OSError as failure:
            ended, error = True, failure
        if pieces and not self._closing:
            receiver.data_received(b"".join(pieces))
        if ended:
            self._end(error)
        elif self._unsent and not self._closing:  # TLS may have had to read first
            self._writable()

    def abort(self) -> None:
        """End it at once."""
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        if self._closing:
            return
        self._closing = True
        if isinstance(error, ssl.SSLEOFError):
            error = ConnectionResetError("the server closed the connection")
        elif isinstance(error, ssl.SSLError):
            error = ConnectionAbortedError(f"TLS ended: {(error.reason or str(error)).lower().replace('_', ' ')}")
        self.pause_reading()
        self._loop.remove_writer(self._descriptor)
        self._sock.close()
        self._unsent.clear()
        if self._receiver is not None:
            self._loop.call_soon(self._receiver.connection_lost, error)
