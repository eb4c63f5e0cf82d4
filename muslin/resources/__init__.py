"""Kinds of Calico's API as values: read with `load`, printed with `dump`, listed in `KINDS`.

Models are made when somebody asks for them: whoever only needs `Key` (each datastore) does not wait for pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muslin.resources.base import API_VERSION, Resource
    from muslin.resources.bgp_configuration import BGPConfiguration
    from muslin.resources.bgp_filter import BGPFilter
    from muslin.resources.bgp_peer import BGPPeer
    from muslin.resources.calico_node_status import CalicoNodeStatus
    from muslin.resources.cluster_information import ClusterInformation
    from muslin.resources.felix_configuration import FelixConfiguration
    from muslin.resources.global_network_policy import GlobalNetworkPolicy
    from muslin.resources.guards import refused_deletion, refused_write, required_keys
    from muslin.resources.host_endpoint import HostEndpoint
    from muslin.resources.ip_pool import IPPool
    from muslin.resources.ip_reservation import IPReservation
    from muslin.resources.ipam import BlockAffinity, IPAMBlock, IPAMConfiguration, IPAMHandle
    from muslin.resources.keys import Key
    from muslin.resources.kube_controllers_configuration import KubeControllersConfiguration
    from muslin.resources.live_migration import LiveMigration
    from muslin.resources.loading import dump, load, refused_changes
    from muslin.resources.metadata import ObjectMeta
    from muslin.resources.network_policy import NetworkPolicy
    from muslin.resources.network_sets import GlobalNetworkSet, NetworkSet
    from muslin.resources.node import Node
    from muslin.resources.part import Part, rules_of
    from muslin.resources.places import Places
    from muslin.resources.policy_rules import EntityRule, Rule, RuleAction
    from muslin.resources.profile import Profile
    from muslin.resources.registry import KINDS, KindInfo, kind_by_alias
    from muslin.resources.staged_kubernetes_policy import StagedKubernetesNetworkPolicy
    from muslin.resources.staged_policy import StagedGlobalNetworkPolicy, StagedNetworkPolicy
    from muslin.resources.stored_form import as_stored
    from muslin.resources.tier import Tier
    from muslin.resources.workload_endpoint import WorkloadEndpoint

__all__ = [
    "API_VERSION", "KINDS", "BGPConfiguration", "BGPFilter", "BGPPeer", "BlockAffinity", "CalicoNodeStatus",
    "ClusterInformation", "EntityRule", "FelixConfiguration", "GlobalNetworkPolicy", "GlobalNetworkSet",
    "HostEndpoint", "IPAMBlock", "IPAMConfiguration", "IPAMHandle", "IPPool", "IPReservation", "Key", "KindInfo",
    "KubeControllersConfiguration", "LiveMigration", "NetworkPolicy", "NetworkSet", "Node", "ObjectMeta", "Part",
    "Places", "Profile", "Resource", "Rule", "RuleAction", "StagedGlobalNetworkPolicy",
    "StagedKubernetesNetworkPolicy", "StagedNetworkPolicy", "Tier", "WorkloadEndpoint", "as_stored", "dump",
    "kind_by_alias", "load", "refused_changes", "refused_deletion", "refused_write", "required_keys", "rules_of",
]  # fmt: skip

_MODULES = {
    "base": "API_VERSION Resource",
    "bgp_configuration": "BGPConfiguration",
    "bgp_filter": "BGPFilter",
    "bgp_peer": "BGPPeer",
    "calico_node_status": "CalicoNodeStatus",
    "cluster_information": "ClusterInformation",
    "felix_configuration": "FelixConfiguration",
    "global_network_policy": "GlobalNetworkPolicy",
    "guards": "refused_deletion refused_write required_keys",
    "host_endpoint": "HostEndpoint",
    "ip_pool": "IPPool",
    "ip_reservation": "IPReservation",
    "ipam": "BlockAffinity IPAMBlock IPAMConfiguration IPAMHandle",
    "keys": "Key",
    "kube_controllers_configuration": "KubeControllersConfiguration",
    "live_migration": "LiveMigration",
    "loading": "dump load refused_changes",
    "metadata": "ObjectMeta",
    "network_policy": "NetworkPolicy",
    "network_sets": "GlobalNetworkSet NetworkSet",
    "node": "Node",
    "part": "Part rules_of",
    "places": "Places",
    "policy_rules": "EntityRule Rule RuleAction",
    "profile": "Profile",
    "registry": "KINDS KindInfo kind_by_alias",
    "staged_kubernetes_policy": "StagedKubernetesNetworkPolicy",
    "staged_policy": "StagedGlobalNetworkPolicy StagedNetworkPolicy",
    "stored_form": "as_stored",
    "tier": "Tier",
    "workload_endpoint": "WorkloadEndpoint",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        globals()[name] = value
        return value
