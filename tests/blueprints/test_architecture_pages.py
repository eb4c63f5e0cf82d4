"""What the pages on Calico's architecture get wrong, and the reference architecture where it explains the parts."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.transitions import transition
from blueprints.upstream import manifests, typha
from muslin.errors import BadInput
from muslin.resources import dump
from muslin.resources import load as load_resource
from tests.blueprints.clusters import facts, nodes_in
from tests.blueprints.upstream.networks import decided

_RACK: dict[str, Any] = {
    "topOfRack": [{"name": "t", "address": "203.0.113.254", "asNumber": 64500, "racks": ["r0"]}],
    **nodes_in(2, 2, racks=1),
}


def _answer(decision: str, blueprint: str = "single_subnet", **told: Any) -> str:
    return BLUEPRINTS[blueprint](facts(**told), None, None).decision(decision).chosen


def _pool(**spec: str) -> Any:
    whole = {"cidr": "10.48.0.0/16", **spec}
    return load_resource(
        {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "a"}, "spec": whole}
    )


def test_a_node_s_address_is_looked_for_by_its_subnet() -> None:
    """Nothing prefers the default route's interface: what is not told is the first that is found."""
    (container,) = manifests.node_patch(decided("single-subnet"))["spec"]["template"]["spec"]["containers"]
    methods = [each["value"] for each in container["env"] if each["name"] == "IP_AUTODETECTION_METHOD"]

    assert methods == ["cidr=192.0.2.0/24"]


@pytest.mark.parametrize(("mode", "at_random"), [("iptables", True), ("ipvs", False), ("nftables", True)])
def test_connections_are_not_spread_in_turn(mode: str, *, at_random: bool) -> None:
    """With iptables a service's pod is drawn by lot."""
    told = {"kubernetes": {"kubeProxyMode": mode}, "serviceRanges": ["10.96.0.0/16"], "routable": {"clusterIPs": True}}
    blueprint = BLUEPRINTS["top_of_rack"](facts(**_RACK, **told), None, None)

    assert ("at random" in blueprint.decision("routable services").consequence) is at_random


def test_the_fan_out_reads_kubernetes_policies_itself() -> None:
    """With the Kubernetes datastore no controller copies policies, namespaces, pods or accounts for agents."""
    (rights,) = [each for each in typha.typha(decided("single-subnet")) if each["kind"] == "ClusterRole"]
    read = {kind for rule in rights["rules"] if "list" in rule["verbs"] for kind in rule["resources"]}

    assert read >= {"networkpolicies", "namespaces", "pods", "serviceaccounts"}


def test_a_policy_that_closes_egress_opens_dns() -> None:
    """Whoever names the type Egress and gives no rule cuts off names too, with any plugin but Calico's."""
    blueprint = BLUEPRINTS["single_subnet"](facts(startingPolicies=["org-1"]), None, None)
    (spec,) = [dump(each)["spec"] for each in blueprint.resources if each.kind == "NetworkPolicy"]
    opened = {rule.get("protocol") for rule in spec["egress"] if rule["destination"].get("ports") == [53]}

    assert ("Egress" in spec["types"], opened) == (True, {"UDP", "TCP"})


@pytest.mark.parametrize(
    ("network", "chosen"), [({"ipip": False, "podAddresses": False}, "1450"), ({"podAddresses": False}, "1480")]
)
def test_links_of_1500_bytes_are_enough(network: dict[str, bool], chosen: str) -> None:
    """Pods' packets become smaller, by what either encapsulation costs."""
    assert _answer("MTU", network=network, networkMTU=1500) == chosen


def test_vxlan_needs_a_port_and_no_devices() -> None:
    """Nodes wrap and unwrap: the network must let UDP port 4789 through, and that is all that is asked."""
    assert _answer("encapsulation", network={"bgp": False}) == "VXLAN Always"
    with pytest.raises(BadInput, match="UDP port 4789"):
        _answer("encapsulation", network={"bgp": False, "vxlan": False})


def test_nothing_crosses_azure_as_it_is() -> None:
    """Within a subnet neither, unless somebody says that its routes know pods."""
    told = {**nodes_in(2, 2), "provider": "azure", "network": {"sourceDestinationChecks": False}}
    known = {**told, "network": {"sourceDestinationChecks": False, "podAddresses": True}}

    assert _answer("encapsulation", "multi_subnet", **told) == "VXLAN Always"
    assert _answer("encapsulation", "multi_subnet", **known) == "VXLAN CrossSubnet"


def test_a_pool_is_not_edited_into_another_kind() -> None:
    """From IP-in-IP to VXLAN is no live change, and both at once is no pool."""
    moved = transition([_pool(ipipMode="CrossSubnet")], [_pool(vxlanMode="CrossSubnet")])

    assert [str(each.path[-1]) for each in moved.refused] == ["vxlanMode"]
    with pytest.raises(BadInput):
        _pool(ipipMode="CrossSubnet", vxlanMode="CrossSubnet")


def test_an_etcd_that_listens_to_everybody_is_refused() -> None:
    """Without TLS whoever reaches it changes the network."""
    told: dict[str, Any] = {
        "datastore": "etcd",
        "etcdIsTheClusters": False,
        "etcdEndpoints": ["http://192.0.2.10:6666"],
    }
    with pytest.raises(BadInput, match="without TLS"):
        _answer("datastore", **told)


def test_the_network_need_not_be_one_segment() -> None:
    """Routers between racks carry pods' packets as they are, once switches learn routes from nodes."""
    assert _answer("encapsulation", "top_of_rack", **_RACK) == "no encapsulation"


def test_an_etcd_is_there_on_request_only() -> None:
    """What agents and tools read is Kubernetes, unless somebody wishes otherwise."""
    assert _answer("datastore") == "kubernetes"
