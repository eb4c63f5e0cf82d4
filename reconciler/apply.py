"""Takes the steps of a plan, level by level, by compare-and-swap.

Every step may have happened already (a process before us was killed): what is there as wanted is success. One
object that fails does not stop others, but what must come after it waits. The ledger is written twice: what we are
about to do, before the first write, and what we did, after the last; and so are agents told. Steps behind a closed
gate are not begun, so that waiting writes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from muslin.datastore.field_ownership import FieldOwnership, TakenField
from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, NotFound
from muslin.errors import MuslinError, Problem, Unavailable
from muslin.resources.keys import Key
from reconciler.batch import Batch
from reconciler.compare import SHARED_KINDS, canonical, differences, ours, stripped
from reconciler.ledger import Ledger, Owned, applied, intended
from reconciler.levels import Level, Missed, Placed, levels
from reconciler.order import Group
from reconciler.ownership import Ownership, without, write
from reconciler.plan import Action, Plan, Step
from reconciler.together import together

__all__ = ["AT_ONCE", "Outcome", "apply"]

AT_ONCE = 16
"""Writes under way at one time within a level. Flux publishes 16 objects a second, one after the other."""


@dataclass(slots=True)
class Outcome:
    """What became of the steps; every step is in exactly one of the five.

    `stale` steps met an object that somebody wrote since the plan was made: plan again. `waiting` steps wait for the
    named object, `gated` ones for a gate. `left` are fields of done steps that stay their owners', `refused` those of
    them that are a fault.
    """

    done: list[Step] = field(default_factory=list)
    failed: list[tuple[Step, tuple[Problem, ...]]] = field(default_factory=list)
    waiting: list[tuple[Step, Key]] = field(default_factory=list)
    stale: list[Step] = field(default_factory=list)
    gated: list[Step] = field(default_factory=list)
    left: dict[Key, tuple[TakenField, ...]] = field(default_factory=dict)
    refused: dict[Key, tuple[TakenField, ...]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all that was planned is done, and nothing follows."""
        return not (self.failed or self.waiting or self.stale or self.gated or self.follows)

    @property
    def follows(self) -> bool:
        """Whether a step that is done has another one after it."""
        return any(step.then is not None for step in self.done)


async def apply(
    datastore: Datastore,
    plan: Plan,
    ledger: Ledger,
    *,
    wrote: Callable[[Key, Entry | None], None],
    closed: Collection[Group] = (),
    staged_first: bool = False,
    ownership: Ownership | None = None,
) -> Outcome:
    """Take the plan's steps.

    Args:
        datastore: where.
        plan: made from this ledger; with an empty one nothing is written.
        ledger: loaded; load it again after an exception.
        wrote: is told every object that we wrote (None: deleted).
        closed: groups behind a gate that is not open; what must come after them waits.
        staged_first: see `levels`.
        ownership: what becomes of others' fields, where the store keeps whose they are.

    Raises:
        Conflict: another process wrote the same set's ledger.
        Unavailable: the datastore does not answer; what was done is found again by the next plan.
    """
    outcome, begun = Outcome(), []
    missed = Missed()
    found = levels(plan.steps, staged_first=staged_first)
    for each in (each for level in found for each in level.steps):
        blocker = missed.blocker(each)
        if each.group not in closed and blocker is None:
            begun.append(each)
            continue
        missed.add(each)
        if blocker is None:
            outcome.gated.append(each.step)
        else:
            outcome.waiting.append((each.step, blocker))
    batch = Batch(datastore, ledger.set_name, [each.step for each in begun])
    await _both(batch.begin, lambda: ledger.change(_intents(plan, begun)))
    hands = _Hands(datastore, ownership, outcome, wrote, batch)
    await _walk(hands, found, {each.step.key for each in begun})
    last: dict[Key, Owned | None] = {}
    for step in outcome.done:
        left = tuple(each.path for each in outcome.left.get(step.key, ()))
        last[step.key] = None if step.declared is None else replace(applied(step.declared, plan.commit), left=left)
    not_done = {step.key for step, _ in (*outcome.failed, *outcome.waiting)} | {step.key for step in outcome.stale}
    for step in (each.step for each in begun if each.step.key in not_done):
        # what did not happen is not intended any more: the next plan decides anew
        last[step.key] = None if step.base is None else applied(step.base, plan.commit)
    await _both(batch.end, lambda: ledger.change(last))
    return outcome


async def _both(*deeds: Callable[[], Awaitable[None]]) -> None:
    """Do these at once; the first failure ends all."""
    left = iter(deeds)

    async def work() -> None:
        for deed in left:
            await deed()

    await together(work, len(deeds))


def _intents(plan: Plan, begun: Iterable[Placed]) -> dict[Key, Owned | None]:
    first: dict[Key, Owned | None] = {key: applied(value, plan.commit) for key, value in plan.record.items()}
    first |= dict.fromkeys(plan.forget)
    for step in (each.step for each in begun):
        if step.declared is not None:
            found = stripped(step.former) if step.action is Action.ADOPT and step.former is not None else None
            item = intended(step.base, step.declared, plan.commit, found)
            first[step.key] = item if step.writes else replace(applied(step.declared, plan.commit), found=item.found)
    return first


async def _walk(hands: _Hands, found: Iterable[Level], begun: Collection[Key]) -> None:
    missed = Missed()
    for level in found:
        ready = []
        for each in level.steps:
            if each.step.key not in begun:
                continue
            blocker = missed.blocker(each)
            if blocker is None:
                ready.append(each)
            else:
                hands.outcome.waiting.append((each.step, blocker))
                missed.add(each)
        for each in await hands.at_once(ready):
            missed.add(each)


@dataclass(frozen=True, slots=True)
class _Hands:
    """Writes steps, and notes what became of them."""

    datastore: Datastore
    ownership: Ownership | None
    outcome: Outcome
    wrote: Callable[[Key, Entry | None], None]
    batch: Batch

    async def at_once(self, ready: list[Placed]) -> list[Placed]:
        """Take steps of one level, so many at once; gives those that did not happen."""
        left, missed = iter(ready), list[Placed]()

        async def work() -> None:
            for each in left:
                if not each.step.writes:
                    self.outcome.done.append(each.step)
                elif not await self._take(each.step):
                    missed.append(each)

        await together(work, min(AT_ONCE, len(ready)))
        return missed

    async def _take(self, step: Step) -> bool:
        try:
            entry = await self._write(step)
            self.batch.wrote(step.key, entry)
            self.wrote(step.key, entry)
        except Unavailable:
            raise
        except (Conflict, NotFound, AlreadyExists):
            self.outcome.stale.append(step)
        except MuslinError as error:
            self.outcome.failed.append((step, error.problems))
        else:
            self.outcome.done.append(step)
            return True
        return False

    async def _write(self, step: Step) -> Entry | None:
        if step.action is Action.DELETE:
            with suppress(NotFound):
                await self.datastore.delete(step.key, step.revision)
            return None
        store, ownership = self.datastore, self.ownership
        if ownership is not None and step.declared is not None and isinstance(store, FieldOwnership):  # noqa: SIM102
            if step.key.kind not in SHARED_KINDS and await store.keeps_owners(step.key.kind):
                return await self._apply(store, step, ownership)
        if step.revision is not None:
            return await self.datastore.update(step.key, step.value, step.revision)
        return await self._create(step)

    async def _apply(self, store: FieldOwnership, step: Step, ownership: Ownership) -> Entry:
        assert step.declared is not None
        current = None
        if step.revision is not None and step.former is not None:
            current = Entry(step.key, step.former, step.revision)
        try:
            written = await write(store, step.key, step.declared, current, ownership)
        except NotFound:
            if current is not None:
                raise
            return await self._create(step)  # servers before 3.32.1 do not create policies by apply
        if written.left:
            self.outcome.left[step.key] = written.left
        if written.refused:
            self.outcome.refused[step.key] = written.refused
        entry = written.entry
        kept = ours(canonical(entry.value), step.declared, step.base)
        expected = without(step.declared, (each.path for each in written.left))
        if any(each.new is None for each in differences(without(kept, (one.path for one in written.left)), expected)):
            # what we no longer want and wrote before there was a record of owners stays ours to remove
            return await self.datastore.update(step.key, {**step.value, **_status(entry)}, entry.revision)
        return entry

    async def _create(self, step: Step) -> Entry:
        try:
            return await self.datastore.create(step.key, step.value)
        except AlreadyExists as error:
            assert step.declared is not None
            if differences(ours(canonical(error.current.value), step.declared, None), step.declared):
                raise
            # a process before us wrote it and was killed before it could say so
            return error.current


def _status(entry: Entry) -> dict[str, Any]:
    return {"status": entry.value["status"]} if "status" in entry.value else {}
