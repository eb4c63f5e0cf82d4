"""The order as a graph: what shares a level, what is taken at once, and what waits for whom."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from muslin.datastore.memory import Call, Fault, Operation
from muslin.resources.keys import Key
from reconciler.apply import AT_ONCE
from reconciler.levels import Level, levels, spoken
from reconciler.order import Stage, placed, stage, waits
from reconciler.plan import Action, Cause, Owner, Step
from tests.reconciler.cases import World, commit_of, policy, policy_key, tier


def _step(key: Key, spec: dict[str, Any], action: Action = Action.CREATE, former: dict[str, Any] | None = None) -> Step:
    value = {"kind": key.kind, "metadata": {"name": key.name}, "spec": spec}
    return Step(action, key, Cause.CHANGE, Owner.US, value, former=former)


_ALLOW = {"selector": "app == 'a'", "ingress": [{"action": "Allow"}]}
_DENY = {"selector": "app == 'a'", "ingress": [{"action": "Deny"}]}
_STEPS = (
    _step(Key("FelixConfiguration", "default"), {}),
    _step(Key("IPPool", "p"), {}),
    _step(Key("BGPFilter", "f"), {}),
    _step(Key("BGPPeer", "peer"), {}),
    _step(Key("Node", "rr"), {"bgp": {"routeReflectorClusterID": "192.0.2.1"}}),
    _step(Key("BGPConfiguration", "default"), {"nodeToNodeMeshEnabled": False}),
    _step(Key("Tier", "ops"), {}),
    _step(Key("StagedGlobalNetworkPolicy", "s"), _DENY),
    _step(Key("GlobalNetworkPolicy", "allow"), _ALLOW),
    _step(Key("GlobalNetworkPolicy", "deny"), _DENY),
    _step(Key("GlobalNetworkPolicy", "close"), {"selector": "all()"}),
    _step(Key("GlobalNetworkPolicy", "old"), _ALLOW, Action.DELETE),
    _step(Key("BGPPeer", "old"), {}, Action.DELETE),
    _step(Key("BGPFilter", "old"), {}, Action.DELETE),
)


def _named(found: tuple[Level, ...]) -> list[set[str]]:
    return [{str(each.step.key) for each in level.steps} for level in found]


def test_the_levels_of_a_change_of_everything() -> None:
    """Independent things share a level; peers come after filters, the mesh goes last of BGP, deletes at the end."""
    found = levels(_STEPS)

    assert _named(found) == [
        {"FelixConfiguration default", "BGPFilter f", "Tier ops"},
        {"IPPool p", "BGPPeer peer", "StagedGlobalNetworkPolicy s", "GlobalNetworkPolicy allow"},
        {"Node rr", "GlobalNetworkPolicy deny"},
        {"BGPConfiguration default", "GlobalNetworkPolicy close"},
        {"GlobalNetworkPolicy old", "BGPPeer old"},
        {"BGPFilter old"},
    ]
    assert list(spoken(found))[2] == "3. write nodes that become reflectors (1), write policies that deny (1)"


def test_staged_policies_can_be_asked_to_come_first() -> None:
    """With `staged_first` no enforced policy is in the level of a staged one or before it."""
    found = levels(_STEPS, staged_first=True)
    at = {str(each.step.key): level.number for level in found for each in level.steps}

    assert at["StagedGlobalNetworkPolicy s"] < at["GlobalNetworkPolicy allow"] < at["GlobalNetworkPolicy deny"]


@given(st.sets(st.sampled_from(range(len(_STEPS)))), st.booleans())
def test_what_waits_is_in_a_later_level(chosen: set[int], staged_first: bool) -> None:
    """Whatever of it changes, a step's level is later than that of every step that it must come after."""
    found = levels([_STEPS[index] for index in sorted(chosen)], staged_first=staged_first)
    at = [(level.number, each.place) for level in found for each in level.steps]

    assert all(mine > theirs for mine, place in at for theirs, other in at if waits(place, other))
    assert sorted(index for _, index in at) == sorted(
        placed(step.key, step.value, delete=step.deletes) for step in (_STEPS[index] for index in chosen)
    )


def test_a_node_gives_up_its_part_after_others_have_theirs() -> None:
    """Losing the cluster ID, or a label that peers may select by, is later than becoming a reflector."""
    key = Key("Node", "rr")
    plain: dict[str, Any] = {"metadata": {"labels": {"rr": "true"}}, "spec": {}}
    reflects = {**plain, "spec": {"bgp": {"routeReflectorClusterID": "192.0.2.1"}}}

    assert stage(key, reflects, plain) is Stage.REFLECTORS
    assert stage(key, plain, reflects) is Stage.RETIRING
    assert stage(key, {"spec": {}}, plain) is Stage.RETIRING
    assert stage(key, plain, {"spec": {}}) is Stage.NODES
    assert waits(placed(key, plain, former=reflects), placed(Key("Node", "new"), reflects))


def test_a_level_is_written_at_once_and_no_wider_than_the_bound() -> None:
    """Policies of a level are under way together, tiers before them alone; never more than the bound."""

    async def scenario() -> None:
        world = World()
        under_way: dict[str, int] = {"Tier": 0, "NetworkPolicy": 0}
        most: dict[str, int] = dict(under_way)
        together: set[str] = set()

        def faults(call: Call) -> Fault:
            if call.operation is Operation.CREATE and call.key is not None and call.key.kind in under_way:
                kind = call.key.kind
                under_way[kind] += 1
                most[kind] = max(most[kind], under_way[kind])
                together.update(other for other in under_way if under_way[other] and other != kind)
                asyncio.get_running_loop().call_later(0.001, _end, kind)
                return Fault(delay_s=0.001)
            return Fault()

        def _end(kind: str) -> None:
            under_way[kind] -= 1

        names = [f"p{number}" for number in range(3 * AT_ONCE)]
        world.source.push(commit_of(*names) | {"t.yaml": tier("ops")})
        await world.controller(world.store.client(faults)).once()

        assert most["Tier"] == 1
        assert 1 < most["NetworkPolicy"] <= AT_ONCE
        assert not together
        assert len(await world.objects()) == 3 * AT_ONCE + 1

    asyncio.run(scenario())


def test_what_others_would_do_is_done_beside_what_failed() -> None:
    """Of a level written at once one is refused: the others are there, and what denies after it waits."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a", "b", "c") | {"d.yaml": policy("d", action="Deny")})
        refused = policy_key("b")

        def faults(call: Call) -> Fault:
            return Fault(refused=call.key == refused and call.operation is Operation.CREATE)

        controller = world.controller(world.store.client(faults))
        running = asyncio.ensure_future(controller.run())
        await world.until(policy_key("a"), policy_key("c"))
        assert refused not in world.store_keys()
        assert policy_key("d") not in world.store_keys()
        controller.stop()
        await asyncio.wait_for(running, 5)

    asyncio.run(scenario())
