"""What a change contains that no part of an effect can say anything of: named, so that silence is no answer. Pure.

Whatever can change the verdict about a host counts: an endpoint of the host itself, which closes it but for the
failsafe ports, policies that select one, their tiers, profiles, and the networks that their rules name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import reduce
from operator import or_
from typing import Final, TypeVar

from muslin.resources.base import Resource
from muslin.resources.bgp_filter import BGPFilter
from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.host_endpoint import HostEndpoint
from muslin.resources.keys import Key
from muslin.resources.network_policy import NetworkPolicy
from muslin.resources.network_sets import GlobalNetworkSet, NetworkSet
from muslin.resources.profile import Profile
from muslin.resources.tier import Tier
from muslin.semantics.label_index import LabelIndex
from muslin.semantics.policy import inherited_labels, profile_labels
from muslin.semantics.selector_scope import effective_selector, not_selector, rule_selector
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.subjects import subjects
from reconciler.effect.routing import differ

__all__ = ["Unjudged", "unjudged"]

_R = TypeVar("_R", bound=Resource)
_Policy = NetworkPolicy | GlobalNetworkPolicy
_DEFAULT_TIER: Final = "default"


class Unjudged(StrEnum):
    """What a change contains that no part of the effect can say anything of."""

    HOST_POLICY = "HostPolicy"
    SERVICES = "ServicesOrHTTP"
    BGP_FILTERS = "BGPFilters"

    @property
    def meaning(self) -> str:
        """A sentence for people."""
        return _MEANINGS[self]


_MEANINGS: Final = {
    Unjudged.HOST_POLICY: "what it does to hosts themselves is not computed, only to workloads",
    Unjudged.SERVICES: "rules that name services or HTTP are taken as agents take them: nothing is allowed by them",
    Unjudged.BGP_FILTERS: "filters of peers are not applied: a prefix that is told may still be dropped there",
}


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
        with_hosts = {each.spec.tier or _DEFAULT_TIER for each in judging}
        yield from (Key("Tier", name) for name in sorted(tiers & with_hosts))
        yield from (each.key for each in sets if _is_named(each, before, after, judging))
    yield from (each.key for each in _changed(before, after, Profile) if each.metadata.name in hosts.profiles)
    for configuration in _changed(before, after, FelixConfiguration):
        if _failsafe(before, configuration.key) != _failsafe(after, configuration.key):
            yield configuration.key


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
    each: NetworkSet | GlobalNetworkSet, before: Snapshot, after: Snapshot, policies: Iterable[_Policy]
) -> bool:
    """Whether a rule of these policies may mean a network set, as it is in either version."""
    versions = [
        Snapshot.of([there, *snapshot.all(Profile)])
        for snapshot in (before, after)
        if (there := snapshot.resources.get(each.key)) is not None
    ]
    labels = LabelIndex(subject.labels for snapshot in versions for subject in subjects(snapshot))
    wanted = (
        selector
        for policy in policies
        for rule in (*policy.spec.ingress, *policy.spec.egress)
        for side in (rule.source, rule.destination)
        for selector in (rule_selector(side, None), not_selector(side))
        if selector is not None
    )
    return bool(reduce(or_, map(labels.matching, wanted), 0))


def _failsafe(snapshot: Snapshot, key: Key) -> object:
    found = snapshot.get(FelixConfiguration, key.name)
    return (
        (None, None)
        if found is None
        else (found.spec.failsafe_inbound_host_ports, found.spec.failsafe_outbound_host_ports)
    )
