"""A migration's two ends, and what came of it, as values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from muslin.datastore.migrate_marker import State
from muslin.datastore.migrate_objects import StoreType, Why
from muslin.datastore.protocol import Datastore
from muslin.errors import MuslinError
from muslin.resources.keys import Key

__all__ = ["Difference", "End", "Left", "Report"]


@dataclass(frozen=True, slots=True)
class End:
    """A datastore at one end of the way.

    Attributes:
        name: for people.
        type: what kind it is.
        open: a client of it; called more than once, so that checking is done by another than who wrote.
    """

    name: str
    type: StoreType
    open: Callable[[], AbstractAsyncContextManager[Datastore]]


@dataclass(frozen=True, slots=True)
class Left:
    """An object that does not come along."""

    key: Key
    why: Why


@dataclass(frozen=True, slots=True)
class Difference:
    """An object that is not at the destination as it is at the source."""

    key: Key
    what: str


@dataclass(slots=True)
class Report:
    """What was, or would be, done.

    Attributes:
        state: what the destination was when we came.
        found: Counter[kind] of objects to move.
        written: Counter[kind] of objects created or changed, over all passes.
        removed: objects of an interrupted run that the source no longer has.
        left: objects that do not come along.
        refused: what the destination did not take, and why.
        differences: what the comparison at the end found.
        dry: nothing was written.
    """

    state: State = State.FREE
    found: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    removed: list[Key] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    refused: dict[Key, MuslinError] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    dry: bool = False

    @property
    def losses(self) -> list[Left]:
        """What would be lost for good."""
        return [each for each in self.left if each.why.is_loss]

    @property
    def complete(self) -> bool:
        """Whether all that was to come is there."""
        return not self.refused and not self.differences
