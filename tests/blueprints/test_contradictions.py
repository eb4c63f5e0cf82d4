"""What can't be true of a cluster at once: refused before anything is decided, and together with what is decided."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.catalogue import decide_document
from blueprints.facts import load_as_told
from muslin.errors import BadInput
from tests.blueprints.clusters import facts

_SIX: dict[str, Any] = {
    "nodes": [{"name": "a", "address": "2001:db8::1"}],
    "subnets": ["2001:db8::/64"],
    "podRange": None,
    "podRangeV6": "2001:db8:48::/48",
}
_SWITCH = {"name": "t", "address": "192.0.2.254", "asNumber": 64500, "racks": ["r1"]}


def _in_rack(**more: Any) -> dict[str, Any]:
    node = {"name": "a", "address": "192.0.2.1", "rack": "r1", **more}
    return {"nodes": [node, {"name": "b", "address": "192.0.2.2", "rack": "r1"}], "topOfRack": [_SWITCH]}


@pytest.mark.parametrize(
    ("told", "where", "words"),
    [
        ({**_SIX, "podRangeV6": "ff00::/16"}, "podRangeV6", "multicast"),
        ({**_SIX, "podRangeV6": "::/64"}, "podRangeV6", "reserved"),
        ({"serviceRanges": ["127.0.0.0/16"]}, "serviceRanges[0]", "loopback"),
        ({"serviceRanges": ["224.1.0.0/16"]}, "serviceRanges[0]", "multicast"),
        ({"subnets": ["192.0.2.0/24", "172.17.0.0/24"]}, "subnets[1]", "bridge of Docker"),
        ({"subnets": ["192.0.2.0/24", "169.254.1.0/24"]}, "subnets[1]", "link-local"),
        ({**_SIX, "subnets": ["2001:db8::/64", "fe80::/64"]}, "subnets[1]", "link-local"),
        ({**_SIX, "kubernetes": {"serviceSubnets": ["2001:db8:48::/112"]}}, "podRangeV6", "Kubernetes' service range"),
        ({"kubernetes": {"serviceSubnets": ["192.0.2.0/25"]}}, "kubernetes.serviceSubnets[0]", "the nodes' subnet"),
        ({"kubernetes": {"serviceSubnets": ["169.254.0.0/20"]}}, "kubernetes.serviceSubnets[0]", "link-local"),
        ({"podRange": "192.0.0.0/24", "kubernetes": {"podSubnets": ["192.0.0.0/16"]}},
         "kubernetes.podSubnets[0]", "the nodes' subnet 192.0.2.0/24"),
        ({"serviceRanges": ["10.48.64.0/20"], "podRange": "10.48.0.0/20",
          "kubernetes": {"podSubnets": ["10.48.0.0/16"]}},
         "kubernetes.podSubnets[0]", "the service range 10.48.64.0/20"),
        ({"routable": {"externalIPs": ["10.48.5.0/24"]}}, "routable.externalIPs[0]", "the pod range 10.48.0.0/16"),
        ({"routable": {"loadBalancerIPs": ["10.48.5.0/24"]}}, "routable.loadBalancerIPs[0]", "the pod range"),
        ({"topOfRack": [{**_SWITCH, "address": "192.0.2.1"}]}, "topOfRack[0].address", "which node node-a has"),
        ({"subnets": [{"cidr": "192.0.2.0/24", "router": "192.0.2.2"}]}, "subnets[0].router", "which node node-b has"),
        ({**_in_rack(), "externalReflectors": [{"name": "e", "address": "192.0.2.254"}]},
         "externalReflectors[0].address", "which the switch t has"),
        ({"externalReflectors": [{"name": "e", "address": "169.254.0.9"}]},
         "externalReflectors[0].address", "link-local"),
        ({"nodes": [{"name": "a", "address": "192.0.2.0"}]}, "nodes[0].address", "the network's own"),
        ({"nodes": [{"name": "a", "address": "192.0.2.255"}]}, "nodes[0].address", "the broadcast address"),
        ({"nodes": [{"name": "a", "address": "192.0.2.1", "labels": {"route-reflector": "false"}}]},
         "nodes[0].labels.route-reflector", "does not reflect"),
        (_in_rack(labels={"rack": "r2"}), "nodes[0].labels.rack", "it stands in rack 'r1'"),
        ({"nodes": [{"name": "a", "address": "192.0.2.1", "roles": ["reflector", "control-plane"]}]},
         "nodes[0].roles", "both would fail together"),
        ({"running": {"podRange": "10.9.0.0/16", "pools": [{"name": "a", "cidr": "10.48.0.0/16"}]}},
         "running.podRange", "pools tell it too"),
        ({"running": {"pools": [{"name": "a", "cidr": "10.48.0.0/16"}, {"name": "b", "cidr": "10.48.0.0/17"}]}},
         "running.pools[1].cidr", "can't both run"),
        ({"running": {"pools": [{"name": "a", "cidr": "10.48.0.0/16"}, {"name": "a", "cidr": "10.50.0.0/16"}]}},
         "running.pools[1].name", "two pools"),
        ({"running": {"reflectors": ["node-a"], "routeDistribution": "node-to-node mesh"}},
         "running.reflectors", "told by node-to-node mesh"),
    ],
)  # fmt: skip
def test_what_can_not_be(told: dict[str, Any], where: str, words: str) -> None:
    """It is refused at its place, with a fix."""
    with pytest.raises(BadInput) as refused:
        facts(**told)
    (found,) = [each for each in refused.value.problems if words in each.what]

    assert found.where.endswith(where)
    assert found.fix


@pytest.mark.parametrize(
    "told",
    [
        {"kubernetes": {"podSubnets": ["10.48.0.0/12"], "serviceSubnets": ["10.96.0.0/12"]},
         "serviceRanges": ["10.96.0.0/12"]},
        {"subnets": [{"cidr": "192.0.2.0/24", "router": "192.0.2.254"}], **_in_rack()},
        {"nodes": [{"name": "a", "address": "192.0.2.0"}, {"name": "b", "address": "192.0.2.1"}],
         "subnets": ["192.0.2.0/31"]},
        {"nodes": [{"name": "a", "address": "192.0.2.1", "labels": {"route-reflector": "true"},
                    "roles": ["reflector"]}]},
        _in_rack(labels={"rack": "r1"}),
        {"running": {"reflectors": ["node-a"]}},
        {"serviceRanges": ["10.96.0.0/12"], "kubernetes": {"dns": ["169.254.20.10"]}},
    ],
)  # fmt: skip
def test_what_may_be(told: dict[str, Any]) -> None:
    """The other side of the same rules: a switch that routes, two machines on a link, a node's own DNS cache."""
    assert facts(**told).name == "demo"


_WRONG: dict[str, Any] = {
    "apiVersion": "blueprints.muslin/v1alpha1",
    "kind": "Cluster",
    "name": "demo",
    "nodes": [{"name": "a", "address": "192.0.2.1"}, {"name": "a", "address": "192.0.2.2"}],
    "subnets": ["192.0.2.0/24"],
    "networkMTU": 1500,
    "podRange": "192.0.0.0/16",
    "serviceRanges": ["192.0.96.0/20"],
    "datastore": "etcd",
    "plannedNodes": 80,
    "blueprint": "single_subnet",
}


def test_contradictions_and_refusals_come_at_once() -> None:
    """Two nodes of one name do not hide that ranges overlap, that the etcd is unsaid, and that a mesh is too large."""
    with pytest.raises(BadInput) as refused:
        decide_document(_WRONG)
    told = [each.what for each in refused.value.problems]

    assert [what[:38] for what in told] == [
        "two nodes are named 'a'",
        "it is not said whether this etcd is th",
        "the pod range 192.0.0.0/16 overlaps th",
        "the pod range 192.0.0.0/16 overlaps th",
        "80 nodes are too many for a full mesh:",
    ]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize(
    "missing", [{"nodes": []}, {"subnets": []}, {"networkMTU": None}, {"podRange": None}, {"name": 7}]
)
def test_too_little_to_decide(missing: dict[str, Any]) -> None:
    """Where nothing can be decided, the contradictions alone are told."""
    assert load_as_told({**_WRONG, **missing}) is None


def test_an_ipv6_range_has_an_address_for_every_pod() -> None:
    """Not only a block for every node."""
    pods = {**_SIX, "podRangeV6": "2001:db8:48::/121", "podsPerNode": 64, "plannedNodes": 2}

    assert decide_document(_document(pods))[1].decision("pod range IPv6").chosen == "2001:db8:48::/121"
    with pytest.raises(BadInput, match="128 addresses, too few for 2 nodes with 65 pods each"):
        decide_document(_document({**pods, "podsPerNode": 65}))


def _document(told: dict[str, Any]) -> dict[str, Any]:
    return {**_WRONG, "datastore": None, "plannedNodes": 2, **told}
