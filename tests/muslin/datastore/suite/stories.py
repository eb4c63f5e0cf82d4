"""One recorded story: writers and watchers on a store while a fault happens to it, and the judgement at its end.

Nothing waits for time to pass: a fault lasts until the history shows that it was met, and the story goes on until the
history shows that it was overcome.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from muslin.errors import Unavailable
from tests.muslin.datastore.suite.places import Place, placed
from tests.support.histories import KIND, Client, Faulty, History, judged, number_of
from tests.support.linearizability import ABSENT, Outcome
from tests.support.watchers import Watcher

__all__ = ["Story", "tell"]

_ROOT = Path(__file__).parents[4]
_WITHIN_S = 150


@dataclass(slots=True)
class Story:
    """What a fault may use while it happens.

    Attributes:
        place: the store.
        history: all notes so far.
        watchers: two; the first leaves and joins again now and then.
        random: of everything that is left to chance.
    """

    place: Place
    random: Random
    names: list[str]
    kind: str = KIND
    history: History = field(default_factory=History)
    watchers: list[Watcher] = field(default_factory=list)
    processes: int = 0
    _children: list[tuple[Process, asyncio.Task[None]]] = field(default_factory=list)

    async def more(self, writes: int = 15) -> None:
        """So many more writes are acknowledged."""
        aim = self.history.acknowledged + writes
        await self.history.until(lambda: self.history.acknowledged >= aim, f"{writes} more writes")

    async def trouble(self, calls: int = 2, *outcomes: Outcome) -> None:
        """So many more calls have failed, or their answers were lost; of these outcomes alone if given."""
        kinds = outcomes or (Outcome.NOT_DONE, Outcome.UNKNOWN)
        aim = sum(self.history.counts[each] for each in kinds) + calls
        await self.history.until(
            lambda: sum(self.history.counts[each] for each in kinds) >= aim, f"{calls} calls that fail"
        )

    def number(self) -> int:
        """A number for one more process."""
        self.processes += 1
        return self.processes

    async def writer(self) -> Process:
        """A writer in a process of its own; its first note has come."""
        given = {
            "address": self.place.address, "process": self.number(), "seed": self.random.random(),
            "names": self.names, "pace_s": self.place.pace_s, "kind": self.kind,
        }  # fmt: skip
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.muslin.datastore.suite.writer", json.dumps(given), stdout=PIPE, cwd=_ROOT
        )
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        reading = asyncio.ensure_future(self._hear(child, first))
        self._children.append((child, reading))
        await asyncio.wait_for(first, 60)
        return child

    async def _hear(self, child: Process, first: asyncio.Future[None]) -> None:
        assert child.stdout is not None
        async for line in child.stdout:
            if line.endswith(b"\n"):  # the last one of a killed process may be a piece
                self.history.note(json.loads(line))
            if not first.done():
                first.set_result(None)
        if not first.done():
            first.set_exception(AssertionError("a writer ended before it wrote"))

    async def kill(self, child: Process) -> None:
        """SIGKILL, and everything that it said is heard."""
        if child.returncode is None:
            os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        for each, reading in self._children:
            if each is child:
                await reading

    async def end(self) -> None:
        """No child is left."""
        for child, _ in tuple(self._children):
            with contextlib.suppress(ProcessLookupError):
                await self.kill(child)


def tell(
    driver: str, fault: Callable[[Story], Awaitable[None]], seed: int, *, kind: str = KIND, **options: Any
) -> dict[str, int]:
    """Record a story and judge it; gives what there was.

    Args:
        driver: one of `PLACES`.
        fault: what happens.
        seed: of everything that is left to chance.
        kind: of the objects.
        options: `now`, the clients' wall clock; `writers`, how many.

    Raises:
        Faulty: the store broke a promise, or a client of it left tasks or errors behind.
    """
    left: list[str] = []

    async def main() -> dict[str, int]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: left.append(str(context)))
        random = Random(seed)
        async with placed(driver, random) as place:
            story = Story(place, random, [f"s{seed}-{letter}" for letter in "abc"], kind)
            found = await asyncio.wait_for(_told(story, fault, **options), _WITHIN_S)
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:  # what the end has woken ends
            _, rest = await asyncio.wait(rest, timeout=2)
        left.extend(map(str, rest))
        return found

    found = asyncio.run(main())
    gc.collect()
    if left:
        raise Faulty(f"closed stores left this behind: {left}")
    return found


async def _told(
    story: Story, fault: Callable[[Story], Awaitable[None]], *, writers: int = 3, **options: Any
) -> dict[str, int]:
    place, history = story.place, story.history
    tasks: list[asyncio.Task[None]] = []
    try:
        for leaves in (0.03, 0.0):
            store = await place.client(**options)
            story.watchers.append(
                Watcher(store, history, Random(story.random.random()), leaves=leaves, kind=story.kind)
            )
            tasks.append(asyncio.ensure_future(story.watchers[-1].run()))
        await history.until(lambda: all(watcher.pieces for watcher in story.watchers), "the first lists")
        clients = [
            Client(await place.client(**options), story.number(), history.note, story.kind) for _ in range(writers)
        ]
        writing = [
            asyncio.ensure_future(client.wander(story.names, Random(story.random.random()), pace_s=place.pace_s))
            for client in clients
        ]
        tasks += writing
        await _unless_broken(tasks, story.more())
        await _unless_broken(tasks, fault(story))
        await _unless_broken(tasks, story.more())
        await story.end()
        for task in writing:
            task.cancel()
        await asyncio.gather(*writing, return_exceptions=True)
        last = await _ended(story, await place.client(**options))
        knows = history.until(lambda: all(watcher.knows(last) for watcher in story.watchers), "the watchers")
        await _unless_broken([task for task in tasks if task not in writing], knows)
    finally:
        await story.end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    replayed = 0
    for watcher in story.watchers:
        replayed += await watcher.replayed(story.random, last)
    return judged(history, story.watchers) | {"replayed": replayed}


async def _unless_broken(tasks: list[asyncio.Task[None]], deed: Awaitable[None]) -> None:
    """Wait for this; a writer or watcher that raises ends the story at once."""
    doing = asyncio.ensure_future(deed)
    try:
        await asyncio.wait({doing, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()
                raise AssertionError("a client ended by itself")
        await doing
    finally:
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)


async def _ended(story: Story, store: Any) -> str:
    """Note what is there, one by one and in a list, and write the last object; gives its name."""
    client = Client(store, story.number(), story.history.note, story.kind)
    for name in story.names:
        while True:
            if await client.get(name) in (Outcome.DONE, Outcome.NOT_FOUND):
                break
            await asyncio.sleep(0.05)
    await _noted_list(story, store)
    for attempt in range(50):
        last = f"{story.names[0]}-end-{attempt}"
        if await client.create(last) is Outcome.DONE:
            return last
    raise AssertionError("the last object can't be written")


async def _noted_list(story: Story, store: Any) -> None:
    """What a list shows is as if each object was read in that time."""
    process, note = f"list{story.number()}", story.history.note
    begin = time.monotonic_ns()
    listed = {entry.key.name: number_of(entry.value) for entry in (await _until_answered(store, story.kind)).entries}
    end = time.monotonic_ns()
    for name in story.names:
        seen = listed.get(name, ABSENT)
        outcome = Outcome.DONE if seen else Outcome.NOT_FOUND
        note(["call", f"{process}-{name}", process, "get", name, None, None, begin])
        note(["answer", f"{process}-{name}", outcome.value, seen or None, end])


async def _until_answered(store: Any, kind: str) -> Any:
    while True:
        try:
            return await store.list(kind)
        except Unavailable:
            await asyncio.sleep(0.05)
