"""Which nodes reflect routes, under which id, and what that costs in sessions, beside the mesh."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from blueprints.asking import Asked
from blueprints.decision import Alternative, Decision, Outcome, section
from blueprints.fact_parts import NodeFacts, NodeRole
from blueprints.facts import Facts
from blueprints.musts import Must, refuse
from muslin import resources
from muslin.errors import Problem
from muslin.net import ClusterId
from muslin.resources.keys import Key

if TYPE_CHECKING:
    from muslin.resources.bgp_peer import BGPPeer

__all__ = [
    "CLUSTER_ID", "LABEL", "cluster_id", "global_sessions", "mesh_sessions", "peer_resources", "placement",
    "reflectors", "release_commands", "taint_commands",
]  # fmt: skip

LABEL: Final = "route-reflector"
"""Whoever has this label reflects; its value is the text "true": labels have no booleans."""
CLUSTER_ID: Final = ClusterId("1.0.0.1")
"""Id of the reflectors where nobody gives one, as the architecture has it."""

_AT_LEAST: Final = 2
_SOURCE: Final = section("Global Route Reflection")


def mesh_sessions(nodes: int) -> int:
    """Sessions of a full mesh."""
    return nodes * (nodes - 1) // 2


def global_sessions(nodes: int, reflecting: int) -> int:
    """Sessions where everybody peers with every reflector, and these with each other."""
    return reflecting * (nodes - reflecting) + mesh_sessions(reflecting)


def _rack_sessions(facts: Facts) -> str:
    """Sessions of two reflectors a rack (or subnet) that serve only it, and peer with those of all others."""
    groups = Counter(_domain(facts, node) for node in facts.nodes)
    reflecting = sum(min(_AT_LEAST, members) for members in groups.values())
    within = sum(min(_AT_LEAST, members) * max(0, members - _AT_LEAST) for members in groups.values())
    return (
        f"{within + mesh_sessions(reflecting)} sessions with {reflecting} reflectors for {len(groups)} racks or subnets"
    )


def _domain(facts: Facts, node: NodeFacts) -> str:
    """What a node fails with: its rack, else its subnet."""
    return f"rack {node.rack}" if node.rack is not None else f"subnet {facts.subnet_of(node)}"


def reflectors(asked: Asked) -> tuple[NodeFacts, ...]:
    """The nodes that reflect: those that are named for it, else a choice; refusals are noted. Empty after these."""
    facts = asked.facts
    named = tuple(node for node in facts.nodes if NodeRole.REFLECTOR in node.roles)
    if not named:
        return _choice(asked)
    problems = tuple(_objections(asked, named))
    asked.add(problems)
    return () if problems else named


def _objections(asked: Asked, named: Sequence[NodeFacts]) -> Iterable[Problem]:
    facts = asked.facts
    if len(named) < _AT_LEAST:
        what = f"{named[0].name} alone would reflect all routes: when it fails, nobody learns any"
        yield from refuse(Must.TWO_REFLECTORS, what, asked.place("nodes"), "give at least two nodes the role reflector")
    without = [
        each
        for each in facts.subnets_of(facts.first_family)
        if not any(facts.subnet_of(node) is each for node in named)
    ]
    for subnet in without:
        if any(facts.subnet_of(node) is subnet for node in facts.nodes):
            what = f"no reflector stands in {subnet}: cut off from the others, its nodes would learn no routes"
            fix = f"give a node in {subnet} the role reflector"
            yield from refuse(Must.REFLECTOR_IN_EACH_SUBNET, what, asked.place("nodes"), fix)
    racks = {node.rack for node in named}
    if len(named) >= _AT_LEAST and len(racks) == 1 and None not in racks and len({n.rack for n in facts.nodes}) > 1:
        what = f"all reflectors stand in rack {named[0].rack} and fail with it"
        yield from refuse(
            Must.REFLECTORS_APART, what, asked.place("nodes"), "give a node of another rack the role reflector"
        )


def _choice(asked: Asked) -> tuple[NodeFacts, ...]:
    """One of each subnet, then as many as are missing; racks apart; never the control plane."""
    facts = asked.facts
    candidates = [node for node in facts.nodes if NodeRole.CONTROL_PLANE not in node.roles]
    if len(candidates) < _AT_LEAST + 1:
        asked.add(
            refuse(
                Must.TWO_REFLECTORS,
                f"of {len(candidates)} nodes beside the control plane two can't be set aside to reflect",
                asked.place("nodes"),
                "add nodes with the role reflector, or use a mesh below 50 nodes",
            )
        )
        return ()
    taken: list[NodeFacts] = []
    for subnet in facts.subnets_of(facts.first_family):
        here = [node for node in candidates if facts.subnet_of(node) is subnet]
        if here:
            taken.append(_apart(here, taken))
        elif any(facts.subnet_of(node) is subnet for node in facts.nodes):
            what = f"in {subnet} there is only the control plane, which does not reflect"
            fix = f"add a node with the role reflector in {subnet}"
            asked.add(refuse(Must.REFLECTOR_IN_EACH_SUBNET, what, asked.place("nodes"), fix))
    while len(taken) < _AT_LEAST:
        taken.append(_apart([node for node in candidates if node not in taken], taken))
    return tuple(sorted(taken, key=lambda node: node.name))


def _apart(candidates: Sequence[NodeFacts], taken: Sequence[NodeFacts]) -> NodeFacts:
    racks = Counter(node.rack for node in taken)
    return min(candidates, key=lambda node: (racks[node.rack], node.name))


def placement(asked: Asked, chosen: Sequence[NodeFacts]) -> Outcome:
    """The decision that these nodes reflect, with what they and the others then carry."""
    facts = asked.facts
    named = any(NodeRole.REFLECTOR in node.roles for node in facts.nodes)
    racks = sorted({node.rack for node in chosen if node.rack is not None})
    size, count = facts.size, len(chosen)
    inputs = {
        "plannedNodes": str(size),
        "subnets": ", ".join(str(each) for each in facts.subnets_of(facts.first_family)),
        "racks": ", ".join(racks) or "unknown",
        "roles": "reflectors are named" if named else "no node is named for it",
    }
    return Decision(
        "reflectors",
        ", ".join(node.name for node in chosen),
        "at least two, at least one in each subnet, in different racks; they carry no other pods",
        inputs,
        (
            Alternative("full mesh", f"{mesh_sessions(size)} sessions, {size - 1} on every node"),
            Alternative(
                "reflectors of their own for each rack",
                f"of today's nodes: {_rack_sessions(facts)}; more to look after, for networks where nodes reach only"
                " their own",
            ),
        ),
        f"{global_sessions(size, count)} sessions: {count} on every node, {size - 1} on every reflector; "
        + ("drain and taint the reflectors" if named else "drain and taint these nodes: nothing else may run there")
        + ("" if len(racks) > 1 else "; say in which racks nodes stand, so that reflectors do not fail together"),
        _SOURCE,
        tuple((Key("Node", node.name), ("metadata", "labels")) for node in chosen),
    )


def cluster_id(asked: Asked, chosen: Sequence[NodeFacts]) -> Outcome:
    """One id: all reflectors serve the same clients."""
    given = asked.facts.cluster_id
    return Decision(
        "cluster ID",
        str(given or CLUSTER_ID),
        "all reflectors serve the same clients, so they share one id and drop what another has reflected already",
        {"clusterID": "unset" if given is None else str(given)},
        (
            Alternative(
                "one for each", "for reflectors that serve different clients: with one id these would miss routes"
            ),
        ),
        "a node leaves the mesh in the moment in which it gets the id",
        _SOURCE,
        tuple((Key("Node", node.name), ("spec", "bgp", "routeReflectorClusterID")) for node in chosen),
    )


def peer_resources() -> tuple[BGPPeer, ...]:
    """Who peers with whom: everybody with the reflectors, and these with each other."""
    return tuple(
        resources.BGPPeer.model_validate(
            {"metadata": {"name": name}, "spec": {"nodeSelector": clients, "peerSelector": f"has({LABEL})"}}
        )
        for name, clients in (("node-peer-to-rr", f"!has({LABEL})"), ("rr-to-rr-peer", f"has({LABEL})"))
    )


def release_commands(names: Sequence[str]) -> tuple[str, ...]:
    """What gives nodes that reflect no more back to other pods."""
    return tuple(f"kubectl taint node {name} {LABEL}=true:NoSchedule-" for name in names)


def taint_commands(names: Sequence[str]) -> tuple[str, ...]:
    """What keeps other pods away from the reflectors."""
    return tuple(
        command
        for name in names
        for command in (
            f"kubectl taint node {name} {LABEL}=true:NoSchedule",
            f"kubectl drain {name} --ignore-daemonsets --delete-emptydir-data",
            f"kubectl uncordon {name}",
        )
    )
