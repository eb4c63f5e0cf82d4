"""What every datastore does, and nothing else: compare-and-swap and watches over objects.

A value is the object as JSON (apiVersion, kind, metadata, spec ...), not a model: one object that cannot be read
must not hide the others, so whoever wants a model decodes and meets the problem at that object. The store fills
`metadata.resourceVersion`, `uid` and `creationTimestamp` as Calico's client does; nobody else writes them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NewType, Protocol, runtime_checkable

from muslin.errors import Failed, MuslinError, Problem, Unavailable
from muslin.resources.keys import Key

__all__ = [
    "AlreadyExists",
    "Bookmark",
    "Change",
    "Compacted",
    "Conflict",
    "Datastore",
    "Entry",
    "Forbidden",
    "Json",
    "Listing",
    "MaybeDone",
    "NotFound",
    "NotSupported",
    "Revision",
    "Transactions",
]

Json = Mapping[str, Any]
Revision = NewType("Revision", str)
"""Opaque outside a driver: only `==` is meaningful."""


class Entry(NamedTuple):
    """One object and the revision at which it was last written.

    `problems` is what of the thing that it was read from could not be used: told, and left out of the value.
    """

    key: Key
    value: Json
    revision: Revision
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects at one instant. `revision` is that of the whole store: a watch from it misses nothing.

    `more` continues a paged list (give it to `list` as `after`), None on the last page.
    """

    entries: tuple[Entry, ...]
    revision: Revision
    more: str | None = None


class Change(NamedTuple):
    """An object was written (`value` is set) or is gone (`value` is None). Existence is decided by the value."""

    key: Key
    value: Json | None
    revision: Revision
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Every change up to `revision` has been delivered on this watch."""

    revision: Revision


class NotFound(Failed):
    """There is no such object."""

    def __init__(self, key: Key) -> None:
        self.key = key
        super().__init__(Problem(f"{key} does not exist", str(key), "create it first, or check its name"))


class AlreadyExists(Failed):
    """The object to create is there already. `current` is what is there."""

    def __init__(self, current: Entry) -> None:
        self.key, self.current = current.key, current
        super().__init__(
            Problem(f"{current.key} exists already", str(current.key), "update it, or choose another name")
        )


class Conflict(Failed):
    """Somebody else wrote in between. `current` is the value to start again from."""

    def __init__(self, current: Entry) -> None:
        self.key, self.current = current.key, current
        super().__init__(
            Problem(
                f"{current.key} was changed by somebody else",
                f"{current.key} at revision {current.revision}",
                "read it again, and repeat the change on what is there now",
            )
        )


class Compacted(Failed):
    """The watch's revision is older than what the store still knows: list again."""

    def __init__(self, revision: Revision) -> None:
        self.revision = revision
        super().__init__(
            Problem(f"revision {revision} is compacted away", f"revision {revision}", "list again and watch from there")
        )


class Forbidden(Failed):
    """The store knows who asks, and does not let them."""

    def __init__(self, what: str, where: str, fix: str = "ask for the right, or use another account") -> None:
        super().__init__(Problem(what, where, fix))


class MaybeDone(Unavailable):
    """The answer to a write was lost: it may have happened, and may still happen. Read before trying again."""

    def __init__(self, key: Key, why: str) -> None:
        self.key = key
        super().__init__(
            Problem(
                f"the answer to a write was lost: {why}",
                str(key),
                "read it to see whether the write happened; repeat it only on the revision that is there then",
            )
        )


class NotSupported(Failed):
    """This store has no such operation for this kind, such as creating a Node of Kubernetes.

    Args:
        operation: the reference's word for it: `Create`, `Update`, `Delete`.
        key: of the object.
        fix: how it is done instead.
    """

    def __init__(self, operation: str, key: Key, fix: str) -> None:
        self.key = key
        super().__init__(Problem(f"operation {operation} is not supported on {key}", str(key), fix))


class Datastore(Protocol):
    """One datastore. Every method may raise `muslin.errors.Unavailable`, or `Forbidden` where a store has rights."""

    async def get(self, key: Key) -> Entry:
        """The object now. Raises `NotFound`."""
        ...

    async def list(
        self, kind: str, *, namespace: str | None = None, limit: int | None = None, after: str | None = None
    ) -> Listing:
        """Objects of one kind, ordered by namespace, then name. `after` is a former listing's `more`."""
        ...

    async def create(self, key: Key, value: Json) -> Entry:
        """Write an object that is not there. Raises `AlreadyExists`."""
        ...

    async def update(self, key: Key, value: Json, revision: Revision) -> Entry:
        """Write an object that is at `revision`. Raises `NotFound`, `Conflict`."""
        ...

    async def delete(self, key: Key, revision: Revision | None = None) -> Entry:
        """Remove an object, if given only at `revision`; gives what was there. Raises `NotFound`, `Conflict`."""
        ...

    def watch(self, kinds: Collection[str], after: Revision) -> AsyncIterator[Change | Bookmark]:
        """Every change of these kinds later than `after`, in order, for ever. Raises `Compacted` while iterating.

        Kubernetes tells each kind in order, and the kinds in no order among each other.
        """
        ...

    async def close(self) -> None:
        """Let go of files and sockets; watches end."""
        ...


@runtime_checkable
class Transactions(Protocol):
    """What a datastore may do besides: several writes as one, which costs it little more than one."""

    async def create_then_update(
        self, new: Sequence[tuple[Key, Json]], key: Key, value: Json, revision: Revision
    ) -> tuple[Sequence[Entry | MuslinError], Entry | MuslinError | None]:
        """Create these, and if each could be created update one object at its revision; all at one instant.

        Gives what came of each, and of the update, None where it was not tried. What was refused is told by its refusal
        and hinders no other creation. Raises what says that nothing was done.
        """
        ...
