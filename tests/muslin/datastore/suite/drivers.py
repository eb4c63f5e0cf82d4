"""The drivers under test: each opens two clients of one empty store, as two processes would have."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.memory import MemoryDatastore
from muslin.resources.keys import Key

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


DRIVERS = {"embedded": _embedded, "memory": _memory}

every_driver = pytest.mark.parametrize("driver", sorted(DRIVERS))


def over(driver: str, story: Callable[[Any, Any], Awaitable[_T]]) -> _T:
    """Run a story over two clients of a fresh store; a story that hangs fails."""

    async def main() -> _T:
        async with DRIVERS[driver]() as (first, second):
            return await asyncio.wait_for(story(first, second), 20)

    return asyncio.run(main())


def pool(name: str) -> Key:
    """A cluster-scoped key."""
    return Key("IPPool", name)


def value(key: Key, **spec: Any) -> dict[str, Any]:
    """An object for a key."""
    metadata = {"name": key.name} | ({"namespace": key.namespace} if key.namespace else {})
    return {"apiVersion": "projectcalico.org/v3", "kind": key.kind, "metadata": metadata, "spec": spec}
