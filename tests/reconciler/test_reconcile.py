"""The reconciler over memory: what commits, hands and strangers do to a cluster."""

from __future__ import annotations

import asyncio

from muslin.datastore.memory import Call, Fault, Operation, no_faults
from muslin.resources.keys import Key
from reconciler.controller import Settings
from reconciler.plan import Action, Budget, Cause, Hold, Why
from reconciler.preview import preview
from reconciler.status import EventKind
from tests.reconciler.cases import World, commit_of, policy, policy_key, pool, tier


def test_a_commit_becomes_objects_and_a_second_look_does_nothing() -> None:
    """What is declared is created; the next look of the same process writes nothing and parses nothing."""

    async def scenario() -> None:
        world = World()
        commit = world.source.push(
            {"a.yaml": policy("a"), "tier.yaml": tier("ops"), "pool.yaml": pool("p", "10.48.0.0/16")}
        )
        controller = world.controller()
        status = await controller.once()
        assert set(await world.objects()) == {policy_key("a"), Key("Tier", "ops"), Key("IPPool", "p")}
        assert (status.applied, status.seen, status.held) == (commit, commit, None)

        head, parses = world.store.history.head, world.source.parses
        await controller.once()
        await world.look()
        assert (world.store.history.head, world.source.parses) == (head, parses)

    asyncio.run(scenario())


def test_one_bad_file_changes_nothing() -> None:
    """A commit with a problem is held with all its problems and places; a good one after it heals all."""

    async def scenario() -> None:
        world = World()
        good = world.source.push(commit_of("a", "b"))
        await world.look()
        before = await world.objects()
        bad = world.source.push(
            commit_of("a", "c") | {"b.yaml": policy("b").replace("selector:", "selektor:"), "d.yaml": "kind: ["}
        )
        status = await world.look()
        assert await world.objects() == before
        assert (status.held, status.reason, status.accepted, status.applied) == (bad, Hold.PROBLEMS, good, good)
        assert {problem.where.split(":")[0] for problem in status.problems} == {"b.yaml", "d.yaml"}
        assert "b.yaml:8:" in " ".join(problem.where for problem in status.problems)

        world.source.push(commit_of("a", "c"))
        status = await world.look()
        assert set(await world.objects()) == {policy_key("a"), policy_key("c")}
        assert status.held is None

    asyncio.run(scenario())


def test_a_tightening_push_writes_what_allows_first() -> None:
    """Default deny and one allow in a commit: the allow is there before anything is denied, and goes after it."""

    async def scenario() -> None:
        world = World()
        deny = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: default-deny}
spec: {order: 2000, types: [Ingress, Egress], egress: [{action: Allow, protocol: UDP, destination: {ports: [53]}}]}
"""
        world.source.push({"a.yaml": deny, "b.yaml": policy("web", order=3000), "z.yaml": tier("ops")})
        await world.look()
        world.source.push({"z.yaml": tier("ops")})
        await world.look()
        told = [event.message for event in world.events if event.kind is EventKind.OBJECT_WRITTEN]

        assert told == [
            "create Tier ops", "create NetworkPolicy shop/web", "create GlobalNetworkPolicy default-deny",
            "delete GlobalNetworkPolicy default-deny", "delete NetworkPolicy shop/web",
        ]  # fmt: skip

    asyncio.run(scenario())


def test_drift_is_repaired_also_while_a_bad_commit_is_held() -> None:
    """What somebody changed or deleted is put back from the commit in force, with field, old and new value."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a", "b"))
        await world.look()
        before = await world.objects()
        world.source.push({"bad.yaml": "- 1"})
        await world.edit(policy_key("a"), order=5)
        await world.store.delete(policy_key("b"))
        await world.look()

        assert await world.objects() == before
        repaired = {event.key: event for event in world.events if event.kind is EventKind.DRIFT_REPAIRED}
        assert set(repaired) == {policy_key("a"), policy_key("b")}
        change = repaired[policy_key("a")].fields[0]
        assert (change.path, change.old, change.new) == ("spec.order", 5, 100)
        assert "was deleted by somebody else" in repaired[policy_key("b")].message
        stored = (await world.store.get(Key("ReconcilerStatus", "default"))).value["status"]
        assert {"path": "spec.order", "old": 5, "new": 100} in stored["drift"][0]["fields"]

    asyncio.run(scenario())


def test_labels_of_others_are_kept_and_ours_are_taken_back() -> None:
    """A stranger's label survives our update; a label that we no longer declare goes."""

    async def scenario() -> None:
        world = World()
        world.source.push({"a.yaml": policy("a", labels={"team": "x", "old": "w"})})
        await world.look()
        entry = await world.store.get(policy_key("a"))
        metadata = {**entry.value["metadata"], "labels": {**entry.value["metadata"]["labels"], "theirs": "z"}}
        await world.store.update(policy_key("a"), {**entry.value, "metadata": metadata}, entry.revision)
        head = world.store.history.head
        await world.look()
        assert world.store.history.head == head
        world.source.push({"a.yaml": policy("a", labels={"team": "x"}, order=7)})
        await world.look()

        entry = await world.store.get(policy_key("a"))
        assert entry.value["metadata"]["labels"] == {"team": "x", "theirs": "z", "projectcalico.org/tier": "default"}
        assert entry.value["spec"]["order"] == 7

    asyncio.run(scenario())


def test_a_node_is_shared_with_its_agent() -> None:
    """Of a Node only the fields that the file names are ours: the agent's stay, also when the file goes."""

    async def scenario() -> None:
        world = World()
        key = Key("Node", "n1")
        agents = {"addresses": [{"address": "192.0.2.1", "type": "InternalIP"}], "bgp": {"ipv4Address": "192.0.2.1/24"}}
        value = {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": "n1"}, "spec": agents}
        await world.store.create(key, value)
        node = """apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: n1, labels: {rr: "true"}}
spec: {bgp: {routeReflectorClusterID: 192.0.2.250}}
"""
        world.source.push({"n.yaml": node} | commit_of("a"))
        await world.look()
        entry = await world.store.get(key)
        bgp = {"ipv4Address": "192.0.2.1/24", "routeReflectorClusterID": "192.0.2.250"}
        assert entry.value["spec"] == agents | {"bgp": bgp}
        assert entry.value["metadata"]["labels"] == {"rr": "true"}
        await world.edit(key, bgp=bgp | {"ipv4Address": "192.0.2.9/24"})
        head = world.store.history.head
        await world.look()
        assert world.store.history.head == head

        world.source.push(commit_of("a"))
        await world.look()
        entry = await world.store.get(key)
        assert entry.value["spec"] == agents | {"bgp": {"ipv4Address": "192.0.2.9/24"}}
        assert "labels" not in entry.value["metadata"]

    asyncio.run(scenario())


def test_only_what_is_ours_is_pruned() -> None:
    """A stranger's object stays, ours goes when it is no longer declared, one that others changed meanwhile stays."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a", "b", "c"))
        await world.look()
        stranger = Key("Tier", "stranger")
        await world.store.create(
            stranger,
            {
                "apiVersion": "projectcalico.org/v3",
                "kind": "Tier",
                "metadata": {"name": "stranger"},
                "spec": {"order": 1},
            },
        )
        await world.edit(policy_key("b"), order=6)
        world.source.push(commit_of("c"))
        status = await world.look()

        assert set(await world.objects()) == {policy_key("b"), policy_key("c"), stranger}
        assert [(key, why) for key, why, _ in status.blocked] == [(policy_key("b"), Why.CHANGED_BY_OTHERS)]

    asyncio.run(scenario())


def test_what_was_there_is_adopted_and_shown_as_such() -> None:
    """A declared object that exists already is taken over; the plan says so, with what changes and whose it was."""

    async def scenario() -> None:
        world = World()
        await world.store.create(
            Key("Tier", "ops"),
            {"apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": "ops"}, "spec": {"order": 1}},
        )
        commit = world.source.push({"tier.yaml": tier("ops")})
        plan = await preview(world.store, await world.source.read(commit))
        assert [(step.action, step.cause, step.owner) for step in plan.steps] == [
            (Action.ADOPT, Cause.CHANGE, "somebody else")
        ]
        assert plan.to_json()["steps"][0]["fields"] == [{"path": "spec.order", "old": 1, "new": 50}]
        await world.look()

        assert (await world.store.get(Key("Tier", "ops"))).value["spec"]["order"] == 50
        assert not await preview(world.store, await world.source.read(commit))

    asyncio.run(scenario())


def test_nothing_goes_to_zero_and_not_half_at_once_unless_told() -> None:
    """An empty commit and one that removes more than the budget are held; with leave, they are done."""

    async def scenario() -> None:
        world = World()
        names = [f"p{number}" for number in range(20)]
        world.source.push(commit_of(*names))
        await world.look()
        world.source.push({"README.md": ""})
        assert (await world.look()).reason is Hold.EMPTY
        world.source.push(commit_of(*names[:9]))
        assert (await world.look()).reason is Hold.TOO_MANY_DELETES
        assert len(await world.objects()) == 20

        world.source.push(commit_of(*names[:10]))
        assert (await world.look()).reason is None
        assert len(await world.objects()) == 10
        world.settings = Settings(budget=Budget(allow_empty=True))
        world.source.push({"README.md": ""})
        await world.look()
        assert await world.objects() == {}

    asyncio.run(scenario())


def test_a_pool_with_addresses_in_use_stays() -> None:
    """A pool is not removed while an IPAM block lies in it, and goes when the block is gone."""

    async def scenario() -> None:
        world = World()
        block = Key("IPAMBlock", "10-48-0-0-26")
        await world.store.create(
            block, {"kind": "IPAMBlock", "metadata": {"name": block.name}, "spec": {"cidr": "10.48.0.0/26"}}
        )
        both = {"p.yaml": pool("p", "10.48.0.0/16"), "q.yaml": pool("q", "10.49.0.0/16")}
        world.source.push(both | commit_of("a"))
        await world.look()
        world.source.push(commit_of("a"))
        status = await world.look()
        assert [(key, why) for key, why, _ in status.blocked] == [(Key("IPPool", "p"), Why.POOL_IN_USE)]
        assert Key("IPPool", "q") not in await world.objects()

        await world.store.delete(block)
        await world.look()
        assert set(await world.objects()) == {policy_key("a")}

    asyncio.run(scenario())


def test_what_cannot_be_changed_is_blocked_and_the_rest_goes_on() -> None:
    """A pool's block size is fixed once the pool is there: the change is told, and other files are applied."""

    async def scenario() -> None:
        world = World()
        world.source.push({"p.yaml": pool("p", "10.48.0.0/16")})
        await world.look()
        changed = pool("p", "10.48.0.0/16").replace("blockSize: 26", "blockSize: 28")
        world.source.push({"p.yaml": changed} | commit_of("a"))

        status = await world.look()

        assert [(key, why) for key, why, _ in status.blocked] == [(Key("IPPool", "p"), Why.IMMUTABLE)]
        assert not status.settled
        stored = await world.store.get(Key("IPPool", "p"))
        assert stored.value["spec"]["blockSize"] == 26
        assert policy_key("a") in await world.objects()

    asyncio.run(scenario())


def test_two_sets_do_not_take_objects_from_each_other() -> None:
    """What another set's ledger claims is blocked, and said."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a"))
        await world.look()
        other = World(store=world.store.client(), settings=Settings(set_name="other"))
        other.source.push({"a.yaml": policy("a", order=3), "b.yaml": policy("b")})
        status = await other.look()

        assert [(key, why) for key, why, _ in status.blocked] == [(policy_key("a"), Why.OWNED_BY_ANOTHER_SET)]
        assert (await world.store.get(policy_key("a"))).value["spec"]["order"] == 100
        assert policy_key("b") in await world.objects()

    asyncio.run(scenario())


def test_it_runs_by_itself_woken_by_pushes_and_by_hands() -> None:
    """A running reconciler applies a push when woken, and repairs drift because the datastore's watch tells it."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a"))
        controller = world.controller()
        running = asyncio.ensure_future(controller.run())
        await world.until(policy_key("a"))
        world.source.push(commit_of("a", "b"))
        controller.wake()
        await world.until(policy_key("b"))
        await world.store.delete(policy_key("a"))
        await world.until(policy_key("a"))
        world.source.push(commit_of("b"))
        controller.wake()
        await world.until(policy_key("a"), gone=True)
        controller.stop()
        await asyncio.wait_for(running, 5)

    asyncio.run(scenario())


def test_before_the_first_whole_list_nothing_is_decided() -> None:
    """A process that starts while lists fail neither removes nor lets go of what is ours: it goes when they are in."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a", "b", "c"))
        await world.look()
        world.source.push(commit_of("a", "b"))
        store, asked = world.store.client(), asyncio.Event()

        def failing(call: Call) -> Fault:
            if call.operation is not Operation.LIST or call.kind != policy_key("a").kind:
                return Fault()
            asked.set()
            return Fault(refused=True)

        store.faults = failing
        controller = world.controller(store)
        running = asyncio.ensure_future(controller.run())
        await asyncio.wait_for(asked.wait(), 5)
        controller.wake()
        for _ in range(50):
            await asyncio.sleep(0)
        assert controller.looks == 0
        assert set(await world.objects()) == {policy_key("a"), policy_key("b"), policy_key("c")}
        store.faults = no_faults
        await world.until(policy_key("c"), gone=True)
        controller.stop()
        await asyncio.wait_for(running, 5)

    asyncio.run(scenario())
