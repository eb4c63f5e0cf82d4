"""A watch that goes on: what comes over the wire is a list of connections, what the caller sees is one sequence.

No event lost, doubled or from the past: each connection begins at the revision of the last event or bookmark that was
handed on, and revisions that are numbers must grow. A server whose history is another one (restored from a backup) is
found by that, and ends the watch as `Expired`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import urlencode

from muslin.errors import BadInput, Failed, Problem
from muslin.kubernetes.errors import Expired, NoAnswer, refusal
from muslin.kubernetes.json_text import decode_lines
from muslin.kubernetes.sending import Sender, Wait
from muslin.kubernetes.transport import Lost, Stream

__all__ = ["EventType", "WatchEvent", "watch"]

_BROKEN = 5
"""Times in a row that a stream may bring what is no event before we say so instead of asking again."""
_LONGEST = 1 << 26
"""Octets of one event: many times what an API server stores as one object."""


class EventType(StrEnum):
    """What happened, in the API's words."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


_TYPES = {str(each): each for each in EventType}


class WatchEvent(NamedTuple):
    """One event. A BOOKMARK's object has only kind and `metadata.resourceVersion`; a DELETED one is as it was last."""

    type: EventType
    object: dict[str, Any]

    @property
    def resource_version(self) -> str:
        """The revision of the change."""
        version: str = self.object["metadata"]["resourceVersion"]
        return version


class _Garbled(Exception):
    """The stream brought what is no event."""


async def watch(
    sender: Sender,
    path: str,
    *,
    resource_version: str,
    params: Mapping[str, str] | None = None,
    patience_s: float | None = None,
) -> AsyncIterator[WatchEvent]:
    """Every change later than `resource_version`, in order, for ever.

    Args:
        sender: sends.
        path: of the collection.
        resource_version: of a list; `0` and nothing are refused: such a watch begins with objects in no order, and
            nobody could go on with it.
        params: labelSelector, fieldSelector, timeoutSeconds where connections are to end at another time than ours.
        patience_s: how long to be without a connection before saying so; None for ever.

    Raises:
        Expired: list again.
        ApiError: the server refuses; NotFound where the kind is gone.
        NoAnswer: out of patience.
    """
    if resource_version in ("", "0"):
        what = "a watch begins at the revision of a list"
        raise BadInput(Problem(what, path, "list first, and give its metadata.resourceVersion"))
    loop = asyncio.get_running_loop()
    seen, failures, garbled, alive = resource_version, 0, 0, loop.time()
    place = sender.place("GET", path)
    while True:
        began, asked, trouble = loop.time(), None, "the server closed the connection"
        try:
            async with sender.open(_target(path, seen, params, sender)) as stream:
                alive = loop.time()
                async for values in _values(stream, sender.limits.idle_s):
                    for value in values:
                        event = _event(value, place)
                        seen = _later(seen, event, place)
                        failures = garbled = 0
                        yield event
                    alive = loop.time()
            alive = loop.time()
        except _Garbled as error:
            garbled += 1
            if garbled == _BROKEN:
                raise Failed(Problem(str(error), place, "see what stands between us and the API server")) from error
            failures += 1
        except Lost as lost:
            trouble, failures = lost.why, failures + 1
        except TimeoutError:
            trouble, failures = "the server fell silent", failures + 1
        except Wait as wait:
            trouble, asked, failures = wait.error.problems[0].what, wait.asked_s, failures + 1
        else:
            if loop.time() - began < 1.0:  # a server that ends each watch at once must not be asked in a circle
                failures += 1
            else:
                failures = 0
        if patience_s is not None and loop.time() - alive >= patience_s:
            raise NoAnswer(f"no watch for {loop.time() - alive:.0f} s: {trouble}", place)
        if failures:
            await sender.pause(failures, asked)


def _target(path: str, seen: str, params: Mapping[str, str] | None, sender: Sender) -> str:
    least = sender.limits.watch_s
    query = {
        "timeoutSeconds": str(max(1, round(sender.random.uniform(least, 2 * least)))),
        **(params or {}),
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": seen,
    }
    return f"{path}?{urlencode(query)}"


async def _values(stream: Stream, idle_s: float) -> AsyncIterator[list[Any]]:
    """Lines of one connection, as many as came, to its end. Raises `Lost`, `_Garbled`, TimeoutError after silence."""
    begun, size = list[bytes](), 0
    """Pieces of a line whose end has not come: joined once, however large the object."""
    while True:
        piece = await stream.some(idle_s)
        if not piece:
            if any(begun):
                raise Lost("the connection ended within an event", sent=True)
            return
        lines = piece.split(b"\n")
        if len(lines) == 1:
            begun.append(piece)
            size += len(piece)
            if size > _LONGEST:
                raise _Garbled("an event of the watch has no end")
            continue
        if begun:
            lines[0] = b"".join((*begun, lines[0]))
        last = lines.pop()
        begun, size = [last] if last else [], len(last)
        values, whole = decode_lines(lines)
        yield values
        if not whole:
            raise _Garbled("a line of the watch is no JSON")


def _event(value: Any, place: str) -> WatchEvent:
    try:
        told, thing = value["type"], value["object"]
    except (TypeError, KeyError) as error:
        raise _Garbled("a line of the watch is no event") from error
    kind = _TYPES.get(told)
    if kind is not None:
        return WatchEvent(kind, thing)
    if told != "ERROR" or not isinstance(thing, dict):
        raise _Garbled(f"an event of type {told!r}, which there is not")
    status = thing.get("code")
    refused = refusal(status if isinstance(status, int) else 500, thing, place)
    if isinstance(refused, Expired) or (400 <= refused.status < 500 and refused.status != 429):
        raise refused
    details = thing.get("details")
    asked = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    raise Wait(float(asked) if isinstance(asked, int) else None, refused)


def _later(seen: str, event: WatchEvent, place: str) -> str:
    """The event's revision. Raises Expired where it is not later than what we saw: this is another history."""
    try:
        now: str = event.object["metadata"]["resourceVersion"]
    except (TypeError, KeyError) as error:
        raise _Garbled("an event without a revision") from error
    if now.isdecimal() and seen.isdecimal():
        back = int(now) < int(seen) if event.type is EventType.BOOKMARK else int(now) <= int(seen)
        if back:
            message = f"an event of revision {now} came after revision {seen}: the server's history is another one now"
            raise Expired(410, "Expired", message, place)
    return now
