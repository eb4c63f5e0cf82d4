"""Agents are told where a set of writes begins and ends: once between two gates, and never for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from muslin.datastore.memory import Call, Fault, Operation
from muslin.errors import Unavailable
from muslin.resources.keys import Key
from reconciler.batch import KIND
from tests.reconciler.cases import World, commit_of, policy, pool, tier

_KEY = Key(KIND, "default")


def _history(world: World, after: int = 0) -> list[tuple[str, Any]]:
    """What was written since: kind, and the state of a mark."""
    found = []
    for at in range(after + 1, world.store.history.head + 1):
        change = world.store.history.change(at)
        state = change.value["spec"]["state"] if change.key.kind == KIND and change.value is not None else None
        found.append((change.key.kind, state))
    return found


def _mark(world: World) -> dict[str, Any]:
    return dict(world.store.history.get(_KEY).value["spec"])


def _run(scenario: Callable[[World], Any]) -> World:
    world = World()
    asyncio.run(scenario(world))
    return world


def test_several_policies_stand_between_begin_and_end() -> None:
    """Tier and policies of all levels, the denial included, are one batch; the end names the newest of each kind."""

    async def scenario(world: World) -> None:
        files = commit_of("a", "b") | {"t.yaml": tier("ops"), "p.yaml": pool("pods", "198.51.100.0/24")}
        world.source.push(files | {"d.yaml": policy("d", action="Deny")})
        await world.look()

    world = _run(scenario)
    history = _history(world)
    first, last = history.index((KIND, "open")), history.index((KIND, "closed"))
    inside = [kind for kind, _ in history[first + 1 : last]]
    assert sorted(kind for kind in inside if kind in ("Tier", "NetworkPolicy")) == ["NetworkPolicy"] * 3 + ["Tier"]
    assert [kind for kind, _ in history[:first] + history[last + 1 :] if kind in ("Tier", "NetworkPolicy")] == []
    assert [kind for kind, _ in history].count(KIND) == 2

    mark = _mark(world)
    newest = {
        kind: max(
            at
            for at in range(1, world.store.history.head + 1)
            if world.store.history.change(at).key.kind == kind
        )
        for kind in ("NetworkPolicy", "Tier")
    }  # fmt: skip
    assert (mark["writes"], mark["removes"], mark["number"]) == (4, False, 1)
    assert mark["newest"] == {kind: str(at) for kind, at in newest.items()}


def test_one_policy_and_what_is_none_need_no_mark() -> None:
    """Nobody is told of one write, of pools, of a second look, or of nothing."""

    async def scenario(world: World) -> None:
        world.source.push(commit_of("a") | {"p.yaml": pool("one", "198.51.100.0/24")})
        await world.look()
        world.source.push(commit_of("a") | {"p.yaml": pool("one", "198.51.100.0/24"), "q.yaml": tier("ops")})
        await world.look()
        head = world.store.history.head
        await world.look()
        assert world.store.history.head == head

    assert KIND not in {kind for kind, _ in _history(_run(scenario))}


def test_removals_are_told() -> None:
    """Their revisions are not known, and so agents wait until it is quiet."""

    async def scenario(world: World) -> None:
        world.source.push(commit_of("a", "b", "c"))
        await world.look()
        world.source.push(commit_of("a"))
        await world.look()

    world = _run(scenario)
    mark = _mark(world)
    assert (mark["number"], mark["state"], mark["removes"], mark["newest"]) == (2, "closed", True, {})


def test_a_killed_reconciler_leaves_an_open_mark_and_the_next_one_begins_another() -> None:
    """What is left is written under a number of its own, so that agents, who gave the first up, hold for it again."""

    async def scenario(world: World) -> None:
        world.source.push(commit_of("a", "b", "c", "d"))
        written = 0

        def dying(call: Call) -> Fault:
            nonlocal written
            written += call.operation is Operation.CREATE and call.key is not None and call.key.kind == "NetworkPolicy"
            return Fault(refused=written > 2)

        with pytest.raises(Unavailable):
            await world.controller(world.store.client(dying)).once(attempts=1)
        assert _mark(world) == {"set": "default", "number": 1, "writes": 4, "state": "open"}
        await world.look()
        assert (_mark(world)["number"], _mark(world)["state"], _mark(world)["writes"]) == (2, "closed", 2)

    _run(scenario)


def test_marks_that_cannot_be_written_keep_nothing_from_being_applied() -> None:
    """A store that refuses them, or somebody else's nonsense in their place: all is applied."""

    async def refused(world: World) -> None:
        world.source.push(commit_of("a", "b"))
        store = world.store.client(lambda call: Fault(refused=call.key == _KEY))
        assert (await world.controller(store).once()).settled

    async def nonsense(world: World) -> None:
        await world.store.create(_KEY, {"kind": KIND, "metadata": {"name": "default"}, "spec": ["?"]})
        world.source.push(commit_of("a", "b"))
        assert (await world.look()).settled
        assert (_mark(world)["number"], _mark(world)["state"]) == (1, "closed")

    _run(refused)
    _run(nonsense)
