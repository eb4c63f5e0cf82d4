"""Watches: what they promise (the list of etcd's robustness tests), and what ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from muslin.datastore.protocol import Bookmark, Change, Compacted
from muslin.resources.keys import Key
from tests.muslin.datastore.suite.drivers import every_driver, exact_drivers, over, pool, value


async def _until(watch: Any, last: Callable[[Change], bool]) -> list[Change]:
    """Changes up to the last that is wanted."""
    seen: list[Change] = []
    async for event in watch:
        if isinstance(event, Change):
            seen.append(event)
            if last(event):
                return seen
    raise AssertionError("the watch ended")


async def _until_mark(watch: Any) -> list[Change]:
    """Changes up to the first bookmark."""
    seen: list[Change] = []
    async for event in watch:
        if isinstance(event, Bookmark):
            return seen
        seen.append(event)
    raise AssertionError("the watch ended")


@every_driver
def test_a_watch_from_a_lists_revision_misses_nothing(driver: str) -> None:
    """Every later change comes, in order, once; a deletion has no value; other kinds do not come."""

    async def story(one: Any, two: Any) -> None:
        await one.create(pool("old"), value(pool("old")))
        start = (await two.list("IPPool")).revision
        a = await one.create(pool("a"), value(pool("a"), n=1))
        await one.create(Key("GlobalNetworkSet", "n"), value(Key("GlobalNetworkSet", "n")))
        b = await one.update(pool("a"), value(pool("a"), n=2), a.revision)
        await one.delete(pool("a"))
        seen = await _until(two.watch({"IPPool"}, start), lambda change: change.value is None)
        c = await one.create(pool("c"), value(pool("c")))
        later = await _until(two.watch({"IPPool"}, seen[-1].revision), lambda _: True)

        assert [(change.key, change.value) for change in seen] == [
            (pool("a"), a.value), (pool("a"), b.value), (pool("a"), None)
        ]  # fmt: skip
        assert [change.revision for change in seen[:2]] == [a.revision, b.revision]
        assert [change.revision for change in later] == [c.revision]

    over(driver, story)


@every_driver
def test_a_bookmark_stands_after_all_that_was_before_it(driver: str) -> None:
    """Everything up to the start of the watch comes before the first bookmark, everything later is after it."""

    async def story(one: Any, two: Any) -> None:
        start = (await one.list("IPPool")).revision
        made = [await one.create(pool(f"p{i}"), value(pool(f"p{i}"))) for i in range(3)]
        net = await one.create(Key("NetworkSet", "n", "x"), value(Key("NetworkSet", "n", "x")))
        watch = two.watch({"IPPool", "NetworkSet"}, start)
        before, mark = [], start
        async for event in watch:
            mark = event.revision
            if isinstance(event, Bookmark):
                break
            before.append(event)
        late = await one.create(pool("late"), value(pool("late")))
        after = await _until(two.watch({"IPPool", "NetworkSet"}, mark), lambda _: True)

        assert {change.revision for change in before} == {*(entry.revision for entry in made), net.revision}
        assert [change.revision for change in before if change.key.kind == "IPPool"] == [it.revision for it in made]
        assert [change.revision for change in after] == [late.revision]

    over(driver, story)


@every_driver
def test_a_waiting_watch_is_woken_by_another_client(driver: str) -> None:
    """A change by another client reaches a watch that has caught up, without anybody asking."""

    async def story(one: Any, two: Any) -> None:
        watch = two.watch({"IPPool"}, (await two.list("IPPool")).revision)
        assert isinstance(await anext(watch), Bookmark)
        woken = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        made = await one.create(pool("a"), value(pool("a")))

        assert await asyncio.wait_for(woken, 5) == Change(pool("a"), made.value, made.revision)

    over(driver, story)


@every_driver
def test_a_slow_watcher_gets_all_of_a_burst(driver: str) -> None:
    """Hundreds of changes made while nobody reads are all delivered afterwards, in order."""

    async def story(one: Any, two: Any) -> None:
        start = (await one.list("IPPool")).revision
        watch = two.watch({"IPPool"}, start)
        await anext(watch)
        made = [await one.create(pool(f"p{i}"), value(pool(f"p{i}"))) for i in range(300)]
        seen = await _until(watch, lambda change: change.revision == made[-1].revision)

        assert [change.revision for change in seen] == [entry.revision for entry in made]

    over(driver, story)


@exact_drivers
def test_a_watch_from_before_a_compaction_says_so(driver: str) -> None:
    """The revision of the compaction itself is still good; one change earlier is `Compacted`, not a silent gap."""

    async def story(one: Any, two: Any) -> None:
        made = [await one.create(pool(f"p{i}"), value(pool(f"p{i}"))) for i in range(4)]
        await one.compact(keep=1)
        with pytest.raises(Compacted):
            await anext(two.watch({"IPPool"}, made[1].revision))
        seen = await _until_mark(two.watch({"IPPool"}, made[2].revision))

        assert [change.revision for change in seen] == [made[3].revision]

    over(driver, story)


@exact_drivers
def test_a_watcher_that_compaction_overtook_says_so(driver: str) -> None:
    """A watcher that was reading when what it had not read was compacted away raises, and never skips.

    A server that has sent the changes before need not raise; then all of them come.
    """

    async def story(one: Any, two: Any) -> None:
        watch = two.watch({"IPPool"}, (await one.list("IPPool")).revision)
        await anext(watch)
        made = [await one.create(pool(f"p{i}"), value(pool(f"p{i}"))) for i in range(3)]
        await one.compact()
        try:
            seen = await _until(watch, lambda change: change.revision == made[-1].revision)
        except Compacted:
            return

        assert [change.revision for change in seen] == [entry.revision for entry in made]

    over(driver, story)


@every_driver
@pytest.mark.parametrize("revision", ["1000000", "", "abc", "-1", "1.0"])
def test_a_revision_of_another_store_is_compacted(driver: str, revision: str) -> None:
    """A revision that this store never gave leads to a new list, not to a wait for ever."""

    async def story(one: Any, _: Any) -> None:
        with pytest.raises(Compacted):
            await anext(one.watch({"IPPool"}, revision))

    over(driver, story)


@every_driver
def test_closing_ends_watches(driver: str) -> None:
    """A watch of a client that is closed ends; the other client's goes on."""

    async def story(one: Any, two: Any) -> None:
        start = (await one.list("IPPool")).revision
        mine, theirs = one.watch({"IPPool"}, start), two.watch({"IPPool"}, start)
        await anext(mine)
        await anext(theirs)
        ending = asyncio.ensure_future(anext(mine, None))
        await asyncio.sleep(0)
        await one.close()
        made = await two.create(pool("x"), value(pool("x")))

        assert await asyncio.wait_for(ending, 5) is None
        assert (await asyncio.wait_for(anext(theirs), 5)).revision == made.revision

    over(driver, story)
