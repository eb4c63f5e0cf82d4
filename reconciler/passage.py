"""Stands before gates: reads what nodes report, only while there is something to wait for, and wakes the reconciler.

Waiting holds nothing: a look that meets a closed gate ends, and the next one begins when a node reports something else,
when the gate's own time is over, or when another commit arrives. A CalicoNodeStatus that no agent keeps is made here,
and removed when nothing waits any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from muslin import resources
from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, NotFound
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
from reconciler.ledger import Ledger
from reconciler.levels import Placed, levels
from reconciler.live import Live, listed
from reconciler.node_reports import NodeReport, by_node, made_for_gate, status_to_make
from reconciler.order import Group, Stage, stage
from reconciler.plan import Plan

__all__ = ["Passage", "Standings"]

_KINDS = ("CalicoNodeStatus", "BlockAffinity")
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
        datastore: where nodes report.
        set_name: whose gates.
        settings: how long to wait.
        random: jitter.
        wake: called when a node reports something else while a gate is closed.
    """

    def __init__(
        self, datastore: Datastore, set_name: str, settings: GateSettings, *, random: Random, wake: Callable[[], None]
    ) -> None:
        self._datastore, self._set, self._random, self._wake = datastore, set_name, random, wake
        self._keeper = Gatekeeper(settings)
        self._live: Live | None = None
        self._following: asyncio.Task[None] | None = None
        self._made: set[Key] = set()
        self._swept = False
        self.follows = False
        """Whether a look may leave something running that wakes the next one."""

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
        self._keeper.of(plan.commit)
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
        if not any(step.key.kind in _ROUTING and step.writes for step in plan.steps):
            return None
        reports, blocks = await self._reports()
        if not any(report.heard for report in reports.values()):
            return None
        return excuses(_snapshot(live, ()), reports, blocks)

    async def health(self, commit: str, live: Mapping[Key, Entry], excused: Collection[str], now: float) -> Verdict:
        """Whether a commit that is applied did no harm."""
        self._keeper.of(commit)
        reports, blocks = await self._reports()
        found = sessions_finding(_snapshot(live, ()), reports, excused=excused)
        routes = routes_finding(blocks, reports, excused=excused)
        return self._keeper.judge(_HEALTH, Finding((*found.lacks, *routes.lacks), found.unheard), now)

    async def quiet(self) -> None:
        """Stop listening; what was made stays, for the next process to find."""
        task, self._following, self._live = self._following, None, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def rest(self) -> None:
        """Nothing waits: stop listening, and take back what was made for it."""
        await self.quiet()
        if self._made:
            entries, _ = await listed(self._datastore, ("CalicoNodeStatus",))
            for key, entry in entries.items():
                if made_for_gate(entry, self._set):
                    with suppress(NotFound, Conflict):
                        await self._datastore.delete(key, entry.revision)
            self._made.clear()

    async def _agents(self, gate: Gate, look: _Look) -> Verdict | None:
        """What this commit allows must be in force everywhere before it denies; None where it allows nothing new."""
        pending = any(
            each.place.stage in _LOOSENING and not each.place.delete and each.step.writes for each in look.placed
        )
        revision = 0
        for key, mine in look.ledger.owned.items():
            entry = look.live.get(key)
            if entry is not None and mine.commit == look.plan.commit and stage(key, entry.value) in _LOOSENING:
                revision = max(revision, int(entry.revision) if entry.revision.isdecimal() else 0)
        nodes = [key.name for key in look.live if key.kind == "Node"]
        if not nodes or not (pending or revision):
            return None
        reports, _ = await self._reports()
        found = agents_finding(nodes, reports, revision)
        if pending and not found.deaf:
            return Verdict(gate, Standing.WAITING, ("what allows is written first",), 0.0)
        return self._keeper.judge(gate, found, look.now)

    async def _sessions(self, gate: Gate, group: Group, look: _Look) -> Verdict:
        """What remains must be up before something goes; what comes first must be written before it can be."""
        first = {each.group for each in look.placed if each.step.writes and _comes_first(each, group)}
        if first:
            again_s = None if first & look.closed else 0.0
            return Verdict(gate, Standing.WAITING, ("what remains is written first",), again_s)
        reports, _ = await self._reports()
        upto = [each for each in look.placed if group[1] or (not each.place.delete and each.place.stage <= group[0])]
        after = _snapshot(look.live, upto)
        reflecting = [each.step.key.name for each in look.placed if each.group == group == (Stage.REFLECTORS, False)]
        found = sessions_finding(after, reports, before=_snapshot(look.live, ()), must=reflecting)
        verdict = self._keeper.judge(gate, found, look.now)
        if verdict.standing is Standing.WAITING and found.unheard:
            await self._ask_nodes(key.name for key in look.live if key.kind == "Node" and key.name not in reports)
        return verdict

    async def _ask_nodes(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            key = Key("CalicoNodeStatus", node)
            if key not in self._made:
                with suppress(AlreadyExists):
                    await self._datastore.create(key, status_to_make(node, self._set))
                self._made.add(key)

    async def _reports(self) -> tuple[dict[str, NodeReport], dict[str, list[str]]]:
        """Mapping[node, report] and Mapping[node, blocks]: from the copy that is kept, else asked for now."""
        if self._live is not None and self._live.in_sync.is_set():
            entries: Mapping[Key, Entry] = self._live.entries
        else:
            entries, _ = await listed(self._datastore, _KINDS)
            self._follow()
        if not self._swept:
            # a reconciler before us may have been killed at a gate
            self._swept = True
            self._made |= {key for key, each in entries.items() if _is_made(each, self._set)}
        blocks: dict[str, list[str]] = {}
        for key, entry in entries.items():
            spec = entry.value.get("spec")
            if key.kind == "BlockAffinity" and isinstance(spec, Mapping) and spec.get("state") == "confirmed":
                blocks.setdefault(str(spec.get("node")), []).append(str(spec.get("cidr")))
        return by_node(each for key, each in entries.items() if key.kind == "CalicoNodeStatus"), blocks

    def _follow(self) -> None:
        if self.follows and self._following is None:
            self._live = Live(self._datastore, _KINDS, random=self._random, changed=self._wake)
            self._following = asyncio.ensure_future(self._live.run())


def _comes_first(each: Placed, group: Group) -> bool:
    """Whether a change of routing is of a group before this one: of writes those before, of deletes all writes."""
    if each.step.key.kind not in _ROUTING or each.place.delete or each.group == group:
        return False
    return group[1] or each.place.stage < group[0]


def _is_made(entry: Entry, set_name: str) -> bool:
    return entry.key.kind == "CalicoNodeStatus" and made_for_gate(entry, set_name)


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
