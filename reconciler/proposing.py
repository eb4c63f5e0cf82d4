"""What is to be done for one commit now: its plan, or that of the stage that a running cluster is in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from muslin.datastore.protocol import Datastore
from muslin.errors import Problem, Unavailable
from muslin.resources.keys import Key
from reconciler.addresses_in_use import blocks_of
from reconciler.control import Because
from reconciler.course import Course, course, desired, start_of, wish_of
from reconciler.course_record import Underway, underway
from reconciler.guard import Guard
from reconciler.ledger import Ledger
from reconciler.live import Live
from reconciler.manifests import Declared, Reading
from reconciler.plan import Plan
from reconciler.planning import Leave, Settled, plan
from reconciler.settings import Settings
from reconciler.source import Source

__all__ = ["Proposer"]

_Chosen: TypeAlias = Course | tuple[Problem, ...] | None


class Proposer:
    """Plans what one set's commits ask for.

    Args:
        datastore: asked who uses what may go.
        source: of the commits.
        settings: of the set.
        live: what is there.
        guard: what is remembered.
        fought_over: objects that another writer puts back again and again, by the time now.
    """

    def __init__(
        self,
        datastore: Datastore,
        source: Source,
        settings: Settings,
        live: Live,
        guard: Guard,
        *,
        fought_over: Callable[[float], Collection[Key]],
    ) -> None:
        self._datastore, self._source, self._settings = datastore, source, settings
        self._live, self._guard, self._fought_over = live, guard, fought_over
        self._settled: Settled = {}
        self._known: tuple[str, Underway, Course, Mapping[Key, Declared]] | None = None

    async def plan(self, reading: Reading, ledger: Ledger) -> Plan:
        """The plan of a commit. Raises `Unavailable`."""
        chosen = await self._course(reading, ledger)
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
        if isinstance(chosen, Course):
            return replace(made, course=chosen)
        return made if chosen is None else replace(made, refused=chosen)

    async def _course(self, reading: Reading, ledger: Ledger) -> _Chosen:
        """The stages from what is there to a commit; for the one in force those in which it is already."""
        if reading.facts is None:
            return None
        control = self._guard.seen
        found = underway(control, ledger.accepted)
        if reading.commit == ledger.accepted:
            return None if found is None else self._resumed(found, reading)
        held = control.held
        back = held is not None and held.back_to == reading.commit
        if back and held is not None and held.because is not Because.ASKED:
            return None  # what hurts goes at once: people are not waited for
        former: Reading | None = None
        if ledger.accepted is not None:
            with suppress(Unavailable):
                former = await self._source.read(ledger.accepted)
        if found is not None and former is not None and _same_wish(former, reading):
            return self._resumed(found, reading)
        mtu = former.facts.mtu if former is not None and former.facts is not None else None
        start = start_of(reading, self._live.entries, ledger.owned, mtu)
        made = None if start is None else course(start, reading)
        if isinstance(made, Course):
            return made if self._settings.gates is not None else None
        return None if back else made

    def _resumed(self, found: Underway, reading: Reading) -> Course | None:
        if self._settings.gates is None:
            return None
        if self._known is not None and self._known[:2] == (reading.commit, found):
            return self._known[2]
        made = course(found.start, reading, found.number)
        if not isinstance(made, Course):
            return None
        self._known = (reading.commit, found, made, desired(made, reading))
        return made

    def _desired(self, chosen: Course, reading: Reading) -> Mapping[Key, Declared]:
        if self._known is not None and self._known[2] is chosen:
            return self._known[3]
        return desired(chosen, reading)


def _same_wish(one: Reading, other: Reading) -> bool:
    """Whether two commits want the same of what stages write, so that the stage of the one is that of the other."""
    if one.facts is None or other.facts is None or one.facts.mtu != other.facts.mtu:
        return False
    return wish_of(one) == wish_of(other)
