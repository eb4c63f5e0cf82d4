"""The reconciler of one set: branch, ledger and datastore in, writes and status out; looks again whenever woken.

The desired state is a function of the commit in force. A commit comes into force when all of it can be read and
its plan is within the budget; its id is written into the ledger, so after a restart the same commit is in force
whatever the branch says meanwhile. Clock, randomness, datastore and source are handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Final

from muslin.datastore.field_ownership import FieldOwner
from muslin.datastore.protocol import Conflict, Datastore
from muslin.errors import MuslinError, Unavailable
from muslin.resources.keys import Key
from reconciler.addresses_in_use import effect
from reconciler.apply import Outcome, apply
from reconciler.choice import Choice, Terms, choose
from reconciler.control import KIND as CONTROL
from reconciler.control import Because, Control
from reconciler.drift import Fights
from reconciler.drifters import drifters
from reconciler.gates import GateSettings, Standing
from reconciler.guard import AskRevert, Guard, unapproved
from reconciler.hearing import Hearing
from reconciler.ledger import Ledger
from reconciler.live import Live, listed
from reconciler.loop import RETRYABLE, Loop
from reconciler.manifests import Reading, declarable
from reconciler.ownership import Ownership, manager_of
from reconciler.passage import Passage
from reconciler.plan import Hold, Plan, Step
from reconciler.probe_gate import ProbeGate
from reconciler.proposing import Proposer
from reconciler.settings import Settings
from reconciler.source import Head, ReadsFormer, Source, recall
from reconciler.staging import Judged, Staging, course_status
from reconciler.status import Event, EventKind, Repair, Status, StatusBoard
from reconciler.telling import Teller, fetch_words, moved_problem, stale_problem, with_outcome
from reconciler.together import either
from reconciler.trial import Trial

__all__ = ["Controller", "Settings"]

_CLUSTER: Final = Key("ClusterInformation", "default")
_WATCHED: Final = (*declarable(), _CLUSTER.kind, CONTROL)
_AT_ONCE: Final = 5
"""So many looks of `once` follow each other where the next one need not wait for anything."""


class Controller:
    """Reconciles until stopped.

    Args:
        datastore: what is written.
        source: what is declared.
        settings: how.
        random: jitter.
        now: wall clock, for times in the status.
        tell: is given every event.
        looked: is given what each look found, and how many seconds it took; also of a look that failed, which found
            what the one before it did.
        ask_revert: is told which commit is taken back now, for a commit that reverts it.
    """

    def __init__(
        self,
        datastore: Datastore,
        source: Source,
        settings: Settings,
        *,
        random: Random,
        now: Callable[[], datetime],
        tell: Callable[[Event], None],
        looked: Callable[[Status, float], None] | None = None,
        ask_revert: AskRevert | None = None,
    ) -> None:
        self._datastore = datastore
        self._source = source
        self._settings = settings
        self._now = now
        self._teller = Teller(tell)
        self._looked = looked
        self._ledger: Ledger | None = None
        self._board = StatusBoard(datastore, settings.set_name)
        self._board_loaded = False
        self._loop = Loop(
            self.look,
            random=random,
            resync_s=settings.poll_s,
            backoff=settings.backoff,
            on_failure=self._failed,
        )
        self._live = Live(datastore, _WATCHED, random=random, changed=self._loop.wake)
        self._guard = Guard(datastore, settings.set_name, self._live, self._time)
        self._hearing = Hearing(datastore, settings.set_name, random=random, wake=self._loop.wake)
        self._passage = Passage(self._hearing, settings.gates or GateSettings())
        self._probes = ProbeGate(
            datastore, settings.set_name, self._hearing, settings.gates or GateSettings(), settings.probes
        )
        self._trial = Trial(
            self._passage, self._guard, self._teller, self._live, ask_revert,
            probes=self._probes, on=settings.gates is not None,
        )  # fmt: skip
        self._fights = Fights()
        self._staging = Staging(
            datastore, self._hearing, settings.gates or GateSettings(), self._guard,
            teller=self._teller, live=self._live,
        )  # fmt: skip
        self._proposer = Proposer(datastore, settings, self._live, self._guard, fought_over=self._fights.stopped)
        self._rested: tuple[Head, int] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._again_s: float | None = None
        self._stopped = asyncio.Event()
        self.last: Status | None = None

    @property
    def looks(self) -> int:
        """How many looks have begun so far."""
        return self._teller.look

    def wake(self) -> None:
        """Look again: a push, or whatever else may have changed."""
        self._loop.wake()

    def stop(self) -> None:
        """End `run` after the look that is under way."""
        self._loop.stop()
        self._stopped.set()

    async def run(self) -> None:
        """Look whenever woken or due, until stopped or cancelled."""
        following = asyncio.ensure_future(self._live.run())
        self._hearing.follows = True
        try:
            await either(following, self._may_begin())
            await either(following, self._loop.run())
        finally:
            self._look_again_in(None)
            self._trial.asks_nothing()
            following.cancel()
            await asyncio.gather(following, self._hearing.quiet(), return_exceptions=True)

    async def once(self, attempts: int = 5) -> Status:
        """One look that went through, after at most so many attempts; gives what it found.

        Raises:
            Unavailable: datastore or mirror did not answer.
            Conflict: others write all the time.
        """
        entries, _ = await listed(self._datastore, _WATCHED)
        for key, entry in entries.items():
            self._live.wrote(key, entry)
        for attempt in range(1, attempts + 1):
            try:
                for _ in range(_AT_ONCE):
                    await self.look()
                    if self._again_s != 0.0:
                        break
                break
            except (Unavailable, Conflict) as error:
                self._failed(error, None)
                if attempt == attempts:
                    raise
                await asyncio.sleep(self._settings.backoff.first_s * attempt)
                entries, _ = await listed(self._datastore, _WATCHED)
                for key in set(self._live.entries) - set(entries):
                    self._live.wrote(key, None)
                for key, entry in entries.items():
                    self._live.wrote(key, entry)
        assert self.last is not None
        return self.last

    async def _may_begin(self) -> None:
        """Until the first full copy is here, or we are stopped while the datastore is away."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._live.in_sync, self._stopped)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def look(self) -> None:
        """One look at what is known; `run` and `once` do this. Raises `MuslinError`."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            await self._look_once()
        except MuslinError as error:
            if not isinstance(error, RETRYABLE):
                await self._show_failure(error)
            raise
        finally:
            if self._looked is not None and self.last is not None:
                self._looked(self.last, clock() - began)

    async def _look_once(self) -> None:
        """One whole look: choose the commit, plan, apply, say."""
        self._teller.look += 1
        if not self._board_loaded:
            await self._board.load()
            self._board_loaded = True
        head = await self._source.head()
        if self._rested == (head, self._live.version):
            return  # all was as declared, and nothing has moved since
        self._rested = None
        try:
            if self._ledger is None:
                ledger = await Ledger.load(self._datastore, self._settings.set_name)
                await self._live.refresh(key for key, mine in ledger.owned.items() if mine.intent is not None)
                await recall(self._source, ledger)
                self._ledger = ledger
            await self._reconcile(head, self._ledger)
        except MuslinError:
            self._ledger = None
            raise

    async def _reconcile(self, head: Head, ledger: Ledger) -> None:
        control = self._guard.seen
        self._trial.asks(control)
        status = Status(
            fetch=fetch_words(head, control.held), seen=head.commit, accepted=ledger.accepted,
            applied=self._board.applied, suspended=control.suspended,
        )  # fmt: skip
        self._look_again_in(None)
        if self._paused() or control.suspended is not None:
            await self._leave_alone(replace(status, paused=self._paused()))
            return
        choice = await choose(
            self._source, head, ledger, self._terms(control), lambda read: self._proposer.plan(read, ledger)
        )
        if choice.missing is not None:
            self._teller.say(EventKind.FETCH, choice.missing, ledger.accepted)
        if problems := (*choice.problems, *head.problems):
            held = head.commit if choice.problems else head.held
            reason = choice.reason or Hold.PROBLEMS
            status = replace(status, held=held, reason=reason, problems=problems, digest=choice.digest)
            for problem in problems:
                self._teller.say(EventKind.COMMIT_HELD, f"{problem.where}: {problem.what}; {problem.fix}", held)
        if choice.reading is None or choice.plan is None:
            await self._show(replace(status, plan=self._board.last_plan), ())
            return
        if choice.plan or choice.reading.commit != ledger.accepted:
            known, control = control, await self._guard.now()
            if (control.suspended, control.held, control.others) != (known.suspended, known.held, known.others):
                self._look_again_in(0.0)  # somebody said so after the watch last told us
                return
        await self._bring_into_force(choice, ledger, control, status, head)

    async def _bring_into_force(
        self, choice: Choice, ledger: Ledger, control: Control, status: Status, head: Head
    ) -> None:
        assert choice.reading is not None
        assert choice.plan is not None
        commit, proposed = choice.reading.commit, choice.plan
        self._probes.declare(commit, choice.reading.probes)
        if commit != ledger.accepted:
            control = await self._accept(choice.reading, proposed, ledger)
        elif self._settings.approval and (moved := self._unapproved(proposed, control)):
            problem, digest = moved_problem(proposed, len(moved))
            self._teller.say(EventKind.COMMIT_HELD, f"{problem.what}; {problem.fix}", commit)
            held = replace(status, held=commit, reason=Hold.NOT_APPROVED, problems=(problem,), digest=digest)
            await self._show(held, ())
            return
        if proposed.course is not None:
            self._staging.tell(proposed.course, commit)
        standings = await self._trial.standings(proposed, ledger, control)
        if standings.failed is not None and await self._trial.take_back(Because.GATE_FAILED, standings.failed, ledger):
            self._look_again_in(0.0)
            return
        outcome, who = Outcome(), dict[Key, FieldOwner]()
        if proposed:
            who |= await drifters(self._datastore, proposed.steps, manager_of(self._settings.set_name))
            self._live.about_to_write()
            outcome = await apply(
                self._datastore, proposed, ledger, wrote=self._live.wrote, closed=standings.closed,
                staged_first=self._settings.staged_first,
                ownership=Ownership(manager_of(self._settings.set_name), self._settings.ownership),
            )  # fmt: skip
        unwritten = (*(step for step, _ in (*outcome.failed, *outcome.waiting)), *outcome.stale)
        self._passage.refused = frozenset(step.key for step in unwritten)
        repairs = self._teller.outcome(proposed, outcome, self._time(), who)
        for repair in repairs:
            self._fights.repaired(repair.key, repair.fields, asyncio.get_running_loop().time())
        judged: Judged | None = None
        if outcome.complete and proposed.course is not None:
            judged = await self._staging.judge(proposed, control)
            if judged.failed is not None and await self._trial.take_back(Because.GATE_FAILED, judged.failed, ledger):
                self._look_again_in(0.0)
                return
        complete = outcome.complete and proposed.course is None
        watched = await self._trial.watch_over(commit, control, ledger) if complete else None
        if watched is not None and watched.standing is Standing.FAILED:
            if await self._trial.take_back(Because.HEALTH_FAILED, watched, ledger):
                self._look_again_in(0.0)
                return
            await self._guard.is_believed(commit)
        believed = watched is None or watched.standing not in (Standing.WAITING, Standing.SETTLING)
        verdicts = (*standings.verdicts, *(judged.verdicts if judged else ()), *([watched] if watched else ()))
        status = replace(
            with_outcome(status, proposed, outcome, verdicts),
            applied=commit if complete and believed else status.applied,
            plan=proposed.counts if proposed.steps else self._board.last_plan or proposed.counts,
            stage=course_status(proposed.course, self._guard.seen, commit) if proposed.course else None,
        )
        await self._show(status, repairs)
        if believed and complete:
            await self._hearing.rest()
            await self._probes.rest()
            if not (proposed or proposed.blocked or status.problems):
                self._rested = (head, self._live.version)
        over = judged is not None and judged.over and proposed.course is not None
        if over and proposed.course is not None:
            await self._staging.move_on(commit, proposed.course, self._time())
        again = [each.again_s for each in verdicts if each.again_s is not None] + [0.0] * (outcome.follows or over)
        self._look_again_in(min(again, default=None))
        if outcome.stale:
            raise Unavailable(stale_problem(outcome.stale))

    async def _accept(self, reading: Reading, proposed: Plan, ledger: Ledger) -> Control:
        """The commit comes into force, whatever becomes of it: from now on a crash goes on with it."""
        await ledger.still_so()  # who led before, and stood still meanwhile, must not undo what is remembered of others
        excused = await self._trial.baseline(proposed) if ledger.accepted is not None else None
        held = self._guard.seen.held
        await self._guard.comes_into_force(proposed, excused, approval=self._settings.approval)
        control = await self._staging.set_out(reading, proposed, ledger.accepted, self._time())
        back = held is not None and held.back_to == reading.commit
        good = ledger.accepted if self._board.applied == ledger.accepted else ledger.before or ledger.accepted
        way = self._source.way(reading.commit) if isinstance(self._source, ReadsFormer) else None
        await ledger.change({}, accepted=reading.commit, before=None if back else good, way=way)
        await recall(self._source, ledger)
        self._trial.asks(control)
        self._teller.forget()
        if self._fights.forget():
            self._loop.wake()  # this plan still left alone what was fought over
        self._teller.event(EventKind.COMMIT_ACCEPTED, f"{len(reading.resources)} resources", reading.commit)
        return control

    def _unapproved(self, proposed: Plan, control: Control) -> tuple[Step, ...]:
        """Who approved a commit's plan has read its stages too."""
        staged = frozenset() if proposed.course is None else proposed.course.touched
        return tuple(step for step in unapproved(proposed, control) if step.key not in staged)

    async def _leave_alone(self, status: Status) -> None:
        if status.suspended is not None:
            said = f"by {status.suspended.by}: {status.suspended.reason}; nothing is written until it is resumed"
            self._teller.say(EventKind.SUSPENDED, said)
        if status.paused:
            self._teller.say(EventKind.PAUSED, "the datastore is not ready (ClusterInformation), nothing is written")
        await self._show(status, ())

    def _terms(self, control: Control) -> Terms:
        approved = control.approved.digest if control.approved is not None else None
        budget = self._settings.budget
        return Terms(
            budget, control.held, self._settings.approval, approved, lambda made: effect(self._datastore, made, budget)
        )

    def _look_again_in(self, seconds: float | None) -> None:
        """Look again after this time, None for only when woken."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._again_s = seconds
        if seconds is not None:
            self._again = asyncio.get_running_loop().call_later(seconds, self._loop.wake)

    async def _show(self, status: Status, repairs: tuple[Repair, ...]) -> None:
        self._teller.fetched(self.last.fetch if self.last is not None else None, status.fetch, status.seen)
        self.last = status
        await self._board.show(status, repairs, self._time())

    async def _show_failure(self, error: MuslinError) -> None:
        """While no look comes to its end the status must not say that all is well."""
        with suppress(MuslinError):
            self.last = replace(
                self.last or Status(applied=self._board.applied, plan=self._board.last_plan), problems=error.problems
            )
            await self._board.show(self.last, (), self._time())

    def _paused(self) -> bool:
        entry = self._live.entries.get(_CLUSTER)
        spec = entry.value.get("spec") if entry is not None else None
        return isinstance(spec, Mapping) and spec.get("datastoreReady") is False

    def _failed(self, error: BaseException, retry_after_s: float | None) -> None:
        self._ledger, self._rested = None, None
        kind = EventKind.FAILED if retry_after_s is None else EventKind.RETRY
        after = "" if retry_after_s is None else f"; again in {retry_after_s:.2f} s"
        self._teller.event(kind, f"{str(error).splitlines()[0]}{after}")

    def _time(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
