"""What the reconciler says: the ReconcilerStatus object of a set, and events for the log.

The object is written only when something other than a time differs, so that a cluster at rest is not written to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, NotFound
from muslin.errors import Problem
from muslin.resources.keys import Key
from reconciler.compare import FieldChange
from reconciler.control import Suspension
from reconciler.drift import Drifted
from reconciler.fetch_state import Standing
from reconciler.gates import Verdict
from reconciler.ledger import API_VERSION
from reconciler.plan import Why
from reconciler.remotes import short

__all__ = ["KIND", "MAX_DRIFT", "Event", "EventKind", "Repair", "Status", "StatusBoard"]

KIND: Final = "ReconcilerStatus"
MAX_DRIFT: Final = 50
_MAX_PROBLEMS: Final = 100
_MAX_WHY: Final = 10
_MAX_LISTED: Final = 200
"""Objects of each trouble that are listed; of others it is said how many: stores limit the size of one object."""
_MAX_FIELDS: Final = 10
_MAX_TEXT: Final = 500
_MAX_VALUE: Final = 300


class EventKind(StrEnum):
    """What happened."""

    STARTED = "Started"
    ELECTION = "Election"
    FETCH = "Fetch"
    COMMIT_ACCEPTED = "CommitAccepted"
    COMMIT_HELD = "CommitHeld"
    APPLIED = "Applied"
    INCOMPLETE = "Incomplete"
    DRIFT_REPAIRED = "DriftRepaired"
    DRIFT_FOUND = "DriftFound"
    FIELDS_LEFT = "FieldsLeft"
    OBJECT_WRITTEN = "ObjectWritten"
    OBJECT_FAILED = "ObjectFailed"
    OBJECT_WAITS = "ObjectWaits"
    OBJECT_BLOCKED = "ObjectBlocked"
    PAUSED = "Paused"
    SUSPENDED = "Suspended"
    STAGE = "Stage"
    GATE = "Gate"
    ROLLED_BACK = "RolledBack"
    REVERT = "Revert"
    BELIEVED = "Believed"
    RETRY = "Retry"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, for a log. `reconcile` counts the looks of this process."""

    kind: EventKind
    reconcile: int
    message: str
    commit: str | None = None
    key: Key | None = None
    fields: tuple[FieldChange, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The event for programs."""
        result: dict[str, Any] = {"event": self.kind.value, "reconcile": self.reconcile, "message": self.message}
        if self.commit is not None:
            result["commit"] = self.commit
        if self.key is not None:
            result["object"] = str(self.key)
        if self.fields:
            result["fields"] = [{"path": each.path, "old": each.old, "new": each.new} for each in self.fields]
        return result

    def __str__(self) -> str:
        """One line for people."""
        changes = "; ".join(f"{each.path}: {_short(each.old)} -> {_short(each.new)}" for each in self.fields[:5])
        commit = f" [{short(self.commit)}]" if self.commit else ""
        line = f"#{self.reconcile} {self.kind.value}{commit} {self.message}"
        told = " ".join((f"{line} ({changes})" if changes else line).split())
        return told if told.isprintable() else "".join(each if each.isprintable() else "?" for each in told)


@dataclass(frozen=True, slots=True)
class Repair:
    """Something of ours that somebody else changed, and that was put back. `at` is RFC 3339.

    `by` is who changed it and `changed_at` when, where the store keeps that.
    """

    key: Key
    fields: tuple[FieldChange, ...]
    at: str
    by: str | None = None
    changed_at: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What one look found.

    `seen` is the branch's commit, `accepted` the one in force, `applied` the last that was applied completely,
    `held` the branch's commit where it is not in force, with `reason` and `problems`, and the `digest` of its plan if
    somebody may approve it. `gates` are those that are not simply open, `gated` the objects behind closed ones;
    `drifted` is left as it is. `stage` is the one that a change of a running cluster is in.
    """

    fetch: Mapping[str, Any] = field(default_factory=dict)
    seen: str | None = None
    accepted: str | None = None
    applied: str | None = None
    held: str | None = None
    reason: str | None = None
    digest: str | None = None
    problems: tuple[Problem, ...] = ()
    plan: Mapping[str, int] = field(default_factory=dict)
    blocked: tuple[tuple[Key, str, Problem], ...] = ()
    failed: tuple[tuple[Key, Problem], ...] = ()
    waiting: tuple[tuple[Key, Key], ...] = ()
    gates: tuple[Verdict, ...] = ()
    gated: tuple[Key, ...] = ()
    drifted: tuple[Drifted, ...] = ()
    suspended: Suspension | None = None
    paused: bool = False
    stage: Mapping[str, Any] | None = None

    @property
    def settled(self) -> bool:
        """Whether what the branch shows is known and in force, and nothing of it waits, failed or is blocked."""
        in_the_way = (
            self.held,
            self.problems,
            self.blocked,
            self.failed,
            self.waiting,
            self.gated,
            self.suspended,
            self.paused,
            self.stage,
        )
        fetched = self.fetch.get("standing", Standing.CURRENT) == Standing.CURRENT
        return self.seen is not None and fetched and not any(in_the_way)

    def to_json(self) -> dict[str, Any]:
        """The status as stored, without the list of drift."""
        return {
            "fetch": dict(self.fetch),
            "seen": self.seen,
            "accepted": self.accepted,
            "applied": self.applied,
            "held": self.held
            and {"commit": self.held, "reason": self.reason} | ({"digest": self.digest} if self.digest else {}),
            "problems": [_problem(each) for each in self.problems[:_MAX_PROBLEMS]],
            "problemCount": len(self.problems),
            "lastPlan": dict(self.plan),
            "blocked": [
                {"object": str(key), "why": why} | _problem(what)
                for key, why, what in sorted(self.blocked, key=_waits_for_no_word)[:_MAX_LISTED]
            ],
            "failed": [{"object": str(key)} | _problem(what) for key, what in self.failed[:_MAX_LISTED]],
            "waiting": [{"object": str(key), "for": str(other)} for key, other in self.waiting[:_MAX_LISTED]],
            "gates": [
                {
                    "gate": str(each.gate),
                    "standing": each.standing.value,
                    "why": [_cut(why) for why in each.why[:_MAX_WHY]],
                }
                for each in self.gates
            ],
            "gated": [str(key) for key in self.gated[:_MAX_LISTED]],
            "notListed": {
                name: len(listed) - _MAX_LISTED
                for name, listed in (
                    ("blocked", self.blocked),
                    ("failed", self.failed),
                    ("waiting", self.waiting),
                    ("gated", self.gated),
                )
                if len(listed) > _MAX_LISTED
            },
            "leftAsIs": [
                {
                    "object": str(each.key),
                    "mode": each.mode.value,
                    "fields": [one.path for one in each.fields[:_MAX_FIELDS]],
                }
                for each in self.drifted[:MAX_DRIFT]
            ],
            "suspended": None if self.suspended is None else asdict(self.suspended),
            "paused": self.paused,
            "stage": None if self.stage is None else dict(self.stage),
        }


class StatusBoard:
    """The ReconcilerStatus object of one set: remembers what it wrote, so that equal news cost nothing."""

    def __init__(self, datastore: Datastore, set_name: str) -> None:
        self._datastore = datastore
        self._key = Key(KIND, set_name)
        self._entry: Entry | None = None
        self._drift: list[Any] = []

    @property
    def applied(self) -> str | None:
        """The last commit that was applied completely, as stored. Only after `load`."""
        found = self._stored().get("applied")
        return found if isinstance(found, str) else None

    @property
    def last_plan(self) -> Mapping[str, int]:
        """The counts of the last plan that had steps, as stored. Only after `load`."""
        found = self._stored().get("lastPlan")
        return found if isinstance(found, Mapping) else {}

    async def load(self) -> None:
        """Read what is stored; nothing there is fine."""
        try:
            self._entry = await self._datastore.get(self._key)
        except NotFound:
            self._entry = None
        drift = self._stored().get("drift")
        self._drift = list(drift) if isinstance(drift, list) else []

    async def show(self, status: Status, repairs: tuple[Repair, ...], at: str) -> None:
        """Write the status if it says anything new. `at` is the time now, RFC 3339."""
        fresh = [
            {
                "object": str(each.key),
                "at": each.at,
                "fields": [
                    {"path": change.path, "old": _small(change.old), "new": _small(change.new)}
                    for change in each.fields[:_MAX_FIELDS]
                ],
            }
            | ({"moreFields": len(each.fields) - _MAX_FIELDS} if len(each.fields) > _MAX_FIELDS else {})
            | ({"by": each.by, "changedAt": each.changed_at} if each.by else {})
            for each in repairs
        ]
        drift = [*self._drift, *fresh][-MAX_DRIFT:]
        content: dict[str, Any] = json.loads(json.dumps(status.to_json() | {"drift": drift}))
        if self._entry is not None and content == {k: v for k, v in self._stored().items() if k != "at"}:
            return
        value = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": self._key.name},
            "status": content | {"at": at},
        }
        try:
            if self._entry is None:
                self._entry = await self._datastore.create(self._key, value)
            else:
                self._entry = await self._datastore.update(self._key, value, self._entry.revision)
        except (AlreadyExists, Conflict) as error:
            # nobody else should write it; what we say is newer
            self._entry = await self._datastore.update(self._key, value, error.current.revision)
        except NotFound:
            self._entry = await self._datastore.create(self._key, value)
        self._drift = drift

    def _stored(self) -> Mapping[str, Any]:
        found = self._entry.value.get("status") if self._entry is not None else None
        return found if isinstance(found, Mapping) else {}


def _problem(problem: Problem) -> dict[str, str]:
    result = {"what": _cut(problem.what), "where": _cut(problem.where), "fix": _cut(problem.fix)}
    return result | ({"rule": problem.source} if problem.source else {})


def _waits_for_no_word(blocked: tuple[Key, str, Problem]) -> bool:
    """Sorts what people are to confirm first: a word for what is not listed would be refused."""
    return blocked[1] != Why.NOT_CONFIRMED


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 3]}..."


def _small(value: Any) -> Any:
    """A value as it is, or the beginning of its text where it is large."""
    text = json.dumps(value)
    return value if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."


def _short(value: Any) -> str:
    if value is None:
        return "(not there)"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= 80 else f"{text[:77]}..."
