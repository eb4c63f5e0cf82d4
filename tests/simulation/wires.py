"""Connections between processes: BGP sessions between nodes, and each agent's link to its speaker.

A wire keeps order and content, as TCP does; it may be slow, break, or be cut for a while without anybody being told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from muslin.net import Address
from runtime.bgp.link import LINE_LIMIT
from runtime.bgp.network import Accept, Receiver, Stream
from runtime.bgp.settings import PeerSettings
from tests.simulation.processes import NOBODY, Process

__all__ = ["Internet", "Port", "pipe"]

_DIAL_LIMIT_S = 3.0


def _later(delay: float, call: Callable[..., None], *arguments: Any) -> None:
    loop = asyncio.get_running_loop()
    loop.call_at(loop.time() + delay, call, *arguments, context=NOBODY)


class _End:
    """One end of a connection; a `Stream`."""

    def __init__(self, internet: Internet, process: Process, local: Address, peer: Address) -> None:
        self._internet, self.process = internet, process
        self.local_address, self.peer_address = local, peer
        self.receiver: Receiver | None = None
        self.other: _End | None = None
        self.open = True
        self.last_arrival = 0.0
        self.early: list[bytes | None] = []
        self.backlog: list[bytes | None] = []

    def write(self, data: bytes) -> None:
        """See `Stream`."""
        if self.open:
            self._internet.carry(self, data)

    def close(self) -> None:
        """See `Stream`."""
        if self.open:
            self.open = False
            self._internet.carry(self, None)

    def arrive(self, data: bytes | None) -> None:
        """Bytes, or None: the other end is gone."""
        if not self.open:
            return
        if self.receiver is None:
            self.early.append(data)
            return
        if data is None:
            self.open = False
            self.process.run(self.process.step, self.receiver.lost, ())
        else:
            self.process.run(self.process.step, self.receiver.received, (data,))

    def take(self, receiver: Receiver) -> None:
        """From now on somebody hears."""
        self.receiver = receiver
        early, self.early = self.early, []
        for data in early:
            self.arrive(data)


@dataclass(eq=False)
class _Listener:
    process: Process
    accept: Accept
    close_it: Callable[[], None]

    def close(self) -> None:
        """See `Listener`."""
        self.close_it()

    def expect(self, peers: tuple[PeerSettings, ...]) -> None:
        """Passwords are not simulated."""


@dataclass
class Internet:
    """The network between nodes.

    Attributes:
        random: latencies.
        cut: pairs of nodes between which nothing arrives now.
        healed_at: when the last cut ended.
    """

    random: Random
    cut: set[frozenset[Address]] = field(default_factory=set)
    healed_at: float = float("-inf")
    ends: list[_End] = field(default_factory=list)
    listeners: dict[tuple[Address, int], _Listener] = field(default_factory=dict)

    def latency(self) -> float:
        """Seconds."""
        return self.random.uniform(0.0002, 0.002)

    def carry(self, sender: _End, data: bytes | None) -> None:
        """Have bytes, or the end of the connection, arrive at the other end."""
        other = sender.other
        if other is None:
            return
        now = asyncio.get_running_loop().time()
        at = max(now + self.latency(), other.last_arrival + 1e-6)
        other.last_arrival = at
        _later(at - now, self._arrive, other, data)

    def _arrive(self, end: _End, data: bytes | None) -> None:
        if end.backlog or self.is_cut(end.local_address, end.peer_address):
            end.backlog.append(data)
        elif end.process.alive:
            end.arrive(data)

    def is_cut(self, one: Address, other: Address) -> bool:
        """Whether nothing goes between the two."""
        return frozenset((one, other)) in self.cut

    def heal(self) -> None:
        """Everything goes again; what was on its way arrives now, as after retransmission."""
        self.cut.clear()
        self.healed_at = asyncio.get_running_loop().time()
        self.ends = [end for end in self.ends if end.open or (end.other is not None and end.other.open)]
        for end in self.ends:
            if end.backlog:
                _later(self.latency(), self._drain, end)

    def _drain(self, end: _End) -> None:
        if not self.is_cut(end.local_address, end.peer_address):
            backlog, end.backlog = end.backlog, []
            for data in backlog:
                if end.process.alive:
                    end.arrive(data)

    def break_connections(self, one: Address, other: Address) -> int:
        """Both ends lose what they have between them; gives how many."""
        found = [end for end in self.ends if end.open and {end.local_address, end.peer_address} == {one, other}]
        for end in found:
            end.open, receiver = False, end.receiver
            if receiver is not None and end.process.alive:
                end.process.run(receiver.lost)
        return len(found) // 2

    def gone(self, process: Process) -> None:
        """What a kernel does for a dead process: sockets close."""
        self.listeners = {place: it for place, it in self.listeners.items() if it.process is not process}
        for end in self.ends:
            if end.process is process:
                end.close()

    async def dial(self, port: Port, peer: PeerSettings, receive: Callable[[Stream], Receiver | None]) -> None:
        """See `Network.connect`."""
        await asyncio.sleep(self.latency() * 3)
        if self.is_cut(port.address, peer.address):
            await asyncio.sleep(_DIAL_LIMIT_S)
            raise TimeoutError("no answer")
        found = self.listeners.get((peer.address, peer.port))
        if found is None:
            raise ConnectionRefusedError("refused")
        here = _End(self, port.process, port.address, peer.address)
        there = _End(self, found.process, peer.address, port.address)
        here.other, there.other = there, here
        self.ends += [here, there]
        receiver = found.process.run(found.accept, cast("Stream", there))
        if receiver is None:
            there.close()
        else:
            there.take(receiver)
        mine = receive(cast("Stream", here))
        if mine is None:
            here.close()
        else:
            here.take(mine)


@dataclass
class Port:
    """One process's access to the network; a `Network`."""

    internet: Internet
    process: Process
    address: Address

    async def listen(self, address: Address, port: int, accept: Accept) -> _Listener:
        """See `Network.listen`; every address is the node's only one."""
        place = (self.address, port)
        if place in self.internet.listeners:
            raise OSError(98, "Address already in use")
        listener = _Listener(self.process, accept, lambda: self._forget(place))
        self.internet.listeners[place] = listener
        return listener

    def _forget(self, place: tuple[Address, int]) -> None:
        self.internet.listeners.pop(place, None)

    async def connect(self, peer: PeerSettings, receive: Callable[[Stream], Receiver | None]) -> None:
        """See `Network.connect`."""
        await self.internet.dial(self, peer, receive)


class _PipeWriter:
    """What both sides use of an `asyncio.StreamWriter`."""

    def __init__(self, mine: asyncio.StreamReader, theirs: asyncio.StreamReader, random: Random) -> None:
        self._mine, self._theirs, self._random = mine, theirs, random
        self._open, self._last = True, 0.0
        self.peer: _PipeWriter | None = None
        self.transport = self

    def write(self, data: bytes) -> None:
        if self._open:
            self._after(self._feed, data)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._mine.feed_eof()
            self._after(self._feed, b"")

    def abort(self) -> None:
        self.close()

    def get_write_buffer_size(self) -> int:
        return 0

    def _feed(self, data: bytes) -> None:
        if not data:
            self._theirs.feed_eof()
        elif self.peer is not None and self.peer._open:
            self._theirs.feed_data(data)

    def _after(self, call: Callable[..., None], data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        self._last = max(now + self._random.uniform(0.0001, 0.001), self._last + 1e-6)
        _later(self._last - now, call, data)


_Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def pipe(random: Random, one: Process, other: Process) -> tuple[_Pair, _Pair]:
    """A unix socket between two processes: the pair of each."""
    readers = [asyncio.StreamReader(limit=LINE_LIMIT) for _ in range(2)]
    writers = [_PipeWriter(readers[0], readers[1], random), _PipeWriter(readers[1], readers[0], random)]
    writers[0].peer, writers[1].peer = writers[1], writers[0]
    for process, writer in zip((one, other), writers, strict=True):
        process.on_death.append(writer.close)
    return (
        (readers[0], cast("asyncio.StreamWriter", writers[0])),
        (readers[1], cast("asyncio.StreamWriter", writers[1])),
    )
