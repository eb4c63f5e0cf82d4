"""The cluster that a plan is about: read, planned, put together from files; what cannot be read is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from muslin import resources
from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.protocol import Forbidden, Listing
from muslin.errors import Place
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.keys import Key
from muslin.resources.node import Node
from muslin.semantics.snapshot import Snapshot
from reconciler.compare import stripped
from reconciler.manifests import Declared, Reading
from reconciler.plan import Action, Cause, Owner, Plan, Step
from reconciler.report_cluster import as_it_is, as_planned, between, exported, with_declared
from tests.support.clusters import node, policy, pool, tier, workload


class _Reluctant:
    """A datastore that does not let us list pods."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def list(self, kind: str, **options: Any) -> Listing:
        if kind == "WorkloadEndpoint":
            raise Forbidden("listing pods is forbidden", "WorkloadEndpoint")
        found: Listing = await self._inner.list(kind, **options)
        return found


def test_what_cannot_be_read_is_missing_and_told() -> None:
    """One object of another shape, and a kind that we may not list: the rest is there."""

    async def look() -> tuple[Snapshot, list[str]]:
        store = MemoryDatastore().client()
        for each in (pool("pods", "10.48.0.0/16"), workload("web", "10.48.0.1"), tier("early", 5)):
            await store.create(each.key, resources.dump(each))
        odd = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "odd"}, "spec": {"cidr": 7}}
        await store.create(Key("IPPool", "odd"), odd)
        found, problems = await as_it_is(_Reluctant(store))  # type: ignore[arg-type]
        return found, [each.where for each in problems]

    found, where = asyncio.run(look())
    assert {Key("IPPool", "pods"), Key("Tier", "early")} <= set(found.resources)
    assert not {Key("IPPool", "odd"), Key("WorkloadEndpoint", "web", "default")} & set(found.resources)
    assert (where[0], "IPPool odd" in where[1], len(where)) == ("WorkloadEndpoint", True, 2)


def test_steps_make_the_cluster_after() -> None:
    """Written objects are there, removed ones are not, an adoption without fields changes nothing."""
    before = Snapshot.of([pool("pods", "10.48.0.0/16"), tier("early", 5), tier("late", 9)])
    new = resources.dump(tier("early", 7))
    steps = (
        Step(Action.UPDATE, Key("Tier", "early"), Cause.CHANGE, Owner.US, new),
        Step(Action.DELETE, Key("Tier", "late"), Cause.CHANGE, Owner.US, {}),
        Step(Action.ADOPT, Key("IPPool", "pods"), Cause.CHANGE, Owner.SOMEBODY_ELSE, {}),
    )
    after, problems = as_planned(before, Plan("c", steps))

    assert (set(after.resources), problems) == ({Key("Tier", "early"), Key("IPPool", "pods")}, ())
    assert resources.dump(after.resources[Key("Tier", "early")])["spec"]["order"] == 7


def _reading(commit: str, *declared: resources.Resource) -> Reading:
    return Reading(
        commit, {each.key: Declared(each.key, stripped(resources.dump(each)), Place("x.yaml", 1)) for each in declared}
    )


def test_a_node_of_files_has_what_both_say_of_it() -> None:
    """Its address is who lives there, its reflector's id is declared."""
    people = Snapshot.of([node("node-a", "192.0.2.1/24", {"rack": "1"})])
    declared = node("node-a", labels={"reflector": "yes"}, routeReflectorClusterID="192.0.2.30")
    made = with_declared(people, _reading("c", declared)).get(Node, "node-a")

    assert made is not None
    assert made.spec.bgp is not None
    assert (str(made.spec.bgp.ipv4_address), str(made.spec.bgp.route_reflector_cluster_id)) == (
        "192.0.2.1/24", "192.0.2.30",
    )  # fmt: skip
    assert dict(made.metadata.labels) == {"rack": "1", "reflector": "yes"}


def test_between_two_commits_everything_of_the_first_is_ours() -> None:
    """What only the first declares is removed, what both declare alike is left, and no field is a stranger's."""
    planned = between(_reading("a", tier("early", 5), tier("late", 9)), _reading("b", tier("early", 7), policy("web")))

    assert [(step.action, step.key.name, step.owner) for step in planned.steps] == [
        (Action.UPDATE, "early", Owner.US), (Action.CREATE, "web", Owner.NOBODY), (Action.DELETE, "late", Owner.US),
    ]  # fmt: skip
    assert (planned.commit, planned.blocked) == ("b", ())


def test_a_cluster_policy_of_kubernetes_is_one_of_an_export() -> None:
    """With its tier and priority, as the datastore would give it."""
    spec = {
        "tier": "Admin", "priority": 7, "subject": {"namespaces": {}},
        "ingress": [{"action": "Deny", "from": [{"namespaces": {}}]}],
    }  # fmt: skip
    value = {"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy", "spec": spec}
    (found,) = exported(json.dumps({**value, "metadata": {"name": "no"}}).encode(), "policies.json")

    assert isinstance(found, GlobalNetworkPolicy)
    assert (found.kind, found.spec.effective_tier, found.spec.order) == (
        "KubernetesClusterNetworkPolicy",
        "kube-admin",
        7,
    )
