"""One of several reconcilers acts: a lease in the datastore, taken and kept by compare-and-swap.

No two clocks are compared. Who waits takes the lease only after it has seen it unchanged for its whole duration on
its own clock; who leads stops before its own duration is over. Two that lead nevertheless (a process that was paused)
do no harm: every write of a reconciler is compared with what it has read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from muslin.datastore.protocol import (
    AlreadyExists,
    Bookmark,
    Compacted,
    Conflict,
    Datastore,
    Entry,
    Json,
    NotFound,
    Revision,
)
from muslin.datastore.protocol import Change as Written
from muslin.errors import Unavailable
from muslin.resources.keys import Key
from reconciler.ledger import API_VERSION

__all__ = ["KIND", "Change", "Election", "Timings"]

KIND: Final = "ReconcilerLease"
_NOBODY: Final = ""


class Change(StrEnum):
    """What became of us, told once each time."""

    WAITING = "Waiting"
    LEADING = "Leading"
    LOST = "Lost"


@dataclass(frozen=True, slots=True)
class Timings:
    """How long a lease is good for without being renewed, how often it is, and how soon a failure is tried again.

    Seconds. Who leads gives up `renew_s` before the lease may be taken by others.
    """

    duration_s: float = 15.0
    renew_s: float = 4.0
    retry_s: float = 1.0


class Election:
    """Takes part for one set.

    Args:
        datastore: where the lease is.
        name: of the lease: the set's name.
        holder: who we are, different for every process, for example host name and process id.
        now: wall clock, for people who read the lease; nothing is decided by it.
        tell: is told what became of us, and by whom the lease is held.
        timings: how long and how often.
    """

    def __init__(
        self,
        datastore: Datastore,
        name: str,
        holder: str,
        *,
        now: Callable[[], datetime],
        tell: Callable[[Change, str], None],
        timings: Timings | None = None,
    ) -> None:
        self._datastore = datastore
        self._key = Key(KIND, name)
        self._holder = holder
        self._now = now
        self._tell = tell
        self._timings = timings or Timings()
        self._mine: Entry | None = None
        self._good_until = 0.0
        self._stopping = asyncio.Event()

    @property
    def leading(self) -> bool:
        """Whether we hold the lease, and still may act on it."""
        return self._mine is not None

    def stop(self) -> None:
        """Let `run` return if we only wait; who leads is ended by `lead` itself, and gives the lease away."""
        self._stopping.set()

    async def run(self, lead: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait for the lease, then run `lead` while it is ours; until `lead` returns by itself, or `stop`.

        `lead` is cancelled when the lease is lost, and started anew when it is won again. Errors of `lead` are raised.
        """
        while not self._stopping.is_set():
            if not await self._either(self._win()):
                return
            acting, keeping = asyncio.ensure_future(lead()), asyncio.ensure_future(self._keep())
            try:
                await asyncio.wait((acting, keeping), return_when=asyncio.FIRST_COMPLETED)
                if acting.done():
                    acting.result()
                    return
            finally:
                for each in (acting, keeping):
                    each.cancel()
                await asyncio.gather(acting, keeping, return_exceptions=True)
                await self._give_away()
            self._tell(Change.LOST, self._key.name)

    async def _either(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether `work` ended before `stop`."""
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            return working.done()
        finally:
            for each in (working, stopping):
                each.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    async def _win(self) -> None:
        """Until the lease is ours."""
        clock = asyncio.get_running_loop().time
        seen: Revision | None = None
        seen_at, told = 0.0, None
        while True:
            began = clock()
            try:
                entry = await self._found()
                if entry is None:
                    return self._won(await self._datastore.create(self._key, self._lease(None)), began)
                if entry.revision != seen:
                    # its holder may have written it until just now, so its duration counts from now
                    seen, seen_at = entry.revision, clock()
                holder = str(_spec(entry).get("holder") or _NOBODY)
                if holder == _NOBODY or clock() >= seen_at + self._timings.duration_s:
                    return self._won(await self._datastore.update(self._key, self._lease(entry), entry.revision), began)
                if holder != told:
                    told = holder
                    self._tell(Change.WAITING, holder)
                await self._changed(entry, seen_at + self._timings.duration_s)
            except (AlreadyExists, Conflict, NotFound, Compacted):
                # somebody was first; the next look shows who. A pause, because two that race must not spin.
                await asyncio.sleep(self._timings.retry_s / 10)
            except Unavailable:
                await asyncio.sleep(self._timings.retry_s)

    async def _found(self) -> Entry | None:
        try:
            return await self._datastore.get(self._key)
        except NotFound:
            return None

    async def _changed(self, entry: Entry, until: float) -> None:
        """Until the lease was written after `entry`, or the time has come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                listing = await self._datastore.list(KIND)
                if any(each.key == self._key and each.revision == entry.revision for each in listing.entries):
                    async with contextlib.aclosing(_closable(self._datastore, listing.revision)) as changes:
                        async for change in changes:
                            if not isinstance(change, Bookmark) and change.key == self._key:
                                return

    def _won(self, entry: Entry, began: float) -> None:
        self._mine = entry
        self._good_until = began + self._timings.duration_s - self._timings.renew_s
        self._tell(Change.LEADING, self._holder)

    async def _keep(self) -> None:
        """Renew while we can; returns when the lease is somebody else's, or may soon be."""
        clock = asyncio.get_running_loop().time
        pause = self._timings.renew_s
        while self._mine is not None:
            await asyncio.sleep(pause)
            began = clock()
            try:
                async with asyncio.timeout_at(self._good_until):
                    self._mine = await self._renewed(self._mine)
                self._good_until = began + self._timings.duration_s - self._timings.renew_s
                pause = self._timings.renew_s
            except (Conflict, NotFound):
                self._mine = None
            except (Unavailable, TimeoutError):
                pause = max(0.0, min(self._timings.retry_s, self._good_until - clock()))
                if clock() >= self._good_until:
                    self._mine = None

    async def _renewed(self, mine: Entry) -> Entry:
        try:
            return await self._datastore.update(self._key, self._lease(mine), mine.revision)
        except Conflict as error:
            theirs, ours = _spec(error.current), _spec(mine)
            if (theirs.get("holder"), theirs.get("term")) == (self._holder, ours.get("term")):
                # our own renewal, whose answer was lost
                return error.current
            raise

    async def _give_away(self) -> None:
        """So that nobody has to wait for the end of a lease that nobody needs."""
        mine, self._mine = self._mine, None
        if mine is None:
            return
        with contextlib.suppress(Unavailable, Conflict, NotFound, TimeoutError):
            async with asyncio.timeout(self._timings.retry_s):
                spec = {**_spec(mine), "holder": _NOBODY}
                await self._datastore.update(self._key, {**mine.value, "spec": spec}, mine.revision)

    def _lease(self, before: Entry | None) -> Json:
        """The lease as we write it after `before`: a new term where it was not ours."""
        spec = _spec(before) if before is not None else {}
        term, renewals = _count(spec.get("term")), _count(spec.get("renewals"))
        ours = before is not None and self._mine is not None
        return {
            **(before.value if before is not None else {}),
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": dict(before.value.get("metadata") or {}) if before is not None else {"name": self._key.name},
            "spec": {
                "holder": self._holder,
                "term": term if ours else term + 1,
                "renewals": renewals + 1,
                "renewed": self._now().astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
                "durationSeconds": self._timings.duration_s,
            },
        }


def _spec(entry: Entry) -> Mapping[str, Any]:
    found = entry.value.get("spec")
    return found if isinstance(found, Mapping) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


async def _closable(datastore: Datastore, after: Revision) -> AsyncGenerator[Written | Bookmark, None]:
    """The watch as a generator that can be closed, whatever kind of iterator the driver gives."""
    async for change in datastore.watch((KIND,), after):
        yield change
