"""All that surrounds the controller of one set while it runs: log, history, notices, figures, health, election.

The controller tells events and what its looks found; everything here follows from these, is told in this order and
never waited for. Only the election decides anything: whether the controller runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from muslin.datastore.protocol import Datastore
from muslin.errors import MuslinError
from reconciler.operating.cluster_events import ClusterEvents, Write
from reconciler.operating.election import Change, Election, Timings
from reconciler.operating.history import History
from reconciler.operating.notices import Notices, Post, Target
from reconciler.operating.pages import Health
from reconciler.status import Event, EventKind, Status

if TYPE_CHECKING:
    from reconciler.operating.metrics import Metrics

__all__ = ["Candidate", "Operation", "Runs", "Telling"]

_LAST_WORDS_S = 2.0


class Runs(Protocol):
    """A controller, as far as it is run and stopped here."""

    async def run(self) -> None:
        """Until stopped."""
        ...

    def stop(self) -> None:
        """End `run` after the look that is under way."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """That we are one of several for a set, and under which name; `holder` differs for every process."""

    holder: str
    timings: Timings = field(default_factory=Timings)


@dataclass(frozen=True, slots=True)
class Telling:
    """Where a web address is told: whom, and by what."""

    target: Target
    post: Post


class Operation:
    """Runs one set's controller.

    Args:
        datastore: holds history and lease.
        set_name: of the set.
        run_id: what the ids of this process's looks begin with.
        now: wall clock.
        random: jitter.
        log: is told every event first.
        health: is told of looks.
        who: a commit's author, None where it is not known.
        metrics: takes figures, if anybody reads them.
        telling: the web address that is told, if any.
        write_event: creates Events of the core API, where the datastore is Kubernetes.
        candidate: given where several processes take turns; without it this one acts at once.
    """

    def __init__(
        self,
        datastore: Datastore,
        set_name: str,
        *,
        run_id: str,
        now: Callable[[], datetime],
        random: Random,
        log: Callable[[Event], None],
        health: Health,
        who: Callable[[str], str | None],
        metrics: Metrics | None = None,
        telling: Telling | None = None,
        write_event: Write | None = None,
        candidate: Candidate | None = None,
    ) -> None:
        self._set = set_name
        self._metrics = metrics
        self._health = health
        self._history = History(datastore, set_name, run_id=run_id, now=now, who=who)
        self._notices: Notices | None = None
        self._hear: list[Callable[[Event], None]] = [log, self._history.offer]
        self._work: list[Callable[[], Coroutine[Any, Any, None]]] = [self._history.run]
        if metrics is not None:
            self._hear.append(lambda event: metrics.event(set_name, event))
        if write_event is not None:
            events = ClusterEvents(write_event, set_name, run_id=run_id, now=now)
            self._hear.append(events.offer)
            self._work.append(events.run)
        if telling is not None:
            self._notices = Notices(telling.target, set_name, run_id=run_id, post=telling.post, now=now, random=random)
            self._hear.append(self._notices.offer)
            self._work.append(self._notices.run)
        self._election: Election | None = None
        if candidate is not None:
            self._election = Election(
                datastore, set_name, candidate.holder, now=now, tell=self._elected, timings=candidate.timings
            )
        self._stopping = False
        self._running: Runs | None = None

    def tell(self, event: Event) -> None:
        """Give an event to everybody. The controller is made with it."""
        for hear in self._hear:
            hear(event)

    def looked(self, status: Status, seconds: float) -> None:
        """A look ended. The controller is made with it."""
        self._health.looked(self._set)
        if self._metrics is not None:
            self._metrics.look(self._set, status, seconds)

    async def run(self, controller: Callable[[], Runs]) -> None:
        """Act, or wait for our turn, until `stop`. `controller` makes one anew for each time that we lead."""

        async def lead() -> None:
            self._running = controller()
            if self._stopping:
                return
            self._health.acts(self._set)
            try:
                await self._running.run()
            finally:
                self._running = None

        async with self.told():
            if self._election is None:
                if self._metrics is not None:
                    self._metrics.election(self._set, Change.LEADING)
                await lead()
            else:
                await self._election.run(lead)

    def stop(self) -> None:
        """End after the look that is under way; the lease is given away then."""
        self._stopping = True
        if self._running is not None:
            self._running.stop()
        elif self._election is not None:
            self._election.stop()

    @contextlib.asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """While inside, history and notices are written; what waits at the end is given a moment. `run` does this."""
        tasks = [asyncio.ensure_future(work()) for work in self._work]
        try:
            yield
        finally:
            with contextlib.suppress(MuslinError, TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self._history.flush()
                    if self._notices is not None:
                        await self._notices.sent()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _elected(self, change: Change, by: str) -> None:
        if self._metrics is not None:
            self._metrics.election(self._set, change)
        words = {
            Change.LEADING: f"this process acts now ({by})",
            Change.LOST: "the lease could not be kept: nothing is written until it is won again",
            Change.WAITING: f"{by} acts; this process waits for its lease",
        }
        if change is not Change.LEADING:
            self._health.stands_by(self._set)
        self.tell(Event(EventKind.ELECTION, 0, words[change]))
