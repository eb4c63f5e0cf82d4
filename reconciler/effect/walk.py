"""What a chain lets through, for all peers at once: first match wins, on bitmaps instead of packets. Pure.

It says what `muslin.semantics.verdict` says of one packet; the two are held against each other by tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from muslin.resources.policy import PolicyType
from muslin.resources.policy_rules import EntityRule, ICMPMatch, Rule, RuleAction
from muslin.resources.ports import NamedPort, PortRange
from muslin.semantics.selector_scope import not_selector, rule_selector
from muslin.semantics.verdict import named_port_protocol
from reconciler.effect.chains import Chain, Ruled
from reconciler.effect.cuts import Cell, Cut, Interval, clipped, cut_at, merged, uncut
from reconciler.effect.space import Space
from reconciler.effect.view import View

__all__ = ["ICMP", "WITH_PORTS", "Partition", "Side", "Traffic", "Traffics", "Walker", "cells", "icmp_of"]

WITH_PORTS: Final = (6, 17, 132)
ICMP: Final = {4: 1, 6: 58}
"""Mapping[family, the protocol that has types and codes]."""

_PORTS: Final = (1, 65535)
_TYPES: Final = (0, 65535)
_NOTHING: Final = (0, 0)


@dataclass(frozen=True, slots=True)
class Traffic:
    """A packet but for its addresses.

    Attributes:
        protocol: IANA number.
        source_port: None for protocols without ports.
        detail: the destination's port, or type times 256 plus code for ICMP; None otherwise.
    """

    protocol: int
    source_port: int | None = None
    detail: int | None = None


def icmp_of(detail: int) -> tuple[int, int]:
    """Type and code."""
    return detail >> 8, detail & 255


@dataclass(frozen=True, slots=True)
class Traffics:
    """Traffic that is judged alike: every combination of these numbers.

    Attributes:
        protocols: IANA numbers.
        source_ports: 1 to 65535 for protocols with ports, (0, 0) for others.
        details: destination ports, or types times 256 plus codes for ICMP; (0, 0) for others.
    """

    protocols: tuple[Interval, ...]
    source_ports: tuple[Interval, ...]
    details: tuple[Interval, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Partition:
    """Traffic in cells that no rule of some chains takes apart.

    Attributes:
        protocols: cut of 0 to 255.
        inside: by cell of protocols: cut of source ports, and of destination ports or of types and codes.
    """

    protocols: Cut
    inside: dict[Cell, tuple[Cut, Cut]]

    def cell(self, traffic: Traffic) -> tuple[Cell, Cell, Cell]:
        """The cell that holds this traffic."""
        protocol = self.protocols.cell(traffic.protocol)
        sources, details = self.inside[protocol]
        return protocol, sources.cell(traffic.source_port or 0), details.cell(traffic.detail or 0)


def cells(of: Partition, among: Traffics | None = None) -> Iterator[tuple[Traffic, Traffics]]:
    """Each cell of a partition: one packet of it, and all of it; with `among`, only the part that lies there."""
    numbers = of.protocols.whole() if among is None else clipped(of.protocols, among.protocols)
    for protocol, intervals in numbers.items():
        sources, details = of.inside[protocol]
        of_sources = sources.whole() if among is None else clipped(sources, among.source_ports)
        of_details = details.whole() if among is None else clipped(details, among.details)
        ports = intervals[0][0] in WITH_PORTS
        for at_source in of_sources.values():
            for at_detail in of_details.values():
                detailed = ports or details.last > 0
                traffic = Traffic(
                    intervals[0][0], at_source[0][0] if ports else None, at_detail[0][0] if detailed else None
                )
                yield traffic, Traffics(intervals, at_source, at_detail)


Side = tuple[int, int]
"""Points of one group of workloads with equal answers, and the peers that are let through."""


class Walker:
    """Walks chains over one view, and remembers.

    Args:
        view: settled.
        views: of both versions: ports that a name means in either are told apart.
        space: the points.
    """

    def __init__(self, view: View, views: tuple[View, View], space: Space) -> None:
        self._view, self._views, self._space = view, views, space
        self._bases: dict[int, tuple[Rule, _Base, _Base]] = {}
        self._partitions: dict[tuple[Chain | None, ...], Partition] = {}
        self._marked: dict[Ruled, _Marks] = {}
        self._protocols: dict[frozenset[int], Cut] = {}
        self._of_one: dict[Ruled, Partition] = {}
        self._stepped: dict[tuple[Ruled, PolicyType, tuple[Cell, Cell, Cell]], tuple[_Step, ...]] = {}
        self._walked: dict[tuple[Chain, PolicyType, int, tuple[Cell, Cell, Cell]], tuple[Side, ...]] = {}

    def partition(self, *chains: Chain | None) -> Partition:
        """Traffic cut by all rules of these chains."""
        found = self._partitions.get(chains)
        if found is None:
            several = {each for chain in chains if chain is not None for each in chain.ruled}
            found = self._partitions[chains] = self._cut(several)
        return found

    def walk(self, chain: Chain, direction: PolicyType, own: int, traffic: Traffic) -> tuple[Side, ...]:
        """Who of `own`, all of which have this chain, reaches or is reached by whom."""
        question = chain, direction, own, self.partition(chain).cell(traffic)
        found = self._walked.get(question)
        if found is None:
            found = self._walked[question] = tuple(self._walk(chain, direction, own, traffic))
        return found

    def _walk(self, chain: Chain, direction: PolicyType, own: int, traffic: Traffic) -> Iterator[Side]:
        steps = {ruled: self._steps(ruled, direction, traffic) for ruled in chain.ruled}
        parts = [own]
        for each in steps.values():
            for step in each:
                if step.own & own != own:
                    parts = [piece for part in parts for piece in (part & step.own, part & ~step.own) if piece]
        for part in parts:
            yield part, _judged(chain, steps, part, self._space.every)

    def speaks(self, ruled: Ruled, direction: PolicyType, traffic: Traffic) -> bool:
        """Whether a rule of it can match this traffic at all."""
        return bool(self._steps(ruled, direction, traffic))

    def _steps(self, ruled: Ruled, direction: PolicyType, traffic: Traffic) -> tuple[_Step, ...]:
        partition = self._of_one.get(ruled)
        if partition is None:
            partition = self._of_one[ruled] = self._cut((ruled,))
        question = ruled, direction, partition.cell(traffic)
        found = self._stepped.get(question)
        if found is None:
            found = self._stepped[question] = tuple(self._matching(ruled, direction, traffic))
        return found

    def _matching(self, ruled: Ruled, direction: PolicyType, traffic: Traffic) -> Iterator[_Step]:
        """Rules that can match the traffic, and whom they mean at both ends."""
        for rule in ruled.rules:
            unseen = rule.http is not None or rule.source.services is not None or rule.destination.services is not None
            if rule.action is RuleAction.LOG or (unseen and rule.action is RuleAction.ALLOW):
                continue
            if not self._is_of(rule, traffic):
                continue
            bases = self._bases.get(id(rule))
            if bases is None:
                bases = rule, self._base(rule.source, ruled), self._base(rule.destination, ruled)
                self._bases[id(rule)] = bases
            named = named_port_protocol(rule)
            sports = traffic.protocol in WITH_PORTS
            source = self._side(bases[1], traffic.protocol, traffic.source_port if sports else None, named)
            destination = self._side(bases[2], traffic.protocol, traffic.detail if sports else None, named)
            if source and destination:
                ends = (source, destination) if direction is PolicyType.EGRESS else (destination, source)
                yield _Step(RuleAction.DENY if unseen else rule.action, *ends)

    def _is_of(self, rule: Rule, traffic: Traffic) -> bool:
        if rule.ip_version is not None and rule.ip_version != self._space.version:
            return False
        if rule.protocol is not None and rule.protocol.number != traffic.protocol:
            return False
        if rule.not_protocol is not None and rule.not_protocol.number == traffic.protocol:
            return False
        is_icmp = traffic.protocol == ICMP[self._space.version]
        kind = icmp_of(traffic.detail) if is_icmp and traffic.detail is not None else None
        if rule.icmp is not None and not _is_icmp(rule.icmp, kind):
            return False
        return rule.not_icmp is None or not _is_icmp(rule.not_icmp, kind)

    def _base(self, side: EntityRule, ruled: Ruled) -> _Base:
        """One side of a rule without its ports."""
        space, view = self._space, self._view
        found = space.every
        if side.nets:
            inside = 0
            for net in side.nets:
                inside |= space.within(net)
            found &= inside
        if side.not_nets and side.not_nets[0].version != space.version:
            found = 0
        for net in side.not_nets:
            found &= ~space.within(net)
        unwanted = not_selector(side)
        if unwanted is not None:
            found &= ~view.selected(unwanted)
        selector = rule_selector(side, ruled.namespace)
        return _Base(side, found, found if selector is None else found & view.selected(selector), ruled.namespace)

    def _side(self, base: _Base, protocol: int, port: int | None, named: int) -> int:
        """One side of a rule at a port."""
        side, found = base.side, base.selected
        if side.ports:
            if port is None:
                return 0
            if not _has_number(side.ports, port):
                names = _names(side.ports) if protocol == named else ()
                selector = rule_selector(side, base.namespace)
                found = base.unselected & self._view.listening(selector, names, protocol, port) if names else 0
        if side.not_ports and port is not None:
            if _has_number(side.not_ports, port):
                return 0
            names = _names(side.not_ports) if protocol == named else ()
            if names:
                found &= ~self._view.listening(None, names, protocol, port)
        return found

    def _cut(self, several: Iterable[Ruled]) -> Partition:
        """Traffic in cells that none of these rules takes apart."""
        marks = [self._marks(ruled) for ruled in several]
        icmp = ICMP[self._space.version]
        alone = frozenset((*WITH_PORTS, icmp)).union(*(each.protocols for each in marks))
        protocols = self._protocols.get(alone)
        if protocols is None:
            protocols = self._protocols[alone] = cut_at((((number, number),) for number in sorted(alone)), 0, 255)
        every: tuple[dict[int, dict[tuple[Interval, ...], None]], ...] = ({}, {})
        for mark in marks:
            for told, into in zip((mark.sources, mark.details), every, strict=True):
                for number, sets in told.items():
                    into.setdefault(number, {}).update(sets)
        inside = {}
        for cell, number in protocols.representatives():
            sources, details = every[0].get(number, {}), every[1].get(number, {})
            range_ = _PORTS if number in WITH_PORTS else _TYPES if number == icmp else _NOTHING
            inside[cell] = (
                cut_at(sources, *_PORTS) if number in WITH_PORTS else uncut(*_NOTHING),
                cut_at(details, *range_) if details else uncut(*range_),
            )
        return Partition(protocols, inside)

    def _marks(self, ruled: Ruled) -> _Marks:
        """What one policy's rules tell apart."""
        found = self._marked.get(ruled)
        if found is None:
            mentioned: set[int] = set()
            sources: dict[int, dict[tuple[Interval, ...], None]] = {}
            details: dict[int, dict[tuple[Interval, ...], None]] = {}
            for rule in ruled.rules:
                mentioned.update(each.number for each in (rule.protocol, rule.not_protocol) if each is not None)
                for match in (rule.icmp, rule.not_icmp):
                    if match is not None:
                        details.setdefault(ICMP[self._space.version], {})[merged(_types(match))] = None
                for number in WITH_PORTS if rule.protocol is None else (rule.protocol.number,):
                    for side, into in ((rule.source, sources), (rule.destination, details)):
                        if (side.ports or side.not_ports) and number in WITH_PORTS:
                            sets = into.setdefault(number, {})
                            sets.update(dict.fromkeys(self._ports(side, number, named_port_protocol(rule))))
            found = self._marked[ruled] = _Marks(frozenset(mentioned), sources, details)
        return found

    def _ports(self, side: EntityRule, protocol: int, named: int) -> Iterator[tuple[Interval, ...]]:
        """Sets of ports that one side of a rule tells apart; each port of a name by itself."""
        for ports in (side.ports, side.not_ports):
            numbers = tuple((each.first, each.last) for each in ports if isinstance(each, PortRange))
            if numbers:
                yield merged(numbers)
            if named == protocol:
                for name in _names(ports):
                    for view in {id(view): view for view in self._views}.values():
                        yield from (((number, number),) for number in sorted(view.numbers(name, protocol)))


@dataclass(frozen=True, slots=True)
class _Marks:
    """Protocols that rules name, and by protocol the sets of source ports and of details that they tell apart."""

    protocols: frozenset[int]
    sources: Mapping[int, Mapping[tuple[Interval, ...], None]]
    details: Mapping[int, Mapping[tuple[Interval, ...], None]]


@dataclass(frozen=True, slots=True)
class _Base:
    """One side of a rule: points by all but ports, with and without its selector."""

    side: EntityRule
    unselected: int
    selected: int
    namespace: str | None


@dataclass(frozen=True, slots=True)
class _Step:
    """A rule that matches some traffic: whom at the judged end, and whom at the other."""

    action: RuleAction
    own: int
    peers: int


def _judged(chain: Chain, steps: Mapping[Ruled, tuple[_Step, ...]], part: int, everybody: int) -> int:
    """Peers that are let through: tiers in order, then profiles, then deny."""
    undecided, allowed = everybody, 0
    for tier in chain.tiers:
        passed = 0
        for policy in tier.policies:
            allow, hand_on, undecided = _matched(steps[policy], part, undecided)
            allowed |= allow
            passed |= hand_on
        undecided = passed if tier.denies else passed | undecided
        if not undecided:
            return allowed
    for profile in chain.profiles:
        if profile is None:
            return allowed
        allow, hand_on, undecided = _matched(steps[profile], part, undecided)
        allowed |= allow
        undecided |= hand_on
    return allowed


def _matched(steps: Iterable[_Step], part: int, undecided: int) -> tuple[int, int, int]:
    """Of the undecided: whom rules allow, whom they pass on, whom none of them matches."""
    allowed = passed = 0
    for step in steps:
        if not step.own & part:
            continue
        matched = undecided & step.peers
        if not matched:
            continue
        undecided ^= matched
        if step.action is RuleAction.ALLOW:
            allowed |= matched
        elif step.action is RuleAction.PASS:
            passed |= matched
    return allowed, passed, undecided


def _is_icmp(wanted: ICMPMatch, kind: tuple[int, int] | None) -> bool:
    return kind is not None and wanted.type in (None, kind[0]) and wanted.code in (None, kind[1])


def _types(match: ICMPMatch) -> tuple[Interval, ...]:
    """Types and codes that a match means, as numbers."""
    kinds = range(256) if match.type is None else (match.type,)
    codes = (0, 255) if match.code is None else (match.code, match.code)
    return tuple((kind << 8 | codes[0], kind << 8 | codes[1]) for kind in kinds)


def _has_number(ports: Iterable[PortRange | NamedPort], port: int) -> bool:
    return any(isinstance(each, PortRange) and port in each for each in ports)


def _names(ports: Iterable[PortRange | NamedPort]) -> tuple[str, ...]:
    return tuple(each.name for each in ports if isinstance(each, NamedPort))
