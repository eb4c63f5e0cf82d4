"""Drift: put back, only said, or left to others; and a writer that does not give up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from muslin.resources.keys import Key
from reconciler.compare import differences
from reconciler.drift import DriftRule, DriftRules, Fights, Mode, with_kept
from reconciler.plan import Why
from reconciler.status import EventKind
from tests.reconciler.cases import World, commit_of, policy, policy_key, tier
from tests.support.virtual_time import run_virtual


async def _drifted(*rules: DriftRule) -> World:
    world = World()
    world.settings = replace(world.settings, drift=DriftRules(rules))
    world.source.push({"a.yaml": policy("a"), "t.yaml": tier("ops")})
    await world.look()
    await world.edit(policy_key("a"), order=5, selector="app == 'z'")
    await world.edit(Key("Tier", "ops"), order=6)
    return world


async def _spec(world: World, key: Key) -> Any:
    return (await world.store.get(key)).value["spec"]


def test_reported_drift_is_said_and_not_touched() -> None:
    """With `report` for a kind its objects stay as somebody left them, also deleted; other kinds are repaired."""

    async def scenario() -> None:
        world = await _drifted(DriftRule(Mode.REPORT, "NetworkPolicy"))
        status = await world.look()
        assert (await _spec(world, policy_key("a")))["order"] == 5
        assert (await _spec(world, Key("Tier", "ops")))["order"] == 50
        assert [(each.key, each.mode) for each in status.drifted] == [(policy_key("a"), Mode.REPORT)]
        assert {each.path for each in status.drifted[0].fields} == {"spec.order", "spec.selector"}
        assert sum(event.kind is EventKind.DRIFT_FOUND for event in world.events) == 1
        await world.store.delete(policy_key("a"))
        await world.look()
        assert policy_key("a") not in await world.objects()

        world.source.push({"a.yaml": policy("a", order=9), "t.yaml": tier("ops")})
        await world.look()
        assert (await _spec(world, policy_key("a")))["order"] == 9

    asyncio.run(scenario())


def test_an_ignored_field_is_left_while_its_neighbour_is_put_back() -> None:
    """Somebody's order stays, his selector does not; a commit that changes the order has its way."""

    async def scenario() -> None:
        world = await _drifted(DriftRule(Mode.IGNORE, "NetworkPolicy", "spec.order"))
        await world.look()
        spec = await _spec(world, policy_key("a"))
        assert (spec["order"], spec["selector"]) == (5, "app == 'a'")
        head = world.store.history.head
        await world.look()
        assert world.store.history.head == head
        world.source.push({"a.yaml": policy("a", action="Deny"), "t.yaml": tier("ops")})
        await world.look()
        spec = await _spec(world, policy_key("a"))
        assert (spec["order"], spec["ingress"][0]["action"]) == (5, "Deny")

        world.source.push({"a.yaml": policy("a", order=8), "t.yaml": tier("ops")})
        await world.look()
        assert (await _spec(world, policy_key("a")))["order"] == 8

    asyncio.run(scenario())


def test_the_last_rule_that_speaks_of_a_field_decides() -> None:
    """Rules for kinds, names and paths, the later over the earlier; a name that only begins alike is another field."""
    rules = DriftRules(
        (
            DriftRule(Mode.REPORT, "Tier"),
            DriftRule(Mode.IGNORE, "Tier", "spec.order"),
            DriftRule(Mode.REPAIR, "Tier", name="ops"),
        )
    )
    order, other = (differences({"spec": {name: 1}}, {"spec": {name: 2}}) for name in ("order", "orders"))

    assert rules.mode(Key("Tier", "x"), other) is Mode.REPORT
    assert rules.mode(Key("Tier", "x"), order) is Mode.IGNORE
    assert rules.mode(Key("Tier", "x"), ()) is Mode.REPORT
    assert rules.mode(Key("Tier", "ops"), order) is Mode.REPAIR
    assert rules.mode(Key("IPPool", "x"), order) is Mode.REPAIR


_NESTED = st.recursive(
    st.integers(0, 2), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=6
)


@given(st.dictionaries(st.sampled_from("abc"), _NESTED), st.dictionaries(st.sampled_from("abc"), _NESTED))
def test_what_is_kept_is_as_it_is_and_the_rest_as_wanted(live: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Keeping every difference gives what is there; keeping none gives what is wanted."""
    changes = differences(live, wanted)

    assert not [each for each in differences(live, with_kept(wanted, live, changes)) if each.old is not None]
    assert with_kept(wanted, live, ()) == wanted


def test_two_writers_that_fight_are_found_and_not_fed() -> None:
    """Another program writes its value back each time: after three rounds we stop, say so, and repair others still."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a", "b"))
        controller = world.controller()
        running = asyncio.ensure_future(controller.run())
        await asyncio.sleep(1)
        rounds = 0

        async def stubborn() -> None:
            nonlocal rounds
            client = world.store.client()
            while True:
                entry = await client.get(policy_key("a"))
                if entry.value["spec"]["order"] != 5:
                    rounds += 1
                    value = {**entry.value, "spec": {**entry.value["spec"], "order": 5}}
                    await client.update(entry.key, value, entry.revision)
                await asyncio.sleep(1)

        other = asyncio.ensure_future(stubborn())
        await asyncio.sleep(300)
        assert rounds == 4
        assert controller.last is not None
        assert [(key, why) for key, why, _ in controller.last.blocked] == [(policy_key("a"), Why.FOUGHT_OVER)]
        await world.edit(policy_key("b"), order=6)
        await asyncio.sleep(5)
        assert (await _spec(world, policy_key("b")))["order"] == 100

        other.cancel()
        world.source.push(commit_of("a", "b", "c"))
        controller.wake()
        await asyncio.sleep(5)
        assert (await _spec(world, policy_key("a")))["order"] == 100
        running.cancel()

    run_virtual(scenario())


def test_a_fight_is_forgotten_after_peace() -> None:
    """Three repairs in a window are a fight; spread over more they are not; after a window without, we try again."""
    key, fields = Key("Tier", "x"), differences({"a": 1}, {"a": 2})
    fights = Fights(most=3, window_s=60)

    assert [fights.repaired(key, fields, at) for at in (0, 50, 100, 150)] == [False, False, False, False]
    assert fights.repaired(key, fields, 155)
    assert fights.stopped(200) == {key}
    assert fights.stopped(216) == frozenset()
