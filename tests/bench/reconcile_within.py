"""One reconciler over a mirror, in a process of its own: looks whenever a line comes, and prints what it cost as JSON.

Called by `reconciling.py`: the reader gives up rights for ever, so whoever pushes must be another process. The
datastore is the one that the environment names; every request to it is counted on the way.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from random import Random
from typing import Any, cast

from muslin.datastore.configuration import Asked, settings_of
from muslin.datastore.opening import open_store
from muslin.datastore.protocol import Datastore
from muslin.datastore.settings import unpaced
from reconciler import garbage
from reconciler.controller import Controller, Settings
from reconciler.source import GitSource

_REQUESTS = ("get", "list", "create", "update", "delete", "apply", "owners")


class _Counted:
    """A datastore whose requests are counted; everything else is the datastore's own."""

    def __init__(self, store: Datastore) -> None:
        self._store, self.requests = store, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._counted(found) if name in _REQUESTS else found

    def _counted(self, ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(ask)
        async def asked(*arguments: Any, **named: Any) -> Any:
            self.requests += 1
            return await ask(*arguments, **named)

        return asked


async def _lines() -> AsyncIterator[str]:
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line.strip()


async def _main(mirror: Path) -> None:
    garbage.seldom()
    opened = await open_store(unpaced(settings_of(Asked(), os.environ)), make=True)
    store, source = _Counted(opened), GitSource(mirror)
    controller = Controller(
        cast("Datastore", store), source, Settings(), random=Random(1), now=lambda: datetime.now(UTC),
        tell=lambda _: None, looked=garbage.after_the_first(lambda *_: None),
    )  # fmt: skip
    deeds: dict[str, Callable[[], Awaitable[Any]]] = {"once": controller.once, "look": controller.look}
    try:
        async for line in _lines():
            store.requests, parses = 0, source.parses
            began, cpu = time.perf_counter(), time.process_time()
            await deeds[line]()
            told: dict[str, Any] = {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}
            told |= {"requests": store.requests, "parses": source.parses - parses}
            told["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            status = controller.last
            told["applied"] = status.applied if status is not None else None
            print(json.dumps(told), flush=True)
    finally:
        await source.close()
        await opened.close()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
