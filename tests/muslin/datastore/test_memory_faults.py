"""Faults of the in-memory datastore: what a simulation asks of it happens, and nothing else, at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from muslin.datastore.memory import Call, Fault, MemoryDatastore, Operation
from muslin.datastore.protocol import MaybeDone, NotFound
from muslin.errors import Unavailable
from muslin.resources.keys import Key
from tests.support.virtual_time import run_virtual

POOL = Key("IPPool", "a")


def test_a_refused_write_is_not_done() -> None:
    """`refused` is `Unavailable`, and the store never saw it."""

    async def story() -> None:
        store = MemoryDatastore(lambda _: Fault(refused=True))
        with pytest.raises(Unavailable):
            await store.create(POOL, {})
        with pytest.raises(NotFound):
            await store.client().get(POOL)

    run_virtual(story())


def test_a_lost_answer_means_that_it_was_done() -> None:
    """`answer_lost` is `MaybeDone`, and another client sees the write."""

    async def story() -> None:
        store = MemoryDatastore(lambda call: Fault(answer_lost=call.operation is Operation.CREATE))
        with pytest.raises(MaybeDone):
            await store.create(POOL, {})
        assert (await store.client().get(POOL)).key == POOL

    run_virtual(story())


def test_delays_are_on_the_loops_clock() -> None:
    """A delay before the deed and one before its answer take virtual time, and order the clients."""

    async def story() -> Any:
        slow = MemoryDatastore(lambda _: Fault(delay_s=5, answer_delay_s=7))
        quick = slow.client()
        writing = asyncio.ensure_future(slow.create(POOL, {}))
        await asyncio.sleep(4)
        with pytest.raises(NotFound):
            await quick.get(POOL)
        await asyncio.sleep(2)
        assert (await quick.get(POOL)).key == POOL
        assert not writing.done()
        await writing
        return asyncio.get_running_loop().time()

    assert run_virtual(story()) == pytest.approx(12)


def test_watches_break_on_demand() -> None:
    """`drop_watches` ends this client's watches with `Unavailable`, others' go on; delivery can be refused too."""

    async def story() -> None:
        one = MemoryDatastore()
        two = one.client(lambda call: Fault(refused=call.operation is Operation.DELIVER))
        mine, theirs = one.watch({"IPPool"}, "0"), two.watch({"IPPool"}, "0")  # type: ignore[arg-type]
        await anext(mine)
        await anext(theirs)
        one.drop_watches()
        with pytest.raises(Unavailable):
            await anext(mine)
        await one.create(POOL, {})
        with pytest.raises(Unavailable):
            await anext(theirs)

    run_virtual(story())


def test_the_same_calls_give_the_same_store() -> None:
    """Ids, times and revisions depend on nothing but the calls."""

    async def story() -> Any:
        store = MemoryDatastore()
        await store.create(POOL, {})
        await store.create(Key("IPPool", "b"), {})
        return (await store.list("IPPool")).entries

    assert run_virtual(story()) == run_virtual(story())


def test_faults_are_asked_once_for_each_call() -> None:
    """A seeded plan of faults sees every call in order, so that a seed replays."""

    async def story() -> list[Call]:
        calls: list[Call] = []

        def note(call: Call) -> Fault:
            calls.append(call)
            return Fault()

        store = MemoryDatastore(note)
        await store.create(POOL, {})
        await store.list("IPPool")
        await store.get(POOL)
        return calls

    expected = [Call(Operation.CREATE, POOL), Call(Operation.LIST, kind="IPPool"), Call(Operation.GET, POOL)]
    assert expected == run_virtual(story())
