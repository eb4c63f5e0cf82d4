"""Which commit is in force for one look, and what is said against the branch's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from muslin.errors import Problem, Unavailable
from reconciler.ledger import Ledger
from reconciler.manifests import Reading
from reconciler.plan import Budget, Hold, Plan, hold
from reconciler.source import Head, Source

__all__ = ["Choice", "choose"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which reading is in force for one look, and what was said against the branch's.

    `missing`: what the mirror says of the commit in force that it has not got.
    """

    reading: Reading | None
    plan: Plan | None = None
    reason: Hold | None = None
    problems: tuple[Problem, ...] = ()
    missing: str | None = None


async def choose(
    source: Source, head: Head, ledger: Ledger, budget: Budget, planned: Callable[[Reading], Awaitable[Plan]]
) -> Choice:
    """The branch's commit if it is fit, else the one in force."""
    reason: Hold | None = None
    problems: tuple[Problem, ...] = ()
    if head.commit is not None:
        reading = await source.read(head.commit)
        if reading.problems:
            reason, problems = Hold.PROBLEMS, reading.problems
        else:
            proposed = await planned(reading)
            if head.commit == ledger.accepted:
                return Choice(reading, proposed)
            found = hold(proposed, len(reading.resources), len(ledger.owned), budget)
            if found is None:
                return Choice(reading, proposed)
            reason, problems = found[0], (found[1],)
    if ledger.accepted is None or ledger.accepted == head.commit:
        return Choice(None, None, reason, problems)
    try:
        before = await source.read(ledger.accepted)
    except Unavailable as error:
        # a new mirror that has not got it yet: nothing is repaired until it has, and the rest is still said
        return Choice(None, None, reason, problems, str(error).splitlines()[0])
    if before.problems:
        # rules got stricter with an update of ours: what is applied stays, and is not repaired
        return Choice(None, None, reason or Hold.PROBLEMS, problems or before.problems)
    return Choice(before, await planned(before), reason, problems)
