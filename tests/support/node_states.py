"""Random node states and packets over a small universe, so that rules often match; the same seed, the same state."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from random import Random

from muslin.net import Address, Prefix
from runtime.calc.state import (
    Action,
    Endpoint,
    IpPort,
    NodeState,
    PolicyId,
    PolicyRules,
    PortRange,
    Rule,
    RuleMatch,
    SetId,
    TierPolicies,
)
from runtime.calc.verdict import Packet, Path
from tests.support.fake_nftables import FilterPacket

__all__ = ["OUTSIDE", "PODS", "as_filter_packet", "random_packet", "random_state"]

PODS = {
    "cali1": (ip_address("10.48.0.1"), ip_address("2001:db8::1")),
    "cali2": (ip_address("10.48.0.2"), ip_address("2001:db8::2")),
}
OUTSIDE = (ip_address("203.0.113.10"), ip_address("2001:db8:1::10"))
HOST = (ip_address("192.0.2.1"), ip_address("2001:db8:2::1"))
_NETS = (
    "10.48.0.1/32", "10.48.0.0/31", "10.48.0.0/26", "10.48.0.2/32", "203.0.113.0/24", "0.0.0.0/0", "203.0.113.8/29",
    "2001:db8::1/128", "2001:db8::/64", "2001:db8::2/127", "2001:db8:1::/48", "::/0",
)  # fmt: skip
_PORTS = (80, 81, 90, 443, 8080)
_SETS = tuple(SetId(name) for name in ("s:one", "s:two", "s:three"))
_PORT_SETS = (SetId("n:web"), SetId("n:dns"))
_POLICIES = tuple(PolicyId("NetworkPolicy", f"p{number}", "ns") for number in range(4))
_PROFILES = (PolicyId("Profile", "kns.ns"), PolicyId("Profile", "ksa.ns.default"), PolicyId("Profile", "missing"))


def _some(random: Random, chance: float, values: tuple[Prefix, ...], most: int = 2) -> tuple[Prefix, ...]:
    return tuple(random.sample(values, random.randint(1, most))) if random.random() < chance else ()


def _some_sets(random: Random, chance: float, values: tuple[SetId, ...]) -> tuple[SetId, ...]:
    return tuple(random.sample(values, random.randint(1, 2))) if random.random() < chance else ()


def _ranges(random: Random, chance: float) -> tuple[PortRange, ...]:
    if random.random() >= chance:
        return ()
    firsts = [random.choice(_PORTS) for _ in range(random.randint(1, 2))]
    return tuple(PortRange(first, first + random.choice((0, 0, 5, 400))) for first in firsts)


def random_match(random: Random) -> RuleMatch:
    """A conjunction of a few tests, sensible or not."""
    version = random.choice((None, None, 4, 6))
    protocol = random.choice((None, 6, 17, 17, 1 if version == 4 else 58))
    nets = tuple(ip_network(text) for text in _NETS)
    if version is not None:
        nets = tuple(net for net in nets if net.version == version)
    ported = protocol in (None, 6, 17)
    icmp = random.choice(((8, 0), (8, None), (128, 0), (3, 1))) if protocol in (1, 58) else None
    negated = 0.12
    return RuleMatch(
        ip_version=version,
        protocol=protocol,
        not_protocol=random.choice((6, 17)) if random.random() < negated else None,
        icmp=icmp if random.random() < 0.5 else None,
        not_icmp=icmp if random.random() < 0.3 else None,
        source_nets=_some(random, 0.2, nets),
        not_source_nets=_some(random, negated, nets),
        destination_nets=_some(random, 0.2, nets),
        not_destination_nets=_some(random, negated, nets),
        source_sets=_some_sets(random, 0.2, _SETS),
        not_source_sets=_some_sets(random, negated, _SETS),
        destination_sets=_some_sets(random, 0.15, _SETS),
        not_destination_sets=_some_sets(random, negated, _SETS),
        source_ports=_ranges(random, 0.1) if ported else (),
        not_source_ports=_ranges(random, negated) if ported else (),
        destination_ports=_ranges(random, 0.3) if ported else (),
        not_destination_ports=_ranges(random, negated) if ported else (),
        source_port_sets=_some_sets(random, 0.05, _PORT_SETS) if ported else (),
        not_source_port_sets=_some_sets(random, 0.05, _PORT_SETS) if ported else (),
        destination_port_sets=_some_sets(random, 0.2, _PORT_SETS) if ported else (),
        not_destination_port_sets=_some_sets(random, 0.05, _PORT_SETS) if ported else (),
    )


def _rules(random: Random) -> tuple[Rule, ...]:
    actions = (Action.ALLOW, Action.ALLOW, Action.ALLOW, Action.DENY, Action.DENY, Action.PASS)
    return tuple(Rule(random.choice(actions), random_match(random)) for _ in range(random.randint(0, 5)))


def random_state(random: Random) -> NodeState:
    """Two pods, one or both known, with tiers, profiles and sets."""
    policies = {name: PolicyRules(_rules(random), _rules(random)) for name in _POLICIES}
    everything = (Rule(random.choice((Action.ALLOW, Action.ALLOW, Action.DENY))),)
    policies |= {name: PolicyRules(_rules(random) + everything, _rules(random) + everything) for name in _PROFILES[:2]}
    nets = tuple(ip_network(text) for text in _NETS if text not in ("0.0.0.0/0", "::/0"))
    sets: dict[SetId, frozenset[Prefix] | frozenset[IpPort]] = {
        name: frozenset(random.sample(nets, random.randint(0, 4))) for name in _SETS
    }
    listeners = [
        IpPort(address, protocol, port)
        for addresses in (*PODS.values(), OUTSIDE)
        for address in addresses
        for protocol in (6, 17)
        for port in _PORTS
    ]
    sets |= {name: frozenset(random.sample(listeners, random.randint(0, 12))) for name in _PORT_SETS}
    endpoints = {}
    for name, addresses in PODS.items():
        if random.random() < 0.95:
            tiers = tuple(
                TierPolicies(
                    f"tier{number}",
                    random.choice((Action.DENY, Action.PASS)),
                    tuple(random.sample(_POLICIES, random.randint(0, 2))),
                    tuple(random.sample(_POLICIES, random.randint(0, 2))),
                )
                for number in range(random.randint(0, 3))
            )
            profiles = tuple(random.sample(_PROFILES, random.randint(1, 2)))
            endpoints[name] = Endpoint(
                name, "ns", name, addresses, tiers=tiers, profiles=profiles, admin_up=random.random() < 0.95
            )
    pools = [ip_network("10.48.0.0/16"), ip_network("10.49.0.0/16"), ip_network("2001:db8::/64")]
    return NodeState(
        "node-1",
        str(random.random()),
        endpoints=endpoints,
        policies=policies,
        sets=sets,
        nat_pools=frozenset(random.sample(pools, random.randint(0, 2))),
        all_pools=frozenset(pools),
        endpoint_to_host=random.choice((Action.ALLOW, Action.DENY, Action.PASS)),
    )


def random_packet(random: Random) -> Packet:
    """The first packet of a flow between the pods, the outside and the node."""
    version = random.choice((0, 1))
    ways: list[tuple[Address, Address, str | None, str | None, Path]] = [
        (PODS["cali1"][version], PODS["cali2"][version], "cali1", "cali2", Path.FORWARD),
        (PODS["cali2"][version], PODS["cali1"][version], "cali2", "cali1", Path.FORWARD),
        (PODS["cali1"][version], OUTSIDE[version], "cali1", None, Path.FORWARD),
        (OUTSIDE[version], PODS["cali1"][version], None, "cali1", Path.FORWARD),
        (PODS["cali2"][version], HOST[version], "cali2", None, Path.INPUT),
    ]
    source, destination, entering, leaving, path = random.choice(ways)
    protocol = random.choice((6, 17, 17, 1 if version == 0 else 58))
    if protocol in (1, 58):
        echo = (8, 0) if protocol == 1 else (128, 0)
        return Packet(source, destination, protocol, None, None, echo, entering, leaving, path)
    ports = (random.choice((*_PORTS, 40000)), random.choice((*_PORTS, 85, 500)))
    return Packet(source, destination, protocol, *ports, None, entering, leaving, path)


def as_filter_packet(packet: Packet) -> FilterPacket:
    """The same packet for the fake filter."""
    leaving = None if packet.path is Path.INPUT else packet.out_interface or "eth0"
    return FilterPacket(
        packet.source,
        packet.destination,
        packet.protocol,
        packet.source_port or 0,
        packet.destination_port or 0,
        packet.icmp,
        packet.in_interface or "eth0",
        leaving,
    )
