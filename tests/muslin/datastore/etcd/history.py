"""What clients did and what a watch told, and the rules that both must keep together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from muslin.datastore.protocol import Bookmark, Change, Conflict, MaybeDone, NotFound, Revision
from muslin.errors import Unavailable
from muslin.resources.keys import Key
from tests.muslin.datastore.suite.drivers import pool, value

__all__ = ["History"]


@dataclass(frozen=True, slots=True)
class _Write:
    """One write with a number that no other has: the revision it was based on, and the one it got."""

    key: Key
    number: int
    based_on: str
    revision: str | None


@dataclass(slots=True)
class History:
    """Recorded while servers are killed under it."""

    done: list[_Write] = field(default_factory=list)
    maybe: list[_Write] = field(default_factory=list)
    not_done: list[_Write] = field(default_factory=list)
    told: list[Change] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    _number: int = 0

    async def until(self, holds: Callable[[], bool], within_s: float = 60) -> None:
        """Wait until the history has come so far."""
        async with asyncio.timeout(within_s):
            while not holds():
                self.moved.clear()
                await self.moved.wait()

    async def write(self, store: Any, names: list[str]) -> None:
        """Change objects by compare-and-swap, for ever; created before."""
        for turn in range(1 << 30):
            key = pool(names[turn % len(names)])
            self._number += 1
            number, based_on = self._number, ""
            try:
                there = await store.get(key)
                based_on = there.revision
                entry = await store.update(key, value(key, n=number), there.revision)
            except MaybeDone:
                self.maybe.append(_Write(key, number, based_on, None))
            except (Conflict, NotFound, Unavailable):
                self.not_done.append(_Write(key, number, based_on, None))
            else:
                self.done.append(_Write(key, number, based_on, entry.revision))
            self.moved.set()

    async def watch(self, store: Any, after: Revision) -> None:
        """Note what a watch tells, for ever; goes on where it was when nobody answers."""
        while True:
            with contextlib.suppress(Unavailable):
                async for event in store.watch({"IPPool"}, after):
                    if isinstance(event, Bookmark):
                        self.marks.append((len(self.told), int(event.revision)))
                    else:
                        self.told.append(event)
                    after = event.revision
                    self.moved.set()

    def check(self) -> None:
        """Nothing lost, doubled, reordered or from the past; each write is on what was there before it, once."""
        revisions = [int(change.revision) for change in self.told]
        assert revisions == sorted(set(revisions)), "doubled or reordered"
        for position, mark in self.marks:
            assert all(revision <= mark for revision in revisions[:position])
            assert all(revision > mark for revision in revisions[position:]), (
                "a change after the bookmark that covers it"
            )
        by_number = {change.value["spec"].get("n"): change for change in self.told if change.value is not None}
        for write in self.done:
            assert by_number[write.number].revision == write.revision, "an acknowledged write was lost"
        for write in self.not_done:
            assert write.number not in by_number, "a refused write happened"
        based_on = {write.number: write.based_on for write in (*self.done, *self.maybe)}
        last: dict[Key, str] = {}
        for change in self.told:
            number = change.value["spec"].get("n") if change.value is not None else None
            if number in based_on and change.key in last:
                assert based_on[number] == last[change.key], "a write on what was not there any more"
            last[change.key] = change.revision
