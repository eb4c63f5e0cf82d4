"""The file of the embedded datastore when something is wrong with it: a problem and a fix, never a traceback."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.errors import BadInput, Failed, MuslinError, Unavailable
from muslin.resources.keys import Key

pytestmark = pytest.mark.slow

POOL = Key("IPPool", "a")


def filled(path: Path) -> None:
    """A store with some hundred objects."""

    async def story() -> None:
        store = EmbeddedDatastore.open(path)
        for i in range(200):
            await store.create(Key("IPPool", f"p{i}"), {"spec": {"x": "y" * 500}})
        await store.close()

    asyncio.run(story())


def refused(path: Path) -> MuslinError:
    """What opening says."""

    async def story() -> MuslinError:
        with pytest.raises(MuslinError) as error:
            EmbeddedDatastore.open(path)
        return error.value

    return asyncio.run(story())


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """The file and what SQLite keeps beside it are readable and writable by the owner only, whatever the umask."""

    async def story() -> None:
        former = os.umask(0)
        try:
            store = EmbeddedDatastore.open(tmp_path / "db")
            await store.create(POOL, {})
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir() if file.is_file()}
            await store.close()
        finally:
            os.umask(former)
        assert modes == {"db": 0o600, "db-wal": 0o600, "db-shm": 0o600}

    asyncio.run(story())


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """A datastore is policy; a file that others may write is not trusted."""
    filled(tmp_path / "db")
    (tmp_path / "db").chmod(0o666)
    error = refused(tmp_path / "db")

    assert isinstance(error, BadInput)
    assert "chmod" in error.problems[0].fix


@pytest.mark.parametrize(
    "content", [b"hello", b"x" * 5000, b"SQLite format 3\0" + b"\1" * 4080], ids=["short", "long", "like"]
)
def test_another_programs_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """A file that is no datastore is not touched, and the message says which file and what to do."""
    path = tmp_path / "db"
    path.write_bytes(content)
    path.chmod(0o600)
    error = refused(path)

    assert isinstance(error, BadInput | Failed)
    assert not isinstance(error, Unavailable)
    assert str(path) in error.problems[0].where
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    """A good SQLite database of somebody else is not taken over."""
    path = tmp_path / "db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (x)")
    path.chmod(0o600)
    error = refused(path)

    assert isinstance(error, BadInput)
    assert "another program" in error.problems[0].what


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """A datastore of a later Muslin is not guessed at."""
    path = tmp_path / "db"
    filled(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=99")
    error = refused(path)

    assert isinstance(error, BadInput)
    assert "99" in error.problems[0].what


def test_a_damaged_file_is_found_at_open(tmp_path: Path) -> None:
    """Pages overwritten by a broken disk are found when the store is opened, with what to do."""
    path = tmp_path / "db"
    filled(path)
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 5)
    error = refused(path)

    assert isinstance(error, Failed)
    assert "damaged" in error.problems[0].what
    assert "git" in error.problems[0].fix


def test_a_damaged_file_tells_which_objects_are_lost(tmp_path: Path) -> None:
    """Between which two objects, in the order of names, nothing can be read any more; and it is really there."""
    path = tmp_path / "db"
    filled(path)
    with closing(sqlite3.connect(path)) as database:
        if not database.execute("SELECT sqlite_compileoption_used('ENABLE_DBSTAT_VTAB')").fetchone()[0]:
            pytest.skip("this SQLite can't tell which page holds what")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        leaf, size = database.execute(
            "SELECT pageno, pgsize FROM dbstat WHERE name = 'objects' AND pagetype = 'leaf' LIMIT 1 OFFSET 9"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((leaf - 1) * size)
        file.write(b"\xff" * size)
    what = refused(path).problems[0].what

    found = re.search(r"lost are those after IPPool (p\d+) and before IPPool (p\d+)", what)
    assert found is not None, what
    names = sorted(f"p{i}" for i in range(200))
    lost = names.index(found[2]) - names.index(found[1]) - 1
    assert 1 <= lost <= 16
    assert f"{200 - lost} objects can still be read" in what


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM log WHERE revision = 100", "the log has 199 changes"),
        ("DELETE FROM objects WHERE name = 'p7'", "IPPool p7 is not as its last change left it"),
        ("UPDATE objects SET revision = 900 WHERE name = 'p7'", "an object is of revision 900, and 200 is the last"),
        ("UPDATE objects SET revision = 9 WHERE name = 'p7'", "IPPool p7 has no change in the log"),
        ("INSERT INTO objects VALUES ('IPPool', '', 'new', 5, '{}')", "IPPool new has no change in the log"),
    ],
)
def test_objects_and_log_that_do_not_belong_together_are_refused(tmp_path: Path, statement: str, told: str) -> None:
    """Watches would tell another story than lists: the object is named, and how its file comes into use again."""
    path = tmp_path / "db"
    filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(statement)
    problem = refused(path).problems[0]

    assert told in problem.what
    assert "muslin datastore restore" in problem.fix


def test_the_look_at_a_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that takes longer to look at than a second is opened all the same."""
    filled(tmp_path / "db")
    monkeypatch.setattr("muslin.datastore.integrity._LONGEST_S", -1)
    monkeypatch.setattr("muslin.datastore.integrity._STEPS", 1)

    async def story() -> None:
        store = EmbeddedDatastore.open(tmp_path / "db")
        assert len((await store.list("IPPool")).entries) == 200
        await store.create(POOL, {})
        await store.close()

    asyncio.run(story())


def test_a_folder_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    """The folder is not made: a typing mistake must not start an empty cluster."""
    assert isinstance(refused(tmp_path / "no" / "db"), BadInput)
    assert isinstance(refused(tmp_path), BadInput)


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    """A write that finds no room is `Unavailable`, the rest of the store goes on, and room heals it."""

    async def story() -> None:
        store = EmbeddedDatastore.open(tmp_path / "db")
        await store.create(POOL, {"spec": {"n": 1}})
        pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
        store._writer.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(Unavailable) as full:
            await store.create(Key("IPPool", "big"), {"spec": {"x": "y" * 100_000}})
        assert "disk is full" in full.value.problems[0].what
        assert (await store.get(POOL)).value["spec"] == {"n": 1}
        store._writer.execute("PRAGMA max_page_count=1000000")
        await store.create(Key("IPPool", "big"), {"spec": {"x": "y" * 100_000}})
        assert len((await store.list("IPPool")).entries) == 2
        await store.close()

    asyncio.run(story())


def test_a_lock_held_for_long_is_unavailable_and_the_loop_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process holds the write lock, readers read and the event loop turns; then the write gives up."""
    monkeypatch.setattr("muslin.datastore.embedded._WAIT_FOR_LOCK_S", 0.1)

    async def story() -> None:
        store = EmbeddedDatastore.open(tmp_path / "db")
        made = await store.create(POOL, {})
        with closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            write = asyncio.ensure_future(store.delete(POOL))
            turns = 0
            while not write.done():
                assert await store.get(POOL) == made
                await asyncio.sleep(0.001)
                turns += 1
            with pytest.raises(Unavailable) as busy:
                await write
            assert "another process" in busy.value.problems[0].what
            assert turns > 10
            other.execute("ROLLBACK")
        await store.delete(POOL)
        await store.close()

    asyncio.run(story())


def test_a_value_spoilt_by_hand_hides_no_other(tmp_path: Path) -> None:
    """Text that is no JSON becomes an object that no model accepts; lists and watches go on."""
    path = tmp_path / "db"

    async def story() -> Any:
        store = EmbeddedDatastore.open(path)
        await store.create(POOL, {})
        await store.create(Key("IPPool", "b"), {})
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("UPDATE objects SET value = 'oops {' WHERE name = 'a'")
        entries = (await store.list("IPPool")).entries
        await store.close()
        return entries

    first, second = asyncio.run(story())
    assert first.value["unreadable"] == "oops {"
    assert second.value["metadata"]["name"] == "b"


def test_history_is_bounded(tmp_path: Path) -> None:
    """Old changes are forgotten as new ones come, so that the file does not grow for ever."""

    async def story() -> int:
        store = EmbeddedDatastore.open(tmp_path / "db", history=50)
        entry = await store.create(POOL, {})
        for i in range(600):
            entry = await store.update(POOL, {"spec": {"n": i}}, entry.revision)
        count: int = store._reader.execute("SELECT count(*) FROM log").fetchone()[0]
        await store.close()
        return count

    assert 50 <= asyncio.run(story()) <= 50 + 256


def test_a_cancelled_write_is_whole_or_absent(tmp_path: Path) -> None:
    """A writer that is cancelled at any turn of the loop leaves the store usable, and its write done or not begun."""

    async def story() -> None:
        store = EmbeddedDatastore.open(tmp_path / "db")
        for turns in range(12):
            key = Key("IPPool", f"p{turns}")
            write = asyncio.ensure_future(store.create(key, {}))
            for _ in range(turns):
                await asyncio.sleep(0)
            write.cancel()
            await asyncio.gather(write, return_exceptions=True)
            await asyncio.wait_for(store.create(Key("Node", f"n{turns}"), {}), 2)
        listing, seen = await store.list("IPPool"), set()
        async for event in store.watch({"IPPool"}, "0"):  # type: ignore[arg-type]
            if not hasattr(event, "key"):
                break
            seen.add(event.key)
        assert seen == {entry.key for entry in listing.entries}
        await store.close()

    asyncio.run(story())


def test_a_file_of_large_objects_keeps_less_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history is counted in changes, and a node's status may be large: octets are bounded as well."""
    monkeypatch.setattr("muslin.datastore.rows._LARGE", 4 << 20)
    path = tmp_path / "store.db"

    async def story() -> None:
        store = EmbeddedDatastore.open(path, history=10_000 // 20)
        entry = await store.create(POOL, {"spec": {"x": "y" * 10_000}})
        for n in range(1100):
            entry = await store.update(POOL, {**entry.value, "spec": {"x": "y" * 10_000, "n": n}}, entry.revision)
        await store.close()

    asyncio.run(story())

    assert path.stat().st_size < 9 << 20


def test_a_write_whose_worker_was_cancelled_keeps_nobody_waiting(tmp_path: Path) -> None:
    """As an ending event loop does it: who wrote is cancelled as well, and a later write goes through."""

    async def story() -> None:
        store = EmbeddedDatastore.open(tmp_path / "store.db")
        first = asyncio.ensure_future(store.create(POOL, {"spec": {}}))
        await asyncio.sleep(0)
        assert store._writing is not None
        store._writing.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait([first])
            await store.create(Key("IPPool", "b"), {"spec": {}})
        await store.close()

    asyncio.run(story())
