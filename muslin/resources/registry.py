"""All kinds: their models, plurals, scope, and the short names that people type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from muslin.resources.base import Resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.bgp_filter import BGPFilter
from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.calico_node_status import CalicoNodeStatus
from muslin.resources.cluster_information import ClusterInformation
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.host_endpoint import HostEndpoint
from muslin.resources.ip_pool import IPPool
from muslin.resources.ip_reservation import IPReservation
from muslin.resources.ipam import BlockAffinity, IPAMBlock, IPAMConfiguration, IPAMHandle
from muslin.resources.kube_controllers_configuration import KubeControllersConfiguration
from muslin.resources.live_migration import LiveMigration
from muslin.resources.network_policy import NetworkPolicy
from muslin.resources.network_sets import GlobalNetworkSet, NetworkSet
from muslin.resources.node import Node
from muslin.resources.profile import Profile
from muslin.resources.staged_kubernetes_policy import StagedKubernetesNetworkPolicy
from muslin.resources.staged_policy import StagedGlobalNetworkPolicy, StagedNetworkPolicy
from muslin.resources.tier import Tier
from muslin.resources.workload_endpoint import WorkloadEndpoint

__all__ = ["KINDS", "KindInfo", "kind_by_alias"]


@dataclass(frozen=True, slots=True)
class KindInfo:
    """What there is to know of a kind beside its fields.

    Attributes:
        model: the class of its resources.
        plural: as in addresses of the API and keys of the datastore, lower case.
        namespaced: whether objects live in a namespace.
        aliases: other names that people may type, lower case, the plural among them.
    """

    model: type[Resource]
    plural: str
    namespaced: bool
    aliases: tuple[str, ...]


_TABLE: tuple[tuple[type[Resource], str, str], ...] = (
    (BGPConfiguration, "bgpconfigurations", "bgpconfig bgpconfigs"),
    (BGPFilter, "bgpfilters", "bgpf bgpfs bf bfs"),
    (BGPPeer, "bgppeers", "bgpp bgpps bp bps"),
    (BlockAffinity, "blockaffinities", "affinity affinities"),
    (CalicoNodeStatus, "caliconodestatuses", "nodestatus nodestatuses"),
    (ClusterInformation, "clusterinformations", "clusterinfo clusterinfos"),
    (FelixConfiguration, "felixconfigurations", "felixconfig felixconfigs"),
    (GlobalNetworkPolicy, "globalnetworkpolicies", "gnp gnps cgnp"),
    (GlobalNetworkSet, "globalnetworksets", "gns gnetset gnetsets"),
    (HostEndpoint, "hostendpoints", "hep heps"),
    (IPAMBlock, "ipamblocks", ""),
    (IPAMConfiguration, "ipamconfigurations", "ipamconfig ipamconfigs"),
    (IPAMHandle, "ipamhandles", ""),
    (IPPool, "ippools", "ipp ipps pool pools"),
    (IPReservation, "ipreservations", "reservation reservations"),
    (
        KubeControllersConfiguration,
        "kubecontrollersconfigurations",
        "kubecontrollersconfig kubecontrollersconfigs kcc kccs",
    ),
    (LiveMigration, "livemigrations", ""),
    (NetworkPolicy, "networkpolicies", "np nps cnp policy policies pol pols"),
    (NetworkSet, "networksets", "netset netsets"),
    (Node, "nodes", "no nos"),
    (Profile, "profiles", "pro pros"),
    (StagedGlobalNetworkPolicy, "stagedglobalnetworkpolicies", "sgnp sgnps"),
    (StagedKubernetesNetworkPolicy, "stagedkubernetesnetworkpolicies", "sknp sknps skpol skpols"),
    (StagedNetworkPolicy, "stagednetworkpolicies", "snp snps scnp spol spols"),
    (Tier, "tiers", ""),
    (WorkloadEndpoint, "workloadendpoints", "wep weps"),
)

KINDS: Final[Mapping[str, KindInfo]] = MappingProxyType(
    {
        model.__name__: KindInfo(model, plural, model.NAMESPACED, (plural, *aliases.split()))
        for model, plural, aliases in _TABLE
    }
)
"""Mapping[str, KindInfo]: every kind that `load` reads, by the name in manifests."""

_BY_ALIAS = {alias: kind for kind, info in KINDS.items() for alias in (kind.lower(), *info.aliases)}


def kind_by_alias(alias: str) -> str | None:
    """The kind that people mean by this word, in any case; None if it means none."""
    return _BY_ALIAS.get(alias.lower())
