"""What IPAM asks of a datastore, as values: every operation here is a generator that yields requests.

It is resumed with the answer. So the rules run without I/O, and a test can interleave or stop them at any request.
A datastore that does not answer is the driver's exception: it ends the operation where it stands.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias, TypeVar

from muslin.resources.keys import Key

__all__ = [
    "ATTEMPTS",
    "Answer",
    "Answers",
    "Create",
    "Delete",
    "Get",
    "Json",
    "List",
    "Operation",
    "Refusal",
    "Refused",
    "Request",
    "Stored",
    "Together",
    "Update",
    "create",
    "delete",
    "get",
    "list_all",
    "update",
    "write_then",
    "write_together",
]

Json: TypeAlias = Mapping[str, Any]

ATTEMPTS = 100
"""How often an operation starts again after others wrote in between; the reference's number."""


@dataclass(frozen=True, slots=True)
class Get:
    """The object now. Answer: `Stored`, or `Refusal` NOT_FOUND."""

    key: Key


@dataclass(frozen=True, slots=True)
class List:
    """All objects of a kind. Answer: a tuple of `Stored`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Create:
    """Write what is not there. Answer: `Stored`, or `Refusal` EXISTS."""

    key: Key
    value: Json


@dataclass(frozen=True, slots=True)
class Update:
    """Write what is at this revision. Answer: `Stored`, or `Refusal` NOT_FOUND or CONFLICT."""

    key: Key
    value: Json
    revision: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove what is at this revision. Answer: `Stored` (what was there), or `Refusal` NOT_FOUND or CONFLICT."""

    key: Key
    revision: str


@dataclass(frozen=True, slots=True)
class Together:
    """Several writes that do not depend on each other. Answer: `Answers`, in the same order.

    `then` is written after all of them, and only if each was done; where the store has transactions, in the same one.
    """

    writes: tuple[Create | Delete, ...]
    then: Update | None = None


Request: TypeAlias = Get | List | Create | Update | Delete | Together


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it is in the datastore."""

    key: Key
    value: Json
    revision: str


class Refused(Enum):
    """Why a request was not done."""

    NOT_FOUND = "not found"
    CONFLICT = "changed by somebody else"
    EXISTS = "exists already"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was not done; `current` is what is there instead, if anything."""

    reason: Refused
    current: Stored | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of each request of a `Together`; `then` is None where it was not tried."""

    each: tuple[Stored | Refusal, ...]
    then: Stored | Refusal | None = None


Answer: TypeAlias = Stored | Refusal | tuple[Stored, ...] | Answers

_R = TypeVar("_R")
Operation: TypeAlias = Generator[Request, Answer, _R]
"""A computation that yields requests, is sent their answers, and returns `_R`."""


def get(key: Key) -> Operation[Stored | None]:
    """The object, None where there is none. A deletion that its writer left half done is ended first."""
    answer = yield Get(key)
    if not isinstance(answer, Stored):
        return None
    spec = answer.value.get("spec")
    if isinstance(spec, Mapping) and spec.get("deleted") in (True, "true"):
        yield Delete(key, answer.revision)
        return None
    return answer


def list_all(kind: str) -> Operation[tuple[Stored, ...]]:
    """All objects of a kind, without those whose deletion is half done."""
    answer = yield List(kind)
    assert isinstance(answer, tuple)
    return tuple(
        stored
        for stored in answer
        if not (isinstance(spec := stored.value.get("spec"), Mapping) and spec.get("deleted") in (True, "true"))
    )


def create(key: Key, value: Json) -> Operation[Stored | Refusal]:
    """See `Create`."""
    answer = yield Create(key, value)
    assert isinstance(answer, Stored | Refusal)
    return answer


def write_together(writes: Sequence[Create | Delete]) -> Operation[tuple[Stored | Refusal, ...]]:
    """See `Together`."""
    answer = yield Together(tuple(writes))
    assert isinstance(answer, Answers)
    return answer.each


def write_then(writes: Sequence[Create], stored: Stored, value: Json) -> Operation[Answers]:
    """These, and after them, if each was done, a write over exactly `stored`. See `Together`."""
    answer = yield Together(tuple(writes), Update(stored.key, value, stored.revision))
    assert isinstance(answer, Answers)
    return answer


def update(stored: Stored, value: Json) -> Operation[Stored | Refusal]:
    """Write over exactly this."""
    answer = yield Update(stored.key, value, stored.revision)
    assert isinstance(answer, Stored | Refusal)
    return answer


def delete(stored: Stored) -> Operation[bool]:
    """Remove exactly this; True also where it is gone already."""
    answer = yield Delete(stored.key, stored.revision)
    return isinstance(answer, Stored) or (isinstance(answer, Refusal) and answer.reason is Refused.NOT_FOUND)
