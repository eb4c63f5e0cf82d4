"""Who changed what we are about to put back, and when, where the store keeps that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from muslin.datastore.field_ownership import FieldOwner, FieldOwnership
from muslin.datastore.protocol import Datastore, NotFound
from muslin.resources.keys import Key
from reconciler.plan import Cause, Step

__all__ = ["drifters"]

_MOST: Final = 50
"""So many objects are asked about at a time: each is a request, and a status names no more."""


async def drifters(datastore: Datastore, steps: Iterable[Step], ours: str) -> Mapping[Key, FieldOwner]:
    """Mapping[object that drifted, the manager who wrote one of its fields last, other than us].

    An object that was deleted has nobody's record. Raises `Unavailable`.
    """
    found: dict[Key, FieldOwner] = {}
    if not isinstance(datastore, FieldOwnership):
        return found
    drifted = [step for step in steps if step.cause is Cause.DRIFT and step.revision is not None]
    for step in drifted[:_MOST]:
        if not await datastore.keeps_owners(step.key.kind):
            continue
        try:
            owners = await datastore.owners(step.key)
        except NotFound:
            continue
        others = [each for each in owners if each.manager != ours]
        writers = [each for each in others if any(_covers(path, step) for path in each.fields)] or others
        if writers:
            found[step.key] = writers[0]
    return found


def _covers(path: str, step: Step) -> bool:
    """Lists are owned whole, or by item: a part of the path is enough either way."""
    return any(each.path.startswith(path) or path.startswith(each.path) for each in step.fields)
