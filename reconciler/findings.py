"""What is found when nodes' reports are held against what must be true before a gate: pure functions of snapshots."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from muslin.resources.node import Node
from muslin.semantics.routes import node_address
from muslin.semantics.sessions import SessionKind, sessions
from muslin.semantics.snapshot import Snapshot
from reconciler.gates import Finding
from reconciler.node_reports import NodeReport

__all__ = ["agents_finding", "excuses", "is_excused", "routes_finding", "sessions_finding"]


_MOST_EXCUSES: Final = 2000
"""More are remembered for whole nodes: they stand in an object that stores limit in size."""


def is_excused(excused: Collection[str], node: str, peer: str) -> bool:
    """Whether a session was down before, as `excuses` says it."""
    return f"{node} {peer}" in excused or f"{node} *" in excused


def sessions_finding(
    after: Snapshot,
    reports: Mapping[str, NodeReport],
    *,
    before: Snapshot | None = None,
    excused: Collection[str] = (),
    must: Collection[str] = (),
) -> Finding:
    """Whether every node could do with the sessions that it will have.

    A node that loses an Established session must have all that remain Established, and over one of them a route if
    any of its remaining peers is a node with routes of its own. A session that is reported to be of the mesh and by now
    is not, or the other way round, was reported before its change arrived, and does not count; nor does one of which
    only one end knows: the other has ended it, and could not say so.

    Args:
        after: Nodes, BGPPeers and BGPConfigurations as they will be.
        reports: Mapping[node, its report].
        before: the same as they are; then nodes that lose no session are not looked at.
        excused: `node peer` of sessions that are not looked at.
        must: nodes that are looked at although they lose no session.
    """
    serving, ends = _serving(after, reports), _Ends(after, reports)
    lacks: list[str] = []
    unheard: list[str] = []
    at_rest = True
    for node in after.all(Node):
        name = node.metadata.name
        remaining = _peers(after, name)
        had = remaining if before is None else _peers(before, name)
        report = reports.get(name)
        if report is None or not report.heard:
            if had.keys() - remaining.keys() or ((before is None or name in must) and remaining):
                unheard.append(f"{name} does not report its sessions")
            continue
        loses = not report.established.keys() & had.keys() <= remaining.keys()
        if before is not None and not loses and name not in must:
            continue
        at_rest = False
        kept = remaining.keys() & had.keys()
        missing = sorted(
            peer
            for peer in kept
            if not (report.established.get(peer) == had[peer] and ends.agree(name, peer))
            and not is_excused(excused, name, peer)
        )
        lacks += [f"{name} has no session with {peer}" for peer in missing]
        if not kept and had and loses:
            lacks.append(f"{name} would be left without a session")
        elif not missing and kept & serving and not kept & set(report.learnt.values()):
            lacks.append(f"{name} has learnt no route from the peers that remain")
    return Finding(tuple(lacks), tuple(unheard), at_rest)


class _Ends:
    """Whether both ends of a session say that it is there."""

    def __init__(self, after: Snapshot, reports: Mapping[str, NodeReport]) -> None:
        self._reports = reports
        self._addresses = {node.metadata.name: _addresses(node) for node in after.all(Node)}
        self._owner = {address: name for name, held in self._addresses.items() for address in held}

    def agree(self, name: str, peer: str) -> bool:
        """As far as the peer is a node that reports."""
        report = self._reports.get(self._owner.get(peer, ""))
        if report is None or not report.heard:
            return True
        return any(address in report.established for address in self._addresses.get(name, ()))


def _addresses(node: Node) -> tuple[str, ...]:
    return tuple(str(each) for each in (node_address(node, 4), node_address(node, 6)) if each is not None)


def _peers(snapshot: Snapshot, node: str) -> dict[str, bool]:
    """Mapping[address of each peer, as text; whether the session is of the mesh]."""
    return {str(each.peer_address): each.kind is SessionKind.NODE_MESH for each in sessions(snapshot, node)}


def routes_finding(
    blocks: Mapping[str, Collection[str]], reports: Mapping[str, NodeReport], *, excused: Collection[str] = ()
) -> Finding:
    """Whether every node that reports has a route to the blocks of every other one.

    Args:
        blocks: Mapping[node, prefixes that it holds].
        reports: Mapping[node, its report].
        excused: `node routes` of nodes that are not looked at.
    """
    lacks = []
    for name, report in sorted(reports.items()):
        if not report.heard or f"{name} routes" in excused:
            continue
        missing = sorted(
            prefix for other, held in blocks.items() if other != name for prefix in held if prefix not in report.learnt
        )
        if missing:
            lacks.append(f"{name} has no route to {', '.join(missing[:3])}{' and others' if missing[3:] else ''}")
    return Finding(tuple(lacks))


def excuses(now: Snapshot, reports: Mapping[str, NodeReport], blocks: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """What is wrong before a commit comes, and so is not its fault: `node peer` and `node routes`.

    Where that is very much, `node *` stands for all sessions of the nodes that lack most.
    """
    missing: dict[str, list[str]] = {}
    routes: list[str] = []
    for node in now.all(Node):
        report = reports.get(node.metadata.name)
        if report is not None and report.heard:
            wanted = _peers(now, report.node)
            missing[report.node] = sorted(wanted.keys() - report.established.keys())
            if routes_finding(blocks, {report.node: report}).lacks:
                routes.append(f"{report.node} routes")
    count = sum(map(len, missing.values()))
    for name in sorted(missing, key=lambda each: -len(missing[each])):
        if count <= _MOST_EXCUSES:
            break
        count -= len(missing[name]) - 1
        missing[name] = ["*"]
    return (*(f"{name} {peer}" for name, peers in missing.items() for peer in peers), *routes)


def _serving(after: Snapshot, reports: Mapping[str, NodeReport]) -> frozenset[str]:
    """Addresses of nodes that have routes of their own to tell."""
    telling = {name for name, report in reports.items() if "" in report.learnt.values()}
    return frozenset(each for node in after.all(Node) if node.metadata.name in telling for each in _addresses(node))


def agents_finding(nodes: Iterable[str], reports: Mapping[str, NodeReport], revision: int) -> Finding:
    """Whether every node's agent has applied what was written up to a revision of the datastore."""
    lacks, unheard, heard = [], [], False
    for node in nodes:
        report = reports.get(node)
        if report is None or report.applied is None or not report.applied.isdecimal():
            unheard.append(f"{node} does not say what it has applied")
            continue
        heard = True
        if int(report.applied) < revision:
            lacks.append(f"{node} has applied revision {report.applied}, not yet {revision}")
    return Finding(tuple(lacks), tuple(unheard), at_rest=True, deaf=not heard)
