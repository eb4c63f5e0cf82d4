"""Packets for probes: sockets of a pod's network namespace, opened by a thread that enters it and ends.

A socket stays in the namespace in which it was made, whoever uses it. So a thread of its own enters the namespace,
makes one socket there and ends; connecting, sending and waiting is then the event loop's, as for any socket. No program
is started. Entering needs CAP_SYS_ADMIN; without it the answer says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from muslin.net import Address
from runtime.probe_request import Answer, Ask, Traffic, Word

__all__ = ["PodAsker"]

_NS_GET_NSTYPE: Final = 0xB703  # linux/nsfs.h
_CLONE_NEWNET: Final = 0x40000000
_OURS: Final = Path("/proc/self/ns/net")
_ICMP_ECHO: Final = {4: (socket.IPPROTO_ICMP, 8, 0), 6: (socket.IPPROTO_ICMPV6, 128, 129)}
"""Mapping[IP version, (protocol, type of a request, type of a reply)]."""
_UNREACHED: Final = frozenset(
    {
        errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.ETIMEDOUT, errno.EACCES,
        errno.EPERM, errno.ECONNRESET, errno.EPIPE, errno.ENOPROTOOPT, errno.EPROTO,
    }
)  # fmt: skip
"""What a kernel says where no way leads there, or where somebody on the way forbids it."""
_ENTERS_S: Final = 5.0
"""Making a socket waits for nothing, so who has not made it by then waits for something that never comes."""
_PAYLOAD: Final = b"muslin probe"


class _NotAbleError(Exception):
    """The socket can't be made: why, as the answer says it."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.detail)


class PodAsker:
    """Implements `runtime.probing.Asker` with the kernel's sockets.

    Args:
        namespace_of: path of the network namespace of the pod with this host interface; None where it is not known.
    """

    def __init__(self, namespace_of: Callable[[str], str | None]) -> None:
        self._namespace_of = namespace_of

    async def ask(self, interface: str, source: Address, ask: Ask) -> Answer:
        """See `runtime.probing.Asker`."""
        path = self._namespace_of(interface)
        if path is None:
            return Answer(Word.NOT_ABLE, "the agent does not know the pod's network: it was attached by another one")
        try:
            async with asyncio.timeout(_ENTERS_S):
                made = await _in_a_thread(lambda: _socket_in(path, source, ask))
        except _NotAbleError as error:
            return error.answer
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started
            return Answer(Word.NOT_ABLE, f"the pod's network could not be entered: {error}"[:200])
        with made:
            try:
                async with asyncio.timeout(ask.timeout_s):
                    return await _attempt(made, ask)
            except TimeoutError:
                return Answer(Word.SILENT)
            except OSError as error:
                return _refusal(error)


def _refusal(error: OSError) -> Answer:
    if error.errno == errno.ECONNREFUSED:
        return Answer(Word.REFUSED)
    if error.errno in _UNREACHED:
        return Answer(Word.SILENT)
    return Answer(Word.NOT_ABLE, f"the kernel refused: {os.strerror(error.errno or 0)}")


async def _attempt(made: socket.socket, ask: Ask) -> Answer:
    loop = asyncio.get_running_loop()
    if ask.traffic is Traffic.TCP:
        await loop.sock_connect(made, (str(ask.target), ask.port))
        return Answer(Word.ANSWERED)
    made.connect((str(ask.target), ask.port))  # waits for nothing; from now on only the target is heard
    if ask.traffic is Traffic.UDP:
        made.send(b"")
        await loop.sock_recv(made, 1)
    else:
        await _echo(made, ask)
    return Answer(Word.ANSWERED)


async def _echo(made: socket.socket, ask: Ask) -> None:
    """An echo and its reply. Of a raw socket we see others' replies as well, and for IPv4 the header of IP."""
    loop = asyncio.get_running_loop()
    _, request, reply = _ICMP_ECHO[ask.target.version]
    raw = made.type == socket.SOCK_RAW
    body = struct.pack("!HH", id(made) >> 4 & 0xFFFF, 1) + _PAYLOAD
    checksum = _checksum(struct.pack("!BBH", request, 0, 0) + body) if ask.target.version == 4 else 0
    await loop.sock_sendall(made, struct.pack("!BBH", request, 0, checksum) + body)
    while True:
        packet = await loop.sock_recv(made, 256)
        if raw and ask.target.version == 4 and packet:
            packet = packet[(packet[0] & 0x0F) * 4 :]
        if packet[:1] == bytes([reply]) and (packet[4:] == body or not raw):
            return


def _checksum(packet: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet[: len(packet) // 2 * 2]))
    total += packet[-1] << 8 if len(packet) % 2 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


async def _in_a_thread(make: Callable[[], socket.socket]) -> socket.socket:
    """What `make` gives in a thread of its own, which ends then: it may have gone to another namespace.

    Whoever is cancelled leaves no socket behind.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[socket.socket] = loop.create_future()

    def deliver(made: socket.socket | None, error: BaseException | None) -> None:
        if done.done():
            if made is not None:
                made.close()
        elif made is not None:
            done.set_result(made)
        else:
            done.set_exception(error or RuntimeError("no socket"))

    def run() -> None:
        made: socket.socket | None = None
        failed: BaseException | None = None
        try:
            made = make()
        except BaseException as error:  # noqa: BLE001 - it is handed to whoever waits
            failed = error
        try:
            loop.call_soon_threadsafe(deliver, made, failed)
        except RuntimeError:  # the loop is closed
            if made is not None:
                made.close()

    threading.Thread(target=run, name="probe", daemon=True).start()
    return await done


def _socket_in(path: str, source: Address, ask: Ask) -> socket.socket:
    """A socket in this namespace, bound to the pod's address: an address that is not there is another pod's namespace.

    Leaves the thread in that namespace.
    """
    try:
        namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _NotAbleError(Answer(Word.NO_POD)) from error
    try:
        _enter(namespace)
    finally:
        os.close(namespace)
    made = None
    try:
        made = _made(source, ask)
        made.setblocking(False)
        made.bind((str(source), 0))
    except OSError as error:
        if made is not None:
            made.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise _NotAbleError(Answer(Word.NO_POD)) from error
        what = f"no socket can be made in the pod: {os.strerror(error.errno or 0)}"
        raise _NotAbleError(Answer(Word.NOT_ABLE, what)) from error
    return made


def _made(source: Address, ask: Ask) -> socket.socket:
    family = socket.AF_INET if source.version == 4 else socket.AF_INET6
    if ask.traffic is not Traffic.ICMP:
        return socket.socket(family, socket.SOCK_STREAM if ask.traffic is Traffic.TCP else socket.SOCK_DGRAM)
    protocol, _, _ = _ICMP_ECHO[source.version]
    with contextlib.suppress(PermissionError):  # the pod's own setting says whose groups may ping
        return socket.socket(family, socket.SOCK_DGRAM, protocol)
    return socket.socket(family, socket.SOCK_RAW, protocol)


def _enter(namespace: int) -> None:
    try:
        is_network: bool = fcntl.ioctl(namespace, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        is_network = False
    if not is_network or os.path.samestat(os.fstat(namespace), _OURS.stat()):
        raise _NotAbleError(Answer(Word.NO_POD))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        right = " (it needs CAP_SYS_ADMIN)" if number == errno.EPERM else ""
        what = f"the agent can't enter the pod's network: {os.strerror(number)}{right}"
        raise _NotAbleError(Answer(Word.NOT_ABLE, what))
