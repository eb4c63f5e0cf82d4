"""Blueprints as parts: each alone, several together, and those that do not go together."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS, decide
from blueprints.composition import PARTS, Aspect
from blueprints.decision import Blueprint
from blueprints.routable import ROUTABLE_POOL
from muslin.errors import BadInput
from muslin.resources import dump
from tests.blueprints.clusters import facts, nodes_in

_SWITCH = [
    {"name": "s1", "address": "203.0.113.1", "asNumber": 64400, "racks": ["r0", "r1"]},
]


def _decided(name: str, **told: Any) -> Blueprint:
    return decide(facts(**{**nodes_in(3, 3, racks=2), **told, "blueprint": name}))


@pytest.mark.parametrize(
    ("name", "told", "encapsulation", "distribution"),
    [
        ("full_ipip", {}, "IP-in-IP Always", "node-to-node mesh"),
        ("full_ipip", nodes_in(3), "IP-in-IP Always", "node-to-node mesh"),
        ("vxlan", {}, "VXLAN CrossSubnet", "none"),
        ("vxlan", {"network": {"podAddresses": False}}, "VXLAN Always", "none"),
        ("vxlan", nodes_in(3), "VXLAN Always", "none"),
        ("multi_subnet + full_ipip + route_reflectors", {}, "IP-in-IP Always", "route reflectors"),
        ("vxlan + top_of_rack", {"topOfRack": _SWITCH}, "VXLAN CrossSubnet", "top-of-rack switches"),
        ("multi_subnet+route_reflectors", {}, "IP-in-IP CrossSubnet", "route reflectors"),
    ],
)
def test_parts_together(name: str, told: dict[str, Any], encapsulation: str, distribution: str) -> None:
    """Each says what it is about; the rules decide the rest."""
    blueprint = _decided(name, **told)

    assert blueprint.decision("encapsulation").chosen == encapsulation
    assert blueprint.decision("route distribution").chosen == distribution
    assert blueprint.name == " + ".join(each.strip() for each in name.split("+"))


def test_reflectors_switches_and_services_in_several_subnets() -> None:
    """The architecture's example of a composition, with pods that are routable as well."""
    told = nodes_in(3, 3, racks=2)
    told["nodes"][0]["labels"] = {"network-type": "routable"}
    blueprint = _decided(
        "multi_subnet + route_reflectors + routable_pods + routable_services",
        **told, topOfRack=_SWITCH, serviceRanges=["10.96.0.0/16"],
        routable={"clusterIPs": True, "pods": "198.51.100.0/26"},
    )  # fmt: skip
    names = {each.metadata.name for each in blueprint.resources if each.kind == "BGPPeer"}
    (bgp,) = (dump(each) for each in blueprint.resources if each.kind == "BGPConfiguration")

    assert names == {"node-peer-to-rr", "rr-to-rr-peer", "tor-s1"}
    assert bgp["spec"]["serviceClusterIPs"] == [{"cidr": "10.96.0.0/16"}]
    assert ROUTABLE_POOL in {each.key for each in blueprint.resources}


def test_what_is_asked_for_says_what_the_rule_would_have_chosen() -> None:
    """Nobody mistakes a wish for the architecture's advice; where they agree, nothing is said."""
    asked = _decided("full_ipip").decision("encapsulation")
    agreed = _decided("full_ipip", provider="aws").decision("encapsulation")

    assert "the blueprint full_ipip asks for it" in asked.rule
    assert "by itself the rule chooses IP-in-IP CrossSubnet" in asked.rule
    assert "asks for it" not in agreed.rule


@pytest.mark.parametrize(
    ("name", "told", "what"),
    [
        ("single_subnet + multi_subnet", {}, "both say where nodes stand"),
        ("vxlan + full_ipip", {}, "both say how packets travel"),
        ("route_reflectors + top_of_rack", {}, "both say how routes are told"),
        ("vxlan + vxlan", {}, "vxlan is named twice"),
        ("vxlan + reflectors", {}, "there is no blueprint 'reflectors'"),
        ("vxlan +", {}, "there is no blueprint ''"),
        ("full_ipip", {"provider": "azure"}, "can't have IP-in-IP Always: the network drops IP-in-IP"),
        ("vxlan", {"network": {"vxlan": False}}, "can't have VXLAN Always: VXLAN is blocked"),
        ("vxlan + route_reflectors", {}, "there is nothing to reflect"),
        ("multi_subnet + full_ipip", nodes_in(3), "all nodes stand in one subnet"),
        ("routable_pods", {}, "about routable pods, and the facts wish for none"),
        ("routable_services", {}, "about routable services, and the facts wish for none"),
        ("routable_services", {"routable": {"clusterIPs": True}, "serviceRanges": ["10.96.0.0/16"]},
         "nobody outside would learn a route to services"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(name: str, told: dict[str, Any], what: str) -> None:
    """Is refused with the reason and a fix."""
    with pytest.raises(BadInput) as caught:
        _decided(name, **told)

    assert any(what in each.what for each in caught.value.problems)
    assert all(each.fix for each in caught.value.problems)


def test_every_part_is_a_file_of_its_own() -> None:
    """What a person runs and reads; each has a name in the catalogue."""
    assert set(BLUEPRINTS) == set(PARTS)
    assert {each.aspect for each in PARTS.values()} == set(Aspect)
