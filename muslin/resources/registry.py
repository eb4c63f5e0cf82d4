"""All kinds: their models, plurals, scope, and the short names that people type. Models are imported when asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from muslin.resources.base import Resource

__all__ = ["KINDS", "OF_KUBERNETES", "KindInfo", "kind_by_alias"]


@dataclass(frozen=True, slots=True)
class KindInfo:
    """What there is to know of a kind beside its fields.

    Attributes:
        kind: as in manifests.
        module: where its model stands, below `muslin.resources`.
        plural: as in addresses of the API and keys of the datastore, lower case.
        namespaced: whether objects live in a namespace.
        aliases: other names that people may type, lower case, the plural among them.
    """

    kind: str
    module: str
    plural: str
    namespaced: bool
    aliases: tuple[str, ...]

    @property
    def model(self) -> type[Resource]:
        """The class of its resources; the first to ask for it imports it."""
        found: type[Resource] = getattr(importlib.import_module(f"muslin.resources.{self.module}"), self.kind)
        return found


_TABLE: Final = (
    ("BGPConfiguration", "bgp_configuration", "bgpconfigurations", "bgpconfig bgpconfigs"),
    ("BGPFilter", "bgp_filter", "bgpfilters", "bgpf bgpfs bf bfs"),
    ("BGPPeer", "bgp_peer", "bgppeers", "bgpp bgpps bp bps"),
    ("BlockAffinity", "ipam", "blockaffinities", "affinity affinities"),
    ("CalicoNodeStatus", "calico_node_status", "caliconodestatuses", "nodestatus nodestatuses"),
    ("ClusterInformation", "cluster_information", "clusterinformations", "clusterinfo clusterinfos"),
    ("FelixConfiguration", "felix_configuration", "felixconfigurations", "felixconfig felixconfigs"),
    ("GlobalNetworkPolicy", "global_network_policy", "globalnetworkpolicies", "gnp gnps cgnp"),
    ("GlobalNetworkSet", "network_sets", "globalnetworksets", "gns gnetset gnetsets"),
    ("HostEndpoint", "host_endpoint", "hostendpoints", "hep heps"),
    ("IPAMBlock", "ipam", "ipamblocks", ""),
    ("IPAMConfiguration", "ipam", "ipamconfigurations", "ipamconfig ipamconfigs"),
    ("IPAMHandle", "ipam", "ipamhandles", ""),
    ("IPPool", "ip_pool", "ippools", "ipp ipps pool pools"),
    ("IPReservation", "ip_reservation", "ipreservations", "reservation reservations"),
    (
        "KubeControllersConfiguration",
        "kube_controllers_configuration",
        "kubecontrollersconfigurations",
        "kubecontrollersconfig kubecontrollersconfigs kcc kccs",
    ),
    ("LiveMigration", "live_migration", "livemigrations", ""),
    ("NetworkPolicy", "network_policy", "networkpolicies", "np nps cnp caliconetworkpolicy policy policies pol pols"),
    ("NetworkSet", "network_sets", "networksets", "netset netsets"),
    ("Node", "node", "nodes", "no nos"),
    ("Profile", "profile", "profiles", "pro pros"),
    ("StagedGlobalNetworkPolicy", "staged_policy", "stagedglobalnetworkpolicies", "sgnp sgnps"),
    (
        "StagedKubernetesNetworkPolicy",
        "staged_kubernetes_policy",
        "stagedkubernetesnetworkpolicies",
        "sknp sknps skpol skpols",
    ),
    ("StagedNetworkPolicy", "staged_policy", "stagednetworkpolicies", "snp snps scnp spol spols"),
    ("Tier", "tier", "tiers", ""),
    ("WorkloadEndpoint", "workload_endpoint", "workloadendpoints", "wep weps"),
)
_NAMESPACED: Final = frozenset(
    {
        "LiveMigration",
        "NetworkPolicy",
        "NetworkSet",
        "StagedKubernetesNetworkPolicy",
        "StagedNetworkPolicy",
        "WorkloadEndpoint",
    }
)

KINDS: Final[Mapping[str, KindInfo]] = MappingProxyType(
    {
        kind: KindInfo(kind, module, plural, kind in _NAMESPACED, (plural, *aliases.split()))
        for kind, module, plural, aliases in _TABLE
    }
)
"""Mapping[str, KindInfo]: every kind that `load` reads, by the name in manifests."""

OF_KUBERNETES: Final[Mapping[str, KindInfo]] = MappingProxyType(
    {
        kind: KindInfo(kind, "kubernetes_policies", kind.lower(), namespaced, ())
        for kind, namespaced in (("KubernetesNetworkPolicy", True), ("KubernetesClusterNetworkPolicy", False))
    }
)
"""Mapping[str, KindInfo]: kinds that `load` reads and nobody writes: Kubernetes' policies as Calico judges by them."""

_BY_ALIAS = {alias: kind for kind, info in KINDS.items() for alias in (kind.lower(), *info.aliases)}


def kind_by_alias(alias: str) -> str | None:
    """The kind that people mean by this word, in any case; None if it means none."""
    return _BY_ALIAS.get(alias.lower())
