"""The lab that a cluster's facts describe: its nodes, a bridge for each subnet, a router. What is not carried is told.

A lab has the agents of this version, and they do not carry everything that a blueprint may decide. Each such answer is
a refusal of its own, at the fact that leads to it. A bare lab has the network alone, and takes all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Final

from blueprints.decision import Blueprint
from blueprints.encapsulation import Mode
from blueprints.fact_parts import Distribution, SubnetFacts
from blueprints.facts import Facts
from muslin.errors import BadInput, Problem
from muslin.lab.topology import (
    LARGEST_MTU,
    MAX_NODES,
    OUTSIDE,
    ROUTER,
    SMALLEST_MTU,
    SWITCH,
    NodePlace,
    Segment,
    Topology,
    is_name,
)  # fmt: skip
from muslin.resources.places import FieldPath, Places, place_of

__all__ = ["topology_of_facts"]

_TAKEN: Final = (ROUTER, OUTSIDE, SWITCH)
_BARE: Final = "bring it up with --bare, to look at the network alone"


def topology_of_facts(
    facts: Facts,
    decided: Blueprint,
    *,
    name: str,
    bare: bool = False,
    places: Places | None = None,
    file: str | None = None,
) -> Topology:
    """The lab of a cluster.

    Args:
        facts: of the cluster.
        decided: what its blueprint decides.
        name: of the lab.
        bare: without our processes: then nothing has to be carried.
        places: where the facts stand in their text, if known.
        file: name of that text.

    Raises:
        BadInput: everything that this machine or this version can't bring up.
    """

    def at(*path: str | int) -> str:
        steps: FieldPath = path
        return str(place_of(steps, places, file))

    found = list(_impossible(facts, at))
    if not bare:
        found += _not_carried(facts, decided, at)
    if not is_name(name):
        found.append(Problem(f"{name!r} is not a name for a lab", "--name", "letters, digits and '-', 32 at most"))
    if found:
        raise BadInput(found)
    subnets = facts.subnets_of(4)
    segments = tuple(_segment(facts, each) for each in subnets)
    nodes = tuple(
        NodePlace(node.name, IPv4Interface(f"{node.address}/{segments[index].prefix.prefixlen}"), index)
        for node in facts.nodes
        for index, subnet in enumerate(subnets)
        if facts.subnet_of(node, 4) is subnet
    )
    made = Topology(name, nodes, segments, bare)
    return replace(made, pods=facts.pod_range) if isinstance(facts.pod_range, IPv4Network) else made


def _segment(facts: Facts, subnet: SubnetFacts) -> Segment:
    """A subnet with its router: the one that is given, else its last free address."""
    taken = {node.address for node in facts.nodes}
    hosts = subnet.cidr
    last = int(hosts.broadcast_address) - (1 if hosts.num_addresses > 2 else 0)
    free = (IPv4Address(each) for each in range(last, int(hosts.network_address), -1))
    router = subnet.router or next(each for each in free if each not in taken)
    return Segment(IPv4Interface(f"{router}/{hosts.prefixlen}"), _mtu(facts, subnet))


def _mtu(facts: Facts, subnet: SubnetFacts) -> int:
    own = [node.smallest_mtu for node in facts.nodes if facts.subnet_of(node, 4) is subnet]
    return min(each for each in (subnet.mtu or facts.network_mtu, *own) if each is not None)


def _impossible(facts: Facts, at: Callable[..., str]) -> Iterator[Problem]:
    """What a lab on this machine has no room or no way for, whether bare or not."""
    if len(facts.nodes) > MAX_NODES:
        what = f"{len(facts.nodes)} nodes are too many for one machine"
        yield Problem(what, at("nodes"), f"describe a part of the cluster, {MAX_NODES} nodes at most")
    for index, node in enumerate(facts.nodes):
        if not is_name(node.name) or node.name in _TAKEN:
            what = f"{node.name} can't be a node's name in a lab"
            fix = f"lower-case letters, digits and '-', 32 at most, and none of {', '.join(_TAKEN)}"
            yield Problem(what, at("nodes", index, "name"), fix)
    if facts.families != (4,):
        what = "a lab of this version has IPv4 alone"
        yield Problem(what, at("podRangeV6"), "leave podRangeV6 and addressV6 out, and give podRange")
    outside = Topology("lab", ()).outside.network
    for index, subnet in enumerate(facts.subnets_of(4)):
        if subnet.cidr.overlaps(outside):
            yield Problem(f"{subnet.cidr} is where the lab's outside is", at("subnets", index), "use another subnet")
        if subnet.cidr.prefixlen > 30:
            what = f"{subnet.cidr} has no address left for a router"
            yield Problem(what, at("subnets", index), "use a larger subnet")
        elif not SMALLEST_MTU <= _mtu(facts, subnet) <= LARGEST_MTU:
            what = f"links of a lab can't have an MTU of {_mtu(facts, subnet)}"
            yield Problem(what, at("subnets", index), f"{SMALLEST_MTU} to {LARGEST_MTU}")


def _not_carried(facts: Facts, decided: Blueprint, at: Callable[..., str]) -> Iterator[Problem]:
    """What the agents of this version do not carry."""
    answers = {each.name: each.chosen for each in decided.decisions}
    mode = answers.get("encapsulation")
    if mode is not None and mode != Mode.NATIVE.value:
        what = f"agents of this version encapsulate nothing, and the blueprint decides {mode}"
        yield Problem(what, at("network" if len(facts.subnets_of(4)) == 1 else "subnets"), _BARE)
    elif len(facts.subnets_of(4)) > 1:
        what = "the lab's router does not speak BGP, so between subnets nobody would know pods"
        yield Problem(what, at("subnets"), _BARE)
    if facts.wireguard:
        what = "agents of this version do not encrypt what nodes exchange"
        yield Problem(what, at("wireguard"), f"leave wireguard out, or {_BARE}")
    how = answers["route distribution"]
    if how == Distribution.REFLECTORS.value:
        what = "a lab of this version has no route reflectors"
        yield Problem(what, at("externalReflectors" if facts.external_reflectors else "plannedNodes"), _BARE)
    if facts.top_of_rack:
        what = "a lab of this version has no racks: nobody there plays the switches that nodes peer with"
        yield Problem(what, at("topOfRack"), f"leave topOfRack out, or {_BARE}")
    if facts.host_endpoints is not None:
        what = "agents of this version enforce nothing on the machines themselves"
        yield Problem(what, at("hostEndpoints"), f"leave hostEndpoints out, or {_BARE}")
    if decided.procedures:
        names: Sequence[str] = [each.name for each in decided.procedures]
        what = f"a lab is new, and the facts speak of a cluster that runs ({', '.join(names)})"
        yield Problem(what, at("running"), "leave running out")
