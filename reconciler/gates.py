"""What must be true of the network before some changes are made, and after a commit: pure, time as a parameter.

A gate stands before a group of changes. It is judged from what nodes report at the moment of each look, so that a
reconciler that was killed stands before the same gate. What nobody reports is *not available*: it is said, and never
taken for true. A gate that guards an outage holds its changes then; one that only makes a change smoother lets go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from muslin.resources.node import Node
from muslin.semantics.routes import node_address
from muslin.semantics.sessions import SessionKind, sessions
from muslin.semantics.snapshot import Snapshot
from reconciler.node_reports import NodeReport
from reconciler.order import Group, Stage

__all__ = [
    "TIGHTENING", "Finding", "Gate", "GateKind", "GateSettings", "Gatekeeper", "Standing", "Verdict", "agents_finding",
    "excuses", "gate_before", "routes_finding", "sessions_finding",
]  # fmt: skip


class GateKind(StrEnum):
    """What is looked at."""

    SESSIONS = "Sessions"
    AGENTS = "Agents"


class Standing(StrEnum):
    """How a gate stands. LEFT_BEHIND: it was waited for long enough, and only guards a smooth change."""

    OPEN = "Open"
    WAITING = "Waiting"
    SETTLING = "Settling"
    FAILED = "Failed"
    NOT_AVAILABLE = "NotAvailable"
    LEFT_BEHIND = "LeftBehind"


@dataclass(frozen=True, slots=True)
class GateSettings:
    """How long gates wait, in seconds.

    Attributes:
        stable_s: a condition that was not true at first must stay true for so long.
        grace_s: a guarding gate that does not open within this has failed.
        agents_s: agents are waited for so long before a change that tightens policy.
        unheard_s: nodes that have not reported by then are not available.
    """

    stable_s: float = 5.0
    grace_s: float = 120.0
    agents_s: float = 2.0
    unheard_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate of one commit. `guards`: what it stands before would cut the network if it were not open."""

    kind: GateKind
    before: str
    guards: bool

    def __str__(self) -> str:
        return f"{self.kind} before {self.before}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is the case now: `met`, or not (`lacks`, in words), or not to be known (`unheard`, in words).

    `at_rest`: there is nothing that a wait could show, such as a session that was always there. `deaf`: nobody reports.
    """

    lacks: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()
    at_rest: bool = False
    deaf: bool = False

    @property
    def met(self) -> bool:
        """Whether the condition is true, and known to be."""
        return not self.lacks and not self.unheard


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a gate stands now, and why. `again_s`: look again after this time even if nothing is heard."""

    gate: Gate
    standing: Standing
    why: tuple[str, ...] = ()
    again_s: float | None = None

    @property
    def lets_pass(self) -> bool:
        """Whether the changes behind it may be made."""
        if self.standing is Standing.NOT_AVAILABLE:
            return not self.gate.guards
        return self.standing in (Standing.OPEN, Standing.LEFT_BEHIND)


_TICK_S: Final = 0.01
"""A wait is never shorter: what is left of one may be too little to move a clock."""

TIGHTENING: Final = frozenset({Stage.DENYING, Stage.CLOSING, Stage.SHUTTING})
_LOSING: Final[Mapping[Group, str]] = {
    (Stage.REFLECTORS, False): "nodes reflect",
    (Stage.MESH_OFF, False): "the mesh goes off",
    (Stage.RETIRING, False): "nodes give up peers",
    (Stage.PEERS, True): "BGP peers go",
    (Stage.NODES, True): "nodes go",
    (Stage.MESH, True): "the BGP configuration goes",
}
"""Changes that take sessions, or routes that came over them, away."""


def gate_before(group: Group) -> Gate | None:
    """The gate that stands before a group of changes."""
    if group in _LOSING:
        return Gate(GateKind.SESSIONS, _LOSING[group], guards=True)
    if group[0] in TIGHTENING and not group[1]:
        return Gate(GateKind.AGENTS, "policies deny", guards=False)
    if group == (Stage.ALLOWING, True):
        return Gate(GateKind.AGENTS, "policies that allow go", guards=False)
    return None


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
            and f"{name} {peer}" not in excused
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
    """What is wrong before a commit comes, and so is not its fault: `node peer` and `node routes`."""
    found = []
    for node in now.all(Node):
        report = reports.get(node.metadata.name)
        if report is not None and report.heard:
            wanted = _peers(now, report.node)
            found += [f"{report.node} {peer}" for peer in sorted(wanted.keys() - report.established.keys())]
            if routes_finding(blocks, {report.node: report}).lacks:
                found.append(f"{report.node} routes")
    return tuple(found)


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


class Gatekeeper:
    """Remembers since when each gate of the commit in force is asked for and is met.

    Args:
        settings: how long to wait.
    """

    def __init__(self, settings: GateSettings) -> None:
        self._settings = settings
        self._commit: str | None = None
        self._asked: dict[Gate, float] = {}
        self._met: dict[Gate, float] = {}

    def of(self, commit: str) -> None:
        """From now on about this commit; what was waited for before does not count."""
        if commit != self._commit:
            self._commit, self._asked, self._met = commit, {}, {}

    def judge(self, gate: Gate, finding: Finding, now: float) -> Verdict:
        """How the gate stands. `now` in seconds on a clock that never goes back."""
        first = gate not in self._asked
        since = self._asked.setdefault(gate, now)
        if not finding.met:
            self._met.pop(gate, None)
            return self._unmet(gate, finding, now - since)
        if first and finding.at_rest:
            return Verdict(gate, Standing.OPEN)
        if gate.kind is GateKind.AGENTS:
            return Verdict(gate, Standing.OPEN)
        left = self._settings.stable_s - (now - self._met.setdefault(gate, now))
        if left <= 0 or finding.at_rest:
            return Verdict(gate, Standing.OPEN)
        return Verdict(gate, Standing.SETTLING, ("it must stay so for a while",), max(left, _TICK_S))

    def _unmet(self, gate: Gate, finding: Finding, waited: float) -> Verdict:
        settings = self._settings
        why = (*finding.lacks, *finding.unheard)
        patience = settings.grace_s if gate.guards else settings.agents_s
        if finding.deaf and not gate.guards:
            return Verdict(gate, Standing.NOT_AVAILABLE, why)
        if not gate.guards and waited >= patience:
            return Verdict(gate, Standing.LEFT_BEHIND, why)
        if finding.lacks:
            if waited >= patience:
                return Verdict(gate, Standing.FAILED, why)
            return Verdict(gate, Standing.WAITING, why, max(patience - waited, _TICK_S))
        until = min(settings.unheard_s, patience)
        if waited >= until:
            return Verdict(gate, Standing.NOT_AVAILABLE, why)
        return Verdict(gate, Standing.WAITING, why, max(until - waited, _TICK_S))
