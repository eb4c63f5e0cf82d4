"""Three members killed, stopped and started again under writers and a watcher; the recorded history is judged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from muslin.datastore.etcd.patience import Patience
from muslin.datastore.protocol import Bookmark, Change, MaybeDone
from muslin.errors import Unavailable
from tests.muslin.datastore.etcd.history import History
from tests.muslin.datastore.etcd.members import QUICK, Members, opened, three_members
from tests.muslin.datastore.suite.drivers import pool, value

pytestmark = [pytest.mark.engines("etcd"), pytest.mark.slow]


async def _more(history: History, number: int = 25) -> None:
    """So many more writes are acknowledged, and told by the watch."""
    aim = len(history.done) + number
    await history.until(lambda: len(history.done) >= aim)
    seen = history.done[-1].revision or "0"
    await history.until(lambda: bool(history.told) and int(history.told[-1].revision) >= int(seen))


async def _without_a_leader(history: History, members: Members) -> None:
    for server in members.servers[1:]:
        await asyncio.to_thread(server.kill)
    aim = len(history.not_done) + len(history.maybe) + 3
    await history.until(lambda: len(history.not_done) + len(history.maybe) >= aim)
    await asyncio.to_thread(members.start)
    await _more(history)


async def _faults(history: History, members: Members) -> None:
    for number in range(3):
        await asyncio.to_thread(members.servers[number].kill)
        await _more(history)
        await asyncio.to_thread(members.start)
    for what in ("leader", "follower"):
        leader = await asyncio.to_thread(members.leader)
        server = members.servers[leader if what == "leader" else (leader + 1) % 3]
        server.pause()
        try:
            await _more(history)
        finally:
            server.resume()
        await _more(history)
    await _without_a_leader(history, members)


def test_no_fault_of_a_member_loses_or_doubles_anything() -> None:
    """Each member killed and started again, the leader and a follower stopped, no leader: all goes on, and agrees."""

    async def main(members: Members) -> None:
        history, names = History(), ["a", "b", "c"]
        async with AsyncExitStack() as stack:
            stores: list[Any] = [
                await stack.enter_async_context(
                    opened(*members.endpoints[turn:], *members.endpoints[:turn], patience=QUICK)
                )
                for turn in range(3)
            ]
            for name in names:
                await stores[0].create(pool(name), value(pool(name)))
            start = (await stores[0].list("IPPool")).revision
            running = [asyncio.ensure_future(history.watch(stores[2], start))]
            running += [asyncio.ensure_future(history.write(store, names)) for store in (*stores, stores[0])]
            try:
                await _faults(history, members)
            finally:
                for task in running[1:]:
                    task.cancel()
                await asyncio.gather(*running[1:], return_exceptions=True)
            head = int((await stores[0].list("IPPool")).revision)
            await history.until(lambda: any(mark >= head for _, mark in history.marks))
            running[0].cancel()
            await asyncio.gather(*running, return_exceptions=True)
        history.check()
        assert len(history.done) >= 150

    with three_members() as members:
        asyncio.run(main(members))


def test_no_member_is_unavailable_with_what_each_said() -> None:
    """Reads and writes fail clearly with every endpoint and its reason, and go on once one is back."""

    async def main(members: Members) -> None:
        async with opened(*members.endpoints, patience=Patience(1.0, 1.5, 2.0)) as store:
            made = await store.create(pool("a"), value(pool("a"), n=1))
            for server in members.servers:
                server.kill()
            for call in (store.get(pool("a")), store.update(pool("a"), value(pool("a"), n=2), made.revision)):
                with pytest.raises(Unavailable) as refused:
                    await call
                assert not isinstance(refused.value, MaybeDone)
                assert {problem.where for problem in refused.value.problems} == set(members.endpoints)
            await asyncio.to_thread(members.start)
            for _ in range(3):  # a member that was away is tried again within two seconds
                with suppress(Unavailable):
                    await store.get(pool("a"))
                    break

            assert await store.get(pool("a")) == made

    with three_members() as members:
        asyncio.run(main(members))


def test_a_watch_on_a_member_that_fell_silent_goes_on_elsewhere() -> None:
    """Its connection stays open and says nothing: that is noticed within seconds, and nothing is missed."""

    async def main(members: Members) -> None:
        async with opened(*members.endpoints, patience=QUICK) as store:
            watch = store.watch({"IPPool"}, (await store.list("IPPool")).revision)
            assert isinstance(await anext(watch), Bookmark)
            members.servers[0].pause()
            async with opened(*members.endpoints[1:], patience=QUICK) as writer:
                made = await writer.create(pool("a"), value(pool("a")))
                async with asyncio.timeout(30):
                    seen = [event async for event in _until(watch, made.revision)]

        assert [event.revision for event in seen if isinstance(event, Change)] == [made.revision]

    with three_members() as members:
        asyncio.run(main(members))


async def _until(watch: Any, revision: str) -> AsyncIterator[Change | Bookmark]:
    async for event in watch:
        yield event
        if event.revision == revision:
            return
