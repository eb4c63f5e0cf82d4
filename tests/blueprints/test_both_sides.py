"""Every decision's rule from both sides: the facts on this side of its line, and those on the other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprints.catalogue import BLUEPRINTS, decide
from blueprints.musts import Must, Refusal
from muslin.errors import BadInput
from tests.blueprints.clusters import documents, facts, nodes_in

_VXLAN = {"network": {"ipip": False, "podAddresses": False}}
_NO_BGP = {"network": {"bgp": False}}
_SIX = {
    "nodes": [{"name": "a", "address": "192.0.2.1", "addressV6": "2001:db8::1"}],
    "subnets": ["192.0.2.0/24", "2001:db8::/64"], "podRangeV6": "2001:db8:48::/48",
}  # fmt: skip
_RACKS = {
    **nodes_in(2, 2, racks=2),
    "topOfRack": [{"name": f"t{n}", "address": f"10.{n}.255.1", "asNumber": 64400, "racks": [f"r{n}"]} for n in (0, 1)],
}


def _tors(**more: Any) -> dict[str, Any]:
    return {**_RACKS, "topOfRack": [each | more for each in _RACKS["topOfRack"]]}


def _labelled() -> list[dict[str, Any]]:
    return [_RACKS["nodes"][0] | {"labels": {"network-type": "routable"}}, *_RACKS["nodes"][1:]]


_Side = tuple[str, dict[str, Any], "str | Must"]

_SIDES: dict[str, list[_Side]] = {
    "datastore": [
        ("single_subnet", {}, "kubernetes"),
        ("single_subnet", {"datastore": "etcd", "etcdIsTheClusters": False}, "etcd"),
        ("single_subnet", {"datastore": "etcd", "etcdIsTheClusters": True}, Must.SEPARATE_ETCD),
        ("single_subnet", {"datastore": "etcd"}, Must.SEPARATE_ETCD),
        ("single_subnet", {"datastore": "embedded", "plannedNodes": 10}, "embedded"),
        ("single_subnet", {"datastore": "embedded", "plannedNodes": 11}, Must.EMBEDDED_ON_ONE_MACHINE),
    ],
    "fan-out": [
        ("single_subnet", {}, "on"),
        ("single_subnet", {"datastore": "embedded"}, "off"),
        ("single_subnet", {"datastore": "etcd", "etcdIsTheClusters": False, "plannedNodes": 49}, "off"),
        ("single_subnet", {"datastore": "etcd", "etcdIsTheClusters": False, "plannedNodes": 50, **_VXLAN}, "on"),
    ],
    "fan-out replicas": [
        ("single_subnet", {**_VXLAN, "podRange": "10.0.0.0/8", "plannedNodes": nodes}, str(replicas))
        for nodes, replicas in (
            (5, 1), (6, 2), (49, 2), (50, 3), (249, 3), (250, 4), (3449, 19), (3450, 20), (9000, 20),
        )
    ],
    "pod range": [
        ("single_subnet", {}, "10.48.0.0/16"),
        ("single_subnet", {"podRange": "172.17.4.0/22"}, Must.RANGE_OF_ITS_OWN),
        ("single_subnet", {"podRange": "169.254.0.0/20"}, Must.RANGE_OF_ITS_OWN),
        ("single_subnet", {"podRange": "192.0.0.0/16"}, Must.RANGE_OF_ITS_OWN),
    ],
    "block size": [
        ("single_subnet", {"podRange": "10.48.0.0/24", "plannedNodes": 4}, "/26"),
        ("single_subnet", {"podRange": "10.48.0.0/24", "plannedNodes": 5}, Must.ROOM_FOR_ALL),
        ("single_subnet", {"podRange": "10.48.0.0/24", "plannedNodes": 4, "podsPerNode": 64}, "/26"),
        ("single_subnet", {"podRange": "10.48.0.0/24", "plannedNodes": 4, "podsPerNode": 65}, Must.ROOM_FOR_ALL),
    ],
    "pod range IPv6": [
        ("single_subnet", _SIX, "2001:db8:48::/48"),
        ("single_subnet", {**_SIX, "podRangeV6": "2001:db8:48::/122", "plannedNodes": 1}, "2001:db8:48::/122"),
        ("single_subnet", {**_SIX, "podRangeV6": "2001:db8:48::/122", "plannedNodes": 2}, Must.ROOM_FOR_ALL),
    ],
    "outgoing NAT": [("single_subnet", {}, "on"), ("single_subnet", {"natOutgoing": False}, "off")],
    "encapsulation": [
        ("single_subnet", {}, "no encapsulation"),
        ("multi_subnet", nodes_in(2, 2), "IP-in-IP CrossSubnet"),
        ("single_subnet", {"network": {"sourceDestinationChecks": True}}, "IP-in-IP Always"),
        ("multi_subnet", {**nodes_in(2, 2), "provider": "aws"}, "IP-in-IP Always"),
        ("single_subnet", _NO_BGP, "VXLAN Always"),
        ("multi_subnet", {**nodes_in(2, 2), **_NO_BGP}, "VXLAN CrossSubnet"),
        ("multi_subnet", {**nodes_in(2, 2), "provider": "azure"}, "VXLAN Always"),
        ("single_subnet", {"network": {"bgp": False, "vxlan": False}}, Must.A_WAY_BETWEEN_NODES),
        ("top_of_rack", _RACKS, "no encapsulation"),
    ],
    "encapsulation IPv6": [
        ("single_subnet", _SIX, "no encapsulation"),
        ("single_subnet", {**_SIX, "network": {"podAddresses": False}}, "VXLAN Always"),
    ],
    "encryption": [
        ("single_subnet", {"wireguard": True}, "WireGuard"),
        ("single_subnet", {"wireguard": True, "network": {"wireguard": False}}, Must.A_WAY_BETWEEN_NODES),
    ],
    "MTU": [
        ("single_subnet", {"wireguard": True}, "1440"),
        ("multi_subnet", {"wireguard": True, **nodes_in(2, 2)}, "1440"),
        ("single_subnet", {"wireguard": True, **_SIX}, "1420"),
        ("single_subnet", {"networkMTU": 1500}, "1500"),
        ("single_subnet", {"networkMTU": 9001, "provider": "aws"}, "8981"),
        ("single_subnet", {"subnets": [{"cidr": "192.0.2.0/24", "mtu": 9000}], "nodes": [
            {"name": "a", "address": "192.0.2.1", "interfaces": [{"name": "eth0", "mtu": 1500}]}]}, "1500"),
        ("single_subnet", {"networkMTU": 625, **_NO_BGP}, Must.ROOM_IN_A_PACKET),
        ("single_subnet", {"networkMTU": 626, **_NO_BGP}, "576"),
    ],
    "route distribution": [
        ("single_subnet", {"plannedNodes": 49}, "node-to-node mesh"),
        ("single_subnet", {"plannedNodes": 50}, Must.MESH_IS_SMALL),
        ("route_reflectors", {**nodes_in(4), "plannedNodes": 50}, "route reflectors"),
        ("single_subnet", {"plannedNodes": 500, **_NO_BGP}, "none"),
        ("route_reflectors", {**nodes_in(4), **_NO_BGP}, Must.ROUTES_OVER_BGP),
        ("top_of_rack", _RACKS, "top-of-rack switches"),
        ("top_of_rack", {**_RACKS, "topOfRack": _RACKS["topOfRack"][:1]}, Must.SWITCH_IN_EACH_RACK),
    ],
    "AS number": [
        ("single_subnet", {}, "64512"),
        ("single_subnet", {"asNumber": 64500}, "64500"),
        ("single_subnet", {"asNumber": 23456}, Must.AS_NUMBER_MAY_BE_USED),
    ],
    "backend": [
        ("single_subnet", {}, "bird"),
        ("single_subnet", _NO_BGP, "vxlan"),
        ("single_subnet", {**_tors(), **nodes_in(2, racks=2), **_VXLAN}, "bird"),
    ],
    "reflectors": [
        ("route_reflectors", nodes_in(3), "n0-0, n0-1"),
        ("route_reflectors", nodes_in(2), Must.TWO_REFLECTORS),
        ("route_reflectors", {**nodes_in(6, racks=2), "reflectorsPerRack": True}, "r0: n0-0, n0-2; r1: n0-1, n0-3"),
        ("route_reflectors", {**nodes_in(3, racks=2), "reflectorsPerRack": True}, Must.TWO_REFLECTORS),
        ("route_reflectors", {**nodes_in(6), "reflectorsPerRack": True}, Must.SWITCH_IN_EACH_RACK),
        ("route_reflectors", nodes_in(3, 3, 3), "n0-0, n1-0, n2-0"),
        ("route_reflectors", {**nodes_in(2, 2), "nodes": [
            each | {"roles": ["reflector"]} if each["name"].startswith("n0") else each
            for each in nodes_in(2, 2)["nodes"]]}, Must.REFLECTOR_IN_EACH_SUBNET),
        ("route_reflectors", {**nodes_in(4, racks=2), "nodes": [
            each | {"roles": ["reflector"]} if each["rack"] == "r0" else each
            for each in nodes_in(4, racks=2)["nodes"]]}, Must.REFLECTORS_APART),
    ],
    "cluster ID": [
        ("route_reflectors", nodes_in(3), "1.0.0.1"),
        ("route_reflectors", {**nodes_in(3), "clusterID": "192.0.2.30"}, "192.0.2.30"),
        ("route_reflectors", {**nodes_in(4, racks=2), "reflectorsPerRack": True, "clusterID": "192.0.2.30"},
         "192.0.2.30 for r0, 192.0.2.31 for r1"),
    ],
    "switch peering": [
        ("top_of_rack", _RACKS, "one AS for all nodes, allowed once in paths"),
        ("top_of_rack", {**_RACKS, "topOfRack": [
            each | {"nodeASNumber": 64500 + n} for n, each in enumerate(_RACKS["topOfRack"])]}, "an AS for each rack"),
    ],
    "next hop": [("top_of_rack", _RACKS, "Auto"), ("multi_subnet", _RACKS, "Keep")],
    "switch sessions": [
        ("top_of_rack", _RACKS, "GTSM for none; passwords for none"),
        ("top_of_rack", _tors(nextToNodes=True, passwordSecret="bgp"), "GTSM for all; passwords for all"),
    ],
    "routable pods": [
        ("top_of_rack", {**_RACKS, "nodes": _labelled(), "routable": {"pods": "203.0.113.0/26"}}, "203.0.113.0/26"),
        ("top_of_rack", {**_RACKS, "routable": {"pods": "203.0.113.0/26"}}, Must.ROOM_FOR_ALL),
        ("top_of_rack", {**_RACKS, "nodes": _labelled(), "routable": {"pods": "10.48.9.0/26"}}, Must.RANGE_OF_ITS_OWN),
    ],
    "routable services": [
        ("top_of_rack", {**_RACKS, "serviceRanges": ["10.96.0.0/16"], "routable": {"clusterIPs": True}},
         "10.96.0.0/16"),
        ("top_of_rack", {**_RACKS, "kubernetes": {"serviceSubnets": ["10.96.0.0/16"]},
                         "routable": {"clusterIPs": True}}, "10.96.0.0/16"),
        ("top_of_rack", {**_RACKS, "routable": {"clusterIPs": True}}, Must.SOMEBODY_LISTENS),
        ("single_subnet", {"serviceRanges": ["10.96.0.0/16"], "routable": {"clusterIPs": True}},
         Must.SOMEBODY_LISTENS),
    ],
    "default policy": [
        ("single_subnet", {}, "deny, except for kube-system and DNS"),
        ("single_subnet", {"overrides": [{"decision": "default policy", "chosen": "allow", "reason": "lab"}]},
         Must.OVERRIDE_KNOWN),
    ],
    "starting policies": [
        ("single_subnet", {"startingPolicies": ["shop"]}, "shop"),
        ("single_subnet", {"startingPolicies": ["shop", "office"]}, "shop, office"),
    ],
    "host endpoints": [
        ("single_subnet", {"hostEndpoints": {"operators": ["198.51.100.0/24"]}}, "all interfaces of 2 nodes"),
        ("single_subnet", {"hostEndpoints": {}}, Must.OPERATOR_STAYS),
    ],
}  # fmt: skip
"""Mapping[decision, (blueprint, facts, the answer or the must that says no)]."""

_ROWS = [(name, *side) for name, sides in _SIDES.items() for side in sides]


@pytest.mark.parametrize(
    ("decision", "blueprint", "told", "answer"), _ROWS, ids=[f"{row[0]}-{n}" for n, row in enumerate(_ROWS)]
)
def test_each_side_of_a_rule(decision: str, blueprint: str, told: dict[str, Any], answer: str | Must) -> None:
    """An answer of the decision, or a refusal with the must that stands against it."""
    try:
        found: object = decide(facts(**told, blueprint=blueprint)).decision(decision).chosen
    except BadInput as refused:
        found = [each.must for each in refused.problems if isinstance(each, Refusal) and each.must is answer][:1]

    assert found == ([answer] if isinstance(answer, Must) else answer)


def test_every_decision_has_two_sides() -> None:
    """At least two different outcomes for each, and no decision is left out that any of these facts bring up."""
    asked = set()
    for _, blueprint, told, answer in _ROWS:
        if not isinstance(answer, Must):
            asked |= {each.name for each in decide(facts(**told, blueprint=blueprint)).decisions}

    assert asked == set(_SIDES)
    assert [name for name, sides in _SIDES.items() if len({str(side[2]) for side in sides}) < 2] == []


@pytest.mark.slow
@given(st.sampled_from(sorted(BLUEPRINTS)), documents())
@settings(max_examples=60, deadline=None)
def test_no_facts_bring_up_another_decision(name: str, document: dict[str, Any]) -> None:
    """Whatever the facts: each decision that they lead to stands in the table."""
    try:
        decided = decide(facts(**{**document, "blueprint": name}))
    except BadInput:
        return

    assert {each.name for each in decided.decisions} <= set(_SIDES)
