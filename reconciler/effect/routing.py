"""Which BGP sessions come, go and change, and which prefixes appear and vanish with them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from muslin.net import Prefix
from muslin.resources.base import Resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.ip_pool import IPPool
from muslin.resources.ipam import BlockAffinity, IPAMBlock
from muslin.resources.node import Node
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.announcements import announced, service_ranges
from muslin.semantics.sessions import Session, sessions
from muslin.semantics.snapshot import Snapshot

__all__ = ["Prefixes", "RoutingChange", "SessionChange", "differ", "routing_change"]


@dataclass(frozen=True, slots=True)
class SessionChange:
    """One end of a session; without `before` it comes, without `after` it goes, with both it is set up otherwise."""

    node: str
    before: Session | None
    after: Session | None

    @property
    def peer(self) -> str:
        """The other end, as a name where it is a node."""
        session = self.after or self.before
        assert session is not None
        port = "" if session.peer_port == _USUAL_PORT else f" port {session.peer_port}"
        return f"{session.peer_node or session.peer_address}{port}"

    @property
    def kind(self) -> str:
        """Why the session exists, or existed."""
        session = self.after or self.before
        assert session is not None
        return session.kind.value

    @property
    def changed(self) -> tuple[str, ...]:
        """What is set up otherwise, as `name: old -> new`; a password is told by the Secret that holds it."""
        if self.before is None or self.after is None:
            return ()
        pairs = (
            (each.name, getattr(self.before, each.name), getattr(self.after, each.name)) for each in fields(Session)
        )
        return tuple(f"{name}: {_word(old)} -> {_word(new)}" for name, old, new in pairs if old != new)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        session = self.after or self.before
        assert session is not None
        return {
            "node": self.node,
            "peer": str(session.peer_address),
            "peerPort": session.peer_port,
            "peerNode": session.peer_node,
            "peerAS": int(session.peer_as),
            "kind": self.kind,
            "changed": list(self.changed),
        }


@dataclass(frozen=True, slots=True)
class Prefixes:
    """What appears and vanishes in one place."""

    appear: tuple[Prefix, ...] = ()
    vanish: tuple[Prefix, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.appear or self.vanish)

    def to_json(self) -> dict[str, list[str]]:
        """For programs."""
        return {"appear": list(map(str, self.appear)), "vanish": list(map(str, self.vanish))}


@dataclass(frozen=True, slots=True)
class RoutingChange:
    """Sessions and prefixes.

    Attributes:
        came, went, changed: ends of sessions; one between two nodes has two.
        of_nodes: by node, what it tells whoever it talks to.
        of_peers: by address of a peer outside the cluster, what it hears from all nodes together.
    """

    came: tuple[SessionChange, ...] = ()
    went: tuple[SessionChange, ...] = ()
    changed: tuple[SessionChange, ...] = ()
    of_nodes: Mapping[str, Prefixes] | None = None
    of_peers: Mapping[str, Prefixes] | None = None

    def __bool__(self) -> bool:
        return bool(self.came or self.went or self.changed or self.of_nodes or self.of_peers)

    @property
    def nodes(self) -> frozenset[str]:
        """Nodes of which something changes."""
        ends = (each.node for each in (*self.came, *self.went, *self.changed))
        return frozenset(ends).union(self.of_nodes or ())


def differ(before: Snapshot, after: Snapshot, *kinds: type[Resource]) -> bool:
    """Whether any object of these kinds differs."""
    for kind in kinds:
        one, other = before.all(kind), after.all(kind)
        if len(one) != len(other) or any(a is not b and a != b for a, b in zip(one, other, strict=True)):
            return True
    return False


def routing_change(before: Snapshot, after: Snapshot) -> RoutingChange:
    """What a change does to BGP; nothing is computed where no object concerns it."""
    of_sessions = differ(before, after, Node, BGPPeer, BGPConfiguration)
    of_prefixes = of_sessions or differ(before, after, IPPool, IPAMBlock, BlockAffinity, WorkloadEndpoint)
    if not of_prefixes:
        return RoutingChange()
    told = announced(before), announced(after)
    ranges = service_ranges(before), service_ranges(after)
    changes: list[SessionChange] = []
    outside: tuple[_Outside, _Outside] = {}, {}
    speaking: set[str] = set()
    if of_sessions or after.all(BGPPeer):
        for node, ends in _sessions(before, after, both=of_sessions):
            for at in (0, 1):
                speaking |= {node} if ends[at] else set()
                for session in ends[at].values():
                    if session.peer_node is None:
                        outside[at].setdefault(str(session.peer_address), set()).add(node)
            if ends[0] is not ends[1]:
                changes += _session_changes(node, *ends)
    names = sorted({*told[0], *told[1]} | (speaking if ranges[0] != ranges[1] else set()))
    nodes = {
        name: _difference(told[0].get(name, frozenset()) | ranges[0], told[1].get(name, frozenset()) | ranges[1])
        for name in names
    }
    heard = tuple(_heard(outside[at], told[at], ranges[at]) for at in (0, 1))
    peers = {
        peer: _difference(heard[0].get(peer, frozenset()), heard[1].get(peer, frozenset()))
        for peer in sorted({*heard[0], *heard[1]})
    }
    return RoutingChange(
        tuple(each for each in changes if each.before is None),
        tuple(each for each in changes if each.after is None),
        tuple(each for each in changes if each.before is not None and each.after is not None),
        {name: each for name, each in nodes.items() if each},
        {peer: each for peer, each in peers.items() if each},
    )


_Ends = Mapping[tuple[str, int], Session]
"""A node's sessions by address and port of the peer."""

_Outside = dict[str, set[str]]
"""Peers outside the cluster by address, with the nodes that talk to them."""


def _sessions(before: Snapshot, after: Snapshot, *, both: bool) -> Iterator[tuple[str, tuple[_Ends, _Ends]]]:
    """Each node's sessions in both versions, one node at a time: a mesh has as many as the square of its nodes."""
    for name in sorted({node.metadata.name for snapshot in (before, after) for node in snapshot.all(Node)}):
        one = _of_node(before, name)
        yield name, (one, _of_node(after, name) if both else one)


def _of_node(snapshot: Snapshot, name: str) -> _Ends:
    return {(str(each.peer_address), each.peer_port): each for each in sessions(snapshot, name)}


def _session_changes(node: str, before: _Ends, after: _Ends) -> Iterator[SessionChange]:
    for peer in sorted({*before, *after}):
        if before.get(peer) != after.get(peer):
            yield SessionChange(node, before.get(peer), after.get(peer))


def _heard(
    outside: _Outside, told: Mapping[str, frozenset[Prefix]], ranges: frozenset[Prefix]
) -> Mapping[str, frozenset[Prefix]]:
    """Mapping[address of an outside peer, what nodes with a session to it tell]."""
    return {peer: ranges.union(*(told.get(node, frozenset()) for node in nodes)) for peer, nodes in outside.items()}


def _difference(before: frozenset[Prefix], after: frozenset[Prefix]) -> Prefixes:
    return Prefixes(_sorted(after - before), _sorted(before - after))


def _sorted(prefixes: Iterable[Prefix]) -> tuple[Prefix, ...]:
    return tuple(sorted(prefixes, key=lambda each: (each.version, int(each.network_address), each.prefixlen)))


_USUAL_PORT = 179


def _word(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return "Secret " + "/".join(map(str, value))
    return str(getattr(value, "value", value))
