"""The embedded datastore: one SQLite file that several processes share, with compare-and-swap and watches.

Every write is one transaction that appends to `log` and sets `objects`, so the log's row ids are the store's
revisions, without holes, in the order of commits. A watch reads the log from a revision on.

Where the calls run: SQLite's statements here are point accesses of some ten microseconds and run on the event loop;
long reads are cut into slices with the loop's turn between them. The one call that waits for a disk is COMMIT;
`muslin.datastore.commits` says where it runs. (All of it in a thread was slower and worse: sqlite3 gives the
interpreter lock away at every row, and waits for it again up to 5 ms while it holds the write lock.)
A lock that another process holds is waited for by the loop's timers, never inside SQLite.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from muslin.datastore import database, paging, rows
from muslin.datastore.built_in import DEFAULT_PROFILE, default_profile, refuse_default_profile, with_default_profile
from muslin.datastore.commits import Commits
from muslin.datastore.objects import entry, random_uid, revision_number, text_of_new, text_of_update
from muslin.datastore.protocol import (
    AlreadyExists,
    Bookmark,
    Change,
    Compacted,
    Conflict,
    Entry,
    Json,
    Listing,
    Revision,
)
from muslin.datastore.wake import Bell, Waking
from muslin.errors import Failed, MuslinError, Problem
from muslin.resources.keys import Key

__all__ = ["EmbeddedDatastore"]

_T = TypeVar("_T")
_Write: TypeAlias = tuple[Callable[[int], Any], "asyncio.Future[Any]"]
_Outcomes = list[Any]  # `list` is a method in the class below

_SLICE = 64
"""Rows read and decoded before the loop gets its turn: about a millisecond."""
_COMPACT_EVERY = 256
_WAIT_FOR_LOCK_S = 5.0
_TOGETHER = 64
"""Most writes of one transaction: some milliseconds of statements."""
_LONGEST_PAUSE_S = 0.002
"""Between two looks at a lock: locks are held for less than a millisecond, so a longer pause only loses turns."""


def _now() -> datetime:
    return datetime.now(UTC)


class EmbeddedDatastore:
    """`Datastore` over an SQLite file; open it with `open`, and use it on one event loop.

    A write that is cancelled may still happen. Do not fork with one open: SQLite's connections must not cross.

    Args:
        path: the file; `database.prepare` has made and checked it.
        now: clock for creationTimestamp.
        new_uid: makes a uid that no other object has.
        history: how many changes a watch may be behind before it must list again.
        wake_after_s: other processes are woken so long after a write, for whoever writes several times in a moment: a
            wake-up of every process of the cluster costs a machine more than the write. Then the running loop must
            never be busy for long, as it is the one that wakes them.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime] = _now,
        new_uid: Callable[[], str] = random_uid,
        history: int = 10_000,
        wake_after_s: float = 0.0,
    ) -> None:
        self._path, self._now, self._new_uid, self._history = path, now, new_uid, history
        self._reader, self._writer = database.connect(path), database.connect(path)
        self._commits = Commits(time.perf_counter)
        self._waiting: list[_Write] = []
        self._writing: asyncio.Task[None] | None = None
        self._written = 0
        self._jitter = random.Random(os.getpid())  # noqa: S311 - spreads waiting writers, decides nothing
        bell = Bell(database.watch_directory(path), f"{os.getpid()}-{uuid.uuid4().hex[:12]}")
        self._waking = Waking(bell, self._data_version, wake_after_s)
        self._closed = False

    @classmethod
    def open(cls, path: Path | str, **options: Any) -> EmbeddedDatastore:
        """Open the file, or make it with mode 0600.

        Raises:
            BadInput: another program's file, a newer Muslin's, or one that cannot be opened for writing.
            Failed: the file is damaged.
            Unavailable: the disk is full, or somebody holds the file for long.
        """
        path = Path(path)
        database.prepare(path)
        return cls(path, **options)

    async def get(self, key: Key) -> Entry:
        """See `Datastore.get`."""
        if key == DEFAULT_PROFILE:
            return default_profile()
        return await self._when_free(lambda: rows.entry_of(self._reader, key))

    async def list(
        self, kind: str, *, namespace: str | None = None, limit: int | None = None, after: str | None = None
    ) -> Listing:
        """See `Datastore.list`. Later pages are of the first page's instant. Raises `Compacted` if that is too old."""
        while True:
            try:
                listing = await self._list(kind, namespace, limit, after)
            except Compacted:
                if after is not None:
                    raise
                # More changes than the history holds came while one list was read: begin again.
            else:
                built_in = kind == DEFAULT_PROFILE.kind and namespace is None
                return with_default_profile(listing, limit=limit, after=after) if built_in else listing

    async def kinds(self) -> tuple[str, ...]:
        """Kinds of which there are objects; nothing keeps anybody from writing one that we do not know."""
        return await self._when_free(lambda: rows.kinds(self._reader))

    async def create(self, key: Key, value: Json) -> Entry:
        """See `Datastore.create`."""
        return await self._write(self._creating(key, value))

    async def update(self, key: Key, value: Json, revision: Revision) -> Entry:
        """See `Datastore.update`."""
        return await self._write(self._updating(key, value, revision))

    async def delete(self, key: Key, revision: Revision | None = None) -> Entry:
        """See `Datastore.delete`."""
        return await self._write(self._deleting(key, revision))

    async def create_then_update(
        self, new: Sequence[tuple[Key, Json]], key: Key, value: Json, revision: Revision
    ) -> tuple[Sequence[Entry | MuslinError], Entry | MuslinError | None]:
        """See `muslin.datastore.protocol.Transactions`."""
        creations = [self._creating(*each) for each in new]
        update = self._updating(key, value, revision)

        def change(_: int) -> tuple[Sequence[Entry | MuslinError], Entry | MuslinError | None]:
            made = [self._tried(creation) for creation in creations]
            return made, None if any(isinstance(each, MuslinError) for each in made) else self._tried(update)

        return await self._write(change)

    def _creating(self, key: Key, value: Json) -> Callable[[int], Entry]:
        if key == DEFAULT_PROFILE:
            raise AlreadyExists(default_profile())
        text = text_of_new(key, value, uid=self._new_uid(), now=self._now())

        def change(revision: int) -> Entry:
            if not rows.create(self._writer, key, text, revision):
                raise AlreadyExists(rows.entry_of(self._writer, key))
            self._written = revision
            return entry(key, text, revision)

        return change

    def _updating(self, key: Key, value: Json, revision: Revision) -> Callable[[int], Entry]:
        refuse_default_profile(key)
        text_of_new(key, value, uid="", now=self._now())  # says what is wrong with the value before any lock

        def change(new_revision: int) -> Entry:
            former_revision, former = rows.row_of(self._writer, key)
            if str(former_revision) != revision:
                raise Conflict(entry(key, former, former_revision))
            text = text_of_update(key, value, former)
            self._put(key, text, new_revision, former=(former_revision, former))
            return entry(key, text, new_revision)

        return change

    def _deleting(self, key: Key, revision: Revision | None) -> Callable[[int], Entry]:
        refuse_default_profile(key)

        def change(new_revision: int) -> Entry:
            former_revision, former = rows.row_of(self._writer, key)
            if revision is not None and str(former_revision) != revision:
                raise Conflict(entry(key, former, former_revision))
            self._put(key, None, new_revision, former=(former_revision, former))
            return entry(key, former, former_revision)

        return change

    async def watch(self, kinds: Collection[str], after: Revision) -> AsyncIterator[Change | Bookmark]:
        """See `Datastore.watch`. The first bookmark comes as soon as the watch has caught up."""
        wanted, marked = frozenset(kinds), -1
        start = revision_number(after)
        if start is None:
            raise Compacted(after)
        position = start
        self._waking.listen()
        while not self._closed:
            rung = self._waking.rung
            changes = await self._when_free(partial(rows.changes, self._reader, position, after, _SLICE))
            for revision, kind, namespace, name, text in changes:
                position = revision
                if kind in wanted:
                    key = Key(kind, name, namespace or None)
                    made = None if text is None else entry(key, text, revision)
                    yield Change(key, None, Revision(str(revision))) if made is None else Change(*made)
            if len(changes) == _SLICE:
                await asyncio.sleep(0)
                continue
            if position != marked:
                marked = position
                yield Bookmark(Revision(str(position)))
            await rung.wait()

    async def compact(self, keep: int = 0) -> None:
        """Forget all changes but the last `keep`; a watch from before raises `Compacted`."""

        def change(revision: int) -> None:
            rows.compact(self._writer, revision - 1 - keep)

        await self._write(change)

    async def close(self) -> None:
        """See `Datastore.close`. Waits for writes that are under way. Twice is once."""
        if self._closed:
            return
        self._closed = True
        self._waking.here()
        if self._writing is not None:
            await self._writing
        self._commits.close()
        self._waking.close()
        self._reader.close()
        self._writer.close()

    # Reading, on the loop.

    async def _list(self, kind: str, namespace: str | None, limit: int | None, after: str | None) -> Listing:
        paging.check_limit(limit)
        token = None if after is None else paging.read(after)
        entries: list[Entry] = []
        while True:
            wanted = _SLICE if limit is None else min(_SLICE, limit - len(entries))
            page, at = await self._when_free(partial(rows.page, self._reader, kind, namespace, token, wanted + 1))
            for row_namespace, name, revision, text in page[:wanted]:
                entries.append(entry(Key(kind, name, row_namespace or None), text, revision))
            if len(page) <= wanted:
                return Listing(tuple(entries), Revision(str(at)))
            token = paging.Token(at, page[wanted - 1][0], page[wanted - 1][1])
            if limit is not None and len(entries) >= limit:
                return Listing(tuple(entries), Revision(str(at)), paging.write(token))
            await asyncio.sleep(0)

    # Writing: statements on the loop, COMMIT where it costs least. Writes that have gathered share one.

    async def _write(self, change: Callable[[int], _T]) -> _T:
        """Run `change(new revision)` in a transaction. Its result is given out only after the commit."""
        self._check_open()
        answer: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, answer))
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._work_off())
            self._writing.add_done_callback(self._not_begun)
        return await answer  # cancelled from outside, a transaction still ends: it does not look at who waits

    async def _work_off(self) -> None:
        batch: Sequence[_Write] = ()
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
                outcomes: Sequence[Any] = await self._transaction([change for change, _ in batch])
                for (_, answer), outcome in zip(batch, outcomes, strict=True):
                    if answer.cancelled():
                        continue
                    if isinstance(outcome, BaseException):
                        answer.set_exception(outcome)
                        answer.exception()  # whoever asked may be gone
                    else:
                        answer.set_result(outcome)
        finally:
            self._give_up(batch)

    def _give_up(self, batch: Sequence[_Write] = ()) -> None:
        """No worker is there any more; where an ending loop cancelled it, nobody must wait for ever."""
        self._writing = None
        left, self._waiting = (*batch, *self._waiting), []
        for _, answer in left:
            answer.cancel()

    def _not_begun(self, worker: asyncio.Task[None]) -> None:
        if self._writing is worker:  # cancelled before its first step
            self._give_up()

    async def _transaction(self, changes: Sequence[Callable[[int], Any]]) -> Sequence[Any]:
        """What each change gave, or the exception it raised: one that refuses has written nothing. All or none."""
        try:
            await self._when_free(lambda: self._writer.execute("BEGIN IMMEDIATE"))
            try:
                compacted, head = rows.head_of(self._writer)
                first = self._written = head
                outcomes: _Outcomes = []
                for change in changes:
                    try:
                        outcomes.append(change(head + 1))
                    except MuslinError as refusal:
                        outcomes.append(refusal)
                    head = self._written
                if head // _COMPACT_EVERY > first // _COMPACT_EVERY:
                    rows.compact(self._writer, max(compacted, head - rows.affordable(self._writer, self._history)))
                await self._commits.run(self._writer.commit)
            except BaseException:
                with suppress(sqlite3.Error):
                    self._writer.rollback()
                raise
        except sqlite3.Error as error:
            return [_caused(database.problem_of(error, self._path), error) for _ in changes]
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            return [error for _ in changes]
        if head > first:
            self._waking.here()
            self._waking.others()
        return outcomes

    def _tried(self, change: Callable[[int], Entry]) -> Entry | MuslinError:
        """One change of several in a transaction; one that refuses has written nothing."""
        try:
            return change(self._written + 1)
        except MuslinError as refusal:
            return refusal

    def _put(self, key: Key, text: str | None, revision: int, former: tuple[int, str]) -> None:
        rows.put(self._writer, key, text, revision, former)
        self._written = revision

    # Waiting.

    async def _when_free(self, call: Callable[[], _T]) -> _T:
        """Run a short call as soon as no other process's lock forbids it."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + _WAIT_FOR_LOCK_S, 0.0005
        while True:
            self._check_open()
            try:
                return call()
            except sqlite3.Error as error:
                if not database.is_busy(error) or loop.time() >= deadline:
                    raise database.problem_of(error, self._path) from error
            await asyncio.sleep(pause * (0.5 + self._jitter.random()))
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _check_open(self) -> None:
        if self._closed:
            raise Failed(Problem("the datastore is closed", str(self._path), "open it again"))

    def _data_version(self) -> int:
        """SQLite's own counter of what other connections have committed; -1 where it can't be read."""
        try:
            version: int = self._reader.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            return -1  # the watchers will look, and say what is wrong
        return version


def _caused(problem: MuslinError, cause: BaseException) -> MuslinError:
    problem.__cause__ = cause
    return problem
