"""The one place that talks netlink: requests, batches, dumps, nftables transactions, events.

The kernel answers rtnetlink and nfnetlink requests inside `send`, so replies are already queued when it returns and
nothing here waits for them; only dumps continue while they are read. Works without privilege over buffers: where
the larger size is refused, `send_limit` says what fits.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from muslin.errors import Problem, Unavailable
from runtime.dataplane.netlink import wire
from runtime.dataplane.netlink.wire import Message, Received, Reply

__all__ = ["NETFILTER", "ROUTE", "Event", "Events", "NetlinkSocket", "Refusal"]

ROUTE: Final = 0
NETFILTER: Final = 12
_SOL_NETLINK: Final = 270
_ADD_MEMBERSHIP, _CAP_ACK, _EXT_ACK, _STRICT_CHECK = 1, 10, 11, 12
_SEND_BUFFER_FORCE, _RECEIVE_BUFFER_FORCE = 32, 33
_SEND_BUFFER, _RECEIVE_BUFFER = 256 << 20, 8 << 20
_BUFFER, _BUFFER_OF_A_POD = 1 << 18, 1 << 14
"""Octets for one datagram; the kernel makes none that is larger than what we ask for. A large one costs 0.2 ms to make,
and each pod's socket lives for one request."""
_CHUNK = 128  # refusals of one chunk fit the smallest receive buffer (each takes about 1 KiB of it)
_DUMP_TRIES = 10


class Refusal(NamedTuple):
    """A request of a batch that the kernel refused: its place in the batch and why. Place -1 is the batch itself."""

    place: int
    errno: int
    extack: str


class Event(NamedTuple):
    """A notification; `port` is that of the socket which caused it."""

    kind: int
    port: int
    body: bytes


class Events(NamedTuple):
    """What arrived on a socket that listens to groups; `lost` means some did not fit: look at everything again."""

    received: tuple[Event, ...]
    lost: bool


class NetlinkSocket:
    """One netlink socket, for one thread; it stays in the network namespace in which it was made.

    Args:
        family: ROUTE or NETFILTER.
        groups: multicast groups to listen to.
        adopted: a netlink socket of this family made elsewhere (in a pod's namespace), which we then own; its buffers
            stay as they are, large enough for one pod.
    """

    def __init__(self, family: int, groups: Iterable[int] = (), adopted: socket.socket | None = None) -> None:
        kinds = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = adopted if adopted is not None else socket.socket(socket.AF_NETLINK, kinds, family)
        if adopted is None:
            self._socket.bind((0, 0))
            self._enlarge()
        for option in (_CAP_ACK, _EXT_ACK, *((_STRICT_CHECK,) if family == ROUTE else ())):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        for group in groups:
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        self._sequence = 0
        self._buffer = memoryview(bytearray(_BUFFER if adopted is None else _BUFFER_OF_A_POD))

    def _enlarge(self) -> None:
        for force, plain, size in (
            (_SEND_BUFFER_FORCE, socket.SO_SNDBUF, _SEND_BUFFER),
            (_RECEIVE_BUFFER_FORCE, socket.SO_RCVBUF, _RECEIVE_BUFFER),
        ):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, force, size)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, plain, size)  # the kernel cuts it to its maximum

    def fileno(self) -> int:
        """File descriptor, for `loop.add_reader`."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket; what it owned (see NFT_TABLE_F_OWNER) is let go."""
        self._socket.close()

    @property
    def port(self) -> int:
        """The socket's netlink address, which notifications of what it did carry."""
        return int(self._socket.getsockname()[0])

    @property
    def send_limit(self) -> int:
        """Most octets that one `send` can carry."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - 32

    def request(self, message: Message) -> Reply:
        """Do one thing; the reply's errno is 0 when it was done."""
        refused = self.batch((message,))
        return Reply(refused[0].errno, refused[0].extack) if refused else Reply(0, "")

    def batch(self, requests: Sequence[Message]) -> list[Refusal]:
        """Do many independent things; the kernel goes on after a refusal.

        One acknowledgement per chunk is enough: a refused request answers without being asked.
        """
        refused: list[Refusal] = []
        for start in range(0, len(requests), _CHUNK):
            part = requests[start : start + _CHUNK]
            last = len(part) - 1
            packed = [
                wire.pack(item if at < last else item._replace(flags=item.flags | wire.ACK), self._sequence + 1 + at)
                for at, item in enumerate(part)
            ]
            refused += [item._replace(place=item.place + start) for item in self._exchange(packed, last)]
        return refused

    def change_then_get(self, pairs: Sequence[tuple[Message, Message]]) -> list[tuple[Reply, bytes | None]]:
        """Changes, and after each the one answer to a request about what it made; all in one send.

        Gives for each pair what became of the change, and the answer's body, None where the kernel refused the request.
        """
        first = self._sequence + 1
        self._sequence += 2 * len(pairs)
        packed = bytearray()
        for at, (change, request) in enumerate(pairs):
            packed += wire.pack(change._replace(flags=change.flags | wire.ACK), first + 2 * at)
            packed += wire.pack(request, first + 2 * at + 1)
        self._socket.send(packed)
        replies: dict[int, Reply] = {}
        answers: dict[int, bytes | None] = {}
        while len(answers) < len(pairs):
            for received in self._receive():
                at, is_answer = divmod(received.sequence - first, 2)
                if not 0 <= at < len(pairs):
                    continue
                if is_answer:
                    answers[at] = None if received.kind == wire.ERROR else bytes(received.body)
                elif received.kind == wire.ERROR:
                    replies[at] = wire.parse_reply(received)
        return [(replies[at], answers[at]) for at in range(len(pairs))]

    def transaction(self, begin: Message, operations: Sequence[Message], end: Message) -> list[Refusal]:
        """Do all operations or none (nfnetlink batch). An empty list: all were done.

        Raises:
            OSError: EMSGSIZE if they do not fit `send_limit`; nothing was done.
        """
        last = len(operations)  # the last operation, `begin` being number 0
        requests = [begin, *operations]
        requests[last] = requests[last]._replace(flags=requests[last].flags | wire.ACK)
        requests.append(end)
        packed = [wire.pack(item, self._sequence + 1 + at) for at, item in enumerate(requests)]
        return [item._replace(place=item.place - 1) for item in self._exchange(packed, last)]

    def dump(self, request: Message) -> list[bytes]:
        """Bodies of everything that matches, as one consistent view: an interrupted dump is begun again.

        Raises:
            OSError: the kernel refuses the dump.
            Unavailable: it changed under our hands ten times in a row.
        """
        for _ in range(_DUMP_TRIES):
            found = self._dump_once(request)
            if found is not None:
                return found
        raise Unavailable(
            Problem(
                what=f"a netlink dump was interrupted {_DUMP_TRIES} times in a row",
                where=f"message type {request.kind:#x}",
                fix="find out which program changes these kernel objects all the time",
            )
        )

    def get(self, request: Message) -> bytes:
        """Body of the one answer to a request that is no dump. Raises OSError if the kernel refuses."""
        self._sequence += 1
        self._socket.send(wire.pack(request, self._sequence))
        while True:
            for received in self._receive():
                if received.sequence != self._sequence:
                    continue
                if received.kind == wire.ERROR:
                    reply = wire.parse_reply(received)
                    raise OSError(reply.errno, reply.extack or "netlink request refused")
                return bytes(received.body)

    def events(self) -> Events:
        """Everything that has arrived since the last call, without waiting."""
        found: list[Event] = []
        lost = False
        while True:
            try:
                found += [Event(item.kind, item.port, bytes(item.body)) for item in self._receive(wait=False)]
            except BlockingIOError:
                return Events(tuple(found), lost)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True

    def _dump_once(self, request: Message) -> list[bytes] | None:
        self._sequence += 1
        self._socket.send(wire.pack(request._replace(flags=request.flags | wire.DUMP), self._sequence))
        found: list[bytes] = []
        interrupted = False
        while True:
            for received in self._receive():
                if received.sequence != self._sequence:
                    continue
                interrupted |= bool(received.flags & wire.DUMP_INTERRUPTED)
                if received.kind == wire.DONE:
                    return None if interrupted else found
                if received.kind == wire.ERROR:
                    reply = wire.parse_reply(received)
                    raise OSError(reply.errno, reply.extack or "netlink dump refused")
                found.append(bytes(received.body))

    def _exchange(self, packed: list[bytes], acknowledged: int) -> list[Refusal]:
        first = self._sequence + 1
        self._sequence += len(packed)
        self._socket.send(b"".join(packed))
        refused: list[Refusal] = []
        complete = False
        with contextlib.suppress(BlockingIOError):
            while not complete:  # the last one's answer comes last
                for received in self._receive(wait=False):
                    index = received.sequence - first
                    if received.kind != wire.ERROR or not 0 <= index < len(packed):
                        continue
                    reply = wire.parse_reply(received)
                    complete |= index == acknowledged
                    if reply.errno:
                        refused.append(Refusal(index, *reply))
        if not complete and not refused:
            raise OSError(errno.EPROTO, "the kernel neither acknowledged nor refused a netlink batch")
        return refused

    def _receive(self, *, wait: bool = True) -> Iterator[Received]:
        size = self._socket.recv_into(self._buffer, 0, 0 if wait else socket.MSG_DONTWAIT)
        return wire.messages(self._buffer[:size])
