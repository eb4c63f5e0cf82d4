"""What reconcilers say of where their writes begin and end (ReconcilerBatch), and how long policy is held for it.

Policies of one push reach the datastore one by one. Two that allow different flows of one workload would, taken one
at a time, cut each other's flows for a moment. So while a batch is open, changes of policy are held, and are taken
together once it is closed and all of it is here. Whoever writes without a batch is not waited for. A reconciler that
dies in between is waited for only as long as it might still be writing, and never again for the same batch. Where
nobody can be heard (no right to read, a datastore that is away), policy is taken once it has been quiet for a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from muslin.datastore.protocol import Bookmark, Datastore, Json
from muslin.errors import MuslinError
from reconciler.loop import Backoff, Loop

__all__ = ["KIND", "Batch", "Batches", "Hold"]

KIND: Final = "ReconcilerBatch"

_SILENT_S: Final = 0.25
"""An open batch of which nothing has been heard for so long is not waited for any more."""
_AT_MOST_S: Final = 5.0
"""Nor is any change of policy held for longer."""
_POD_WAITS_S: Final = 0.25
"""Nor for longer than this while a pod of this node waits: it must not come in by policy that is known to be old."""
_SETTLE_S, _SETTLE_AT_MOST_S = 0.02, 0.25
"""Where no mark tells: policy is taken once it has been quiet for the first of these times, and no later than the
second after its first change."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a set's reconciler said last. `newest`: the newest revision of each kind in a closed one."""

    set_name: str
    number: int
    open: bool
    newest: Mapping[str, int]
    removes: bool
    heard_at: float


def read(name: str, value: Json, now: float) -> Batch | None:
    """A mark as a batch; None for what is none, which holds nothing up."""
    spec = value.get("spec")
    if not isinstance(spec, Mapping) or not isinstance(number := spec.get("number"), int):
        return None
    given = spec.get("newest")
    newest = {
        str(kind): int(text)
        for kind, text in (given.items() if isinstance(given, Mapping) else ())
        if isinstance(text, str) and text.isdecimal() and len(text) < 20
    }
    return Batch(name, number, spec.get("state") == "open", newest, spec.get("removes") is True, now)


class Batches:
    """Follows the marks of all sets. Run `run` as a task.

    Args:
        datastore: where they are.
        random: where jitter comes from.
        moved: called when one says something else.

    Attributes:
        heard: whether what is said can be heard now.
    """

    def __init__(self, datastore: Datastore, *, random: Random, moved: Callable[[], None]) -> None:
        self._datastore, self._moved = datastore, moved
        self._batches: dict[str, Batch] = {}
        self.heard = False
        self._loop = Loop(
            self._follow, random=random, backoff=Backoff(first_s=0.2, limit_s=10.0), retryable=(MuslinError,)
        )

    @property
    def known(self) -> Iterable[Batch]:
        """The last of each set."""
        return self._batches.values()

    async def run(self) -> None:
        """Follow for ever."""
        await self._loop.run()

    async def _follow(self) -> None:
        """List, then watch. What is open when we come is not waited for: nobody knows for how long it has been."""
        try:
            listing = await self._datastore.list(KIND)
            self._batches.clear()
            async for event in self._datastore.watch((KIND,), listing.revision):
                if isinstance(event, Bookmark):
                    if not self.heard:
                        self.heard = True
                        self._moved()
                    continue
                found = None if event.value is None else read(event.key.name, event.value, _now())
                if found is None:
                    self._batches.pop(event.key.name, None)
                else:
                    self._batches[event.key.name] = found
                self._moved()
        finally:
            self.heard = False
            self._moved()
        self._loop.wake()


class Hold:
    """Decides until when a change of policy is held. Pure: time is given.

    Args:
        has_seen: whether the copy has all of a kind up to a revision.
    """

    def __init__(self, has_seen: Callable[[str, int], bool]) -> None:
        self._has_seen = has_seen
        self._given_up: dict[str, int] = {}
        self._since: float | None = None
        self._pod_since: float | None = None
        self._moved_at = 0.0
        self._version = 0

    def until(
        self, version: int, now: float, batches: Iterable[Batch], *, heard: bool, pods: bool = False
    ) -> float | None:
        """When to decide again at the latest; None: policy is taken now.

        Args:
            version: grows with each change of policy that is not taken yet.
            now: seconds, on a clock that never goes back.
            batches: the last of each set.
            heard: whether batches can be heard.
            pods: whether a pod of this node waits for it.
        """
        if self._since is None:
            self._since = now
        if pods and self._pod_since is None:
            self._pod_since = now
        if version != self._version:
            self._version, self._moved_at = version, now
        if not heard:
            until = min(self._moved_at + _SETTLE_S, self._since + _SETTLE_AT_MOST_S)
        else:
            until = now
            for each in batches:
                known = self._given_up.get(each.set_name) == each.number
                waited = None if known else self._until(each, self._since)
                if waited is not None and waited <= now:
                    self._given_up[each.set_name] = each.number
                until = max(until, waited or now)
        if self._pod_since is not None:
            until = min(until, self._pod_since + _POD_WAITS_S)
        if now < until:
            return until
        self._since = self._pod_since = None
        return None

    def _until(self, batch: Batch, since: float) -> float | None:
        """Until when this one is waited for, None if it is not."""
        lately = max(batch.heard_at, self._moved_at)
        longest = since + _AT_MOST_S
        if batch.open or not all(self._has_seen(kind, revision) for kind, revision in batch.newest.items()):
            return min(lately + _SILENT_S, longest)
        # revisions do not tell whether a removal has been seen
        return min(self._moved_at + _SETTLE_S, longest) if batch.removes and _is_fresh(batch, self._moved_at) else None


def _is_fresh(batch: Batch, moved_at: float) -> bool:
    """Whether policy that moved at this time may be part of a batch that was closed."""
    return moved_at <= batch.heard_at + _SETTLE_S


def _now() -> float:
    return asyncio.get_running_loop().time()
