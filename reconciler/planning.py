"""What must be written so that a cluster is what a commit declares: pure, from values.

Three things are compared: what the commit declares, what is there, and what we last applied (the ledger). So a
change (the commit says something new) is told apart from drift (somebody else changed what is ours), and only what
the ledger calls ours, and still is what we applied, is ever removed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Final, TypeAlias

from muslin import resources
from muslin.datastore.protocol import Entry, Json
from muslin.errors import BadInput, Problem
from muslin.net import Prefix, parse_prefix
from muslin.resources.keys import Key
from reconciler.compare import SHARED_KINDS, FieldChange, differences, merged, ours, stripped
from reconciler.drift import DRIFT_IS_REPAIRED, Drifted, DriftRules, Mode, left_to_owner, with_kept
from reconciler.ledger import Owned
from reconciler.manifests import Declared
from reconciler.order import cluster_id, position
from reconciler.plan import Action, Blocked, Cause, Owner, Plan, Step, Why
from reconciler.pulumi_owned import is_pulumis

__all__ = ["PROTECTED", "PRUNE", "Leave", "Settled", "plan"]

PRUNE: Final = "muslin/prune"
"""Annotation of an object: with the value `never` it is not removed, whoever no longer declares it."""

PROTECTED: Final = frozenset({Key("Tier", name) for name in ("default", "kube-admin", "kube-baseline")})
"""Objects that every cluster has: a commit may change them, and when it no longer names them they are let go of."""


Settled: TypeAlias = dict[Key, tuple[Declared, Entry, Owned]]
"""Objects that were found to be as declared, with the very values for which that was so."""


@dataclass(frozen=True, slots=True)
class Leave:
    """What people have said about single objects.

    Attributes:
        drift: what to do about what somebody else changed.
        fought_over: objects that another writer puts back again and again: neither side is fed.
        confirm: kinds whose removal must be confirmed.
        confirmed: objects, as text, whose removal is.
        restore: we go back to an earlier commit: what a later one made goes without being asked for, and what it took
            over becomes again what it was.
    """

    drift: DriftRules = DRIFT_IS_REPAIRED
    fought_over: Collection[Key] = ()
    confirm: frozenset[str] = frozenset()
    confirmed: Collection[str] = ()
    restore: bool = False


_PLAIN: Final = Leave()


def plan(
    commit: str,
    desired: Mapping[Key, Declared],
    live: Mapping[Key, Entry],
    owned: Mapping[Key, Owned],
    *,
    canonical: Callable[[Entry], Json],
    others: Mapping[Key, str] = MappingProxyType({}),
    blocks: Iterable[Prefix] = (),
    leave: Leave = _PLAIN,
    settled: Settled | None = None,
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
        leave: what people have said about single objects.
        settled: what former plans of the same reconciler found to be as declared; what is the same is not looked at.
    """
    known: Settled = {} if settled is None else settled
    work = _Planning(commit, live, canonical, tuple(blocks), leave)
    for key, declared in desired.items():
        if others and key in others:
            work.block(
                key, Why.OWNED_BY_ANOTHER_SET, f"{key} belongs to the set {others[key]}", "declare it in one set only"
            )
        else:
            entry, mine = live.get(key), owned.get(key)
            same = known.get(key)
            if same is not None and same[0] is declared and same[1] is entry and same[2] is mine:
                work.unchanged += 1
            elif work.declare(key, declared, mine) and entry is not None and mine is not None:
                known[key] = (declared, entry, mine)
    for key in [key for key in owned if key not in desired] if owned.keys() - desired.keys() else ():
        work.prune(key, owned[key])
    return work.done()


class _Planning:
    """Collects the parts of one plan."""

    def __init__(
        self,
        commit: str,
        live: Mapping[Key, Entry],
        canonical: Callable[[Entry], Json],
        blocks: tuple[Prefix, ...],
        leave: Leave,
    ) -> None:
        self._commit, self._live, self._canonical, self._blocks, self._leave = commit, live, canonical, blocks, leave
        self._drifted: list[Drifted] = []
        self._steps: list[Step] = []
        self._blocked: list[Blocked] = []
        self._record: dict[Key, Json] = {}
        self._forget: list[Key] = []
        self.unchanged = 0

    def block(self, key: Key, why: Why, what: str, fix: str) -> None:
        self._blocked.append(Blocked(key, why, Problem(what, str(key), fix)))

    def declare(self, key: Key, declared: Declared, mine: Owned | None) -> bool:
        """Plan one object; gives whether it is as declared, and nobody has anything to learn from it."""
        wanted, place = declared.value, str(declared.place)
        entry = self._live.get(key)
        if entry is None:
            base = mine.applied if mine else None
            cause = Cause.DRIFT if mine and base == wanted and mine.intent is None else Cause.CHANGE
            fields = tuple(each for each in differences({}, wanted) if each.path not in _IDENTITY)
            owner = Owner.NOBODY if base is None else Owner.US
            if cause is Cause.DRIFT and self._left(key, fields, whole=True):
                return False
            self._steps.append(Step(Action.CREATE, key, cause, owner, wanted, None, wanted, base, fields, place))
            return False
        if is_pulumis(entry.value):
            what = f"{key} is Pulumi's, and has one writer at a time, so it is left alone"
            fix = "hand its stack over with muslin adopt STACK, or take it out of these files"
            self.block(key, Why.OWNED_BY_PULUMI, what, fix)
            return False
        if mine is not None and mine.intent is None and mine.applied == wanted and stripped(entry.value) == wanted:
            self.unchanged += 1  # as it was written, to the letter
            return True
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
            return False
        if not fields:
            self.unchanged += 1
            if mine is None or mine.applied != wanted or mine.intent is not None:
                self._record[key] = wanted
                return False
            return True
        cause = Cause.DRIFT if base == wanted else Cause.CHANGE
        kept = self._leave.drift.kept(key, fields, base, wanted)
        others = left_to_owner(fields, mine.left if mine is not None else (), base, wanted)
        for mode, some in ((Mode.IGNORE, kept), (Mode.LEFT_TO_OWNER, others)):
            if some:
                self._drifted.append(Drifted(key, mode, some))
        kept = (*kept, *others)
        if kept:
            fields = tuple(each for each in fields if each not in kept)
            if not fields:
                self.unchanged += 1
                return False
        if cause is Cause.DRIFT and self._left(key, fields, whole=False):
            return False
        value = with_kept(merged(entry.value, wanted, base), full, kept)
        self._unless_pool_moves(
            Step(Action.UPDATE, key, cause, Owner.US, value, entry.revision, wanted, base, fields, place, entry.value)
        )
        return False

    def prune(self, key: Key, mine: Owned) -> None:
        entry = self._live.get(key)
        if entry is None or key in PROTECTED or is_pulumis(entry.value):
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
        kept = (
            *self._leave.drift.kept(key, fields, base, base),
            *left_to_owner(fields, mine.left, base, base),
        )
        fields = tuple(each for each in fields if each not in kept)
        if fields:
            changed = ", ".join(each.path for each in fields[:5])
            self.block(
                key,
                Why.CHANGED_BY_OTHERS,
                f"{key} is not declared any more, but somebody else changed {changed}, so it stays",
                "delete it by hand, or declare it again",
            )
            return
        if self._leave.restore and mine.found is not None:
            value = merged(entry.value, mine.found, base)
            back = differences(stripped(entry.value), stripped(value))
            step = Step(Action.UPDATE, key, Cause.CHANGE, Owner.US, value, entry.revision, None, base, back)
            self._unless_pool_moves(replace(step, former=entry.value))
            return
        if _annotation(entry.value, PRUNE) == "never":
            fix = f"take the annotation {PRUNE} off it, or declare it again"
            self.block(key, Why.VETOED, f"{key} is not declared any more, and says that it stays", fix)
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

    def _left(self, key: Key, fields: tuple[FieldChange, ...], *, whole: bool) -> bool:
        """Whether drift is not repaired: because people want to hear of it only, or because somebody writes it back."""
        mode = self._leave.drift.mode(key, () if whole else fields)
        if mode is not Mode.REPAIR:
            self._drifted.append(Drifted(key, mode, fields))
            return True
        if key in self._leave.fought_over:
            what = f"somebody else writes {key} again and again: {', '.join(each.path for each in fields[:3])}"
            self.block(key, Why.FOUGHT_OVER, what, "find the other writer and agree whose it is, then push a commit")
            return True
        return False

    def done(self) -> Plan:
        leaving = {step.key for step in self._steps if step.action is Action.DELETE}
        moved = {step.key: step.value for step in self._steps if step.action is not Action.DELETE}
        steps = []
        for step in self._steps:
            gone = step.action is Action.DELETE and step.key.kind == "Tier"
            user = self._policy_in(step.key, leaving, moved) if gone else None
            if user is None:
                steps.append(step)
            else:
                self.block(step.key, Why.TIER_IN_USE, f"{step.key} still has {user}", "remove its policies first")
        steps.sort(key=lambda step: position(step.key, step.value, delete=step.deletes, former=step.former))
        return Plan(
            self._commit, tuple(steps), self.unchanged, tuple(self._blocked), self._record, tuple(self._forget),
            tuple(self._drifted),
        )  # fmt: skip

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
        if block is None and step.action is Action.DELETE and self._unconfirmed(step.key):
            what = f"{step.key} is not declared any more; that a {step.key.kind} goes is to be confirmed"
            self.block(step.key, Why.NOT_CONFIRMED, what, f"muslin confirm {step.key}, or declare it again")
            return
        if block is None:
            forbidden = () if step.action is Action.DELETE else _forbidden(self._live[step.key].value, step)
            for problem in forbidden:
                self.block(step.key, Why.IMMUTABLE, f"{step.key}: {problem.what}", problem.fix)
            if not forbidden:
                self._steps.append(_in_two(step))
            return
        what = f"{step.key} is in use: block {block} lies in it"
        self.block(step.key, Why.POOL_IN_USE, what, "set disabled: true, and remove it when no pod has its addresses")

    def _unconfirmed(self, key: Key) -> bool:
        leave = self._leave
        return key.kind in leave.confirm and str(key) not in leave.confirmed and not leave.restore

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
    if not _has_rules(step.key.kind):
        return ()
    try:
        return resources.refused_changes(resources.load(live), resources.load(step.value))
    except BadInput:
        return ()


@cache
def _has_rules(kind: str) -> bool:
    """Whether anything forbids replacing one object of a kind by another."""
    field = resources.KINDS[kind].model.model_fields.get("spec")
    return field is None or bool(getattr(field.annotation, "CHANGE_RULES", True))


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


def _in_two(step: Step) -> Step:
    """A node that is to reflect, and that peers find by a label, gets the label first, and reflects over sessions.

    A reflector drops what another of its cluster reflects to it (RFC 4456 section 8): with the cluster ID at once it
    would have no route to clients with which it has no session yet.
    """
    if step.key.kind != "Node" or step.former is None or step.declared is None:
        return step
    if not cluster_id(step.value) or cluster_id(step.former):
        return step
    if not any(each.path == "metadata" or each.path.startswith("metadata.labels") for each in step.fields):
        return step
    declared, value = _not_reflecting(step.declared), _not_reflecting(step.value)
    rest = differences(declared, step.declared)
    then = replace(step, action=Action.UPDATE, owner=Owner.US, base=declared, fields=rest, former=value)
    return replace(step, value=value, declared=declared, then=then)


def _not_reflecting(value: Json) -> Json:
    spec = dict(value["spec"])
    bgp = {name: content for name, content in spec.pop("bgp").items() if name != "routeReflectorClusterID"}
    return {**value, "spec": spec | ({"bgp": bgp} if bgp else {})}


def _annotation(value: Json, name: str) -> object:
    metadata = value.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return annotations.get(name) if isinstance(annotations, Mapping) else None
