"""Takes the steps of a plan, in order, by compare-and-swap.

Every step may have happened already (a process before us was killed): what is there as wanted is success. One
object that fails does not stop others, but what must come after it waits. The ledger is written twice: what we are
about to do, before the first write, and what we did, after the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, NotFound
from muslin.errors import MuslinError, Problem, Unavailable
from muslin.resources.keys import Key
from reconciler.compare import canonical, differences, ours
from reconciler.ledger import Ledger, Owned, applied, intended
from reconciler.order import waits
from reconciler.plan import Action, Plan, Step

__all__ = ["Outcome", "apply"]


@dataclass(slots=True)
class Outcome:
    """What became of the steps; every step is in exactly one of the four.

    `stale` steps met an object that somebody wrote since the plan was made: plan again. `waiting` steps wait for the
    named object.
    """

    done: list[Step] = field(default_factory=list)
    failed: list[tuple[Step, tuple[Problem, ...]]] = field(default_factory=list)
    waiting: list[tuple[Step, Key]] = field(default_factory=list)
    stale: list[Step] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all that was planned is done."""
        return not (self.failed or self.waiting or self.stale)


async def apply(
    datastore: Datastore, plan: Plan, ledger: Ledger, *, wrote: Callable[[Key, Entry | None], None]
) -> Outcome:
    """Take the plan's steps.

    Args:
        datastore: where.
        plan: made from this ledger; with an empty one nothing is written.
        ledger: loaded; load it again after an exception.
        wrote: is told every object that we wrote (None: deleted).

    Raises:
        Conflict: another process wrote the same set's ledger.
        Unavailable: the datastore does not answer; what was done is found again by the next plan.
    """
    first: dict[Key, Owned | None] = {key: applied(value, plan.commit) for key, value in plan.record.items()}
    first |= dict.fromkeys(plan.forget)
    for step in plan.steps:
        if step.declared is not None:
            first[step.key] = (
                intended(step.base, step.declared, plan.commit) if step.writes else applied(step.declared, plan.commit)
            )
    await ledger.change(first)
    outcome = Outcome()
    last: dict[Key, Owned | None] = {}
    for step in plan.steps:
        blocker = _blocker(step, outcome)
        if blocker is not None:
            outcome.waiting.append((step, blocker))
        elif step.writes:
            await _take(datastore, step, outcome, wrote)
        else:
            outcome.done.append(step)
    for step in outcome.done:
        last[step.key] = None if step.declared is None else applied(step.declared, plan.commit)
    for step in (*(s for s, _ in outcome.failed), *(s for s, _ in outcome.waiting), *outcome.stale):
        # what did not happen is not intended any more: the next plan decides anew
        last[step.key] = None if step.base is None else applied(step.base, plan.commit)
    await ledger.change(last)
    return outcome


def _blocker(step: Step, outcome: Outcome) -> Key | None:
    """The object that did not go through and that this step must come after."""
    missed: Mapping[Key, Step] = {
        each.key: each for each in (*(s for s, _ in outcome.failed), *(s for s, _ in outcome.waiting), *outcome.stale)
    }
    for key, other in missed.items():
        if waits(
            step.key,
            step.value,
            key,
            other.value,
            delete=step.action is Action.DELETE,
            on_delete=other.action is Action.DELETE,
        ):
            return key
    return None


async def _take(datastore: Datastore, step: Step, outcome: Outcome, wrote: Callable[[Key, Entry | None], None]) -> None:
    try:
        wrote(step.key, await _write(datastore, step))
        outcome.done.append(step)
    except Unavailable:
        raise
    except (Conflict, NotFound, AlreadyExists):
        outcome.stale.append(step)
    except MuslinError as error:
        outcome.failed.append((step, error.problems))


async def _write(datastore: Datastore, step: Step) -> Entry | None:
    if step.action is Action.DELETE:
        with suppress(NotFound):
            await datastore.delete(step.key, step.revision)
        return None
    if step.revision is not None:
        return await datastore.update(step.key, step.value, step.revision)
    try:
        return await datastore.create(step.key, step.value)
    except AlreadyExists as error:
        assert step.declared is not None
        if differences(ours(canonical(error.current.value), step.declared, None), step.declared):
            raise
        # a process before us wrote it and was killed before it could say so
        return error.current
