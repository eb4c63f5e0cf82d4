"""A datastore in memory for simulations and tests: same meaning as the others, on the running loop's clock.

Several clients share one `History`, each with its own faults, so that a simulation can cut one agent off, lose the
answer of another's write, slow a watch down, or compact under a watch. With the same history of calls and the same
faults it does the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from muslin.datastore.history import History
from muslin.datastore.protocol import Bookmark, Change, Entry, Json, Listing, MaybeDone, Revision
from muslin.errors import Failed, Problem, Unavailable
from muslin.resources.keys import Key

__all__ = ["Call", "Fault", "Faults", "MemoryDatastore", "Operation", "no_faults"]

_T = TypeVar("_T")


class Operation(Enum):
    """What a client asks; `DELIVER` is one change about to be given to a watch."""

    GET = "get"
    LIST = "list"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    WATCH = "watch"
    DELIVER = "deliver"


@dataclass(frozen=True, slots=True)
class Call:
    """What is about to happen: the operation, and the object or the kind it is about."""

    operation: Operation
    key: Key | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one call.

    Attributes:
        delay_s: before the store sees it.
        refused: `Unavailable`, and the store never saw it.
        answer_lost: the store did it; `MaybeDone` for a write, `Unavailable` for a read.
        answer_delay_s: between the deed and its answer.
    """

    delay_s: float = 0.0
    refused: bool = False
    answer_lost: bool = False
    answer_delay_s: float = 0.0


Faults = Callable[[Call], Fault]
"""Asked once for each call, in the order of the calls."""

_NONE = Fault()
_WRITES = (Operation.CREATE, Operation.UPDATE, Operation.DELETE)


def no_faults(_: Call) -> Fault:
    """Nothing goes wrong."""
    return _NONE


class _Shared:
    """What all clients of one store have in common."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.changed = asyncio.Event()

    def announce(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class MemoryDatastore:
    """`Datastore` in memory.

    Args:
        faults: of this client; assign `client.faults` to change them.
        history: the state; an empty one unless handed in.
    """

    def __init__(self, faults: Faults = no_faults, history: History | None = None) -> None:
        self.faults = faults
        self._shared = _Shared(history or History())
        self._watches = asyncio.Event()
        self._closed = False

    def client(self, faults: Faults = no_faults) -> MemoryDatastore:
        """Another client of the same store, as another process would have."""
        other = MemoryDatastore(faults)
        other._shared = self._shared
        return other

    @property
    def history(self) -> History:
        """The state, for a test's own eyes."""
        return self._shared.history

    async def get(self, key: Key) -> Entry:
        """See `Datastore.get`."""
        return await self._do(Call(Operation.GET, key), lambda: self.history.get(key))

    async def list(
        self, kind: str, *, namespace: str | None = None, limit: int | None = None, after: str | None = None
    ) -> Listing:
        """See `Datastore.list`. Later pages are of the first page's instant. Raises `Compacted` if that is too old."""
        return await self._do(
            Call(Operation.LIST, kind=kind),
            lambda: self.history.list(kind, namespace=namespace, limit=limit, after=after),
        )

    async def create(self, key: Key, value: Json) -> Entry:
        """See `Datastore.create`."""
        return await self._do(Call(Operation.CREATE, key), lambda: self.history.create(key, value))

    async def update(self, key: Key, value: Json, revision: Revision) -> Entry:
        """See `Datastore.update`."""
        return await self._do(Call(Operation.UPDATE, key), lambda: self.history.update(key, value, revision))

    async def delete(self, key: Key, revision: Revision | None = None) -> Entry:
        """See `Datastore.delete`."""
        return await self._do(Call(Operation.DELETE, key), lambda: self.history.delete(key, revision))

    async def watch(self, kinds: Collection[str], after: Revision) -> AsyncIterator[Change | Bookmark]:
        """See `Datastore.watch`. The first bookmark comes as soon as the watch has caught up."""
        wanted, dropped, marked = frozenset(kinds), self._watches, -1
        position = await self._do(Call(Operation.WATCH), lambda: self.history.check_after(after))
        while not self._closed:
            changed = self._shared.changed
            while position < self.history.head:
                self.history.check_after(str(position))
                change = self.history.change(position + 1)
                position += 1
                if change.key.kind not in wanted:
                    continue
                fault = self.faults(Call(Operation.DELIVER, change.key))
                if fault.delay_s:
                    await asyncio.sleep(fault.delay_s)
                if fault.refused or dropped.is_set():
                    raise _unavailable("the watch broke off")
                yield change
            self.history.check_after(str(position))
            if position != marked:
                marked = position
                yield Bookmark(Revision(str(position)))
                continue
            await _first(changed, dropped)
            if dropped.is_set() and not self._closed:
                raise _unavailable("the watch broke off")

    def drop_watches(self) -> None:
        """Every watch of this client now raises `Unavailable`."""
        watches, self._watches = self._watches, asyncio.Event()
        watches.set()

    async def compact(self, keep: int = 0) -> None:
        """Forget all changes but the last `keep`; a watch that is further behind raises `Compacted`."""
        self.history.compact(keep)
        self._shared.announce()

    async def close(self) -> None:
        """See `Datastore.close`. The other clients and the state live on."""
        self._closed = True
        self.drop_watches()

    async def _do(self, call: Call, deed: Callable[[], _T]) -> _T:
        if self._closed:
            raise Failed(Problem("the datastore is closed", "memory", "open it again"))
        fault = self.faults(call)
        await asyncio.sleep(fault.delay_s)  # even 0 lets others go first, as a real store would
        if fault.refused:
            raise _unavailable("the datastore does not answer")
        before = self.history.head
        try:
            result = deed()
        finally:
            if self.history.head != before:
                self._shared.announce()
        if fault.answer_delay_s:
            await asyncio.sleep(fault.answer_delay_s)
        if fault.answer_lost:
            if call.operation in _WRITES and call.key is not None:
                raise MaybeDone(call.key, "the fault asked for it")
            raise _unavailable("the datastore's answer was lost")
        return result


def _unavailable(what: str) -> Unavailable:
    return Unavailable(Problem(what, "memory", "try again"))


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
