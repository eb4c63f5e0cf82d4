"""The embedded datastore between real processes: nothing acknowledged is lost, and watchers are woken."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from muslin.datastore.database import watch_directory
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.protocol import Bookmark, Change, Revision
from muslin.resources.keys import Key
from tests.muslin.datastore import children

CHILD = Path(children.__file__)


@contextmanager
def child(role: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process in a role; killed at the end."""
    command = [sys.executable, str(CHILD), role, *(str(it) for it in arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> list[str]:
    """The child's next line, in words."""
    assert process.stdout is not None
    return process.stdout.readline().split()


@pytest.mark.slow
def test_sigkill_loses_no_acknowledged_write(tmp_path: Path) -> None:
    """A writer is killed at random moments, over and over: what it acknowledged is there, and the history is whole."""
    path, dice, acknowledged = tmp_path / "db", random.Random(7), 0
    known: dict[str, str] = {}

    async def check() -> None:
        store = EmbeddedDatastore.open(path)
        listing = await store.list(children.KIND)
        found = {entry.key.name: entry for entry in listing.entries}
        for name, revision in known.items():
            if revision == "gone":
                assert name not in found
            elif name in found:  # a later write of the same object may have been done and not acknowledged
                assert int(found[name].revision) >= int(revision)
            else:
                assert int(name.rpartition("-")[2]) % 3 == 2, "only its own unacknowledged deletion may take it away"
        replayed: dict[str, str] = {}
        async for event in store.watch({children.KIND}, Revision("0")):
            if isinstance(event, Bookmark):
                assert event.revision == listing.revision
                break
            replayed.pop(event.key.name, None)
            if event.value is not None:
                replayed[event.key.name] = event.revision
        assert replayed == {name: entry.revision for name, entry in found.items()}
        await store.close()

    for attempt in range(12):
        with child("write", path, f"run{attempt}") as process:
            wanted = dice.randrange(1, 60)
            for _ in range(wanted):
                word = line(process)
                known[word[1]] = word[2] if word[0] == "made" else "gone"
            time.sleep(dice.random() * 0.003)  # the moment of death is what is being varied
            process.kill()
            assert process.stdout is not None
            for rest in process.stdout:
                word = rest.split()
                known[word[1]] = word[2] if word[0] == "made" else "gone"
            acknowledged += wanted
        asyncio.run(check())
    assert acknowledged > 100


@pytest.mark.slow
def test_a_write_wakes_another_process(tmp_path: Path) -> None:
    """The median change reaches a watcher in another process within 20 ms of the write's beginning."""
    path = tmp_path / "db"

    async def story() -> list[float]:
        store = EmbeddedDatastore.open(path)
        delays = []
        with child("watch", path) as watcher:
            assert line(watcher)[0] == "ready"
            for number in range(60):
                began = time.monotonic_ns()
                await store.create(Key(children.KIND, f"n{number}", "default"), {})
                while (word := line(watcher))[0] != "saw":
                    pass
                delays.append((int(word[2]) - began) / 1e6)
        await store.close()
        return sorted(delays)

    delays = asyncio.run(story())
    print(f"write begun to change seen: p50 {delays[30]:.2f} ms, p95 {delays[57]:.2f} ms, worst {delays[-1]:.2f} ms")
    assert delays[30] < 20


def test_a_writer_killed_before_its_wake_is_noticed_by_the_poll(tmp_path: Path) -> None:
    """A change whose writer died between commit and wake reaches watchers by the slow poll."""
    path = tmp_path / "db"

    async def story() -> None:
        store = EmbeddedDatastore.open(path)
        watch = store.watch({children.KIND}, Revision("0"))
        assert isinstance(await anext(watch), Bookmark)
        with child("write_unheard", path) as writer:
            change = await asyncio.wait_for(anext(watch), 10)
            assert await asyncio.to_thread(writer.wait) == -9
        assert isinstance(change, Change)
        assert change.key.name == "unheard"
        await store.close()

    asyncio.run(story())


def test_sockets_of_dead_watchers_are_removed(tmp_path: Path) -> None:
    """A watcher that was killed leaves a socket behind; the next write removes it, and a close leaves none."""
    path = tmp_path / "db"

    async def story() -> None:
        store = EmbeddedDatastore.open(path)
        with child("watch", path) as watcher:
            assert line(watcher)[0] == "ready"
            assert len(list(watch_directory(path).iterdir())) == 1
            watcher.kill()
            watcher.wait()
        await store.create(Key(children.KIND, "a", "default"), {})
        assert list(watch_directory(path).iterdir()) == []
        await store.close()

    asyncio.run(story())


def test_a_path_too_long_for_a_socket_is_no_hindrance(tmp_path: Path) -> None:
    """Watches wake also where the folder's path is longer than a socket's address may be."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()

    async def story() -> None:
        one, two = EmbeddedDatastore.open(folder / "db"), EmbeddedDatastore.open(folder / "db")
        watch = two.watch({"IPPool"}, Revision("0"))
        await anext(watch)
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        await one.create(Key("IPPool", "a"), {})
        assert isinstance(await asyncio.wait_for(waiting, 0.9), Change)  # sooner than the poll
        await one.close()
        await two.close()

    asyncio.run(story())
