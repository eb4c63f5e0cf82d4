"""The reconciler of one set: branch, ledger and datastore in, writes and status out; looks again whenever woken.

The desired state is a function of the commit in force. A commit comes into force when all of it can be read and
its plan is within the budget; its id is written into the ledger, so after a restart the same commit is in force
whatever the branch says meanwhile. Clock, randomness, datastore and source are handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from muslin.datastore.protocol import Conflict, Datastore
from muslin.errors import MuslinError, Problem, Unavailable
from muslin.resources.keys import Key
from reconciler.addresses_in_use import blocks_of
from reconciler.apply import Outcome, apply
from reconciler.choice import choose
from reconciler.ledger import Ledger
from reconciler.live import Live, listed
from reconciler.loop import Backoff, Loop
from reconciler.manifests import Reading, declarable
from reconciler.plan import Budget, Plan, plan
from reconciler.source import Head, Source
from reconciler.status import Event, EventKind, Repair, Status, StatusBoard
from reconciler.telling import Teller, fetch_words

__all__ = ["Controller", "Settings"]

_CLUSTER: Final = Key("ClusterInformation", "default")


@dataclass(frozen=True, slots=True)
class Settings:
    """How one set is reconciled. `poll_s`: look again after this time without any wake-up."""

    set_name: str = "default"
    poll_s: float = 60.0
    budget: Budget = field(default_factory=Budget)
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=0.05, limit_s=10.0))


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
            self._look,
            random=random,
            resync_s=settings.poll_s,
            backoff=settings.backoff,
            on_failure=self._failed,
        )
        self._live = Live(datastore, (*declarable(), _CLUSTER.kind), random=random, changed=self._loop.wake)
        self._stopped = asyncio.Event()
        self.last: Status | None = None

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
        try:
            await _either(following, self._may_begin())
            await _either(following, self._loop.run())
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def once(self, attempts: int = 5) -> Status:
        """One look that went through, after at most so many attempts; gives what it found.

        Raises:
            Unavailable: datastore or mirror did not answer.
            Conflict: others write all the time.
        """
        entries, _ = await listed(self._datastore, (*declarable(), _CLUSTER.kind))
        for key, entry in entries.items():
            self._live.wrote(key, entry)
        for attempt in range(1, attempts + 1):
            try:
                await self._look()
                break
            except (Unavailable, Conflict) as error:
                self._failed(error, None)
                if attempt == attempts:
                    raise
                await asyncio.sleep(self._settings.backoff.first_s * attempt)
                entries, _ = await listed(self._datastore, (*declarable(), _CLUSTER.kind))
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

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            await self._look_once()
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
        try:
            if self._ledger is None:
                ledger = await Ledger.load(self._datastore, self._settings.set_name)
                await self._live.refresh(key for key, mine in ledger.owned.items() if mine.intent is not None)
                self._ledger = ledger
            await self._reconcile(head, self._ledger)
        except MuslinError:
            self._ledger = None
            raise

    async def _reconcile(self, head: Head, ledger: Ledger) -> None:
        status = Status(
            fetch=fetch_words(head), seen=head.commit, accepted=ledger.accepted, applied=self._board.applied
        )
        if self._paused():
            self._teller.say(EventKind.PAUSED, "the datastore is not ready (ClusterInformation), nothing is written")
            await self._show(replace(status, paused=True), ())
            return
        choice = await choose(
            self._source, head, ledger, self._settings.budget, lambda reading: self._plan(reading, ledger)
        )
        if choice.missing is not None:
            self._teller.say(EventKind.FETCH, choice.missing, ledger.accepted)
        if choice.problems:
            status = replace(status, held=head.commit, reason=choice.reason, problems=choice.problems)
            for problem in choice.problems:
                self._teller.say(EventKind.COMMIT_HELD, f"{problem.where}: {problem.what}; {problem.fix}", head.commit)
        if choice.reading is None or choice.plan is None:
            await self._show(replace(status, plan=self._board.last_plan), ())
            return
        commit, proposed = choice.reading.commit, choice.plan
        if commit != ledger.accepted:
            await ledger.change({}, accepted=commit)
            self._teller.forget()
            self._teller.event(EventKind.COMMIT_ACCEPTED, f"{len(choice.reading.resources)} resources", commit)
        outcome = Outcome()
        if proposed:
            self._live.about_to_write()
            outcome = await apply(self._datastore, proposed, ledger, wrote=self._live.wrote)
        repairs = self._teller.outcome(proposed, outcome, self._time())
        status = replace(
            status,
            accepted=commit,
            applied=commit if outcome.complete else status.applied,
            plan=proposed.counts if proposed.steps else self._board.last_plan or proposed.counts,
            blocked=tuple((each.key, each.why.value, each.problem) for each in proposed.blocked),
            failed=tuple((step.key, problem) for step, problems in outcome.failed for problem in problems[:1]),
            waiting=tuple((step.key, other) for step, other in outcome.waiting),
        )
        await self._show(status, repairs)
        if outcome.stale:
            raise Unavailable(
                Problem(
                    f"{len(outcome.stale)} objects were written by others meanwhile",
                    ", ".join(str(step.key) for step in outcome.stale[:5]),
                    "nothing: they are planned again",
                )
            )

    async def _plan(self, reading: Reading, ledger: Ledger) -> Plan:
        blocks = await blocks_of(self._datastore, reading, ledger, self._live.entries)
        return plan(
            reading.commit,
            reading.resources,
            self._live.entries,
            ledger.owned,
            canonical=self._live.canonical,
            others=ledger.others,
            blocks=blocks,
        )

    async def _show(self, status: Status, repairs: tuple[Repair, ...]) -> None:
        if self.last is None or self.last.fetch != status.fetch:
            words = [str(word) for word in status.fetch.values() if word]
            said = " ".join(words) or "no fetcher has run: start `muslin fetch` with the same --mirror"
            self._teller.event(EventKind.FETCH, said, status.seen)
        self.last = status
        await self._board.show(status, repairs, self._time())

    def _paused(self) -> bool:
        entry = self._live.entries.get(_CLUSTER)
        spec = entry.value.get("spec") if entry is not None else None
        return isinstance(spec, Mapping) and spec.get("datastoreReady") is False

    def _failed(self, error: BaseException, retry_after_s: float | None) -> None:
        self._ledger = None
        kind = EventKind.FAILED if retry_after_s is None else EventKind.RETRY
        after = "" if retry_after_s is None else f"; again in {retry_after_s:.2f} s"
        self._teller.event(kind, f"{str(error).splitlines()[0]}{after}")

    def _time(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _either(following: asyncio.Future[None], deed: Coroutine[Any, Any, None]) -> None:
    """Wait for the deed; a watch that ends by a fault of the program ends the deed as well."""
    task = asyncio.ensure_future(deed)
    try:
        await asyncio.wait((following, task), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            following.result()
        else:
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
