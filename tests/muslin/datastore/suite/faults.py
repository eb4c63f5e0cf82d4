"""Faults as values: what happens to a store while clients use it, and where that can happen.

A fault that a driver cannot meet has the reason here; the tests print both as one table.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.muslin.datastore.suite.stories import Story
from tests.support.linearizability import Outcome
from tests.support.tcp_proxy import Way

__all__ = ["FAULTS", "Fault"]

_KUBERNETES = ("kubernetes", "kubernetes-v1")
_SERVERS = ("etcd", *_KUBERNETES)
_NO_SERVER = {"memory": "no server: it lives in the process", "embedded": "no server: each process opens the file"}
_NO_LINE = {"embedded": "no connection: a file, whose processes are killed and stopped instead"}
_ONE_PROCESS = {"memory": "one process has it alone"}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        happens: to the store of a story; returns when it is over.
        not_for: Mapping[driver, reason]: where it can't happen.
        jumps: whether the clients' wall clock jumps meanwhile.
    """

    happens: Callable[[Story], Awaitable[None]]
    not_for: Mapping[str, str] = field(default_factory=dict)
    jumps: bool = False


async def _nothing(story: Story) -> None:
    await story.more(60)


async def _killed(story: Story) -> None:
    for _ in range(2):
        await asyncio.to_thread(story.place.server.kill)
        await asyncio.to_thread(story.place.server.start)
        await story.more()


async def _storage_killed(story: Story) -> None:
    await asyncio.to_thread(story.place.etcd.kill)
    await asyncio.to_thread(story.place.etcd.start)


async def _paused(story: Story) -> None:
    story.place.server.pause()
    try:
        await story.trouble()
    finally:
        story.place.server.resume()


async def _storage_paused(story: Story) -> None:
    story.place.etcd.pause()
    try:
        await story.trouble(4)
    finally:
        story.place.etcd.resume()


async def _cut(story: Story) -> None:
    for _ in range(3):
        story.place.line.become(Way.CUT)
        await story.trouble()
        story.place.line.become(Way.OPEN)
        await story.more()


async def _held(story: Story) -> None:
    for reset in (False, True):
        story.place.line.become(Way.HELD)
        await story.trouble()
        story.place.line.become(Way.OPEN, reset=reset)
        await story.more()


async def _answers_lost(story: Story) -> None:
    lost = story.history.counts[Outcome.UNKNOWN] + 4
    while story.history.counts[Outcome.UNKNOWN] < lost:
        # Only a connection that is there can lose answers: no new one is made without any.
        story.place.line.become(Way.ANSWERS_LOST)
        await story.trouble()
        story.place.line.become(Way.OPEN)
        await story.more(5)


async def _delayed(story: Story) -> None:
    story.place.line.delay_s = 0.03
    await story.more(40)
    story.place.line.delay_s = 0.0


async def _compacted(story: Story) -> None:
    for watcher in story.watchers:
        watcher.reads.clear()
    try:
        await story.more(30)
        await story.place.compact()
        await story.more()
    finally:
        for watcher in story.watchers:
            watcher.reads.set()


async def _slow_reader(story: Story) -> None:
    slow = story.watchers[1]
    slow.reads.clear()
    try:
        await story.more(250)
    finally:
        slow.reads.set()


async def _writers_killed(story: Story) -> None:
    children = await asyncio.gather(story.writer(), story.writer())
    for child in children:
        await story.more(story.random.randint(5, 40))
        await story.kill(child)


async def _writer_stopped(story: Story) -> None:
    child = await story.writer()
    for _ in range(4):
        await story.more(story.random.randint(1, 10))
        os.kill(child.pid, signal.SIGSTOP)
        try:
            # Where it holds the lock of the file, nobody writes until it goes on; that is told, and nothing is lost.
            writes, trouble = (asyncio.ensure_future(deed) for deed in (story.more(10), story.trouble(1)))
            await asyncio.wait({writes, trouble}, return_when=asyncio.FIRST_COMPLETED)
            for waiting in (writes, trouble):
                waiting.cancel()
        finally:
            os.kill(child.pid, signal.SIGCONT)
    await story.kill(child)


async def _full(story: Story) -> None:
    if story.place.driver == "embedded":
        await _full_for_one(story)
        return
    await asyncio.to_thread(story.place.fill)
    try:
        await story.trouble(5)
    finally:
        await asyncio.to_thread(story.place.make_room)


async def _full_for_one(story: Story) -> None:
    """One process may not make the files larger: what its writes meet is what a full disk gives."""
    child = await story.writer()
    await story.more()
    before = resource.prlimit(child.pid, resource.RLIMIT_FSIZE)
    size = min(each.stat().st_size for each in _files(story))
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size, before[1]))
    await story.trouble(5)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, before)
    await story.more(40)
    await story.kill(child)


def _files(story: Story) -> list[Path]:
    path = Path(story.place.address["path"])
    return [path, path.with_name(path.name + "-wal")]


async def _clock_jumps(story: Story) -> None:
    await story.more(60)


_SAME = dict.fromkeys(("kubernetes-v1",), "the same client and server as kubernetes; only the form of objects differs")

FAULTS: Mapping[str, Fault] = {
    "nothing": Fault(_nothing),
    "server killed": Fault(_killed, _NO_SERVER),
    "server paused": Fault(_paused, _NO_SERVER | _SAME),
    "storage killed": Fault(_storage_killed, {**_NO_SERVER, **_SAME, "etcd": "the server is the storage"}),
    "storage paused": Fault(_storage_paused, {**_NO_SERVER, **_SAME, "etcd": "the server is the storage"}),
    "cut off": Fault(_cut, _NO_LINE),
    "held back": Fault(_held, {**_NO_LINE, **_SAME, "memory": "calls of one process can't be held back, only cut off"}),
    "answers lost": Fault(_answers_lost, _NO_LINE),
    "delayed": Fault(_delayed, _NO_LINE | _SAME),
    "compacted": Fault(_compacted, _SAME),
    "slow reader": Fault(_slow_reader, _SAME),
    "writers killed": Fault(_writers_killed, _ONE_PROCESS),
    "writer stopped": Fault(
        _writer_stopped, _ONE_PROCESS | dict.fromkeys(_SERVERS, "a stopped client holds no lock of a server")
    ),
    "disk full": Fault(_full, {"memory": "no disk", **_SAME}),
    "clock jumps": Fault(_clock_jumps, _SAME, jumps=True),
}
"""By name. The clock of a server is the machine's, which a test can't set; that of the clients jumps."""
