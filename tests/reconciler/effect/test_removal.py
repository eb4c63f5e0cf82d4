"""Who still needs an object that is to be removed."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.resources.base import Resource
from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.ipam import IPAMBlock
from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.removal import Removal, removal_effect
from tests.support.clusters import (
    global_policy,
    global_set,
    namespace_profile,
    network_set,
    node,
    policy,
    pool,
    tier,
    workload,
)


def _block(cidr: str, *held: int) -> IPAMBlock:
    allocations = [0 if at in held else None for at in range(64)]
    spec: dict[str, Any] = {"cidr": cidr, "affinity": "host:node-a", "allocations": allocations, "attributes": [{}]}
    return IPAMBlock.model_validate({"metadata": {"name": cidr.replace(".", "-").replace("/", "-")}, "spec": spec})


_CLUSTER: list[Resource] = [
    node("node-a", "192.0.2.1/24"),
    node("node-b", "192.0.2.2/24"),
    node("node-c", "192.0.2.3/24"),
    pool("pods", "10.48.0.0/16"),
    pool("spare", "10.49.0.0/16"),
    _block("10.48.0.0/26", 1, 9),
    namespace_profile("shop"),
    workload("web", "10.48.0.1", namespace="shop", labels={"app": "web"}),
    workload("db", "10.48.1.1", namespace="shop", on="node-b", labels={"app": "db"}),
    tier("early", 10),
    policy("early.web", "shop", tier="early", selector="app == 'web'"),
    global_policy("early.all", tier="early", egress=[{"action": "Allow", "destination": {"selector": "has(partner)"}}]),
    policy(
        "db", "shop", selector="app == 'db'", ingress=[{"action": "Allow", "source": {"selector": "kind == 'own'"}}]
    ),
    global_set("partners", ["198.51.100.0/24"], {"partner": "yes"}),
    network_set("own", ["203.0.113.0/24"], {"kind": "own"}, "shop"),
    network_set("far", ["203.0.113.0/24"], {"kind": "own"}, "elsewhere"),
    BGPPeer.model_validate({"metadata": {"name": "rack"}, "spec": {"peerIP": "192.0.2.254", "asNumber": 64500}}),
]
_SNAPSHOT = Snapshot.of(_CLUSTER)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (Key("IPPool", "pods"), Removal(addresses=3, endpoints=2)),
        (Key("IPPool", "spare"), Removal()),
        (Key("NetworkPolicy", "early.web", "shop"), Removal(endpoints=1)),
        (Key("Tier", "early"), Removal(endpoints=2)),
        (Key("Profile", "kns.shop"), Removal(endpoints=2)),
        (Key("GlobalNetworkSet", "partners"), Removal(endpoints=2)),
        (Key("NetworkSet", "own", "shop"), Removal(endpoints=1)),
        (Key("NetworkSet", "far", "elsewhere"), Removal()),
        (Key("BGPPeer", "rack"), Removal(sessions=3)),
        (Key("Node", "node-b"), Removal(addresses=1, endpoints=1, sessions=5)),
        (Key("WorkloadEndpoint", "web", "shop"), Removal(endpoints=1)),
        (Key("IPPool", "never"), Removal()),
        (Key("Tier", "never"), Removal()),
    ],
    ids=str,
)
def test_what_an_object_carries(key: Key, expected: Removal) -> None:
    """Addresses, endpoints and sessions, counted from the cluster as it is."""
    assert removal_effect([key], _SNAPSHOT) == expected


def test_nobody_is_counted_twice() -> None:
    """A workload that two of the removed policies select is one endpoint."""
    keys = [Key("NetworkPolicy", "early.web", "shop"), Key("GlobalNetworkPolicy", "early.all"), Key("IPPool", "pods")]

    assert removal_effect(keys, _SNAPSHOT) == Removal(addresses=3, endpoints=2)
    assert bool(removal_effect([Key("IPPool", "spare")], _SNAPSHOT)) is False
