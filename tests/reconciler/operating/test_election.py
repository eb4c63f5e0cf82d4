"""One of several leads: on virtual time, with stores that are away, answers that are lost, and processes that hang."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import pytest

from muslin.datastore.memory import Call, Fault, MemoryDatastore, Operation, no_faults
from muslin.errors import Failed, Problem
from muslin.resources.keys import Key
from reconciler.operating.election import KIND, Change, Election, Timings
from tests.support.virtual_time import run_virtual

_TIMINGS = Timings(duration_s=15.0, renew_s=4.0, retry_s=1.0)
_LEASE = Key(KIND, "default")


@dataclass
class _Candidate:
    """One process that takes part: what it was told, and when it led."""

    name: str
    store: MemoryDatastore
    told: list[tuple[float, Change, str]] = field(default_factory=list)
    acting: bool = False

    def __post_init__(self) -> None:
        """Make the election."""
        self.election = Election(
            self.store,
            "default",
            self.name,
            now=lambda: datetime(2026, 1, 2, tzinfo=UTC),
            tell=lambda change, by: self.told.append((asyncio.get_running_loop().time(), change, by)),
            timings=_TIMINGS,
        )
        self.until = asyncio.Event()

    async def lead(self) -> None:
        """Act until told to end."""
        self.acting = True
        try:
            await self.until.wait()
        finally:
            self.acting = False

    def start(self) -> asyncio.Task[None]:
        """The process."""
        return asyncio.ensure_future(self.election.run(self.lead))

    def when(self, change: Change) -> list[float]:
        """At which times it was told so."""
        return [at for at, what, _ in self.told if what is change]


def _play(story: Callable[[MemoryDatastore], Awaitable[None]]) -> None:
    async def play() -> None:
        await story(MemoryDatastore())

    run_virtual(play())


def _away(_: Call) -> Fault:
    return Fault(refused=True)


def test_the_first_leads_and_the_second_waits_and_says_for_whom() -> None:
    """The lease says who holds it; the other acts not, and names the holder once."""

    async def story(store: MemoryDatastore) -> None:
        one, two = _Candidate("one", store), _Candidate("two", store.client())
        tasks = [one.start()]
        await asyncio.sleep(0.5)
        tasks.append(two.start())
        await asyncio.sleep(100)
        assert (one.acting, two.acting) == (True, False)
        assert [(what, by) for _, what, by in two.told] == [(Change.WAITING, "one")]
        assert (await store.get(_LEASE)).value["spec"]["holder"] == "one"
        for each in tasks:
            each.cancel()

    _play(story)


def test_who_ends_gives_the_lease_away_at_once() -> None:
    """A graceful stop costs the other no waiting for the lease's end."""

    async def story(store: MemoryDatastore) -> None:
        one, two = _Candidate("one", store), _Candidate("two", store.client())
        first = one.start()
        await asyncio.sleep(0.5)
        second = two.start()
        await asyncio.sleep(30)
        one.until.set()
        await first
        await asyncio.sleep(0.2)
        assert two.acting
        assert (await store.get(_LEASE)).value["spec"]["term"] == 2
        two.until.set()
        await second

    _play(story)


def test_who_waits_can_be_stopped() -> None:
    """`stop` ends the wait, and the lease stays with whom it was."""

    async def story(store: MemoryDatastore) -> None:
        one, two = _Candidate("one", store), _Candidate("two", store.client())
        first = one.start()
        await asyncio.sleep(0.5)
        second = two.start()
        await asyncio.sleep(3)
        two.election.stop()
        await asyncio.wait_for(second, 1)
        assert one.acting
        first.cancel()

    _play(story)


def test_after_a_kill_the_other_takes_over_after_the_duration_and_not_before() -> None:
    """A holder that says nothing any more is waited for its whole duration, counted from what was seen."""

    async def story(store: MemoryDatastore) -> None:
        killed = store.client()
        one, two = _Candidate("one", killed), _Candidate("two", store.client())
        first = one.start()
        await asyncio.sleep(0.5)
        second = two.start()
        await asyncio.sleep(20)
        killed.faults = _away
        first.cancel()
        killed_at = asyncio.get_running_loop().time()
        await asyncio.sleep(60)
        (took,) = two.when(Change.LEADING)
        assert _TIMINGS.duration_s - _TIMINGS.renew_s <= took - killed_at <= _TIMINGS.duration_s + 0.2
        second.cancel()

    _play(story)


@pytest.mark.parametrize("hangs", [False, True])
def test_who_loses_the_store_stops_before_another_may_begin(hangs: bool) -> None:
    """The store is away for one of two, refused or hanging: it ends its work before the other starts."""

    async def story(store: MemoryDatastore) -> None:
        cut = store.client()
        one, two = _Candidate("one", cut), _Candidate("two", store.client())
        first = one.start()
        await asyncio.sleep(0.5)
        second = two.start()
        await asyncio.sleep(20)
        cut.faults = (lambda _: Fault(delay_s=1000.0)) if hangs else _away
        await asyncio.sleep(60)
        (lost,), (took,) = one.when(Change.LOST), two.when(Change.LEADING)
        assert took - lost >= _TIMINGS.renew_s - _TIMINGS.retry_s - 0.2
        assert (one.acting, two.acting) == (False, True)
        cut.faults = no_faults
        two.until.set()
        await second
        await asyncio.sleep(1005)
        assert one.acting
        first.cancel()

    _play(story)


def test_a_renewal_whose_answer_is_lost_is_ours_nevertheless() -> None:
    """The next renewal meets our own write, recognises it, and goes on leading."""

    async def story(store: MemoryDatastore) -> None:
        lossy = store.client()
        one = _Candidate("one", lossy)
        first = one.start()
        await asyncio.sleep(1)
        lost = iter([True, False, True, True, False])
        lossy.faults = lambda call: Fault(answer_lost=call.operation is Operation.UPDATE and next(lost, False))
        await asyncio.sleep(60)
        assert one.acting
        assert not one.when(Change.LOST)
        first.cancel()

    _play(story)


def test_a_lease_that_was_deleted_or_is_nonsense_is_taken_anew() -> None:
    """Whatever somebody does to the object by hand, in the end one leads."""

    async def story(store: MemoryDatastore) -> None:
        one, two = _Candidate("one", store), _Candidate("two", store.client())
        tasks = [one.start(), two.start()]
        await asyncio.sleep(5)
        await store.delete(_LEASE)
        await asyncio.sleep(40)
        assert one.acting != two.acting
        await asyncio.sleep(1)
        entry = await store.get(_LEASE)
        await store.update(_LEASE, {**entry.value, "spec": {"holder": ["x"], "term": True}}, entry.revision)
        await asyncio.sleep(60)
        assert one.acting != two.acting
        for each in tasks:
            each.cancel()

    _play(story)


def test_an_error_of_the_work_ends_the_process_and_gives_the_lease_away() -> None:
    """What `lead` raises is raised, and nobody waits for us."""

    async def story(store: MemoryDatastore) -> None:
        one = _Candidate("one", store)

        async def fails() -> None:
            raise Failed(Problem("a", "b", "c"))

        with pytest.raises(Failed):
            await one.election.run(fails)
        assert (await store.get(_LEASE)).value["spec"]["holder"] == ""

    _play(story)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_never_two_at_once_whatever_the_store_does(seed: int) -> None:
    """Three take part while each one's store is slow, away or loses answers: never two act, and in calm one does."""

    async def story(store: MemoryDatastore) -> None:
        random = Random(seed)

        def trouble(_: Call) -> Fault:
            dice = random.random()
            if dice < 0.1:
                return Fault(refused=True)
            if dice < 0.2:
                return Fault(answer_lost=True)
            return Fault(delay_s=random.expovariate(0.5)) if dice < 0.4 else Fault()

        all_of_them = [_Candidate(f"c{number}", store.client()) for number in range(3)]
        tasks = [each.start() for each in all_of_them]
        for _ in range(300):
            for each in all_of_them:
                if random.random() < 0.03:
                    each.store.faults = random.choice([trouble, _away, no_faults])
            await asyncio.sleep(random.expovariate(1.0))
            assert sum(each.acting for each in all_of_them) <= 1
        for each in all_of_them:
            each.store.faults = no_faults
        await asyncio.sleep(60)
        assert sum(each.acting for each in all_of_them) == 1
        for task in tasks:
            task.cancel()

    _play(story)
