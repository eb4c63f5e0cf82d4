"""What a node does with one packet, by its state alone.

The oracle of the compiled rules, and the judge of connections that a changed policy may have forbidden. Written for
clarity; the kernel is the fast one. The packet is judged as the first of its connection.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from muslin.net import Address, Prefix
from runtime.calc.state import (
    Action,
    Endpoint,
    IpPort,
    NodeState,
    PolicyId,
    PortRange,
    Rule,
    RuleMatch,
    SetId,
    TierPolicies,
)

__all__ = ["Judge", "Judgement", "Packet", "Path", "Why", "judge"]


class Path(enum.Enum):
    """How a packet crosses the node."""

    FORWARD = "forward"
    """Between workloads, or between a workload and the network."""
    INPUT = "input"
    """To the node itself."""
    OUTPUT = "output"
    """From the node itself."""


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection as this node sees it.

    Attributes:
        source, destination: of the same IP version.
        protocol: IANA number.
        source_port, destination_port: None for protocols without ports.
        icmp: (type, code) for ICMP and ICMPv6.
        in_interface, out_interface: workload interfaces it comes from and goes to; None for any other way.
        path: how it crosses the node.
    """

    source: Address
    destination: Address
    protocol: int
    source_port: int | None = None
    destination_port: int | None = None
    icmp: tuple[int, int] | None = None
    in_interface: str | None = None
    out_interface: str | None = None
    path: Path = Path.FORWARD


class Why(enum.Enum):
    """What decided."""

    RULE = "rule of a policy"
    TIER_DEFAULT = "end of a tier"
    PROFILE_RULE = "rule of a profile"
    MISSING_PROFILE = "profile that is not there"
    NO_PROFILE_ALLOWS = "no profile allows it"
    UNKNOWN_INTERFACE = "unknown workload interface"
    ADMIN_DOWN = "workload is set down"
    ENDPOINT_TO_HOST = "setting for packets to the node itself"
    NOT_OURS = "no workload of this node takes part"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a packet passes, and what decided: the last thing that was asked."""

    allowed: bool
    why: Why
    policy: PolicyId | None = None
    rule: int | None = None
    tier: str | None = None


def judge(state: NodeState, packet: Packet) -> Judgement:
    """Judge one packet; for many against one state make a `Judge`."""
    return Judge(state).judge(packet)


class Judge:
    """Judges packets against one state.

    Args:
        state: of the node; never changed here.
    """

    def __init__(self, state: NodeState) -> None:
        self._state = state
        self._interfaces: Mapping[Address, str] = {
            address: endpoint.interface
            for endpoint in sorted(state.endpoints.values(), key=lambda each: (each.namespace, each.name), reverse=True)
            for address in endpoint.addresses
        }
        self._lookups: dict[SetId, _Lookup] = {}

    def located(self, packet: Packet) -> Packet:
        """The packet with the workload interfaces filled in that its addresses say; for connections, which have none.

        A packet that comes from or goes to the node itself keeps its path, and no interface is filled in there.
        """
        return replace(
            packet,
            in_interface=packet.in_interface if packet.path is Path.OUTPUT else self._interfaces.get(packet.source),
            out_interface=packet.out_interface
            if packet.path is Path.INPUT
            else self._interfaces.get(packet.destination),
        )

    def judge(self, packet: Packet) -> Judgement:
        """Egress policy of where it comes from, then ingress policy of where it goes to.

        An interface that the state does not know passes nothing. From the node itself to a workload everything
        passes; from a workload to the node the setting decides after egress policy.
        """
        result = Judgement(allowed=True, why=Why.NOT_OURS)
        if packet.in_interface is not None and packet.path is not Path.OUTPUT:
            result = self._endpoint(packet.in_interface, packet, egress=True)
            if result.allowed and packet.path is Path.INPUT:
                return Judgement(self._state.endpoint_to_host is not Action.DENY, Why.ENDPOINT_TO_HOST)
        if result.allowed and packet.out_interface is not None and packet.path is Path.FORWARD:
            result = self._endpoint(packet.out_interface, packet, egress=False)
        return result

    def _endpoint(self, interface: str, packet: Packet, *, egress: bool) -> Judgement:
        endpoint = self._state.endpoints.get(interface)
        if endpoint is None:
            return Judgement(allowed=False, why=Why.UNKNOWN_INTERFACE)
        if not endpoint.admin_up:
            return Judgement(allowed=False, why=Why.ADMIN_DOWN)
        for tier in endpoint.tiers:
            judgement = self._tier(tier, packet, egress=egress)
            if judgement is not None:
                return judgement
        return self._profiles(endpoint, packet, egress=egress)

    def _tier(self, tier: TierPolicies, packet: Packet, *, egress: bool) -> Judgement | None:
        """The tier's decision, None where the packet goes on to the next one."""
        policies = tier.egress if egress else tier.ingress
        for policy in policies:
            action, index = self._policy(policy, packet, egress=egress)
            if action is Action.PASS:
                return None
            if action is not None:
                return Judgement(action is Action.ALLOW, Why.RULE, policy, index, tier.tier)
        if policies and tier.default_action is Action.DENY:
            return Judgement(allowed=False, why=Why.TIER_DEFAULT, tier=tier.tier)
        return None

    def _profiles(self, endpoint: Endpoint, packet: Packet, *, egress: bool) -> Judgement:
        for profile in endpoint.profiles:
            if profile not in self._state.policies:
                return Judgement(allowed=False, why=Why.MISSING_PROFILE, policy=profile)
            action, index = self._policy(profile, packet, egress=egress)
            if action in (Action.ALLOW, Action.DENY):
                return Judgement(action is Action.ALLOW, Why.PROFILE_RULE, profile, index)
        return Judgement(allowed=False, why=Why.NO_PROFILE_ALLOWS)

    def _policy(self, identity: PolicyId, packet: Packet, *, egress: bool) -> tuple[Action | None, int | None]:
        policy = self._state.policies[identity]
        rules: tuple[Rule, ...] = policy.egress if egress else policy.ingress
        for index, rule in enumerate(rules):
            if rule.action is not Action.LOG and self._matches(rule.match, packet):
                return rule.action, index
        return None, None

    def _matches(self, match: RuleMatch, packet: Packet) -> bool:
        return (
            match.ip_version in (None, packet.source.version)
            and match.protocol in (None, packet.protocol)
            and (match.not_protocol is None or match.not_protocol != packet.protocol)
            and (match.icmp is None or _is_icmp(match.icmp, packet))
            and (match.not_icmp is None or not _is_icmp(match.not_icmp, packet))
            and self._source_matches(match, packet)
            and self._destination_matches(match, packet)
        )

    def _source_matches(self, match: RuleMatch, packet: Packet) -> bool:
        address, port = packet.source, packet.source_port
        ports = bool(match.source_ports or match.source_port_sets)
        not_ports = bool(match.not_source_ports or match.not_source_port_sets)
        return (
            (not match.source_nets or _in_nets(address, match.source_nets))
            and not _in_nets(address, match.not_source_nets)
            and (not match.source_sets or self._in_sets(address, match.source_sets))
            and not self._in_sets(address, match.not_source_sets)
            and (not ports or self._on_port(packet, address, port, match.source_ports, match.source_port_sets))
            and not (
                not_ports and self._on_port(packet, address, port, match.not_source_ports, match.not_source_port_sets)
            )
        )

    def _destination_matches(self, match: RuleMatch, packet: Packet) -> bool:
        address, port = packet.destination, packet.destination_port
        ports = bool(match.destination_ports or match.destination_port_sets)
        not_ports = bool(match.not_destination_ports or match.not_destination_port_sets)
        return (
            (not match.destination_nets or _in_nets(address, match.destination_nets))
            and not _in_nets(address, match.not_destination_nets)
            and (not match.destination_sets or self._in_sets(address, match.destination_sets))
            and not self._in_sets(address, match.not_destination_sets)
            and (
                not ports or self._on_port(packet, address, port, match.destination_ports, match.destination_port_sets)
            )
            and not (
                not_ports
                and self._on_port(packet, address, port, match.not_destination_ports, match.not_destination_port_sets)
            )
        )

    def _on_port(
        self,
        packet: Packet,
        address: Address,
        port: int | None,
        ranges: Iterable[PortRange],
        sets: Iterable[SetId],
    ) -> bool:
        if port is None:
            return False
        listener = IpPort(address, packet.protocol, port)
        return any(each.first <= port <= each.last for each in ranges) or any(
            listener in self._state.sets.get(identity, ()) for identity in sets
        )

    def _in_sets(self, address: Address, sets: Iterable[SetId]) -> bool:
        return any(self._lookup(identity).has(address) for identity in sets)

    def _lookup(self, identity: SetId) -> _Lookup:
        found = self._lookups.get(identity)
        if found is None:
            found = self._lookups[identity] = _Lookup(self._state.sets.get(identity, frozenset()))
        return found


class _Lookup:
    """Whether an address is in a set of prefixes, without walking it: one probe for each length that occurs."""

    __slots__ = ("_lengths", "_starts")

    def __init__(self, members: Iterable[Prefix | IpPort]) -> None:
        prefixes = [member for member in members if not isinstance(member, IpPort)]
        self._starts = {(prefix.version, prefix.prefixlen, int(prefix.network_address)) for prefix in prefixes}
        self._lengths = {(prefix.version, prefix.prefixlen) for prefix in prefixes}

    def has(self, address: Address) -> bool:
        """Whether a prefix of the set holds the address."""
        bits = int(address)
        return any(
            (version, length, bits >> (address.max_prefixlen - length) << (address.max_prefixlen - length))
            in self._starts
            for version, length in self._lengths
            if version == address.version
        )


def _is_icmp(wanted: tuple[int, int | None], packet: Packet) -> bool:
    return packet.icmp is not None and wanted[0] == packet.icmp[0] and wanted[1] in (None, packet.icmp[1])


def _in_nets(address: Address, nets: Iterable[Prefix]) -> bool:
    return any(address in net for net in nets)
