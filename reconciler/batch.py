"""Tells agents where a set of writes begins and where it has ended: the ReconcilerBatch object of a set.

Two policies of one push that allow different flows of one workload would, taken one at a time, cut each other's flows
for a moment. So before the first of several writes that agents take as policy the object says `open`, and after the
last `closed`, with the newest revision of each kind: stores that tell one kind before another must not make the end
look earlier than what it is the end of. It is a mark and nothing more: one that can't be written changes nothing
but that agents take the writes as they come.

A batch is what is taken between two gates, all its levels together: gates wait until agents have applied what is
written, so a batch has ended before the next one begins, and order across gates stays. One write alone needs no mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, NotFound
from muslin.errors import MuslinError
from muslin.resources.keys import Key
from reconciler.ledger import API_VERSION
from reconciler.plan import Step

__all__ = ["KIND", "TAKEN_AS_POLICY", "Batch"]

KIND: Final = "ReconcilerBatch"

TAKEN_AS_POLICY: Final = frozenset(
    {"Tier", "GlobalNetworkPolicy", "NetworkPolicy", "GlobalNetworkSet", "NetworkSet", "Profile", "HostEndpoint"}
)
"""Kinds that agents hold back while a batch is open."""


class Batch:
    """The mark around the writes of these steps; nothing is written where there are fewer than two.

    Args:
        datastore: where.
        set_name: whose.
        steps: that are about to be taken.
    """

    def __init__(self, datastore: Datastore, set_name: str, steps: list[Step]) -> None:
        self._datastore, self._set = datastore, set_name
        self._key = Key(KIND, set_name)
        about = [step for step in steps if step.writes and step.key.kind in TAKEN_AS_POLICY]
        self._count, self._removes = len(about), any(step.deletes for step in about)
        self._entry: Entry | None = None
        self._number = 0
        self._newest: dict[str, int] = {}

    async def begin(self) -> None:
        """Say that writes follow. Returns when agents can know it."""
        if self._count < 2:
            return
        with suppress(MuslinError):
            try:
                current: Entry | None = await self._datastore.get(self._key)
            except NotFound:
                current = None
            try:
                await self._open(current)
            except (AlreadyExists, Conflict) as error:
                await self._open(error.current)  # of a predecessor that still runs: what we say is newer

    def wrote(self, key: Key, entry: Entry | None) -> None:
        """One of the writes has happened (None: a removal)."""
        if entry is not None and key.kind in TAKEN_AS_POLICY and entry.revision.isdecimal():
            self._newest[key.kind] = max(self._newest.get(key.kind, 0), int(entry.revision))

    async def end(self) -> None:
        """Say that all has happened that will."""
        if self._entry is None:
            return
        entry, self._entry = self._entry, None
        newest = {kind: str(revision) for kind, revision in sorted(self._newest.items())}
        ended = {"state": "closed", "newest": newest, "removes": self._removes}
        with suppress(MuslinError):
            await self._datastore.update(self._key, self._value(ended), entry.revision)

    async def _open(self, current: Entry | None) -> None:
        self._number = 1 + (_number(current.value) if current is not None else 0)
        value = self._value({"state": "open"})
        if current is None:
            self._entry = await self._datastore.create(self._key, value)
        else:
            self._entry = await self._datastore.update(self._key, value, current.revision)

    def _value(self, said: Mapping[str, Any]) -> dict[str, Any]:
        spec = {"set": self._set, "number": self._number, "writes": self._count, **said}
        return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": self._key.name}, "spec": spec}


def _number(value: Mapping[str, Any]) -> int:
    spec = value.get("spec")
    number = spec.get("number") if isinstance(spec, Mapping) else None
    return number if isinstance(number, int) else 0
