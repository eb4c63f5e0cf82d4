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

from muslin.datastore.integrity import broken_pages, lost_objects, mismatch
from muslin.datastore.rows import SCHEMA
from muslin.errors import BadInput, Failed, MuslinError, Problem, Unavailable

__all__ = ["connect", "is_busy", "prepare", "problem_of", "refuse_foreign", "translated", "watch_directory"]

_APPLICATION_ID = 0x4D75736C
"""`Musl` in the file's header: tells our file from any other SQLite database."""
_FORMAT = 1
_OPEN_TIMEOUT_S = 10.0


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
    with translated(path), _opening(path):
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
            if refuse_foreign(path, database, empty=True):
                _create(database)
            wrong = mismatch(database)
            if wrong is not None:
                raise _damaged(path, wrong, taken_over=True)


def refuse_foreign(path: Path, database: sqlite3.Connection, *, empty: bool = False) -> bool:
    """Check that an open database is a whole datastore of ours.

    Args:
        path: for messages.
        database: a connection to it.
        empty: it may also have nothing in it yet.

    Returns:
        Whether it has nothing in it yet.

    Raises:
        BadInput: it is another program's, or a newer Muslin's.
        Failed: its pages are damaged.
    """
    _refuse_damaged(path, database)
    application, version, tables = (
        database.execute(question).fetchone()[0]
        for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if empty and application == 0 and version == 0 and tables == 0:
        return True
    if application != _APPLICATION_ID:
        raise _foreign(path, "this SQLite database belongs to another program")
    if version > _FORMAT:
        raise BadInput(
            Problem(
                f"the datastore has format {version}, this program knows {_FORMAT}",
                str(path),
                "use the Muslin that wrote it, or a newer one",
            )
        )
    return False


def connect(path: Path) -> sqlite3.Connection:
    """A connection that never waits for a lock (waiting is the event loop's business) and never makes the file."""
    with translated(path):
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
            Problem(f"the datastore cannot be opened for writing: {error}", str(path), _access(path, error))
        )
    return Unavailable(Problem(f"the datastore does not answer: {error}", str(path), "see the disk's health (dmesg)"))


def _access(path: Path, error: Exception) -> str:
    """What to do where a file may not be used: whose it is, or that its file system is read only."""
    if getattr(error, "errno", None) == errno.EROFS or _is_read_only(path):
        return "its file system is mounted read only: see dmesg for why, and mount it again for writing"
    for each in (path, path.parent):
        try:
            held = each.stat()
        except OSError:
            continue
        if os.geteuid() not in (0, held.st_uid):
            return f"{each} belongs to user {held.st_uid}, and this is {os.geteuid()}: run as that user, or chown it"
    return "its folder must exist, and folder and file must be writable by this user"


def _is_read_only(path: Path) -> bool:
    try:
        return bool(os.statvfs(path if path.exists() else path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _code(error: Exception) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raises what SQLite or the system refuses inside as `problem_of` says it."""
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
        found = broken_pages(database)
    except sqlite3.DatabaseError as error:
        if _code(error) == sqlite3.SQLITE_NOTADB:
            raise _foreign(path, "this is not a datastore (it does not begin as an SQLite file does)") from error
        if _code(error) == sqlite3.SQLITE_CORRUPT:
            raise _damaged(path, f"{error}; {lost_objects(database)}") from error
        raise
    if found is not None:
        raise _damaged(path, f"{found}; {lost_objects(database)}")


def _create(database: sqlite3.Connection) -> None:
    # auto_vacuum is left off: compaction frees pages, and the next changes use them again.
    database.execute("PRAGMA journal_mode=WAL")
    database.executescript(
        f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id={_APPLICATION_ID}; PRAGMA user_version={_FORMAT}; COMMIT;"
    )


def _foreign(path: Path, what: str) -> BadInput:
    return BadInput(Problem(what, str(path), "name another file; a new one is made where there is none"))


def _damaged(path: Path, detail: str, *, taken_over: bool = False) -> Failed:
    again = (
        f"or, if its objects are right, take them over: muslin datastore restore {path} --datastore NEW"
        if taken_over
        else "or start empty: the reconciler writes all resources again from git"
    )
    return Failed(
        Problem(
            f"the datastore's file is damaged: {' '.join(detail.split())}",
            str(path),
            f"stop all Muslin processes, move {path.name}, {path.name}-wal and {path.name}-shm away, restore a copy "
            f"(muslin datastore restore), {again}",
        )
    )
