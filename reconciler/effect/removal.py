"""Who still needs an object that is to be removed: what a prune budget counts besides objects. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from muslin.net import Prefix
from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.ip_pool import IPPool
from muslin.resources.ipam import IPAMBlock
from muslin.resources.keys import Key
from muslin.resources.network_policy import NetworkPolicy
from muslin.resources.network_sets import GlobalNetworkSet, NetworkSet
from muslin.resources.node import Node
from muslin.resources.profile import Profile
from muslin.resources.tier import Tier
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.policy import Policy, inherited_labels, own_labels, profile_labels
from muslin.semantics.selector_scope import NAMESPACE_LABEL, effective_selector, not_selector, rule_selector
from muslin.semantics.sessions import sessions
from muslin.semantics.snapshot import Snapshot

__all__ = ["NEEDED_KINDS", "Removal", "removal_effect", "speaks_of"]

NEEDED_KINDS: Final = (
    "IPPool", "IPAMBlock", "WorkloadEndpoint", "Profile", "Tier", "NetworkPolicy", "GlobalNetworkPolicy", "NetworkSet",
    "GlobalNetworkSet", "Node", "BGPPeer", "BGPConfiguration",
)  # fmt: skip
"""Kinds that the snapshot must hold; of a kind that it does not hold nothing is in use."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What depends on an object, or on several.

    Attributes:
        addresses: addresses in use that would lose their pool or node.
        endpoints: workloads that the object selects, names or carries.
        sessions: ends of BGP sessions that would go.
    """

    addresses: int = 0
    endpoints: int = 0
    sessions: int = 0

    def __bool__(self) -> bool:
        return bool(self.addresses or self.endpoints or self.sessions)


def removal_effect(keys: Iterable[Key], snapshot: Snapshot) -> Removal:
    """What all these objects together carry: nobody is counted twice.

    Args:
        keys: what is to be removed; an object that is not there carries nothing.
        snapshot: the cluster before, with at least `NEEDED_KINDS`.
    """
    wanted = tuple(keys)
    found = _Uses(snapshot)
    addresses = {use for key in wanted for use in found.addresses(key)}
    endpoints = {use for key in wanted for use in found.endpoints(key)}
    return Removal(len(addresses), len(endpoints), found.sessions(wanted))


class _Uses:
    """Who uses what in one snapshot; labels are looked at once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._labels: dict[frozenset[tuple[str, str]], tuple[Mapping[str, str], list[Key]]] | None = None

    def addresses(self, key: Key) -> frozenset[str]:
        """Addresses in use: of a pool those that blocks or workloads have, of a node those of its workloads."""
        resource = self._snapshot.resources.get(key)
        if isinstance(resource, IPPool):
            return frozenset(self._in_prefix(resource.spec.cidr))
        if isinstance(resource, Node):
            workloads = self._workloads(lambda each: each.spec.node == key.name)
            return frozenset(str(net.network_address) for each in workloads for net in each.spec.ip_networks)
        return frozenset()

    def endpoints(self, key: Key) -> frozenset[Key]:
        """Workloads that an object selects, names or carries."""
        resource = self._snapshot.resources.get(key)
        if isinstance(resource, NetworkPolicy | GlobalNetworkPolicy):
            return self._selected(resource)
        if isinstance(resource, Tier):
            of_tier: list[Policy] = [
                *self._snapshot.all(NetworkPolicy), *self._snapshot.all(GlobalNetworkPolicy)
            ]  # fmt: skip
            of_tier = [policy for policy in of_tier if policy.spec.effective_tier == key.name]
            return frozenset(each for policy in of_tier for each in self._selected(policy))
        if isinstance(resource, Profile):
            return frozenset(each.key for each in self._workloads(lambda one: key.name in one.spec.profiles))
        if isinstance(resource, Node):
            return frozenset(each.key for each in self._workloads(lambda one: one.spec.node == key.name))
        if isinstance(resource, IPPool):
            inside = self._workloads(lambda one: any(_holds(resource.spec.cidr, net) for net in one.spec.ip_networks))
            return frozenset(each.key for each in inside)
        if isinstance(resource, NetworkSet | GlobalNetworkSet):
            return self._told_of(resource)
        return frozenset({key}) if isinstance(resource, WorkloadEndpoint) else frozenset()

    def sessions(self, keys: Iterable[Key]) -> int:
        """Ends of sessions that go with BGPPeers, nodes and configurations; each end is one."""
        gone = {key for key in keys if key.kind in _OF_BGP and key in self._snapshot.resources}
        if not gone:
            return 0
        before = self._snapshot
        after = Snapshot.of(each for key, each in before.resources.items() if key not in gone)
        nodes = [node.metadata.name for node in before.all(Node)]
        return sum(
            len(
                {(each.peer_address, each.peer_port) for each in sessions(before, node)}
                - {(each.peer_address, each.peer_port) for each in sessions(after, node)}
            )
            for node in nodes
        )

    def _told_of(self, networks: NetworkSet | GlobalNetworkSet) -> frozenset[Key]:
        """Workloads that a policy judges which speaks of these networks."""
        labels = networks.metadata.labels
        if isinstance(networks, NetworkSet):
            namespace = networks.metadata.namespace or ""
            own = {**labels, NAMESPACE_LABEL: namespace}
            labels = inherited_labels(own, (f"kns.{namespace}",), profile_labels(self._snapshot))
        every: list[Policy] = [*self._snapshot.all(NetworkPolicy), *self._snapshot.all(GlobalNetworkPolicy)]
        speaking = [policy for policy in every if speaks_of(policy, labels)]
        return frozenset(each for policy in speaking for each in self._selected(policy))

    def _in_prefix(self, prefix: Prefix) -> Iterable[str]:
        for block in self._snapshot.all(IPAMBlock):
            if not block.spec.deleted and _holds(prefix, block.spec.cidr):
                first = block.spec.cidr.network_address
                yield from (str(first + at) for at, held in enumerate(block.spec.allocations) if held is not None)
        for workload in self._snapshot.all(WorkloadEndpoint):
            yield from (str(net.network_address) for net in workload.spec.ip_networks if _holds(prefix, net))

    def _workloads(self, wanted: Callable[[WorkloadEndpoint], bool]) -> list[WorkloadEndpoint]:
        return [each for each in self._snapshot.all(WorkloadEndpoint) if wanted(each)]

    def _selected(self, policy: Policy) -> frozenset[Key]:
        if self._labels is None:
            inherited = profile_labels(self._snapshot)
            groups: dict[frozenset[tuple[str, str]], tuple[Mapping[str, str], list[Key]]] = {}
            for each in self._snapshot.all(WorkloadEndpoint):
                labels = inherited_labels(own_labels(each), each.spec.profiles, inherited)
                groups.setdefault(frozenset(labels.items()), (labels, []))[1].append(each.key)
            self._labels = groups
        selector = effective_selector(policy)
        return frozenset(key for labels, keys in self._labels.values() if selector.matches(labels) for key in keys)


_OF_BGP: Final = frozenset({BGPPeer.__name__, Node.__name__, "BGPConfiguration"})


def speaks_of(policy: Policy, labels: Mapping[str, str]) -> bool:
    """Whether a rule of a policy means, or excludes, whoever has these labels."""
    sides = (side for rule in (*policy.spec.ingress, *policy.spec.egress) for side in (rule.source, rule.destination))
    chosen = (each for side in sides for each in (rule_selector(side, policy.metadata.namespace), not_selector(side)))
    return any(selector is not None and selector.matches(labels) for selector in chosen)


def _holds(outer: Prefix, inner: Prefix) -> bool:
    return outer.version == inner.version and outer.prefixlen <= inner.prefixlen and inner.network_address in outer
