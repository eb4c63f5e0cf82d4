"""One request and its answer over HTTP/1.1, and a request whose answer has no end.

aiohttp makes the connections: name lookup, several addresses, TLS, proxies. What happens on them is ours: its session
and reader build objects around a request that cost as much processor time again as all the rest, TLS included.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import socket
import ssl
import zlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple, Protocol

import aiohttp
from yarl import URL

from muslin.errors import Problem
from muslin.kubernetes.errors import Distrusted
from muslin.kubernetes.secured import Secured, secured
from muslin.kubernetes.wire import Broken, Wire

__all__ = ["Answer", "HttpTransport", "Lost", "Request", "Stream", "Transport"]

_LARGEST = 1 << 30
"""Octets of an answer, packed or not: a thousand of the largest objects."""
_IDLE_S = 60.0
"""Unused connections are closed before the API server does it (after 90 s), so that none is written to as it goes."""


class Request(NamedTuple):
    """`target` is path and query as they go over the wire; header names and values hold no line ends."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def __repr__(self) -> str:
        """Without headers, which hold the token, and without the body."""
        return f"Request({self.method} {self.target})"


class Answer(NamedTuple):
    """A whole answer; header names are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Lost(Exception):
    """No answer, or only a part of one. `sent`: whether the server may have seen the request."""

    def __init__(self, why: str, *, sent: bool) -> None:
        self.why, self.sent = why, sent
        super().__init__(why)


class Stream(Protocol):
    """An answer that arrives in pieces."""

    status: int
    headers: Mapping[str, str]

    async def some(self, within_s: float) -> bytes:
        """What has arrived, at least one octet; empty at the end. Raises `Lost`; TimeoutError after silence."""
        ...


class Transport(Protocol):
    """Carries requests to one server. What it can't, it says as `Lost`."""

    async def exchange(self, request: Request, timeout_s: float) -> Answer:
        """The whole answer within the time, or `Lost`."""
        ...

    def stream(self, request: Request, timeout_s: float) -> AbstractAsyncContextManager[Stream]:
        """An open answer, its head within the time; leaving the block ends it."""
        ...

    async def close(self) -> None:
        """Closes all connections."""
        ...


@functools.lru_cache(16)
def _fields(headers: tuple[tuple[str, str], ...]) -> str:
    """Header lines; most requests have the same ones."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers])


def _socket(address: tuple[Any, Any, int, str, Any]) -> socket.socket:
    """A socket that finds out about a dead peer: 30 s of silence, then probes every 10 s (Calico's figures)."""
    made = socket.socket(family=address[0], type=address[1], proto=address[2])
    for option, value in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return made


class HttpTransport:
    """To one server with one TLS identity; make it inside a running loop.

    Args:
        server: the API's URL.
        context: TLS; None for `http://`.
        server_name: name to expect in the server's certificate, if not the host.
        proxy: an `http://` or `https://` proxy; user and password in it are used.
        connections: answers waited for at once; streams are not counted.
        connect_s: for a connection, name lookup and TLS included.
    """

    def __init__(
        self,
        server: str,
        *,
        context: ssl.SSLContext | None = None,
        server_name: str | None = None,
        proxy: str | None = None,
        connections: int = 64,
        connect_s: float = 10.0,
    ) -> None:
        url = URL(server)
        self.server, self._url = server, url
        self._loop = asyncio.get_running_loop()
        self._connector = aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=_socket)
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s)
        self._connect_s = connect_s
        self._free, self._queue = connections, deque[asyncio.Future[None]]()
        self._idle: list[Wire] = []
        self._open: set[Wire] = set()
        self._closed = False
        host = f"{url.host_subcomponent}:{url.port}"
        # A plain request through a proxy names the whole URL; one within TLS goes through a tunnel.
        self._prefix = (f"http://{host}" if proxy and url.scheme == "http" else "") + url.raw_path.rstrip("/")
        self._host = host
        self._server_name = server_name
        self._proxy = proxy
        self._context: ssl.SSLContext | None = None
        self._wanted = self._template(url, context)

    def _template(self, url: URL, context: ssl.SSLContext | None) -> aiohttp.ClientRequest:
        """What aiohttp's connector asks: where to, through what, with which TLS. Never sent.

        TLS that goes through no proxy is ours: the connector is asked for a plain connection.
        """
        proxy = URL(self._proxy) if self._proxy else None
        if context is not None and proxy is None:
            self._context = context
            url = URL.build(scheme="http", host=url.host or "", port=url.port)
        headers = None
        if proxy and proxy.user:
            basic = base64.b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
            headers = {"Proxy-Authorization": f"Basic {basic}"}
        return aiohttp.ClientRequest(
            "GET",
            url,
            loop=self._loop,
            response_class=aiohttp.ClientResponse,
            ssl=context if context is not None else True,
            server_hostname=self._server_name,
            proxy=proxy.with_user(None) if proxy else None,
            proxy_headers=headers,
        )

    def use(self, context: ssl.SSLContext) -> None:
        """Another TLS identity from here on: connections of the former one are closed as they become idle."""
        self._wanted = self._template(self._url, context)
        self._open.clear()
        while self._idle:
            self._idle.pop().close()

    def _octets(self, request: Request) -> bytes:
        first = f"{request.method} {self._prefix}{request.target} HTTP/1.1\r\nHost: {self._host}\r\n"
        fields = _fields(request.headers)
        if request.body is None:
            return f"{first}{fields}\r\n".encode("latin-1")
        head = f"{first}{fields}Content-Length: {len(request.body)}\r\n\r\n"
        return head.encode("latin-1") + request.body

    def _fresh(self, now: float) -> Wire | None:
        """A connection that nobody uses and that the server has not given up yet."""
        while self._idle:
            wire = self._idle.pop()
            if wire.usable and wire.used_at > now - _IDLE_S:
                wire.used_at = now
                return wire
            wire.close()
        return None

    async def _wire(self) -> Wire:
        """A new connection."""
        if self._closed:
            raise Lost("the client is closed", sent=False)
        context, began = self._context, self._loop.time()
        connection = await self._connect()
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None or transport.is_closing():
            connection.close()
            raise Lost("the server closed the connection", sent=False)
        secure: Secured | None = None
        if context is not None:
            try:  # the connector ends its own descriptor, not the connection
                plain = transport.get_extra_info("socket").dup()
            except OSError as error:
                raise Lost(error.strerror or str(error), sent=False) from error
            finally:
                connection.close()
            secure = await self._secure(plain, context, began + self._connect_s)

        def gone(error: BaseException | None) -> None:
            if secure is None:
                protocol.connection_lost(error)  # what aiohttp's connector waits for when it closes
                connection.close()
            self._open.discard(wire)
            if wire in self._idle:
                self._idle.remove(wire)

        wire = Wire(self._loop, gone)
        wire.used_at = self._loop.time()
        wire.take(secure or transport)
        if context is self._context:
            self._open.add(wire)  # of a former identity it is used once
        return wire

    async def _secure(self, plain: socket.socket, context: ssl.SSLContext, until: float) -> Secured:
        """TLS on a new connection. Raises Lost, Distrusted."""
        name = self._server_name or (self._url.host or "").rstrip(".")
        try:
            async with asyncio.timeout_at(until):
                return await secured(self._loop, plain, context, name)
        except TimeoutError as error:
            raise Lost(f"no connection within {self._connect_s:g} s", sent=False) from error
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise Lost("the server closed the connection", sent=False) from error
        except ssl.SSLError as error:
            raise _distrusted(self.server, error) from error
        except OSError as error:
            raise Lost(error.strerror or str(error), sent=False) from error

    async def _turn(self) -> None:
        """Waits for one of the answers that are waited for at once to be there; who came first goes first."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._queue.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # it was our turn: somebody else's now
                self._next()
            raise

    def _next(self) -> None:
        """One answer less is waited for."""
        while self._queue:
            waiter = self._queue.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    def _back(self, wire: Wire) -> None:
        """Keeps a connection for the next request if it can carry one."""
        if wire.finished and wire in self._open:
            self._idle.append(wire)
        else:
            wire.close()

    async def _connect(self) -> aiohttp.connector.Connection:
        try:
            return await self._connector.connect(self._wanted, [], self._timeout)
        except TimeoutError as error:
            raise Lost(f"no connection within {self._connect_s:g} s", sent=False) from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise _distrusted(self.server, error.certificate_error) from error
        except aiohttp.ClientConnectorSSLError as error:
            raise _distrusted(self.server, error.os_error) from error
        except aiohttp.ClientHttpProxyError as error:
            raise Lost(f"the proxy answered {error.status}: {error.message}", sent=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(_words(error), sent=False) from error

    async def exchange(self, request: Request, timeout_s: float) -> Answer:
        """The whole answer within the time, or `Lost`."""
        if not self._free:
            await self._turn()
        else:
            self._free -= 1
        try:
            now = self._loop.time()
            wire = self._fresh(now)
            if wire is None:
                wire = await self._wire()
                now = self._loop.time()
            try:
                wire.send(self._octets(request), _LARGEST)
                status, headers, body = await wire.answer(now + timeout_s)
            except TimeoutError as error:
                raise Lost(f"no answer within {timeout_s:g} s", sent=True) from error
            except Broken as error:
                raise Lost(str(error), sent=True) from error
            finally:
                self._back(wire)
        finally:
            self._next()
        if "content-encoding" in headers:
            body = _unpacked(headers["content-encoding"], body)
        return Answer(status, headers, body)

    @asynccontextmanager
    async def stream(self, request: Request, timeout_s: float) -> AsyncIterator[Stream]:
        """An open answer, its head within the time; leaving the block ends it."""
        wire = self._fresh(self._loop.time()) or await self._wire()
        try:
            try:
                wire.send(self._octets(request))
                status, headers = await wire.head(timeout_s)
            except TimeoutError as error:
                raise Lost(f"no answer within {timeout_s:g} s", sent=True) from error
            except Broken as error:
                raise Lost(str(error), sent=True) from error
            yield _HttpStream(wire, status, headers)
        finally:
            self._back(wire)

    async def close(self) -> None:
        """Closes all connections; whoever waits on one gets `Lost`."""
        self._closed = True
        for wire in (*self._open, *self._idle):
            wire.close()
        await self._connector.close()
        await asyncio.sleep(0)  # what was dropped is closed by the loop's next turn


class _HttpStream:
    def __init__(self, wire: Wire, status: int, headers: Mapping[str, str]) -> None:
        self._wire, self.status, self.headers = wire, status, headers

    async def some(self, within_s: float) -> bytes:
        try:
            return await self._wire.some(within_s)
        except Broken as error:
            raise Lost(str(error), sent=True) from error


def _unpacked(coding: str, body: bytes) -> bytes:
    """A body as it was before it was packed. Raises Lost: whoever packs wrongly may have changed it too."""
    if coding == "identity":
        return body
    if coding != "gzip":
        raise Lost(f"the answer is packed as {coding}, which we did not ask for", sent=True)
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = reader.decompress(body, _LARGEST)
    except zlib.error as error:
        raise Lost(f"the answer can't be unpacked: {error}", sent=True) from error
    if not reader.eof:
        raise Lost("the answer can't be unpacked: it is cut off or far too large", sent=True)
    return plain


def _words(error: BaseException) -> str:
    """A transport's error in a sentence; some have no text of their own."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection"
    if isinstance(error, aiohttp.ClientConnectorError):
        why = error.os_error.strerror or str(error.os_error) or type(error.os_error).__name__
        return f"no connection to {error.host}:{error.port}: {why}"
    return str(error) or type(error).__name__


def _distrusted(server: str, error: Exception) -> Distrusted:
    if isinstance(error, ssl.SSLCertVerificationError):
        what = f"the server's certificate is not trusted: {error.verify_message}"
        fix = "check certificate-authority, the clock, and whether tls-server-name must name another host"
    else:
        what = f"no TLS with the server: {getattr(error, 'reason', None) or error}"
        fix = "check that the address is the API server's own and speaks HTTPS, and the client certificate"
    return Distrusted(Problem(what, server, fix))
