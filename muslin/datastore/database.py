"""The file of the embedded datastore: making, checking and opening it, and what SQLite's refusals mean to people.

Several processes open the same file. WAL mode lets readers go on while one writes. `synchronous=FULL`: a write is
acknowledged when it is on the disk, so neither SIGKILL nor a power cut takes it back.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from muslin.errors import BadInput, Failed, MuslinError, Problem, Unavailable

__all__ = ["connect", "is_busy", "prepare", "problem_of", "watch_directory"]

_APPLICATION_ID = 0x4D75736C
"""`Musl` in the file's header: tells our file from any other SQLite database."""
_FORMAT = 1
_OPEN_TIMEOUT_S = 10.0

_SCHEMA = """
CREATE TABLE objects (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    revision INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (kind, namespace, name)
) WITHOUT ROWID;
CREATE TABLE log (
    revision INTEGER PRIMARY KEY,
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    value TEXT, former_revision INTEGER, former TEXT
);
CREATE INDEX log_by_kind ON log (kind, revision);
CREATE TABLE compaction (revision INTEGER NOT NULL);
INSERT INTO compaction VALUES (0);
"""
# One row of `log` is one change: `value` NULL is a deletion; `former` is what stood there before, so that a paged
# list can still give the state at its first page's revision.


def watch_directory(path: Path) -> Path:
    """Where watchers of a database bind their sockets; also its lock while a process opens it."""
    return path.with_name(path.name + ".watch")


def prepare(path: Path) -> None:
    """Make the file if it is not there, and check it if it is.

    Raises:
        BadInput: another program's file, a newer Muslin's, a folder that is not there, a file others may write.
        Failed: the file is damaged.
        Unavailable: the disk is full, or somebody holds the file.
    """
    with _translated(path), _opening(path):
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        elif not path.is_file():
            raise _foreign(path, "this is not a file")
        # From here the file is SQLite's alone: closing any other descriptor of it would drop the locks that this
        # process holds on it through another store (sqlite.org/howtocorrupt.html section 2.2).
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o022:
            raise BadInput(
                Problem(
                    f"the datastore may be written by other users (mode {mode:04o})",
                    str(path),
                    f"chmod 0600 {path}, after making sure that what it says is yours",
                )
            )
        with closing(sqlite3.connect(path, isolation_level=None, timeout=_OPEN_TIMEOUT_S)) as database:
            _refuse_damaged(path, database)
            application, version, tables = (
                database.execute(question).fetchone()[0]
                for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
            )
            if application == 0 and version == 0 and tables == 0:
                _create(database)
            elif application != _APPLICATION_ID:
                raise _foreign(path, "this SQLite database belongs to another program")
            elif version > _FORMAT:
                raise BadInput(
                    Problem(
                        f"the datastore has format {version}, this program knows {_FORMAT}",
                        str(path),
                        "use the Muslin that wrote it, or a newer one",
                    )
                )


def connect(path: Path) -> sqlite3.Connection:
    """A connection that never waits for a lock (waiting is the event loop's business) and never makes the file."""
    with _translated(path):
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0, check_same_thread=False
        )
        database.execute("PRAGMA synchronous=FULL")
        return database


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else holds the lock just now: trying again in a moment is right."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def problem_of(error: Exception, path: Path) -> MuslinError:
    """What SQLite or the system refused, for people, as the class that says whether to try again."""
    code = _code(error)
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable(
            Problem("the disk is full, nothing was written", str(path), "make room on its file system, then try again")
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable(
            Problem(
                "another process holds the datastore", str(path), "try again; if it stays, look for a stopped process"
            )
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _damaged(path, str(error))
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN) or isinstance(error, OSError):
        return BadInput(
            Problem(
                f"the datastore cannot be opened for writing: {error}",
                str(path),
                "its folder must exist, and folder and file must be writable by this user",
            )
        )
    return Unavailable(Problem(f"the datastore does not answer: {error}", str(path), "see the disk's health (dmesg)"))


def _code(error: Exception) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise problem_of(error, path) from error


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """One process at a time: turning WAL on and making the schema do not wait for each other by themselves."""
    directory = watch_directory(path)
    directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _refuse_damaged(path: Path, database: sqlite3.Connection) -> None:
    try:
        found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if _code(error) == sqlite3.SQLITE_NOTADB:
            raise _foreign(path, "this is not a datastore (it does not begin as an SQLite file does)") from error
        if _code(error) == sqlite3.SQLITE_CORRUPT:
            raise _damaged(path, str(error)) from error
        raise
    if found != "ok":
        raise _damaged(path, found)


def _create(database: sqlite3.Connection) -> None:
    # auto_vacuum is left off: compaction frees pages, and the next changes use them again.
    database.execute("PRAGMA journal_mode=WAL")
    database.executescript(
        f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id={_APPLICATION_ID}; PRAGMA user_version={_FORMAT}; COMMIT;"
    )


def _foreign(path: Path, what: str) -> BadInput:
    return BadInput(Problem(what, str(path), "name another file; a new one is made where there is none"))


def _damaged(path: Path, detail: str) -> Failed:
    return Failed(
        Problem(
            f"the datastore's file is damaged: {detail}",
            str(path),
            f"stop all Muslin processes, move {path.name}, {path.name}-wal and {path.name}-shm away, restore a copy or "
            "start empty: the reconciler writes all resources again from git",
        )
    )
