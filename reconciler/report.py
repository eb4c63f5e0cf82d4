"""A plan with all that a reviewer needs, as one value: steps, whose fields, what it does to the network, its digest.

Pure. The JSON is an interface with a version and a published schema (`reconciler.report_schema`); text and Markdown are
made from the same value. Nothing that looks like a secret is in any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from muslin.errors import Problem
from reconciler.digest import deeds
from reconciler.effect.effect import Effect
from reconciler.hidden import names_of, without_secrets
from reconciler.levels import levels, spoken
from reconciler.plan import Hold, Plan, Step
from reconciler.remotes import is_object_id
from reconciler.report_fields import fields

__all__ = ["DATASTORE", "VERSION", "Report"]

DATASTORE: Final = "datastore"
"""Origin of a plan that was made against one."""

VERSION: Final = 1
"""Of the JSON. Fields may be added under the same version; a field that changes its meaning or goes is another one."""


@dataclass(frozen=True, slots=True)
class Report:
    """One plan, told in full.

    Attributes:
        plan: the steps.
        effect: what they do; None where nobody asked.
        origin: what the plan starts from: `datastore`, or the id of a commit.
        accepted: the commit in force, None without one, or where no datastore was asked.
        held: why the reconciler would not take the commit.
        paused: the datastore is not ready, so nothing would be written.
        unread: objects that counted as missing because they cannot be read.
        probes: what is asked while the commit is on trial, where its reconciler may, in words.
        probes_gone: what would not be asked any more; known only between two commits.
    """

    plan: Plan
    effect: Effect | None = None
    origin: str = DATASTORE
    accepted: str | None = None
    held: tuple[Hold, Problem] | None = None
    paused: bool = False
    unread: tuple[Problem, ...] = ()
    probes: tuple[str, ...] = ()
    probes_gone: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether there is anything to do, or something that cannot be done, or a guard that goes."""
        return bool(self.plan.steps or self.plan.blocked or self.plan.course or self.plan.refused or self.probes_gone)

    @property
    def digest(self) -> str | None:
        """What an approval quotes; None where the reconciler would plan something else: of files, or offline."""
        commit, _, _ = self.plan.commit.partition("~")
        known = self.origin == DATASTORE and is_object_id(commit)
        return f"sha256:{deeds(self.plan)}" if known else None

    def steps(self) -> tuple[Step, ...]:
        """The steps in the order in which they are taken: level by level."""
        return tuple(each.step for level in levels(self.plan.steps) for each in level.steps)

    def order(self) -> tuple[str, ...]:
        """The levels in which the steps are taken, in words, one line each."""
        return tuple(spoken(levels(self.plan.steps)))

    def to_json(self, *, full: bool = False) -> dict[str, Any]:
        """For programs. With `full` every member of every group is named; totals are always of everything."""
        told = self.plan.to_json()
        steps = [
            {**each, "fields": [field.to_json() for field in fields(step)]}
            for each, step in zip(told["steps"], self.plan.steps, strict=True)
        ]
        return told | {
            "version": VERSION,
            "origin": self.origin,
            "digest": self.digest,
            "order": list(self.order()),
            "probes": list(self.probes),
            "probesGone": list(self.probes_gone),
            "steps": steps,
            "drifted": [_drifted(each) for each in told.get("drifted", [])],
            "forgotten": [str(key) for key in self.plan.forget],
            "accepted": self.accepted,
            "held": None if self.held is None else _held(*self.held),
            "paused": self.paused,
            "unread": [{"what": each.what, "where": each.where, "fix": each.fix} for each in self.unread],
            "effect": None if self.effect is None else self.effect.to_json(full=full),
        }


def _held(reason: Hold, problem: Problem) -> dict[str, str]:
    return {"reason": reason.value, "what": problem.what, "fix": problem.fix}


def _drifted(told: dict[str, Any]) -> dict[str, Any]:
    return told | {"fields": [_shown(each) for each in told["fields"]]}


def _shown(field: dict[str, Any]) -> dict[str, Any]:
    names = tuple(names_of(field["path"]))
    return field | {"old": without_secrets(field["old"], names), "new": without_secrets(field["new"], names)}
