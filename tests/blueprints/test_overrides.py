"""Another answer than the rule's: with a reason it is taken and recorded, unless it breaks a must."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.asking import OVERRIDABLE
from blueprints.catalogue import BLUEPRINTS
from blueprints.distribution import MOST_IN_A_MESH
from blueprints.draft import fitting
from blueprints.emit import render
from blueprints.musts import Must, Refusal
from muslin.errors import BadInput
from muslin.yaml import load as read_yaml
from tests.blueprints.clusters import facts, nodes_in

_VXLAN = {"network": {"ipip": False, "podAddresses": False}}
_TAKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "datastore": ("etcd", {"etcdIsTheClusters": False}),
    "fan-out": ("off", {}),
    "fan-out replicas": ("4", {}),
    "block size": ("/24", {}),
    "encapsulation": ("IP-in-IP Always", {}),
    "encapsulation IPv6": ("VXLAN Always", {
        "podRangeV6": "2001:db8:48::/48", "subnets": ["192.0.2.0/24", "2001:db8::/64"],
        "nodes": [{"name": "a", "address": "192.0.2.1", "addressV6": "2001:db8::1"}],
    }),
    "MTU": ("1400", {}),
    "route distribution": ("node-to-node mesh", {"plannedNodes": MOST_IN_A_MESH}),
    "backend": ("bird", _VXLAN),
    "next hop": ("Self", {
        "nodes": [{"name": "a", "address": "192.0.2.1", "rack": "r1"}],
        "topOfRack": [{"name": "t", "address": "192.0.2.9", "asNumber": 64400, "racks": ["r1"]}],
    }),
}  # fmt: skip
_BROKEN: dict[str, tuple[str, dict[str, Any], Must]] = {
    "datastore": ("etcd", {"etcdIsTheClusters": True}, Must.SEPARATE_ETCD),
    "fan-out": ("off", {"plannedNodes": 50, "network": {"ipip": False, "podAddresses": False}}, Must.FAN_OUT_AT_SCALE),
    "fan-out replicas": ("21", {}, Must.OVERRIDE_KNOWN),
    "block size": ("/16", {}, Must.OVERRIDE_KNOWN),
    "encapsulation": ("IP-in-IP Always", {"network": {"ipip": False}}, Must.A_WAY_BETWEEN_NODES),
    "encapsulation IPv6": ("IP-in-IP Always", _TAKEN["encapsulation IPv6"][1], Must.A_WAY_BETWEEN_NODES),
    "MTU": ("9000", {}, Must.ROOM_IN_A_PACKET),
    "route distribution": ("node-to-node mesh", {"plannedNodes": MOST_IN_A_MESH + 1}, Must.MESH_IS_SMALL),
    "backend": ("vxlan", {}, Must.ROUTES_OVER_BGP),
    "next hop": ("Other", _TAKEN["next hop"][1], Must.OVERRIDE_KNOWN),
}


def _with(decision: str, chosen: str, told: dict[str, Any]) -> dict[str, Any]:
    return {**told, "overrides": [{"decision": decision, "chosen": chosen, "reason": "the auditors want it"}]}


@pytest.mark.parametrize("decision", OVERRIDABLE)
def test_a_wish_with_a_reason_is_taken(decision: str) -> None:
    """The decision is as wished, and says why, and what the rule would have chosen."""
    chosen, told = _TAKEN[decision]
    decided = BLUEPRINTS["single_subnet"](facts(**_with(decision, chosen, told)), None, None).decision(decision)

    assert decided.chosen == chosen
    assert decided.override == "the auditors want it"
    assert decided.rule.startswith("overridden, because the auditors want it; the rule chooses ")


@pytest.mark.parametrize("decision", OVERRIDABLE)
def test_a_must_stands_against_every_reason(decision: str) -> None:
    """It is refused at the override's answer, with the must."""
    chosen, told, must = _BROKEN[decision]
    with pytest.raises(BadInput) as caught:
        BLUEPRINTS["single_subnet"](facts(**_with(decision, chosen, told)), None, None)
    refused = [each for each in caught.value.problems if isinstance(each, Refusal) and "overrides[0]" in each.where]

    assert [each.must for each in refused] == [must]
    assert all(each.fix for each in refused)


@pytest.mark.parametrize(
    ("blueprint", "chosen", "told", "what"),
    [
        ("single_subnet", "route reflectors", {}, "this blueprint has no route reflectors"),
        ("single_subnet", "none", {}, "nobody would learn the routes"),
        ("single_subnet", "node-to-node mesh", {"network": {"bgp": False}}, "blocks BGP"),
        ("single_subnet", "gossip", {}, "is no answer to 'route distribution'"),
        ("route_reflectors", "node-to-node mesh", nodes_in(4), "this blueprint is about route reflectors"),
        ("top_of_rack", "none", nodes_in(4), "this blueprint is about top-of-rack switches"),
    ],
)
def test_ways_of_telling_routes_that_are_not_here(blueprint: str, chosen: str, told: dict[str, Any], what: str) -> None:
    """Are refused, each with where to go instead."""
    with pytest.raises(BadInput) as caught:
        BLUEPRINTS[blueprint](facts(**_with("route distribution", chosen, told)), None, None)

    assert what in caught.value.problems[0].what


def test_a_mesh_beside_vxlan_needs_bird() -> None:
    """Who wishes for it gets what carries it."""
    told = _with("route distribution", "node-to-node mesh", _VXLAN)

    assert BLUEPRINTS["single_subnet"](facts(**told), None, None).decision("backend").chosen == "bird"


def test_what_crosses_subnets_may_be_wished_for_in_one() -> None:
    """Another subnet may come; the rule's own answer stays what it was."""
    for told, by_rule in (({}, "no encapsulation"), ({"network": {"bgp": False}}, "VXLAN Always")):
        wish = {"decision": "encapsulation", "chosen": "VXLAN CrossSubnet", "reason": "a second subnet comes in May"}
        decided = BLUEPRINTS["single_subnet"](facts(**told, overrides=[wish]), None, None).decision("encapsulation")

        assert (decided.chosen, decided.override) == ("VXLAN CrossSubnet", "a second subnet comes in May")
        assert decided.rule.endswith(f"the rule chooses {by_rule}")


def test_no_reason_makes_a_mesh_of_more_than_a_hundred() -> None:
    """In the blueprint that fits such a cluster, too."""
    wish = {"decision": "route distribution", "chosen": "node-to-node mesh", "reason": "we like it"}
    given = facts(**nodes_in(4), plannedNodes=101, overrides=[wish])

    with pytest.raises(BadInput, match="101 nodes are too many for a full mesh, whatever the reason"):
        BLUEPRINTS[fitting(given)](given, None, None)


@pytest.mark.parametrize("reason", ["two\nlines\n---\nkind: IPPool", "a bell \a rings", "a\u2028b", "# '*' \"`\\"])
def test_a_reason_may_be_any_text(reason: str) -> None:
    """It stands in comments, in one line, and what is written is read back."""
    wish = {"decision": "encapsulation", "chosen": "IP-in-IP Always", "reason": reason}
    texts = render(BLUEPRINTS["single_subnet"](facts(overrides=[wish]), None, None))

    assert all(len(read_yaml(text.encode(), path)) == 1 for path, text in texts.items() if path.endswith(".yaml"))
    assert "; the rule chooses no encapsulation" in texts["DECISIONS.md"]
