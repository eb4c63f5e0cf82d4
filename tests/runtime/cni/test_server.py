"""The agent's CNI socket: limits, hostile clients, and no descriptor kept."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from muslin.errors import Failed, Problem, Unavailable
from runtime.cni.answer import Answer, done
from runtime.cni.request import Request
from runtime.cni.server import Limits, PodNamespace, Server
from tests.runtime.cni.frames import payload

_DEL = payload(command="DEL", netns="")


async def _handle(request: Request, namespace: PodNamespace | None) -> Answer:
    return done()


def _frame(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


async def _ask(path: Path, data: bytes, fds: list[int] | None = None) -> tuple[int, Any]:
    """Send bytes as a client, and give exit status and decoded answer."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        await loop.sock_connect(client, str(path))
        if fds:
            socket.send_fds(client, [data], fds)
        else:
            await loop.sock_sendall(client, data)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):  # after the answer, where the server left bytes unread
            while part := await loop.sock_recv(client, 65536):
                answer += part
    length, status = struct.unpack("!IB", answer[:5])
    assert len(answer) == 4 + length
    return status, json.loads(answer[5:]) if len(answer) > 5 else None


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _with_server(
    folder: Path,
    test: Callable[[Path], Awaitable[None]],
    handle: Callable[[Request, PodNamespace | None], Awaitable[Answer]] = _handle,
    limits: Limits | None = None,
) -> None:
    async def run() -> None:
        path = folder / "cni.sock"
        server = Server(path, handle, limits)
        await server.start()
        try:
            before = _open_files()
            await test(path)
            assert _open_files() == before
        finally:
            await server.close()
        assert not path.exists()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "breaks off"),
        (b"\0\0", "breaks off"),
        (struct.pack("!I", 0), "impossible length"),
        (b"\xff\xff\xff\xff", "impossible length"),
        (struct.pack("!I", 10) + b"abc", "breaks off"),
        (_frame(b"abc"), "cut off"),
        (_frame(payload()), "without its network namespace"),
    ],
    ids=["nothing", "half a length", "zero", "huge", "half", "short", "no descriptors"],
)
def test_a_hostile_frame_gets_an_error(tmp_path: Path, data: bytes, text: str) -> None:
    """Each wrong frame gets a CNI error, and the server goes on serving."""

    async def test(path: Path) -> None:
        status, body = await _ask(path, data)
        assert (status, text in body["msg"]) == (1, True)
        assert await _ask(path, _frame(_DEL)) == (0, None)

    _with_server(tmp_path, test)


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_wrong_descriptors_are_refused_and_closed(tmp_path: Path, count: int) -> None:
    """Descriptors that are not a namespace and a routing socket are refused, and none is kept."""

    async def test(path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as wrong:
            status, body = await _ask(path, _frame(payload()), [wrong.fileno()] * count)
        assert (status, "descriptors" in body["msg"]) == (1, True)

    _with_server(tmp_path, test)


def test_the_node_s_own_namespace_is_refused(tmp_path: Path) -> None:
    """A container of the host's network is not wired: its routes would be the node's."""

    async def test(path: Path) -> None:
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
            status, body = await _ask(path, _frame(payload()), [own, netlink.fileno()])
        os.close(own)
        assert (status, "the node's own" in body["msg"]) == (1, True)

    _with_server(tmp_path, test)


def test_a_full_table_of_files_ends_no_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that can't be accepted is one that is lost; the next one is served."""
    refusals = [OSError(errno.EMFILE, "too many open files"), ConnectionAbortedError()]

    async def test(path: Path) -> None:
        loop = asyncio.get_running_loop()
        accept = loop.sock_accept

        async def short_of_files(listener: socket.socket) -> Any:
            client = await accept(listener)
            if refusals:
                client[0].close()
                raise refusals.pop()
            return client

        with monkeypatch.context() as patched:
            patched.setattr(loop, "sock_accept", short_of_files)
            for _ in range(3):  # the first call began before the patch
                with contextlib.suppress(OSError, struct.error):
                    await _ask(path, _frame(_DEL))
            assert refusals == []
            assert await _ask(path, _frame(_DEL)) == (0, None)

    _with_server(tmp_path, test)


def test_a_slow_client_hinders_nobody(tmp_path: Path) -> None:
    """While one client sends nothing, others are served; the slow one is sent away in time."""

    async def test(path: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        assert await _ask(path, _frame(_DEL)) == (0, None)
        head = await reader.readexactly(5)
        writer.close()
        await writer.wait_closed()
        assert head[4] == 1

    _with_server(tmp_path, test, limits=Limits(read_s=0.2))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unavailable(Problem("busy", "store", "wait")), 11),
        (Failed(Problem("broken", "link", "see dmesg")), 101),
        (ZeroDivisionError("bug"), 999),
    ],
)
def test_a_handler_s_failure_becomes_a_cni_error(tmp_path: Path, error: Exception, code: int) -> None:
    """What can be tried again has code 11; a bug takes down its own request only."""

    async def handle(request: Request, namespace: PodNamespace | None) -> Answer:
        raise error

    async def test(path: Path) -> None:
        for _ in range(2):
            assert (await _ask(path, _frame(_DEL)))[1]["code"] == code

    _with_server(tmp_path, test, handle)


def test_only_root_and_the_agent_s_user_may_ask(tmp_path: Path) -> None:
    """A peer with another user id is refused by its kernel-given credentials."""

    async def test(path: Path) -> None:
        assert "may not ask" in (await _ask(path, _frame(_DEL)))[1]["msg"]

    _with_server(tmp_path, test, limits=Limits(uids=frozenset({4_000_000})))


def test_sixteen_at_once(tmp_path: Path) -> None:
    """Sixteen requests are worked on at the same time."""

    async def run() -> None:
        together = asyncio.Barrier(16)

        async def handle(request: Request, namespace: PodNamespace | None) -> Answer:
            await together.wait()
            return done()

        server = Server(tmp_path / "s", handle)
        await server.start()
        answers = await asyncio.gather(*(_ask(tmp_path / "s", _frame(_DEL)) for _ in range(16)))
        await server.close()

        assert answers == [(0, None)] * 16

    asyncio.run(run())


def test_a_dead_agent_s_socket_is_replaced_a_live_one_s_is_not(tmp_path: Path) -> None:
    """A socket file without listener is removed; where an agent listens, a second one is refused."""

    async def run() -> None:
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        server = Server(path, _handle)
        await server.start()
        with pytest.raises(Failed, match="another agent"):
            await Server(path, _handle).start()
        assert await _ask(path, _frame(_DEL)) == (0, None)
        assert path.stat().st_mode & 0o777 == 0o600
        await server.close()

    asyncio.run(run())
