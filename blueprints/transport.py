"""How packets travel between nodes: encapsulation, the room that it leaves, and how routes are learnt.

Rules of the reference architecture's routing sections; single-subnet clusters.
"""

from __future__ import annotations

import enum

from blueprints.decision import Alternative, Decision, Outcome, section
from blueprints.facts import Facts, Provider
from muslin.errors import Problem
from muslin.resources.keys import Key
from muslin.semantics.mtu import SMALLEST_USEFUL_MTU, encapsulation_mtu
from muslin.semantics.routes import Encapsulation

__all__ = ["MESH_LIMIT", "NetworkTrait", "as_number", "encapsulation", "lets", "mtu", "route_distribution", "trait"]

MESH_LIMIT = 50
"""Nodes from which on a full mesh becomes a bottleneck."""

LOWEST_AS_OF_CALICO = 64512
"""Calico's default, the first of the 16-bit private numbers (RFC 6996)."""

_POOL = Key("IPPool", "default-ipv4-ippool")
_BGP = Key("BGPConfiguration", "default")
_FELIX = Key("FelixConfiguration", "default")


class NetworkTrait(enum.Enum):
    """A property of the network; the value is the fact's name in the file."""

    BGP = "bgp"
    IPIP = "ipip"
    VXLAN = "vxlan"
    CHECKS = "sourceDestinationChecks"
    POD_ADDRESSES = "podAddresses"


_USUAL = {
    NetworkTrait.BGP: True,
    NetworkTrait.IPIP: True,
    NetworkTrait.VXLAN: True,
    NetworkTrait.CHECKS: False,
    NetworkTrait.POD_ADDRESSES: True,
}
_OF_PROVIDER = {
    (Provider.AWS, NetworkTrait.CHECKS): True,
    (Provider.GCP, NetworkTrait.CHECKS): True,
    (Provider.OPENSTACK, NetworkTrait.CHECKS): True,
    (Provider.AZURE, NetworkTrait.CHECKS): True,
    (Provider.AZURE, NetworkTrait.IPIP): False,
}
"""What these networks do until somebody turns it off; Azure drops IP-in-IP always."""


def lets(facts: Facts, asked: NetworkTrait) -> bool:
    """Whether the network has a property: as stated, else as the provider's networks have it."""
    own = facts.network
    stated = {
        NetworkTrait.BGP: own.bgp,
        NetworkTrait.IPIP: own.ipip,
        NetworkTrait.VXLAN: own.vxlan,
        NetworkTrait.CHECKS: own.source_destination_checks,
        NetworkTrait.POD_ADDRESSES: own.pod_addresses,
    }[asked]
    if stated is not None:
        return stated
    return _OF_PROVIDER.get((facts.provider, asked), _USUAL[asked])


def trait(facts: Facts, asked: NetworkTrait) -> tuple[str, str]:
    """A property as an input of a decision: name and value, and whether it was assumed."""
    attribute = {NetworkTrait.CHECKS: "source_destination_checks", NetworkTrait.POD_ADDRESSES: "pod_addresses"}
    stated = getattr(facts.network, attribute.get(asked, asked.value))
    value = "true" if lets(facts, asked) else "false"
    return (
        f"network.{asked.value}",
        value if stated is not None else f"{value} (assumed, provider {facts.provider.value})",
    )


def encapsulation(facts: Facts, where: str) -> Outcome:
    """None in one subnet; IP-in-IP for all where the network insists on machines' addresses; VXLAN without BGP.

    Args:
        facts: of the cluster.
        where: place to show if the answer is no.
    """
    native_stopped = [
        reason
        for stops, reason in (
            (not lets(facts, NetworkTrait.BGP), "routes are distributed over BGP, which is blocked"),
            (lets(facts, NetworkTrait.CHECKS), "the network checks that source and destination are machines"),
            (not lets(facts, NetworkTrait.POD_ADDRESSES), "the network does not carry packets with pods' addresses"),
        )
        if stops
    ]
    ipip_stopped = [
        reason
        for stops, reason in (
            (not lets(facts, NetworkTrait.BGP), "routes are distributed over BGP, which is blocked"),
            (not lets(facts, NetworkTrait.IPIP), "the network drops IP-in-IP (IP protocol 4)"),
        )
        if stops
    ]
    inputs = dict(trait(facts, each) for each in NetworkTrait)
    inputs["subnets"] = ", ".join(str(each) for each in facts.subnets)
    fields = ((_POOL, ("spec", "ipipMode")), (_POOL, ("spec", "vxlanMode")))
    not_ipip = Alternative(Encapsulation.IPIP.value, "; ".join(ipip_stopped))
    not_native = Alternative(Encapsulation.NONE.value, "; ".join(native_stopped))
    if not native_stopped:
        return Decision(
            "encapsulation",
            Encapsulation.NONE.value,
            "within one subnet every node is the next hop of its pods' addresses, so packets travel as they are",
            inputs,
            (
                Alternative(Encapsulation.IPIP.value, "costs 20 bytes and work for every packet, for nothing here"),
                Alternative(Encapsulation.VXLAN.value, "costs 50 bytes and work for every packet, for nothing here"),
            ),
            "packets between nodes carry the addresses of pods; whoever filters between nodes must let them pass",
            section("Single Subnet Configuration"),
            fields,
        )
    if not ipip_stopped:
        return Decision(
            "encapsulation",
            Encapsulation.IPIP.value,
            "where packets with pods' addresses do not travel, all of them are wrapped in packets between machines",
            inputs,
            (not_native, Alternative(Encapsulation.VXLAN.value, "needs 30 bytes more than IP-in-IP, which works here")),
            "every packet between nodes costs 20 bytes more; turn the checks off to be rid of it",
            section("Full IP-in-IP Configuration"),
            fields,
        )
    if lets(facts, NetworkTrait.VXLAN):
        return Decision(
            "encapsulation",
            Encapsulation.VXLAN.value,
            "where neither plain packets nor IP-in-IP can be used, VXLAN is, which needs no BGP",
            inputs,
            (not_native, not_ipip),
            "every packet between nodes costs 50 bytes more; do not change this in a running cluster",
            section("VXLAN Configuration"),
            fields,
        )
    return (
        Problem(
            "no way for packets between nodes is left: "
            + "; ".join(dict.fromkeys([*native_stopped, *ipip_stopped, "VXLAN is blocked"])),
            where,
            "allow UDP port 4789 (VXLAN) between the nodes, or TCP port 179 and IP protocol 4, or turn the checks off",
            section("Routing Methods"),
        ),
    )


def mtu(facts: Facts, chosen: Encapsulation, where: str) -> Outcome:
    """The network's MTU less what the encapsulation adds."""
    inside = encapsulation_mtu(facts.network_mtu, chosen)
    overhead = facts.network_mtu - inside
    if inside < SMALLEST_USEFUL_MTU:
        return (
            Problem(
                f"{chosen.value} leaves {inside} of {facts.network_mtu} bytes, less than {SMALLEST_USEFUL_MTU}",
                where,
                f"raise the network's MTU to at least {SMALLEST_USEFUL_MTU + overhead}",
                section("MTU Configuration"),
            ),
        )
    fields = {
        Encapsulation.NONE: (),
        Encapsulation.IPIP: ((_FELIX, ("spec", "ipipMTU")),),
        Encapsulation.VXLAN: ((_FELIX, ("spec", "vxlanMTU")),),
        Encapsulation.WIREGUARD: (),
    }[chosen]
    return Decision(
        "MTU",
        str(inside),
        f"the network's MTU less {overhead} bytes for {chosen.value}",
        {"networkMTU": str(facts.network_mtu), "encapsulation": chosen.value},
        (
            Alternative("smaller", "wastes room in every packet"),
            Alternative("larger", "packets between nodes would be dropped or cut into pieces"),
        ),
        "only new pods get another MTU after a change",
        section("MTU Configuration"),
        fields,
    )


def route_distribution(facts: Facts, chosen: Encapsulation, where: str) -> Outcome:
    """A full mesh below 50 nodes; nothing where VXLAN needs none; reflectors are another blueprint's."""
    inputs = {"nodes": str(len(facts.nodes)), "plannedNodes": str(facts.size), "encapsulation": chosen.value}
    fields = ((_BGP, ("spec", "nodeToNodeMeshEnabled")),)
    no_reflectors = Alternative(
        "route reflectors", "a central point that has to be kept alive; not needed below 50 nodes"
    )
    if chosen is Encapsulation.VXLAN:
        return Decision(
            "route distribution",
            "none",
            "VXLAN routes follow from the datastore; BGP without peers outside is only overhead",
            inputs,
            (Alternative("node-to-node mesh", "nobody would use its routes"), no_reflectors),
            "to announce pods to the network later, switch BGP on again and add peers",
            section("VXLAN Configuration"),
            fields,
        )
    if facts.size >= MESH_LIMIT:
        return (
            Problem(
                f"{facts.size} nodes are too many for a full mesh: every node would hold {facts.size - 1} sessions",
                where,
                "use the blueprint route_reflectors, or plan for fewer than 50 nodes",
                section("Route Distribution"),
            ),
        )
    return Decision(
        "route distribution",
        "node-to-node mesh",
        "below 50 nodes every node peers with every other: adequate, and nothing to look after",
        inputs,
        (no_reflectors, Alternative("top-of-rack switches", "needs BGP in the network's own devices")),
        f"every node holds {facts.size - 1} sessions at full size; from 50 nodes on reflectors are needed",
        section("Route Distribution"),
        fields,
    )


def as_number(facts: Facts, where: str) -> Outcome:
    """The number that was given, else Calico's default."""
    given = facts.as_number
    reserved = {
        0: "RFC 7607 keeps it for nobody",
        23456: "RFC 6793 keeps it as a placeholder",
        65535: "RFC 7300 keeps it",
        4294967295: "RFC 7300 keeps it",
    }
    if given is not None and int(given) in reserved:
        return (
            Problem(
                f"AS number {given} must not be used: {reserved[int(given)]}",
                where,
                "use a private one, 64512..65534 or 4200000000..4294967294",
                "RFC 6996",
            ),
        )
    chosen = LOWEST_AS_OF_CALICO if given is None else int(given)
    return Decision(
        "AS number",
        str(chosen),
        "all nodes share one AS" + ("" if given is not None else "; without a wish, Calico's default"),
        {"asNumber": "unset" if given is None else str(given)},
        (Alternative("one AS for each rack", "for networks whose own switches are peers, in several subnets"),),
        "peers outside the cluster must expect this number",
        section("Global Route Reflection"),
        ((_BGP, ("spec", "asNumber")),),
    )
