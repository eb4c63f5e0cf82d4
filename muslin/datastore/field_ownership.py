"""What a store with several writers of one object may offer beside `Datastore`: who writes which field, kept by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from muslin.datastore.protocol import Entry, Json, Revision
from muslin.errors import Failed, Problem
from muslin.resources.keys import Key

__all__ = ["FieldOwner", "FieldOwnership", "FieldsTaken", "TakenField"]


@dataclass(frozen=True, slots=True)
class TakenField:
    """A field as people write it, `spec.order`, and the manager that owns it."""

    path: str
    manager: str


@dataclass(frozen=True, slots=True)
class FieldOwner:
    """One manager's part of an object: `operation` is Apply or Update, `at` RFC 3339, `fields` as people write them."""

    manager: str
    operation: str
    at: str
    fields: tuple[str, ...]


class FieldsTaken(Failed):
    """Others own fields that an apply without force would change. `fields` names them all; nothing was written."""

    def __init__(self, key: Key, fields: tuple[TakenField, ...]) -> None:
        self.key, self.fields = key, fields
        fix = "leave them to their managers, or take them over"
        super().__init__([Problem(f"{each.path} is {each.manager}'s", f"{key}  {each.path}", fix) for each in fields])


@runtime_checkable
class FieldOwnership(Protocol):
    """A datastore that keeps who writes which field."""

    async def keeps_owners(self, kind: str) -> bool:
        """Whether it does so for this kind."""
        ...

    async def apply(
        self, key: Key, value: Json, revision: Revision | None, *, manager: str, force: bool = False
    ) -> Entry:
        """Make the fields in `value` ours, create the object if need be, remove what of ours is not in it any more.

        Raises `FieldsTaken` unless forced, `Conflict` where the object is not at `revision` (None: whatever is there),
        `NotFound`.
        """
        ...

    def show_owners(self) -> None:
        """From now on objects carry the record of who writes which field, where it is kept: `metadata.managedFields`.

        For who shows a plan to people. It is as long as the objects, so nobody else keeps it.
        """
        ...

    async def owners(self, key: Key) -> tuple[FieldOwner, ...]:
        """Who writes what of an object, the latest writer first. Raises `NotFound`."""
        ...
