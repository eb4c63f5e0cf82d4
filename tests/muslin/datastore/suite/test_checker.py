"""The checkers of recorded histories themselves: what can have happened is accepted, what can't is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.protocol import Bookmark, Change, Entry, Json, Revision
from muslin.errors import Problem, Unavailable
from muslin.resources.keys import Key
from tests.support.histories import Client, Faulty, History, Note, judged
from tests.support.linearizability import ABSENT, FOREVER, Deed, Operation, Outcome, Told, TooHard, fault_of
from tests.support.watchers import Watcher

KEY = "a"


def call(deed: Deed, outcome: Outcome, begin: int, end: int = FOREVER, **more: int) -> Operation:
    """An operation; processes are not looked at."""
    return Operation("p", deed, KEY, outcome, begin, end, **more)


def created(number: int, begin: int, end: int) -> Operation:
    """An acknowledged create."""
    return call(Deed.CREATE, Outcome.DONE, begin, end, number=number, seen=number)


def updated(number: int, base: int, begin: int, end: int) -> Operation:
    """An acknowledged update."""
    return call(Deed.UPDATE, Outcome.DONE, begin, end, number=number, base=base, seen=number)


def read(seen: int, begin: int, end: int) -> Operation:
    """A read; `ABSENT` is not found."""
    if seen == ABSENT:
        return call(Deed.GET, Outcome.NOT_FOUND, begin, end)
    return call(Deed.GET, Outcome.DONE, begin, end, seen=seen)


LOST_UPDATE = call(Deed.UPDATE, Outcome.UNKNOWN, 10, number=2, base=1)
LOST_DELETE = call(Deed.DELETE, Outcome.UNKNOWN, 10, base=1)
START = created(1, 0, 5)

CAN_HAPPEN = {
    "nothing": [],
    "one after the other": [START, updated(2, 1, 10, 15), read(2, 20, 25)],
    "a read beside a write sees the old": [START, updated(2, 1, 10, 30), read(1, 15, 20)],
    "a read beside a write sees the new": [START, updated(2, 1, 10, 30), read(2, 15, 20)],
    "two reads beside a write see old, then new": [START, updated(2, 1, 10, 90), read(1, 15, 20), read(2, 25, 30)],
    "a lost write never happens": [START, LOST_UPDATE, read(1, 20, 25), read(1, 30, 35)],
    "a lost write happens late": [START, LOST_UPDATE, read(1, 20, 25), read(2, 30, 35)],
    "a lost delete happens late": [START, LOST_DELETE, read(1, 20, 25), read(ABSENT, 30, 35)],
    "a lost delete is passed by a write": [START, LOST_DELETE, updated(2, 1, 20, 25), read(2, 30, 35)],
    "a refusal beside the write that it met": [
        START, updated(2, 1, 10, 30), call(Deed.UPDATE, Outcome.CONFLICT, 12, 20, number=3, base=1, seen=2),
    ],
    "what is there is deleted": [START, call(Deed.DELETE, Outcome.DONE, 10, 15, seen=1), read(ABSENT, 20, 25)],
    "made again": [START, call(Deed.DELETE, Outcome.DONE, 10, 15, base=1, seen=1), created(2, 20, 25)],
}  # fmt: skip

CANT_HAPPEN = {
    "a read of what nobody wrote": [START, read(7, 10, 15)],
    "a read of what was refused": [
        START, call(Deed.CREATE, Outcome.EXISTS, 10, 15, number=2, seen=1), read(2, 20, 25),
    ],
    "a read of what failed": [START, call(Deed.UPDATE, Outcome.NOT_DONE, 10, 15, number=2, base=1), read(2, 20, 25)],
    "an old read": [START, updated(2, 1, 10, 15), read(1, 20, 25)],
    "a read before the write": [START, read(2, 6, 8), updated(2, 1, 10, 15)],
    "new, then old": [START, updated(2, 1, 10, 90), read(2, 15, 20), read(1, 25, 30)],
    "two updates of one base": [START, updated(2, 1, 10, 50), updated(3, 1, 10, 50)],
    "two creates": [START, created(2, 10, 15)],
    "an acknowledged write lost": [START, updated(2, 1, 10, 15), read(ABSENT, 20, 25)],
    "a conflict with nobody": [START, call(Deed.UPDATE, Outcome.CONFLICT, 10, 15, number=2, base=1, seen=1)],
    "exists, where nothing is": [call(Deed.CREATE, Outcome.EXISTS, 0, 5, number=1, seen=2)],
    "deleted twice": [START] + [call(Deed.DELETE, Outcome.DONE, 10, 50, seen=1)] * 2,
    "deleted although it was compared": [
        START, updated(2, 1, 10, 15), call(Deed.DELETE, Outcome.DONE, 20, 25, base=1, seen=2),
    ],
    "a lost write taken back": [START, LOST_UPDATE, read(2, 20, 25), read(1, 30, 35)],
    "a lost write twice": [START, LOST_UPDATE, read(2, 20, 25), updated(3, 2, 30, 35), read(2, 40, 45)],
    "not found before it was deleted": [START, read(ABSENT, 10, 15), LOST_DELETE, read(1, 30, 35)],
    "another answer than what was written": [replace(START, seen=2), created(2, 10, 15)],
}  # fmt: skip


@pytest.mark.parametrize("history", CAN_HAPPEN.values(), ids=CAN_HAPPEN)
def test_what_can_have_happened_is_accepted(history: list[Operation]) -> None:
    """Some order within everyone's time explains each answer."""
    assert fault_of(history) is None


@pytest.mark.parametrize("history", CANT_HAPPEN.values(), ids=CANT_HAPPEN)
def test_what_cannot_have_happened_is_refused(history: list[Operation]) -> None:
    """No order explains these answers, and it is said where it fails."""
    assert fault_of(history) is not None


def told(*numbers: int, listed: int = ABSENT, at: int = -10) -> Told:
    """What a watch told after a list."""
    return Told(Operation("watcher", Deed.GET, KEY, Outcome.DONE, at, at + 5, seen=listed), numbers)


WRITES = [START, updated(2, 1, 10, 15), call(Deed.DELETE, Outcome.DONE, 20, 25, seen=2), created(3, 30, 35)]


@pytest.mark.parametrize(
    "pieces",
    [
        [told(1, 2, ABSENT, 3)],
        [told(2, ABSENT, 3, listed=1, at=6)],
        [told(1, 2), told(ABSENT, 3, listed=2, at=16)],
        [told(1), told(listed=3, at=40)],
    ],
    ids=["all", "from later on", "two pieces", "a gap"],
)
def test_a_watch_that_told_all_is_accepted(pieces: list[Told]) -> None:
    """From each list on every write, once, in order; what happened before a new list may be untold."""
    assert fault_of(WRITES, pieces) is None


@pytest.mark.parametrize(
    "pieces",
    [
        [told(1, ABSENT, 3)],
        [told(1, 2, ABSENT)],
        [told(1, 2, 2, ABSENT, 3)],
        [told(2, 1, ABSENT, 3)],
        [told(1, 2, ABSENT, 3, listed=1, at=6)],
        [told(1, 2, 3)],
        [told(1, 2, ABSENT, 3, 4)],
        [told(1, 3), told(listed=3, at=40)],
        [told(1), told(3, listed=2, at=16)],
        [told(1, 2), told(ABSENT, 3, listed=1, at=16)],
    ],
    ids=[
        "one lost", "the last lost", "doubled", "reordered", "from the past", "a deletion lost", "invented",
        "lost before a gap", "lost after a gap", "an old list",
    ],
)  # fmt: skip
def test_a_watch_that_did_not_is_refused(pieces: list[Told]) -> None:
    """No event may be lost, doubled, reordered, invented or from the past."""
    assert fault_of(WRITES, pieces) is not None


def test_a_lost_write_that_a_watch_told_has_happened() -> None:
    """A watch settles what its writer does not know, and must then tell what was built on it."""
    lost = [START, LOST_UPDATE]

    assert fault_of(lost, [told(1)]) is None
    assert fault_of(lost, [told(1, 2)]) is None
    assert fault_of([*lost, updated(3, 2, 20, 25)], [told(1, 2, 3)]) is None
    assert fault_of([*lost, updated(3, 2, 20, 25)], [told(1, 3)]) is not None
    assert fault_of(lost, [told(1)], also_seen=[2]) is not None


def test_a_search_that_leads_too_far_is_given_up() -> None:
    """The bound is told as such, not as a verdict."""
    lost = [call(Deed.DELETE, Outcome.UNKNOWN, 0) for _ in range(12)]
    writes = [created(n, 0, 1000) for n in range(1, 12)]

    with pytest.raises(TooHard):
        fault_of([*lost, *writes, read(99, 10, 20), created(99, 2000, 2001)], at_most=1000)


# Histories made from a store that does one thing after the other, each at an instant within its call.


_some = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def _histories(draw: st.DrawFn, *, lost: bool = True) -> tuple[list[Operation], Told]:
    """Calls that overlap, some without an answer if that may be, and what a watch from before all of them told."""
    state, made, changes = ABSENT, list[Operation](), list[int]()
    for at in range(1, draw(st.integers(1, 25)) + 1):
        former, number, base = state, None, None
        deed = draw(st.sampled_from(Deed)) if changes else Deed.CREATE
        if deed in (Deed.UPDATE, Deed.DELETE):
            written = [each for each in changes if each != ABSENT]
            base = draw(st.sampled_from([state or written[-1]] * 3 + written))
        if deed in (Deed.CREATE, Deed.UPDATE):
            number = at
        match deed:
            case Deed.CREATE if state != ABSENT:
                outcome = Outcome.EXISTS
            case Deed.GET | Deed.UPDATE | Deed.DELETE if state == ABSENT:
                outcome = Outcome.NOT_FOUND
            case Deed.UPDATE | Deed.DELETE if base != state:
                outcome = Outcome.CONFLICT
            case _:
                outcome = Outcome.DONE
                state = former if deed is Deed.GET else number or ABSENT
        seen = (number if outcome is Outcome.DONE else None) or former or None
        begin, end = at * 10 - draw(st.integers(0, 60)), at * 10 + draw(st.integers(0, 60))
        if lost and draw(st.integers(0, 7)) == 0:
            outcome, seen, end = Outcome.UNKNOWN, None, FOREVER
        made.append(Operation(f"p{at}", deed, KEY, outcome, begin, end, number, base, seen))
        if state != former:
            changes.append(state)
    return made, Told(Operation("watcher", Deed.GET, KEY, Outcome.DONE, -1000, -900, seen=ABSENT), tuple(changes))


@_some
@given(_histories())
def test_histories_of_a_correct_store_are_accepted(made: tuple[list[Operation], Told]) -> None:
    """Alone, and with what a watch told of them."""
    operations, watched = made

    assert fault_of(operations) is None
    assert fault_of(operations, [watched]) is None


@_some
@given(_histories(), st.data())
def test_a_watch_with_one_thing_changed_is_refused(made: tuple[list[Operation], Told], data: st.DataObject) -> None:
    """Any acknowledged write taken out, anything twice, the order changed, or something invented."""
    operations, watched = made
    numbers = list(watched.numbers)
    sure = {each.number for each in operations if each.outcome is Outcome.DONE} - {None}
    assume(sure & set(numbers))
    at = data.draw(st.sampled_from([place for place, number in enumerate(numbers) if number in sure]))
    how = data.draw(st.sampled_from(["lost", "doubled", "invented", "moved"]))
    match how:
        case "lost":
            del numbers[at]
        case "doubled":
            numbers.insert(at, numbers[at])
        case "invented":
            numbers.insert(at, 999)
        case "moved":
            other = data.draw(st.integers(0, len(numbers) - 1))
            assume(numbers[other] not in (ABSENT, numbers[at]))
            numbers[at], numbers[other] = numbers[other], numbers[at]

    assert fault_of(operations, [replace(watched, numbers=tuple(numbers))]) is not None


@_some
@given(_histories(lost=False), st.data())
def test_an_answer_that_is_changed_is_refused(made: tuple[list[Operation], Told], data: st.DataObject) -> None:
    """A read after everything that shows anything but the last state."""
    operations, watched = made
    last = watched.numbers[-1] if watched.numbers else ABSENT
    wrong = data.draw(st.sampled_from([ABSENT, 999, *(number for number in watched.numbers if number)]))
    assume(wrong != last)

    assert fault_of([*operations, read(last, 10_000, 10_001)], [watched]) is None
    assert fault_of([*operations, read(wrong, 10_000, 10_001)], [watched]) is not None


# The recorder, on the memory datastore and on stores that break their promises.


class _Careless(MemoryDatastore):
    """Does not compare."""

    async def update(self, key: Key, value: Json, revision: Revision) -> Entry:
        """Write over whatever is there."""
        return await super().update(key, value, (await super().get(key)).revision)


class _Forgetful(MemoryDatastore):
    """Tells nine changes of ten."""

    async def watch(self, kinds: Collection[str], after: Revision) -> AsyncIterator[Change | Bookmark]:
        """Leave some out."""
        dice = Random(1)
        async for event in super().watch(kinds, after):
            if dice.random() < 0.9:
                yield event


class _Repeating(MemoryDatastore):
    """A watch begins with the change at its own revision."""

    async def watch(self, kinds: Collection[str], after: Revision) -> AsyncIterator[Change | Bookmark]:
        """Begin one too early."""
        async for event in super().watch(kinds, Revision(str(max(0, int(after) - 1)))):
            yield event


class _Hasty(MemoryDatastore):
    """Bookmarks come before the change that they cover."""

    async def watch(self, kinds: Collection[str], after: Revision) -> AsyncIterator[Change | Bookmark]:
        """Tell that a change was told, then tell it."""
        async for event in super().watch(kinds, after):
            if isinstance(event, Change):
                yield Bookmark(event.revision)
            yield event


class _Liar(MemoryDatastore):
    """Says of some writes that they were not done, and does them."""

    async def update(self, key: Key, value: Json, revision: Revision) -> Entry:
        """Lose the answer, and call it a refusal."""
        made = await super().update(key, value, revision)
        if value["spec"]["n"] % 5 == 0:
            raise Unavailable(Problem("not done", "here", "try again"))
        return made


class _Stale(MemoryDatastore):
    """Reads what was there before."""

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[Key, Entry] = {}

    async def update(self, key: Key, value: Json, revision: Revision) -> Entry:
        """Remember what is written over."""
        self._before[key] = await super().get(key)
        return await super().update(key, value, revision)

    async def get(self, key: Key) -> Entry:
        """What was written over last, if anything was."""
        return self._before.get(key) or await super().get(key)


async def _recorded(store: MemoryDatastore, seed: int) -> dict[str, int]:
    history, random = History(), Random(seed)
    watcher = Watcher(store, history, Random(seed))
    watching = asyncio.ensure_future(watcher.run())
    await history.until(lambda: bool(watcher.pieces), "the list")
    clients = [Client(store, number, history.note) for number in (1, 2, 3)]
    await asyncio.gather(*(client.wander(["a", "b"], Random(random.random()), calls=60) for client in clients))
    await Client(store, 9, history.note).create("end")
    await history.until(lambda: watcher.knows("end"), "the end", 5)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await watcher.replayed(random, "end")
    return judged(history, [watcher])


def test_a_store_that_keeps_its_promises_passes() -> None:
    """The recorder sees writes, conflicts and changes, and nothing wrong."""
    found = asyncio.run(_recorded(MemoryDatastore(), 1))

    assert found["writes"] > 40
    assert found["conflicts"] > 10
    assert found["told"] >= found["writes"]


@pytest.mark.parametrize("store", [_Careless, _Forgetful, _Repeating, _Hasty, _Liar, _Stale])
def test_a_store_that_breaks_them_is_found_out(store: type[MemoryDatastore]) -> None:
    """Each way of breaking a promise is seen in the history."""
    with pytest.raises(Faulty):
        asyncio.run(_recorded(store(), 1))


def test_a_call_of_a_killed_process_is_unknown() -> None:
    """A call that was noted and never answered may have happened."""
    history = History()
    begun: Note = ["call", "1-1", "p1", "create", "a", 1, None, 5]
    history.note(begun)

    assert [each.outcome for each in history.operations()] == [Outcome.UNKNOWN]
    assert history.operations()[0].answered_ns == FOREVER
