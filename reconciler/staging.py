"""Ends stages: looks whether what ends the one under way is so, says what people are to do, and moves on.

Waiting holds nothing, as before gates: a look ends, and the next one begins when what is waited for changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from blueprints.stages import Condition
from muslin.datastore.ipam import run
from muslin.datastore.protocol import Conflict, Datastore, Entry, Forbidden, NotFound
from muslin.ipam.affinities import Owner, release_affinity
from muslin.ipam.names import block_key
from muslin.resources.keys import Key
from reconciler.conditions import World, addresses_of, empty_blocks, finding, kinds_for
from reconciler.control import Control
from reconciler.course import PEOPLE, Course, commands_of, touched
from reconciler.course_record import ended, moved_on, set_out, underway
from reconciler.gates import Finding, Gate, Gatekeeper, GateKind, GateSettings, Standing, Verdict
from reconciler.guard import Guard
from reconciler.hearing import Hearing, told
from reconciler.live import Live
from reconciler.manifests import Reading
from reconciler.plan import Plan
from reconciler.status import EventKind
from reconciler.telling import Teller

__all__ = ["Judged", "Staging", "confirmation", "course_status"]

_NETWORK: Final = frozenset({Condition.SESSIONS, Condition.ROUTES})
_CONFIRMABLE: Final = PEOPLE - {Condition.POOL_EMPTY}
_HOST: Final = "host:"


@dataclass(frozen=True, slots=True)
class Judged:
    """How what ends a stage stands. `over`: all of it is so."""

    verdicts: tuple[Verdict, ...] = ()

    @property
    def over(self) -> bool:
        """Whether the next stage may begin."""
        return all(each.lets_pass for each in self.verdicts)

    @property
    def failed(self) -> Verdict | None:
        """What was waited for too long."""
        return next((each for each in self.verdicts if each.standing is Standing.FAILED), None)


class Staging:
    """The stages of one set's commits.

    Args:
        datastore: where blocks of pools that are empty are given back.
        hearing: what nodes report.
        settings: how long to wait.
        guard: remembers the stage.
        teller: says it.
        live: what is there.
    """

    def __init__(
        self,
        datastore: Datastore,
        hearing: Hearing,
        settings: GateSettings,
        guard: Guard,
        *,
        teller: Teller,
        live: Live,
    ) -> None:
        self._datastore, self._hearing, self._guard = datastore, hearing, guard
        self._teller, self._live = teller, live
        self._keeper = Gatekeeper(settings)

    async def set_out(self, reading: Reading, proposed: Plan, before: str | None, at: str) -> Control:
        """Before a commit is accepted: remember its course. `before` is the one in force until then."""
        return await self._guard.note(lambda control: set_out(control, reading, proposed.course, at, keep=before))

    async def move_on(self, commit: str, course: Course, at: str) -> None:
        """The stage under way is over: from now on the next one is, also after a crash."""
        if course.following is not None:
            await self._guard.note(lambda control: moved_on(control, commit, course.number, at))
        else:
            await self._guard.note(lambda control: ended(control, commit))
            self._teller.event(EventKind.STAGE, f"all {course.number} stages are over", commit)

    async def judge(self, proposed: Plan, control: Control) -> Judged:
        """Whether the stage is over, whose steps have all been taken."""
        course = proposed.course
        assert course is not None
        stage = course.stage
        self._keeper.of(f"{proposed.commit} {course.number}")
        now = asyncio.get_running_loop().time()
        seen = any(each.condition not in PEOPLE for each in stage.until)
        try:
            entries = await self._hearing.entries(kinds_for(stage.until), reports=seen)
            await self._give_back(course, entries)
        except Forbidden as error:
            # who may not look at pods or addresses does not find that there are none
            gate = Gate(GateKind.PEOPLE, f"the end of {course.title}", guards=True)
            verdict = Verdict(gate, Standing.NOT_AVAILABLE, (str(error).splitlines()[0],))
            self._say(verdict, proposed.commit)
            return Judged((verdict,))
        world = self._world(proposed, control, entries)
        confirmed = confirmation(course.number) in control.confirmed
        verdicts = list(self._blocked(proposed, course))
        for kind, first in _findings(course, world, confirmed=confirmed):
            found = replace(first, unheard=(*self._hearing.refused, *first.unheard)) if first.unheard else first
            gate = Gate(kind, f"the end of {course.title}", guards=kind is not GateKind.AGENTS)
            verdicts.append(self._judged(gate, found, now, confirmed=confirmed))
            if found.unheard:
                nodes = (key.name for key in self._live.entries if key.kind == "Node")
                await self._hearing.ask_nodes(each for each in nodes if each not in world.reports)
        for each in verdicts:
            if each.standing is not Standing.OPEN:
                self._say(each, proposed.commit)
        return Judged(tuple(verdicts))

    def _say(self, verdict: Verdict, commit: str) -> None:
        about = f"{verdict.gate}: {verdict.standing}"
        self._teller.say(EventKind.GATE, str(verdict), commit, about=about)

    def _judged(self, gate: Gate, found: Finding, now: float, *, confirmed: bool) -> Verdict:
        if gate.kind is GateKind.PEOPLE:
            return Verdict(gate, Standing.OPEN if found.met else Standing.WAITING, (*found.lacks, *found.unheard))
        verdict = self._keeper.judge(gate, found, now)
        if confirmed and verdict.standing is Standing.NOT_AVAILABLE:
            return Verdict(gate, Standing.OPEN)
        return verdict

    def _blocked(self, proposed: Plan, course: Course) -> Iterator[Verdict]:
        mine = set(touched(course.stage))
        why = tuple(f"{each.problem.what}: {each.problem.fix}" for each in proposed.blocked if each.key in mine)
        if why:
            yield Verdict(Gate(GateKind.PEOPLE, f"the end of {course.title}", guards=True), Standing.WAITING, why)

    def _world(self, proposed: Plan, control: Control, entries: Mapping[Key, Entry]) -> World:
        course = proposed.course
        assert course is not None
        reports, blocks = told(entries)
        revisions = [self._live.entries[key].revision for key in touched(course.stage) if key in self._live.entries]
        known = underway(control, proposed.commit)
        watching = control.watching
        return World(
            entries,
            addresses_of(self._live.entries),
            reports,
            blocks,
            max((int(each) for each in revisions if each.isdecimal()), default=0),
            known.since if known is not None else "",
            frozenset(watching.excused if watching is not None and watching.commit == proposed.commit else ()),
        )

    async def _give_back(self, course: Course, entries: Mapping[Key, Entry]) -> None:
        """Blocks of a pool that is drained and disabled are nobody's: no allocator comes by to give them back."""
        for each in course.stage.until:
            if each.condition is not Condition.POOL_EMPTY or each.prefix is None:
                continue
            for block in empty_blocks(each.prefix, entries):
                if block.affinity is None:
                    key = block_key(block.prefix)
                    with suppress(NotFound, Conflict):
                        await self._datastore.delete(key, entries[key].revision)
                elif block.affinity.startswith(_HOST):
                    owner = Owner(block.affinity.removeprefix(_HOST))
                    await run(self._datastore, release_affinity(owner, block.prefix, require_empty=True))

    def tell(self, course: Course, commit: str) -> None:
        """Say which stage is under way, and what people are to do: once for each process and stage."""
        stage = course.stage
        commands = commands_of(stage)
        asked = f"; for people: {'; '.join(commands)}" if commands else ""
        until = "; ".join(map(str, stage.until))
        self._teller.say(EventKind.STAGE, f"{course.title} ({course.procedure.name}), until {until}{asked}", commit)


def confirmation(number: int) -> str:
    """What a person confirms to let a stage end, as `muslin confirm stage NUMBER` writes it."""
    return str(Key("Stage", str(number)))


def course_status(course: Course, control: Control, commit: str) -> dict[str, Any]:
    """The stage that is under way, for the status."""
    stage = course.stage
    known = underway(control, commit)
    return {
        "number": course.number,
        "of": len(course.stages),
        "name": stage.name,
        "procedure": course.procedure.name,
        "since": known.since if known is not None else None,
        "until": [str(each) for each in stage.until],
        "people": any(each.condition in PEOPLE for each in stage.until),
        "commands": list(commands_of(stage)),
        "confirmable": bool(_CONFIRMABLE & {each.condition for each in stage.until}),
        "back": stage.back,
    }


def _findings(course: Course, world: World, *, confirmed: bool) -> Iterator[tuple[GateKind, Finding]]:
    """What is found of the stage's conditions, one finding a kind of gate.

    A person may say that pods are as they must be; that a pool is in use no word can change.
    """
    stage = course.stage
    network = [finding(each, world) for each in stage.until if each.condition in _NETWORK]
    people = [
        finding(each, world)
        for each in stage.until
        if each.condition in PEOPLE and not (confirmed and each.condition in _CONFIRMABLE)
    ]
    stored = [finding(each, world) for each in stage.until if each.condition is Condition.STORED]
    if network:
        yield GateKind.SESSIONS, _together(network)
    elif stored:
        yield GateKind.AGENTS, _together(stored)
    if people:
        yield GateKind.PEOPLE, _together(people)


def _together(found: Iterable[Finding]) -> Finding:
    every = tuple(found)
    lacks = dict.fromkeys(word for each in every for word in each.lacks)
    unheard = dict.fromkeys(word for each in every for word in each.unheard)
    return Finding(tuple(lacks), tuple(unheard))
