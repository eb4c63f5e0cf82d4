"""What is there: a copy of all objects of some kinds with their revisions, kept by list and watch.

Raw JSON, because whoever writes needs the revision and the fields that he does not know. The canonical form of each
object is computed once a revision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from random import Random
from types import MappingProxyType

from muslin.datastore.protocol import (
    Bookmark,
    Change,
    Compacted,
    Conflict,
    Datastore,
    Entry,
    Json,
    NotFound,
    Revision,
)
from muslin.errors import Unavailable
from muslin.resources.keys import Key
from reconciler.compare import canonical
from reconciler.loop import Backoff, Loop

__all__ = ["Live", "listed"]

_PAGE = 500


async def listed(datastore: Datastore, kinds: Collection[str]) -> tuple[dict[Key, Entry], Revision | None]:
    """All objects of these kinds, and the revision of the first list: a watch from it misses nothing."""
    entries: dict[Key, Entry] = {}
    revision: Revision | None = None
    for kind in sorted(kinds):
        after: str | None = None
        while True:
            listing = await datastore.list(kind, limit=_PAGE, after=after)
            revision = revision or listing.revision
            entries.update({entry.key: entry for entry in listing.entries})
            after = listing.more
            if after is None:
                break
    return entries, revision


class Live:
    """The copy. Run `run` as a task; nothing is complete before `in_sync` is set. `version` grows with each change.

    Args:
        datastore: to list and watch.
        kinds: which kinds.
        random: jitter of retries.
        changed: called after each change that is not our own write.
    """

    def __init__(
        self, datastore: Datastore, kinds: Collection[str], *, random: Random, changed: Callable[[], None]
    ) -> None:
        self._datastore = datastore
        self._kinds = tuple(sorted(kinds))
        self._changed = changed
        self._entries: dict[Key, Entry] = {}
        self._canonical: dict[Key, tuple[Revision, Json]] = {}
        self._awaited: dict[Key, Revision | None] = {}
        self._told: dict[Key, list[Revision | None]] = {}
        self._loop = Loop(
            self._follow,
            random=random,
            backoff=Backoff(first_s=0.05, limit_s=5.0),
            retryable=(Unavailable, Conflict, Compacted),
        )
        self.in_sync = asyncio.Event()
        self.version = 0

    @property
    def entries(self) -> Mapping[Key, Entry]:
        """Mapping[Key, Entry]: every object of the kinds."""
        return MappingProxyType(self._entries)

    async def run(self) -> None:
        """Keep the copy, for ever; a datastore that is away leaves the last copy standing."""
        await self._loop.run()

    def canonical(self, entry: Entry) -> Json:
        """The canonical JSON of an entry, computed once a revision."""
        known = self._canonical.get(entry.key)
        if known is None or known[0] != entry.revision:
            known = self._canonical[entry.key] = (entry.revision, canonical(entry.value))
        return known[1]

    def about_to_write(self) -> None:
        """Remember what the watch tells from now on: it may tell our own write before the write's answer is here."""
        self._told.clear()

    def wrote(self, key: Key, entry: Entry | None) -> None:
        """Take over what we wrote ourselves (None: deleted), before the watch tells it.

        Until the watch has told it, older news about this object are not believed.
        """
        if (entry.revision if entry is not None else None) in self._told.get(key, ()):
            return
        self._awaited[key] = entry.revision if entry is not None else None
        self._put(key, entry)

    async def refresh(self, keys: Iterable[Key]) -> None:
        """Ask for these objects themselves, where the watch may be behind what a process before us wrote.

        Raises `Unavailable`.
        """
        self.about_to_write()
        for key in keys:
            known = self._revision_of(key)
            try:
                entry: Entry | None = await self._datastore.get(key)
            except NotFound:
                entry = None
            if (entry.revision if entry is not None else None) != known:
                self.wrote(key, entry)

    def _revision_of(self, key: Key) -> Revision | None:
        entry = self._entries.get(key)
        return None if entry is None else entry.revision

    async def _follow(self) -> None:
        """List, then watch until the watch ends. One that had come into sync ends without blame: list again at once."""
        entries, revision = await listed(self._datastore, self._kinds)
        assert revision is not None
        different = entries != self._entries
        if different:
            self.version += 1
            self._entries = entries
        self._awaited.clear()
        self._told.clear()
        self._canonical = {key: known for key, known in self._canonical.items() if key in entries}
        caught_up = False
        try:
            async for event in self._datastore.watch(self._kinds, revision):
                if isinstance(event, Bookmark):
                    if not caught_up and (different or not self.in_sync.is_set()):
                        self.in_sync.set()
                        self._changed()
                    caught_up = True
                elif self._take(event) and caught_up:
                    self._changed()
        except (Unavailable, Compacted):
            if not caught_up:
                raise
        if caught_up:
            self._loop.wake()

    def _take(self, change: Change) -> bool:
        """Put a change into the copy; False for what we knew already."""
        self._told.setdefault(change.key, []).append(None if change.value is None else change.revision)
        if change.key in self._awaited:
            awaited = self._awaited[change.key]
            if (change.value is None and awaited is None) or (change.value is not None and change.revision == awaited):
                del self._awaited[change.key]
            return False
        known = self._entries.get(change.key)
        if known is not None and change.value is not None and known.revision == change.revision:
            return False
        if known is None and change.value is None:
            return False
        self._put(change.key, None if change.value is None else Entry(change.key, change.value, change.revision))
        return True

    def _put(self, key: Key, entry: Entry | None) -> None:
        self.version += 1
        if entry is None:
            self._entries.pop(key, None)
            self._canonical.pop(key, None)
        else:
            self._entries[key] = entry
