"""Which stage of a course is under way, as it stands in the set's control object: what a crash must not forget.

There is a record for each commit that is on a course: that of the commit in force stays until another one is in force,
whatever happens in between. A record is only ever moved on from the stage that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from muslin.datastore.protocol import Json
from muslin.resources.keys import Key
from reconciler.control import Control
from reconciler.course import Course, Start

__all__ = ["Underway", "ended", "moved_on", "set_out", "underway"]

_NAME: Final = "courses"


@dataclass(frozen=True, slots=True)
class Underway:
    """Where a commit's course began, the stage that it is in, and since when, RFC 3339."""

    start: Start
    number: int
    since: str


def underway(control: Control, commit: str | None) -> Underway | None:
    """What is remembered of a commit; None where it is on no course, or what stands there cannot be read."""
    stored = _records(control).get(commit or "")
    if not isinstance(stored, Mapping):
        return None
    try:
        start = Start(
            {_key(each): each.get("value") for each in stored["former"]},
            {_key(each): each["value"] for each in stored["others"]},
            tuple(map(str, stored["nodes"])),
            (stored["mtus"][0], stored["mtus"][1]),
        )
        return Underway(start, int(stored["stage"]), str(stored["since"]))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None


def set_out(control: Control, commit: str, course: Course | None, since: str, *, keep: str | None) -> Control:
    """A commit is about to come into force: with a course, or without. `keep`: the one that is in force until then."""
    records = {name: each for name, each in _records(control).items() if name == keep and name != commit}
    if course is not None:
        records[commit] = _stored(Underway(course.start, course.number, since))
    return _with(control, records)


def moved_on(control: Control, commit: str, number: int, since: str) -> Control:
    """The stage of this number is over, and the next one begins."""
    found = underway(control, commit)
    if found is None or found.number != number:
        return control
    return _with(control, {**_records(control), commit: _stored(replace(found, number=number + 1, since=since))})


def ended(control: Control, commit: str) -> Control:
    """The last stage is over."""
    return _with(control, {name: each for name, each in _records(control).items() if name != commit})


def _records(control: Control) -> Mapping[str, Any]:
    found = control.others.get(_NAME)
    return found if isinstance(found, Mapping) else {}


def _with(control: Control, records: Mapping[str, Any]) -> Control:
    if records == _records(control):
        return control
    others = {name: each for name, each in control.others.items() if name != _NAME}
    return replace(control, others=others | ({_NAME: dict(records)} if records else {}))


def _stored(found: Underway) -> dict[str, Any]:
    start = found.start
    return {
        "stage": found.number,
        "since": found.since,
        "former": [_named(key) | ({} if value is None else {"value": value}) for key, value in start.former.items()],
        "others": [_named(key) | {"value": value} for key, value in start.others.items()],
        "nodes": list(start.nodes),
        "mtus": list(start.mtus),
    }


def _named(key: Key) -> dict[str, str]:
    return {"kind": key.kind, "name": key.name}


def _key(stored: Json) -> Key:
    return Key(str(stored["kind"]), str(stored["name"]))
