"""Sessions, prefixes, addresses, MTU, agents and staged policies: each part of an effect, on a cluster one can read."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from muslin import resources
from muslin.resources.base import Resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.host_endpoint import HostEndpoint
from muslin.semantics.announcements import announced
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.effect import Effect, effect
from reconciler.effect.staged import enforced
from reconciler.effect.unjudged import Unjudged
from runtime.calc.compute import compute
from tests.support.clusters import (
    affinity,
    block,
    global_policy,
    namespace_profile,
    node,
    policy,
    pool,
    tier,
    workload,
)

_NODES = [node(f"node-{name}", f"192.0.2.{at}/24") for at, name in enumerate("abc", 1)]
_OF_PODS = {"projectcalico.org/orchestrator": "k8s"}
_CLUSTER: list[Resource] = [
    *_NODES,
    pool("pods", "10.48.0.0/16"),
    block("10.48.0.0/26", "node-a"),
    affinity("node-a", "10.48.0.0/26"),
    block("10.48.0.64/26", "node-b"),
    affinity("node-b", "10.48.0.64/26"),
    namespace_profile("shop"),
    workload("web", "10.48.0.1", namespace="shop", labels={"app": "web", **_OF_PODS}),
    workload("db", "10.48.0.65", namespace="shop", on="node-b", labels={"app": "db", **_OF_PODS}),
]


def _effect(*after: Resource, without: str = "", **options: Any) -> Effect:
    kept = (each for each in _CLUSTER if str(each.key) != without)
    return effect(Snapshot.of(_CLUSTER), Snapshot.of([*kept, *after]), **options)


def _resource(kind: type[Resource], name: str, **spec: Any) -> Resource:
    return kind.model_validate({"metadata": {"name": name}, "spec": spec})


def test_the_mesh_goes() -> None:
    """Both ends of every session are told, and the agents of all nodes must act."""
    found = _effect(_resource(BGPConfiguration, "default", nodeToNodeMeshEnabled=False))

    assert [(each.node, each.peer, each.kind) for each in found.routing.went][:2] == [
        ("node-a", "node-b", "NodeMesh"), ("node-a", "node-c", "NodeMesh"),
    ]  # fmt: skip
    assert (len(found.routing.went), found.routing.came, found.agents.nodes) == (6, (), ("node-a", "node-b", "node-c"))
    assert not found.traffic


def test_a_peer_outside_hears_what_nodes_tell() -> None:
    """A new peer brings a session a node, and hears of every node's blocks and of the range of services."""
    services = _resource(BGPConfiguration, "default", serviceClusterIPs=[{"cidr": "198.51.100.0/24"}])
    peer = _resource(BGPPeer, "rack", peerIP="192.0.2.254", asNumber=64500, node="node-a")
    found = _effect(services, peer)

    assert [(each.node, each.peer) for each in found.routing.came] == [("node-a", "192.0.2.254")]
    assert found.to_json()["prefixes"] == {
        "nodes": {name: {"appear": ["198.51.100.0/24"], "vanish": []} for name in ("node-a", "node-b", "node-c")},
        "peers": {"192.0.2.254": {"appear": ["10.48.0.0/26", "198.51.100.0/24"], "vanish": []}},
    }


def test_a_session_that_is_set_up_otherwise_is_told_by_what_changes() -> None:
    """A password is named by its Secret, and nothing else of it."""
    password = {"secretKeyRef": {"name": "mesh", "key": "word"}}
    found = _effect(_resource(BGPConfiguration, "default", nodeMeshPassword=password))

    assert {each.changed for each in found.routing.changed} == {("password_ref: none -> Secret mesh/word",)}
    assert len(found.routing.changed) == 6


def test_a_pool_goes_and_with_it_addresses_in_use() -> None:
    """Addresses that no other pool holds are told, and the prefixes that are announced no more."""
    found = _effect(without="IPPool pods")

    assert [(each.pool, each.addresses, each.workloads) for each in found.lost] == [
        ("pods", ("10.48.0.1", "10.48.0.65"), 2)
    ]
    assert {name: each.vanish for name, each in (found.routing.of_nodes or {}).items()} == {
        "node-a": (ip_network("10.48.0.0/26"),), "node-b": (ip_network("10.48.0.64/26"),),
    }  # fmt: skip
    assert _effect(pool("wider", "10.0.0.0/8"), without="IPPool pods").lost == ()


def test_a_pool_is_wrapped_and_new_pods_get_a_smaller_mtu() -> None:
    """Which pool changes how, for how many addresses; which MTU new pods get where, and how many run on."""
    found = _effect(pool("pods", "10.48.0.0/16", ipipMode="Always", natOutgoing=True), network_mtu=9000)

    assert [(each.what, each.before, each.after, each.addresses) for each in found.pools] == [
        ("NAT of what leaves", "off", "on", 2), ("encapsulation", "none", "IP-in-IP Always", 2),
    ]  # fmt: skip
    assert [(each.before, each.after, each.nodes, each.running) for each in found.mtus] == [
        (9000, 8980, ("node-a", "node-b", "node-c"), 2)
    ]


def test_a_setting_of_one_node_reaches_one_node() -> None:
    """An MTU of `node.node-b` alone: one node, its one pod, one agent."""
    wrapped = pool("pods", "10.48.0.0/16", ipipMode="Always")
    before = Snapshot.of([*_CLUSTER, wrapped])
    after = Snapshot.of([*_CLUSTER, wrapped, _resource(FelixConfiguration, "node.node-b", ipipMTU=1400)])
    found = effect(before, after)

    assert [(each.before, each.after, each.nodes, each.running) for each in found.mtus] == [
        (1480, 1400, ("node-b",), 1)
    ]
    assert found.agents.nodes == ("node-b",)


def test_agents_are_counted_by_a_bound_and_exactly() -> None:
    """A policy for one workload concerns its node; one that says what is so already concerns nobody, exactly."""
    narrow = policy("db", "shop", selector="app == 'db'", types=["Ingress"], ingress=[{"action": "Allow"}])
    assert (_effect(narrow).agents.nodes, _effect(narrow).agents.exact) == (("node-b",), False)

    same = _effect(pool("pods", "10.48.0.0/16", allowedUses=["Workload", "Tunnel"]), state=_state)
    assert (same.agents.nodes, same.agents.of, same.agents.exact) == ((), 3, True)


def _state(snapshot: Snapshot, name: str) -> object:
    return replace(compute(snapshot, name), revision="", problems=())


@pytest.mark.parametrize("kind", ["StagedNetworkPolicy", "StagedGlobalNetworkPolicy", "StagedKubernetesNetworkPolicy"])
def test_staged_policies_are_told_apart(kind: str) -> None:
    """Nothing of them is in any total; what they would do is what the same policy does."""
    namespace = {} if kind == "StagedGlobalNetworkPolicy" else {"namespace": "shop"}
    spec: dict[str, Any] = {"selector": "app == 'db'", "types": ["Ingress"]}
    if kind == "StagedKubernetesNetworkPolicy":
        spec = {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"]}
    trial = resources.load(
        {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": "db", **namespace}, "spec": spec}
    )
    found = _effect(trial)

    real = _effect(policy("db", "shop", selector="app == 'db'", types=["Ingress"]))
    assert (bool(found), found.staged.policies) == (False, (trial.key,))
    assert list(map(str, found.staged.traffic.closed)) == list(map(str, real.traffic.closed)) != []


def test_a_staged_deletion_is_a_policy_less() -> None:
    """The action Delete takes the policy of that name away; Ignore and Learn do nothing."""
    there = policy("db", "shop", selector="app == 'db'", types=["Ingress"])
    found = {}
    for action in ("Delete", "Ignore", "Learn"):
        trial = resources.load(
            {
                "apiVersion": "projectcalico.org/v3", "kind": "StagedNetworkPolicy",
                "metadata": {"name": "db", "namespace": "shop"}, "spec": {"stagedAction": action},
            }
        )  # fmt: skip
        found[action] = there.key in enforced(Snapshot.of([there, trial]), [trial.key]).resources

    assert found == {"Delete": False, "Ignore": True, "Learn": True}


def test_what_cannot_be_judged_is_named() -> None:
    """Policies of hosts, and rules about services, with the objects that hold them."""
    host = HostEndpoint.model_validate(
        {"metadata": {"name": "eth0", "labels": {"host": "yes"}}, "spec": {"node": "node-a", "interfaceName": "eth0"}}
    )
    services = [{"action": "Allow", "destination": {"services": {"name": "x", "namespace": "shop"}}}]
    found = effect(
        Snapshot.of([*_CLUSTER, host]),
        Snapshot.of(
            [*_CLUSTER, host, global_policy("hosts", selector="has(host)"), policy("out", "shop", egress=services)]
        ),
    )

    assert {reason: [key.name for key in keys] for reason, keys in found.unjudged} == {
        Unjudged.HOST_POLICY: ["hosts"], Unjudged.SERVICES: ["out"],
    }  # fmt: skip


def test_nothing_changes_where_nothing_differs() -> None:
    """The same cluster twice has no effect, and no agent has anything to do."""
    found = _effect(tier("unused", 5))

    assert (bool(found), found.agents.nodes, found.endpoints) == (False, (), 2)


def test_announcements_are_what_nodes_compute() -> None:
    """For every node what its own calculation originates: blocks, and a workload's address in another's block."""
    lent = workload("lent", "10.48.0.70", namespace="shop", on="node-c")
    for each in ([], [lent], [lent, pool("pods", "10.48.0.0/16", disableBGPExport=True)]):
        snapshot = Snapshot.of([*_CLUSTER, *each])
        told = announced(snapshot)
        for one in _NODES:
            name = one.metadata.name
            assert told.get(name, frozenset()) == frozenset(compute(snapshot, name).originated)
