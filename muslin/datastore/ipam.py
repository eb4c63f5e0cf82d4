"""Drives the pure operations of `muslin.ipam` over a datastore."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, NotFound, Revision, Transactions
from muslin.errors import MuslinError
from muslin.ipam.requests import (
    Answer,
    Answers,
    Create,
    Delete,
    Get,
    List,
    Operation,
    Refusal,
    Refused,
    Request,
    Stored,
    Together,
    Update,
)

__all__ = ["perform", "run"]

_R = TypeVar("_R")


async def run(datastore: Datastore, operation: Operation[_R]) -> _R:
    """Perform an operation to its end, and give its result.

    Whatever the operation raises comes through. `Unavailable` of the datastore ends it where it stands; then only
    releasing by the handle, or asking again, tells what was done.
    """
    try:
        request = next(operation)
        while True:
            request = operation.send(await perform(datastore, request))
    except StopIteration as end:
        result: _R = end.value
        return result
    finally:
        operation.close()


async def perform(datastore: Datastore, request: Request) -> Answer:
    """One request, and its answer as a value."""
    try:
        match request:
            case Get(key):
                return _stored(await datastore.get(key))
            case List(kind):
                return tuple(_stored(entry) for entry in (await datastore.list(kind)).entries)
            case Create(key, value):
                return _stored(await datastore.create(key, value))
            case Update(key, value, revision):
                return _stored(await datastore.update(key, value, Revision(revision)))
            case Delete(key, revision):
                return _stored(await datastore.delete(key, Revision(revision)))
            case Together(writes, then):
                return await _together(datastore, writes, then)
    except NotFound:
        return Refusal(Refused.NOT_FOUND)
    except AlreadyExists as error:
        return Refusal(Refused.EXISTS, _stored(error.current))
    except Conflict as error:
        return Refusal(Refused.CONFLICT, _stored(error.current))


async def _together(datastore: Datastore, writes: Sequence[Create | Delete], then: Update | None) -> Answers:
    """All of them under way at once; a datastore that fails one of them fails all, after the others have ended."""
    new = [(each.key, each.value) for each in writes if isinstance(each, Create)]
    if then is not None and len(new) == len(writes) and isinstance(datastore, Transactions):
        made, last = await datastore.create_then_update(new, then.key, then.value, Revision(then.revision))
        return Answers(tuple(map(_answered, made)), None if last is None else _answered(last))
    found = await asyncio.gather(*(perform(datastore, each) for each in writes), return_exceptions=True)
    for answer in found:
        if isinstance(answer, BaseException):
            raise answer
    answers = tuple(answer for answer in found if isinstance(answer, Stored | Refusal))
    if then is None or any(isinstance(each, Refusal) for each in answers):
        return Answers(answers)
    answer = await perform(datastore, then)
    assert isinstance(answer, Stored | Refusal)
    return Answers(answers, answer)


def _answered(outcome: Entry | MuslinError) -> Stored | Refusal:
    """What came of one write of a transaction. Raises what is no refusal of it, such as a value that can't be kept."""
    match outcome:
        case Entry():
            return _stored(outcome)
        case AlreadyExists(current=current):
            return Refusal(Refused.EXISTS, _stored(current))
        case Conflict(current=current):
            return Refusal(Refused.CONFLICT, _stored(current))
        case NotFound():
            return Refusal(Refused.NOT_FOUND)
        case _:
            raise outcome


def _stored(entry: Entry) -> Stored:
    return Stored(entry.key, entry.value, str(entry.revision))
