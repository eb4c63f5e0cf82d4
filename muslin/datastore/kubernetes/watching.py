"""One watch over several resources of the API: each on a connection of its own, merged as they come.

Each resource's events are in order, none lost, none twice; events of two resources have no order among each other. So
a revision that this watch hands out holds a number for each resource (`positions`), and a watch that begins there goes
on exactly.

The first bookmark comes when every resource has caught up with the instant at which the watch began. A resource that
was at that instant already has. Another is asked for a connection of three seconds, for the server sends a bookmark two
seconds before it ends one; where even that does not come (servers whose cache does not follow etcd), the end of that
time counts. A resource that is not there (its CRD is not installed) is looked for now and then; once it is there the
watch ends as `Compacted`, so that whoever watches lists it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final, cast

from muslin.conversion.kinds import NAMED_POLICIES
from muslin.conversion.reading import metadata_of
from muslin.datastore.kubernetes.listing import head
from muslin.datastore.kubernetes.positions import positioned, starts
from muslin.datastore.kubernetes.refusals import said, translated
from muslin.datastore.kubernetes.views import Source, View
from muslin.datastore.protocol import Bookmark, Change, Compacted, NotFound, Revision
from muslin.errors import Failed, MuslinError, Problem
from muslin.kubernetes import errors as api
from muslin.kubernetes.client import EventType, KubernetesClient, WatchEvent

__all__ = ["MergedWatch"]

_WAITING: Final = 64
"""Events of all resources that wait for a slow reader; beyond that the connections are not read."""
_SHORT_S: Final = 3
_SHORT_AT_MOST_S: Final = 5.0
_LOOK_AGAIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Told:
    """What a resource's connection brought."""

    path: str
    event: WatchEvent


@dataclass(frozen=True, slots=True)
class _CaughtUp:
    """A resource has brought everything up to the instant at which the watch began."""

    path: str


@dataclass(frozen=True, slots=True)
class _Gone:
    """A resource is not served any more."""

    path: str


class _End:
    """The datastore is closed."""


_Item = _Told | _CaughtUp | _Gone | _End | MuslinError


class MergedWatch:
    """A watch of these views after a revision; iterate `changes` once.

    Args:
        client: of the API.
        views: of the kinds.
        after: as in `Datastore.watch`.
        patience_s: how long to be without a connection before whoever watches is told that what it knows is old.
    """

    def __init__(
        self, client: KubernetesClient, views: Sequence[View], after: Revision, *, patience_s: float = 10.0
    ) -> None:
        self._client, self._views, self._after, self._patience_s = client, views, after, patience_s
        self._items: asyncio.Queue[_Item] = asyncio.Queue(_WAITING)
        self._heads: Mapping[str, int | None] = {}
        self._readers: dict[str, list[tuple[View, Source]]] = {}
        self._pumps: list[asyncio.Future[None]] = []
        self._ended = False

    async def end(self) -> None:
        """The watch ends, also for a reader that waits; its connections are closed."""
        self._ended = True
        await self._stop()
        while True:
            with suppress(asyncio.QueueFull):
                self._items.put_nowait(_End())
                return
            with suppress(asyncio.QueueEmpty):
                self._items.get_nowait()

    async def _stop(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def changes(self) -> AsyncGenerator[Change | Bookmark]:
        """See `Datastore.watch`."""
        for view in self._views:
            for source in view.sources:
                self._readers.setdefault(source.path, []).append((view, source))
        paths = tuple(self._readers)
        at = starts(self._after, paths)
        self._heads = dict(zip(paths, await asyncio.gather(*(self._head(path) for path in paths)), strict=True))
        for path, newest in self._heads.items():
            if newest is None:
                del at[path]
            elif at[path] > newest:
                raise Compacted(self._after)  # another server's, or from before it was restored
        if self._ended:
            return
        self._pumps += [asyncio.ensure_future(self._pump(path, at.get(path))) for path in paths]
        try:
            async with aclosing(self._merged(at)) as merged:
                async for change in merged:
                    yield change
        finally:
            await self._stop()

    async def _merged(self, at: dict[str, int]) -> AsyncGenerator[Change | Bookmark]:
        late = {path for path, newest in self._heads.items() if newest is not None}
        marked: str | None = None
        while True:
            if not late:
                floor = str(min(at.values())) if at else str(self._after)
                if floor != marked:
                    marked = floor
                    yield Bookmark(positioned(floor, at))
            while True:
                item = await self._items.get()
                match item:
                    case _Told(path, event):
                        at[path] = _number(event, at[path])
                        if event.type is EventType.BOOKMARK:
                            break
                        for view, source in self._readers[path]:
                            for change in await _changes(view, source, event, at):
                                yield change
                    case _CaughtUp(path):
                        late.discard(path)
                        break
                    case _Gone(path):
                        late.discard(path)
                        at.pop(path, None)
                        break
                    case _End():
                        return
                    case _:
                        raise item

    # One resource each.

    async def _head(self, path: str) -> int | None:
        return await head(self._client, path)

    async def _pump(self, path: str, start: int | None) -> None:
        try:
            if start is not None:
                await self._follow(path, start)
                await self._items.put(_Gone(path))
            await self._appear(path)
            await self._items.put(Compacted(self._after))
        except (api.ApiError, api.NoAnswer) as error:
            await self._items.put(_told_as(error, path, self._after))
        except MuslinError as error:
            await self._items.put(error)
        except Exception as error:  # noqa: BLE001 - its reader must not wait for ever on what nobody reads
            what = f"the watch can't be read: {type(error).__name__}: {error}"
            told = Failed(Problem(what, path, "report this with what answers for the API"))
            told.__cause__ = error
            await self._items.put(told)

    async def _follow(self, path: str, start: int) -> None:
        """Hand on what comes, for ever; returns when the resource is not served any more."""
        newest = cast("int", self._heads[path])
        position = start
        try:
            if position < newest:
                position = await self._short(path, position, newest)
            await self._items.put(_CaughtUp(path))
            async for event in self._events(path, position, {}):
                await self._items.put(_Told(path, event))
        except api.NotFound:
            return

    async def _short(self, path: str, position: int, newest: int) -> int:
        """Hand on what comes until this is told to be all up to `newest`, or nothing comes; gives how far that is."""
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_SHORT_AT_MOST_S) as limit:
                async for event in self._events(path, position, {"timeoutSeconds": str(_SHORT_S)}):
                    limit.reschedule(None)  # a slow reader is no silent server
                    await self._items.put(_Told(path, event))
                    position = _number(event, position)
                    if position >= newest:
                        break
                    limit.reschedule(loop.time() + _SHORT_AT_MOST_S)
        return position

    async def _events(self, path: str, position: int, params: Mapping[str, str]) -> AsyncGenerator[WatchEvent]:
        watch: Any = self._client.watch(
            path, resource_version=str(position), params=params, patience_s=self._patience_s
        )
        async with aclosing(watch) as events:
            async for event in events:
                yield event

    async def _appear(self, path: str) -> None:
        """Return when the resource is served."""
        while True:
            await asyncio.sleep(_LOOK_AGAIN_S)
            with suppress(api.NoAnswer), said(path):
                if await head(self._client, path) is not None:
                    return


async def _changes(view: View, source: Source, event: WatchEvent, at: Mapping[str, int]) -> list[Change]:
    """What an event of a resource means for one of the kinds that are read from it."""
    name = metadata_of(event.object).get("name")
    found = []
    for entry in source.read(event.object):
        revision = positioned(entry.revision, at)
        if event.type is not EventType.DELETED:
            found.append(Change(entry.key, entry.value, revision, entry.problems))
            continue
        if entry.key.kind in NAMED_POLICIES and name != entry.key.name:
            # A policy that is moved from its old name to its own is created there before it goes here.
            with suppress(NotFound):
                await view.get(entry.key)
                continue
        found.append(Change(entry.key, None, revision))
    return found


def _number(event: WatchEvent, before: int) -> int:
    text = event.resource_version
    return int(text) if text.isdecimal() else before


def _told_as(error: api.ApiError | api.NoAnswer, path: str, after: Revision) -> MuslinError:
    told = Compacted(after) if isinstance(error, api.Expired) else translated(error, path)
    told.__cause__ = error
    return told
