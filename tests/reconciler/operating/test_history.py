"""What a reconciler remembers of its deeds: bounded, in order, whatever the store does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from muslin.datastore.memory import Call, Fault, MemoryDatastore, Operation, no_faults
from muslin.errors import Unavailable
from muslin.resources.keys import Key
from reconciler.operating.history import KIND, LIMIT, History, records
from reconciler.status import Event, EventKind
from tests.support.virtual_time import run_virtual

_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_AUTHORS = {"c1": "Ada <ada@example.com>"}


def _history(store: MemoryDatastore, run_id: str = "run") -> History:
    return History(store, "default", run_id=run_id, now=lambda: _AT, who=_AUTHORS.get)


def _applied(number: int, commit: str = "c1") -> Event:
    return Event(EventKind.APPLIED, number, f"{number} create", commit)


def test_a_record_says_what_when_why_and_who() -> None:
    """Every part of an event that a person asks for is there, with the commit's author."""

    async def story() -> None:
        store = MemoryDatastore()
        history = _history(store)
        history.offer(_applied(3))
        history.offer(Event(EventKind.DRIFT_REPAIRED, 4, "put back", "c2", Key("IPPool", "pods")))
        await history.flush()
        one, two = await records(store, "default")
        assert (one.at, one.reconcile, one.event) == ("2026-01-02T03:04:05.000Z", "run-3", "Applied")
        assert (one.message, one.commit, one.who, one.object) == ("3 create", "c1", "Ada <ada@example.com>", None)
        assert (two.who, two.object) == (None, "IPPool pods")

    run_virtual(story())


def test_what_happens_all_the_time_is_not_remembered() -> None:
    """Retries, fetches and single writes would push out what matters."""

    async def story() -> None:
        store = MemoryDatastore()
        history = _history(store)
        for kind in (EventKind.RETRY, EventKind.FETCH, EventKind.OBJECT_WRITTEN):
            history.offer(Event(kind, 1, "x"))
        await history.flush()
        assert await records(store, "default") == ()

    run_virtual(story())


def test_the_latest_are_kept_and_long_texts_cut() -> None:
    """The object cannot grow without end."""

    async def story() -> None:
        store = MemoryDatastore()
        history = _history(store)
        for number in range(LIMIT):
            history.offer(_applied(number))
        await history.flush()
        history.offer(Event(EventKind.FAILED, LIMIT, "x" * 5000))
        await history.flush()
        kept = await records(store, "default")
        assert len(kept) == LIMIT
        assert (kept[0].reconcile, kept[-1].reconcile) == ("run-1", f"run-{LIMIT}")
        assert len(kept[-1].message) == 300

    run_virtual(story())


def test_two_processes_write_one_history() -> None:
    """Nobody's records are lost when two write at once."""

    async def story() -> None:
        store = MemoryDatastore()
        both = [_history(store.client(), name) for name in ("a", "b")]
        for number in range(5):
            for each in both:
                each.offer(_applied(number))
            await asyncio.gather(*(each.flush() for each in both))
        kept = await records(store, "default")
        assert sorted(each.reconcile for each in kept) == sorted(f"{name}-{n}" for name in "ab" for n in range(5))

    run_virtual(story())


def test_a_store_that_is_away_holds_up_nothing_and_gets_it_later() -> None:
    """`offer` never waits; what could not be written is written when the store is back."""

    async def story() -> None:
        store = MemoryDatastore()
        history = _history(store)
        store.faults = lambda _: Fault(refused=True)
        running = asyncio.ensure_future(history.run())
        history.offer(_applied(1))
        await asyncio.sleep(20)
        history.offer(_applied(2))
        with pytest.raises(Unavailable):
            await history.flush()
        store.faults = no_faults
        await asyncio.sleep(10)
        assert [each.reconcile for each in await records(store, "default")] == ["run-1", "run-2"]
        running.cancel()

    run_virtual(story())


@pytest.mark.parametrize("lost", [Operation.CREATE, Operation.UPDATE])
def test_a_lost_answer_makes_no_record_twice_and_none_missing(lost: Operation) -> None:
    """The write happened and its answer did not arrive, or not before the process ended: each record is there once."""

    async def story() -> None:
        store = MemoryDatastore()
        history = _history(store)
        if lost is Operation.UPDATE:
            history.offer(_applied(0))
            await history.flush()
        store.faults = lambda call: Fault(answer_lost=call.operation is lost)
        running = asyncio.ensure_future(history.run(retry_s=60.0))
        history.offer(_applied(1))
        await asyncio.sleep(20)
        running.cancel()
        store.faults = no_faults
        history.offer(_applied(2))
        await history.flush()
        first = ["run-0"] if lost is Operation.UPDATE else []
        assert [each.reconcile for each in await records(store, "default")] == [*first, "run-1", "run-2"]

    run_virtual(story())


def test_nonsense_in_the_object_is_left_out() -> None:
    """What somebody wrote into it by hand takes nothing down."""

    async def story() -> None:
        store = MemoryDatastore()
        spec = {"records": [7, {"at": 1}, {"at": "a", "reconcile": "r", "event": "e", "message": "m", "commit": []}]}
        value = {"apiVersion": "reconciler.muslin/v1alpha1", "kind": KIND, "metadata": {"name": "default"}}
        await store.create(Key(KIND, "default"), {**value, "spec": spec})
        (only,) = await records(store, "default")
        assert (only.event, only.commit) == ("e", None)
        history = _history(store)
        history.offer(_applied(1))
        await history.flush()
        assert [each.event for each in await records(store, "default")] == ["e", "Applied"]

    run_virtual(story())


def test_calls_are_few() -> None:
    """Many events at once cost one read and one write."""

    async def story() -> None:
        calls: list[Call] = []
        store = MemoryDatastore()
        history = _history(store)

        def counted(call: Call) -> Fault:
            calls.append(call)
            return Fault()

        store.faults = counted
        for number in range(50):
            history.offer(_applied(number))
        await history.flush()
        assert [each.operation for each in calls] == [Operation.GET, Operation.CREATE]

    run_virtual(story())
