"""What a plan is: steps with their reasons, what is blocked, and whether it is too much to be taken. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from muslin.datastore.protocol import Json, Revision
from muslin.errors import Problem
from muslin.resources.keys import Key
from reconciler.compare import FieldChange
from reconciler.drift import Drifted
from reconciler.effect.removal import Removal

if TYPE_CHECKING:
    from reconciler.course import Course

__all__ = [
    "CONFIRMED_KINDS", "Action", "Blocked", "Budget", "Cause", "Hold", "Owner", "Plan", "Step", "Why", "hold",
]  # fmt: skip


class Action(StrEnum):
    """What happens to one object. ADOPT takes an object over that was there before us."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"
    DELETE = "delete"


class Cause(StrEnum):
    """Why: the commit says something new, or somebody else changed what is ours."""

    CHANGE = "change"
    DRIFT = "drift"


class Owner(StrEnum):
    """Whose the object is before the step."""

    NOBODY = "nobody"
    US = "us"
    SOMEBODY_ELSE = "somebody else"


class Why(StrEnum):
    """Why a step that would be due is not taken."""

    CHANGED_BY_OTHERS = "ChangedByOthers"
    OWNED_BY_ANOTHER_SET = "OwnedByAnotherSet"
    OWNED_BY_PULUMI = "OwnedByPulumi"
    POOL_IN_USE = "PoolInUse"
    TIER_IN_USE = "TierInUse"
    IMMUTABLE = "Immutable"
    VETOED = "Vetoed"
    NOT_CONFIRMED = "NotConfirmed"
    FOUGHT_OVER = "FoughtOver"


@dataclass(frozen=True, slots=True)
class Step:
    """One object's write.

    `value` is the whole object to write (of a delete: what is there), `revision` the one to compare with, None for a
    create. `declared` is what the ledger remembers afterwards, None for a delete; `base` what of it is ours until
    then. An adoption without `fields` writes only the ledger. `former` is what stands there before.
    `then` is what a later look does to the same object, when this one has come to rest; `fields` are those of both.
    """

    action: Action
    key: Key
    cause: Cause
    owner: Owner
    value: Json
    revision: Revision | None = None
    declared: Json | None = None
    base: Json | None = None
    fields: tuple[FieldChange, ...] = ()
    place: str | None = None
    former: Json | None = None
    then: Step | None = None

    @property
    def deletes(self) -> bool:
        """Whether the object goes."""
        return self.action is Action.DELETE

    @property
    def writes(self) -> bool:
        """Whether the object itself is written."""
        return self.action is not Action.ADOPT or bool(self.fields)


@dataclass(frozen=True, slots=True)
class Blocked:
    """A step that is not taken, and what would make it possible."""

    key: Key
    why: Why
    problem: Problem


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order in which they are taken.

    `course` is what it belongs to where a running cluster must change in stages: the steps are those of the stage that
    is under way. `refused` is why no stages make the change safe: nothing of it may be done.
    `record` is what the ledger learns without any write to the object (it is as declared already), `forget` what it
    lets go of (gone, or not ours any more). `drifted` is what somebody changed and is left as it is, as was asked.
    """

    commit: str
    steps: tuple[Step, ...] = ()
    unchanged: int = 0
    blocked: tuple[Blocked, ...] = ()
    record: Mapping[Key, Json] = field(default_factory=dict)
    forget: tuple[Key, ...] = ()
    drifted: tuple[Drifted, ...] = ()
    course: Course | None = None
    refused: tuple[Problem, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to do, be it only in the ledger."""
        return bool(self.steps or self.record or self.forget)

    @property
    def counts(self) -> dict[str, int]:
        """How many objects meet with what."""
        counted = {action.value: sum(step.action is action for step in self.steps) for action in Action}
        drift = sum(step.cause is Cause.DRIFT for step in self.steps)
        return counted | {"unchanged": self.unchanged, "blocked": len(self.blocked), "drift": drift}

    def to_json(self) -> dict[str, Any]:
        """The plan for programs. Fields may be added; readers ignore those that they do not know."""
        return {
            "version": 1,
            "commit": self.commit,
            "counts": self.counts,
            "steps": [
                {
                    "action": step.action.value,
                    "key": str(step.key),
                    "kind": step.key.kind,
                    "namespace": step.key.namespace,
                    "name": step.key.name,
                    "cause": step.cause.value,
                    "owner": step.owner.value,
                    "place": step.place,
                    "fields": [{"path": each.path, "old": each.old, "new": each.new} for each in step.fields],
                }
                for step in self.steps
            ],
            "course": None if self.course is None else self.course.to_json(),
            "blocked": [
                {"key": str(each.key), "why": each.why.value, "what": each.problem.what, "fix": each.problem.fix}
                for each in self.blocked
            ],
            "drifted": [
                {
                    "key": str(each.key),
                    "mode": each.mode.value,
                    "fields": [{"path": one.path, "old": one.old, "new": one.new} for one in each.fields],
                }
                for each in self.drifted
            ],
        }


CONFIRMED_KINDS: Final = frozenset({"BGPConfiguration", "IPPool", "Tier"})
"""Kinds whose removal somebody must confirm, object by object: a cluster, or every pod of a pool, hangs on it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one commit may remove without being told to.

    Attributes:
        part: of what is ours, between 0 and 1.
        least: so many objects at least, whatever the part comes to.
        most: so many objects at most, whatever the part comes to.
        addresses: in use, that may lose their pool or node.
        endpoints: that may lose what selects, names or carries them.
        allow_empty: a commit may declare nothing.
        confirm: kinds whose removal is confirmed object by object.
    """

    part: float = 0.5
    least: int = 5
    most: int | None = None
    addresses: int | None = 0
    endpoints: int | None = None
    allow_empty: bool = False
    confirm: frozenset[str] = CONFIRMED_KINDS

    def allows(self, deletes: int, owned: int) -> bool:
        """Whether so many deletes are within the budget."""
        within = deletes <= max(self.least, int(owned * self.part))
        return within and (self.most is None or deletes <= self.most)

    def over(self, effect: Removal) -> str | None:
        """What of an effect is too much, in words; None where it is within the budget."""
        for count, limit, words in (
            (effect.addresses, self.addresses, "addresses in use"),
            (effect.endpoints, self.endpoints, "endpoints"),
        ):
            if limit is not None and count > limit:
                return f"{count} {words} (at most {limit})"
        return None


class Hold(StrEnum):
    """Why a commit is not taken; the one before it stays in force."""

    PROBLEMS = "Problems"
    EMPTY = "Empty"
    TOO_MANY_DELETES = "TooManyDeletes"
    TOO_MUCH_EFFECT = "TooMuchEffect"
    ROLLED_BACK = "RolledBack"
    NOT_APPROVED = "NotApproved"
    NOT_LIVE = "NotLive"


def hold(
    proposed: Plan, declared: int, owned: int, budget: Budget, effect: Removal | None = None
) -> tuple[Hold, Problem] | None:
    """Whether a new commit must wait for a person, judged by its plan. Not for a commit that was taken already.

    Args:
        proposed: its plan.
        declared: how many objects it declares.
        owned: how many objects are ours.
        budget: what it may remove.
        effect: who needs what it removes, None where that was not asked.
    """
    if proposed.refused:
        return Hold.NOT_LIVE, proposed.refused[0]
    going = {step.key for step in proposed.steps if step.action is Action.DELETE}
    later = proposed.course.removes if proposed.course is not None else frozenset[Key]()
    deletes = len(going | later)
    if declared == 0 and owned > 0 and not budget.allow_empty:
        what = f"the commit declares nothing, and {owned} objects are ours"
        fix = "push a commit that declares what is meant, or start once with --allow-empty"
        return Hold.EMPTY, Problem(what, proposed.commit, fix)
    if declared and not budget.allows(deletes, owned):
        what = f"the commit removes {deletes} of {owned} objects"
        fix = f"remove them in several commits, or raise --max-deletes over {budget.part:.0%}, or approve its plan"
        return Hold.TOO_MANY_DELETES, Problem(what, proposed.commit, fix)
    excess = None if effect is None else budget.over(effect)
    if excess is not None:
        what = f"the commit removes what {excess} need"
        fix = "move them first; or approve its plan"
        return Hold.TOO_MUCH_EFFECT, Problem(what, proposed.commit, fix)
    return None
