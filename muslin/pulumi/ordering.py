"""Which object waits for which, from the order that the reconciler walks; pure. Pulumi deletes in reverse by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from muslin.resources.keys import Key
from reconciler.order import Place, Stage, placed, position, stage, waits

__all__ = ["Objects", "ordered", "turns_mesh_off", "waits_for"]

Objects: TypeAlias = Mapping[Key, Mapping[str, Any]]
"""Mapping[Key, the object as JSON]."""


def ordered(objects: Objects) -> tuple[Key, ...]:
    """The objects as the reconciler writes them, so that each comes after all that it waits for."""
    return tuple(sorted(objects, key=lambda key: position(key, objects[key])))


def waits_for(key: Key, objects: Objects, earlier: Iterable[Key]) -> tuple[Key, ...]:
    """Of the earlier objects, those without which this one must not be written.

    Pulumi writes side by side whatever does not wait. So of policies that close by selecting, each also waits for those
    of a smaller order, which open to their pods what it would close.
    """
    mine = placed(key, objects[key])
    return tuple(each for each in earlier if _waits(mine, key, placed(each, objects[each]), each, objects))


def _waits(mine: Place, key: Key, theirs: Place, other: Key, objects: Objects) -> bool:
    if mine.stage is theirs.stage is Stage.CLOSING:
        return bool(position(other, objects[other])[:3] < position(key, objects[key])[:3])
    return waits(mine, theirs)


def turns_mesh_off(key: Key, value: Mapping[str, Any]) -> bool:
    """Whether writing this object ends the sessions of the node-to-node mesh."""
    return stage(key, value) is Stage.MESH_OFF
