"""May this packet go from here to there? The small obvious evaluator, written to be read.

It walks policies as the reference describes them, one packet at a time, without indexes or caches. The compiled rules
of a node and the packets through a kernel are held against it. Host endpoints' own policies are not judged here;
hosts take part as peers of workloads only.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from muslin.net import Address
from muslin.resources.keys import Key
from muslin.resources.node import Node
from muslin.resources.policy import PolicyType
from muslin.resources.policy_rules import EntityRule, ICMPMatch, Rule, RuleAction
from muslin.resources.ports import NamedPort, PortRange
from muslin.resources.profile import Profile
from muslin.resources.tier import TierAction
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.felix import felix_settings
from muslin.semantics.policy import endpoint_labels, selected_by
from muslin.semantics.routes import node_address
from muslin.semantics.selector_scope import not_selector, rule_selector
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.subjects import Subject, subjects

__all__ = ["Flow", "Judged", "Reason", "Verdict", "named_port_protocol", "verdict"]

_WITH_PORTS = (6, 17, 132)


@dataclass(frozen=True, slots=True)
class Flow:
    """The first packet of a connection, with the addresses that the workloads see.

    Attributes:
        source, destination: of the same IP version.
        protocol: IANA number.
        source_port, destination_port: for protocols that have ports.
        icmp: (type, code) for ICMP and ICMPv6.
    """

    source: Address
    destination: Address
    protocol: int
    source_port: int | None = None
    destination_port: int | None = None
    icmp: tuple[int, int] | None = None


class Judged(enum.Enum):
    """What decided, in words for people."""

    RULE = "a rule of a policy"
    TIER_DEFAULT = "the end of a tier whose policies left it undecided"
    PROFILE_RULE = "a rule of a profile"
    MISSING_PROFILE = "a profile that does not exist"
    NO_PROFILE_ALLOWS = "no policy selects the endpoint and no profile allows it"
    HOST_TO_OWN_WORKLOAD = "a node always reaches its own workloads"
    WORKLOAD_TO_OWN_HOST = "defaultEndpointToHostAction of the node"


@dataclass(frozen=True, slots=True)
class Reason:
    """What decided at one end: `key` names the policy or profile, `rule` counts from 0 in its list."""

    judged: Judged
    key: Key | None = None
    rule: int | None = None
    tier: str | None = None

    def __str__(self) -> str:
        of = f": {self.key}" if self.key is not None else f": tier {self.tier}" if self.tier is not None else ""
        return self.judged.value + of + ("" if self.rule is None else f", rule {self.rule}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a flow may be, and why at each end; None where that end is no workload.

    A destination is judged only if the source lets the packet out.
    """

    allowed: bool
    egress: Reason | None = None
    ingress: Reason | None = None
    host: Reason | None = None


def verdict(snapshot: Snapshot, flow: Flow) -> Verdict:
    """Judge a flow at both ends: egress at the source, ingress at the destination.

    Ends are found by address. Between a node and workloads: a node always reaches its own; what its own workloads
    send to it is for `defaultEndpointToHostAction` after their egress policy.
    """
    source, destination = _workload(snapshot, flow.source), _workload(snapshot, flow.destination)
    if destination is not None and _is_node(snapshot, destination.spec.node, flow.source):
        return Verdict(allowed=True, ingress=Reason(Judged.HOST_TO_OWN_WORKLOAD))

    everyone = tuple(subjects(snapshot))
    egress = ingress = None
    if source is not None:
        allowed, egress = _judge(snapshot, everyone, source, PolicyType.EGRESS, flow)
        if not allowed:
            return Verdict(allowed=False, egress=egress)
        if _is_node(snapshot, source.spec.node, flow.destination):
            dropped = felix_settings(snapshot, source.spec.node or "")["DefaultEndpointToHostAction"] == "DROP"
            return Verdict(allowed=not dropped, egress=egress, host=Reason(Judged.WORKLOAD_TO_OWN_HOST))
    if destination is not None:
        allowed, ingress = _judge(snapshot, everyone, destination, PolicyType.INGRESS, flow)
        return Verdict(allowed, egress, ingress)
    return Verdict(allowed=True, egress=egress)


def _judge(
    snapshot: Snapshot, everyone: tuple[Subject, ...], endpoint: WorkloadEndpoint, direction: PolicyType, flow: Flow
) -> tuple[bool, Reason]:
    """One end: tiers in order, then profiles, then deny."""
    for tier in selected_by(endpoint_labels(endpoint, snapshot), snapshot):
        policies = tier.of(direction)
        passed = False
        for policy in policies:
            rules = policy.spec.ingress if direction is PolicyType.INGRESS else policy.spec.egress
            action, index = _first_match(rules, policy.metadata.namespace, everyone, flow)
            if action is RuleAction.PASS:
                passed = True
                break
            if action is not None:
                return action is RuleAction.ALLOW, Reason(Judged.RULE, policy.key, index, tier.tier.name)
        if policies and not passed and tier.tier.default_action is TierAction.DENY:
            return False, Reason(Judged.TIER_DEFAULT, tier=tier.tier.name)

    for name in endpoint.spec.profiles:
        profile = snapshot.get(Profile, name)
        if profile is None:
            return False, Reason(Judged.MISSING_PROFILE, Key("Profile", name))
        rules = profile.spec.ingress if direction is PolicyType.INGRESS else profile.spec.egress
        action, index = _first_match(rules, None, everyone, flow)
        if action in (RuleAction.ALLOW, RuleAction.DENY):
            return action is RuleAction.ALLOW, Reason(Judged.PROFILE_RULE, profile.key, index)
    return False, Reason(Judged.NO_PROFILE_ALLOWS)


def _first_match(
    rules: Iterable[Rule], namespace: str | None, everyone: tuple[Subject, ...], flow: Flow
) -> tuple[RuleAction | None, int | None]:
    """Action and index of the first rule that matches and decides; Log only tells."""
    for index, rule in enumerate(rules):
        if rule.action is RuleAction.LOG or (_asks_for_the_unseen(rule) and rule.action is RuleAction.ALLOW):
            continue
        if _matches(rule, namespace, everyone, flow):
            # whom a service means is not known here, so what such a rule denies or passes on is denied to everybody
            return RuleAction.DENY if _asks_for_the_unseen(rule) else rule.action, index
    return None, None


def _asks_for_the_unseen(rule: Rule) -> bool:
    """Whether a rule asks for services or HTTP requests, which nothing here can see."""
    return rule.http is not None or rule.source.services is not None or rule.destination.services is not None


def _matches(rule: Rule, namespace: str | None, everyone: tuple[Subject, ...], flow: Flow) -> bool:
    if rule.ip_version is not None and rule.ip_version != flow.source.version:
        return False
    if rule.protocol is not None and rule.protocol.number != flow.protocol:
        return False
    if rule.not_protocol is not None and rule.not_protocol.number == flow.protocol:
        return False
    if rule.icmp is not None and not _icmp_matches(rule.icmp, flow):
        return False
    if rule.not_icmp is not None and _icmp_matches(rule.not_icmp, flow):
        return False
    has_ports = flow.protocol in _WITH_PORTS
    source = _End(flow.source, flow.protocol, flow.source_port if has_ports else None)
    destination = _End(flow.destination, flow.protocol, flow.destination_port if has_ports else None)
    named = named_port_protocol(rule)
    return _side_matches(rule.source, namespace, everyone, source, named) and _side_matches(
        rule.destination, namespace, everyone, destination, named
    )


def _icmp_matches(icmp: ICMPMatch, flow: Flow) -> bool:
    return flow.icmp is not None and icmp.type in (None, flow.icmp[0]) and icmp.code in (None, flow.icmp[1])


def named_port_protocol(rule: Rule) -> int:
    """Protocol whose listeners a rule's named ports mean: the rule's own, TCP where it says none that has ports."""
    return rule.protocol.number if rule.protocol is not None and rule.protocol.number in _WITH_PORTS else 6


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a packet; the port None where the protocol has none."""

    address: Address
    protocol: int
    port: int | None


def _side_matches(
    side: EntityRule, namespace: str | None, everyone: tuple[Subject, ...], end: _End, named: int
) -> bool:
    """Whether one end of a packet is what one side of a rule asks for."""
    if side.nets and not any(end.address in net for net in side.nets):
        return False
    if side.not_nets and side.not_nets[0].version != end.address.version:
        return False
    if any(end.address in net for net in side.not_nets):
        return False

    here = [subject for subject in everyone if subject.has(end.address)]
    selector, unwanted = rule_selector(side, namespace), not_selector(side)
    chosen = [subject for subject in here if selector is None or selector.matches(subject.labels)]
    if selector is not None and not chosen:
        return False
    if unwanted is not None and any(unwanted.matches(subject.labels) for subject in here):
        return False
    if side.ports and not _port_matches(side.ports, chosen, end, named):
        return False
    return not _port_matches(side.not_ports, here, end, named)


def _port_matches(ports: Iterable[PortRange | NamedPort], candidates: Iterable[Subject], end: _End, named: int) -> bool:
    """Whether an end's port is one of these; a name means the ports that candidates listen on under it."""
    if end.port is None:
        return False
    listening = {
        each.name
        for subject in candidates
        for each in subject.listeners
        if each.protocol == end.protocol == named and each.port == end.port
    }
    return any(end.port in each if isinstance(each, PortRange) else each.name in listening for each in ports)


def _workload(snapshot: Snapshot, address: Address) -> WorkloadEndpoint | None:
    for endpoint in snapshot.all(WorkloadEndpoint):
        if any(address in network for network in endpoint.spec.ip_networks):
            return endpoint
    return None


def _is_node(snapshot: Snapshot, name: str | None, address: Address) -> bool:
    node = snapshot.get(Node, name) if name else None
    return node is not None and node_address(node, address.version) == address
