"""Writes that wait at the same time share one transaction, and nobody can tell but by the clock."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.protocol import AlreadyExists, Change, Conflict, Entry, Revision
from muslin.errors import MuslinError
from muslin.resources.keys import Key


def _value(name: str, order: int = 1) -> dict[str, object]:
    return {"apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": name}, "spec": {"order": order}}


def test_one_that_refuses_does_not_stop_the_others(tmp_path: Path) -> None:
    """Of many at once, each gets its own answer; revisions have no holes, and a watch sees each write once."""

    async def scenario() -> None:
        store = EmbeddedDatastore.open(tmp_path / "db")
        try:
            there = await store.create(Key("Tier", "there"), _value("there"))
            names = [f"t{number}" for number in range(40)]
            answers = await asyncio.gather(
                *(store.create(Key("Tier", name), _value(name)) for name in names),
                store.create(Key("Tier", "there"), _value("there")),
                store.update(Key("Tier", "there"), _value("there", 2), there.revision),
                store.update(Key("Tier", "there"), _value("there", 3), there.revision),
                return_exceptions=True,
            )
            refused = [type(answer) for answer in answers if isinstance(answer, BaseException)]
            written = sorted(int(answer.revision) for answer in answers if isinstance(answer, Entry))
            assert refused == [AlreadyExists, Conflict]
            assert written == list(range(int(there.revision) + 1, int(there.revision) + 42))

            seen: list[int] = []
            async for event in store.watch(["Tier"], there.revision):
                if not isinstance(event, Change):
                    break
                seen.append(int(event.revision))
            assert seen == written
        finally:
            await store.close()

    asyncio.run(scenario())


def test_a_commit_that_fails_fails_for_all_and_leaves_no_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed commit nothing of the batch is there, and the next write takes the next revision."""

    async def scenario() -> None:
        store = EmbeddedDatastore.open(tmp_path / "db")
        try:
            first = await store.create(Key("Tier", "first"), _value("first"))

            class _Full:
                """The connection, on a disk that is full."""

                def __init__(self, real: sqlite3.Connection) -> None:
                    self._real = real

                def commit(self) -> None:
                    raise sqlite3.OperationalError("database or disk is full")

                def __getattr__(self, name: str) -> object:
                    return getattr(self._real, name)

            real = store._writer
            monkeypatch.setattr(store, "_writer", _Full(real))
            answers = await asyncio.gather(
                *(store.create(Key("Tier", name), _value(name)) for name in ("a", "b")), return_exceptions=True
            )
            assert all(isinstance(answer, MuslinError) for answer in answers)
            monkeypatch.setattr(store, "_writer", real)

            with pytest.raises(Conflict):
                await store.update(Key("Tier", "first"), _value("first", 2), Revision("99"))
            again = await store.create(Key("Tier", "a"), _value("a"))

            assert int(again.revision) == int(first.revision) + 1
        finally:
            await store.close()

    asyncio.run(scenario())
