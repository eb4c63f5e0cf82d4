"""The drivers under test: each opens two clients of one empty store, as two processes would have.

Revisions are opaque, and others may write into the same store: only `exact` drivers give the next revision to the next
change of the tests, and can be told to forget their history (`compact`).
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from muslin.conversion.kinds import ApiGroup
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.settings import EtcdSettings
from muslin.resources.keys import Key
from tests.muslin.datastore.kubernetes.clusters import cleared, shared, stores
from tests.support.engines import Missing
from tests.support.etcd_server import EtcdServer

Clients = tuple[Any, Any]
_T = TypeVar("_T")


@asynccontextmanager
async def _embedded() -> AsyncIterator[Clients]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        first, second = EmbeddedDatastore.open(path), EmbeddedDatastore.open(path)
        try:
            yield first, second
        finally:
            await first.close()
            await second.close()


@asynccontextmanager
async def _memory() -> AsyncIterator[Clients]:
    first = MemoryDatastore()
    second = first.client()
    yield first, second
    await first.close()
    await second.close()


KINDS = ("GlobalNetworkSet", "IPPool", "NetworkSet")
"""What the stories write, for stores that outlive them."""
NAMESPACES = ("a", "b", "x", "y")


@asynccontextmanager
async def _kubernetes(group: ApiGroup) -> AsyncIterator[Clients]:
    try:
        server = shared()
    except Missing as missing:
        pytest.skip(str(missing))
    cleared(server, *KINDS, namespaces=NAMESPACES)
    async with stores(server, 2, group) as (first, second):
        yield first, second


@functools.cache
def _etcd_server() -> EtcdServer:
    server = EtcdServer()
    server.__enter__()
    atexit.register(server.stop)
    return server


@asynccontextmanager
async def _etcd() -> AsyncIterator[Clients]:
    from muslin.datastore.etcd import EtcdDatastore  # noqa: PLC0415 - gRPC takes its time

    server = await asyncio.to_thread(_etcd_server)
    await asyncio.to_thread(server.call, "/v3/kv/deleterange", {"key": "AA==", "range_end": "AA=="})  # every key
    settings = EtcdSettings(endpoints=(server.endpoint,))
    first, second = await EtcdDatastore.open(settings), await EtcdDatastore.open(settings)
    try:
        yield first, second
    finally:
        await first.close()
        await second.close()


DRIVERS: dict[str, Callable[[], AbstractAsyncContextManager[Clients]]] = {
    "embedded": _embedded,
    "etcd": _etcd,
    "memory": _memory,
    "kubernetes": lambda: _kubernetes(ApiGroup.V3),
    "kubernetes-v1": lambda: _kubernetes(ApiGroup.V1),
}
EXACT = ("embedded", "etcd", "memory")
_QUICK = ("embedded", "memory")


def _with_marks(*drivers: str) -> pytest.MarkDecorator:
    marks = {"etcd": pytest.mark.engines("etcd")} | dict.fromkeys(_QUICK, ())
    given = (pytest.param(driver, marks=marks.get(driver, pytest.mark.engines)) for driver in drivers)
    return pytest.mark.parametrize("driver", list(given))


every_driver = _with_marks(*sorted(DRIVERS))
exact_drivers = _with_marks(*EXACT)


def over(driver: str, story: Callable[[Any, Any], Awaitable[_T]]) -> _T:
    """Run a story over two clients of a fresh store; a story that hangs fails."""

    async def main() -> _T:
        async with DRIVERS[driver]() as (first, second):
            return await asyncio.wait_for(story(first, second), 20 if driver in _QUICK else 60)

    return asyncio.run(main())


def pool(name: str) -> Key:
    """A cluster-scoped key."""
    return Key("IPPool", name)


def value(key: Key, **spec: Any) -> dict[str, Any]:
    """An object for a key."""
    metadata = {"name": key.name} | ({"namespace": key.namespace} if key.namespace else {})
    return {"apiVersion": "projectcalico.org/v3", "kind": key.kind, "metadata": metadata, "spec": spec}
