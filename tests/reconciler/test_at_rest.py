"""What a reconciler costs when there is nothing to do, and what twenty of them do to each other."""

from __future__ import annotations

import asyncio

import pytest

from muslin.datastore.memory import Call, Fault, Operation
from muslin.resources.keys import Key
from reconciler.controller import Settings
from reconciler.ledger import KIND, PARTS, Ledger, applied
from reconciler.plan import Budget
from tests.reconciler.cases import World, commit_of, policy_key, tier
from tests.support.virtual_time import run_virtual


def test_nothing_to_do_asks_nothing_and_reads_nothing() -> None:
    """At rest no wake-up makes a request of the datastore or parses a file; drift and a push are still seen."""

    async def scenario() -> None:
        world = World()
        calls: list[Call] = []

        def noted(call: Call) -> Fault:
            if call.operation is not Operation.DELIVER:
                calls.append(call)
            return Fault()

        world.source.push(commit_of("a", "b") | {"t.yaml": tier("ops")})
        controller = world.controller(world.store.client(noted))
        running = asyncio.ensure_future(controller.run())
        await asyncio.sleep(5)
        calls.clear()
        parses, looks = world.source.parses, controller.looks
        for _ in range(30):
            controller.wake()
            await asyncio.sleep(10)
        assert (calls, world.source.parses) == ([], parses)
        assert controller.looks >= looks + 30

        await world.edit(policy_key("a"), order=3)
        await asyncio.sleep(1)
        assert (await world.store.get(policy_key("a"))).value["spec"]["order"] == 100
        world.source.push(commit_of("a"))
        controller.wake()
        await asyncio.sleep(1)
        assert policy_key("b") not in await world.objects()
        running.cancel()

    run_virtual(scenario())


@pytest.mark.slow
def test_one_change_among_many_writes_one_object_and_one_part_of_the_ledger() -> None:
    """Of 300 objects one changes: the object, the ledger's part before and after, the commit and the status."""

    async def scenario() -> None:
        world = World()
        names = [f"p{number}" for number in range(300)]
        world.source.push(commit_of(*names))
        controller = world.controller()
        await controller.once()
        world.source.push(commit_of(*names) | {"p7.yaml": commit_of("p7")["p7.yaml"].replace("100", "101")})
        head = world.store.history.head
        await controller.once()
        written = [world.store.history.change(at).key for at in range(head + 1, world.store.history.head + 1)]

        assert written.count(policy_key("p7")) == 1
        assert sum(key.kind == "ReconcilerLedger" for key in written) <= 3
        assert len(written) <= 6

    asyncio.run(scenario())


@pytest.mark.slow
def test_twenty_reconcilers_share_a_datastore() -> None:
    """Each of twenty sets has its own and no other's objects, through pushes and drift; at rest nobody writes."""

    async def scenario() -> None:
        first = World()
        worlds = [
            World(store=first.store.client(), settings=Settings(f"set-{number}", budget=Budget(confirm=frozenset())))
            for number in range(20)
        ]
        running = []
        for number, world in enumerate(worlds):
            world.source.push(commit_of(*(f"s{number}-{name}" for name in "abc")))
            controller = world.controller(world.store.client())
            running.append((world, controller, asyncio.ensure_future(controller.run())))
        await asyncio.sleep(60)
        for number, (world, controller, _) in enumerate(running):
            await world.edit(policy_key(f"s{number}-a"), order=number + 1)
            world.source.push(commit_of(*(f"s{number}-{name}" for name in "ab")))
            controller.wake()
        await asyncio.sleep(120)

        wanted = {policy_key(f"s{number}-{name}") for number in range(20) for name in "ab"}
        assert set(await first.objects()) == wanted
        for world, controller, _ in running:
            assert controller.last is not None
            assert controller.last.applied == (await world.source.head()).commit
        assert {entry["order"] for _, entry in (await first.objects()).values()} == {100}
        head = first.store.history.head
        await asyncio.sleep(600)
        assert first.store.history.head == head
        for _, _, task in running:
            task.cancel()

    run_virtual(scenario())


def test_a_ledger_that_was_split_otherwise_is_moved() -> None:
    """Eight parts of an earlier version are read, ownership holds, and the first change writes them as they are now."""

    async def scenario() -> None:
        world = World()
        names = [f"p{number}" for number in range(40)]
        world.source.push(commit_of(*names))
        await world.look()
        items: dict[str, object] = {}
        accepted = None
        for entry in (await world.store.list(KIND)).entries:
            items |= entry.value["spec"]["items"]
            accepted = entry.value["spec"].get("accepted", accepted)
            await world.store.delete(entry.key)
        for number in range(8):
            mine = {name: item for at, (name, item) in enumerate(sorted(items.items())) if at % 8 == number}
            spec = {"set": "default", "part": number, "items": mine} | ({"accepted": accepted} if number == 0 else {})
            value = {"kind": KIND, "metadata": {"name": f"default.{number}"}, "spec": spec}
            await world.store.create(Key(KIND, f"default.{number}"), value)
        ledger = await Ledger.load(world.store, "default")
        assert (set(ledger.owned), ledger.accepted) == ({policy_key(name) for name in names}, accepted)

        world.source.push(commit_of(*names[:30]))
        await world.look()
        assert set(await world.objects()) == {policy_key(name) for name in names[:30]}
        found = [entry.value["spec"] for entry in (await world.store.list(KIND)).entries]
        assert {spec["parts"] for spec in found} == {PARTS}
        assert sorted(name for spec in found for name in spec["items"]) == sorted(
            f"NetworkPolicy/shop/{name}" for name in names[:30]
        )

    asyncio.run(scenario())


def test_what_goes_into_the_ledger_comes_out_equal() -> None:
    """Plain values stay the very same object; tuples and other mappings become what a store gives back."""
    plain = {"a": [1, {"b": None}], "c": "x"}
    assert applied(plain, "c").applied is plain
    assert applied({"a": ({"b": 1.5},)}, "c").applied == {"a": [{"b": 1.5}]}


def test_a_default_that_somebody_spells_out_is_no_news_for_ever() -> None:
    """The object is as declared, in other words: it is noted once, and from then on nothing is asked or written."""

    async def scenario() -> None:
        world = World()
        calls: list[Call] = []

        def noted(call: Call) -> Fault:
            if call.operation is not Operation.DELIVER:
                calls.append(call)
            return Fault()

        world.source.push(commit_of("a", "b"))
        controller = world.controller(world.store.client(noted))
        running = asyncio.ensure_future(controller.run())
        await asyncio.sleep(5)
        await world.edit(policy_key("a"), serviceAccountSelector="")
        await asyncio.sleep(5)
        calls.clear()
        for _ in range(3):
            await world.edit(policy_key("a"), performanceHints=[])
            controller.wake()
            await asyncio.sleep(100)
        assert calls == []
        assert "serviceAccountSelector" in (await world.store.get(policy_key("a"))).value["spec"]
        running.cancel()

    run_virtual(scenario())


def test_what_stays_wrong_is_said_once_and_writes_nothing_more() -> None:
    """A commit that is held, an object that is blocked: news at the first look, and silence at the hundred after it."""

    async def scenario() -> None:
        world = World(settings=Settings())
        world.source.push(commit_of("a") | {"t.yaml": tier("ops")})
        controller = world.controller()
        running = asyncio.ensure_future(controller.run())
        await asyncio.sleep(5)
        world.source.push(commit_of("a"))  # that a tier goes is to be confirmed
        controller.wake()
        await asyncio.sleep(200)
        world.source.push({"a.yaml": "what: is this"})
        controller.wake()
        await asyncio.sleep(5)
        head, said = world.store.history.head, len(world.events)
        for _ in range(100):
            controller.wake()
            await asyncio.sleep(10)
        assert controller.last is not None
        assert (controller.last.held is not None, bool(controller.last.blocked)) == (True, True)
        assert (world.store.history.head, world.events[said:]) == (head, [])
        running.cancel()

    run_virtual(scenario())
