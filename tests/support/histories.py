"""What clients of a datastore did and what its watches told, written down as it happens, and judged afterwards.

A client notes each call before it is made and each answer when it comes, with the monotonic clock that all processes
share; so a process that is killed leaves its last call behind as one whose answer is not known. What watches told is
noted by `tests/support/watchers.py`. `judged` is the proof: see `tests/support/linearizability.py` for the calls.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from muslin.datastore.protocol import (
    AlreadyExists,
    Conflict,
    Entry,
    MaybeDone,
    NotFound,
)
from muslin.errors import Unavailable
from muslin.resources.keys import Key
from tests.support.linearizability import ABSENT, FOREVER, Deed, Operation, Outcome, fault_of

if TYPE_CHECKING:
    from tests.support.watchers import Watcher

__all__ = [
    "HANDLE",
    "KIND",
    "Client",
    "Faulty",
    "History",
    "Note",
    "judged",
    "key_of",
    "number_of",
    "value_of",
]

KIND = "GlobalNetworkSet"
HANDLE = "IPAMHandle"
"""A kind of IPAM's, which Kubernetes deletes in two steps and etcd keeps in another form."""
_BLOCK = "192.0.2.0/26"
Note: TypeAlias = Sequence[Any]
"""`["call", id, process, deed, key, number, base, ns]` or `["answer", id, outcome, seen, ns]`: fit for JSON."""
_PAUSE_S = 0.01
"""Of a client whose call failed, before the next."""


class Faulty(AssertionError):
    """The history can't have happened in a store that keeps its promises."""


def key_of(name: str, kind: str = KIND) -> Key:
    """The key of an object of a history."""
    return Key(kind, name)


def value_of(name: str, number: int, kind: str = KIND) -> dict[str, Any]:
    """An object that carries the number of the write: a handle counts so many addresses, others have a field for it."""
    spec = {"nets": ["192.0.2.0/24"], "n": number} if kind != HANDLE else {"handleID": name, "block": {_BLOCK: number}}
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name}, "spec": spec}


def number_of(value: Any) -> int:
    """The number that an object carries; `ABSENT` for none, and for one whose deletion is half done."""
    if value is None or value["spec"].get("deleted") in (True, "true"):
        return ABSENT
    return int(value["spec"]["block"][_BLOCK] if value["kind"] == HANDLE else value["spec"]["n"])


class History:
    """Notes of all processes, in the order in which they came."""

    def __init__(self) -> None:
        self._calls: dict[str, Note] = {}
        self._answers: dict[str, Note] = {}
        self._moved = asyncio.Event()
        self.counts: Counter[Outcome] = Counter()
        self.acknowledged = 0

    def note(self, what: Note) -> None:
        """One more note."""
        if what[0] == "call":
            self._calls[what[1]] = what
        else:
            self._answers[what[1]] = what
            outcome = Outcome(what[2])
            self.counts[outcome] += 1
            self.acknowledged += outcome is Outcome.DONE and self._calls[what[1]][3] != Deed.GET.value
        self.moved()

    def moved(self) -> None:
        """Whoever waits for the history looks again."""
        self._moved.set()

    async def until(self, holds: Callable[[], bool], what: str, within_s: float = 60) -> None:
        """Wait until the history has come so far."""
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            counts = {outcome.value: count for outcome, count in self.counts.items()}
            raise Faulty(f"waited {within_s:g} s in vain for {what}; so far {counts}") from None

    def operations(self) -> list[Operation]:
        """All calls; one without an answer has an unknown outcome."""
        made = []
        for identity, (_, _, process, deed, key, number, base, begin) in self._calls.items():
            outcome, seen, end = Outcome.UNKNOWN.value, None, FOREVER
            if identity in self._answers:
                _, _, outcome, seen, end = self._answers[identity]
            made.append(Operation(process, Deed(deed), key, Outcome(outcome), begin, end, number, base, seen))
        return made


class Client:
    """One process's calls on a store, noted.

    Args:
        store: any datastore.
        process: its number, which no other has.
        note: where notes go.
        kind: of the objects.
    """

    def __init__(self, store: Any, process: int, note: Callable[[Note], None], kind: str = KIND) -> None:
        self._store, self._process, self._note, self._kind = store, process, note, kind
        self._calls = 0
        self._known: dict[str, Entry] = {}

    async def get(self, name: str) -> Outcome:
        """Read."""
        return await self._call(Deed.GET, name, None, None, lambda: self._store.get(key_of(name, self._kind)))

    async def create(self, name: str) -> Outcome:
        """Write what is not there."""
        number = self._next()
        key, value = key_of(name, self._kind), value_of(name, number, self._kind)
        deed = lambda: self._store.create(key, value)  # noqa: E731
        return await self._call(Deed.CREATE, name, number, None, deed)

    async def update(self, name: str) -> Outcome:
        """Write over what this client last saw, which it must have."""
        number, known = self._next(), self._known[name]
        key, value = key_of(name, self._kind), value_of(name, number, self._kind)
        deed = lambda: self._store.update(key, value, known.revision)  # noqa: E731
        return await self._call(Deed.UPDATE, name, number, number_of(known.value), deed)

    async def delete(self, name: str, *, compare: bool = True) -> Outcome:
        """Remove what this client last saw, or whatever is there."""
        known = self._known.get(name) if compare else None
        revision = known.revision if known is not None else None
        base = number_of(known.value) if known is not None else None
        return await self._call(
            Deed.DELETE, name, None, base, lambda: self._store.delete(key_of(name, self._kind), revision)
        )

    async def wander(
        self, names: Sequence[str], random: Random, *, calls: int | None = None, pace_s: float = 0.0
    ) -> None:
        """Read and write by chance, for ever or so many calls."""
        while calls is None or calls > 0:
            calls = None if calls is None else calls - 1
            name, choice = random.choice(names), random.random()
            if choice < 0.2:
                outcome = await self.get(name)
            elif name not in self._known or choice < 0.25:
                outcome = await self.create(name)
            elif choice < 0.85:
                outcome = await self.update(name)
            else:
                outcome = await self.delete(name, compare=choice < 0.95)
            # Others have their turn; and nobody asks a store that is away as fast as he can.
            await asyncio.sleep(_PAUSE_S if outcome in (Outcome.NOT_DONE, Outcome.UNKNOWN) else pace_s)

    def _next(self) -> int:
        return self._process * 1_000_000 + self._calls + 1

    async def _call(
        self, deed: Deed, name: str, number: int | None, base: int | None, ask: Callable[[], Any]
    ) -> Outcome:
        self._calls += 1
        identity = f"{self._process}-{self._calls}"
        begin = time.monotonic_ns()
        self._note(["call", identity, f"p{self._process}", deed.value, name, number, base, begin])
        known = self._known.pop(name, None)
        seen: Entry | None = None
        try:
            seen = await ask()
            outcome = Outcome.DONE
        except NotFound:
            outcome = Outcome.NOT_FOUND
        except AlreadyExists as error:
            outcome, seen = Outcome.EXISTS, error.current
        except Conflict as error:
            outcome, seen = Outcome.CONFLICT, error.current
        except MaybeDone:
            outcome = Outcome.UNKNOWN
        except Unavailable:
            outcome = Outcome.NOT_DONE
            if known is not None:
                self._known[name] = known
        number_seen = None if seen is None else number_of(seen.value)
        self._note(["answer", identity, outcome.value, number_seen, time.monotonic_ns()])
        if seen is not None and deed is not Deed.DELETE:
            self._known[name] = seen
        return outcome


def judged(history: History, watchers: Sequence[Watcher]) -> dict[str, int]:
    """Hold everything that was recorded against what a datastore promises; gives what there was, for a table.

    Raises:
        Faulty: it can't have happened.
    """
    by_key: dict[str, list[Operation]] = {}
    for operation in history.operations():
        by_key.setdefault(operation.key, []).append(operation)
    for watcher in watchers:
        if (fault := watcher.fault()) is not None:
            raise Faulty(fault)
    for name, operations in by_key.items():
        all_told = [watcher.of(name) for watcher in watchers]
        also_seen = {
            number for told in all_told for piece in told for number in (*piece.numbers, piece.listing.seen or 0)
        }
        for told in all_told or (None,):
            if (fault := fault_of(operations, told, also_seen=also_seen)) is not None:
                raise Faulty(f"{name}: {fault}")
        whole = [told[0] for told in all_told if len(told) == 1]
        if len({(it.listing.seen, it.numbers) for it in whole}) > 1 and len({it.listing.seen for it in whole}) == 1:
            raise Faulty(f"{name}: two watches told differently: {whole}")
    return {
        "calls": sum(map(len, by_key.values())),
        "writes": history.acknowledged,
        "conflicts": history.counts[Outcome.CONFLICT] + history.counts[Outcome.EXISTS],
        "unknown": history.counts[Outcome.UNKNOWN],
        "refused": history.counts[Outcome.NOT_DONE],
        "told": sum(len(piece.told) for watcher in watchers for piece in watcher.pieces),
        "lists": sum(len(watcher.pieces) for watcher in watchers),
        "rejoined": sum(watcher.left + watcher.broken for watcher in watchers),
    }
