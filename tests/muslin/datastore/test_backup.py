"""Copies of a datastore in use: of one instant, whole or absent; restored, they take nobody back in time unnoticed."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from muslin.datastore.backup import back_up, restore
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.mirror import Mirror
from muslin.datastore.protocol import Change, Compacted, Conflict
from muslin.errors import BadInput, Failed
from muslin.resources.keys import Key
from tests.muslin.cli.running import real
from tests.muslin.datastore.migration.cases import key_value

pytestmark = pytest.mark.slow

POOL, VALUE = key_value("GlobalNetworkSet", "a", spec={"nets": ["203.0.113.0/24"]})


def filled(path: Path, count: int = 50) -> None:
    """A store with so many objects, some of them changed."""

    async def story() -> None:
        store = EmbeddedDatastore.open(path)
        for n in range(count):
            made = await store.create(*key_value("GlobalNetworkSet", f"s{n}", spec={"nets": [f"203.0.113.{n}/32"]}))
            if n % 3 == 0:
                await store.update(made.key, {**made.value, "spec": {"nets": []}}, made.revision)
        await store.close()

    asyncio.run(story())


def texts(path: Path) -> dict[Key, Any]:
    """Everything in a store, without revisions."""

    async def story() -> dict[Key, Any]:
        store = EmbeddedDatastore.open(path)
        found = {}
        for entry in (await store.list("GlobalNetworkSet")).entries:
            entry.value["metadata"].pop("resourceVersion")
            found[entry.key] = entry.value
        await store.close()
        return found

    return asyncio.run(story())


def test_a_copy_is_of_one_instant_while_others_write(tmp_path: Path) -> None:
    """Two objects that are always written one after the other never stand apart by more than one in a copy."""
    path = tmp_path / "db"

    async def story() -> None:
        store = EmbeddedDatastore.open(path)
        first = await store.create(Key("Tier", "first"), {"spec": {"n": 0}})
        second = await store.create(Key("Tier", "second"), {"spec": {"n": 0}})
        stop = False

        async def write() -> int:
            nonlocal first, second
            n = 0
            while not stop:
                n += 1
                first = await store.update(first.key, {"spec": {"n": n, "filling": "x" * 5000}}, first.revision)
                second = await store.update(second.key, {"spec": {"n": n, "filling": "x" * 5000}}, second.revision)
            return n

        writer = asyncio.ensure_future(write())
        for number in range(5):
            await asyncio.to_thread(back_up, path, tmp_path / f"copy{number}")
        stop = True
        assert await writer > 5
        await store.close()
        for number in range(5):
            with closing(sqlite3.connect(tmp_path / f"copy{number}")) as copy:
                pair = [
                    row[0] for row in copy.execute("SELECT json_extract(value, '$.spec.n') FROM objects ORDER BY 1")
                ]
            assert pair[1] - pair[0] in (0, 1)

    asyncio.run(story())


def test_a_copy_is_one_file_of_its_owner_and_a_datastore_by_itself(tmp_path: Path) -> None:
    """Mode 0600, nothing beside it, and it opens as what it is a copy of."""
    filled(tmp_path / "db")
    (tmp_path / "there").mkdir()
    copied = back_up(tmp_path / "db", tmp_path / "there" / "copy")

    assert [each.name for each in (tmp_path / "there").iterdir()] == ["copy"]
    assert stat.S_IMODE((tmp_path / "there" / "copy").stat().st_mode) == 0o600
    assert copied.objects == 50
    assert texts(tmp_path / "there" / "copy") == texts(tmp_path / "db")


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    """A copy overwrites nothing unless told; the datastore itself never."""
    filled(tmp_path / "db", 1)
    (tmp_path / "copy").write_text("mine")
    with pytest.raises(BadInput):
        back_up(tmp_path / "db", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "mine"
    with pytest.raises(BadInput):
        back_up(tmp_path / "db", tmp_path / "db", overwrite=True)
    back_up(tmp_path / "db", tmp_path / "copy", overwrite=True)
    assert len(texts(tmp_path / "copy")) == 1


def test_a_damaged_copy_is_not_restored(tmp_path: Path) -> None:
    """What is in force stays in force when the copy turns out to be broken, another program's, or not there."""
    filled(tmp_path / "db")
    back_up(tmp_path / "db", tmp_path / "copy")
    with (tmp_path / "copy").open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 4096 * 3)
    before = texts(tmp_path / "db")
    with pytest.raises(Failed):
        restore(tmp_path / "copy", tmp_path / "db")
    (tmp_path / "text").write_text("no datastore")
    with pytest.raises(BadInput):
        restore(tmp_path / "text", tmp_path / "db")
    with pytest.raises(BadInput):
        restore(tmp_path / "nothing", tmp_path / "db")
    assert texts(tmp_path / "db") == before


def test_a_restore_takes_nobody_back_in_time_unnoticed(tmp_path: Path) -> None:
    """Who watches gets Compacted, who holds a revision Conflict, who pages Compacted; a mirror ends at the copy."""
    path, copy = tmp_path / "db", tmp_path / "copy"

    async def story() -> None:
        store, other = EmbeddedDatastore.open(path), EmbeddedDatastore.open(path)
        old = await store.create(POOL, VALUE)
        await asyncio.to_thread(back_up, path, copy)
        newer = await store.update(POOL, {**VALUE, "spec": {"nets": ["203.0.113.0/25"]}}, old.revision)
        await store.create(*key_value("GlobalNetworkSet", "b", spec={"nets": []}))
        first = await store.list("GlobalNetworkSet", limit=1)
        mirror = Mirror(other, ["GlobalNetworkSet"])
        mirror.start()
        await mirror.in_sync()
        watch = other.watch({"GlobalNetworkSet"}, newer.revision)
        assert isinstance(await anext(watch), Change)

        await asyncio.to_thread(restore, copy, path)

        with pytest.raises(Compacted):
            async for _ in watch:
                pass
        for stale in (old, newer):
            with pytest.raises(Conflict):
                await store.update(POOL, VALUE, stale.revision)
        with pytest.raises(Compacted):
            await store.list("GlobalNetworkSet", limit=1, after=first.more)
        async for snapshot in mirror.changes():
            if len(snapshot.resources) == 1:
                break
        there = await store.get(POOL)
        assert there.value["spec"] == VALUE["spec"]
        assert there.value["metadata"]["uid"] == old.value["metadata"]["uid"]
        await store.update(POOL, {**VALUE, "spec": {"nets": []}}, there.revision)
        await mirror.close()
        await store.close()
        await other.close()

    asyncio.run(asyncio.wait_for(story(), 20))


def test_a_copy_of_what_was_lost_is_told_from_its_future(tmp_path: Path) -> None:
    """The file is lost after more changes than the copy has: an old position is never mistaken for one of the new."""
    path, copy = tmp_path / "db", tmp_path / "copy"

    async def story() -> None:
        store = EmbeddedDatastore.open(path)
        made = await store.create(POOL, VALUE)
        await asyncio.to_thread(back_up, path, copy)
        for n in range(5):
            made = await store.update(POOL, {**VALUE, "spec": {"nets": [f"203.0.113.{n}/32"]}}, made.revision)
        await store.close()
        for each in tmp_path.glob("db*"):
            if each.is_file():
                each.unlink()
        await asyncio.to_thread(restore, copy, path)
        store = EmbeddedDatastore.open(path)
        for n in range(10):
            there = await store.get(POOL)
            await store.update(POOL, {**VALUE, "spec": {"nets": [f"203.0.113.{n}/32"]}}, there.revision)
        with pytest.raises(Compacted):
            async for _ in store.watch({"GlobalNetworkSet"}, made.revision):
                pass
        await store.close()

    asyncio.run(story())


def test_an_empty_copy_restores_an_empty_store(tmp_path: Path) -> None:
    """Also then a watch from before is told."""
    filled(tmp_path / "empty", 0)
    back_up(tmp_path / "empty", tmp_path / "copy")
    filled(tmp_path / "db", 3)

    async def story() -> None:
        store = EmbeddedDatastore.open(tmp_path / "db")
        head = (await store.list("GlobalNetworkSet")).revision
        await asyncio.to_thread(restore, tmp_path / "copy", tmp_path / "db")
        assert (await store.list("GlobalNetworkSet")).entries == ()
        with pytest.raises(Compacted):
            async for _ in store.watch({"GlobalNetworkSet"}, head):
                pass
        await store.close()

    asyncio.run(story())


def test_objects_of_a_file_whose_log_is_broken_are_taken_over(tmp_path: Path) -> None:
    """A log that lacks changes is refused at open, with the command that saves the objects; and that does."""
    filled(tmp_path / "db")
    before = texts(tmp_path / "db")
    with closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as database:
        database.execute("DELETE FROM log WHERE revision = 7")
    with pytest.raises(Failed) as error:
        EmbeddedDatastore.open(tmp_path / "db")
    assert f"muslin datastore restore {tmp_path / 'db'} --datastore" in error.value.problems[0].fix

    restore(tmp_path / "db", tmp_path / "new")

    assert texts(tmp_path / "new") == before


_KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from muslin.datastore import backup, database

def connect(path, real=database.connect):
    connection = real(path)
    def traced(statement):
        if statement.startswith(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
    connection.set_trace_callback(traced)
    return connection

database.connect = connect
backup.restore(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("statement", ["DELETE FROM main.log", "INSERT INTO main.objects", "UPDATE main", "COMMIT"])
def test_a_killed_restore_has_not_happened(tmp_path: Path, statement: str) -> None:
    """SIGKILL anywhere in it leaves what was in force, also for those who have it open; repeated, it happens."""
    filled(tmp_path / "copy", 3)
    filled(tmp_path / "db", 20)
    before = texts(tmp_path / "db")

    async def story() -> None:
        store = EmbeddedDatastore.open(tmp_path / "db")
        command = [sys.executable, "-c", _KILLED, str(tmp_path / "copy"), str(tmp_path / "db"), statement]
        killed = await asyncio.create_subprocess_exec(*command)
        assert await killed.wait() == -signal.SIGKILL
        made = await store.create(*key_value("GlobalNetworkSet", "later", spec={}))
        await store.delete(made.key)
        await store.close()

    asyncio.run(story())
    assert texts(tmp_path / "db") == before
    assert restore(tmp_path / "copy", tmp_path / "db").objects == 3
    assert len(texts(tmp_path / "db")) == 3


def test_the_commands(tmp_path: Path) -> None:
    """Backup and restore from the command line, refused where nobody can be asked, and for other datastores."""
    filled(tmp_path / "db", 3)
    where = ("--datastore", str(tmp_path / "db"))
    first = real("datastore", "backup", tmp_path / "copy", *where)
    unasked = real("datastore", "restore", tmp_path / "copy", *where, stdin=None)
    done = real("datastore", "restore", tmp_path / "copy", "--yes", *where)
    environment = {"DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": "http://192.0.2.1:2379", "PATH": os.environ["PATH"]}
    other = real("datastore", "backup", tmp_path / "other", env=environment)

    assert (first.returncode, done.returncode, other.returncode) == (0, 0, 2), first.stderr + done.stderr
    assert "3 objects" in first.stdout
    assert unasked.returncode == 2
    assert "etcdctl" in other.stderr
