"""Copies of the embedded datastore while it is in use, and their way back into force.

A backup is of one instant, and a whole datastore by itself. A restore writes its objects into the file that everybody
has open, in one transaction, under revisions that were never given out: whoever watches gets `Compacted` and lists
again, whoever holds an old revision gets `Conflict`. Nobody is taken back in time without noticing.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muslin.datastore import database
from muslin.datastore.integrity import broken_pages, mismatch
from muslin.datastore.rows import head_of
from muslin.datastore.wake import Bell
from muslin.errors import BadInput, Failed, Problem

__all__ = ["Copied", "back_up", "contents", "restore"]

_UNKNOWN_FUTURE: Final = 1 << 40
"""Added where the file that is lost may have gone on after the copy: more changes than any store has in its life."""
_WAIT_S: Final = 30.0
"""For the write lock; it is held for milliseconds."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: how many objects, of which revision."""

    objects: int
    revision: int


def back_up(path: Path, target: Path, *, overwrite: bool = False) -> Copied:
    """Copy a datastore that may be in use, checked, whole or not at all; with mode 0600.

    Raises:
        BadInput: the target is there already, or its folder is not; the datastore is not there.
        Failed: the datastore is damaged.
        Unavailable: the disk is full.
    """
    _refuse_same(path, target)
    if target.exists() and not overwrite:
        what = "there is a file of this name already"
        raise BadInput(Problem(what, str(target), "name another one, or use --overwrite"))
    with database.translated(target):
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # 0600
        os.close(descriptor)
    made = Path(name)
    try:
        with closing(database.connect(path)) as source, database.translated(made), closing(_connected(made)) as copy:
            source.execute("PRAGMA busy_timeout=5000")
            source.backup(copy)  # all pages in one step: of one instant, and no writer waits for it
            copied = _checked(copy, made)
            copy.execute("PRAGMA journal_mode=DELETE")  # a copy is one file, without -wal and -shm beside it
        _synced(made)
        if overwrite:
            made.replace(target)
        else:
            _linked(made, target)
        _synced(target.parent)
    finally:
        for each in (made, *(made.with_name(made.name + end) for end in ("-wal", "-shm", "-journal"))):
            each.unlink(missing_ok=True)
    return copied


def contents(path: Path) -> Copied:
    """What a copy holds; it is not written. Raises BadInput, Failed as opening does."""
    with closing(_opened(path)) as copy:
        return _checked(copy, path, log=False)


def restore(copy: Path, path: Path) -> Copied:
    """Put a copy's objects in force, in the place of all that a datastore holds; others may have it open.

    Args:
        copy: what `back_up` made, or any embedded datastore; it is not written, and its log does not matter.
        path: the datastore. Where there is none it is made.

    Raises:
        BadInput: one of them is no datastore.
        Failed: one of them is damaged.
        Unavailable: the disk is full, or somebody holds the datastore.
    """
    _refuse_same(copy, path)
    copied = contents(copy)
    fresh = not path.exists()
    database.prepare(path)
    with closing(database.connect(path)) as target, database.translated(path):
        target.execute(f"PRAGMA busy_timeout={int(_WAIT_S * 1000)}")
        target.execute("ATTACH DATABASE ? AS copy", (f"{copy.absolute().as_uri()}?mode=ro",))
        target.execute("BEGIN IMMEDIATE")
        try:
            copied_head = _head_of_copy(target)
            base = max(head_of(target)[1], copied_head) + (_UNKNOWN_FUTURE if fresh else 0)
            target.execute("DELETE FROM main.log")
            target.execute("DELETE FROM main.objects")
            target.execute(
                "INSERT INTO main.objects SELECT kind, namespace, name, "
                "? + row_number() OVER (ORDER BY kind, namespace, name), value FROM copy.objects",
                (base,),
            )
            last = base + copied.objects + 1  # later than any revision that somebody can hold, also of no object
            target.execute("UPDATE main.compaction SET revision = ?", (last,))
            target.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                target.execute("ROLLBACK")
            raise
        target.execute("DETACH DATABASE copy")
    bell = Bell(database.watch_directory(path), f"restore-{os.getpid()}")
    bell.ring()
    bell.close()
    return Copied(copied.objects, last)


def _refuse_same(one: Path, other: Path) -> None:
    with contextlib.suppress(OSError):
        if one.exists() and other.exists() and one.samefile(other):
            raise BadInput(Problem("the copy and the datastore are the same file", str(one), "name two files"))


def _head_of_copy(target: sqlite3.Connection) -> int:
    newest, changed, forgotten = target.execute(
        "SELECT (SELECT max(revision) FROM copy.objects), (SELECT max(revision) FROM copy.log), "
        "(SELECT max(revision) FROM copy.compaction)"
    ).fetchone()
    return max(newest or 0, changed or 0, forgotten or 0)


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _opened(path: Path) -> sqlite3.Connection:
    """A copy, to be read; raises where it is no datastore."""
    with database.translated(path):
        if not path.is_file():
            raise BadInput(Problem("there is no such file", str(path), "name what `muslin datastore backup` wrote"))
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            database.refuse_foreign(path, connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _checked(copy: sqlite3.Connection, path: Path, *, log: bool = True) -> Copied:
    with database.translated(path):
        wrong = broken_pages(copy) or (mismatch(copy) if log else None)
        if wrong is not None:
            fix = "use an older copy; `muslin datastore check` tells of the datastore itself"
            raise Failed(Problem(f"the copy is damaged: {wrong}", str(path), fix))
        return Copied(copy.execute("SELECT count(*) FROM objects").fetchone()[0], head_of(copy)[1])


def _linked(made: Path, target: Path) -> None:
    try:
        os.link(made, target)
    except FileExistsError as error:
        what = "somebody made a file of this name just now"
        raise BadInput(Problem(what, str(target), "name another one")) from error


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
