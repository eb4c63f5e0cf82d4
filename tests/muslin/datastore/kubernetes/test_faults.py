"""The API server killed, stopped and compacted under writers and watchers; the recorded history is judged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from muslin.conversion.kinds import ApiGroup
from muslin.datastore.protocol import Bookmark, Change, Compacted
from muslin.resources.keys import Key
from tests.muslin.datastore.kubernetes.clusters import cleared, cluster, compact, over, stores, value
from tests.muslin.datastore.kubernetes.history import History
from tests.support.kube_apiserver import KubeApiserver

pytestmark = [pytest.mark.engines, pytest.mark.slow]

KEYS = [Key("IPPool", "a"), Key("IPPool", "b"), Key("GlobalNetworkSet", "a"), Key("GlobalNetworkSet", "b")]


async def _more(history: History, number: int = 20) -> None:
    """So many more writes are acknowledged, and told by the watch."""
    aim = len(history.done) + number
    await history.until(lambda: len(history.done) >= aim)
    last = max(write.revision or 0 for write in history.done)
    await history.until(lambda: history.newest() >= last or _listed(history, last))


def _listed(history: History, revision: int) -> bool:
    return any(int(it.revision) >= revision for told in history.told.values() for it in told)


async def _recorded(server: KubeApiserver, faults: Callable[[History], Any]) -> History:
    """What three writers and a watcher of two kinds saw while the faults happened."""
    history = History()
    async with stores(server, 4) as (first, second, third, fourth):
        for key in KEYS:
            await first.create(key, value(key, spec={}))
        watching = asyncio.ensure_future(history.watch(fourth, ["IPPool", "GlobalNetworkSet"]))
        writing = [asyncio.ensure_future(history.write(store, KEYS)) for store in (first, second, third)]
        try:
            await _more(history)
            await faults(history)
            await _more(history)
        finally:
            for task in writing:
                task.cancel()
            await asyncio.gather(*writing, return_exceptions=True)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    history.check()
    return history


async def _no_answer(server: KubeApiserver) -> None:
    """See that a stopped server does not answer."""
    with pytest.raises(OSError, match="timed out"):
        await asyncio.to_thread(server.request, "GET", "/readyz", timeout_s=1)


@pytest.mark.parametrize("arguments", [(), ("--watch-cache=false",)], ids=["cache", "etcd"])
def test_no_fault_of_the_server_loses_or_doubles_anything(arguments: tuple[str, ...]) -> None:
    """Killed and started again, stopped and continued, with its watch cache and without: writes and watch agree."""

    async def faults(history: History) -> None:
        for _ in range(2):
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            await _more(history)
        server.pause()
        try:
            await _no_answer(server)
        finally:
            server.resume()
        await _more(history)
        await asyncio.to_thread(server.etcd.kill)
        await asyncio.to_thread(server.etcd.start)

    with cluster(ApiGroup.V3, arguments=arguments) as server:
        history = asyncio.run(_recorded(server, faults))
    assert len(history.done) >= 80
    if arguments:
        assert history.lists == 1, "etcd knew all that happened, and the watch began anew"


def test_what_is_compacted_is_said() -> None:
    """A watch, and a paged list, from before etcd forgot; one from after goes on."""

    async def story(server: KubeApiserver, one: Any) -> None:
        keys = [Key("IPPool", f"p{number}") for number in range(4)]
        made = [await one.create(key, value(key)) for key in keys]
        page = await one.list("IPPool", limit=2)
        reading = one.watch({"IPPool"}, made[-1].revision)
        while not isinstance(await anext(reading), Bookmark):
            pass
        await one.delete(keys[3])
        assert isinstance(await anext(reading), Change)
        await asyncio.to_thread(compact, server)
        await one.create(keys[3], value(keys[3]))
        with pytest.raises(Compacted):
            await anext(one.watch({"IPPool"}, made[0].revision))
        with pytest.raises(Compacted):
            await one.list("IPPool", limit=2, after=page.more)
        fresh = await one.list("IPPool")
        later = await one.update(keys[0], value(keys[0], spec={"n": 1}), made[0].revision)
        async for event in one.watch({"IPPool"}, fresh.revision):
            if isinstance(event, Change):
                assert event.revision == later.revision
                break

    with cluster(ApiGroup.V3, arguments=("--watch-cache=false",)) as server:
        over(server, lambda one: story(server, one))


def test_a_slow_reader_gets_everything_or_is_told(server: KubeApiserver) -> None:
    """Thirty megabytes of changes while nobody reads: all come afterwards, in order, or the watch says what it lost."""
    cleared(server, "IPPool")
    key = Key("IPPool", "large")

    async def story(one: Any, two: Any) -> None:
        entry = await one.create(key, value(key, spec={"n": 0}))
        watch = two.watch({"IPPool"}, entry.revision)
        await anext(watch)
        for number in range(1, 1001):
            entry = await one.update(key, value(key, spec={"n": number, "x": "y" * 30_000}), entry.revision)
        seen: list[int] = []
        try:
            async for event in watch:
                if isinstance(event, Change) and event.value is not None:
                    seen.append(event.value["spec"]["n"])
                    if event.revision == entry.revision:
                        break
        except Compacted:
            assert seen[-1] < 1000
        assert seen == list(range(1, len(seen) + 1))

    over(server, story, count=2)
