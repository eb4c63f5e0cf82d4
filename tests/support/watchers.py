"""What a watch told, noted from list to list, and the rules that it must keep by itself.

Between a list and the next one nothing may be missing; the store may ask for a new list, and only then one is made.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any

from muslin.datastore.protocol import Bookmark, Compacted, Revision
from muslin.errors import Unavailable
from tests.support.histories import HANDLE, KIND, Faulty, History, number_of
from tests.support.linearizability import ABSENT, Deed, Operation, Outcome, Told

__all__ = ["Watcher"]

_PAUSE_S = 0.01
"""After the store did not answer."""


@dataclass(slots=True)
class _Piece:
    """A list, and what a watch told from there on without a gap: name, number and revision; marks by their place."""

    invoked_ns: int
    answered_ns: int
    revision: str
    listed: dict[str, int]
    told: list[tuple[str, int, str]] = field(default_factory=list)
    marks: list[tuple[int, str]] = field(default_factory=list)


class Watcher:
    """Lists and watches, for ever; begins again where it was, also without need. Lists again only when it must.

    Args:
        store: any datastore.
        history: is told when something came.
        random: when to leave the watch and begin another.
        leaves: how often, of all events.
        kind: of the objects.

    Attributes:
        reads: clear it for a reader that takes nothing.
        pieces: what came.
        broken: how often the store did not answer.
    """

    def __init__(self, store: Any, history: History, random: Random, *, leaves: float = 0.03, kind: str = KIND) -> None:
        self._kind = kind
        self._store, self._history, self._random, self._leaves = store, history, random, leaves
        self.reads = asyncio.Event()
        self.reads.set()
        self.pieces: list[_Piece] = []
        self.broken = self.left = 0
        self._known: set[str] = set()

    def knows(self, name: str) -> bool:
        """Whether it was listed or told of this object."""
        return name in self._known

    async def run(self) -> None:
        """Until cancelled."""
        after: Revision | None = None
        while True:
            try:
                if after is None:
                    after = await self._list()
                after = await self._follow(after)
            except Unavailable:
                self.broken += 1
                await asyncio.sleep(_PAUSE_S)
            except Compacted:
                after = None
            else:
                continue
            if after is not None and self.pieces:
                after = Revision(self._last(self.pieces[-1]))

    async def _list(self) -> Revision:
        begin = time.monotonic_ns()
        listing = await self._store.list(self._kind)
        listed = {entry.key.name: number_of(entry.value) for entry in listing.entries}
        self.pieces.append(_Piece(begin, time.monotonic_ns(), listing.revision, listed))
        self._known |= listed.keys()
        self._history.moved()
        return Revision(listing.revision)

    async def _follow(self, after: Revision) -> Revision:
        stream, piece = self._store.watch({self._kind}, after), self.pieces[-1]
        try:
            async for event in stream:
                after = event.revision
                if isinstance(event, Bookmark):
                    piece.marks.append((len(piece.told), event.revision))
                else:
                    piece.told.append((event.key.name, number_of(event.value), event.revision))
                    self._known.add(event.key.name)
                self._history.moved()
                await self.reads.wait()
                if self._random.random() < self._leaves:
                    self.left += 1
                    break
        finally:
            await stream.aclose()
        return after

    @staticmethod
    def _last(piece: _Piece) -> str:
        """The last revision that it gave."""
        if piece.marks and piece.marks[-1][0] == len(piece.told):
            return piece.marks[-1][1]
        return piece.told[-1][2] if piece.told else piece.revision

    def of(self, name: str) -> list[Told]:
        """What was told of one object, piece by piece."""
        return [
            Told(
                Operation(
                    "watcher", Deed.GET, name, Outcome.DONE, piece.invoked_ns, piece.answered_ns,
                    seen=piece.listed.get(name, ABSENT),
                ),
                self._numbers(piece, name),
            )
            for piece in self.pieces
        ]  # fmt: skip

    def _numbers(self, piece: _Piece, name: str) -> tuple[int, ...]:
        numbers = [number for told, number, _ in piece.told if told == name]
        if self._kind != HANDLE:
            return tuple(numbers)
        # The two steps of a deletion are told as two changes; whoever reads takes the first for it.
        before = [piece.listed.get(name, ABSENT), *numbers]
        return tuple(number for former, number in itertools.pairwise(before) if number or former)

    def fault(self) -> str | None:
        """What is wrong with its revisions; only those of stores that count are compared."""
        for piece in self.pieces:
            revisions = [piece.revision, *(revision for _, _, revision in piece.told)]
            if not all(each.isdecimal() for each in revisions):
                continue
            numbers = [int(each) for each in revisions]
            for before, after in itertools.pairwise(numbers):
                if after <= before:
                    return f"after revision {before} the watch told {after}: doubled, reordered or from the past"
            for place, mark in piece.marks:
                if mark.isdecimal() and not (
                    numbers[place] <= int(mark) and all(int(mark) < n for n in numbers[place + 1 :])
                ):
                    return f"the bookmark {mark} after {place} changes is ahead of what was told, or behind"
        return None

    async def replayed(self, random: Random, last: str, *, times: int = 2) -> int:
        """Watch again from a revision that was given: exactly the rest must come. Gives how often that was possible.

        Args:
            random: chooses the revision.
            last: the object with whose change the recording ended.
            times: so often.
        """
        piece, done = self.pieces[-1], 0
        places = [(at + 1, revision) for at, (_, _, revision) in enumerate(piece.told)] + piece.marks
        end = next((at for at, told in enumerate(piece.told) if told[0] == last), None)
        if end is None:
            return 0
        for place, revision in random.sample(places, min(times, len(places))):
            if place > end:
                continue
            again: list[tuple[str, int, str]] = []
            stream = self._store.watch({self._kind}, Revision(revision))
            try:
                async with asyncio.timeout(30):
                    async for event in stream:
                        if not isinstance(event, Bookmark):
                            again.append((event.key.name, number_of(event.value), event.revision))
                            if event.key.name == last:
                                break
            except Compacted:
                continue
            finally:
                await stream.aclose()
            if again != piece.told[place : end + 1]:
                raise Faulty(f"a watch from {revision} told {again}, before it was {piece.told[place : end + 1]}")
            done += 1
        return done
