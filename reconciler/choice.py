"""Which commit is in force for one look, and what is said against the branch's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from muslin.errors import Problem, Unavailable
from reconciler.control import HeldCommit
from reconciler.digest import deeds
from reconciler.effect.removal import Removal
from reconciler.ledger import Ledger
from reconciler.manifests import Reading
from reconciler.plan import Budget, Hold, Plan, hold
from reconciler.remotes import short
from reconciler.source import Head, Source

__all__ = ["Choice", "Terms", "choose"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which reading is in force for one look, and what was said against the branch's.

    `missing`: what the mirror says of the commit in force that it has not got. `digest` is that of the plan which would
    be taken if somebody approved it.
    """

    reading: Reading | None
    plan: Plan | None = None
    reason: Hold | None = None
    problems: tuple[Problem, ...] = ()
    missing: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a new commit must meet.

    `held` was taken back and waits for another commit; with `approval` the plan's digest must be `approved`. A plan
    that is approved is not too much. `effect`: who needs what a plan removes.
    """

    budget: Budget
    held: HeldCommit | None = None
    approval: bool = False
    approved: str | None = None
    effect: Callable[[Plan], Awaitable[Removal | None]] | None = None


async def choose(
    source: Source, head: Head, ledger: Ledger, terms: Terms, planned: Callable[[Reading], Awaitable[Plan]]
) -> Choice:
    """The branch's commit if it is fit, else the one in force, or the one that a rollback goes back to."""
    held = terms.held
    in_force = held.back_to if held is not None and ledger.accepted == held.commit else ledger.accepted
    reason: Hold | None = None
    problems: tuple[Problem, ...] = ()
    digest: str | None = None
    if head.commit is not None and held is not None and head.commit == held.commit:
        what = f"the commit was taken back ({held.because}): {held.reason}"
        reason, problems = Hold.ROLLED_BACK, (Problem(what, held.commit, "push another commit, or release this one"),)
    elif head.commit is not None:
        reading = await source.read(head.commit)
        if reading.problems:
            reason, problems = Hold.PROBLEMS, reading.problems
        else:
            proposed = await planned(reading)
            if head.commit == in_force:
                return Choice(reading, proposed)
            if proposed.refused:
                # not a plan that somebody could approve: no order of stages makes it safe
                return await _as_before(
                    source, ledger, in_force, planned, reason=Hold.NOT_LIVE, problems=proposed.refused
                )
            effect = None if terms.effect is None else await terms.effect(proposed)
            found = hold(proposed, len(reading.resources), len(ledger.owned), terms.budget, effect)
            if terms.approval or (found is not None and terms.approved is not None):
                found = _approval(proposed, terms, found)
            if found is None:
                return Choice(reading, proposed)
            reason, problems = found[0], (found[1],)
            digest = f"sha256:{deeds(proposed)}"
    if in_force is None or in_force == head.commit:
        return Choice(None, None, reason, problems, digest=digest)
    found_before = await _as_before(source, ledger, in_force, planned, reason=reason, problems=problems)
    return replace(found_before, digest=digest)


async def _as_before(
    source: Source,
    ledger: Ledger,
    in_force: str | None,
    planned: Callable[[Reading], Awaitable[Plan]],
    *,
    reason: Hold | None,
    problems: tuple[Problem, ...],
) -> Choice:
    """The commit in force, or the one that a rollback goes back to, with what is said against the branch's."""
    if in_force is None:
        return Choice(None, None, reason, problems)
    try:
        before = await source.read(in_force)
    except Unavailable as error:
        # a new mirror that has not got it yet: nothing is repaired until it has, and the rest is still said
        said = str(error).splitlines()[0]
        if problems and in_force == ledger.accepted:
            what = f"{short(in_force)}, which stays in force, can't be read, so drift is not put back: {said}"
            problems = (*problems, Problem(what, in_force, "push a commit that can be read"))
        return Choice(None, None, reason, (*problems, *_no_way_back(ledger, in_force, said)), said)
    if before.problems:
        problems = (*problems, *_no_way_back(ledger, in_force, before.problems[0].what))
        # rules got stricter with an update of ours: what is applied stays, and is not repaired
        return Choice(None, None, reason or Hold.PROBLEMS, problems or before.problems)
    return Choice(before, await planned(before), reason, problems)


def _no_way_back(ledger: Ledger, in_force: str, why: str) -> tuple[Problem, ...]:
    """Said where a rollback cannot be: whoever asked for it must not believe that it was done."""
    if ledger.accepted is None or in_force == ledger.accepted:
        return ()
    what = f"the commit to go back to, {short(in_force)}, can't be read, so nothing was taken back: {why}"
    fix = "push a commit that takes it back (git revert), or release this one and name another with rollback --to"
    return (Problem(what, in_force, fix),)


def _approval(proposed: Plan, terms: Terms, found: tuple[Hold, Problem] | None) -> tuple[Hold, Problem] | None:
    """Whether somebody must read the plan first; what one has read may remove whatever it removes."""
    if terms.approval and not (proposed.steps or proposed.forget or proposed.course):
        return found
    wanted = f"sha256:{deeds(proposed)}"
    if terms.approved == wanted:
        return None
    if not terms.approval:
        return found
    what = f"the plan {wanted} is not approved"
    if terms.approved is not None:
        what += f", and what is approved ({terms.approved}) is not what would happen now"
    return Hold.NOT_APPROVED, Problem(what, proposed.commit, f"read the plan, then: muslin approve {wanted}")
