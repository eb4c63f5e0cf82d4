"""What a plan comes to, in one line that a person can approve: pure.

Two digests, because two questions are asked. *Is this the plan that was approved?* is answered by `deeds`: over the
commit and everything that would be written, without revisions, so that a plan that is computed again after the world
moved is the same plan if it would do the same. *Did the world move at all?* is answered by `world`: over the commit,
what it declares, the revisions of what is there, and the ledger. Neither holds any value in clear.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from muslin.datastore.protocol import Entry
from muslin.resources import dump
from muslin.resources.keys import Key
from reconciler.ledger import Owned
from reconciler.manifests import Declared
from reconciler.plan import Plan, Step

__all__ = ["PlanDigest", "deeds", "digest"]


@dataclass(frozen=True, slots=True)
class PlanDigest:
    """Both digests, 64 hexadecimal digits each; as text, what an approval quotes: `sha256:` and `deeds`."""

    deeds: str
    world: str

    def __str__(self) -> str:
        return f"sha256:{self.deeds}"


def digest(
    proposed: Plan, desired: Mapping[Key, Declared], live: Mapping[Key, Entry], owned: Mapping[Key, Owned]
) -> PlanDigest:
    """The digests of a plan and of what it was computed from: the arguments of `reconciler.plan.plan`."""
    world = _Hash("world", proposed.commit)
    for key in sorted(desired, key=str):
        world.add("desired", str(key), desired[key].value)
    for key in sorted(live, key=str):
        world.add("live", str(key), live[key].revision)
    for key in sorted(owned, key=str):
        world.add("owned", str(key), owned[key].applied, owned[key].intent)
    return PlanDigest(deeds(proposed), world.hexdigest())


def deeds(proposed: Plan) -> str:
    """What a plan would do, as 64 hexadecimal digits: steps in their order, what is blocked, what is let go of.

    Places in files do not count, and neither do objects that are as declared.
    """
    done = _Hash("deeds", proposed.commit)
    for step in proposed.steps:
        done.add(*_step(step))
    if proposed.course is not None:
        for stage in proposed.course.stages:
            written = [dump(each) for each in stage.write]
            done.add("stage", stage.name, written, [str(key) for key in stage.remove], list(map(str, stage.until)))
    for each in sorted(proposed.blocked, key=lambda one: (str(one.key), one.why.value)):
        done.add("blocked", str(each.key), each.why.value)
    for key in sorted(proposed.forget, key=str):
        done.add("forget", str(key))
    return done.hexdigest()


def _step(step: Step) -> Iterable[Any]:
    """One step without its revision and without what only others write."""
    fields = [[each.path, each.old, each.new] for each in step.fields]
    return "step", step.action.value, str(step.key), step.cause.value, step.owner.value, fields, step.declared


class _Hash:
    """SHA-256 over records, none of which can be taken for two or for another."""

    def __init__(self, *first: Any) -> None:
        self._hash = hashlib.sha256()
        self.add(*first)

    def add(self, *record: Any) -> None:
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_plain)
        self._hash.update(text.encode() + b"\n")

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)
