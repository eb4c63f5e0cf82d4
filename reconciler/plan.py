"""What must be written so that a cluster is what a commit declares: pure, from values.

Three things are compared: what the commit declares, what is there, and what we last applied (the ledger). So a
change (the commit says something new) is told apart from drift (somebody else changed what is ours), and only what
the ledger calls ours, and still is what we applied, is ever removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from muslin import resources
from muslin.datastore.protocol import Entry, Json, Revision
from muslin.errors import BadInput, Problem
from muslin.net import Prefix, parse_prefix
from muslin.resources.keys import Key
from reconciler.compare import SHARED_KINDS, FieldChange, differences, merged, ours, stripped
from reconciler.ledger import Owned
from reconciler.manifests import Declared
from reconciler.order import position

__all__ = [
    "PROTECTED", "Action", "Blocked", "Budget", "Cause", "Hold", "Owner", "Plan", "Step", "Why", "hold", "plan",
]  # fmt: skip

PROTECTED: Final = frozenset({Key("Tier", name) for name in ("default", "kube-admin", "kube-baseline")})
"""Objects that every cluster has: a commit may change them, and when it no longer names them they are let go of."""


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
    POOL_IN_USE = "PoolInUse"
    TIER_IN_USE = "TierInUse"
    IMMUTABLE = "Immutable"


@dataclass(frozen=True, slots=True)
class Step:
    """One object's write.

    `value` is the whole object to write (of a delete: what is there), `revision` the one to compare with, None for a
    create. `declared` is what the ledger remembers afterwards, None for a delete; `base` what of it is ours until
    then. An adoption without `fields` writes only the ledger. `former` is what stands there before.
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

    `record` is what the ledger learns without any write to the object (it is as declared already), `forget` what it
    lets go of (gone, or not ours any more).
    """

    commit: str
    steps: tuple[Step, ...] = ()
    unchanged: int = 0
    blocked: tuple[Blocked, ...] = ()
    record: Mapping[Key, Json] = field(default_factory=dict)
    forget: tuple[Key, ...] = ()

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
            "blocked": [
                {"key": str(each.key), "why": each.why.value, "what": each.problem.what, "fix": each.problem.fix}
                for each in self.blocked
            ],
        }


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one commit may remove without being told to: `part` of what is ours, but at least `least` objects."""

    part: float = 0.5
    least: int = 5
    allow_empty: bool = False

    def allows(self, deletes: int, owned: int) -> bool:
        """Whether so many deletes are within the budget."""
        return deletes <= max(self.least, int(owned * self.part))


class Hold(StrEnum):
    """Why a commit is not taken; the one before it stays in force."""

    PROBLEMS = "Problems"
    EMPTY = "Empty"
    TOO_MANY_DELETES = "TooManyDeletes"
    ROLLED_BACK = "RolledBack"
    NOT_APPROVED = "NotApproved"


def hold(proposed: Plan, declared: int, owned: int, budget: Budget) -> tuple[Hold, Problem] | None:
    """Whether a new commit must wait for a person, judged by its plan. Not for a commit that was taken already."""
    deletes = sum(step.action is Action.DELETE for step in proposed.steps)
    if declared == 0 and owned > 0 and not budget.allow_empty:
        what = f"the commit declares nothing, and {owned} objects are ours"
        fix = "push a commit that declares what is meant, or start once with --allow-empty"
        return Hold.EMPTY, Problem(what, proposed.commit, fix)
    if declared and not budget.allows(deletes, owned):
        what = f"the commit removes {deletes} of {owned} objects"
        fix = f"remove them in several commits, or raise --max-deletes over {budget.part:.0%}"
        return Hold.TOO_MANY_DELETES, Problem(what, proposed.commit, fix)
    return None


def plan(
    commit: str,
    desired: Mapping[Key, Declared],
    live: Mapping[Key, Entry],
    owned: Mapping[Key, Owned],
    *,
    canonical: Callable[[Entry], Json],
    others: Mapping[Key, str] = MappingProxyType({}),
    blocks: Iterable[Prefix] = (),
) -> Plan:
    """The steps from what is there to what a commit declares.

    Args:
        commit: id of the commit that `desired` is from.
        desired: Mapping[Key, Declared]: every object that the commit declares.
        live: Mapping[Key, Entry]: every object of the kinds that a repository may set.
        owned: Mapping[Key, Owned]: the ledger.
        canonical: the canonical JSON of a live entry (cached by whoever keeps the entries).
        others: objects that another set's ledger claims, with that set's name.
        blocks: IPAM blocks that exist: a pool that one of them lies in is in use.
    """
    work = _Planning(commit, live, canonical, tuple(blocks))
    for key, declared in desired.items():
        if key in others:
            work.block(
                key, Why.OWNED_BY_ANOTHER_SET, f"{key} belongs to the set {others[key]}", "declare it in one set only"
            )
        else:
            work.declare(key, declared, owned.get(key))
    for key, mine in owned.items():
        if key not in desired:
            work.prune(key, mine)
    return work.done()


class _Planning:
    """Collects the parts of one plan."""

    def __init__(
        self, commit: str, live: Mapping[Key, Entry], canonical: Callable[[Entry], Json], blocks: tuple[Prefix, ...]
    ) -> None:
        self._commit, self._live, self._canonical, self._blocks = commit, live, canonical, blocks
        self._steps: list[Step] = []
        self._blocked: list[Blocked] = []
        self._record: dict[Key, Json] = {}
        self._forget: list[Key] = []
        self._unchanged = 0

    def block(self, key: Key, why: Why, what: str, fix: str) -> None:
        self._blocked.append(Blocked(key, why, Problem(what, str(key), fix)))

    def declare(self, key: Key, declared: Declared, mine: Owned | None) -> None:
        wanted, place = declared.value, str(declared.place)
        entry = self._live.get(key)
        if entry is None:
            base = mine.applied if mine else None
            cause = Cause.DRIFT if mine and base == wanted and mine.intent is None else Cause.CHANGE
            fields = tuple(each for each in differences({}, wanted) if each.path not in _IDENTITY)
            owner = Owner.NOBODY if base is None else Owner.US
            self._steps.append(Step(Action.CREATE, key, cause, owner, wanted, None, wanted, base, fields, place))
            return
        full = self._canonical(entry)
        base = _base(full, mine)
        seen = ours(full, wanted, base)
        fields = differences(seen, wanted)
        if base is None:
            value = merged(entry.value, wanted, None)
            step = Step(
                Action.ADOPT, key, Cause.CHANGE, Owner.SOMEBODY_ELSE, value, entry.revision, wanted, None, fields, place
            )
            self._unless_pool_moves(replace(step, former=entry.value))
            return
        if not fields:
            self._unchanged += 1
            if mine is None or mine.applied != wanted or mine.intent is not None:
                self._record[key] = wanted
            return
        cause = Cause.DRIFT if base == wanted else Cause.CHANGE
        value = merged(entry.value, wanted, base)
        self._unless_pool_moves(
            Step(Action.UPDATE, key, cause, Owner.US, value, entry.revision, wanted, base, fields, place, entry.value)
        )

    def prune(self, key: Key, mine: Owned) -> None:
        entry = self._live.get(key)
        if entry is None or key in PROTECTED:
            self._forget.append(key)
            return
        full = self._canonical(entry)
        base = _base(full, mine)
        if base is None:
            self._forget.append(key)
            return
        fields = differences(base, ours(full, base, base))
        if key.kind in SHARED_KINDS:
            self._let_go(entry, base, changed=bool(fields))
            return
        if fields:
            changed = ", ".join(each.path for each in fields[:5])
            self.block(
                key,
                Why.CHANGED_BY_OTHERS,
                f"{key} is not declared any more, but somebody else changed {changed}, so it stays",
                "delete it by hand, or declare it again",
            )
            return
        self._unless_pool_moves(
            Step(
                Action.DELETE, key, Cause.CHANGE, Owner.US, entry.value, entry.revision, None, base, former=entry.value
            )
        )

    def _let_go(self, entry: Entry, base: Json, *, changed: bool) -> None:
        """Of an object that others write as well, only our fields go; unless others wrote over them already."""
        bare = {"apiVersion": base.get("apiVersion"), "kind": entry.key.kind, "metadata": {"name": entry.key.name}}
        value = merged(entry.value, bare, base)
        fields = differences(stripped(entry.value), stripped(value))
        if changed or not fields:
            self._forget.append(entry.key)
            return
        step = Step(Action.UPDATE, entry.key, Cause.CHANGE, Owner.US, value, entry.revision, None, base, fields)
        self._steps.append(replace(step, former=entry.value))

    def done(self) -> Plan:
        leaving = {step.key for step in self._steps if step.action is Action.DELETE}
        moved = {step.key: step.value for step in self._steps if step.action is not Action.DELETE}
        steps = []
        for step in self._steps:
            user = self._policy_in(step.key, leaving, moved) if step in self._tier_removals() else None
            if user is None:
                steps.append(step)
            else:
                self.block(step.key, Why.TIER_IN_USE, f"{step.key} still has {user}", "remove its policies first")
        steps.sort(key=lambda step: position(step.key, step.value, delete=step.deletes, former=step.former))
        return Plan(
            self._commit, tuple(steps), self._unchanged, tuple(self._blocked), self._record, tuple(self._forget)
        )

    def _tier_removals(self) -> list[Step]:
        return [step for step in self._steps if step.action is Action.DELETE and step.key.kind == "Tier"]

    def _policy_in(self, tier: Key, leaving: set[Key], moved: Mapping[Key, Json]) -> Key | None:
        for key, entry in self._live.items():
            if key.kind.endswith("NetworkPolicy") and key not in leaving:
                spec = moved.get(key, entry.value).get("spec")
                if isinstance(spec, Mapping) and spec.get("tier", "default") == tier.name:
                    return key
        return None

    def _unless_pool_moves(self, step: Step) -> None:
        """Take the step unless it removes or moves a pool that addresses in use come from, or changes what can't be."""
        moves = step.action is Action.DELETE or any(each.path == "spec.cidr" for each in step.fields)
        block = self._block_in(step.key) if step.key.kind == "IPPool" and moves else None
        if block is None:
            forbidden = () if step.action is Action.DELETE else _forbidden(self._live[step.key].value, step)
            for problem in forbidden:
                self.block(step.key, Why.IMMUTABLE, f"{step.key}: {problem.what}", problem.fix)
            if not forbidden:
                self._steps.append(step)
            return
        what = f"{step.key} is in use: block {block} lies in it"
        self.block(step.key, Why.POOL_IN_USE, what, "set disabled: true, and remove it when no pod has its addresses")

    def _block_in(self, pool: Key) -> Prefix | None:
        spec = self._live[pool].value.get("spec")
        try:
            prefix = parse_prefix(str(spec.get("cidr")), strict=False) if isinstance(spec, Mapping) else None
        except ValueError:
            return None
        if prefix is None:
            return None
        inside = (block for block in self._blocks if block.version == prefix.version and block.overlaps(prefix))
        return next(inside, None)


def _forbidden(live: Json, step: Step) -> tuple[Problem, ...]:
    """Which rules about changes the step breaks; a live object that can't be read may become anything."""
    try:
        return resources.refused_changes(resources.load(live), resources.load(step.value))
    except BadInput:
        return ()


_IDENTITY: Final = frozenset({"apiVersion", "kind", "metadata.name", "metadata.namespace"})


def _base(full: Json, mine: Owned | None) -> Json | None:
    """What of ours the live object is measured against; None where the object is not ours.

    An intent that came true is the base: the write went through and its answer was lost. An intent that did not come
    true, of an object that was never ours, means that somebody else made it: it is a stranger's.
    """
    if mine is None:
        return None
    if mine.intent is not None and not differences(ours(full, mine.intent, mine.applied), mine.intent):
        return mine.intent
    return mine.applied
