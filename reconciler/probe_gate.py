"""Judges a commit that is on trial by what nodes answer to people's probes (`reconciler.probe_asking`).

Before a commit changes anything every probe is asked once: what does not hold then is not the commit's fault, and is
not held against it. Before each further level, and after the last, those that held must hold for the stability window,
and once more at its end, so that no old answer is taken for a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from muslin.datastore.protocol import Datastore, Entry
from muslin.resources.keys import Key
from reconciler.control import Watch
from reconciler.gates import Finding, Gate, Gatekeeper, GateKind, GateSettings, Standing, Verdict
from reconciler.hearing import Hearing
from reconciler.ledger import Ledger
from reconciler.levels import Level, levels, spoken
from reconciler.order import Group, Stage, stage
from reconciler.passage import Standings
from reconciler.plan import Cause, Plan
from reconciler.probe import Probe
from reconciler.probe_asking import Asking, Question
from reconciler.probe_questions import Holds, excuse, excused_probes

__all__ = ["ProbeGate", "Probed"]

_FIRST: Final = Gate(GateKind.PROBES, "the first change", guards=True)
_HEALTH: Final = Gate(GateKind.PROBES, "the commit is believed", guards=True)
_LOOK_FOR_PODS_S: Final = 1.0
_POLICY: Final = frozenset(
    {
        Stage.TIERS, Stage.SELECTED, Stage.ALLOWING, Stage.DENYING, Stage.CLOSING, Stage.SHUTTING,
    }
)  # fmt: skip
"""What agents say that they have applied; of other changes the stability window must be enough."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a look found out. `learnt`: what did not hold before the first change, once that is known."""

    standings: Standings
    learnt: tuple[str, ...] | None = None


class ProbeGate:
    """The probes of one set.

    Args:
        datastore: where nodes are asked.
        set_name: whose probes.
        hearing: what nodes report and answer.
        settings: how long to wait.
        allowed: so many probes may be asked; the repository's word alone is not enough.
    """

    def __init__(
        self, datastore: Datastore, set_name: str, hearing: Hearing, settings: GateSettings, allowed: int
    ) -> None:
        self._asking = Asking(datastore, set_name, hearing)
        self._settings, self._allowed = settings, allowed
        self._keeper = Gatekeeper(settings)
        self._commit: str | None = None
        self._probes: tuple[Probe, ...] = ()
        self._began: float | None = None
        self._closing: dict[Gate, float] = {}
        self._judged: Gate | None = None
        self._begun: set[Group] = set()

    def declare(self, commit: str, probes: tuple[Probe, ...]) -> None:
        """What the commit in force, or about to be, wants to hold."""
        if (commit, probes) != (self._commit, self._probes):
            self._commit, self._probes, self._began = commit, probes, None
            self._asking.about(probes)
            self._closing, self._begun, self._judged = {}, set(), None
            self._keeper.of(commit)

    @property
    def wanted(self) -> bool:
        """Whether there are probes, and they may be asked."""
        return 0 < len(self._probes) <= self._allowed

    @property
    def refused(self) -> Verdict | None:
        """Said of probes that are declared and may not be asked."""
        if not self._probes or self.wanted:
            return None
        why = (
            f"{len(self._probes)} probes are declared, and --probes lets this reconciler ask {self._allowed or 'none'}"
        )
        return Verdict(_HEALTH, Standing.NOT_AVAILABLE, (why,))

    async def before(
        self, found: Standings, plan: Plan, live: Mapping[Key, Entry], ledger: Ledger, watch: Watch | None
    ) -> Probed:
        """The gates before this plan's levels, added to what other gates say. Only what a commit changes is gated."""
        if not self.wanted or watch is None or watch.commit != plan.commit:
            return Probed(found)
        pending = self._pending(plan, found.closed)
        if not pending:
            return Probed(found)
        every = frozenset(each for level in pending for each in level.groups)
        asked = self._asked(plan.commit, live, ledger)
        learnt: tuple[str, ...] | None = None
        if not watch.probed_at:
            verdict, learnt = await self._baseline(asked)
            if learnt is None:
                return Probed(_with(_without_haste(found), every, verdict))
        elif self._begun or any(mine.commit == plan.commit for mine in ledger.owned.values()):
            verdict = await self._judge(_gate_of(pending[0]), asked, watch.excused)
            if not verdict.lets_pass:
                return Probed(_with(_without_haste(found), every, verdict))
        else:
            verdict = Verdict(_FIRST, Standing.OPEN)
        self._begun |= set(pending[0].groups) - found.closed
        verdict = replace(verdict, again_s=0.0)
        later = every - self._begun
        if later:
            said = Verdict(_gate_of(pending[1]), Standing.WAITING, ("what comes first is written first",), 0.0)
            return Probed(_with(found, later, verdict, said), learnt)
        return Probed(_with(found, (), verdict), learnt)

    async def health(
        self, live: Mapping[Key, Entry], ledger: Ledger, watch: Watch
    ) -> tuple[Verdict | None, tuple[str, ...] | None]:
        """Whether a commit that is applied did no harm, and what is learnt as by `before`; None where none is asked."""
        if not self.wanted:
            return None, None
        asked = self._asked(watch.commit, live, ledger)
        if not watch.probed_at:
            verdict, learnt = await self._baseline(asked)
            if learnt is not None:
                verdict = Verdict(_HEALTH, Standing.WAITING, ("the probes are asked",), 0.0)
            return verdict, learnt
        return await self._judge(_HEALTH, asked, watch.excused), None

    async def rest(self) -> None:
        """Nothing waits: take back what was asked, also by a process before us."""
        await self._asking.rest()

    def _pending(self, plan: Plan, closed: Collection[Group]) -> list[Level]:
        """Levels of changes that have not begun, without those that other gates hold back."""
        self._begun &= {each.group for level in levels(plan.steps) for each in level.steps}
        found = []
        for level in levels(plan.steps):
            groups = {
                each.group for each in level.steps if each.step.writes and each.step.cause is Cause.CHANGE
            } - self._begun  # fmt: skip
            if groups - set(closed):
                steps = tuple(each for each in level.steps if each.group in groups)
                found.append(Level(level.number, tuple(each for each in level.groups if each in groups), steps))
        return found

    def _asked(self, commit: str, live: Mapping[Key, Entry], ledger: Ledger) -> Question:
        """The question for now: another one after each write of this commit."""
        written = after = 0
        for key, mine in ledger.owned.items():
            entry = live.get(key)
            if mine.commit == commit and mine.intent is None:
                written += 1
                if entry is not None and entry.revision.isdecimal() and stage(key, entry.value) in _POLICY:
                    after = max(after, int(entry.revision))
        return Question(commit, str(written), after, asyncio.get_running_loop().time())

    async def _baseline(self, asked: Question) -> tuple[Verdict, tuple[str, ...] | None]:
        """What does not hold although nothing has been changed; what fails is looked at again for a while."""
        self._began = asked.now if self._began is None else self._began
        waited, settings = asked.now - self._began, self._settings
        results = await self._asking.results(Question(asked.commit, "before", 0, asked.now), self._probes)
        silent = tuple(why for each in results if each.silent for why in each.why)
        failing = tuple(why for each in results if each.holds is Holds.NO for why in each.why)
        if silent and waited < settings.unheard_s:
            return Verdict(_FIRST, Standing.WAITING, silent, self._soon(settings.unheard_s - waited)), None
        if failing and waited < settings.stable_s:
            return Verdict(_FIRST, Standing.SETTLING, failing, self._soon(settings.stable_s - waited)), None
        learnt = tuple(excuse(each) for each in results if each.holds is not Holds.YES)
        return Verdict(_FIRST, Standing.OPEN, learnt), learnt

    async def _judge(self, gate: Gate, asked: Question, excused: Collection[str]) -> Verdict:
        """How a gate stands of which the probes that held before must hold."""
        failed, unknown = excused_probes(excused)
        probes = [each for each in self._probes if each.name not in failed and each.name not in unknown]
        if not probes:
            return Verdict(gate, Standing.NOT_AVAILABLE, (*unknown.values(), *failed.values()))
        if self._judged not in (None, gate):
            self._forget(self._judged)
        self._judged = gate
        closing = self._closing.get(gate)
        phase = asked.phase if closing is None else f"{asked.phase} again"
        results = await self._asking.results(Question(asked.commit, phase, asked.after, asked.now), probes)
        lacks = tuple(why for each in results if each.holds is Holds.NO or each.silent for why in each.why)
        unheard = tuple(
            why for each in results if each.holds is Holds.UNKNOWN and not each.silent for why in each.why
        )  # fmt: skip
        if closing is not None and not any(each.holds is Holds.NO for each in results):
            left = self._settings.patience_s - (asked.now - closing)
            if not lacks and not unheard:
                self._forget(gate)
                return self._open(gate, unknown, failed)
            if left > 0:
                return Verdict(gate, Standing.SETTLING, ("asked once more", *lacks, *unheard), self._soon(left))
        self._closing.pop(gate, None)
        verdict = self._keeper.judge(gate, Finding(lacks, unheard), asked.now)
        if verdict.again_s is not None:
            verdict = replace(verdict, again_s=self._soon(verdict.again_s))
        if verdict.standing is Standing.OPEN:
            self._closing[gate] = asked.now
            return Verdict(gate, Standing.SETTLING, ("asked once more",), 0.0)
        return verdict

    def _soon(self, left_s: float) -> float:
        """When to look again where so much time is left: soon where pods are to be looked for, who tell nobody."""
        return min(left_s, _LOOK_FOR_PODS_S) if self._asking.looks_for_pods else left_s

    def _forget(self, gate: Gate | None) -> None:
        """The levels of one commit may have gates of one name, one after the other."""
        if gate is not None:
            self._keeper.forget(gate)
            self._closing.pop(gate, None)

    @staticmethod
    def _open(gate: Gate, unknown: Mapping[str, str], failed: Mapping[str, str]) -> Verdict:
        """Open as far as it is known; what nobody could ask is never told as open."""
        standing = Standing.NOT_AVAILABLE if unknown else Standing.OPEN
        return Verdict(gate, standing, (*unknown.values(), *failed.values()))


def _gate_of(level: Level) -> Gate:
    return Gate(GateKind.PROBES, "; ".join(spoken((level,))).partition(". ")[2], guards=True)


def _without_haste(found: Standings) -> Standings:
    """The same where nothing is written now: who waits for what is written first waits for our gate."""
    return Standings(
        tuple(replace(each, again_s=None) if each.again_s == 0.0 else each for each in found.verdicts), found.closed
    )


def _with(found: Standings, closed: Collection[Group], *verdicts: Verdict) -> Standings:
    """What other gates say, with these verdicts and groups more."""
    return Standings((*found.verdicts, *verdicts), found.closed | frozenset(closed))
