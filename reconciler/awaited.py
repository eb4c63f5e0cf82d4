"""What a set waits for a person to say: the digest of a plan, the removal of single objects. As its status says.

Commands ask this before they write a word for the reconciler: a word that nobody waits for is a slip of the hand, and
would be found out only when the plan still waits. What is about to be planned waits for nobody yet: its digest is known
when the reconciler has planned it, and not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muslin.datastore.protocol import Datastore, Entry
from muslin.resources.keys import Key
from reconciler.control import Control, control_key, read
from reconciler.gates import Standing
from reconciler.plan import Why
from reconciler.status import KIND

__all__ = ["Awaited", "awaited"]


@dataclass(frozen=True, slots=True)
class Awaited:
    """What one set waits for.

    Attributes:
        sets: those whose reconcilers have reported, in order; `reported` says whether this one is among them.
        control: what was said to it already.
        said: whether anything was ever said to it.
        commit: the one that is held for its plan, None where none is.
        digest: of that plan.
        objects: those whose removal is to be confirmed, and the stage whose end a person may confirm.
    """

    sets: tuple[str, ...]
    reported: bool
    control: Control
    said: bool
    commit: str | None = None
    digest: str | None = None
    objects: tuple[str, ...] = ()


async def awaited(datastore: Datastore, set_name: str) -> Awaited:
    """What this set waits for now. Raises `Unavailable`."""
    statuses = {each.key.name: each for each in (await datastore.list(KIND)).entries}
    control, entry = await read(datastore, set_name)
    sets, said = tuple(sorted(statuses)), entry is not None and entry.key == control_key(set_name)
    status = _status(statuses.get(set_name))
    held = _mapping(status.get("held"))
    digest, commit = held.get("digest"), held.get("commit")
    blocked = status.get("blocked")
    objects = [
        str(each.get("object"))
        for each in (blocked if isinstance(blocked, list) else ())
        if isinstance(each, Mapping) and each.get("why") == Why.NOT_CONFIRMED
    ]
    stage, gates = _mapping(status.get("stage")), status.get("gates")
    unknown = any(_mapping(each).get("standing") == Standing.NOT_AVAILABLE for each in gates or ())
    if stage and (stage.get("confirmable") or unknown):
        objects.append(str(Key("Stage", str(stage.get("number")))))
    waits = isinstance(digest, str)
    return Awaited(
        sets,
        set_name in statuses,
        control,
        said,
        str(commit) if waits else None,
        str(digest) if waits else None,
        tuple(objects),
    )


def _status(entry: Entry | None) -> Mapping[str, Any]:
    return {} if entry is None else _mapping(entry.value.get("status"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
