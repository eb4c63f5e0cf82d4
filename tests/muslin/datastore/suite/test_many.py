"""Many: ten thousand objects and a thousand watchers on one client, in bounded time and memory."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from muslin.datastore.protocol import Bookmark, Change
from tests.muslin.datastore.suite.places import Place, placed
from tests.support.histories import KIND, key_of, number_of, value_of

_OBJECTS, _PAGE, _WATCHERS = 10_000, 500, 1_000
_IN_FLIGHT = 32
_PER_WATCHER = 400 << 10
"""Octets of memory that one more watcher may take; of these asyncio's TLS keeps 256 Ki for a connection."""

every_place = pytest.mark.parametrize(
    "driver",
    [
        pytest.param("memory", marks=pytest.mark.slow),
        pytest.param("embedded", marks=pytest.mark.slow),
        pytest.param("etcd", marks=[pytest.mark.engines("etcd"), pytest.mark.slow]),
        pytest.param("kubernetes", marks=[pytest.mark.engines, pytest.mark.slow]),
    ],
)


def _resident() -> int:
    """Octets of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def _clients(driver: str, count: int) -> AsyncIterator[tuple[Place, list[Any]]]:
    async with placed(driver, Random(1)) as place:
        yield place, [await place.client(patient=True) for _ in range(count)]


async def _in_flight(deeds: Iterable[Callable[[], Awaitable[Any]]]) -> None:
    waiting = iter(deeds)

    async def worker() -> None:
        for deed in waiting:
            await deed()

    await asyncio.gather(*(worker() for _ in range(_IN_FLIGHT)))


@every_place
def test_ten_thousand_objects_are_listed_at_one_instant(driver: str) -> None:
    """Page by page while others write, delete and create: what was there at the first page, whole and in order."""
    names = [f"n{number:05d}" for number in range(_OBJECTS)]

    async def disturb(store: Any, page: int) -> None:
        """Change one that was listed, one that was not yet, remove one, and add one in front and at the end."""
        for name in (names[page], names[-1 - page]):
            there = await store.get(key_of(name))
            await store.update(key_of(name), value_of(name, 1_000_000 + page), there.revision)
        await store.delete(key_of(names[-100 - page]))
        for name in (f"a{page}", f"z{page}"):
            await store.create(key_of(name), value_of(name, 2_000_000 + page))

    async def main() -> None:
        async with _clients(driver, 2) as (_, (one, other)):
            await _in_flight(
                (lambda at=at, name=name: one.create(key_of(name), value_of(name, at + 1)))  # type: ignore[misc]
                for at, name in enumerate(names)
            )
            before, most, at, pages = _resident(), 0, 0, 0
            page = await other.list(KIND, limit=_PAGE)
            instant = page.revision
            while True:
                assert page.revision == instant
                assert len(page.entries) <= _PAGE
                for entry in page.entries:
                    assert (entry.key.name, number_of(entry.value)) == (names[at], at + 1)
                    at += 1
                most = max(most, _resident() - before)
                if page.more is None:
                    break
                await disturb(one, pages)
                pages += 1
                page = await other.list(KIND, limit=_PAGE, after=page.more)
            assert (at, pages) == (_OBJECTS, _OBJECTS // _PAGE - 1)
            assert most < 50 << 20, "pages are kept"
            whole = await other.list(KIND)
            assert len(whole.entries) == _OBJECTS + pages  # two more and one less for each page
            assert [entry.key.name for entry in whole.entries] == sorted(entry.key.name for entry in whole.entries)

            # A watch from the first page's instant tells exactly what came between.
            told = await _told(other.watch({KIND}, instant), 5 * pages)
            state = {name: at + 1 for at, name in enumerate(names)} | told
            assert {name: number for name, number in state.items() if number} == {
                entry.key.name: number_of(entry.value) for entry in whole.entries
            }

    asyncio.run(asyncio.wait_for(main(), 280))


async def _told(stream: Any, count: int) -> dict[str, int]:
    told: dict[str, int] = {}
    async for event in stream:
        if isinstance(event, Change):
            told[event.key.name] = number_of(event.value)
            count -= 1
            if not count:
                break
    await stream.aclose()
    return told


@every_place
def test_a_thousand_watchers_see_everything(driver: str, record_property: Callable[[str, object], None]) -> None:
    """Of one client: each is told every change, once and in order, and none takes much memory or time."""
    changes = 20

    async def watch(store: Any, after: str, ready: asyncio.Queue[None]) -> list[tuple[str, int, str]]:
        seen: list[tuple[str, int, str]] = []
        stream = store.watch({KIND}, after)
        async for event in stream:
            if isinstance(event, Bookmark):
                if not seen:
                    ready.put_nowait(None)
                continue
            seen.append((event.key.name, number_of(event.value), event.revision))
            if len(seen) == changes:
                break
        await stream.aclose()
        return seen

    async def main() -> tuple[int, float]:
        async with AsyncExitStack() as stack:
            _, (one, other) = await stack.enter_async_context(_clients(driver, 2))
            start = (await one.list(KIND)).revision
            before, began = _resident(), time.process_time()
            ready: asyncio.Queue[None] = asyncio.Queue()
            group = await stack.enter_async_context(asyncio.TaskGroup())
            watching = [group.create_task(watch(one, start, ready)) for _ in range(_WATCHERS)]
            for _ in range(_WATCHERS):
                await ready.get()
            taken = _resident() - before
            made: list[tuple[str, int, str]] = []
            for number in range(1, changes + 1):
                name = f"w{number % 4}"
                if number <= 4:
                    entry = await other.create(key_of(name), value_of(name, number))
                else:
                    entry = await other.update(
                        key_of(name), value_of(name, number), (await other.get(key_of(name))).revision
                    )
                made.append((name, number, entry.revision))
            for seen in await asyncio.gather(*watching):
                assert seen == made
            return taken, time.process_time() - began

    taken, seconds = asyncio.run(asyncio.wait_for(main(), 180))
    record_property("watchers", (driver, f"{taken / _WATCHERS / 1024:.0f} KiB each, {seconds:.1f} s of processor time"))
    print(f"{driver}: {_WATCHERS} watchers take {taken >> 20} MiB and {seconds:.1f} s of processor time")
    assert taken < _WATCHERS * _PER_WATCHER
