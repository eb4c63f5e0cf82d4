"""Whose block it is, how it is reached, what is announced, and the room left for a packet."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from muslin.resources.base import Resource
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.semantics.felix import felix_settings
from muslin.semantics.mtu import encapsulation_mtu, node_pod_mtu, pod_mtu
from muslin.semantics.routes import Encapsulation, encapsulation, importable_prefixes, is_announced, own_blocks, pool_of
from muslin.semantics.snapshot import Snapshot
from tests.support.clusters import affinity, block, node, pool

_BLOCK = "10.48.0.0/26"


@pytest.mark.parametrize(
    ("resources", "is_ours"),
    [
        ([affinity("a", _BLOCK)], True),
        ([affinity("a", _BLOCK, state="")], True),
        ([affinity("a", _BLOCK), block(_BLOCK, "a")], True),
        ([affinity("a", _BLOCK, state="pending"), block(_BLOCK, "a")], False),
        ([affinity("a", _BLOCK, state="pendingDeletion"), block(_BLOCK, "a")], True),
        ([affinity("a", _BLOCK, state="pendingDeletion"), block(_BLOCK, None)], False),
        ([affinity("a", _BLOCK, state="pendingDeletion")], False),
        ([affinity("a", _BLOCK), block(_BLOCK, "b")], False),
        ([affinity("b", _BLOCK), block(_BLOCK, "b")], False),
        ([affinity("a", _BLOCK, type="virtual")], False),
        ([affinity("a", _BLOCK, deleted=True)], False),
        ([block(_BLOCK, "a")], False),
    ],
)
def test_block_is_ours_once_its_claim_is_confirmed(resources: list[Resource], *, is_ours: bool) -> None:
    """Claims that may still be lost count as none, blocks that are being given back as long as they name us."""
    assert (ip_network(_BLOCK),) * is_ours == own_blocks(Snapshot.of(resources), "a")


def test_pool_can_keep_its_blocks_from_peers() -> None:
    """`disableBGPExport` keeps a pool's blocks off the wire; blocks of other pools, or of none, are announced."""
    snapshot = Snapshot.of([pool("quiet", "10.48.0.0/16", disableBGPExport=True), pool("loud", "10.49.0.0/16")])

    assert [is_announced(snapshot, ip_network(each)) for each in ("10.48.0.0/26", "10.49.0.0/26", "10.50.0.0/26")] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("modes", "same", "other"),
    [
        ({}, Encapsulation.NONE, Encapsulation.NONE),
        ({"ipipMode": "Always"}, Encapsulation.IPIP, Encapsulation.IPIP),
        ({"ipipMode": "CrossSubnet"}, Encapsulation.NONE, Encapsulation.IPIP),
        ({"vxlanMode": "Always"}, Encapsulation.VXLAN, Encapsulation.VXLAN),
        ({"vxlanMode": "CrossSubnet"}, Encapsulation.NONE, Encapsulation.VXLAN),
    ],
)
def test_encapsulation_depends_on_mode_and_subnet(
    modes: dict[str, Any], same: Encapsulation, other: Encapsulation
) -> None:
    """CrossSubnet wraps only what leaves the subnet of the sending node; a node without address is elsewhere."""
    local, near, far = node("a", "192.0.2.1/25"), node("b", "192.0.2.2/25"), node("c", "192.0.2.129/25")
    chosen = pool("p", "10.48.0.0/16", **modes)

    assert (same, other, other) == tuple(encapsulation(chosen, local, each) for each in (near, far, node("d")))


def test_only_plain_pools_are_imported_as_they_are() -> None:
    """A pool with CrossSubnet is plain for a node as long as all others stand in its subnet."""
    pools = [
        pool("plain", "10.48.0.0/16"),
        pool("cross", "10.49.0.0/16", ipipMode="CrossSubnet"),
        pool("wrapped", "10.50.0.0/16", ipipMode="Always"),
    ]
    near = [node("a", "192.0.2.1/24"), node("b", "192.0.2.2/24")]
    plain, cross = ip_network("10.48.0.0/16"), ip_network("10.49.0.0/16")

    assert (plain, cross) == importable_prefixes(Snapshot.of([*pools, *near]), "a")
    assert (plain,) == importable_prefixes(Snapshot.of([*pools, *near, node("c", "198.51.100.1/24")]), "a")


@pytest.mark.parametrize(
    ("kind", "version", "overhead"),
    [
        (Encapsulation.NONE, 4, 0),
        (Encapsulation.IPIP, 4, 20),
        (Encapsulation.VXLAN, 4, 50),
        (Encapsulation.VXLAN, 6, 70),
        (Encapsulation.WIREGUARD, 4, 60),
        (Encapsulation.WIREGUARD, 6, 80),
    ],
)
@pytest.mark.parametrize("network_mtu", [1500, 9001])
def test_each_encapsulation_takes_its_bytes(kind: Encapsulation, version: int, overhead: int, network_mtu: int) -> None:
    """Overheads are those of the reference architecture's table."""
    assert network_mtu - overhead == encapsulation_mtu(network_mtu, kind, version)


def test_pods_get_what_fits_every_way() -> None:
    """A pod's MTU is that of the most expensive encapsulation in use; IP-in-IP does not exist over IPv6."""
    assert pod_mtu(1500, [(Encapsulation.IPIP, 4), (Encapsulation.VXLAN, 4)]) == 1450
    assert pod_mtu(1500, []) == 1500
    with pytest.raises(ValueError, match="no IP-in-IP over IPv6"):
        encapsulation_mtu(1500, Encapsulation.IPIP, 6)


def test_configured_mtu_replaces_the_computed_one() -> None:
    """0 in FelixConfiguration means computed; another figure is taken as it is."""

    def mtu(**spec: int) -> int:
        felix = FelixConfiguration.model_validate({"metadata": {"name": "default"}, "spec": spec})
        return node_pod_mtu(Snapshot.of([felix, pool("p", "10.48.0.0/16", ipipMode="CrossSubnet")]), "a", 1500)

    assert [mtu(), mtu(ipipMTU=0), mtu(ipipMTU=1400)] == [1480, 1480, 1400]


def test_most_special_felix_configuration_wins() -> None:
    """The node's own object, then those that select it, then `default`; unset falls through."""

    def felix(name: str, **spec: Any) -> FelixConfiguration:
        return FelixConfiguration.model_validate({"metadata": {"name": name}, "spec": spec})

    resources: list[Resource] = [
        node("a", labels={"rack": "x"}),
        felix("default", vxlanMTU=1, ipipMTU=1, wireguardMTU=1),
        felix("rack", nodeSelector="rack == 'x'", vxlanMTU=2, ipipMTU=2),
        felix("node.a", vxlanMTU=3),
    ]
    snapshot = Snapshot.of(resources)

    here, elsewhere = felix_settings(snapshot, "a"), felix_settings(snapshot, "b")
    assert [here[name] for name in ("VXLANMTU", "IpInIpMtu", "WireguardMTU", "WireguardMTUV6")] == [3, 2, 1, 0]
    assert [elsewhere[name] for name in ("VXLANMTU", "IpInIpMtu")] == [1, 1]


def test_longest_pool_holds_a_prefix() -> None:
    """Where pools lie in each other, the longest one is the block's."""
    snapshot = Snapshot.of([pool("wide", "10.48.0.0/16"), pool("narrow", "10.48.0.0/24")])

    assert [
        found and found.metadata.name
        for found in (pool_of(snapshot, ip_network(each)) for each in ("10.48.0.0/26", "10.48.1.0/26", "10.50.0.0/26"))
    ] == ["narrow", "wide", None]
