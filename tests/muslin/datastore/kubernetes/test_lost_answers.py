"""Between a client and the server: answers that are lost, and a server that cannot be reached for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
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

pytestmark = pytest.mark.engines


class _Between:
    """Carries octets to the server; loses its answers, or lets nobody in, as long as it is told to."""

    def __init__(self, server: KubeApiserver) -> None:
        self._port = int(server.url.rpartition(":")[2])
        self.losing = self.closed = False
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.transport.abort()
            return
        there, here = await asyncio.open_connection("127.0.0.1", self._port)
        self._open |= {writer, here}
        await asyncio.gather(self._carry(reader, here, answers=False), self._carry(there, writer, answers=True))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if answers and self.losing:
                    self.cut()
                    return
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def cut(self) -> None:
        """End all connections."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()


@asynccontextmanager
async def _through(server: KubeApiserver) -> AsyncIterator[tuple[_Between, KubernetesDatastore]]:
    between = _Between(server)
    listener = await asyncio.start_server(between.accept, "127.0.0.1", 0)
    between.port = listener.sockets[0].getsockname()[1]
    access = find_access(
        server=f"https://127.0.0.1:{between.port}", ca_file=str(server.ca_file), token=server.admin_token
    )
    client = await KubernetesClient.connect(access, limits=Limits(qps=0, tries=2))
    store = KubernetesDatastore(client, group=ApiGroup.V3.value, patience_s=0.5)
    try:
        yield between, store
    finally:
        await store.close()
        between.cut()
        listener.close()
        await listener.wait_closed()


def test_a_write_whose_answer_is_lost_may_have_happened(server: KubeApiserver) -> None:
    """Create, update and delete say `MaybeDone`, are not sent again, and reading shows that they happened."""
    cleared(server, "GlobalNetworkSet")
    key = Key("GlobalNetworkSet", "a")

    async def story(one: Any) -> None:
        async with _through(server) as (between, lossy):
            await lossy.list("GlobalNetworkSet")
            between.losing = True
            with pytest.raises(MaybeDone) as lost:
                await lossy.create(key, value(key, spec={"n": 1}))
            assert lost.value.key == key
            between.losing = False
            made = await lossy.get(key)
            assert made.value["spec"] == {"n": 1}
            between.losing = True
            with pytest.raises(MaybeDone):
                await lossy.update(key, value(key, spec={"n": 2}), made.revision)
            between.losing = False
            changed = await lossy.get(key)
            assert changed.value["spec"] == {"n": 2}
            between.losing = True
            with pytest.raises(Unavailable) as unread:
                await lossy.get(key)
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
            between.closed = True
            between.cut()
            for key in keys[1:]:
                await one.create(key, value(key))
            with pytest.raises(Unavailable):
                await anext(watch)
            with pytest.raises(Unavailable):
                await anext(lossy.watch(kinds, last.revision))
            between.closed = False
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
            between.closed = True
            between.cut()
            await one.create(keys[1], value(keys[1], spec=spec))
            await failed.wait()
            assert mirror.unavailable is not None
            assert set(mirror.snapshot.resources) == {keys[0]}
            between.closed = False
            await anext(changes)
            assert set(mirror.snapshot.resources) == set(keys)
            assert mirror.unavailable is None
            await mirror.close()

    over(server, story)
