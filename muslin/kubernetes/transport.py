"""One request and its answer over HTTP/1.1, and a request whose answer has no end.

aiohttp makes, pools and reads the connections (proxies, TLS, name lookup, its parser in C). Its session is left out: it
builds objects around a request that cost twice as much processor time as all the rest, TLS included.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
from yarl import URL

from muslin.errors import Problem
from muslin.kubernetes.errors import Distrusted

__all__ = ["Answer", "HttpTransport", "Lost", "Request", "Stream", "Transport"]

_BUFFER = 1 << 20
"""Octets that wait to be read before the server is held back."""
_IDLE_S = 60.0
"""Unused connections are closed before the API server does it (after 90 s), so that none is written to as it goes."""


@dataclass(frozen=True, slots=True)
class Request:
    """`target` is path and query as they go over the wire; header names and values hold no line ends."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are looked up in any case."""

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

    async def some(self) -> bytes:
        """What has arrived, at least one octet; empty at the end. Raises `Lost`."""
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
        self.server = server
        self._connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S, socket_factory=_socket)
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s)
        self._connect_s = connect_s
        self._slots = asyncio.Semaphore(connections)
        host = f"{url.host_subcomponent}:{url.port}"
        # A plain request through a proxy names the whole URL; one within TLS goes through a tunnel.
        self._prefix = (f"http://{host}" if proxy and url.scheme == "http" else "") + url.raw_path.rstrip("/")
        self._host = host
        self._server_name = server_name
        self._proxy = proxy
        self._connected = self._template(url, context)

    def _template(self, url: URL, context: ssl.SSLContext | None) -> aiohttp.ClientRequest:
        """What aiohttp's connector asks: where to, through what, with which TLS. Never sent."""
        proxy = URL(self._proxy) if self._proxy else None
        login = aiohttp.BasicAuth(proxy.user, proxy.password or "") if proxy and proxy.user else None
        return aiohttp.ClientRequest(
            "GET",
            url,
            loop=asyncio.get_running_loop(),
            response_class=aiohttp.ClientResponse,
            ssl=context if context is not None else True,
            server_hostname=self._server_name,
            proxy=proxy.with_user(None) if proxy else None,
            proxy_auth=login,
        )

    def use(self, context: ssl.SSLContext) -> None:
        """Another TLS identity from the next connection on; those that are open go when nobody uses them."""
        self._connected = self._template(self._connected.url, context)

    def _wire(self, request: Request) -> bytes:
        lines = [f"{request.method} {self._prefix}{request.target} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in request.headers]
        if request.body is not None:
            lines.append(f"Content-Length: {len(request.body)}")
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return head + request.body if request.body else head

    async def _connect(self) -> aiohttp.connector.Connection:
        try:
            return await self._connector.connect(self._connected, [], self._timeout)
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

    async def _head(self, connection: aiohttp.connector.Connection, request: Request) -> tuple[Any, Any]:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise Lost("the connection was closed", sent=False)
        protocol.set_response_params(read_bufsize=_BUFFER, read_until_eof=True)
        transport.write(self._wire(request))
        return await protocol.read()

    async def exchange(self, request: Request, timeout_s: float) -> Answer:
        """The whole answer within the time, or `Lost`."""
        async with self._slots:
            connection = await self._connect()
            try:
                async with asyncio.timeout(timeout_s):
                    head, payload = await self._head(connection, request)
                    body = await payload.read()
                connection.release()
            except TimeoutError as error:
                raise Lost(f"no answer within {timeout_s:g} s", sent=True) from error
            except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError) as error:
                raise Lost(_words(error), sent=True) from error
            finally:
                connection.close()  # does nothing once released
        return Answer(head.code, head.headers, body)

    @asynccontextmanager
    async def stream(self, request: Request, timeout_s: float) -> AsyncIterator[Stream]:
        """An open answer, its head within the time; leaving the block ends it."""
        connection = await self._connect()
        try:
            try:
                async with asyncio.timeout(timeout_s):
                    head, payload = await self._head(connection, request)
            except TimeoutError as error:
                raise Lost(f"no answer within {timeout_s:g} s", sent=True) from error
            except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError) as error:
                raise Lost(_words(error), sent=True) from error
            yield _HttpStream(head.code, head.headers, payload)
            if payload.at_eof():
                connection.release()
        finally:
            connection.close()

    async def close(self) -> None:
        """Closes all connections; whoever waits on one gets `Lost`."""
        await self._connector.close()


class _HttpStream:
    def __init__(self, status: int, headers: Mapping[str, str], payload: aiohttp.StreamReader) -> None:
        self.status, self.headers, self._payload = status, headers, payload

    async def some(self) -> bytes:
        try:
            return await self._payload.readany()
        except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError, RuntimeError) as error:
            raise Lost(_words(error), sent=True) from error


def _words(error: BaseException) -> str:
    """A transport's error in a sentence; some have no text of their own."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection"
    return str(error) or type(error).__name__


def _distrusted(server: str, error: Exception) -> Distrusted:
    if isinstance(error, ssl.SSLCertVerificationError):
        what = f"the server's certificate is not trusted: {error.verify_message}"
        fix = "check certificate-authority, the clock, and whether tls-server-name must name another host"
    else:
        what = f"no TLS with the server: {getattr(error, 'reason', None) or error}"
        fix = "check that the address is the API server's own and speaks HTTPS, and the client certificate"
    return Distrusted(Problem(what, server, fix))
