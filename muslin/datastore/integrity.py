"""Whether the embedded datastore's file is whole, in bounded time, and which objects are lost where it is not.

SQLite's own quick check finds broken pages. Ours finds a file whose parts do not belong together: one that was put
together from copies of different instants (the database without its `-wal`), or edited by hand in the wrong table.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from muslin.datastore.rows import head_of
from muslin.resources.keys import Key

__all__ = ["broken_pages", "lost_objects", "mismatch"]

_LONGEST_S: Final = 1.0
"""Of each of the two checks: a larger file is looked at as far as that goes, and the rest where it is read."""
_STEPS: Final = 10_000
"""SQLite's instructions between two looks at the clock: under a millisecond."""

_WITHOUT_CHANGE: Final = """
SELECT kind, namespace, name FROM objects AS o
WHERE revision > :compacted AND NOT EXISTS (
    SELECT 1 FROM log WHERE log.revision = o.revision AND log.kind = o.kind AND log.namespace = o.namespace
    AND log.name = o.name AND log.value IS NOT NULL)
LIMIT 1
"""
_WITHOUT_OBJECT: Final = """
SELECT kind, namespace, name FROM (
    SELECT kind, namespace, name, max(revision) AS last, value FROM log GROUP BY kind, namespace, name) AS l
WHERE (value IS NULL) = EXISTS (
    SELECT 1 FROM objects AS o WHERE o.kind = l.kind AND o.namespace = l.namespace AND o.name = l.name
    AND (l.value IS NULL OR o.revision = l.last))
LIMIT 1
"""


def broken_pages(connection: sqlite3.Connection) -> str | None:
    """What SQLite finds wrong with the file's pages, None for nothing. Raises sqlite3.DatabaseError where it can't."""
    with _bounded(connection):
        found: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        return None if found == "ok" else found
    return None


def mismatch(connection: sqlite3.Connection) -> str | None:
    """How objects and the log of changes disagree, None if they agree."""
    connection.execute("BEGIN")
    try:
        with _bounded(connection):
            compacted, head = head_of(connection)
            count, first = connection.execute("SELECT count(*), min(revision) FROM log").fetchone()
            if count != head - compacted or (count and first != compacted + 1):
                return f"the log has {count} changes from {first} on, where {compacted + 1} to {head} are due"
            newest = connection.execute("SELECT max(revision) FROM objects").fetchone()[0]
            if newest is not None and newest > head:
                return f"an object is of revision {newest}, and {head} is the last"
            for question, what in ((_WITHOUT_CHANGE, "has no change in the log"),
                                   (_WITHOUT_OBJECT, "is not as its last change left it")):  # fmt: skip
                found = connection.execute(question, {"compacted": compacted}).fetchone()
                if found is not None:
                    return f"{_key(found)} {what}"
        return None
    finally:
        connection.execute("COMMIT")


def lost_objects(connection: sqlite3.Connection) -> str:
    """Which objects a damaged file no longer gives, for people: they are between two that it does."""
    before, more = _readable(connection, "")
    if not more:
        return "all objects can still be read"
    after, _ = _readable(connection, " DESC")
    first = f"after {_key(before[-1])}" if before else "from the first"
    last = f"before {_key(after[-1])}" if after else "to the last"
    return f"{len(before) + len(after)} objects can still be read; lost are those {first} and {last}, in order of names"


def _readable(connection: sqlite3.Connection, order: str) -> tuple[list[tuple[str, str, str]], bool]:
    """Objects that can be read from one end on, and whether that ended in damage."""
    found: list[tuple[str, str, str]] = []
    query = (
        f"SELECT kind, namespace, name, length(value) FROM objects ORDER BY kind{order}, namespace{order}, name{order}"  # noqa: S608
    )
    try:
        found.extend((kind, namespace, name) for kind, namespace, name, _ in connection.execute(query))
    except sqlite3.DatabaseError:
        return found, True
    return found, False


@contextmanager
def _bounded(connection: sqlite3.Connection) -> Iterator[None]:
    """Ends what runs inside, silently, when it has taken too long."""
    deadline = time.monotonic() + _LONGEST_S
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
    finally:
        connection.set_progress_handler(None, 0)


def _key(row: tuple[str, str, str]) -> Key:
    kind, namespace, name = row
    return Key(kind, name, namespace or None)
