"""Who learns whose routes: a small obvious model of iBGP, reflection and switches over `muslin.semantics`' sessions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from blueprints.facts import Facts
from muslin.resources import dump
from muslin.resources.base import Resource
from muslin.resources.node import Node
from muslin.semantics.sessions import sessions
from muslin.semantics.snapshot import Snapshot

__all__ = ["cluster", "everybody_learns", "reached"]


def cluster(facts: Facts, resources: Iterable[Resource]) -> Snapshot:
    """The cluster with these resources, once every agent has told its node's addresses."""
    given = tuple(resources)
    declared: dict[str, Node] = {each.metadata.name: each for each in given if isinstance(each, Node)}
    nodes = []
    for told in facts.nodes:
        bgp: dict[str, object] = {}
        for version, field in ((4, "ipv4Address"), (6, "ipv6Address")):
            subnet, address = facts.subnet_of(told, version), told.address_of(version)
            if address is not None:
                bgp[field] = f"{address}/{subnet.cidr.prefixlen if subnet else address.max_prefixlen}"
        labels = dict(told.labels)
        if told.name in declared:
            bgp |= dump(declared[told.name])["spec"].get("bgp", {})
            labels |= declared[told.name].metadata.labels
        nodes.append(Node.model_validate({"metadata": {"name": told.name, "labels": labels}, "spec": {"bgp": bgp}}))
    return Snapshot.of([*(each for each in given if not isinstance(each, Node)), *nodes])


def reached(snapshot: Snapshot, source: str, peers: dict[str, set[str]]) -> set[str]:
    """Who learns a route of this node over iBGP: its peers, and the clients of those that reflect (RFC 4456)."""
    ids = {node.metadata.name: node.spec.bgp.route_reflector_cluster_id for node in snapshot.all(Node) if node.spec.bgp}
    learnt, waiting = {source}, deque((source, peer) for peer in peers[source])
    while waiting:
        teller, here = waiting.popleft()
        if here in learnt:
            continue
        learnt.add(here)
        if ids[here] is None:
            continue
        from_client = ids[teller] != ids[here]
        waiting.extend(
            (here, peer) for peer in peers[here] if peer != teller and (from_client or ids[peer] != ids[here])
        )
    return learnt


def everybody_learns(snapshot: Snapshot) -> bool:
    """Whether each node learns each other's routes: over iBGP, or from a fabric of switches."""
    found = {node.metadata.name: sessions(snapshot, node.metadata.name) for node in snapshot.all(Node)}
    peers = {name: {each.peer_node for each in held if each.peer_node} for name, held in found.items()}
    fabric = {name for name, held in found.items() if any(each.peer_node is None for each in held)}
    return all(reached(snapshot, name, peers) | (fabric if name in fabric else set()) == set(found) for name in found)
