"""Decided networks to install, by what they are about."""

from __future__ import annotations

import functools
from typing import Any, Final

from blueprints.catalogue import decide
from blueprints.draft import fitting
from blueprints.facts import Facts
from blueprints.upstream.network import Network, network
from tests.blueprints.clusters import facts, nodes_in

__all__ = ["BOTH_FAMILIES", "NETWORKS", "decided", "facts_of"]

BOTH_FAMILIES: Final[dict[str, Any]] = {
    "nodes": [
        {"name": "node-a", "address": "192.0.2.1", "addressV6": "2001:db8::1"},
        {"name": "node-b", "address": "192.0.2.2", "addressV6": "2001:db8::2"},
    ],
    "subnets": ["192.0.2.0/24", "2001:db8::/64"],
    "podRangeV6": "2001:db8:48::/48",
}
_ETCD: Final = {
    "datastore": "etcd",
    "etcdIsTheClusters": False,
    "etcdEndpoints": ["https://192.0.2.10:2379", "https://192.0.2.11:2379"],
}
_SWITCHES: Final = {
    "nodes": [
        {"name": "node-a", "address": "192.0.2.1", "rack": "a", "labels": {"network-type": "routable"}},
        {"name": "node-b", "address": "198.51.100.1", "rack": "b"},
    ],
    "subnets": ["192.0.2.0/24", "198.51.100.0/24"],
    "topOfRack": [
        {"name": "tor-a", "address": "192.0.2.254", "asNumber": 64400, "racks": ["a"]},
        {"name": "tor-b", "address": "198.51.100.254", "asNumber": 64400, "racks": ["b"]},
    ],
    "routable": {"pods": "203.0.113.0/26"},
}

NETWORKS: Final[dict[str, dict[str, Any]]] = {
    "single-subnet": {},
    "several-subnets-60-nodes": nodes_in(30, 30),
    "full-ipip": {"network": {"sourceDestinationChecks": True}},
    "vxlan-on-azure": {**nodes_in(2, 2), "provider": "azure"},
    "jumbo": {"networkMTU": 9001},
    "room-for-more": {"overrides": [{"decision": "MTU", "chosen": "1440", "reason": "WireGuard comes next week"}]},
    "several-mtus": {"subnets": [{"cidr": "192.0.2.0/24", "mtu": 1400}], "networkMTU": 1500},
    "both-families": BOTH_FAMILIES,
    "both-families-vxlan": {**BOTH_FAMILIES, "network": {"bgp": False, "vxlan": True}},
    "ipv6-alone": {
        "nodes": [{"name": "node-a", "address": "2001:db8::1"}, {"name": "node-b", "address": "2001:db8::2"}],
        "subnets": ["2001:db8::/64"],
        "podRange": None,
        "podRangeV6": "2001:db8:48::/48",
    },
    "nftables": {"kubernetes": {"kubeProxyMode": "nftables"}},
    "reflectors-outside": {
        **nodes_in(60),
        "blueprint": "route_reflectors",
        "externalReflectors": [{"name": "rr-1", "address": "203.0.113.1"}, {"name": "rr-2", "address": "203.0.113.2"}],
    },
    "from-a-mesh-to-reflectors": {
        **nodes_in(60),
        "blueprint": "route_reflectors",
        "running": {"routeDistribution": "node-to-node mesh"},
    },
    "separate-etcd": _ETCD,
    "separate-etcd-60-nodes": {**_ETCD, **nodes_in(60), "blueprint": "route_reflectors"},
    "switches-and-routable-pods": {**_SWITCHES, "blueprint": "top_of_rack"},
}
"""Mapping[what it shows, facts]."""


def facts_of(name: str) -> Facts:
    """The facts, with the blueprint that they name or that fits."""
    given = facts(**NETWORKS[name])
    return given.model_copy(update={"blueprint": given.blueprint or fitting(given)})


@functools.cache
def decided(name: str) -> Network:
    """The network of these facts; the same value for all tests, which change nothing of it."""
    given = facts_of(name)
    return network(given, decide(given))
