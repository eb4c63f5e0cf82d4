"""What is to be done for one commit now: its plan, or that of the stage that a running cluster is in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from muslin.datastore.protocol import Datastore
from muslin.errors import Failed, Problem
from muslin.resources.keys import Key
from reconciler.addresses_in_use import blocks_of
from reconciler.control import Because
from reconciler.course import Course, desired, with_course
from reconciler.course_record import Underway, course_for, too_large, underway
from reconciler.guard import Guard
from reconciler.ledger import Ledger
from reconciler.live import Live
from reconciler.manifests import Declared, Reading
from reconciler.plan import Plan
from reconciler.planning import Leave, Settled, plan
from reconciler.settings import Settings

__all__ = ["Proposer"]


class Proposer:
    """Plans what one set's commits ask for.

    Args:
        datastore: asked who uses what may go.
        settings: of the set.
        live: what is there.
        guard: what is remembered.
        fought_over: objects that another writer puts back again and again, by the time now.
    """

    def __init__(
        self,
        datastore: Datastore,
        settings: Settings,
        live: Live,
        guard: Guard,
        *,
        fought_over: Callable[[float], Collection[Key]],
    ) -> None:
        self._datastore, self._settings = datastore, settings
        self._live, self._guard, self._fought_over = live, guard, fought_over
        self._settled: Settled = {}
        self._known: tuple[str, Underway, Course, Mapping[Key, Declared]] | None = None

    async def plan(self, reading: Reading, ledger: Ledger) -> Plan:
        """The plan of a commit. Raises `Unavailable`."""
        chosen = self._course(reading, ledger)
        wanted = reading
        if isinstance(chosen, Course):
            wanted = replace(reading, resources=self._desired(chosen, reading))
        blocks = await blocks_of(self._datastore, wanted, ledger, self._live.entries)
        control, now = self._guard.seen, asyncio.get_running_loop().time()
        leave = Leave(
            self._settings.drift,
            self._fought_over(now),
            self._settings.budget.confirm,
            control.confirmed,
            restore=control.held is not None and control.held.back_to == reading.commit,
        )
        made = plan(
            reading.commit,
            wanted.resources,
            self._live.entries,
            ledger.owned,
            canonical=self._live.canonical,
            others=ledger.others,
            blocks=blocks,
            leave=leave,
            settled=self._settled,
        )
        return with_course(made, chosen)

    def _course(self, reading: Reading, ledger: Ledger) -> Course | tuple[Problem, ...] | None:
        """The stages from what is there to a commit; for the one in force those in which it is already.

        Raises `Failed` where those are not possible any more.
        """
        if reading.facts is None:
            return None
        control, waits = self._guard.seen, self._settings.gates is not None
        held = control.held
        back = held is not None and held.back_to == reading.commit
        if back and reading.commit != ledger.accepted and held is not None and held.because is not Because.ASKED:
            return None  # what hurts goes at once: people are not waited for
        found = underway(control, ledger.accepted)
        if self._known is not None and self._known[:2] == (reading.commit, found):
            return self._known[2]
        made = course_for(reading, self._live.entries, ledger.owned, control, ledger.accepted)
        if not waits and (isinstance(made, Course) or reading.commit == ledger.accepted):
            return None
        if isinstance(made, tuple) and reading.commit == ledger.accepted:
            raise Failed(made)  # with other rules than when it set out: at once it might cut the network
        if isinstance(made, Course):
            if reading.commit != ledger.accepted and (problems := too_large(reading, made)):
                return problems
            if found is not None and made.start is found.start:
                self._known = (reading.commit, found, made, desired(made, reading))
            return made
        return None if back else made

    def _desired(self, chosen: Course, reading: Reading) -> Mapping[Key, Declared]:
        if self._known is not None and self._known[2] is chosen:
            return self._known[3]
        return desired(chosen, reading)
