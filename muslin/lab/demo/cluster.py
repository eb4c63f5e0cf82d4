"""The cluster seen through its datastore: read, change by hand, wait for what must become true. Never polls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.protocol import Change, Entry, Json
from muslin.errors import Failed, Problem
from muslin.resources.keys import Key
from reconciler.status import KIND as RECONCILER_STATUS
from runtime.node_status import APPLIED_REVISION

__all__ = ["Cluster"]

_T = TypeVar("_T")
_Objects = Mapping[Key, Json]


class Cluster:
    """A lab's cluster with the nodes of these names."""

    def __init__(self, store: EmbeddedDatastore, nodes: Sequence[str]) -> None:
        self.store, self.nodes = store, tuple(nodes)

    async def until(
        self, kinds: Sequence[str], found: Callable[[_Objects], _T | None], what: str, limit_s: float
    ) -> _T:
        """Wait until `found` gives something for the objects of these kinds; gives that.

        Raises:
            Failed: it did not within `limit_s`.
        """
        objects: dict[Key, Json] = {}
        try:
            async with asyncio.timeout(limit_s):
                listings = [await self.store.list(kind) for kind in kinds]
                for listing in listings:
                    objects.update({entry.key: entry.value for entry in listing.entries})
                if (result := found(objects)) is not None:
                    return result
                async for event in self.store.watch(kinds, listings[0].revision):
                    if not isinstance(event, Change):
                        continue
                    if event.value is None:
                        objects.pop(event.key, None)
                    else:
                        objects[event.key] = event.value
                    if (result := found(objects)) is not None:
                        return result
        except TimeoutError:
            pass
        raise Failed(Problem(f"{what} did not happen in {limit_s:g} s", "the lab", "see the logs in its folder"))

    async def sessions_up(self, limit_s: float = 40.0) -> int:
        """Wait until every node reports all its sessions established; gives how many ends that are."""

        def found(objects: _Objects) -> int | None:
            reports = [(value.get("status") or {}).get("bgp") or {} for value in objects.values()]
            up = [int(report.get("numberEstablishedV4", 0)) for report in reports]
            wanted = len(self.nodes) - 1
            return sum(up) if len(up) == len(self.nodes) and all(number == wanted for number in up) else None

        return await self.until(["CalicoNodeStatus"], found, "BGP sessions between all nodes", limit_s)

    async def applied(self, commit: str, limit_s: float = 40.0) -> Json:
        """Wait until the reconciler has applied this commit whole; gives its status."""

        def found(objects: _Objects) -> Json | None:
            status = _status(objects)
            return status if status.get("applied") == commit and not status.get("held") else None

        return await self.until([RECONCILER_STATUS], found, f"commit {commit[:12]} applied", limit_s)

    async def held(self, commit: str, limit_s: float = 40.0) -> Json:
        """Wait until the reconciler holds this commit; gives its status."""

        def found(objects: _Objects) -> Json | None:
            status = _status(objects)
            return status if (status.get("held") or {}).get("commit") == commit else None

        return await self.until([RECONCILER_STATUS], found, f"commit {commit[:12]} held", limit_s)

    async def enforced(self, key: Key, limit_s: float = 30.0) -> None:
        """Wait until every node's kernel has what this object says now."""
        entry = await self.store.get(key)
        await self.caught_up(entry, limit_s)

    async def caught_up(self, entry: Entry, limit_s: float = 30.0) -> None:
        """Wait until every node's kernel has this revision, or a later one."""

        def found(objects: _Objects) -> bool | None:
            applied = [int(_annotations(value).get(APPLIED_REVISION, -1)) for value in objects.values()]
            return True if len(applied) == len(self.nodes) and min(applied) >= int(entry.revision) else None

        await self.until(["CalicoNodeStatus"], found, f"{entry.key} in every kernel", limit_s)

    async def everything(self, kinds: Sequence[str]) -> dict[Key, str]:
        """Mapping[key, revision] of all objects of these kinds: equal before and after means that nothing changed."""
        return {entry.key: str(entry.revision) for kind in kinds for entry in (await self.store.list(kind)).entries}


def _annotations(value: Json) -> Mapping[str, Any]:
    return (value.get("metadata") or {}).get("annotations") or {}


def _status(objects: _Objects) -> Mapping[str, Any]:
    for value in objects.values():
        return value.get("status") or {}
    return {}
