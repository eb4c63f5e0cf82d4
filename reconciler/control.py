"""What people tell the reconciler of a set, and what it must still know after a crash: the ReconcilerControl object.

Commands (`suspend`, `resume`, `approve`, `rollback`, `release`) write it by compare-and-swap; the reconciler watches
it and adds what it decided itself: which commit hurt, and since when it watches over a new one. A commit that is held
stays held until the branch shows another one, or somebody releases it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final, TypeVar

from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, NotFound
from muslin.errors import Failed, Problem
from muslin.resources.keys import Key
from reconciler.ledger import API_VERSION, Ledger
from reconciler.reverts import Because

__all__ = [
    "KIND", "Answer", "Approval", "Because", "Control", "HeldCommit", "Suspension", "Watch", "approve", "change",
    "confirm", "control_key", "read", "release", "resume", "rollback", "suspend",
]  # fmt: skip

KIND: Final = "ReconcilerControl"
_TRIES: Final = 20
_T = TypeVar("_T")


class Answer(StrEnum):
    """What became of a command."""

    DONE = "Done"
    ALREADY_SO = "AlreadySo"
    NOTHING_IN_FORCE = "NothingInForce"
    NO_EARLIER_COMMIT = "NoEarlierCommit"
    OTHER_SOURCES = "OtherSources"
    GOES_ELSEWHERE = "GoesElsewhere"


@dataclass(frozen=True, slots=True)
class Suspension:
    """Nothing is written, drift is not repaired. `at` is RFC 3339."""

    reason: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody has read the plan with this digest (`sha256:...`) and wants it applied.

    `steps` are the digests of its single steps once its commit is in force: what is planned again must be among them.
    """

    digest: str
    by: str
    at: str
    commit: str = ""
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldCommit:
    """A commit that was taken back, and the one that is applied instead."""

    commit: str
    back_to: str
    because: Because
    reason: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Watch:
    """A new commit that is applied and not yet believed. `excused`: what was wrong before it came.

    `since`, RFC 3339, is when it came into force, `probed_at` when probes were asked before anything was changed.
    """

    commit: str
    since: str
    excused: tuple[str, ...] = ()
    probed_at: str = ""


@dataclass(frozen=True, slots=True)
class Control:
    """All of it, None where nothing was said. `confirmed`: objects, as text, that may be removed."""

    suspended: Suspension | None = None
    approved: Approval | None = None
    held: HeldCommit | None = None
    watching: Watch | None = None
    confirmed: tuple[str, ...] = ()
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, entry: Entry | None) -> Control:
        """What an object says; of what cannot be read nothing counts but that nothing may be written."""
        spec = entry.value.get("spec") if entry is not None else None
        if not isinstance(spec, Mapping):
            return cls()
        try:
            held = _part(HeldCommit, spec.get("held"))
            return cls(
                _part(Suspension, spec.get("suspended")),
                _part(Approval, spec.get("approved")),
                held and replace(held, because=Because(held.because)),
                _part(Watch, spec.get("watching")),
                tuple(map(str, spec.get("confirmed") or ())),
                {name: content for name, content in spec.items() if name not in _PARTS},
            )
        except (TypeError, ValueError) as error:
            return cls(suspended=Suspension(f"its control object can't be read: {error}", "muslin", ""))

    def to_spec(self) -> dict[str, Any]:
        """As stored."""
        parts = {"suspended": self.suspended, "approved": self.approved, "held": self.held, "watching": self.watching}
        spec = dict(self.others) | {name: _plain(part) for name, part in parts.items() if part is not None}
        return spec | ({"confirmed": list(self.confirmed)} if self.confirmed else {})


_PARTS: Final = frozenset({"suspended", "approved", "held", "watching", "confirmed"})
_NAMES: Final = {"back_to": "backTo", "probed_at": "probedAt"}


def control_key(set_name: str) -> Key:
    """Where a set's control stands."""
    return Key(KIND, set_name)


async def read(datastore: Datastore, set_name: str) -> tuple[Control, Entry | None]:
    """The control now, and the object it stands in. Raises `Unavailable`."""
    try:
        entry = await datastore.get(control_key(set_name))
    except NotFound:
        return Control(), None
    return Control.of(entry), entry


async def change(
    datastore: Datastore, set_name: str, changed: Callable[[Control], Control]
) -> tuple[Control, Entry | None]:
    """Read, change and write, again where somebody wrote in between; no write where nothing changes.

    Raises `Unavailable`, and `Failed` where others write all the time.
    """
    for _ in range(_TRIES):
        control, entry = await read(datastore, set_name)
        wanted = changed(control)
        if wanted == control:
            return control, entry
        value = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": set_name},
            "spec": wanted.to_spec(),
        }
        try:
            if entry is None:
                return wanted, await datastore.create(control_key(set_name), value)
            return wanted, await datastore.update(control_key(set_name), value, entry.revision)
        except (AlreadyExists, Conflict, NotFound):
            continue
    raise Failed(Problem("others write it all the time", str(control_key(set_name)), "see who does"))


async def suspend(datastore: Datastore, set_name: str, *, reason: str, by: str, at: str) -> Answer:
    """From now on the reconciler of this set writes nothing. The first reason stands."""
    return await _told(
        datastore, set_name, lambda now: now if now.suspended else replace(now, suspended=Suspension(reason, by, at))
    )


async def resume(datastore: Datastore, set_name: str) -> Answer:
    """Undo `suspend`."""
    return await _told(datastore, set_name, lambda now: replace(now, suspended=None))


async def approve(datastore: Datastore, set_name: str, digest: str, *, by: str, at: str) -> Answer:
    """The plan with this digest (as `muslin plan` prints it) may be applied, and no other."""

    def told(now: Control) -> Control:
        if now.approved is not None and now.approved.digest == digest:
            return now
        return replace(now, approved=Approval(digest, by, at))

    return await _told(datastore, set_name, told)


async def confirm(datastore: Datastore, set_name: str, key: Key) -> Answer:
    """This object may be removed by the commit in force, although its kind asks for a word first."""
    name = str(key)
    return await _told(
        datastore,
        set_name,
        lambda now: now if name in now.confirmed else replace(now, confirmed=(*now.confirmed, name)),
    )


async def rollback(
    datastore: Datastore, set_name: str, *, reason: str, by: str, at: str, to: str | None = None
) -> Answer:
    """Take back the commit in force: the one before it (or `to`) is applied, and the branch's is held.

    `to` is an id as the history has it; for a set of one source, git's is enough.

    Raises `Unavailable`, and `Failed` where the ledger cannot be read.
    """
    ledger = await Ledger.load(datastore, set_name)
    if ledger.accepted is None:
        return Answer.NOTHING_IN_FORCE
    if to is not None and not _of_same_sources(to, ledger.accepted):
        return Answer.OTHER_SOURCES
    mark = ledger.accepted[40:]
    back_to = f"{to}{mark}" if to is not None and len(to) == 40 and mark.startswith("~") else to or ledger.before
    if back_to is None or back_to == ledger.accepted:
        return Answer.NO_EARLIER_COMMIT
    held = HeldCommit(ledger.accepted, back_to, Because.ASKED, reason, by, at)
    elsewhere = False

    def told(now: Control) -> Control:
        nonlocal elsewhere
        known = now.held if now.held is not None and now.held.commit == held.commit else None
        elsewhere = known is not None and known.back_to != held.back_to
        return replace(now, held=held, watching=None) if known is None else now

    answer = await _told(datastore, set_name, told)
    return Answer.GOES_ELSEWHERE if elsewhere else answer


def _of_same_sources(one: str, other: str) -> bool:
    """Whether two commits of a whole name the same sources."""
    names = [{part.rpartition("@")[0] for part in each.partition("~")[0].split(",")} for each in (one, other)]
    return names[0] == names[1]


async def release(datastore: Datastore, set_name: str) -> Answer:
    """A held commit may be tried again."""
    return await _told(datastore, set_name, lambda now: replace(now, held=None))


async def _told(datastore: Datastore, set_name: str, changed: Callable[[Control], Control]) -> Answer:
    moved = False

    def noted(now: Control) -> Control:
        nonlocal moved
        wanted = changed(now)
        moved = wanted != now
        return wanted

    await change(datastore, set_name, noted)
    return Answer.DONE if moved else Answer.ALREADY_SO


def _part(kind: type[_T], stored: Any) -> _T | None:
    if stored is None:
        return None
    if not isinstance(stored, Mapping):
        raise TypeError(f"{kind.__name__} is not a mapping")
    given: dict[str, Any] = {}
    for each in fields(kind):  # type: ignore[arg-type]  # only our own values come here
        name = _NAMES.get(each.name, each.name)
        if name in stored:
            content = stored[name]
            given[each.name] = tuple(map(str, content)) if isinstance(content, list | tuple) else str(content)
    return kind(**given)


def _plain(part: Any) -> dict[str, Any]:
    return {
        _NAMES.get(name, name): list(content) if isinstance(content, tuple) else content
        for name, content in asdict(part).items()
        if content != () and (name, content) != ("probed_at", "")
    }
