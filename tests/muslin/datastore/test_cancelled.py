"""Calls that are cancelled wherever they wait: the store goes on, and nothing of them is left when it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from muslin.datastore.protocol import Bookmark, Change, NotFound
from tests.muslin.datastore.suite.drivers import DRIVERS, every_driver, pool, value

_POINTS = 25
"""Times after which a call is cancelled: so many passes of the event loop, then so many tenths of a millisecond."""


async def _cancelled_after(passes: int, call: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(call)
    for _ in range(passes):
        await asyncio.sleep(0 if passes < _POINTS // 2 else 1e-4)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@every_driver
def test_a_call_cancelled_anywhere_leaves_nothing_behind(driver: str) -> None:
    """Writes and watches, cut off at many places; then another write is made and watched, and no task is left."""
    troubles: list[str] = []

    async def write(store: Any, number: int) -> None:
        key = pool(f"c{number}")
        made = await store.create(key, value(key, n=1))
        await store.update(key, value(key, n=2), made.revision)
        await store.delete(key)

    async def follow(store: Any) -> None:
        async for _ in store.watch({"IPPool"}, (await store.list("IPPool")).revision):
            pass

    async def story(one: Any, two: Any) -> None:
        for number in range(_POINTS):
            await _cancelled_after(number, write(one, number))
            await _cancelled_after(number, follow(one))
        watch = one.watch({"IPPool"}, (await one.list("IPPool")).revision)
        assert isinstance(await anext(watch), Bookmark)
        with suppress(NotFound):
            await one.delete(pool("last"))
        made = await two.create(pool("last"), value(pool("last"), n=1))
        changed = await one.update(pool("last"), value(pool("last"), n=2), made.revision)
        seen: Any = None
        while not (isinstance(seen, Change) and seen.value == changed.value):
            seen = await anext(watch)
        await watch.aclose()

    def noted(_: object, context: dict[str, Any]) -> None:
        # gRPC's one queue of a process also wakes for the loop of an earlier test, which is closed
        if "PollerCompletionQueue" not in str(context) or "Event loop is closed" not in str(context):
            troubles.append(str(context))

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(noted)
        async with DRIVERS[driver]() as (one, two):
            await asyncio.wait_for(story(one, two), 60)
        for _ in range(3):
            await asyncio.sleep(0)
        troubles.extend(str(task) for task in asyncio.all_tasks() if task is not asyncio.current_task())

    asyncio.run(main())
    assert troubles == []
