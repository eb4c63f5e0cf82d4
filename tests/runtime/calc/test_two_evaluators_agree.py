"""The compiled state of both nodes says the same as the small evaluator over the resources."""

from __future__ import annotations

import random
from ipaddress import ip_address
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslin.resources.node import Node
from muslin.semantics.routes import node_address
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, verdict
from runtime.calc.compute import compute
from runtime.calc.verdict import Judge, Packet, Path
from tests.support.clusters import global_policy, namespace_profile, node, workload
from tests.support.policy_strategies import NODES, clusters, flows

pytestmark = pytest.mark.slow


class _Nodes:
    """Both nodes of a cluster, by their states alone."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._judges = {name: Judge(compute(snapshot, name)) for name in NODES}
        self._nodes = {each.metadata.name: each for each in snapshot.all(Node)}

    def allow(self, flow: Flow) -> bool:
        """Walk a packet through every node that it may cross."""
        return all(self._passes(name, flow) for name in NODES)

    def _passes(self, name: str, flow: Flow) -> bool:
        own = node_address(self._nodes[name], flow.source.version)
        path = Path.OUTPUT if own == flow.source else Path.INPUT if own == flow.destination else Path.FORWARD
        packet = Packet(
            flow.source, flow.destination, flow.protocol, flow.source_port, flow.destination_port, flow.icmp, path=path
        )
        return self._judges[name].judge(self._judges[name].located(packet)).allowed


@settings(max_examples=40, deadline=None, derandomize=True)
@given(clusters(), st.lists(flows(), min_size=8, max_size=12))
def test_states_of_both_nodes_judge_as_the_resources_say(snapshot: Snapshot, packets: list[Flow]) -> None:
    """Egress at the source's node and ingress at the destination's together are the cluster's verdict."""
    expected = [verdict(snapshot, flow).allowed for flow in packets]
    nodes = _Nodes(snapshot)
    actual = [nodes.allow(flow) for flow in packets]

    assert expected == actual


@settings(max_examples=12, deadline=None, derandomize=True)
@given(clusters(), st.integers(0, 2**32))
def test_order_of_delivery_does_not_matter(snapshot: Snapshot, seed: int) -> None:
    """Any permutation of the same resources gives the same state."""
    resources = list(snapshot.resources.values())
    random.Random(seed).shuffle(resources)

    assert compute(snapshot, "node-a") == compute(Snapshot.of(resources), "node-a")


_HTTP = [{"name": "http", "protocol": "TCP", "port": 80}, {"name": "dns", "protocol": "UDP", "port": 53}]
_ENTITIES: tuple[dict[str, Any], ...] = (
    {"selector": "app == 'web'"},
    {"notSelector": "app == 'web'"},
    {"nets": ["10.48.0.0/31"]},
    {"notNets": ["10.48.0.0/31"]},
    {"nets": ["2001:db8:48::/64"]},
    {"notNets": ["2001:db8:48::/127"]},
    {"namespaceSelector": "all()"},
    {"namespaceSelector": "global()"},
)
_PORTS: tuple[dict[str, Any], ...] = (
    {"ports": [80]},
    {"ports": ["53:80"]},
    {"ports": ["http"]},
    {"ports": ["http", 81]},
    {"notPorts": ["http"]},
    {"notPorts": [80, "dns"]},
    {"selector": "app == 'web'", "ports": ["http"]},
    {"selector": "app == 'web'", "ports": ["http", 81]},
    {"selector": "app == 'db'", "ports": ["dns", 53], "notPorts": ["dns"]},
)
_RULES: tuple[dict[str, Any], ...] = (
    {},
    {"ipVersion": 4},
    {"ipVersion": 6},
    {"protocol": "TCP"},
    {"notProtocol": "TCP"},
    {"protocol": "ICMP", "ipVersion": 4},
    {"protocol": "ICMP", "ipVersion": 4, "icmp": {"type": 8}},
    {"protocol": "ICMP", "ipVersion": 4, "icmp": {"type": 8, "code": 0}},
    {"protocol": "ICMP", "ipVersion": 4, "notICMP": {"type": 8}},
    {"protocol": "ICMP", "ipVersion": 4, "notICMP": {"type": 8, "code": 1}},
    *({side: entity} for side in ("source", "destination") for entity in _ENTITIES),
    *(
        {"protocol": protocol, side: entity}
        for protocol in ("TCP", "UDP")
        for side in ("source", "destination")
        for entity in _PORTS
    ),
)
_ENDS = {
    4: ("10.48.0.1", "10.48.0.2", "10.48.0.3", "203.0.113.10", "192.0.2.1"),
    6: ("2001:db8:48::1", "2001:db8:48::2", "2001:db8:ffff::1"),
}
_FLOWS = tuple(
    Flow(ip_address(source), ip_address(destination), *rest)
    for addresses in _ENDS.values()
    for source, destination in permutations(addresses, 2)
    if addresses[0] in (source, destination)
    for rest in (
        (6, 80, 80),
        (6, 53, 81),
        (17, 53, 53),
        (17, 80, 80),
        (1, None, None, (8, 0)),
        (1, None, None, (8, 1)),
        (1, None, None, (0, 0)),
        (47,),
    )
)


@pytest.mark.parametrize("way", ["ingress", "egress"])
def test_each_kind_of_match_agrees(way: str) -> None:
    """Every field of a rule alone, against packets around its edges, through both evaluators; none is idle."""
    idle = []
    for rule in _RULES:
        snapshot = Snapshot.of(
            [
                node("node-a", "192.0.2.1/24"),
                node("node-b", "192.0.2.2/24"),
                namespace_profile("default"),
                workload("web", ["10.48.0.1", "2001:db8:48::1"], labels={"app": "web"}, ports=_HTTP),
                workload("db", ["10.48.0.2", "2001:db8:48::2"], on="node-b", labels={"app": "db"}, ports=_HTTP),
                workload("odd", "10.48.0.3", labels={"app": "web"}, profiles=["missing", "kns.default"]),
                global_policy("judge", selector="app == 'web'", **{way: [{"action": "Allow", **rule}]}),
            ]
        )
        expected = [verdict(snapshot, flow).allowed for flow in _FLOWS]

        nodes = _Nodes(snapshot)

        assert expected == [nodes.allow(flow) for flow in _FLOWS], rule
        if len(set(expected)) == 1:
            idle.append(rule)
    assert idle == []
