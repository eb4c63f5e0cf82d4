"""The registry of kinds, the names of fields, the rules and what they forbid, and effective defaults."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_network

import pytest

from muslin.resources import (
    KINDS,
    BGPConfiguration,
    BGPPeer,
    FelixConfiguration,
    IPPool,
    Key,
    NetworkPolicy,
    Tier,
    kind_by_alias,
    load,
    refused_changes,
    rules_of,
)
from muslin.resources.bgp_peer import NextHopMode
from muslin.resources.felix_configuration import FelixConfigurationSpec
from muslin.resources.ip_pool import EncapsulationMode, IPPoolSpec
from muslin.resources.policy import PolicyType
from muslin.resources.policy_rules import EntityRule, Rule
from muslin.resources.spelling import calico_name

from .builders import manifest


@pytest.mark.parametrize(
    ("alias", "kind"),
    [
        ("ippool", "IPPool"),
        ("IPPools", "IPPool"),
        ("pool", "IPPool"),
        ("gnp", "GlobalNetworkPolicy"),
        ("np", "NetworkPolicy"),
        ("wep", "WorkloadEndpoint"),
        ("nodestatus", "CalicoNodeStatus"),
        ("blockaffinities", "BlockAffinity"),
        ("nonsense", None),
    ],
)
def test_kinds_have_aliases(alias: str, kind: str | None) -> None:
    """Kinds are found by singular, plural and short name in any case."""
    assert kind_by_alias(alias) == kind


def test_no_alias_means_two_kinds() -> None:
    """Every alias leads back to the kind that lists it."""
    for kind, info in KINDS.items():
        assert {kind_by_alias(alias) for alias in (kind, *info.aliases)} == {kind}


def test_keys_tell_identity() -> None:
    """Namespaced kinds carry their namespace in the key, others never."""
    policy = load(manifest("NetworkPolicy", {}, namespace="shop"))

    assert policy.key == Key("NetworkPolicy", "example", "shop")
    assert load(manifest("Tier", {})).key == Key("Tier", "example")


@pytest.mark.parametrize(
    ("python", "calico"),
    [
        ("peer_ip", "peerIP"),
        ("as_number", "asNumber"),
        ("local_as_number", "localASNumber"),
        ("route_reflector_cluster_id", "routeReflectorClusterID"),
        ("ipv4_address", "ipv4Address"),
        ("interface_ipv4_address", "interfaceIPv4Address"),
        ("disable_bgp_export", "disableBGPExport"),
        ("vxlan_tunnel_mac_addr_v6", "vxlanTunnelMACAddrV6"),
        ("pre_dnat", "preDNAT"),
        ("service_load_balancer_ips", "serviceLoadBalancerIPs"),
        ("bpf_dsr_optout_cidrs", "bpfDSROptoutCIDRs"),
    ],
)
def test_names_are_spelt_as_calico_does(python: str, calico: str) -> None:
    """Abbreviations are upper case except at the beginning."""
    assert calico_name(python) == calico


def test_rules_of_a_model_are_named_once() -> None:
    """Names of rules are unique in their model, and each has a message and a fix."""
    for model in (IPPoolSpec, EntityRule, Rule, FelixConfigurationSpec, Tier, BGPPeer, NetworkPolicy):
        rules = rules_of(model)
        assert rules
        assert len({rule.name for rule in rules}) == len(rules)
        assert all(rule.message and rule.fix for rule in rules)


def test_inherited_rules_count() -> None:
    """A kind's own rules come after those of every resource."""
    assert [rule.name for rule in rules_of(Tier)][:2] == ["name", "default-action"]


def test_prefix_and_block_size_of_a_pool_stay() -> None:
    """A change of either is refused; anything else may change."""
    pool = load(manifest("IPPool", {"cidr": "192.0.2.0/24"}))
    moved = load(manifest("IPPool", {"cidr": "198.51.100.0/24", "blockSize": 28}))
    disabled = load(manifest("IPPool", {"cidr": "192.0.2.0/24", "blockSize": 26, "disabled": True}))

    assert [problem.source for problem in refused_changes(pool, moved)] == [
        "IPPoolSpec cidr-stays",
        "IPPoolSpec block-size-stays",
    ]
    assert refused_changes(pool, disabled) == ()


def test_defaults_are_told_not_written() -> None:
    """What the reference assumes is a property; the field itself stays unset."""
    pool = IPPoolSpec(cidr=ip_network("192.0.2.0/24"))
    wide = IPPoolSpec(cidr=ip_network("2001:db8::/64"))

    assert (pool.block_size, pool.effective_block_size, wide.effective_block_size) == (None, 26, 122)
    assert pool.effective_ipip_mode is EncapsulationMode.NEVER
    assert pool.effective_node_selector == "all()"
    assert BGPConfiguration(metadata={"name": "default"}).spec.effective_as_number == 64512
    assert BGPConfiguration(metadata={"name": "default"}).spec.effective_node_to_node_mesh_enabled


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, (PolicyType.INGRESS,)),
        ({"egress": [{"action": "Allow"}]}, (PolicyType.EGRESS,)),
        ({"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]}, (PolicyType.INGRESS, PolicyType.EGRESS)),
        ({"types": ["Egress"]}, (PolicyType.EGRESS,)),
    ],
)
def test_directions_of_a_policy_follow_its_rules(spec: dict[str, object], types: tuple[PolicyType, ...]) -> None:
    """Unset types mean the directions that have rules, and ingress if none has."""
    policy = load(manifest("NetworkPolicy", spec, namespace="shop"))
    assert isinstance(policy, NetworkPolicy)

    assert policy.spec.effective_types == types


def test_the_deprecated_flag_keeps_the_next_hop() -> None:
    """KeepOriginalNextHop still means nextHopMode Keep."""
    peer = load(manifest("BGPPeer", {"peerIP": "192.0.2.1", "keepOriginalNextHop": True}))
    assert isinstance(peer, BGPPeer)

    assert peer.spec.effective_next_hop_mode is NextHopMode.KEEP


def test_unset_and_empty_differ_where_it_matters() -> None:
    """An empty list of failsafe ports closes them all; an absent one leaves the usual."""
    empty = load(manifest("FelixConfiguration", {"failsafeInboundHostPorts": []}))
    absent = load(manifest("FelixConfiguration", {}))
    assert isinstance(empty, FelixConfiguration)
    assert isinstance(absent, FelixConfiguration)

    assert (empty.spec.failsafe_inbound_host_ports, absent.spec.failsafe_inbound_host_ports) == ((), None)
    assert empty.to_json()["spec"] == {"failsafeInboundHostPorts": []}


def test_resources_need_no_machine() -> None:
    """The package imports neither sockets nor event loops nor processes."""
    unwanted = {"asyncio", "subprocess", "sqlite3", "pyroute2"}
    program = f"import sys, muslin.resources; print(*({unwanted!r} & set(sys.modules)))"

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert printed.split() == []


def test_python_builds_resources_from_values() -> None:
    """Code builds resources by Python names and from values of the field."""
    pool = IPPool(metadata={"name": "example"}, spec=IPPoolSpec(cidr=ip_network("192.0.2.0/24"), nat_outgoing=True))

    assert pool == load(manifest("IPPool", {"cidr": "192.0.2.0/24", "natOutgoing": True}))
