"""Which stage of a course is under way, as it stands in the set's control object: what a crash must not forget.

There is a record for each commit that is on a course: that of the commit in force stays until another one is in force,
whatever happens in between. A record is only ever moved on from the stage that it names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from muslin.datastore.protocol import Entry, Json
from muslin.errors import Problem
from muslin.resources.keys import Key
from reconciler.control import Control
from reconciler.course import Course, Start, course, start_of, wish_of
from reconciler.ledger import Owned
from reconciler.manifests import Reading

__all__ = ["Underway", "course_for", "ended", "moved_on", "set_out", "too_large", "underway"]

_NAME: Final = "courses"
_MTU: Final = "podMTU"
_LARGEST: Final = 500_000
"""Bytes of one record as text: two stand beside each other in an object that stores limit to some 1,500,000."""


@dataclass(frozen=True, slots=True)
class Underway:
    """Where a commit's course began, the stage that it is in, and since when, RFC 3339. `wish` is where it leads to."""

    start: Start
    number: int
    since: str
    wish: str = ""


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
            (stored["mtus"].get("running"), stored["mtus"].get("wished")),
        )
        return Underway(start, int(stored["stage"]), str(stored["since"]), str(stored["wish"]))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None


def course_for(
    reading: Reading, live: Mapping[Key, Entry], owned: Mapping[Key, Owned], control: Control, accepted: str | None
) -> Course | tuple[Problem, ...] | None:
    """The course of a commit: as remembered for the one in force or one with its wish, else from what is there.

    Problems where no stages make it safe, None where none are needed.

    Args:
        reading: of the commit.
        live: what is there.
        owned: the ledger.
        control: what is remembered.
        accepted: the commit in force.
    """
    if reading.facts is None:
        return None
    found = underway(control, accepted)
    if found is not None and (reading.commit == accepted or found.wish == _wish(reading)):
        return course(found.start, reading, found.number)
    if reading.commit == accepted:
        return None
    known = control.others.get(_MTU)
    mtu = found.start.mtus[0] if found is not None else known if isinstance(known, int) else None
    start = start_of(reading, live, owned, mtu)
    return None if start is None else course(start, reading)


def too_large(reading: Reading, made: Course) -> tuple[Problem, ...]:
    """Said of a change that would not survive a crash, because no datastore takes what must be remembered of it."""
    assert reading.facts is not None
    size = len(json.dumps(_stored(Underway(made.start, 1, "", "")), default=dict))
    if size <= _LARGEST:
        return ()
    count = len(made.start.former) + len(made.start.others)
    what = (
        f"{count} objects are part of this change, and {size} bytes must be remembered of them, of {_LARGEST} at most"
    )
    fix = "change a part of the nodes in one commit and the others in the next, or start once with --no-gates"
    return (Problem(what, str(reading.facts.place), fix),)


def set_out(control: Control, reading: Reading, course: Course | None, since: str, *, keep: str | None) -> Control:
    """A commit is about to come into force: with a course, or without. `keep`: the one that is in force until then."""
    records = {name: each for name, each in _records(control).items() if name == keep and name != reading.commit}
    if course is not None:
        records[reading.commit] = _stored(Underway(course.start, course.number, since, _wish(reading)))
    changed = _with(control, records)
    mtu = reading.facts.mtu if reading.facts is not None else None
    if changed.others.get(_MTU) == mtu:
        return changed
    others = {name: each for name, each in changed.others.items() if name != _MTU}
    return replace(changed, others=others | ({} if mtu is None else {_MTU: mtu}))


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
        "wish": found.wish,
        "former": [_named(key) | ({} if value is None else {"value": value}) for key, value in start.former.items()],
        "others": [_named(key) | {"value": value} for key, value in start.others.items()],
        "nodes": list(start.nodes),
        "mtus": {name: mtu for name, mtu in zip(("running", "wished"), start.mtus, strict=True) if mtu is not None},
    }


def _wish(reading: Reading) -> str:
    """What stages lead to, in a line: the same of commits that differ elsewhere only."""
    wish = [[str(key), value] for key, value in sorted(wish_of(reading).items(), key=lambda item: str(item[0]))]
    told = [wish, reading.facts.mtu if reading.facts is not None else None]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=dict).encode()).hexdigest()[:16]


def _named(key: Key) -> dict[str, str]:
    return {"kind": key.kind, "name": key.name}


def _key(stored: Json) -> Key:
    return Key(str(stored["kind"]), str(stored["name"]))
