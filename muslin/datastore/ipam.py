"""Drives the pure operations of `muslin.ipam` over a datastore."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, NotFound, Revision
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
            case Together(writes):
                return await _together(datastore, writes)
    except NotFound:
        return Refusal(Refused.NOT_FOUND)
    except AlreadyExists as error:
        return Refusal(Refused.EXISTS, _stored(error.current))
    except Conflict as error:
        return Refusal(Refused.CONFLICT, _stored(error.current))


async def _together(datastore: Datastore, writes: Sequence[Create | Delete]) -> Answers:
    """All of them under way at once; a datastore that fails one of them fails all, after the others have ended."""
    found = await asyncio.gather(*(perform(datastore, each) for each in writes), return_exceptions=True)
    for answer in found:
        if isinstance(answer, BaseException):
            raise answer
    return Answers(tuple(answer for answer in found if isinstance(answer, Stored | Refusal)))


def _stored(entry: Entry) -> Stored:
    return Stored(entry.key, entry.value, str(entry.revision))
