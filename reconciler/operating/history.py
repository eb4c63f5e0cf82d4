"""What a reconciler has done and why, who asked for it and when: the ReconcilerHistory object of a set.

A history is for people. It is written after the deed, beside it, and never waited for: a store that does not take it
holds up nothing, and what could not be written yet is written with the next record.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, NotFound
from muslin.errors import MuslinError
from muslin.resources.keys import Key
from reconciler.ledger import API_VERSION
from reconciler.status import Event, EventKind

__all__ = ["KIND", "LIMIT", "RECORDED", "History", "Record", "records"]

KIND: Final = "ReconcilerHistory"
LIMIT: Final = 200
"""So many records are kept, the latest."""

RECORDED: Final = frozenset(EventKind) - {
    EventKind.STARTED,
    EventKind.FETCH,
    EventKind.OBJECT_WRITTEN,
    EventKind.OBJECT_WAITS,
    EventKind.RETRY,
}
"""Events that are remembered. Single objects are not, except for those that were drift, failed or are not touched."""

_MAX_TEXT: Final = 300
_WAITING: Final = 400
"""So many records wait at most for a store that is away; then the oldest go."""


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened. `at` is RFC 3339, `reconcile` the id of the look, `who` the commit's author."""

    at: str
    reconcile: str
    event: str
    message: str
    commit: str | None = None
    who: str | None = None
    object: str | None = None


class History:
    """Remembers events of one set. `offer` is cheap and never waits; `run` writes.

    Args:
        datastore: where the object is.
        set_name: of the reconciler.
        run_id: what the ids of this process's looks begin with.
        now: wall clock.
        who: gives a commit's author, None where it is not known.
    """

    def __init__(
        self,
        datastore: Datastore,
        set_name: str,
        *,
        run_id: str,
        now: Callable[[], datetime],
        who: Callable[[str], str | None],
    ) -> None:
        self._datastore = datastore
        self._key = Key(KIND, set_name)
        self._run_id = run_id
        self._now = now
        self._who = who
        self._waiting: deque[Record] = deque(maxlen=_WAITING)
        self._news = asyncio.Event()

    def offer(self, event: Event) -> None:
        """Remember an event if it is one that is remembered."""
        if event.kind not in RECORDED:
            return
        at = self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        who = self._who(event.commit) if event.commit is not None else None
        key = str(event.key) if event.key is not None else None
        message = event.message if len(event.message) <= _MAX_TEXT else f"{event.message[: _MAX_TEXT - 3]}..."
        self._waiting.append(
            Record(at, f"{self._run_id}-{event.reconcile}", event.kind.value, message, event.commit, who, key)
        )
        self._news.set()

    async def run(self, retry_s: float = 5.0) -> None:
        """Write what is offered, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                try:
                    await self.flush()
                except MuslinError:
                    await asyncio.sleep(retry_s)

    async def flush(self) -> None:
        """Write what waits, now. Raises what the datastore raises; what waits then still waits."""
        while self._waiting:
            batch = tuple(self._waiting)
            entry = await self._entry()
            there = _stored(entry)
            # a write of ours may have arrived although its answer was lost, or although we were stopped meanwhile
            new = [each for each in map(_json, batch) if each not in there]
            kept = [*there, *new][-LIMIT:]
            try:
                if entry is None:
                    await self._datastore.create(self._key, self._object(kept))
                elif new:
                    await self._datastore.update(self._key, self._object(kept), entry.revision)
            except (AlreadyExists, Conflict, NotFound):
                # another process of this set wrote: begin again with what it wrote
                continue
            for each in batch:
                if self._waiting and self._waiting[0] is each:
                    self._waiting.popleft()

    async def _entry(self) -> Entry | None:
        try:
            return await self._datastore.get(self._key)
        except NotFound:
            return None

    def _object(self, kept: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": self._key.name},
            "spec": {"records": json.loads(json.dumps(kept))},
        }


async def records(datastore: Datastore, set_name: str) -> tuple[Record, ...]:
    """What is remembered of one set, the oldest first; records that make no sense are left out."""
    try:
        entry = await datastore.get(Key(KIND, set_name))
    except NotFound:
        return ()
    return tuple(each for each in map(_record, _stored(entry)) if each is not None)


def _json(record: Record) -> dict[str, str]:
    return {name: value for name, value in asdict(record).items() if value is not None}


def _stored(entry: Entry | None) -> list[Mapping[str, Any]]:
    spec = entry.value.get("spec") if entry is not None else None
    found = spec.get("records") if isinstance(spec, Mapping) else None
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _record(stored: Mapping[str, Any]) -> Record | None:
    texts = {name: value for name in Record.__dataclass_fields__ if isinstance(value := stored.get(name), str)}
    return Record(**texts) if {"at", "reconcile", "event", "message"} <= texts.keys() else None
