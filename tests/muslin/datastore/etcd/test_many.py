"""Many objects, many watchers, slow readers and full disks, on a real etcd."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from muslin.datastore.etcd import watches
from muslin.datastore.protocol import Bookmark, Change, Compacted, MaybeDone
from muslin.errors import Unavailable
from muslin.resources.keys import Key
from tests.muslin.datastore.etcd.members import opened
from tests.muslin.datastore.suite.drivers import pool, value
from tests.support.etcd_server import EtcdServer

pytestmark = [pytest.mark.engines("etcd"), pytest.mark.slow]


async def _in_flight(deeds: Iterable[Callable[[], Awaitable[Any]]], number: int = 64) -> None:
    waiting = iter(deeds)

    async def worker() -> None:
        for deed in waiting:
            await deed()

    await asyncio.gather(*(worker() for _ in range(number)))


async def _changes(watch: Any, number: int) -> list[str]:
    """Revisions of the next changes."""
    seen: list[str] = []
    async for event in watch:
        if isinstance(event, Change):
            seen.append(event.revision)
            if len(seen) == number:
                break
    return seen


async def _caught_up(watch: Any) -> None:
    assert isinstance(await anext(watch), Bookmark)


def test_a_thousand_watchers_on_one_stream_get_everything_across_a_restart() -> None:
    """Each sees every change once and in order, also those made before and after the server was killed."""

    async def main(server: EtcdServer) -> None:
        async with opened(server.endpoint) as store, opened(server.endpoint) as writer:
            start = (await store.list("IPPool")).revision
            all_watches = [store.watch({"IPPool"}, start) for _ in range(1000)]
            await asyncio.gather(*(_caught_up(watch) for watch in all_watches))
            assert len(store._etcd.watches._streams) == 1
            made = [(await writer.create(pool(f"a{n}"), value(pool(f"a{n}")))).revision for n in range(3)]
            first = await asyncio.gather(*(_changes(watch, 2) for watch in all_watches))
            await asyncio.to_thread(server.restart)
            made += [(await writer.create(pool(f"b{n}"), value(pool(f"b{n}")))).revision for n in range(3)]
            rest = await asyncio.wait_for(asyncio.gather(*(_changes(watch, 4) for watch in all_watches)), 60)

        assert {tuple(one + two) for one, two in zip(first, rest, strict=True)} == {tuple(made)}

    with EtcdServer() as server:
        asyncio.run(main(server))


def test_ten_thousand_objects_are_listed_at_one_instant_and_watched() -> None:
    """All of them, in order, whole or in pages, while others are written; a watch from before tells each once."""
    keys = [Key("GlobalNetworkSet", f"set-{number:05}") for number in range(10_000)]

    async def main(server: EtcdServer) -> None:
        async with opened(server.endpoint) as store:
            start = (await store.list("GlobalNetworkSet")).revision
            await _in_flight(lambda key=key: store.create(key, value(key, n=1)) for key in keys)  # type: ignore[misc]
            whole = await store.list("GlobalNetworkSet")
            page = await store.list("GlobalNetworkSet", limit=3000)
            paged = list(page.entries)
            while page.more is not None:
                await store.delete(keys[-1 - len(paged) // 3000])
                page = await store.list("GlobalNetworkSet", limit=3000, after=page.more)
                paged += page.entries
            seen = await _changes(store.watch({"GlobalNetworkSet"}, start), 10_000)

        assert [entry.key for entry in whole.entries] == keys
        assert tuple(paged) == whole.entries
        assert sorted(seen, key=int) == seen
        assert set(seen) == {entry.revision for entry in whole.entries}

    with EtcdServer() as server:
        asyncio.run(main(server))


def test_a_slow_reader_is_cut_off_and_goes_on_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds up nobody, keeps no more than its room, and misses nothing; if that is compacted, it is told."""
    monkeypatch.setattr(watches, "_ROOM_EVENTS", 50)

    async def main(server: EtcdServer) -> None:
        async with opened(server.endpoint) as store, opened(server.endpoint) as writer:
            start = (await store.list("IPPool")).revision
            slow, slower, quick = (store.watch({"IPPool"}, start) for _ in range(3))
            for watch in (slow, slower, quick):
                await _caught_up(watch)
            made = []
            for number in range(500):
                made.append((await writer.create(pool(f"p{number}"), value(pool(f"p{number}")))).revision)
                assert await _changes(quick, 1) == made[-1:]
            assert await _changes(slow, 500) == made
            await writer.compact()
            with pytest.raises(Compacted):
                await _changes(slower, 500)

    with EtcdServer() as server:
        asyncio.run(main(server))


def test_a_release_that_is_wrong_about_progress_is_not_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, the event of the last revision tells that a watch has caught up, whatever kind it is of."""
    monkeypatch.setattr(watches, "exact_progress", lambda _: False)

    async def main(server: EtcdServer) -> None:
        async with opened(server.endpoint) as store:
            start = (await store.list("IPPool")).revision
            made = await store.create(pool("a"), value(pool("a")))
            other = await store.create(Key("Tier", "t"), value(Key("Tier", "t")))
            watch = store.watch({"IPPool"}, start)
            seen = [await asyncio.wait_for(anext(watch), 5) for _ in range(2)]
            await store.delete(pool("a"))
            gone = await asyncio.wait_for(anext(watch), 5)

        assert seen == [Change(pool("a"), made.value, made.revision), Bookmark(other.revision)]
        assert isinstance(gone, Change)
        assert gone.value is None

    with EtcdServer() as server:
        asyncio.run(main(server))


def test_a_full_database_is_told_and_loses_nothing() -> None:
    """Writes fail as `Unavailable` with the alarm and what to do, reads and the way back go on."""

    async def main(server: EtcdServer) -> None:
        big = "x" * 1_000_000
        async with opened(server.endpoint) as store:
            kept = await store.create(pool("kept"), value(pool("kept")))
            deeds = (lambda n=n: store.create(pool(f"p{n}"), value(pool(f"p{n}"), text=big)) for n in range(100))
            with pytest.raises(Unavailable) as full:
                await _in_flight(deeds, 1)
            assert not isinstance(full.value, MaybeDone)
            assert "NOSPACE" in full.value.problems[0].what
            assert await store.get(pool("kept")) == kept
            with pytest.raises(Unavailable):
                await store.update(pool("kept"), kept.value, kept.revision)

            for entry in (await store.list("IPPool")).entries[1:]:
                await store.delete(entry.key)  # deleting is allowed
            await store.compact()
            await asyncio.to_thread(server.call, "/v3/maintenance/defragment")
            for alarm in (await asyncio.to_thread(server.call, "/v3/maintenance/alarm", {"action": "GET"}))["alarms"]:
                await asyncio.to_thread(server.call, "/v3/maintenance/alarm", {**alarm, "action": "DEACTIVATE"})
            assert (await store.update(pool("kept"), kept.value, kept.revision)).revision != kept.revision

    with EtcdServer(arguments=["--quota-backend-bytes=16777216"]) as server:
        asyncio.run(main(server))


def test_a_status_with_a_lease_is_left_alone_and_goes_with_it() -> None:
    """It is in no list, and gone when its lease is."""
    path = b"/calico/felix/v2/no-region/host/node-1/status"

    async def main(server: EtcdServer) -> None:
        async with opened(server.endpoint) as store:
            lease = await store._etcd.put_for(path, b"{}", 600)
            (there,) = await store._etcd.get([path])
            assert there.lease == lease
            assert (await store.list("Node")).entries == ()
            await store._etcd.client.revoke(lease)
            key = {"key": base64.b64encode(path).decode()}
            assert "kvs" not in await asyncio.to_thread(server.call, "/v3/kv/range", key)

    with EtcdServer() as server:
        asyncio.run(main(server))


def test_a_lease_lives_as_long_as_it_is_kept() -> None:
    """Kept, it has all its time again, and its key is there after more than that; one that is over can't be kept."""
    path = b"/calico/felix/v2/no-region/host/node-1/status"

    async def main(server: EtcdServer) -> None:
        async with opened(server.endpoint) as store:
            client = store._etcd.client
            lease = await store._etcd.put_for(path, b"{}", 600)
            left = {"ID": str(lease)}
            granted = await asyncio.to_thread(server.call, "/v3/lease/timetolive", left)
            kept = [await client.keep(lease) for _ in range(3)]
            assert kept == [600, 600, 600]
            assert granted["grantedTTL"] == "600"
            await client.revoke(lease)
            assert await client.keep(lease) == 0
            assert await store._etcd.get([path]) == []

    with EtcdServer() as server:
        asyncio.run(main(server))
