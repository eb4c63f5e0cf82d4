"""What a change contains that no part of an effect can say anything of: named, so that silence is no answer. Pure.

Whatever can change the verdict about a host counts: an endpoint of the host itself, which closes it but for the
failsafe ports, whether such endpoints are made, policies that select one, their tiers, profiles, and the networks that
their rules name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, TypeVar

from muslin.resources.base import Resource
from muslin.resources.bgp_filter import BGPFilter
from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.host_endpoint import HostEndpoint
from muslin.resources.keys import Key
from muslin.resources.kube_controllers_configuration import AutoHostEndpoint, KubeControllersConfiguration
from muslin.resources.network_policy import NetworkPolicy
from muslin.resources.network_sets import GlobalNetworkSet, NetworkSet
from muslin.resources.profile import Profile
from muslin.resources.tier import Tier
from muslin.semantics.label_index import LabelIndex
from muslin.semantics.policy import inherited_labels, profile_labels
from muslin.semantics.selector_scope import effective_selector
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.subjects import subjects
from reconciler.effect.removal import speaks_of
from reconciler.effect.routing import differ

__all__ = ["Unjudged", "unjudged"]

_R = TypeVar("_R", bound=Resource)
_Policy = NetworkPolicy | GlobalNetworkPolicy


class Unjudged(StrEnum):
    """What a change contains that no part of the effect can say anything of."""

    HOST_POLICY = "HostPolicy"
    SERVICES = "ServicesOrHTTP"
    BGP_FILTERS = "BGPFilters"
    AGENT_SETTINGS = "AgentSettings"

    @property
    def meaning(self) -> str:
        """A sentence for people."""
        return _MEANINGS[self]


_MEANINGS: Final = {
    Unjudged.HOST_POLICY: "what it does to hosts, and to what they forward by policies of their own, is not computed",
    Unjudged.SERVICES: "rules that name services or HTTP are taken as agents take them: nothing is allowed by them",
    Unjudged.BGP_FILTERS: "filters of peers are not applied: a prefix that is told may still be dropped there",
    Unjudged.AGENT_SETTINGS: "what these settings of agents do to packets is not computed, apart from MTU",
}
_FELT: Final = (
    "allow_ipip_packets_from_workloads", "allow_vxlan_packets_from_workloads", "bpf_data_iface_pattern", "bpf_enabled",
    "bpf_enforce_rpf", "bpf_external_service_mode", "bpf_host_conntrack_bypass", "chain_insert_mode",
    "dataplane_driver", "disable_conntrack_invalid_check", "external_nodes_list", "interface_exclude",
    "interface_prefix", "ip_forwarding", "iptables_filter_allow_action", "iptables_filter_deny_action",
    "iptables_mangle_allow_action", "iptables_nat_outgoing_interface_filter", "ipv6_support", "kube_node_port_ranges",
    "nat_outgoing_address", "nat_outgoing_exclusions", "nat_port_range", "nftables_filter_allow_action",
    "nftables_filter_deny_action", "nftables_mangle_allow_action", "nftables_mode", "program_cluster_routes",
    "remove_external_routes", "route_source", "route_sync_disabled", "service_loop_prevention",
    "use_internal_dataplane_driver", "vxlan_port", "vxlan_vni", "wireguard_host_encryption_enabled",
    "wireguard_listening_port", "wireguard_listening_port_v6", "workload_source_spoofing",
)  # fmt: skip
"""Settings of FelixConfiguration that packets feel, and of which nothing is computed."""
_FAILSAFE: Final = ("failsafe_inbound_host_ports", "failsafe_outbound_host_ports")


def unjudged(before: Snapshot, after: Snapshot, *, routes: bool) -> Iterator[tuple[Unjudged, tuple[Key, ...]]]:
    """Each reason with the objects that contain it.

    Args:
        before: as it is.
        after: as it is to be.
        routes: whether sessions or prefixes change, so that filters have a say in what peers hear.
    """
    policies = tuple(_changed(before, after, NetworkPolicy)) + tuple(_changed(before, after, GlobalNetworkPolicy))
    of_services = [each.key for each in policies if _names_services(each)]
    for reason, keys in (
        (Unjudged.HOST_POLICY, _of_hosts(before, after, policies)),
        (Unjudged.SERVICES, of_services),
        (Unjudged.BGP_FILTERS, _of_filters(before, after, routes=routes)),
        (Unjudged.AGENT_SETTINGS, _set_otherwise(before, after, _FELT)),
    ):
        told = tuple(dict.fromkeys(keys))
        if told:
            yield reason, told


def _changed(before: Snapshot, after: Snapshot, kind: type[_R]) -> Iterator[_R]:
    """Objects of a kind that differ, in each version that has them."""
    if not differ(before, after, kind):
        return
    for one, other in ((before, after), (after, before)):
        for each in one.all(kind):
            there = other.resources.get(each.key)
            if there is not each and there != each:
                yield each


def _names_services(policy: _Policy) -> bool:
    rules = (*policy.spec.ingress, *policy.spec.egress)
    return any(rule.http is not None or rule.source.services or rule.destination.services for rule in rules)


def _of_filters(before: Snapshot, after: Snapshot, *, routes: bool) -> Iterator[Key]:
    changed = {each.metadata.name for each in _changed(before, after, BGPFilter)}
    used = {name for snapshot in (before, after) for peer in snapshot.all(BGPPeer) for name in peer.spec.filters}
    yield from (Key("BGPFilter", name) for name in sorted(changed & used))
    for peer in after.all(BGPPeer):
        former = before.get(BGPPeer, peer.metadata.name)
        moved = former is not None and former.spec.filters != peer.spec.filters
        if moved or (routes and peer.spec.filters):
            yield peer.key


def _of_hosts(before: Snapshot, after: Snapshot, policies: Iterable[_Policy]) -> Iterator[Key]:
    hosts = _Hosts(before, after)
    for policy in policies:
        apart = isinstance(policy, GlobalNetworkPolicy) and (policy.spec.do_not_track or policy.spec.pre_dnat)
        if apart or hosts.selected_by(policy):
            yield policy.key
    yield from (each.key for each in _changed(before, after, HostEndpoint))
    for configuration in _changed(before, after, KubeControllersConfiguration):
        if _automatic(before, configuration.key) != _automatic(after, configuration.key):
            yield configuration.key
    if not hosts:
        return
    tiers = {each.metadata.name for each in _changed(before, after, Tier)}
    sets: list[NetworkSet | GlobalNetworkSet] = [
        *_changed(before, after, NetworkSet),
        *_changed(before, after, GlobalNetworkSet),
    ]
    if tiers or sets:
        judging = [
            each
            for snapshot in (before, after)
            for each in snapshot.all(GlobalNetworkPolicy)
            if hosts.selected_by(each)
        ]
        with_hosts = {each.spec.effective_tier for each in judging}
        yield from (Key("Tier", name) for name in sorted(tiers & with_hosts))
        yield from (each.key for each in sets if _is_named(each, before, after, judging))
    yield from (each.key for each in _changed(before, after, Profile) if each.metadata.name in hosts.profiles)
    yield from _set_otherwise(before, after, _FAILSAFE)


class _Hosts:
    """Host endpoints of both versions, by the labels that selectors see on them."""

    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        labels = []
        self.profiles: set[str] = set()
        for snapshot in (before, after):
            inherited = profile_labels(snapshot) if snapshot.all(HostEndpoint) else {}
            for host in snapshot.all(HostEndpoint):
                self.profiles.update(host.spec.profiles)
                labels.append(inherited_labels(host.metadata.labels, host.spec.profiles, inherited))
        self._labels = LabelIndex(labels)

    def __bool__(self) -> bool:
        return bool(self._labels.everyone)

    def selected_by(self, policy: _Policy) -> bool:
        """Whether a policy judges any of them: only global ones can."""
        return isinstance(policy, GlobalNetworkPolicy) and bool(self._labels.matching(effective_selector(policy)))


def _is_named(
    each: NetworkSet | GlobalNetworkSet, before: Snapshot, after: Snapshot, policies: Iterable[GlobalNetworkPolicy]
) -> bool:
    """Whether a rule of these policies means a network set, as it is in either version."""
    versions = [
        Snapshot.of([there, *snapshot.all(Profile)])
        for snapshot in (before, after)
        if (there := snapshot.resources.get(each.key)) is not None
    ]
    labels = [subject.labels for snapshot in versions for subject in subjects(snapshot)]
    return any(speaks_of(policy, those) for policy in policies for those in labels)


def _set_otherwise(before: Snapshot, after: Snapshot, names: Iterable[str]) -> Iterator[Key]:
    """FelixConfigurations in which one of these fields differs; one that is not there says nothing."""
    wanted = tuple(names)
    for each in _changed(before, after, FelixConfiguration):
        versions = (snapshot.get(FelixConfiguration, each.metadata.name) for snapshot in (before, after))
        one, other = ([getattr(found.spec, name) if found else None for name in wanted] for found in versions)
        if one != other:
            yield each.key


def _automatic(snapshot: Snapshot, key: Key) -> AutoHostEndpoint | None:
    """How controllers make endpoints of hosts."""
    found = snapshot.get(KubeControllersConfiguration, key.name)
    controllers = None if found is None else found.spec.controllers
    node = None if controllers is None else controllers.node
    return None if node is None else node.host_endpoint
