"""Each table and each resource of the reference architecture, corrected, is what follows from the facts it describes.

What it shows of an installation (ConfigMap, environment, probes) is `tests/blueprints/upstream`'s.
"""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.catalogue import decide
from blueprints.reflectors import mesh_sessions
from muslin.resources import dump
from muslin.semantics.sessions import SessionKind, sessions
from tests.blueprints.clusters import facts
from tests.blueprints.spreading import cluster

_NODES = [{"name": f"k8s-node-{letter}", "address": f"10.30.0.{number}"} for number, letter in enumerate("wxyz", 14)]
_ONE = {"nodes": _NODES, "subnets": ["10.30.0.0/22"], "podRange": "192.168.0.0/16"}
_TWO = {
    "nodes": [*_NODES, {"name": "k8s-node-v", "address": "10.31.0.14"}],
    "subnets": ["10.30.0.0/22", "10.31.0.0/22"],
    "podRange": "192.168.0.0/16",
}
_POOL = {
    "blockSize": 26, "cidr": "192.168.0.0/16", "natOutgoing": True, "nodeSelector": "all()", "ipipMode": "Never",
    "vxlanMode": "Never",
}  # fmt: skip
_REFLECTING = {**_ONE, "nodes": [*_NODES[:2], *(each | {"roles": ["reflector"]} for each in _NODES[2:])]}
_RACK = [each | {"rack": "a"} for each in _NODES]
_TOR = [{"name": "rack-a", "address": "10.30.3.254", "asNumber": 64496, "racks": ["a"]}]
_ROUTABLE = [_RACK[0] | {"labels": {"network-type": "routable"}}, *_RACK[1:]]


def _spec(name: str, kind: str, of: str, **told: Any) -> dict[str, Any]:
    resources = decide(facts(**{**told, "blueprint": name})).resources
    return next(dump(each)["spec"] for each in resources if (each.kind, each.metadata.name) == (kind, of))


@pytest.mark.parametrize(
    ("blueprint", "told", "kind", "name", "expected"),
    [
        ("single_subnet", _ONE, "IPPool", "default-ipv4-ippool", _POOL),
        ("multi_subnet", _TWO, "IPPool", "default-ipv4-ippool", _POOL | {"ipipMode": "CrossSubnet"}),
        ("full_ipip", _ONE, "IPPool", "default-ipv4-ippool", _POOL | {"ipipMode": "Always"}),
        ("vxlan", _ONE, "IPPool", "default-ipv4-ippool", _POOL | {"vxlanMode": "Always"}),
        ("route_reflectors", _REFLECTING, "Node", "k8s-node-z", {"bgp": {"routeReflectorClusterID": "1.0.0.1"}}),
        ("route_reflectors", _REFLECTING, "BGPPeer", "node-peer-to-rr",
         {"nodeSelector": "!has(route-reflector)", "peerSelector": "has(route-reflector)"}),
        ("route_reflectors", _REFLECTING, "BGPPeer", "rr-to-rr-peer",
         {"nodeSelector": "has(route-reflector)", "peerSelector": "has(route-reflector)"}),
        ("route_reflectors", {**_REFLECTING, "asNumber": 64497}, "BGPConfiguration", "default",
         {"nodeToNodeMeshEnabled": False, "asNumber": 64497}),
        ("top_of_rack", {**_ONE, "nodes": _RACK, "topOfRack": _TOR}, "BGPPeer", "tor-rack-a",
         {"nodeSelector": "rack == 'a'", "peerIP": "10.30.3.254", "asNumber": 64496}),
        ("top_of_rack", {**_ONE, "nodes": _RACK, "topOfRack": _TOR, "asNumber": 64497}, "BGPConfiguration", "default",
         {"nodeToNodeMeshEnabled": False, "asNumber": 64497}),
        ("top_of_rack + routable_pods", {**_ONE, "nodes": _ROUTABLE, "topOfRack": _TOR,
         "routable": {"pods": "203.0.113.0/24"}}, "IPPool", "default-ipv4-ippool",
         _POOL | {"nodeSelector": "network-type != 'routable'"}),
        ("top_of_rack + routable_pods", {**_ONE, "nodes": _ROUTABLE, "topOfRack": _TOR,
         "routable": {"pods": "203.0.113.0/24"}}, "IPPool", "routable-ipv4-ippool",
         {"cidr": "203.0.113.0/24", "blockSize": 26, "ipipMode": "Never", "vxlanMode": "Never",
          "nodeSelector": "network-type == 'routable'"}),
        ("top_of_rack + routable_services", {**_ONE, "nodes": _RACK, "topOfRack": _TOR,
         "serviceRanges": ["10.96.0.0/24"], "routable": {"clusterIPs": True}}, "BGPConfiguration", "default",
         {"nodeToNodeMeshEnabled": False, "asNumber": 64512, "serviceClusterIPs": [{"cidr": "10.96.0.0/24"}]}),
        ("single_subnet", _ONE, "GlobalNetworkPolicy", "default-deny", {
            "order": 2000, "types": ["Ingress", "Egress"], "namespaceSelector": "all()",
            "ingress": [
                {"action": "Allow", "destination": {"namespaceSelector": "projectcalico.org/name == 'kube-system'"}},
            ],
            "egress": [
                {"action": "Allow", "source": {"namespaceSelector": "projectcalico.org/name == 'kube-system'"}},
                *(
                    {"action": "Allow", "protocol": each, "destination": {"nets": ["0.0.0.0/0"], "ports": [53]}}
                    for each in ("UDP", "TCP")
                ),
            ],
        }),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_block_of_the_document(
    blueprint: str, told: dict[str, Any], kind: str, name: str, expected: dict[str, Any]
) -> None:
    """The spec as the document has it, without its mistakes and with reserved numbers and addresses."""
    assert _spec(blueprint, kind, name, **told) == expected


def test_labels_of_its_nodes() -> None:
    """A text that reads true, and the rack."""
    reflecting = decide(facts(**_REFLECTING, blueprint="route_reflectors")).resources
    racked = decide(facts(**{**_ONE, "nodes": _RACK}, topOfRack=_TOR, blueprint="top_of_rack")).resources

    assert [dict(each.metadata.labels) for each in reflecting if each.kind == "Node"] == [
        {"route-reflector": "true"}
    ] * 2
    assert [dict(each.metadata.labels) for each in racked if each.kind == "Node"] == [{"rack": "a"}] * 4


@pytest.mark.parametrize(
    ("blueprint", "told", "node", "kind", "peers"),
    [
        ("single_subnet", _ONE, "k8s-node-w", SessionKind.NODE_MESH, ["10.30.0.15", "10.30.0.16", "10.30.0.17"]),
        ("route_reflectors", _REFLECTING, "k8s-node-w", SessionKind.NODE_PEER, ["10.30.0.16", "10.30.0.17"]),
    ],
)
def test_its_tables_of_peers(
    blueprint: str, told: dict[str, Any], node: str, kind: SessionKind, peers: list[str]
) -> None:
    """One of four nodes peers with the three others; with reflectors it has these two alone."""
    given = facts(**told, blueprint=blueprint)
    found = sessions(cluster(given, decide(given).resources), node)

    assert [(each.kind, str(each.peer_address)) for each in found] == [(kind, peer) for peer in peers]


def test_what_each_way_of_telling_routes_costs() -> None:
    """N-1 peers of each node in a mesh, as many as there are reflectors otherwise."""
    mesh = decide(facts(**_ONE, plannedNodes=49, blueprint="single_subnet")).decision("route distribution")
    reflected = decide(facts(**_REFLECTING, plannedNodes=50, blueprint="route_reflectors")).decision("reflectors")

    assert "every node holds 48 sessions" in mesh.consequence
    assert "97 sessions: 2 on every node, 49 on every reflector" in reflected.consequence
    assert f"{mesh_sessions(50)} sessions, 49 on every node" in {each.against for each in reflected.alternatives}
