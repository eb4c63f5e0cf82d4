"""What stands in the embedded datastore's file, and every statement that reads or changes it.

`objects` is what there is; `log` has a row for each change, whose number is the revision; everything up to
`compaction.revision` has been forgotten. Plain functions on a connection: whoever calls brings the transaction to
write in, and decides where it runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, TypeAlias

from muslin.datastore import paging
from muslin.datastore.objects import entry
from muslin.datastore.protocol import Compacted, Entry, NotFound, Revision
from muslin.resources.keys import Key

__all__ = [
    "SCHEMA", "affordable", "changes", "compact", "create", "entry_of", "head_of", "kinds", "page", "put", "row_of",
]  # fmt: skip

SCHEMA: Final = """
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

_Change: TypeAlias = tuple[int, str, str, str, str | None]
_Object: TypeAlias = tuple[str, str, int, str]

_LARGE = 256 << 20
"""Octets of the file from which on a tenth of the history must do."""

_CHANGES = "SELECT revision, kind, namespace, name, value FROM log WHERE revision > ? ORDER BY revision LIMIT ?"
_HEAD = (
    "SELECT compaction.revision, coalesce((SELECT max(revision) FROM log), compaction.revision) "
    "FROM compaction"
)  # fmt: skip
_APPEND = (
    "INSERT INTO log (revision, kind, namespace, name, value, former_revision, former) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
# The state at a revision: what is unchanged since, and of what changed since the value before its first change.
_LIST = """
SELECT namespace, name, revision, value FROM objects
WHERE kind = :kind AND revision <= :at AND (namespace, name) > (:after_namespace, :after_name)
  AND (:namespace IS NULL OR namespace = :namespace)
UNION ALL
SELECT namespace, name, former_revision, former FROM log
WHERE kind = :kind AND revision > :at AND former_revision <= :at
  AND (namespace, name) > (:after_namespace, :after_name) AND (:namespace IS NULL OR namespace = :namespace)
ORDER BY namespace, name LIMIT :limit
"""


def head_of(connection: sqlite3.Connection) -> tuple[int, int]:
    """Up to which revision changes are forgotten, and the last revision."""
    compacted, head = connection.execute(_HEAD).fetchone()
    return compacted, head


def row_of(connection: sqlite3.Connection, key: Key) -> tuple[int, str]:
    """Revision and text of an object. Raises `NotFound`."""
    found = connection.execute(
        "SELECT revision, value FROM objects WHERE kind = ? AND namespace = ? AND name = ?",
        (key.kind, key.namespace or "", key.name),
    ).fetchone()
    if found is None:
        raise NotFound(key)
    return found[0], found[1]


def entry_of(connection: sqlite3.Connection, key: Key) -> Entry:
    """The object. Raises `NotFound`."""
    revision, text = row_of(connection, key)
    return entry(key, text, revision)


def kinds(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Kinds of which there are objects, sorted."""
    return tuple(kind for (kind,) in connection.execute("SELECT DISTINCT kind FROM objects ORDER BY kind"))


def changes(connection: sqlite3.Connection, position: int, asked: Revision, limit: int) -> Sequence[_Change]:
    """Changes after `position`, and proof that nothing before them is missing: one read transaction.

    Raises:
        Compacted: some are forgotten, or `position` is another store's: `asked` is what the reader began with.
    """
    with _Reading(connection):
        compacted, head = head_of(connection)
        if not compacted <= position <= head:
            # A revision later than ours is another store's, or from before a copy was restored.
            raise Compacted(asked)
        return connection.execute(_CHANGES, (position, limit)).fetchall()


def page(
    connection: sqlite3.Connection, kind: str, namespace: str | None, token: paging.Token | None, limit: int
) -> tuple[Sequence[_Object], int]:
    """Objects of a kind after a token's, as they were at its revision; and that revision. Raises `Compacted`."""
    with _Reading(connection):
        compacted, head = head_of(connection)
        at = head if token is None else token.revision
        if not compacted <= at <= head:
            raise Compacted(Revision(str(at)))
        named = {
            "kind": kind, "at": at, "namespace": namespace, "limit": limit,
            "after_namespace": token.namespace if token else "", "after_name": token.name if token else "",
        }  # fmt: skip
        return connection.execute(_LIST, named).fetchall(), at


def create(connection: sqlite3.Connection, key: Key, text: str, revision: int) -> bool:
    """Make an object that is not there, and append that to the log. False, and nothing done, where it is there."""
    name = (key.kind, key.namespace or "", key.name)
    try:
        connection.execute("INSERT INTO objects VALUES (?, ?, ?, ?, ?)", (*name, revision, text))
    except sqlite3.IntegrityError:
        return False
    connection.execute(_APPEND, (revision, *name, text, None, None))
    return True


def put(connection: sqlite3.Connection, key: Key, text: str | None, revision: int, former: tuple[int, str]) -> None:
    """Append a change of an object that is there to the log, and make it: `text` None removes the object."""
    name = (key.kind, key.namespace or "", key.name)
    connection.execute(_APPEND, (revision, *name, text, *former))
    if text is None:
        connection.execute("DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?", name)
    else:
        connection.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", (*name, revision, text))


def affordable(connection: sqlite3.Connection, history: int) -> int:
    """How many changes to keep: fewer where the file is large, for one change may hold two objects of 1.5 MB."""
    pages, free, octets = (
        connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "freelist_count", "page_size")
    )
    return history if (pages - free) * octets < _LARGE else history // 10


def compact(connection: sqlite3.Connection, up_to: int) -> None:
    """Forget changes up to a revision."""
    connection.execute("DELETE FROM log WHERE revision <= ?", (up_to,))
    connection.execute("UPDATE compaction SET revision = max(revision, ?)", (up_to,))


class _Reading:
    """One read transaction: what is read inside is of one instant."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN")

    def __exit__(self, *_: object) -> None:
        self._connection.execute("COMMIT")
