"""Several subnets: which facts lead to which encapsulation, MTU and distribution, each rule from both sides."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.multi_subnet import multi_subnet
from blueprints.single_subnet import single_subnet
from muslin.errors import BadInput
from muslin.resources import dump
from tests.blueprints.clusters import facts, nodes_in

_V6 = {
    "nodes": [
        {"name": "node-a", "address": "192.0.2.1", "addressV6": "2001:db8:0:1::1"},
        {"name": "node-b", "address": "198.51.100.1", "addressV6": "2001:db8:0:2::1"},
    ],
    "subnets": ["192.0.2.0/24", "198.51.100.0/24", "2001:db8:0:1::/64", "2001:db8:0:2::/64"],
    "podRangeV6": "2001:db8:48::/48",
}


@pytest.mark.parametrize(
    ("told", "decision", "chosen"),
    [
        ({}, "encapsulation", "IP-in-IP CrossSubnet"),
        ({}, "MTU", "1480"),
        ({"networkMTU": 9001}, "MTU", "8981"),
        ({}, "route distribution", "node-to-node mesh"),
        ({}, "backend", "bird"),
        ({"network": {"sourceDestinationChecks": True}}, "encapsulation", "IP-in-IP Always"),
        ({"network": {"podAddresses": False}}, "encapsulation", "IP-in-IP Always"),
        ({"provider": "aws"}, "encapsulation", "IP-in-IP Always"),
        ({"provider": "azure"}, "encapsulation", "VXLAN Always"),
        ({"provider": "azure", "network": {"sourceDestinationChecks": False}}, "encapsulation", "VXLAN Always"),
        (
            {"provider": "azure", "network": {"sourceDestinationChecks": False, "podAddresses": True}},
            "encapsulation",
            "VXLAN CrossSubnet",
        ),
        ({"provider": "gcp", "network": {"sourceDestinationChecks": False}}, "encapsulation", "IP-in-IP Always"),
        (
            {"provider": "gcp", "network": {"sourceDestinationChecks": False, "podAddresses": True}},
            "encapsulation",
            "IP-in-IP CrossSubnet",
        ),
        ({"network": {"ipip": False}}, "encapsulation", "VXLAN CrossSubnet"),
        ({"network": {"bgp": False}}, "encapsulation", "VXLAN CrossSubnet"),
        ({"network": {"bgp": False, "podAddresses": False}}, "encapsulation", "VXLAN Always"),
        ({"network": {"bgp": False}}, "backend", "vxlan"),
        ({"network": {"bgp": False}}, "MTU", "1450"),
        ({"network": {"bgp": False}, "networkMTU": 9001}, "MTU", "8951"),
        ({"network": {"bgp": False}, "plannedNodes": 500}, "route distribution", "none"),
        ({"plannedNodes": 49}, "route distribution", "node-to-node mesh"),
        (_V6, "encapsulation", "IP-in-IP CrossSubnet"),
        (_V6, "encapsulation IPv6", "VXLAN CrossSubnet"),
        (_V6, "MTU", "1430"),
        ({**_V6, "network": {"sourceDestinationChecks": True}}, "encapsulation IPv6", "VXLAN Always"),
        (_V6, "backend", "bird"),
        ({**_V6, "network": {"bgp": False}}, "backend", "vxlan"),
        ({"plannedNodes": 5}, "fan-out replicas", "1"),
        ({"plannedNodes": 6}, "fan-out replicas", "2"),
        ({"plannedNodes": 49}, "fan-out replicas", "2"),
        ({"plannedNodes": 50, "network": {"bgp": False}}, "fan-out replicas", "3"),
        ({"plannedNodes": 249, "network": {"bgp": False}}, "fan-out replicas", "3"),
        ({"plannedNodes": 250, "network": {"bgp": False}}, "fan-out replicas", "4"),
        ({"plannedNodes": 5000, "network": {"bgp": False}, "podRange": "10.128.0.0/9"}, "fan-out replicas", "20"),
    ],
)
def test_facts_decide(told: dict[str, Any], decision: str, chosen: str) -> None:
    """Each row is one rule of the reference architecture, or its other side."""
    assert chosen == multi_subnet(facts(**{**nodes_in(2, 2), **told})).decision(decision).chosen


def test_the_architectures_own_cluster() -> None:
    """The pool is the one that the section on several subnets shows, mode for mode."""
    resources = [dump(each) for each in multi_subnet(facts(**nodes_in(2, 2))).resources]

    assert resources[0] == {
        "apiVersion": "projectcalico.org/v3",
        "kind": "IPPool",
        "metadata": {"name": "default-ipv4-ippool"},
        "spec": {
            "cidr": "10.48.0.0/16",
            "blockSize": 26,
            "ipipMode": "CrossSubnet",
            "vxlanMode": "Never",
            "natOutgoing": True,
            "nodeSelector": "all()",
        },
    }
    assert {"ipipMTU": 1480} in [each["spec"] for each in resources]


def test_both_families_have_their_own_pool() -> None:
    """IPv6 is never wrapped in IP-in-IP; both tunnels carry what the narrower one does; DNS is allowed over both."""
    by_key = {str(each.key): dump(each)["spec"] for each in multi_subnet(facts(**_V6)).resources}
    four, six = by_key["IPPool default-ipv4-ippool"], by_key["IPPool default-ipv6-ippool"]

    assert (four["ipipMode"], four["vxlanMode"]) == ("CrossSubnet", "Never")
    assert (six["ipipMode"], six["vxlanMode"], six["blockSize"]) == ("Never", "CrossSubnet", 122)
    assert by_key["FelixConfiguration default"] == {"ipipMTU": 1430, "vxlanMTUV6": 1430}
    assert [
        rule["destination"]["nets"]
        for rule in by_key["GlobalNetworkPolicy default-deny"]["egress"]
        if "protocol" in rule
    ] == [["0.0.0.0/0"], ["0.0.0.0/0"], ["::/0"], ["::/0"]]


@pytest.mark.parametrize(
    ("network", "of_subnets", "mtu", "because"),
    [
        (9000, (9000, 1500), "1480", "subnets[1]"),
        (1500, (9000, 9000), "1480", "networkMTU"),
        (None, (9000, 9000), "8980", "less 20"),
    ],
)
def test_jumbo_frames_only_where_every_hop_has_them(
    network: int | None, of_subnets: tuple[int, int], mtu: str, because: str
) -> None:
    """The narrowest hop counts, and the decision names it; where hops differ nodes' own finding is not trusted."""
    subnets = [{"cidr": f"10.{number}.0.0/16", "mtu": own} for number, own in enumerate(of_subnets)]
    told = {**nodes_in(2, 2), "subnets": subnets, "networkMTU": network}
    decided = multi_subnet(facts(**told)).decision("MTU")

    assert (decided.chosen, because in decided.rule) == (mtu, True)
    assert ("veth_mtu" in decided.consequence) is (because != "less 20")


def test_a_narrow_interface_counts() -> None:
    """An interface that carries the node's address narrows the path; another does not."""
    told = nodes_in(2, 2)
    told["nodes"][0]["interfaces"] = [
        {"name": "eth0", "mtu": 1400, "address": "10.0.0.1"},
        {"name": "mgmt0", "mtu": 600, "address": "203.0.113.1"},
    ]

    assert multi_subnet(facts(**told)).decision("MTU").chosen == "1380"


def test_an_old_file_still_says_the_same() -> None:
    """A subnet in short and in long is the same subnet."""
    short, long = facts(), facts(subnets=[{"cidr": "192.0.2.0/24"}])

    assert short.subnets == long.subnets
    assert single_subnet(short).resources == single_subnet(long).resources


def test_an_override_is_recorded() -> None:
    """Another answer than the rule's, where no must forbids it: with its reason, and what the rule would say."""
    wish = {"decision": "encapsulation", "chosen": "vxlan always", "reason": "the network's owner prefers it."}
    blueprint = multi_subnet(facts(**nodes_in(2, 2), overrides=[wish]))
    decided = blueprint.decision("encapsulation")

    assert (decided.chosen, decided.override) == ("VXLAN Always", wish["reason"])
    assert decided.rule == ("overridden, because the network's owner prefers it; the rule chooses IP-in-IP CrossSubnet")
    assert blueprint.decision("MTU").chosen == "1450"
    assert blueprint.decision("route distribution").chosen == "none"


@pytest.mark.parametrize(
    ("decision", "chosen", "taken"),
    [("MTU", "1400", "1400"), ("block size", "/24", "/24"), ("fan-out replicas", "4", "4")],
)
def test_figures_can_be_overridden(decision: str, chosen: str, taken: str) -> None:
    """Within what is possible."""
    override = {"decision": decision, "chosen": chosen, "reason": "measured"}
    decided = multi_subnet(facts(**nodes_in(2, 2), overrides=[override])).decision(decision)

    assert (decided.chosen, decided.override) == (taken, "measured")


@pytest.mark.parametrize(
    ("decision", "chosen"),
    [("MTU", "1481"), ("MTU", "575"), ("encapsulation", "no encapsulation"), ("backend", "vxlan")],
)
def test_a_must_is_not_overridden(decision: str, chosen: str) -> None:
    """No reason makes packets pass that do not."""
    override = {"decision": decision, "chosen": chosen, "reason": "wished"}
    with pytest.raises(BadInput) as refused:
        multi_subnet(facts(**nodes_in(2, 2), overrides=[override]))

    assert [each.where for each in refused.value.problems] == ["overrides[0].chosen"]


@pytest.mark.parametrize(
    ("running", "kept"),
    [({"mtu": 1440}, "every pod that runs now keeps 1440 until it is made again"), ({"mtu": 1480}, "")],
)
def test_running_pods_keep_their_mtu(running: dict[str, Any], kept: str) -> None:
    """A change of the MTU says which pods do not get it."""
    consequence = multi_subnet(facts(**nodes_in(2, 2), running=running)).decision("MTU").consequence

    assert kept in consequence
    assert ("keeps" in consequence) is bool(kept)


@pytest.mark.parametrize("running", ["no encapsulation", "IP-in-IP Always", "IP-in-IP CrossSubnet"])
def test_what_may_be_changed_live_is_not_refused(running: str) -> None:
    """Between packets as they are and IP-in-IP a running cluster may change."""
    blueprint = multi_subnet(facts(**nodes_in(2, 2), running={"encapsulation": running, "asNumber": 64512}))

    assert blueprint.decision("encapsulation").chosen == "IP-in-IP CrossSubnet"
