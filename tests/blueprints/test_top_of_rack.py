"""Switches of the network as peers, and what the outside then reaches: pods of some nodes, services."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.decision import Blueprint
from muslin.resources import dump
from muslin.selectors import parse
from tests.blueprints.clusters import facts, nodes_in

_SWITCHES = [
    {"name": "tor-r0", "address": "10.0.255.1", "asNumber": 64400, "racks": ["r0"]},
    {"name": "tor-r1", "address": "10.1.255.1", "asNumber": 64401, "racks": ["r1"]},
]


def _decided(blueprint: str = "top_of_rack", **told: Any) -> Blueprint:
    document = {**nodes_in(2, 2, racks=2), "topOfRack": _SWITCHES, "asNumber": 63400, **told}
    return BLUEPRINTS[blueprint](facts(**document), None, None)


def _specs(blueprint: Blueprint, kind: str) -> dict[str, Any]:
    return {each.metadata.name: dump(each)["spec"] for each in blueprint.resources if each.kind == kind}


def test_the_architectures_peering() -> None:
    """Its BGPPeer per rack and its BGPConfiguration; nodes have the rack's label, and no cluster ID."""
    blueprint = _decided()
    nodes = [dump(each) for each in blueprint.resources if each.kind == "Node"]

    assert _specs(blueprint, "BGPPeer")["tor-tor-r0"] == {
        "nodeSelector": "rack == 'r0'",
        "peerIP": "10.0.255.1",
        "asNumber": 64400,
        "numAllowedLocalASNumbers": 1,
    }
    assert _specs(blueprint, "BGPConfiguration") == {"default": {"nodeToNodeMeshEnabled": False, "asNumber": 63400}}
    assert [(each["metadata"]["name"], each["metadata"]["labels"]) for each in nodes] == [
        ("n0-0", {"rack": "r0"}), ("n0-1", {"rack": "r1"}), ("n1-0", {"rack": "r0"}), ("n1-1", {"rack": "r1"}),
    ]  # fmt: skip
    assert all("bgp" not in each["spec"] for each in nodes)
    assert "BFD" in blueprint.decision("route distribution").consequence


@pytest.mark.parametrize(
    ("of_nodes", "of_switches", "peering", "allowed"),
    [
        ((None, None), (64400, 64401), "one AS for all nodes, allowed once in paths", 1),
        ((64501, 64502), (64400, 64401), "an AS for each rack", None),
        ((64501, 64501), (64400, 64401), "one AS for all nodes, allowed once in paths", 1),
        ((None, None), (63400, 63400), "one AS for all nodes", None),
    ],
)
def test_as_numbers(
    of_nodes: tuple[int | None, int | None], of_switches: tuple[int, int], peering: str, allowed: int | None
) -> None:
    """Nodes of two racks with one AS see it in each other's paths, unless nothing but that AS is between them."""
    switches = [
        {**each, "asNumber": of_switches[index], **({"nodeASNumber": of_nodes[index]} if of_nodes[index] else {})}
        for index, each in enumerate(_SWITCHES)
    ]
    blueprint = _decided(topOfRack=switches)
    numbers = {dump(each)["spec"].get("bgp", {}).get("asNumber") for each in blueprint.resources if each.kind == "Node"}

    assert blueprint.decision("switch peering").chosen == peering
    assert {each.get("numAllowedLocalASNumbers") for each in _specs(blueprint, "BGPPeer").values()} == {allowed}
    assert numbers == set(of_nodes)


def test_sessions_are_protected_as_wished() -> None:
    """A password from a Secret, and GTSM where no router stands between; two racks make one selector."""
    switch = {**_SWITCHES[0], "racks": ["r1", "r0"], "nextToNodes": True, "passwordSecret": "bgp"}
    spec = _specs(_decided(topOfRack=[switch]), "BGPPeer")["tor-tor-r0"]

    assert (spec["nodeSelector"], spec["ttlSecurity"]) == ("rack in {'r0', 'r1'}", 1)
    assert spec["password"] == {"secretKeyRef": {"name": "bgp", "key": "password"}}


@pytest.mark.parametrize(
    ("blueprint", "mode"), [("top_of_rack", None), ("multi_subnet", "Keep"), ("route_reflectors", "Keep")]
)
def test_packets_go_to_the_node_that_has_the_pods(blueprint: str, mode: str | None) -> None:
    """Where nodes know each other's routes, they pass them on with the next hop that these have."""
    decided = _decided(blueprint, **nodes_in(3, 3, racks=2))

    assert decided.decision("next hop").chosen == (mode or "Auto")
    assert {each.get("nextHopMode") for each in _specs(decided, "BGPPeer").values() if "peerIP" in each} == {mode}


def test_beside_a_mesh_a_rack_s_number_is_local_to_its_sessions() -> None:
    """Nodes share an AS with each other, and have their rack's for its switch; no Node gets another number."""
    switches = [{**each, "nodeASNumber": 64501 + index} for index, each in enumerate(_SWITCHES)]
    blueprint = _decided("multi_subnet", topOfRack=switches)
    nodes = [dump(each) for each in blueprint.resources if each.kind == "Node"]

    assert [each["localASNumber"] for each in _specs(blueprint, "BGPPeer").values()] == [64501, 64502]
    assert blueprint.decision("switch peering").chosen == "an AS for each rack, local to these sessions"
    assert all("bgp" not in each["spec"] for each in nodes)


@pytest.mark.parametrize(
    ("changed", "chosen", "told"),
    [
        ([{}, {}], "GTSM for none; passwords for none", "say nextToNodes"),
        ([{"nextToNodes": True}] * 2, "GTSM for all; passwords for none", "a password is missing for tor-r0, tor-r1"),
        ([{"passwordSecret": "bgp"}, {}], "GTSM for none; passwords for tor-r0", "make the Secrets bgp"),
        ([{"nextToNodes": True, "passwordSecret": "bgp"}] * 2, "GTSM for all; passwords for all", "there is no BFD"),
    ],
)
def test_what_protects_sessions_is_said(changed: list[dict[str, Any]], chosen: str, told: str) -> None:
    """And what does not: no BFD, switches without GTSM or password."""
    switches = [{**each, **more} for each, more in zip(_SWITCHES, changed, strict=True)]
    decision = _decided(topOfRack=switches).decision("switch sessions")

    assert decision.chosen == chosen
    assert told in decision.consequence
    assert "BFD" in decision.consequence


def test_switches_make_packets_travel_as_they_are() -> None:
    """Routers that know pods need no encapsulation; without them it is IP-in-IP between subnets."""
    assert _decided().decision("encapsulation").chosen == "no encapsulation"
    told = {**nodes_in(2, 2), "topOfRack": []}
    assert _decided("multi_subnet", **told).decision("encapsulation").chosen == "IP-in-IP CrossSubnet"


def test_it_composes_with_reflectors_and_services() -> None:
    """Several subnets, reflectors, switches and services at once; a node has one declaration."""
    blueprint = _decided(
        "route_reflectors", **nodes_in(3, 3, racks=2), serviceRanges=["10.96.0.0/16"], routable={"clusterIPs": True}
    )
    nodes = {each.metadata.name: dump(each) for each in blueprint.resources if each.kind == "Node"}

    assert set(_specs(blueprint, "BGPPeer")) == {"node-peer-to-rr", "rr-to-rr-peer", "tor-tor-r0", "tor-tor-r1"}
    assert nodes["n0-0"]["metadata"]["labels"] == {"rack": "r0", "route-reflector": "true"}
    assert len(nodes) == 6
    assert _specs(blueprint, "BGPConfiguration")["default"]["serviceClusterIPs"] == [{"cidr": "10.96.0.0/16"}]
    assert "ECMP" in blueprint.decision("routable services").consequence


def test_vxlan_with_switches_keeps_bird() -> None:
    """Where hardware peers, BIRD and its probes stay, also without BGP between nodes."""
    blueprint = _decided(network={"ipip": False, "podAddresses": False})

    assert blueprint.decision("encapsulation").chosen == "VXLAN Always"
    assert blueprint.decision("backend").chosen == "bird"


@pytest.mark.parametrize(
    ("given", "labelled", "length"), [("203.0.113.0/24", 1, 26), ("203.0.113.0/26", 3, 28), ("203.0.113.0/30", 4, 32)]
)
def test_routable_pods_have_a_pool_of_their_own(given: str, labelled: int, length: int) -> None:
    """Another name, another range, no NAT, a block for each node; the two selectors part the nodes."""
    told = nodes_in(2, 2, racks=2)
    for node in told["nodes"][:labelled]:
        node["labels"] = {"network-type": "routable"}
    pools = _specs(_decided(**told, routable={"pods": given}), "IPPool")
    default, further = pools["default-ipv4-ippool"], pools["routable-ipv4-ippool"]
    selectors = [parse(each["nodeSelector"]) for each in (default, further)]

    assert (further["cidr"], further["blockSize"], further.get("natOutgoing", False)) == (given, length, False)
    assert default["natOutgoing"] is True
    assert [[each.matches(labels) for each in selectors] for labels in ({}, {"network-type": "routable"})] == [
        [True, False],
        [False, True],
    ]


def test_all_kinds_of_services() -> None:
    """Each range stands in the field that announces it."""
    wish = {"externalIPs": ["203.0.113.0/27"], "loadBalancerIPs": ["203.0.113.32/27"]}
    spec = _specs(_decided(routable=wish), "BGPConfiguration")["default"]

    assert (spec["serviceExternalIPs"], spec["serviceLoadBalancerIPs"]) == (
        [{"cidr": "203.0.113.0/27"}],
        [{"cidr": "203.0.113.32/27"}],
    )
    assert "serviceClusterIPs" not in spec
