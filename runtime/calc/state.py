"""What a node must be, as values: the contract between calculation and dataplane.

Nothing here knows nftables, netlink or BGP messages. Policies and sets are shared by reference: an endpoint names
policies, rules name sets, and both are looked up in the same NodeState.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, NewType

from muslin.errors import Problem
from muslin.net import Address, Mac, Prefix
from muslin.semantics.sessions import Session

__all__ = [
    "Action",
    "Endpoint",
    "IpPort",
    "NodeState",
    "PolicyId",
    "PolicyRules",
    "PortRange",
    "Route",
    "RouteClass",
    "RouteKind",
    "Rule",
    "RuleMatch",
    "SetId",
    "TierPolicies",
]

SetId = NewType("SetId", str)
"""`s:<hash>` for the endpoints and network sets a selector matches, `n:<hash>` for a named port of them."""


class PolicyId(NamedTuple):
    """A policy or profile: `kind` is NetworkPolicy, GlobalNetworkPolicy, one of Kubernetes, or Profile."""

    kind: str
    name: str
    namespace: str | None = None


class Action(enum.Enum):
    """What a rule does with a packet that it matches."""

    ALLOW = "Allow"
    DENY = "Deny"
    PASS = "Pass"  # noqa: S105
    LOG = "Log"


class PortRange(NamedTuple):
    """Ports from `first` to `last`, both included, 1..65535 (0 can't match)."""

    first: int
    last: int


class IpPort(NamedTuple):
    """A member of a named-port set: who listens where."""

    address: Address
    protocol: int
    port: int


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """All that is set must hold; within one tuple any one suffices; a `not_` tuple holds if none does.

    Protocols are IANA numbers. `source_port_sets` and `destination_port_sets` are alternatives to the port ranges of
    the same side: a packet matches if a range or a set has it.
    """

    ip_version: int | None = None
    protocol: int | None = None
    not_protocol: int | None = None
    icmp: tuple[int, int | None] | None = None
    not_icmp: tuple[int, int | None] | None = None
    source_nets: tuple[Prefix, ...] = ()
    not_source_nets: tuple[Prefix, ...] = ()
    destination_nets: tuple[Prefix, ...] = ()
    not_destination_nets: tuple[Prefix, ...] = ()
    source_sets: tuple[SetId, ...] = ()
    not_source_sets: tuple[SetId, ...] = ()
    destination_sets: tuple[SetId, ...] = ()
    not_destination_sets: tuple[SetId, ...] = ()
    source_ports: tuple[PortRange, ...] = ()
    not_source_ports: tuple[PortRange, ...] = ()
    destination_ports: tuple[PortRange, ...] = ()
    not_destination_ports: tuple[PortRange, ...] = ()
    source_port_sets: tuple[SetId, ...] = ()
    not_source_port_sets: tuple[SetId, ...] = ()
    destination_port_sets: tuple[SetId, ...] = ()
    not_destination_port_sets: tuple[SetId, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy in one direction."""

    action: Action
    match: RuleMatch = field(default_factory=RuleMatch)


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """Rules of one policy or profile, in order. A packet that no rule matches goes on to the next policy."""

    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class TierPolicies:
    """The policies of one tier that apply to one endpoint, in order, for each direction.

    A direction with no policy here is not touched by the tier. `default_action` (DENY or PASS) is for packets that
    no policy of the tier decided, in a direction that has at least one.
    """

    tier: str
    default_action: Action
    ingress: tuple[PolicyId, ...] = ()
    egress: tuple[PolicyId, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A local workload. After the tiers the profiles decide in order; what no profile allows is denied.

    A profile that is not in `NodeState.policies` denies.
    """

    name: str
    namespace: str
    interface: str
    addresses: tuple[Address, ...]
    mac: Mac | None = None
    tiers: tuple[TierPolicies, ...] = ()
    profiles: tuple[PolicyId, ...] = ()
    admin_up: bool = True


class RouteKind(enum.Enum):
    """What the kernel does with a packet for the prefix."""

    UNICAST = "unicast"
    BLACKHOLE = "blackhole"


class RouteClass(enum.IntEnum):
    """Who wants the route; where two want the same prefix the smaller wins."""

    WORKLOAD = 1
    SAME_SUBNET = 2
    TUNNEL = 3
    BGP = 4
    BLACKHOLE = 5


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of the main table. `metric` 0 is the kernel's default."""

    prefix: Prefix
    route_class: RouteClass
    kind: RouteKind = RouteKind.UNICAST
    interface: str | None = None
    next_hop: Address | None = None
    onlink: bool = False
    metric: int = 0


@dataclass(frozen=True, slots=True)
class NodeState:
    """Everything a node must have because of one snapshot.

    Attributes:
        node: name of the node.
        revision: of the snapshot this was computed from.
        ready: ClusterInformation's `datastoreReady`; False, also where there is no such object (the datastore is empty
            or another's), means: keep what is there, accept no new work.
        endpoints: Mapping[interface name, Endpoint]: local workloads.
        policies: Mapping[PolicyId, PolicyRules]: all that a local endpoint names, and no more.
        sets: Mapping[SetId, members]: all that a rule names. `s:` sets hold prefixes, `n:` sets hold IpPort.
        routes: local workload routes and blackholes of own blocks; what BGP learns comes from the speaker.
        nat_pools: pools whose addresses are masqueraded when they leave `all_pools`.
        all_pools: every pool's prefix.
        sessions: BGP sessions of this node.
        originated: prefixes this node announces (own blocks, and local addresses of other nodes' blocks; exportable).
        importable: prefixes within which learnt routes are accepted into the kernel.
        endpoint_to_host: what happens to packets from a workload to the node itself, after egress policy.
        listen_port: where its speaker waits for peers.
        problems: what of the snapshot is not in force on this node because something else forbids it.
    """

    node: str
    revision: str
    ready: bool = True
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    policies: Mapping[PolicyId, PolicyRules] = field(default_factory=dict)
    sets: Mapping[SetId, frozenset[Prefix] | frozenset[IpPort]] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    nat_pools: frozenset[Prefix] = frozenset()
    all_pools: frozenset[Prefix] = frozenset()
    sessions: tuple[Session, ...] = ()
    originated: tuple[Prefix, ...] = ()
    importable: tuple[Prefix, ...] = ()
    endpoint_to_host: Action = Action.DENY
    listen_port: int = 179
    problems: tuple[Problem, ...] = ()
