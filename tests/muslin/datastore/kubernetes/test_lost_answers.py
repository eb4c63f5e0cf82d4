"""Between a client and the server: answers that are lost, and a server that cannot be reached for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from muslin.conversion.kinds import ApiGroup
from muslin.datastore.kubernetes import KubernetesDatastore
from muslin.datastore.mirror import Mirror
from muslin.datastore.protocol import Bookmark, Change, MaybeDone
from muslin.errors import Unavailable
from muslin.kubernetes.client import KubernetesClient
from muslin.kubernetes.finding import find_access
from muslin.kubernetes.pace import Limits
from muslin.resources.keys import Key
from tests.muslin.datastore.kubernetes.clusters import cleared, over, value
from tests.support.kube_apiserver import KubeApiserver
from tests.support.tcp_proxy import TcpProxy, Way

pytestmark = pytest.mark.engines


@asynccontextmanager
async def _through(server: KubeApiserver) -> AsyncIterator[tuple[TcpProxy, KubernetesDatastore]]:
    async with TcpProxy(int(server.url.rpartition(":")[2]), Random(1)) as between:
        access = find_access(
            server=f"https://127.0.0.1:{between.port}", ca_file=str(server.ca_file), token=server.admin_token
        )
        client = await KubernetesClient.connect(access, limits=Limits(qps=0, tries=2))
        store = KubernetesDatastore(client, group=ApiGroup.V3.value, patience_s=0.5)
        try:
            yield between, store
        finally:
            await store.close()


async def _lost(between: TcpProxy, call: Coroutine[Any, Any, Any], then: Way = Way.OPEN) -> Any:
    """What comes of a call whose answer is lost on its way, and the connection with it; `then` is for the next one."""
    between.become(Way.ANSWERS_LOST)
    task = asyncio.ensure_future(call)
    await between.lost.wait()
    between.become(then)
    return await task


def test_a_write_whose_answer_is_lost_may_have_happened(server: KubeApiserver) -> None:
    """Create, update and delete say `MaybeDone`, are not sent again, and reading shows that they happened."""
    cleared(server, "GlobalNetworkSet")
    key = Key("GlobalNetworkSet", "a")

    async def story(one: Any) -> None:
        async with _through(server) as (between, lossy):
            await lossy.list("GlobalNetworkSet")
            with pytest.raises(MaybeDone) as lost:
                await _lost(between, lossy.create(key, value(key, spec={"n": 1})))
            assert lost.value.key == key
            made = await lossy.get(key)
            assert made.value["spec"] == {"n": 1}
            with pytest.raises(MaybeDone):
                await _lost(between, lossy.update(key, value(key, spec={"n": 2}), made.revision))
            changed = await lossy.get(key)
            assert changed.value["spec"] == {"n": 2}
            with pytest.raises(Unavailable) as unread:
                await _lost(between, lossy.get(key), then=Way.CUT)
            assert not isinstance(unread.value, MaybeDone)

    over(server, story)


def test_a_watch_without_a_server_says_so_and_goes_on(server: KubeApiserver) -> None:
    """Out of patience it is `Unavailable`; begun at its last revision it tells what happened meanwhile, once."""
    cleared(server, "GlobalNetworkSet", "IPPool")
    keys = [Key("GlobalNetworkSet", "a"), Key("IPPool", "b"), Key("GlobalNetworkSet", "c")]

    async def story(one: Any) -> None:
        async with _through(server) as (between, lossy):
            kinds = {"GlobalNetworkSet", "IPPool"}
            watch = lossy.watch(kinds, (await lossy.list("IPPool")).revision)
            assert isinstance(await anext(watch), Bookmark)
            await one.create(keys[0], value(keys[0]))
            last = await anext(watch)
            while isinstance(last, Bookmark):
                last = await anext(watch)
            between.become(Way.CUT)
            for key in keys[1:]:
                await one.create(key, value(key))
            with pytest.raises(Unavailable):
                await anext(watch)
            with pytest.raises(Unavailable):
                await anext(lossy.watch(kinds, last.revision))
            between.become(Way.OPEN)
            seen = set()
            async for event in lossy.watch(kinds, last.revision):
                if isinstance(event, Change):
                    assert event.key not in seen
                    seen.add(event.key)
                    if len(seen) == 2:
                        break
            assert (last.key, seen) == (keys[0], set(keys[1:]))

    over(server, story)


def test_a_mirror_keeps_its_copy_while_nobody_answers(server: KubeApiserver) -> None:
    """It says that it is old, shows what it had, and catches up by itself."""
    cleared(server, "GlobalNetworkSet")
    keys = [Key("GlobalNetworkSet", "a"), Key("GlobalNetworkSet", "b")]
    spec = {"nets": ["192.0.2.0/24"]}

    async def story(one: Any) -> None:
        async with _through(server) as (between, lossy):
            await one.create(keys[0], value(keys[0], spec=spec))
            failed = asyncio.Event()
            mirror = Mirror(lossy, ["GlobalNetworkSet"], on_failure=lambda *_: failed.set())
            mirror.start()
            await mirror.in_sync()
            changes = mirror.changes()
            await anext(changes)
            between.become(Way.CUT)
            await one.create(keys[1], value(keys[1], spec=spec))
            await failed.wait()
            assert mirror.unavailable is not None
            assert set(mirror.snapshot.resources) == {keys[0]}
            between.become(Way.OPEN)
            await anext(changes)
            assert set(mirror.snapshot.resources) == set(keys)
            assert mirror.unavailable is None
            await mirror.close()

    over(server, story)
