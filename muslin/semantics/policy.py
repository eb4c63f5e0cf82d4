"""Which policies select an endpoint, in which order, and whom their rules speak of.

The one place where scoping, inheritance and order are decided; `verdict` evaluates packets with it, the node's
calculation compiles with it. Source: calico.md sections 2.9-2.14, 3, 6.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.network_policy import NetworkPolicy
from muslin.resources.policy import DEFAULT_TIER, PolicyType
from muslin.resources.profile import Profile
from muslin.resources.tier import DEFAULT_TIER_ORDER, Tier, TierAction
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.selectors import Selector
from muslin.semantics.selector_scope import (
    INHERITED_PREFIXES,
    NAMESPACE_LABEL,
    SERVICE_ACCOUNT_LABEL,
    effective_selector,
)
from muslin.semantics.snapshot import Snapshot

__all__ = [
    "Policy",
    "Selectable",
    "TierOfPolicies",
    "TierOrder",
    "endpoint_labels",
    "inherited_labels",
    "ordered_policies",
    "policies_of",
    "profile_labels",
    "selectable",
    "selected_by",
    "tiers",
]

Policy: TypeAlias = NetworkPolicy | GlobalNetworkPolicy


@dataclass(frozen=True, slots=True)
class TierOrder:
    """A tier as far as judging goes: smaller orders judge first."""

    name: str
    order: float
    default_action: TierAction


_BUILT_IN = (
    TierOrder("kube-admin", 1_000.0, TierAction.PASS),
    TierOrder(DEFAULT_TIER, DEFAULT_TIER_ORDER, TierAction.DENY),
    TierOrder("kube-baseline", 10_000_000.0, TierAction.PASS),
)
"""Tiers that exist even where the datastore has no object for them yet."""


@dataclass(frozen=True, slots=True)
class TierOfPolicies:
    """The policies of one tier that speak about one endpoint, each direction in order."""

    tier: TierOrder
    ingress: tuple[Policy, ...] = ()
    egress: tuple[Policy, ...] = ()

    def of(self, direction: PolicyType) -> tuple[Policy, ...]:
        """Policies of one direction."""
        return self.ingress if direction is PolicyType.INGRESS else self.egress


def tiers(snapshot: Snapshot) -> tuple[TierOrder, ...]:
    """All tiers in the order in which they judge: by order, then by name. A tier without order counts 1000000."""
    found = {tier.name: tier for tier in _BUILT_IN}
    for tier in snapshot.all(Tier):
        spec = tier.spec
        found[tier.metadata.name] = TierOrder(tier.metadata.name, spec.effective_order, spec.effective_default_action)
    return tuple(sorted(found.values(), key=lambda tier: (tier.order, tier.name)))


def ordered_policies(snapshot: Snapshot) -> tuple[tuple[TierOrder, tuple[Policy, ...]], ...]:
    """Every policy that workloads know, tier by tier, in the order in which they judge.

    Policies without order come after all that have one; equal ones go by `name/namespace/kind`. Left out: policies
    for untracked or not yet translated packets, which concern hosts only, and policies of a tier that does not
    exist, which have no place in the order.
    """
    by_tier: dict[str, list[Policy]] = {}
    every: tuple[Policy, ...] = (*snapshot.all(NetworkPolicy), *snapshot.all(GlobalNetworkPolicy))
    for policy in every:
        if isinstance(policy, GlobalNetworkPolicy) and (policy.spec.do_not_track or policy.spec.pre_dnat):
            continue
        by_tier.setdefault(policy.spec.effective_tier, []).append(policy)
    return tuple(
        (tier, tuple(sorted(by_tier[tier.name], key=_policy_order))) for tier in tiers(snapshot) if tier.name in by_tier
    )


def _policy_order(policy: Policy) -> tuple[float, str]:
    order = math.inf if policy.spec.order is None else policy.spec.order
    return order, f"{policy.metadata.name}/{policy.metadata.namespace or ''}/{policy.kind}"


def profile_labels(snapshot: Snapshot) -> Mapping[str, Mapping[str, str]]:
    """Mapping[profile's name, labels that its endpoints inherit]."""
    return MappingProxyType({profile.metadata.name: profile.spec.labels_to_apply for profile in snapshot.all(Profile)})


def inherited_labels(
    own: Mapping[str, str], profiles: Iterable[str], of_profiles: Mapping[str, Mapping[str, str]]
) -> Mapping[str, str]:
    """Labels with those of the profiles below them: own ones win, then those of the earlier profile."""
    merged: dict[str, str] = {}
    for name in reversed(tuple(profiles)):
        merged.update(of_profiles.get(name, {}))
    merged.update(own)
    return merged


def own_labels(endpoint: WorkloadEndpoint) -> Mapping[str, str]:
    """A workload's labels with those that its namespace and service account imply.

    Labels that say what only a namespace or a service account can say are not the workload's to set.
    """
    labels = {k: v for k, v in endpoint.metadata.labels.items() if not k.startswith(INHERITED_PREFIXES)}
    if endpoint.metadata.namespace:
        labels[NAMESPACE_LABEL] = endpoint.metadata.namespace
    if endpoint.spec.service_account_name:
        labels.setdefault(SERVICE_ACCOUNT_LABEL, endpoint.spec.service_account_name)
    return labels


def endpoint_labels(endpoint: WorkloadEndpoint, snapshot: Snapshot) -> Mapping[str, str]:
    """All labels that selectors see on a workload: its own, then those of its profiles."""
    return inherited_labels(own_labels(endpoint), endpoint.spec.profiles, profile_labels(snapshot))


def selected_by(labels: Mapping[str, str], snapshot: Snapshot) -> tuple[TierOfPolicies, ...]:
    """Policies that judge a workload with these labels, in order; only tiers that have any."""
    return policies_of(labels, selectable(snapshot))


Selectable: TypeAlias = tuple[tuple[TierOrder, tuple[tuple[Policy, Selector, frozenset[PolicyType]], ...]], ...]
"""Every policy in order, with what is asked of it for every endpoint."""


def selectable(snapshot: Snapshot) -> Selectable:
    """All policies, prepared for `policies_of`."""
    return tuple(
        (
            tier,
            tuple((each, effective_selector(each), frozenset(each.spec.effective_types)) for each in policies),
        )
        for tier, policies in ordered_policies(snapshot)
    )


def policies_of(labels: Mapping[str, str], prepared: Selectable) -> tuple[TierOfPolicies, ...]:
    """As `selected_by`, for who asks about many endpoints."""
    found = []
    for tier, policies in prepared:
        matching = [(policy, ways) for policy, selector, ways in policies if selector.matches(labels)]
        if matching:
            ingress = tuple(policy for policy, ways in matching if PolicyType.INGRESS in ways)
            egress = tuple(policy for policy, ways in matching if PolicyType.EGRESS in ways)
            found.append(TierOfPolicies(tier, ingress, egress))
    return tuple(found)
