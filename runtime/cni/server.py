"""The unix socket on which the agent takes CNI requests from the shim: frames, descriptors, limits. A thin shell.

What a client may do: send one frame with none or two descriptors, and read one answer. Every descriptor that arrives
is closed here, whatever happens. A slow client holds one place of `Limits.clients` for `Limits.read_s`, no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from muslin.errors import Failed, MuslinError, Problem
from runtime.cni.answer import Answer, CniError, Code, refused
from runtime.cni.answer import version as version_answer
from runtime.cni.frame import Frame
from runtime.cni.request import Command, Request, decode, version_of

__all__ = ["Handler", "Limits", "PodNamespace", "Server"]

_log = logging.getLogger(__name__)
_NS_GET_NSTYPE = 0xB703  # linux/nsfs.h
_CLONE_NEWNET = 0x40000000
_SIOCGSKNS = 0x894C  # linux/sockios.h
_OURS = Path("/proc/self/ns/net")
_BACKLOG = 128
_ACCEPT_AGAIN_S = 0.1
_KERNEL_ANSWERS_S = 5
"""For a request in the pod's namespace; somebody else who has the socket too may take the kernel's answer away."""


@dataclass(frozen=True, slots=True)
class PodNamespace:
    """A pod's network namespace as two descriptors: for links born in it, and for configuring what is in it.

    Both belong to the server and live as long as the request.
    """

    netns: int
    netlink: socket.socket


Handler = Callable[[Request, PodNamespace | None], Awaitable[Answer]]
"""Does the work of ADD, DEL, CHECK. Raises MuslinError for a refusal."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and all of them together, may cost."""

    clients: int = 64
    read_s: float = 5.0
    write_s: float = 5.0
    drain_s: float = 10.0
    """How long `Server.close` waits for requests that are being worked on."""
    uids: frozenset[int] = field(default_factory=lambda: frozenset({0, os.geteuid()}))
    """Who may ask: root and ourselves."""


class Server:
    """Accepts shims on `path` and hands their requests to `handle`."""

    def __init__(self, path: Path, handle: Handler, limits: Limits | None = None) -> None:
        self._path, self._handle, self._limits = path, handle, limits or Limits()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(self._limits.clients)
        self._ours = _OURS.stat()

    async def start(self) -> None:
        """Listen. A socket that a dead agent left is replaced. Raises Failed where a live one listens."""
        self._listener = _listen(self._path)
        self._accepting = asyncio.create_task(self._accept(self._listener))

    async def close(self) -> None:
        """Take no more requests, finish those being worked on (`Limits.drain_s`), remove the socket."""
        if self._listener is None or self._accepting is None:
            return
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self._listener.close()
        self._listener = None
        if self._clients:
            _, late = await asyncio.wait(self._clients, timeout=self._limits.drain_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._places.acquire()
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError as error:  # no descriptor or memory free, or the client is gone again: go on listening
                self._places.release()
                _log.warning("a CNI request could not be accepted: %s", error)
                await asyncio.sleep(_ACCEPT_AGAIN_S)
                continue
            except BaseException:
                self._places.release()
                raise
            client.setblocking(False)
            task = asyncio.create_task(self._serve(client))
            self._clients.add(task)
            task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._clients.discard(task)
        self._places.release()
        if not task.cancelled():
            task.exception()

    async def _serve(self, client: socket.socket) -> None:
        fds: list[int] = []
        try:
            answer = await self._answer(client, fds)
            frame = struct.pack("!IB", len(answer.body) + 1, answer.status) + answer.body
            sent = _sent(client, frame)
            if sent < len(frame):
                async with asyncio.timeout(self._limits.write_s):
                    await asyncio.get_running_loop().sock_sendall(client, frame[sent:])
        except (OSError, TimeoutError):
            pass  # the shim went away: its runtime will ask again, and ADD and DEL may be repeated
        finally:
            for fd in fds:
                os.close(fd)
            client.close()

    async def _answer(self, client: socket.socket, fds: list[int]) -> Answer:
        payload = b""
        try:
            _check_peer(client, self._limits.uids)
            payload = await self._read(client, fds)
            request = decode(payload)
            if request.command is Command.VERSION:
                return version_answer()
            if not fds:
                return await self._without_namespace(request)
            with _namespace_socket(fds, self._ours) as netlink:
                return await self._handle(request, PodNamespace(fds[0], netlink))
        except OSError as error:
            problem = Problem(f"the kernel refused: {os.strerror(error.errno or 0)}", "muslin agent", "see dmesg")
            return refused(CniError(Code.IO_FAILURE, problem), version_of(payload))
        except MuslinError as error:
            return refused(error, version_of(payload))
        except Exception as error:  # noqa: BLE001  it must not take down the agent
            _log.exception("a CNI request met a bug of ours")
            return refused(error, version_of(payload))

    async def _read(self, client: socket.socket, fds: list[int]) -> bytes:
        """The payload of one frame; without a clock where all of it is there already, as it is nearly always."""
        frame = Frame(fds)
        if frame.take(client):
            return frame.payload
        try:
            async with asyncio.timeout(self._limits.read_s):
                while not frame.take(client):
                    await _readable(client)
        except TimeoutError:
            raise CniError(
                Code.IO_FAILURE,
                Problem("the request did not arrive in time", "unix socket", f"send it in {self._limits.read_s} s"),
            ) from None
        return frame.payload

    async def _without_namespace(self, request: Request) -> Answer:
        if request.command is not Command.DEL:
            problem = Problem("the request came without its network namespace", "SCM_RIGHTS", "use the shim")
            raise CniError(Code.BAD_ENVIRONMENT, problem)
        return await self._handle(request, None)


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _remove_stale(path)
        listener.bind(os.fspath(path))
        path.chmod(0o600)  # before listen: nobody can have connected yet
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        fix = "the folder must exist and be ours; a path has at most 107 bytes"
        raise Failed(
            Problem(f"can't listen for CNI requests: {error.strerror or error}", os.fspath(path), fix)
        ) from error
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    if path.is_socket():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(os.fspath(path)) == 0:
                raise Failed(Problem("another agent listens here", os.fspath(path), "stop it, or use its own path"))
        path.unlink()


def _check_peer(client: socket.socket, uids: frozenset[int]) -> None:
    _, uid, _ = struct.unpack("iII", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in uids:
        problem = Problem(f"user {uid} may not ask", "unix socket", "run the container runtime as root")
        raise CniError(Code.IO_FAILURE, problem)


def _sent(client: socket.socket, frame: bytes) -> int:
    """How much could be sent at once: all of nearly every answer, as a socket's buffer is larger."""
    try:
        return client.send(frame)
    except BlockingIOError:
        return 0


async def _readable(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(client, wake)
    try:
        await ready
    finally:
        loop.remove_reader(client)


def _namespace_socket(fds: list[int], ours: os.stat_result) -> socket.socket:
    """The second descriptor as a socket, once both are what they must be. Takes it over from `fds`.

    `ours` is the node's own network namespace.
    """
    try:
        is_namespace = fcntl.ioctl(fds[0], _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        is_namespace = False
    if is_namespace and os.path.samestat(os.fstat(fds[0]), ours):
        what = "the network namespace is the node's own, and not a container's"
        raise CniError(Code.BAD_ENVIRONMENT, Problem(what, "CNI_NETNS", "a pod of the host's network needs no plugin"))
    try:
        netlink = socket.socket(fileno=fds[1])
    except OSError:
        netlink = None
    if netlink is not None:
        fds.pop()
        kind = (netlink.family, netlink.proto)
        if is_namespace and kind == (socket.AF_NETLINK, socket.NETLINK_ROUTE) and _is_in(netlink, fds[0]):
            netlink.setblocking(True)
            netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _KERNEL_ANSWERS_S, 0))
            return netlink
        netlink.close()
    what = "the descriptors are not a network namespace and a routing socket of it"
    raise CniError(Code.BAD_INPUT, Problem(what, "SCM_RIGHTS", "use the shim"))


def _is_in(netlink: socket.socket, namespace: int) -> bool:
    """Whether a socket was made in this network namespace."""
    try:
        made_in = fcntl.ioctl(netlink, _SIOCGSKNS)
    except OSError:
        return False
    try:
        return os.path.samestat(os.fstat(made_in), os.fstat(namespace))
    finally:
        os.close(made_in)
