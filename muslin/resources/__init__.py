"""Kinds of Calico's API as values: read with `load`, printed with `dump`, listed in `KINDS`."""

from muslin.resources.base import API_VERSION, Resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.calico_node_status import CalicoNodeStatus
from muslin.resources.cluster_information import ClusterInformation
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.host_endpoint import HostEndpoint
from muslin.resources.ip_pool import IPPool
from muslin.resources.ipam import BlockAffinity, IPAMBlock, IPAMConfiguration, IPAMHandle
from muslin.resources.keys import Key
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
from muslin.resources.tier import Tier
from muslin.resources.workload_endpoint import WorkloadEndpoint

__all__ = [
    "API_VERSION", "KINDS", "BGPConfiguration", "BGPPeer", "BlockAffinity", "CalicoNodeStatus", "ClusterInformation",
    "EntityRule", "FelixConfiguration", "GlobalNetworkPolicy", "GlobalNetworkSet", "HostEndpoint", "IPAMBlock",
    "IPAMConfiguration", "IPAMHandle", "IPPool", "Key", "KindInfo", "NetworkPolicy", "NetworkSet", "Node", "ObjectMeta",
    "Part", "Places", "Profile", "Resource", "Rule", "RuleAction", "Tier", "WorkloadEndpoint", "dump",
    "kind_by_alias", "load", "refused_changes", "rules_of",
]  # fmt: skip
