"""Whose connections a new state may forbid that the old one allowed: pure, and never too few.

A connection that was allowed goes on without being judged again, so after a change the ones that are no longer
allowed must be found and cut. Looking at connections costs the kernel milliseconds; this says for whom it is needed,
so that a pod that is only added costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from muslin.net import Address
from runtime.calc.state import Action, Endpoint, NodeState, PolicyId, Rule, SetId

__all__ = ["Suspects", "suspects"]


@dataclass(frozen=True, slots=True)
class Suspects:
    """Addresses of local workloads to look at.

    Attributes:
        changed: still here, with a policy that may forbid more than before: judge their connections.
        gone: no longer here, or another workload's: every connection of theirs is over, and must not serve who has the
            address next. Another one has another MAC, if interface and address are the same.
    """

    changed: frozenset[Address] = frozenset()
    gone: frozenset[Address] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone)

    def __or__(self, other: Suspects) -> Suspects:
        return Suspects(self.changed | other.changed, self.gone | other.gone)


def suspects(old: NodeState | None, new: NodeState) -> Suspects:
    """Whose connections to look at after `old` became `new`; everybody's where there is no old state."""
    here = {address for endpoint in new.endpoints.values() for address in endpoint.addresses}
    if old is None:
        return Suspects(frozenset(here))
    before = {address for endpoint in old.endpoints.values() for address in endpoint.addresses}
    changed_sets = _unsafe_sets(old, new)
    same_host = old.endpoint_to_host is new.endpoint_to_host
    changed = {
        address
        for interface, endpoint in new.endpoints.items()
        if (former := old.endpoints.get(interface)) is not None
        and not (same_host and _as_before(old, new, former, endpoint, changed_sets))
        for address in endpoint.addresses
    }
    moved = {
        address
        for interface, endpoint in new.endpoints.items()
        if (former := old.endpoints.get(interface)) is None or former.mac != endpoint.mac
        for address in endpoint.addresses
        if address in before
    }
    return Suspects(frozenset(changed), frozenset((before - here) | moved))


def _as_before(
    old: NodeState, new: NodeState, former: Endpoint, endpoint: Endpoint, changed_sets: Mapping[PolicyId, bool]
) -> bool:
    """Whether nothing that judges the endpoint can have become stricter."""
    if (former.tiers, former.profiles, former.addresses) != (endpoint.tiers, endpoint.profiles, endpoint.addresses):
        return False
    if former.admin_up and not endpoint.admin_up:
        return False
    return all(
        old.policies.get(policy) == new.policies.get(policy) and not changed_sets.get(policy, False)
        for policy in _policies(endpoint)
    )


def _policies(endpoint: Endpoint) -> Iterator[PolicyId]:
    for tier in endpoint.tiers:
        yield from tier.ingress
        yield from tier.egress
    yield from endpoint.profiles


def _unsafe_sets(old: NodeState, new: NodeState) -> Mapping[PolicyId, bool]:
    """Mapping[policy, whether one of its sets changed in a way that can forbid more]."""
    grew = {name for name, held in new.sets.items() if name in old.sets and not held <= old.sets[name]}
    shrank = {name for name, held in new.sets.items() if name in old.sets and not old.sets[name] <= held}
    if not (grew or shrank):
        return {}
    return {
        policy: any(_unsafe(rule, grew, shrank) for rule in (*rules.ingress, *rules.egress))
        for policy, rules in new.policies.items()
    }


def _unsafe(rule: Rule, grew: set[SetId], shrank: set[SetId]) -> bool:
    """Whether a change of the rule's sets can make it allow less, or deny or pass on more.

    A set that must match and grew makes the rule match more; that is safe for an allowing rule, and the other way
    round for a denying one. What a passing rule does depends on later tiers, so any change of it counts.
    """
    match = rule.match
    positive = {
        *match.source_sets, *match.destination_sets, *match.source_port_sets, *match.destination_port_sets,
    }  # fmt: skip
    negative = {
        *match.not_source_sets, *match.not_destination_sets,
        *match.not_source_port_sets, *match.not_destination_port_sets,
    }  # fmt: skip
    more = _any(positive, grew) or _any(negative, shrank)
    less = _any(positive, shrank) or _any(negative, grew)
    match rule.action:
        case Action.ALLOW:
            return less
        case Action.DENY:
            return more
        case Action.PASS:
            return more or less
        case Action.LOG:
            return False


def _any(names: Iterable[SetId], changed: set[SetId]) -> bool:
    return any(name in changed for name in names)
