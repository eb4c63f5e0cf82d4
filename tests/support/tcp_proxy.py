"""A connection between a client and a server on loopback that can be cut, stopped, made deaf and slow."""

from __future__ import annotations

import asyncio
from enum import Enum
from random import Random
from typing import Self

__all__ = ["TcpProxy", "Way"]


class Way(Enum):
    """What becomes of octets."""

    OPEN = "they pass"
    CUT = "connections are reset, new ones too"
    HELD = "nothing passes, connections stay"
    ANSWERS_LOST = "what clients say passes, what the server says is lost"


class TcpProxy:
    """`async with TcpProxy(port) as proxy: ... proxy.port`, on the running loop.

    Args:
        target: the server's port on 127.0.0.1.
        random: of delays.

    Attributes:
        delay_s: each portion of octets waits up to this long.
        way: what becomes of octets now.
        lost: set once the server has said something that was lost.
    """

    def __init__(self, target: int, random: Random) -> None:
        self._target, self._random = target, random
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.way = Way.OPEN
        self.lost = asyncio.Event()
        self.delay_s = 0.0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *args: object) -> None:
        self._server.close()
        self.become(Way.CUT)
        while self._tasks:  # a connection that was accepted a moment ago may still begin
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def become(self, way: Way, *, reset: bool = False) -> None:
        """Let octets go another way from now on.

        Args:
            way: which.
            reset: connections end now; else those that can go on do, with what was held back.
        """
        former, self.way = self.way, way
        if way is Way.ANSWERS_LOST:
            self.lost.clear()
        if reset or Way.CUT in (way, former) or former is Way.ANSWERS_LOST:
            self._reset()  # a stream of which something is lost can't go on
        if way is Way.HELD:
            self._open.clear()
        else:
            self._open.set()

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.way is Way.CUT:
            writer.transport.abort()
            return
        self._writers.add(writer)
        there = writer
        try:
            back, there = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(there)
            directions = [
                asyncio.ensure_future(self._pass(reader, there, answers=False)),
                asyncio.ensure_future(self._pass(back, writer, answers=True)),
            ]
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for direction in directions:
                    direction.cancel()
                await asyncio.gather(*directions, return_exceptions=True)
        except OSError:
            pass  # the server is away: so is the connection
        finally:
            for each in (writer, there):
                each.transport.abort()
                self._writers.discard(each)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        while octets := await reader.read(1 << 16):
            if self.delay_s:
                await asyncio.sleep(self._random.uniform(0, self.delay_s))
            await self._open.wait()
            if answers and self.way is Way.ANSWERS_LOST:
                self.lost.set()
                continue
            writer.write(octets)
            await writer.drain()
