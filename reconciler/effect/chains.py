"""Which policies judge whom: every workload's policies in their order as one chain, equal chains made once. Pure.

Order, tiers and whom a policy selects are `muslin.semantics.policy`'s; the selectors are asked once for all workloads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from muslin.net import Prefix
from muslin.resources.keys import Key
from muslin.resources.policy import PolicyType
from muslin.resources.policy_rules import Rule
from muslin.resources.profile import Profile
from muslin.resources.tier import TierAction
from muslin.selectors import Selector
from muslin.semantics.label_index import bitmap, positions
from muslin.semantics.policy import selectable
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.view import View

__all__ = ["Chain", "Chains", "Pair", "Ruled", "Tier", "nets", "suspects"]


_ANY_PROFILE: Final = Key("Profile", "*")


@dataclass(frozen=True, eq=False, slots=True)
class Ruled:
    """Rules of a policy or profile in one direction; the same object in both versions if they are the same rules.

    `key` is the policy's; profiles with equal rules are one.
    """

    key: Key
    rules: tuple[Rule, ...]

    @property
    def namespace(self) -> str | None:
        """Of the policy, None for global ones and profiles."""
        return self.key.namespace


@dataclass(frozen=True, slots=True)
class Tier:
    """Policies of one tier that judge one direction of a workload, at least one."""

    policies: tuple[Ruled, ...]
    denies: bool


@dataclass(frozen=True, eq=False, slots=True)
class Chain:
    """All that judges one direction of a workload. A profile that is missing is None, and denies."""

    tiers: tuple[Tier, ...]
    profiles: tuple[Ruled | None, ...]
    ruled: tuple[Ruled, ...] = field(init=False, repr=False)
    """Everything with rules, in order."""

    def __post_init__(self) -> None:
        policies = [policy for tier in self.tiers for policy in tier.policies]
        object.__setattr__(self, "ruled", (*policies, *(each for each in self.profiles if each is not None)))


Pair = tuple[Chain | None, Chain | None]
"""Before and after; None where nobody owns the point."""


def suspects(pair: Pair) -> frozenset[Ruled] | None:
    """Policies that can make two chains answer differently: traffic that none of their rules matches is as before.

    None where the chains differ in more than that: which tiers have a say, in which order, and the profiles.
    """
    before, after = pair
    if before is None or after is None:
        return frozenset() if before is after else None
    different = frozenset(before.ruled) ^ frozenset(after.ruled)
    if before.profiles != after.profiles or len(before.tiers) != len(after.tiers):
        return None
    for one, other in zip(before.tiers, after.tiers, strict=True):
        kept = [tuple(policy for policy in tier.policies if policy not in different) for tier in (one, other)]
        if one.denies is not other.denies or kept[0] != kept[1]:
            return None
    return different


def nets(chains: Iterable[Chain | None]) -> Iterator[Prefix]:
    """Prefixes that rules of these chains tell apart."""
    for ruled in {each for chain in chains if chain is not None for each in chain.ruled}:
        for rule in ruled.rules:
            for side in (rule.source, rule.destination):
                yield from side.nets
                yield from side.not_nets


class Chains:
    """Chains of both versions.

    Args:
        snapshots: before and after.
        views: of the same, on the same points; the same object where nobody's labels and addresses differ.
    """

    def __init__(self, snapshots: tuple[Snapshot, Snapshot], views: tuple[View, View]) -> None:
        self._snapshots, self._views = snapshots, views
        self._known: dict[tuple[Key, PolicyType], list[Ruled]] = {}
        self._interned: dict[tuple[object, ...], Chain] = {}
        self._tables = tuple(_Table(snapshot, self._ruled) for snapshot in snapshots)
        self._profiles: dict[tuple[int, str, PolicyType], Ruled | None] = {}
        self._places: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        self._groups = self._grouped()

    def pairs(self, direction: PolicyType) -> Mapping[Pair, int]:
        """Mapping[chains before and after, points that have them]."""
        found: dict[Pair, list[int]] = {}
        made: dict[tuple[int, tuple[int, ...], tuple[str, ...]], Chain] = {}
        for (selecting, profiles), points in self._groups.items():
            chains: list[Chain | None] = [None, None]
            for version in (0, 1):
                of = profiles[version]
                if of is None:
                    continue
                question = (version, selecting[version], of)
                if question not in made:
                    made[question] = self._chain(version, selecting[version], of, direction)
                chains[version] = made[question]
            found.setdefault((chains[0], chains[1]), []).extend(points)
        size = len(self._views[0].owners)
        return {pair: bitmap(points, size) for pair, points in found.items()}

    def _grouped(self) -> Mapping[tuple[tuple[tuple[int, ...], ...], tuple[tuple[str, ...] | None, ...]], list[int]]:
        """Points whose workloads are selected by the same policies and name the same profiles, in both versions."""
        numbers: dict[Selector, int] = {}
        for table in self._tables:
            for selector in table.at:
                numbers.setdefault(selector, len(numbers))
        for table in self._tables:
            table.of_number = {numbers[selector]: at for selector, at in table.at.items()}
        before, after = self._views
        selecting = [_selecting(before, numbers)]
        selecting.append(selecting[0] if after is before else _selecting(after, numbers))
        groups: dict[tuple[tuple[tuple[int, ...], ...], tuple[tuple[str, ...] | None, ...]], list[int]] = {}
        for point in range(len(before.owners)):
            owners = before.workload(point), after.workload(point)
            profiles = tuple(None if owner is None else owner.spec.profiles for owner in owners)
            chosen = tuple(selecting[0][point]), tuple(selecting[1][point])
            groups.setdefault((chosen, profiles), []).append(point)
        return groups

    def _chain(self, version: int, selecting: tuple[int, ...], profiles: Iterable[str], direction: PolicyType) -> Chain:
        """The chain of whoever these selectors select."""
        table = self._tables[version]
        at = self._places.get((version, selecting))
        if at is None:
            at = sorted(place for number in selecting for place in table.of_number.get(number, ()))
            self._places[version, selecting] = at
        collected: dict[int, list[Ruled]] = {}
        for place in at:
            ruled = table.ruled[place].get(direction)
            if ruled is not None:
                collected.setdefault(table.tier[place], []).append(ruled)
        tiers = [Tier(tuple(policies), table.denies[tier]) for tier, policies in collected.items()]
        of_profiles = tuple(self._profile(version, name, direction) for name in profiles)
        identity: tuple[object, ...] = (
            *((tuple(map(id, tier.policies)), tier.denies) for tier in tiers),
            tuple(map(id, of_profiles)),
        )
        return self._interned.setdefault(identity, Chain(tuple(tiers), of_profiles))

    def _profile(self, version: int, name: str, direction: PolicyType) -> Ruled | None:
        question = (version, name, direction)
        if question not in self._profiles:
            profile = self._snapshots[version].get(Profile, name)
            rules = () if profile is None else _of(profile.spec, direction)
            # who has it plays no part in what a profile says, and most namespaces' profiles say the same
            self._profiles[question] = None if profile is None else self._ruled(_ANY_PROFILE, rules, direction)
        return self._profiles[question]

    def _ruled(self, key: Key, rules: tuple[Rule, ...], direction: PolicyType) -> Ruled:
        """The one value for these rules of this policy."""
        known = self._known.setdefault((key, direction), [])
        for each in known:
            if each.rules is rules or each.rules == rules:
                return each
        known.append(Ruled(key, rules))
        return known[-1]


class _Table:
    """Policies of one version in the order in which they judge, and which of them a selector belongs to."""

    def __init__(self, snapshot: Snapshot, ruled: Callable[[Key, tuple[Rule, ...], PolicyType], Ruled]) -> None:
        self.tier: list[int] = []
        self.denies: list[bool] = []
        self.ruled: list[dict[PolicyType, Ruled]] = []
        self.at: dict[Selector, list[int]] = {}
        self.of_number: Mapping[int, Sequence[int]] = {}
        for number, (tier, policies) in enumerate(selectable(snapshot)):
            self.denies.append(tier.default_action is TierAction.DENY)
            for policy, selector, ways in policies:
                self.at.setdefault(selector, []).append(len(self.tier))
                self.tier.append(number)
                self.ruled.append({way: ruled(policy.key, _of(policy.spec, way), way) for way in ways})


def _of(spec: object, direction: PolicyType) -> tuple[Rule, ...]:
    name = "ingress" if direction is PolicyType.INGRESS else "egress"
    rules: tuple[Rule, ...] = getattr(spec, name)
    return rules


def _selecting(view: View, numbers: Mapping[Selector, int]) -> list[list[int]]:
    """For every point the selectors of policies that select its owner."""
    found: list[list[int]] = [[] for _ in view.owners]
    for selector, number in numbers.items():
        for point in positions(view.labels.matching(selector)):
            found[point].append(number)
    return found
