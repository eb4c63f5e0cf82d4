"""Reflectors of their own for each rack, for networks where nodes reach only these: sets with an id each, all peering.

Reflectors with one cluster ID drop what another of them has reflected (RFC 4456 section 8), so sets that serve
different clients must differ in it, and every reflector peers with every other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from blueprints.asking import Asked
from blueprints.decision import Alternative, Decision, section
from blueprints.fact_parts import NodeFacts, NodeRole
from blueprints.facts import Facts
from blueprints.musts import Must, refuse
from blueprints.reflectors import CLUSTER_ID, LABEL, global_sessions, mesh_sessions
from blueprints.switches import LABEL as RACK
from muslin import resources
from muslin.resources.keys import Key

if TYPE_CHECKING:
    from muslin.resources.bgp_peer import BGPPeer

__all__ = ["rack_cluster_ids", "rack_decisions", "rack_peers", "rack_sets"]

_EACH: Final = 2
_SOURCE: Final = section("Node-Specific Route Reflection")


def _racks(facts: Facts) -> list[str]:
    return sorted({node.rack for node in facts.nodes if node.rack is not None})


def rack_sets(asked: Asked) -> Mapping[str, tuple[NodeFacts, ...]]:
    """Mapping[rack, its reflectors]: those that are named, else two beside the control plane. Empty after refusals."""
    facts = asked.facts
    before = len(asked.problems)
    for index, node in enumerate(facts.nodes):
        if node.rack is None:
            what = f"node {node.name} stands in no rack, and only its rack's reflectors would tell it routes"
            asked.add(refuse(Must.SWITCH_IN_EACH_RACK, what, asked.place("nodes", index), "set its rack"))
    found = {}
    for rack in _racks(facts):
        here = sorted((node for node in facts.nodes if node.rack == rack), key=lambda node: node.name)
        named = [node for node in here if NodeRole.REFLECTOR in node.roles]
        free = [node for node in here if NodeRole.CONTROL_PLANE not in node.roles]
        chosen = tuple(named or free[:_EACH])
        if len(chosen) < _EACH:
            what = f"rack {rack} has not two nodes to reflect its routes: when one fails, its nodes learn none"
            fix = "give two of its nodes the role reflector, or leave reflectorsPerRack out"
            asked.add(refuse(Must.TWO_REFLECTORS, what, asked.place("nodes"), fix))
        found[rack] = chosen
    return found if len(asked.problems) == before else {}


def rack_cluster_ids(facts: Facts) -> Mapping[str, str]:
    """Mapping[rack, the cluster ID of its reflectors]: the given one, and those that follow it."""
    first = IPv4Address(str(facts.cluster_id or CLUSTER_ID))
    return {rack: str(first + index) for index, rack in enumerate(_racks(facts))}


def rack_decisions(asked: Asked, sets: Mapping[str, Sequence[NodeFacts]]) -> tuple[Decision, Decision]:
    """Who reflects in which rack, and under which ids."""
    facts = asked.facts
    reflecting = [node for each in sets.values() for node in each]
    ids = rack_cluster_ids(facts)
    clients = sum(len(sets[node.rack]) for node in facts.nodes if node.rack is not None and node not in sets[node.rack])
    count = len(reflecting)
    placement = Decision(
        "reflectors",
        "; ".join(f"{rack}: {', '.join(node.name for node in each)}" for rack, each in sets.items()),
        "asked for: each rack has reflectors of its own, at least two, which serve its nodes and peer with all others",
        {"reflectorsPerRack": "true", "racks": ", ".join(sets)},
        (
            Alternative("a few for all", f"{global_sessions(len(facts.nodes), _EACH)} sessions, and nothing to look "
                        "after for each rack; they must be reached from every rack"),
            Alternative("full mesh", f"{mesh_sessions(len(facts.nodes))} sessions"),
        ),
        f"{clients + mesh_sessions(count)} sessions of today's nodes: {_EACH} on a node, on a reflector those of its"
        f" rack's nodes and {count - 1} more; drain and taint these nodes: nothing else may run there",
        _SOURCE,
        tuple((Key("Node", node.name), ("metadata", "labels")) for node in reflecting),
    )  # fmt: skip
    ids_decision = Decision(
        "cluster ID",
        ", ".join(f"{ids[rack]} for {rack}" for rack in sets),
        "reflectors of one rack serve the same clients and share an id; others have another, or they would drop each"
        " other's routes",
        {"clusterID": "unset" if facts.cluster_id is None else str(facts.cluster_id)},
        (Alternative("one for all", "reflectors of different racks would drop each other's routes"),),
        "a node leaves the mesh in the moment in which it gets the id",
        _SOURCE,
        tuple((Key("Node", node.name), ("spec", "bgp", "routeReflectorClusterID")) for node in reflecting),
    )
    return placement, ids_decision


def rack_peers(facts: Facts) -> tuple[BGPPeer, ...]:
    """The nodes of each rack with its reflectors, and all reflectors with each other."""
    specs = {
        f"node-peer-to-rr-{number}": {
            "nodeSelector": f"{RACK} == '{rack}' && !has({LABEL})",
            "peerSelector": f"{RACK} == '{rack}' && has({LABEL})",
        }
        for number, rack in enumerate(_racks(facts), 1)
    }
    specs["rr-to-rr-peer"] = {"nodeSelector": f"has({LABEL})", "peerSelector": f"has({LABEL})"}
    return tuple(
        resources.BGPPeer.model_validate({"metadata": {"name": name}, "spec": spec}) for name, spec in specs.items()
    )
