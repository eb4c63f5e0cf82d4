"""A decoded copy of some kinds, kept up to date: what agents and the reconciler compute from.

The copy is of one instant: lists are taken one after the other, the watch starts at the first one's revision, and
nothing is shown before the watch has caught up. An object that cannot be decoded is a `Problem` at that object, and
counts as missing. A datastore that does not answer leaves the last copy standing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from muslin.datastore.objects import UNREADABLE
from muslin.datastore.protocol import Bookmark, Change, Compacted, Datastore, Entry, Json, Revision
from muslin.errors import BadInput, Failed, MuslinError, Problem, Unavailable
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from muslin.resources.stored import load_stored
from muslin.semantics.snapshot import Snapshot

__all__ = ["Backoff", "Decode", "Decoded", "Mirror"]


class Decoded(NamedTuple):
    """What an object came to: None where it cannot be read, and what is wrong with it."""

    resource: Resource | None
    problems: tuple[Problem, ...] = ()


Decode = Callable[[Key, Json], Decoded]
"""An object from JSON. Raises `BadInput` with all its problems; any other exception is a problem as well."""

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pause before the next try: `first_s`, doubled at every further failure in a row, at most `longest_s`."""

    first_s: float = 0.1
    longest_s: float = 5.0

    def pause_s(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, 1 or more."""
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))


def _load(key: Key, value: Json) -> Decoded:
    """The object under a key. One that says it is another is refused: it would stand in for that other."""
    resource, problems = load_stored(value, str(key))
    if resource.key != key:
        what = f"the object says that it is {resource.key}"
        raise BadInput(Problem(what, f"{key}  kind, metadata", "delete it, and write it under its own name"))
    return Decoded(resource, problems)


@dataclass(slots=True)
class _Copy:
    """Objects of the mirrored kinds; a decoded object is kept with the revision it was decoded from."""

    decode: Decode
    decoded: dict[Key, tuple[Revision, Decoded]] = field(default_factory=dict)

    def put(self, it: Entry | Change, known: _Copy | None = None) -> bool:
        """Take one object over, or away. False if nothing changed by that."""
        key, revision = it.key, it.revision
        if it.value is None:
            return self.decoded.pop(key, None) is not None
        former = (known or self).decoded.get(key)
        if former is not None and former[0] == revision:
            self.decoded[key] = former
            return known is not None
        if it.problems and UNREADABLE in it.value:
            self.decoded[key] = (revision, Decoded(None, it.problems))  # nothing more is to be said of it
            return True
        resource, problems = self._decoded(key, it.value)
        self.decoded[key] = (revision, Decoded(resource, (*it.problems, *problems)))
        return True

    def _decoded(self, key: Key, value: Json) -> Decoded:
        try:
            return self.decode(key, value)
        except MuslinError as error:
            return Decoded(None, error.problems)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one object must not hide the others
            what = f"the object cannot be read: {type(error).__name__}: {error}"
            return Decoded(None, (Problem(what, str(key), "write it again in its kind's form, or delete it"),))


class Mirror:
    """Keeps a `Snapshot` of these kinds.

    Args:
        datastore: to list and watch; stays the caller's to close.
        kinds: which kinds, such as `IPPool`.
        decode: makes a resource from JSON; `muslin.resources.stored.load_stored` unless handed in.
        backoff: pauses while the datastore does not answer, on the running loop's clock.
        on_failure: is told why the datastore cannot be read, and the pause before the next try.
        on_return: is told that it answers again, and for how many seconds it did not.
        group: says of a key which group of changes it belongs to (see `version`); its kind unless handed in.
    """

    def __init__(
        self,
        datastore: Datastore,
        kinds: Collection[str],
        decode: Decode = _load,
        *,
        backoff: Backoff | None = None,
        on_failure: Callable[[MuslinError, float], None] | None = None,
        on_return: Callable[[float], None] | None = None,
        group: Callable[[Key], str] | None = None,
    ) -> None:
        self._on_failure, self._on_return = on_failure, on_return
        self._silent_since: float | None = None
        self._group = group or _kind
        self._datastore, self._kinds = datastore, tuple(dict.fromkeys(kinds))
        self._backoff = backoff or Backoff()
        self._copy = _Copy(decode)
        self._revision = Revision("0")
        self._caught_up = Revision("0")
        self._version = 0
        self._versions: dict[str, int] = {}
        self._listed_at = 0
        self._newest: dict[str, Revision] = {}
        self._shown: tuple[int, Snapshot] | None = None
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._closed = False
        self.unavailable: MuslinError | None = None
        """Why the datastore does not answer now; None while it does."""

    def start(self) -> None:
        """Begin to list and watch, on the running loop. Once only."""
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Stop; `changes` ends. The last snapshot stays readable."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._announce()

    async def in_sync(self) -> None:
        """Wait for the first full snapshot. Raises what ended the mirror, if something did."""
        while self._version == 0:
            moved = self._moved
            self._check()
            await moved.wait()

    @property
    def snapshot(self) -> Snapshot:
        """The latest full copy; empty before the first."""
        shown = self._shown
        if shown is None or shown[0] != self._version:
            readable = {key: it for key, (_, (it, _)) in self._copy.decoded.items() if it is not None}
            shown = (self._version, Snapshot(MappingProxyType(readable), str(self._revision)))
        elif shown[1].revision != self._revision:
            shown = (self._version, Snapshot(shown[1].resources, str(self._revision)))
        self._shown = shown
        return shown[1]

    @property
    def age_s(self) -> float:
        """For how many seconds the copy may have been out of date: 0 while the datastore answers."""
        return 0.0 if self._silent_since is None else asyncio.get_running_loop().time() - self._silent_since

    def __contains__(self, key: Key) -> bool:
        """Whether there is such an object, readable or not."""
        return key in self._copy.decoded

    def version(self, groups: Collection[str]) -> int:
        """A number that grows with every change in one of these groups: tells what a new snapshot is about."""
        return max((self._versions.get(group, self._listed_at) for group in groups), default=0)

    def has_seen(self, kind: str, revision: int) -> bool:
        """Whether all that was written of a kind up to this revision is here, as far as its revisions are numbers."""
        return any(
            known.isdecimal() and int(known) >= revision for known in (self._newest.get(kind, ""), self._caught_up)
        )

    @property
    def problems(self) -> Mapping[Key, tuple[Problem, ...]]:
        """Objects that cannot be read, which are missing from the snapshot, or only in part; and why."""
        return {key: problems for key, (_, (_, problems)) in self._copy.decoded.items() if problems}

    async def changes(self) -> AsyncIterator[Snapshot]:
        """The snapshot once in sync, and again after every change, always the latest: a slow reader skips some.

        Ends with `close`. Raises what ended the mirror, if something did.
        """
        seen = 0
        while True:
            moved = self._moved
            if self._version != seen:
                seen = self._version
                yield self.snapshot
                continue
            if self._closed:
                return
            self._check()
            await moved.wait()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise Failed(Problem("the mirror is closed", ", ".join(self._kinds), "start another one"))

    def _announce(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _run(self) -> None:
        try:
            await self._follow()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for this mirror
            self._failure = error
            self._announce()

    async def _follow(self) -> NoReturn:
        position: Revision | None = None
        pending: _Copy | None = None
        failures = forgotten = 0
        while True:
            try:
                if position is None:
                    pending, position = await self._listed()
                async for event in self._datastore.watch(self._kinds, position):
                    failures = forgotten = 0
                    self._answered()
                    position = event.revision
                    pending = self._take(event, pending)
                raise _ended(self._kinds)
            except Compacted:
                position, forgotten = None, forgotten + 1
                if forgotten > 1:  # nothing came since the last list: a store that forgets all must not be flooded
                    await asyncio.sleep(self._backoff.pause_s(forgotten - 1))
            except MuslinError as error:  # also a damaged or read-only store: somebody may put it right
                failures, self.unavailable = failures + 1, error
                if self._silent_since is None:
                    self._silent_since = asyncio.get_running_loop().time()
                pause_s = self._backoff.pause_s(failures)
                if self._on_failure is not None:
                    self._on_failure(error, pause_s)
                await asyncio.sleep(pause_s)

    def _answered(self) -> None:
        self.unavailable, since, self._silent_since = None, self._silent_since, None
        if since is not None and self._on_return is not None:
            self._on_return(asyncio.get_running_loop().time() - since)

    async def _listed(self) -> tuple[_Copy, Revision]:
        """All objects, and a revision from which a watch makes them one instant."""
        fresh, first = _Copy(self._copy.decode), None
        for kind in self._kinds:
            after: str | None = None
            while True:
                page = await self._datastore.list(kind, limit=_PAGE, after=after)
                first = page.revision if first is None else first
                for entry in page.entries:
                    fresh.put(entry, known=self._copy)
                after = page.more
                if after is None:
                    break
        return fresh, first if first is not None else Revision("0")

    def _take(self, event: Change | Bookmark, pending: _Copy | None) -> _Copy | None:
        """One event of the watch; `pending` is a list that has not caught up yet, and what is left of it after."""
        if isinstance(event, Change):
            self._newest[event.key.kind] = event.revision
            changed = (pending or self._copy).put(event)
            if pending is None:
                self._revision = event.revision
                if changed:
                    self._version += 1
                    self._versions[self._group(event.key)] = self._version
                    self._announce()
            return pending
        self._revision = self._caught_up = event.revision
        if pending is not None:
            changed = self._version == 0 or pending.decoded != self._copy.decoded
            self._copy = pending
            if changed:
                self._version += 1
                self._versions, self._listed_at = {}, self._version
                self._announce()
        return None


def _kind(key: Key) -> str:
    return key.kind


def _ended(kinds: Collection[str]) -> Unavailable:
    return Unavailable(Problem("the watch ended", ", ".join(kinds), "it is begun again"))
