"""The log of a reconciler: one line for each event, for people or for programs, each with the id of its look."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from reconciler.status import Event, EventKind

__all__ = ["Level", "level", "line", "one_line", "writer"]


class Level(StrEnum):
    """How much a person should care."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_LEVELS: Final[Mapping[EventKind, Level]] = {
    EventKind.COMMIT_HELD: Level.ERROR,
    EventKind.OBJECT_FAILED: Level.ERROR,
    EventKind.ROLLED_BACK: Level.ERROR,
    EventKind.FAILED: Level.ERROR,
    EventKind.REVERT: Level.WARNING,
    EventKind.STAGE: Level.WARNING,
    EventKind.INCOMPLETE: Level.WARNING,
    EventKind.DRIFT_REPAIRED: Level.WARNING,
    EventKind.OBJECT_WAITS: Level.WARNING,
    EventKind.OBJECT_BLOCKED: Level.WARNING,
    EventKind.PAUSED: Level.WARNING,
    EventKind.SUSPENDED: Level.WARNING,
    EventKind.RETRY: Level.WARNING,
}


def level(kind: EventKind) -> Level:
    """How much a person should care about an event of this kind; INFO where nothing is said."""
    return _LEVELS.get(kind, Level.INFO)


def one_line(text: str) -> str:
    """The text with everything that is no character for people escaped: a repository's words reach terminals."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def line(event: Event, *, set_name: str, run_id: str, at: datetime, as_json: bool) -> str:
    """One line, without its end. As JSON: at, level, set, reconcile (`run-look`), then what the event says."""
    if not as_json:
        return one_line(f"muslin reconcile: {event}")
    content: dict[str, Any] = {
        "at": at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": level(event.kind).value,
        "set": set_name,
        **event.to_json(),
        "reconcile": f"{run_id}-{event.reconcile}",
    }
    return json.dumps(content, default=str)


def writer(
    write: Callable[[str], None], *, set_name: str, run_id: str, now: Callable[[], datetime], as_json: bool
) -> Callable[[Event], None]:
    """What a reconciler tells its events to: each becomes a line for `write`."""

    def tell(event: Event) -> None:
        write(line(event, set_name=set_name, run_id=run_id, at=now(), as_json=as_json))

    return tell
