"""Clusters of IPv6 alone: the same questions, with the answers of that family."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.draft import fitting
from blueprints.facts import Facts, load
from blueprints.found import facts_of_nodes
from muslin.errors import BadInput
from muslin.resources import dump
from muslin.resources.ip_pool import IPPool
from tests.blueprints.spreading import cluster, everybody_learns


def _six(_subnets: int = 1, /, **changed: Any) -> Facts:
    nodes = [
        {"name": f"n{number}-{index}", "address": f"2001:db8:{number}::{index}"}
        for number in range(_subnets)
        for index in (1, 2, 3)
    ]
    return load(
        {
            "apiVersion": "blueprints.muslin/v1alpha1",
            "kind": "Cluster",
            "name": "six",
            "nodes": nodes,
            "subnets": [f"2001:db8:{number}::/64" for number in range(_subnets)],
            "networkMTU": 1500,
            "podRangeV6": "2001:db8:4800::/48",
            **changed,
        }
    )


@pytest.mark.parametrize(
    ("blueprint", "given", "encapsulation", "mtu"),
    [
        ("single_subnet", _six(), "no encapsulation", "1500"),
        ("multi_subnet", _six(2), "VXLAN CrossSubnet", "1430"),
        ("single_subnet", _six(network={"podAddresses": False}), "VXLAN Always", "1430"),
        ("route_reflectors", _six(plannedNodes=60), "no encapsulation", "1500"),
    ],
)
def test_a_cluster_of_ipv6_alone(blueprint: str, given: Facts, encapsulation: str, mtu: str) -> None:
    """No IP-in-IP, 70 bytes for VXLAN, one pool; every node learns every route where BGP tells them."""
    decided = BLUEPRINTS[blueprint](given, None, None)
    pools = [each for each in decided.resources if isinstance(each, IPPool)]

    assert decided.decision("encapsulation IPv6").chosen == encapsulation
    assert decided.decision("MTU").chosen == mtu
    assert [(str(each.spec.cidr), dump(each)["spec"].get("ipipMode")) for each in pools] == [
        ("2001:db8:4800::/48", "Never")
    ]
    assert "encapsulation" not in {each.name for each in decided.decisions}
    if "VXLAN" not in encapsulation:
        assert everybody_learns(cluster(given, decided.resources))


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"podRangeV6": "2001:db8:4800::/122"}, "has 1 blocks of 64 addresses"),
        ({"routable": {"pods": "203.0.113.0/26"}}, "pods have no IPv4 addresses"),
        ({"subnets": ["192.0.2.0/24"]}, "no IPv6 subnet of the nodes is given"),
        ({"network": {"vxlan": False, "podAddresses": False}}, "no way for packets between nodes is left"),
        ({"networkMTU": 1300, "network": {"podAddresses": False}}, "leaves 1230 of 1300 bytes, less than 1280"),
    ],
)
def test_what_does_not_go_with_ipv6(changed: dict[str, Any], what: str) -> None:
    """Is refused in its own words."""
    with pytest.raises(BadInput) as caught:
        BLUEPRINTS["single_subnet"](_six(**changed), None, None)

    assert what in str(caught.value.problems[0])


def test_some_family_there_must_be() -> None:
    """A cluster without a range for pods is no cluster."""
    with pytest.raises(BadInput, match="no range for pods"):
        _six(podRangeV6=None)


def test_an_ipv4_range_needs_ipv4_nodes() -> None:
    """A pod range of a family that nodes do not have is refused, with the family to leave out."""
    given = _six(podRange="10.48.0.0/16")
    with pytest.raises(BadInput) as caught:
        BLUEPRINTS["single_subnet"](given, None, None)

    assert "podRangeV6 instead of podRange" in caught.value.problems[0].fix


def test_nodes_of_ipv6_alone_are_read_from_kubernetes() -> None:
    """Their address is the only one that they have; what fits them is found."""
    status = {"addresses": [{"type": "InternalIP", "address": "2001:db8::7"}]}
    told = facts_of_nodes([{"metadata": {"name": "a"}, "status": status}])

    assert told["nodes"] == [{"name": "a", "address": "2001:db8::7"}]
    assert fitting(_six(2)) == "multi_subnet"
