"""What is removed, what is not, and what a person must say first."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.protocol import Entry, Json, Revision
from muslin.errors import BadInput, Problem
from muslin.resources.keys import Key
from reconciler.control import approve, confirm, rollback
from reconciler.digest import deeds
from reconciler.effect.removal import Removal
from reconciler.plan import Budget, Hold, Plan, Why, hold
from reconciler.planning import PRUNE
from reconciler.preview import preview
from tests.reconciler.cases import World, commit_of, policy, policy_key, pool, tier

_AT = "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (Key("IPPool", "p"), pool("p", "10.48.0.0/16")),
        (Key("Tier", "ops"), tier("ops")),
        (
            Key("BGPConfiguration", "default"),
            "apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: {name: default}\nspec: {}\n",
        ),
    ],
)
def test_what_a_cluster_hangs_on_goes_only_when_confirmed(key: Key, text: str) -> None:
    """A pool, a tier, the BGP configuration stay and are named until somebody confirms; other removals go on."""

    async def scenario() -> None:
        world = World()
        world.settings = replace(world.settings, budget=Budget())
        world.source.push(commit_of("a", "b") | {"x.yaml": text})
        await world.look()
        world.source.push(commit_of("a"))
        for _ in range(2):
            status = await world.look()
            assert set(await world.objects()) == {policy_key("a"), key}
            assert [(one, why) for one, why, _ in status.blocked] == [(key, Why.NOT_CONFIRMED)]
        await confirm(world.store, "default", key)
        assert not (await world.look()).blocked
        assert set(await world.objects()) == {policy_key("a")}

    asyncio.run(scenario())


def test_a_veto_on_the_object_keeps_it() -> None:
    """Somebody's annotation keeps an object that no commit declares; without it, the object goes."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a", "b"))
        await world.look()
        await _annotate(world, policy_key("b"), {PRUNE: "never"})
        world.source.push(commit_of("a"))
        status = await world.look()
        assert [(key, why) for key, why, _ in status.blocked] == [(policy_key("b"), Why.VETOED)]
        assert policy_key("b") in await world.objects()

        await _annotate(world, policy_key("b"), {})
        await world.look()
        assert set(await world.objects()) == {policy_key("a")}

    asyncio.run(scenario())


async def _annotate(world: World, key: Key, annotations: Json) -> None:
    entry = await world.store.get(key)
    metadata = {**entry.value["metadata"], "annotations": dict(annotations)}
    await world.store.update(key, {**entry.value, "metadata": metadata}, entry.revision)


class _Undeletable(MemoryDatastore):
    """A client that may not delete one object, as an admission rule would have it."""

    def __init__(self, client: MemoryDatastore, key: Key) -> None:
        super().__init__()
        self._shared, self._key = client._shared, key

    async def delete(self, key: Key, revision: Revision | None = None) -> Entry:
        """As the store, or refused."""
        if key == self._key:
            raise BadInput(Problem("not today", str(key), "ask tomorrow"))
        return await super().delete(key, revision)


class _Overtaken(MemoryDatastore):
    """A client that is overtaken: just before its first delete arrives, somebody changes that object."""

    def __init__(self, client: MemoryDatastore) -> None:
        super().__init__()
        self._shared, self._overtaken = client._shared, False

    async def delete(self, key: Key, revision: Revision | None = None) -> Entry:
        """As the store, a moment late."""
        if not self._overtaken:
            self._overtaken = True
            entry = await self.get(key)
            await self.update(key, {**entry.value, "spec": {**entry.value["spec"], "order": 7}}, entry.revision)
        return await super().delete(key, revision)


def test_what_somebody_changes_at_the_last_moment_is_not_removed() -> None:
    """The plan saw the object unchanged, and the delete arrives after another's write: it is refused, and told."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a", "b", "c"))
        await world.look()
        world.source.push(commit_of("a", "c"))
        controller = world.controller(_Overtaken(world.store.client()))
        status = await controller.once()
        assert [(key, why) for key, why, _ in status.blocked] == [(policy_key("b"), Why.CHANGED_BY_OTHERS)]
        assert (await world.store.get(policy_key("b"))).value["spec"]["order"] == 7

    asyncio.run(scenario())


def test_a_removal_that_failed_stays_on_the_list() -> None:
    """Refused once, also over a restart and another commit, the object is still ours and goes when it may."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a", "b", "c"))
        await world.look()
        world.source.push(commit_of("a"))
        refusing = _Undeletable(world.store.client(), policy_key("b"))
        status = await world.controller(refusing).once()
        assert [key for key, _ in status.failed] == [policy_key("b")]
        assert set(await world.objects()) == {policy_key("a"), policy_key("b")}
        world.source.push(commit_of("a", "d"))
        assert [key for key, _ in (await world.controller(refusing).once()).failed] == [policy_key("b")]

        assert not (await world.look()).failed
        assert set(await world.objects()) == {policy_key("a"), policy_key("d")}

    asyncio.run(scenario())


def test_an_approved_plan_may_remove_more_than_the_budget() -> None:
    """Down to nothing and more than the part are held, and done once somebody has approved exactly that plan."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of(*(f"p{number}" for number in range(20))))
        await world.look()
        commit = world.source.push({"README.md": ""})
        assert (await world.look()).reason is Hold.EMPTY
        await approve(world.store, "default", "sha256:0", by="ada", at=_AT)
        assert (await world.look()).reason is Hold.EMPTY
        found = f"sha256:{deeds(await preview(world.store, world.source.reading(commit)))}"
        await approve(world.store, "default", found, by="ada", at=_AT)
        assert (await world.look()).reason is None
        assert await world.objects() == {}

    asyncio.run(scenario())


def test_the_budget_counts_objects_parts_and_who_needs_them() -> None:
    """Each limit holds a commit by itself, and says by how much it is exceeded."""
    budget = Budget(part=0.5, least=5, most=40, addresses=0, endpoints=10)

    assert [budget.allows(count, 100) for count in (5, 40, 41, 51)] == [True, True, False, False]
    assert [budget.allows(count, 4) for count in (4, 5)] == [True, True]
    proposed = Plan("c")
    assert hold(proposed, 1, 1, budget, Removal()) is None
    for effect, words in ((Removal(addresses=1), "1 addresses in use"), (Removal(endpoints=11), "11 endpoints")):
        found = hold(proposed, 1, 1, budget, effect)
        assert found is not None
        assert found[0] is Hold.TOO_MUCH_EFFECT
        assert words in found[1].what
    assert hold(proposed, 1, 1, budget, Removal(endpoints=10)) is None


def test_a_removal_that_endpoints_need_is_held() -> None:
    """A policy that selects more workloads than the budget allows is not removed by a push alone."""

    async def scenario() -> None:
        world = World()
        world.settings = replace(world.settings, budget=Budget(endpoints=0))
        world.source.push(commit_of("a", "b"))
        await world.look()
        name = "node1-k8s-b--0-eth0"
        value = {
            "apiVersion": "projectcalico.org/v3", "kind": "WorkloadEndpoint",
            "metadata": {
                "name": name, "namespace": "shop",
                "labels": {
                    "app": "b", "projectcalico.org/namespace": "shop", "projectcalico.org/orchestrator": "k8s",
                },
            },
            "spec": {
                "orchestrator": "k8s", "node": "node1", "pod": "b-0", "endpoint": "eth0", "interfaceName": "cali1",
                "ipNetworks": ["198.51.100.1/32"],
            },
        }  # fmt: skip
        await world.store.create(Key("WorkloadEndpoint", name, "shop"), value)
        world.source.push(commit_of("a"))
        assert (await world.look()).reason is Hold.TOO_MUCH_EFFECT
        assert policy_key("b") in await world.objects()
        world.source.push(commit_of("b"))
        assert (await world.look()).reason is None

    asyncio.run(scenario())


def test_going_back_makes_again_what_it_was_what_a_commit_took_over() -> None:
    """A stranger's object that the bad commit adopted is not removed by the way back: it gets its old content."""

    async def scenario() -> None:
        world = World()
        stranger = {
            "apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": "ops"}, "spec": {"order": 7},
        }  # fmt: skip
        await world.store.create(Key("Tier", "ops"), stranger)
        world.source.push(commit_of("a"))
        await world.look()
        world.source.push(commit_of("a") | {"t.yaml": tier("ops"), "u.yaml": tier("new"), "b.yaml": policy("b")})
        await world.look()
        assert (await world.store.get(Key("Tier", "ops"))).value["spec"]["order"] == 50
        await rollback(world.store, "default", reason="x", by="ada", at=_AT)
        await world.look()

        assert (await world.store.get(Key("Tier", "ops"))).value["spec"]["order"] == 7
        assert set(await world.objects()) == {policy_key("a"), Key("Tier", "ops")}
        head = world.store.history.head
        await world.look()
        assert world.store.history.head == head

    asyncio.run(scenario())
