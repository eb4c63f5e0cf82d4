"""Stands before gates: judges them by what nodes report.

Waiting holds nothing: a look that meets a closed gate ends, and the next one begins when a node reports something else,
when the gate's own time is over, or when another commit arrives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from muslin import resources
from muslin.datastore.protocol import Entry
from muslin.errors import BadInput, MuslinError
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from reconciler.findings import agents_finding, excuses, routes_finding, sessions_finding
from reconciler.gates import (
    Finding,
    Gate,
    Gatekeeper,
    GateKind,
    GateSettings,
    Standing,
    Verdict,
    gate_before,
)
from reconciler.hearing import Hearing
from reconciler.ledger import Ledger
from reconciler.levels import Placed, levels
from reconciler.order import Group, Stage, stage
from reconciler.plan import Plan

__all__ = ["Passage", "Standings"]

_BGP = ("Node", "BGPPeer", "BGPConfiguration")
_LOOSENING = frozenset({Stage.TIERS, Stage.SELECTED, Stage.ALLOWING})
_ROUTING = frozenset({*_BGP, "BGPFilter", "IPPool"})
_HEALTH = Gate(GateKind.SESSIONS, "the commit is believed", guards=True)


@dataclass(frozen=True, slots=True)
class Standings:
    """How the gates of one look stand. `closed`: groups that must not be begun."""

    verdicts: tuple[Verdict, ...] = ()
    closed: frozenset[Group] = frozenset()

    @property
    def failed(self) -> Verdict | None:
        """The gate that was waited for too long."""
        return next((each for each in self.verdicts if each.standing is Standing.FAILED), None)


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look knows: the plan, its steps in the graph, what is there, the ledger, the time; and closed gates."""

    plan: Plan
    placed: Sequence[Placed]
    live: Mapping[Key, Entry]
    ledger: Ledger
    now: float
    closed: set[Group]


class Passage:
    """The gates of one set.

    Args:
        hearing: what nodes report.
        settings: how long to wait.
    """

    def __init__(self, hearing: Hearing, settings: GateSettings) -> None:
        self._hearing = hearing
        self._keeper = Gatekeeper(settings)
        self.refused: frozenset[Key] = frozenset()
        """What could not be written at the last look: another one at once would hardly write it."""

    async def before(
        self, plan: Plan, live: Mapping[Key, Entry], ledger: Ledger, now: float, *, forced: bool = False
    ) -> Standings:
        """How the gates before this plan's steps stand.

        Args:
            plan: of the commit in force.
            live: what is there.
            ledger: says what this commit has written already.
            now: seconds, on a clock that never goes back.
            forced: a gate that has failed lets pass: where we go back to what was good, there is nothing else to do.
        """
        self._keeper.of(plan.commit if plan.course is None else f"{plan.commit} {plan.course.number}")
        placed = [each for level in levels(plan.steps) for each in level.steps]
        gated: dict[Group, Gate] = {}
        for each in placed:
            gate = gate_before(each.group)
            if gate is not None and each.step.writes:
                gated[each.group] = gate
        verdicts: list[Verdict] = []
        closed: set[Group] = set()
        look = _Look(plan, placed, live, ledger, now, closed)
        for group, gate in gated.items():
            if gate.kind is GateKind.AGENTS:
                verdict = await self._agents(gate, look)
            else:
                verdict = await self._sessions(gate, group, look)
            if verdict is None:
                continue
            if forced and verdict.standing in (Standing.FAILED, Standing.NOT_AVAILABLE):
                verdict = Verdict(gate, Standing.LEFT_BEHIND, verdict.why)
            verdicts.append(verdict)
            if not verdict.lets_pass:
                closed.add(group)
        return Standings(tuple(verdicts), frozenset(closed))

    async def baseline(self, plan: Plan, live: Mapping[Key, Entry]) -> tuple[str, ...] | None:
        """What is wrong with sessions and routes before; None where the plan touches neither, or nobody reports."""
        if plan.course is None and not any(step.key.kind in _ROUTING and step.writes for step in plan.steps):
            return None
        reports, blocks = await self._hearing.reports()
        if not any(report.heard for report in reports.values()):
            return None
        return excuses(_snapshot(live, ()), reports, blocks)

    async def health(self, commit: str, live: Mapping[Key, Entry], excused: Collection[str], now: float) -> Verdict:
        """Whether a commit that is applied did no harm."""
        self._keeper.of(commit)
        reports, blocks = await self._hearing.reports()
        excused = frozenset(excused)
        found = sessions_finding(_snapshot(live, ()), reports, excused=excused)
        routes = routes_finding(blocks, reports, excused=excused)
        return self._keeper.judge(_HEALTH, Finding((*found.lacks, *routes.lacks), found.unheard), now)

    async def _agents(self, gate: Gate, look: _Look) -> Verdict | None:
        """What this commit allows must be in force everywhere before it denies; None where it allows nothing new."""
        pending = any(
            each.place.stage in _LOOSENING and not each.place.delete and each.step.writes
            for each in look.placed
            if each.step.key not in self.refused
        )  # fmt: skip
        revision = 0
        for key, mine in look.ledger.owned.items():
            entry = look.live.get(key)
            if entry is not None and mine.commit == look.plan.commit and stage(key, entry.value) in _LOOSENING:
                revision = max(revision, int(entry.revision) if entry.revision.isdecimal() else 0)
        nodes = [key.name for key in look.live if key.kind == "Node"]
        if not nodes or not (pending or revision):
            return None
        reports, _ = await self._hearing.reports()
        found = agents_finding(nodes, reports, revision)
        if pending and not found.deaf:
            return Verdict(gate, Standing.WAITING, ("what allows is written first",), 0.0)
        return self._keeper.judge(gate, found, look.now)

    async def _sessions(self, gate: Gate, group: Group, look: _Look) -> Verdict:
        """What remains must be up before something goes; what comes first must be written before it can be."""
        first = [each for each in look.placed if each.step.writes and _comes_first(each, group)]
        if first:
            waits = any(each.group in look.closed or each.step.key in self.refused for each in first)
            again_s = None if waits else 0.0
            return Verdict(gate, Standing.WAITING, ("what remains is written first",), again_s)
        reports, _ = await self._hearing.reports()
        upto = [each for each in look.placed if group[1] or (not each.place.delete and each.place.stage <= group[0])]
        after = _snapshot(look.live, upto)
        reflecting = [each.step.key.name for each in look.placed if each.group == group == (Stage.REFLECTORS, False)]
        found = sessions_finding(after, reports, before=_snapshot(look.live, ()), must=reflecting)
        if found.unheard:
            found = replace(found, unheard=(*self._hearing.refused, *found.unheard))
        verdict = self._keeper.judge(gate, found, look.now)
        if verdict.standing is Standing.WAITING and found.unheard:
            await self._hearing.ask_nodes(
                key.name for key in look.live if key.kind == "Node" and key.name not in reports
            )
        return verdict


def _comes_first(each: Placed, group: Group) -> bool:
    """Whether a change of routing is of a group before this one: of writes those before, of deletes all writes."""
    if each.step.key.kind not in _ROUTING or each.place.delete or each.group == group:
        return False
    return group[1] or each.place.stage < group[0]


def _snapshot(live: Mapping[Key, Entry], steps: Iterable[Placed]) -> Snapshot:
    """What decides about sessions, after these steps; what cannot be read counts as missing."""
    values = {key: entry.value for key, entry in live.items() if key.kind in _BGP}
    for each in steps:
        if each.step.key.kind in _BGP:
            if each.place.delete:
                values.pop(each.step.key, None)
            else:
                values[each.step.key] = each.step.value
    found: list[Resource] = []
    for value in values.values():
        with suppress(BadInput, MuslinError):
            found.append(resources.load(value))
    return Snapshot.of(found)
