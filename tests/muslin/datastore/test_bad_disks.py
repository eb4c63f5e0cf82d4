"""The embedded datastore on file systems that are full or read only, and on files of others: real ones."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from muslin.datastore.backup import back_up, restore
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.errors import BadInput, MuslinError, Unavailable
from muslin.resources.keys import Key
from tests.support.netns import isolated

pytestmark = pytest.mark.netns


def small(folder: Path, size: str = "512k") -> Path:
    """A file system of its own with so much room, at this folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)], check=True)
    return folder


def remounted(disk: Path, how: str) -> None:
    """The same file system, otherwise."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


def over(path: Path, story: Callable[[EmbeddedDatastore], Awaitable[None]]) -> None:
    """Run a story over a store."""

    async def main() -> None:
        store = EmbeddedDatastore.open(path)
        await asyncio.wait_for(story(store), 30)
        await store.close()

    asyncio.run(main())


def filling(n: int) -> tuple[Key, dict[str, object]]:
    """An object of some size."""
    return Key("GlobalNetworkSet", f"s{n:04}"), {"spec": {"filling": "x" * 4000}}


@isolated
def test_a_full_disk_refuses_writes_keeps_reads_and_heals(tmp_path: Path) -> None:
    """Every acknowledged write is there while the disk is full, after room was made, and when it is opened again."""
    disk = small(tmp_path / "disk")
    acknowledged: list[Key] = []

    async def story(store: EmbeddedDatastore) -> None:
        async def fill() -> None:
            for n in range(1000):
                await store.create(*filling(n))
                acknowledged.append(filling(n)[0])

        with pytest.raises(Unavailable) as full:
            await fill()
        assert "disk is full" in full.value.problems[0].what
        assert len(acknowledged) > 3
        watch = store.watch({"GlobalNetworkSet"}, (await store.list("GlobalNetworkSet")).revision)
        await anext(watch)
        assert [entry.key for entry in (await store.list("GlobalNetworkSet")).entries] == acknowledged
        with pytest.raises(Unavailable):
            back_up(disk / "db", disk / "copy")
        assert sorted(each.name for each in disk.iterdir()) == ["db", "db-shm", "db-wal", "db.watch"]
        remounted(disk, "size=4m")
        made = await store.create(*filling(5000))
        assert (await anext(watch)).revision == made.revision
        acknowledged.append(made.key)

    over(disk / "db", story)

    async def again(store: EmbeddedDatastore) -> None:
        assert [entry.key for entry in (await store.list("GlobalNetworkSet")).entries] == acknowledged

    over(disk / "db", again)


@isolated
def test_a_restore_onto_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    """It is one transaction: without room what was in force stays in force."""
    disk = small(tmp_path / "disk", "300k")

    async def many(store: EmbeddedDatastore) -> None:
        for n in range(200):
            await store.create(*filling(n))

    async def one(store: EmbeddedDatastore) -> None:
        await store.create(*filling(7))

    over(tmp_path / "large", many)
    over(disk / "db", one)
    with pytest.raises(Unavailable):
        restore(tmp_path / "large", disk / "db")

    async def still(store: EmbeddedDatastore) -> None:
        assert [entry.key for entry in (await store.list("GlobalNetworkSet")).entries] == [filling(7)[0]]
        remounted(disk, "size=8m")
        await store.create(*filling(8))

    over(disk / "db", still)
    assert restore(tmp_path / "large", disk / "db").objects == 200


@isolated
def test_a_file_system_that_became_read_only_is_said(tmp_path: Path) -> None:
    """As after an error of the disk: it can't be opened, and the message says what the matter is."""
    disk = small(tmp_path / "disk", "4m")

    async def story(store: EmbeddedDatastore) -> None:
        await store.create(*filling(1))

    over(disk / "db", story)
    remounted(disk, "ro")

    async def refused() -> MuslinError:
        with pytest.raises(MuslinError) as error:
            EmbeddedDatastore.open(disk / "db")
        return error.value

    error = asyncio.run(refused())
    assert isinstance(error, BadInput)
    assert "read only" in error.problems[0].fix
    remounted(disk, "rw")
    over(disk / "db", _one)


async def _one(store: EmbeddedDatastore) -> None:
    assert len((await store.list("GlobalNetworkSet")).entries) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_a_file_of_somebody_else_is_told_by_its_owner() -> None:
    """Who may not open it is told whose it is."""

    async def story(store: EmbeddedDatastore) -> None:
        await store.create(*filling(1))

    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        over(Path(folder, "db"), story)
        child = os.fork()
        if child == 0:
            os.setgid(65534)
            os.setuid(65534)
            try:
                EmbeddedDatastore.open(Path(folder, "db"))
            except MuslinError as error:
                os.write(writing, f"{type(error).__name__}: {error.problems[0].fix}".encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as file:
            said = file.read()
        os.waitpid(child, 0)
    assert said.startswith("BadInput")
    assert "belongs to user 0, and this is 65534" in said
