"""Which facts lead to which decision, rule by rule."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS, decide
from blueprints.decision import Blueprint
from blueprints.emit import DECISIONS_FILE, render
from blueprints.facts import Facts, load
from blueprints.single_subnet import single_subnet
from muslin.errors import BadInput
from muslin.resources import load as load_resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.ip_pool import EncapsulationMode, IPPool
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, verdict
from muslin.yaml import load as read_yaml
from tests.support.clusters import namespace_profile, workload


def _facts(**changed: Any) -> Facts:
    return load(
        {
            "apiVersion": "blueprints.muslin/v1alpha1",
            "kind": "Cluster",
            "name": "demo",
            "nodes": [{"name": "node-a", "address": "192.0.2.1"}, {"name": "node-b", "address": "192.0.2.2"}],
            "subnets": ["192.0.2.0/24"],
            "networkMTU": 1500,
            "podRange": "10.48.0.0/16",
            **changed,
        }
    )


def _one(blueprint: Blueprint, kind: type[Any]) -> Any:
    (found,) = [resource for resource in blueprint.resources if isinstance(resource, kind)]
    return found


@pytest.mark.parametrize(
    ("facts", "decision", "chosen"),
    [
        ({}, "encapsulation", "no encapsulation"),
        ({"network": {"sourceDestinationChecks": True}}, "encapsulation", "IP-in-IP Always"),
        ({"network": {"podAddresses": False}}, "encapsulation", "IP-in-IP Always"),
        ({"network": {"sourceDestinationChecks": True, "ipip": False}}, "encapsulation", "VXLAN Always"),
        ({"network": {"bgp": False}}, "encapsulation", "VXLAN Always"),
        ({"provider": "aws"}, "encapsulation", "IP-in-IP Always"),
        ({"provider": "aws", "network": {"sourceDestinationChecks": False}}, "encapsulation", "no encapsulation"),
        ({"provider": "azure"}, "encapsulation", "VXLAN Always"),
        ({}, "MTU", "1500"),
        ({"networkMTU": 9001}, "MTU", "9001"),
        ({"network": {"sourceDestinationChecks": True}}, "MTU", "1480"),
        ({"network": {"sourceDestinationChecks": True}, "networkMTU": 9001}, "MTU", "8981"),
        ({"network": {"bgp": False}}, "MTU", "1450"),
        ({"network": {"bgp": False}, "networkMTU": 9001}, "MTU", "8951"),
        ({"plannedNodes": 49}, "route distribution", "node-to-node mesh"),
        ({"network": {"bgp": False}, "plannedNodes": 200}, "route distribution", "none"),
        ({}, "AS number", "64512"),
        ({"asNumber": 64500}, "AS number", "64500"),
        ({"asNumber": "1.10"}, "AS number", "65546"),
        ({}, "datastore", "kubernetes"),
        ({"datastore": "etcd", "etcdIsTheClusters": False}, "datastore", "etcd"),
        ({"datastore": "embedded"}, "datastore", "embedded"),
        ({}, "fan-out", "on"),
        ({"datastore": "embedded"}, "fan-out", "off"),
        ({"datastore": "etcd", "etcdIsTheClusters": False}, "fan-out", "off"),
        (
            {"datastore": "etcd", "etcdIsTheClusters": False, "plannedNodes": 51, "network": {"bgp": False}},
            "fan-out",
            "on",
        ),
        ({}, "outgoing NAT", "on"),
        ({"natOutgoing": False}, "outgoing NAT", "off"),
        ({}, "block size", "/26"),
        ({}, "pod range", "10.48.0.0/16"),
    ],
)
def test_facts_decide(facts: dict[str, Any], decision: str, chosen: str) -> None:
    """Each row of the table is one rule of the reference architecture."""
    assert chosen == single_subnet(_facts(**facts)).decision(decision).chosen


@pytest.mark.parametrize(
    ("facts", "ipip", "vxlan", "tunnel_mtu"),
    [
        ({}, "Never", "Never", {}),
        ({"network": {"sourceDestinationChecks": True}}, "Always", "Never", {"ipip_mtu": 1480}),
        ({"network": {"bgp": False}}, "Never", "Always", {"vxlan_mtu": 1450}),
    ],
)
def test_resources_say_what_was_decided(
    facts: dict[str, Any], ipip: str, vxlan: str, tunnel_mtu: dict[str, int]
) -> None:
    """Modes of the pool, the mesh and the tunnel's MTU follow from the decisions."""
    blueprint = single_subnet(_facts(**facts))
    pool, bgp = _one(blueprint, IPPool), _one(blueprint, BGPConfiguration)
    felix = [resource.spec for resource in blueprint.resources if isinstance(resource, FelixConfiguration)]

    assert (EncapsulationMode(ipip), EncapsulationMode(vxlan)) == (pool.spec.ipip_mode, pool.spec.vxlan_mode)
    assert (vxlan == "Never") is bgp.spec.node_to_node_mesh_enabled
    assert tunnel_mtu == {name: getattr(spec, name) for spec in felix for name in tunnel_mtu}


def test_fifty_nodes_need_reflectors() -> None:
    """At 50 nodes a mesh is refused, and the problem points to the other blueprint."""
    with pytest.raises(BadInput, match="route_reflectors"):
        single_subnet(_facts(plannedNodes=50))


def test_every_decision_gives_reasons() -> None:
    """A decision has a rule, alternatives and a source, and determines only fields of resources that exist."""
    blueprint = single_subnet(_facts())
    keys = {resource.key for resource in blueprint.resources}

    for decision in blueprint.decisions:
        assert decision.rule, decision.name
        assert decision.alternatives, decision.name
        assert decision.source.startswith(("Calico Reference Architecture", "RFC"))
        assert keys >= {key for key, _ in decision.fields}


def test_text_reads_back_as_the_same_resources() -> None:
    """What is rendered, comments and all, loads as exactly the resources of the blueprint."""
    blueprint = single_subnet(_facts(natOutgoing=False))
    texts = render(blueprint)

    read = [
        load_resource(document.value) for path in blueprint.files for document in read_yaml(texts[path].encode(), path)
    ]

    assert list(blueprint.resources) == read
    assert all(f"{decision.chosen}" in texts[DECISIONS_FILE] for decision in blueprint.decisions)


def test_same_facts_give_the_same_text() -> None:
    """Rendering is a function: twice the same, and the order of groups is told."""
    facts = _facts()

    assert render(single_subnet(facts)) == render(single_subnet(facts))
    assert [group.name for group in single_subnet(facts).groups] == ["network", "default-policy"]


def test_a_group_can_be_rendered_alone() -> None:
    """The default policy is pushed as a second step, so the first can be written without it."""
    blueprint = single_subnet(_facts())
    first = render(blueprint, ["network"])

    assert {DECISIONS_FILE, "network/ip-pools.yaml", "network/bgp.yaml"} == set(first)
    with pytest.raises(ValueError, match="no group is named second"):
        render(blueprint, ["second"])


@pytest.mark.parametrize(
    ("source", "destination", "protocol", "port", "allowed"),
    [
        ("10.48.0.1", "10.48.0.2", 6, 80, False),
        ("10.48.0.1", "10.48.0.9", 17, 53, True),
        ("10.48.0.1", "10.48.0.9", 6, 53, True),
        ("10.48.0.1", "10.48.0.2", 17, 53, False),
        ("10.48.0.9", "10.48.0.1", 6, 80, False),
        ("10.48.0.9", "203.0.113.10", 6, 443, True),
        ("10.48.0.1", "203.0.113.10", 6, 443, False),
        ("203.0.113.10", "10.48.0.9", 6, 80, True),
    ],
)
def test_default_policy_leaves_only_system_and_dns(
    source: str, destination: str, protocol: int, port: int, *, allowed: bool
) -> None:
    """Pods of `red` reach nothing but DNS; pods of kube-system reach out and are reached."""
    snapshot = Snapshot.of(
        [
            _one(single_subnet(_facts()), GlobalNetworkPolicy),
            namespace_profile("red"),
            namespace_profile("kube-system"),
            workload("web", "10.48.0.1", namespace="red"),
            workload("db", "10.48.0.2", namespace="red", on="node-b"),
            workload("dns", "10.48.0.9", namespace="kube-system", on="node-b"),
        ]
    )
    flow = Flow(ip_address(source), ip_address(destination), protocol, 40000, port)

    assert allowed is verdict(snapshot, flow).allowed


@pytest.mark.parametrize(
    ("named", "fix"),
    [
        (
            None,
            f"set blueprint to one of {', '.join(BLUEPRINTS)}",
        ),
        ("single_subnets", "did you mean single_subnet?"),
    ],
)
def test_unknown_blueprint_is_refused(named: str | None, fix: str) -> None:
    """Facts must name an installed blueprint."""
    with pytest.raises(BadInput) as caught:
        decide(_facts(**({"blueprint": named} if named else {})))

    assert [fix] == [problem.fix for problem in caught.value.problems]


def test_named_blueprint_decides() -> None:
    """The catalogue hands the facts to the blueprint that they name."""
    facts = _facts(blueprint="single_subnet")

    assert single_subnet(facts) == decide(facts)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "the range holds 1024 blocks: enough for 512 nodes with 110 pods each, as Kubernetes usually has"),
        ({"podsPerNode": 64}, "the range holds 1024 blocks: enough for 1024 nodes with 64 pods each;"),
        ({"podsPerNode": 65}, "the range holds 1024 blocks: enough for 512 nodes with 65 pods each;"),
        ({"plannedNodes": 40, "podRange": "10.48.0.0/20"}, "nodes borrow addresses of each other's blocks"),
    ],
)
def test_the_largest_cluster_is_told(told: dict[str, Any], words: str) -> None:
    """How many nodes the range is enough for, and where they begin to borrow."""
    assert words in single_subnet(_facts(**told)).decision("block size").consequence
