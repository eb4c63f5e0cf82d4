"""Another etcd at the endpoints, as after a restore from a backup: revisions of the former one mean nothing there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from muslin.datastore.mirror import Backoff, Mirror
from muslin.datastore.protocol import Bookmark, Change, Compacted
from tests.muslin.datastore.etcd.members import QUICK, opened
from tests.muslin.datastore.suite.drivers import pool, value
from tests.support.etcd_server import EtcdServer

pytestmark = [pytest.mark.engines("etcd"), pytest.mark.slow]


def test_a_watch_ends_and_after_a_new_list_goes_on() -> None:
    """Each watch of the former etcd is told; whoever lists again watches the one that answers now."""

    async def main(former: EtcdServer, latter: EtcdServer) -> list[Any]:
        async with opened(latter.endpoint) as other:
            for number in range(5):
                await other.create(pool(f"p{number}"), value(pool(f"p{number}")))
        async with opened(former.endpoint, latter.endpoint, patience=QUICK) as store:
            start = (await store.list("IPPool")).revision
            watches = [store.watch({"IPPool"}, start) for _ in range(2)]
            for watch in watches:
                assert isinstance(await anext(watch), Bookmark)
            await asyncio.to_thread(former.kill)
            for watch in (*watches, store.watch({"IPPool"}, start)):
                with pytest.raises(Compacted):
                    await _ended(watch)
            again = store.watch({"IPPool"}, (await store.list("IPPool")).revision)
            assert isinstance(await anext(again), Bookmark)
            made = await store.create(pool("new"), value(pool("new")))
            return [event.key async for event in _until(again, made.revision) if isinstance(event, Change)]

    with EtcdServer() as former, EtcdServer() as latter:
        assert asyncio.run(asyncio.wait_for(main(former, latter), 60)) == [pool("new")]


def test_a_mirror_shows_what_the_other_etcd_has() -> None:
    """It does not list again and again for ever."""

    async def main(former: EtcdServer, latter: EtcdServer) -> None:
        async with opened(latter.endpoint) as other:
            await other.create(pool("there"), value(pool("there"), cidr="192.0.2.0/24"))
        async with opened(former.endpoint, latter.endpoint, patience=QUICK) as store:
            mirror = Mirror(store, ["IPPool"], backoff=Backoff(0.01, 0.1))
            mirror.start()
            await mirror.in_sync()
            assert not mirror.snapshot.resources
            await asyncio.to_thread(former.kill)
            async for snapshot in mirror.changes():
                if pool("there") in snapshot.resources:
                    break
            await mirror.close()

    with EtcdServer() as former, EtcdServer() as latter:
        asyncio.run(asyncio.wait_for(main(former, latter), 60))


async def _ended(watch: Any) -> None:
    async for _ in watch:
        pass


async def _until(watch: Any, revision: str) -> Any:
    async for event in watch:
        yield event
        if event.revision == revision:
            return
