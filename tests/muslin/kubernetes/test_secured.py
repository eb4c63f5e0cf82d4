"""TLS straight on a socket: what arrives is what was sent, however it is cut, and what is cut off is no answer."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from muslin.kubernetes.transport import HttpTransport, Lost, Request
from tests.support.certificates import Authority

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
Serve = Callable[[ssl.SSLSocket], None]


class _Server:
    """Plain sockets and threads, so that each test decides octet by octet what a connection brings."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        pair = authority.issue("server")
        self.ca, self.context = authority.cert, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.cert, pair.key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        self.serve: Serve = lambda _: None
        self.connections = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                taken, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            taken.settimeout(10)
            try:
                with self.context.wrap_socket(taken, server_side=True) as secure:
                    self.serve(secure)
            except OSError:
                taken.close()

    def close(self) -> None:
        """No more connections."""
        self._listening.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Server]:
    """One server for all; each test sets what it serves."""
    made = _Server(tmp_path_factory.mktemp("secured"))
    yield made
    made.close()


def _over(server: _Server, serve: Serve, story: Callable[[HttpTransport], Awaitable[None]]) -> None:
    async def main() -> None:
        context = ssl.create_default_context(cafile=str(server.ca))
        transport = HttpTransport(server.url, context=context, connect_s=2.0)
        try:
            await asyncio.wait_for(story(transport), 10)
        finally:
            await transport.close()

    server.serve = serve
    asyncio.run(main())


def _asked(secure: ssl.SSLSocket) -> bytes:
    """One request with its body."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += secure.recv(65536) or b"\r\n\r\n"
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += secure.recv(65536)
    return body


def test_what_is_large_goes_and_comes_whole(server: _Server) -> None:
    """More than the socket's buffers hold, in both directions, while the server takes its time to read."""
    large = bytes(range(256)) * (1 << 14)

    def serve(secure: ssl.SSLSocket) -> None:
        for _ in range(2):
            body = _asked(secure)
            secure.sendall(_OK % (len(body), body))

    async def story(transport: HttpTransport) -> None:
        for _ in range(2):
            answer = await transport.exchange(Request("POST", "/x", (), large), 8)
            assert answer.body == large

    before = server.connections
    _over(server, serve, story)
    assert server.connections == before + 1


def test_an_answer_may_come_octet_by_octet(server: _Server) -> None:
    """A record for each octet means the same as one record; the connection serves the next request too."""

    def serve(secure: ssl.SSLSocket) -> None:
        for text in (b"first", b"second"):
            _asked(secure)
            for octet in _OK % (len(text), text):
                secure.sendall(bytes([octet]))

    async def story(transport: HttpTransport) -> None:
        bodies = [(await transport.exchange(Request("GET", "/"), 8)).body for _ in range(2)]
        assert bodies == [b"first", b"second"]

    _over(server, serve, story)


def test_more_than_one_answer_ends_the_connection(server: _Server) -> None:
    """A second answer in a record of its own is nobody's: the request after it gets its answer elsewhere."""
    sent = threading.Event()

    def serve(secure: ssl.SSLSocket) -> None:
        _asked(secure)
        # One write of the kernel for both records: they are there together.
        secure.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        secure.sendall(_OK % (4, b"mine"))
        if not sent.is_set():
            sent.set()
            secure.sendall(_OK % (4, b"evil"))
        secure.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        secure.recv(1)

    async def story(transport: HttpTransport) -> None:
        bodies = [(await transport.exchange(Request("GET", "/"), 8)).body for _ in range(2)]
        assert bodies == [b"mine", b"mine"]

    before = server.connections
    _over(server, serve, story)
    assert server.connections == before + 2


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"])
def test_what_is_cut_off_is_no_answer(server: _Server, head: bytes) -> None:
    """Whoever cuts the connection can't say goodbye in TLS's words: what came before is not taken for all."""

    def serve(secure: ssl.SSLSocket) -> None:
        _asked(secure)
        secure.sendall(head + b'{"half": ')
        socket.socket(fileno=secure.detach()).close()

    async def story(transport: HttpTransport) -> None:
        with pytest.raises(Lost, match="closed the connection"):
            await transport.exchange(Request("GET", "/"), 8)

    _over(server, serve, story)


def test_an_answer_up_to_the_end_ends_in_order(server: _Server) -> None:
    """Where the server takes its leave in TLS's words, what came is all."""

    def serve(secure: ssl.SSLSocket) -> None:
        _asked(secure)
        secure.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")
        secure.unwrap()

    async def story(transport: HttpTransport) -> None:
        assert (await transport.exchange(Request("GET", "/"), 8)).body == b"{}"

    _over(server, serve, story)


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_asked() -> None:
    """Neither TLS nor an answer: the time for a connection is over, and nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:

        async def main() -> None:
            url = f"https://127.0.0.1:{silent.getsockname()[1]}"
            transport = HttpTransport(url, context=ssl.create_default_context(), connect_s=0.1)
            with pytest.raises(Lost, match=r"no connection within 0\.1 s") as lost:
                await transport.exchange(Request("GET", "/"), 8)
            assert not lost.value.sent
            await transport.close()

        asyncio.run(main())


def test_a_server_that_misses_our_certificate_says_so(tmp_path: Path) -> None:
    """TLS 1.3 tells that only after the request went out: the words name the certificate, no code of OpenSSL's."""
    server = _Server(tmp_path)
    server.context.load_verify_locations(server.ca)
    server.context.verify_mode = ssl.CERT_REQUIRED

    async def story(transport: HttpTransport) -> None:
        with pytest.raises(Lost, match=r"^TLS ended: .*alert certificate required$"):
            await transport.exchange(Request("GET", "/"), 8)

    try:
        _over(server, lambda _: None, story)
    finally:
        server.close()


def test_an_answer_before_the_end_of_the_request_counts(server: _Server) -> None:
    """A server that refuses a large body without reading it all, and hangs up: its refusal is the answer.

    Its kernel resets the connection then, and on a busy machine this may take the answer away before it has arrived:
    nobody can hear that one, so one of three is enough.
    """

    def serve(secure: ssl.SSLSocket) -> None:
        secure.recv(100)
        secure.sendall(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        socket.socket(fileno=secure.detach()).close()

    async def story(transport: HttpTransport) -> None:
        for left in (2, 1, 0):
            try:
                answer = await transport.exchange(Request("POST", "/", (), bytes(1 << 23)), 8)
            except Lost:
                if not left:
                    raise
            else:
                assert (answer.status, answer.body) == (413, b"{}")
                return

    _over(server, serve, story)


def test_no_descriptor_left_is_no_connection(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process may open nothing more, that is told, nothing was sent, and the next request finds its way."""

    def serve(secure: ssl.SSLSocket) -> None:
        _asked(secure)
        secure.sendall(_OK % (2, b"{}"))

    def none_left(_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    async def story(transport: HttpTransport) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("asyncio.trsock.TransportSocket.dup", none_left)
            with pytest.raises(Lost, match="Too many open files") as lost:
                await transport.exchange(Request("GET", "/"), 8)
        assert not lost.value.sent
        assert (await transport.exchange(Request("GET", "/"), 8)).body == b"{}"

    _over(server, serve, story)


def test_answers_waited_for_at_once_are_bounded(server: _Server) -> None:
    """Who comes too many waits for a turn, in order; one that gives up takes nobody's turn away."""

    def serve(secure: ssl.SSLSocket) -> None:
        while True:
            _asked(secure)
            secure.sendall(_OK % (2, b"{}"))

    async def main() -> None:
        context = ssl.create_default_context(cafile=str(server.ca))
        transport = HttpTransport(server.url, context=context, connections=1)
        order: list[int] = []

        async def ask(number: int) -> Any:
            answer = await transport.exchange(Request("GET", "/"), 8)
            order.append(number)
            return answer

        asked = [asyncio.ensure_future(ask(number)) for number in range(5)]
        await asyncio.sleep(0)
        asked[2].cancel()
        await asyncio.wait(asked)
        assert order == [0, 1, 3, 4]
        await transport.close()

    server.serve = serve
    before = server.connections
    asyncio.run(asyncio.wait_for(main(), 10))
    assert server.connections == before + 1


def test_who_stood_still_does_not_blame_the_server(server: _Server) -> None:
    """A process that was stopped for longer than it waits for an answer still takes the one that comes then."""
    awake, begun = threading.Event(), list[Callable[[], object]]()

    def serve(secure: ssl.SSLSocket) -> None:
        _asked(secure)
        begun[0]()
        awake.wait(10)
        secure.sendall(_OK % (2, b"{}"))
        secure.recv(1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport = HttpTransport(server.url, context=ssl.create_default_context(cafile=str(server.ca)))
        there = asyncio.Event()
        begun.append(lambda: loop.call_soon_threadsafe(there.set))
        asked = asyncio.ensure_future(transport.exchange(Request("GET", "/"), 300))
        await there.wait()
        real = loop.time
        loop.time = lambda: real() + 1000  # type: ignore[method-assign]
        loop.call_soon(loop.call_soon, awake.set)

        assert (await asked).body == b"{}"
        await transport.close()

    server.serve = serve
    asyncio.run(main())
