"""What clients did and what a watch told while servers were killed, and the rules that both must keep together.

A watch may be told that what it missed is forgotten (`Compacted`): a kube-apiserver that starts again forgets its past.
Then it lists, which is in the history too: what happened between may be untold, and must be what the list shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from muslin.datastore.protocol import Change, Compacted, Conflict, Json, Listing, MaybeDone, NotFound, Revision
from muslin.errors import Unavailable
from muslin.resources.keys import Key
from tests.muslin.datastore.kubernetes.clusters import value

__all__ = ["History", "Write"]


@dataclass(frozen=True, slots=True)
class Write:
    """One write with a number that no other has: the revision it was based on, and the one it got."""

    key: Key
    number: int
    based_on: int
    revision: int | None = None


@dataclass(slots=True)
class History:
    """Recorded while faults happen; `check` judges it."""

    done: list[Write] = field(default_factory=list)
    maybe: list[Write] = field(default_factory=list)
    not_done: list[Write] = field(default_factory=list)
    told: dict[str, list[Change | Listing]] = field(default_factory=dict)
    """For each kind what the watch told, lists of it between."""
    rejoins: bool = True
    random: Random = field(default_factory=lambda: Random(4))
    unavailable: int = 0
    lists: int = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    _number: int = 0

    async def until(self, holds: Callable[[], bool], within_s: float = 60) -> None:
        """Wait until the history has come so far."""
        async with asyncio.timeout(within_s):
            while not holds():
                self.moved.clear()
                await self.moved.wait()

    async def write(self, store: Any, keys: Sequence[Key]) -> None:
        """Change these objects, which exist, by compare-and-swap for ever."""
        for turn in range(1 << 30):
            key = keys[turn % len(keys)]
            self._number += 1
            number, based_on = self._number, 0
            try:
                there = await store.get(key)
                based_on = int(there.revision)
                entry = await store.update(key, value(key, spec={"n": number}), there.revision)
            except MaybeDone:
                self.maybe.append(Write(key, number, based_on))
            except (Conflict, NotFound, Unavailable):
                self.not_done.append(Write(key, number, based_on))
            else:
                self.done.append(Write(key, number, based_on, int(entry.revision)))
            self.moved.set()

    async def watch(self, store: Any, kinds: Sequence[str]) -> None:
        """Note what a watch of all kinds tells, for ever; goes on where it was when nobody answers.

        Also without need: it leaves the watch now and then, and begins another at the last revision that it was given.
        """
        after: Revision | None = None
        while True:
            try:
                if after is None:
                    listings = [(kind, await store.list(kind)) for kind in kinds]
                    after = listings[0][1].revision
                    self.lists += 1
                    for kind, listing in listings:
                        self.told.setdefault(kind, []).append(listing)
                async for event in store.watch(kinds, after):
                    if isinstance(event, Change):
                        self.told[event.key.kind].append(event)
                    after = event.revision
                    self.moved.set()
                    if self.rejoins and self.random.random() < 0.05:
                        break
            except Unavailable:
                self.unavailable += 1
            except Compacted:
                after = None

    def newest(self) -> int:
        """The highest revision told."""
        return max(
            (int(it.revision) for sequence in self.told.values() for it in sequence if isinstance(it, Change)),
            default=0,
        )

    def check(self) -> None:
        """Nothing lost, doubled, reordered or from the past; each write is on what was there before it."""
        numbers: dict[int, int] = {}
        for sequence in self.told.values():
            self._check_told(sequence, numbers)
        for write in self.not_done:
            assert write.number not in numbers, "a refused write happened"
        known = [*self.done]
        known += [
            Write(write.key, write.number, write.based_on, numbers[write.number])
            for write in self.maybe
            if write.number in numbers
        ]
        self._check_bases(known)

    def _check_told(self, sequence: Sequence[Change | Listing], numbers: dict[int, int]) -> None:
        shown: dict[Key, int] = {}
        covered: list[range] = []
        position = 0
        for it in sequence:
            if isinstance(it, Listing):
                # The first list's revision began the watch of every kind: this kind's list may be a little later.
                for entry in it.entries:
                    assert int(entry.revision) >= shown.get(entry.key, 0), "a list from the past"
                    shown[entry.key] = int(entry.revision)
                    self._note(entry.value, int(entry.revision), numbers)
                position = begin = int(it.revision)
                covered.append(range(begin, begin))
                continue
            revision = int(it.revision)
            if revision <= position and revision <= covered[-1].start:
                assert revision <= shown[it.key], "told again, and new"  # it was in the list already
                continue
            assert revision > position, "doubled, reordered or from the past"
            position = revision
            covered[-1] = range(covered[-1].start, position)
            shown[it.key] = revision
            assert it.value is not None
            self._note(it.value, revision, numbers)
        kinds = {it.key.kind for it in sequence if isinstance(it, Change)}
        for write in self.done:
            assert write.revision is not None
            if write.key.kind in kinds and any(span.start < write.revision <= span.stop for span in covered):
                assert numbers.get(write.number) == write.revision, "an acknowledged write was lost"

    @staticmethod
    def _note(value_told: Json, revision: int, numbers: dict[int, int]) -> None:
        number = value_told["spec"].get("n")
        if number is not None:
            assert numbers.setdefault(number, revision) == revision, "one write, told at two revisions"

    @staticmethod
    def _check_bases(known: Sequence[Write]) -> None:
        by_key: dict[Key, list[Write]] = {}
        for write in known:
            by_key.setdefault(write.key, []).append(write)
        for writes in by_key.values():
            revisions = sorted(write.revision or 0 for write in writes)
            assert len(set(revisions)) == len(revisions)
            for write in writes:
                between = [it for it in revisions if write.based_on < it < (write.revision or 0)]
                assert not between, "a write on what was not there any more"
