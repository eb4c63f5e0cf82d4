"""The mirror: one instant, latest only, bad objects set aside, and healed after anything."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Collection
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.memory import Call, Fault, MemoryDatastore, Operation
from muslin.datastore.mirror import Decoded, Mirror
from muslin.datastore.protocol import Bookmark, Change, Compacted, Json, Listing, Revision
from muslin.errors import BadInput, Failed, MuslinError, Problem
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from muslin.resources.metadata import ObjectMeta
from tests.muslin.datastore.suite.drivers import every_driver, over
from tests.support.virtual_time import run_virtual


def decode(key: Key, value: Json) -> Decoded:
    """A resource whose spec is a number; others are refused, and some crash the decoder."""
    spec = value["spec"]
    if "n" not in spec:
        raise BadInput(Problem("there is no n", f"{key}  spec.n", "give one"))
    if spec["n"] == "crash":
        raise RuntimeError("a fault of the decoder")
    metadata = ObjectMeta(name=key.name, namespace=key.namespace)
    return Decoded(Resource.model_construct(kind=key.kind, metadata=metadata, spec=spec["n"]))


def numbers(mirror: Mirror) -> dict[str, Any]:
    """Mapping[name, number] of the snapshot."""
    return {key.name: resource.spec for key, resource in mirror.snapshot.resources.items()}


def pool(name: str) -> Key:
    """A key."""
    return Key("IPPool", name)


@every_driver
def test_a_mirror_follows(driver: str) -> None:
    """What was there, what comes, what changes and what goes is in the snapshot, at the store's revision."""

    async def story(one: Any, two: Any) -> None:
        first = await one.create(pool("a"), {"spec": {"n": 1}})
        mirror = Mirror(two, ["IPPool", "Node"], decode)
        mirror.start()
        await mirror.in_sync()
        assert numbers(mirror) == {"a": 1}
        changes = mirror.changes()
        assert (await anext(changes)).revision == first.revision
        for deed, expected in (
            (one.create(pool("b"), {"spec": {"n": 2}}), {"a": 1, "b": 2}),
            (one.update(pool("a"), {"spec": {"n": 3}}, first.revision), {"a": 3, "b": 2}),
            (one.delete(pool("b")), {"a": 3}),
        ):
            await deed
            await asyncio.wait_for(anext(changes), 5)
            assert numbers(mirror) == expected
        await mirror.close()
        assert await anext(changes, None) is None

    over(driver, story)


def test_a_bad_object_is_set_aside_and_comes_back() -> None:
    """An object that cannot be read is a problem at that object, missing from the snapshot, until it is repaired."""

    async def story() -> None:
        store = MemoryDatastore()
        await store.create(pool("good"), {"spec": {"n": 1}})
        bad = await store.create(pool("bad"), {"spec": {}})
        await store.create(pool("worse"), {"spec": {"n": "crash"}})
        mirror = Mirror(store, ["IPPool"], decode)
        mirror.start()
        await mirror.in_sync()
        assert numbers(mirror) == {"good": 1}
        assert set(mirror.problems) == {pool("bad"), pool("worse")}
        assert "a fault of the decoder" in mirror.problems[pool("worse")][0].what
        changes = mirror.changes()
        await anext(changes)
        await store.update(pool("bad"), {"spec": {"n": 2}}, bad.revision)
        await anext(changes)
        assert numbers(mirror) == {"good": 1, "bad": 2}
        await mirror.close()

    run_virtual(story())


def test_a_slow_reader_gets_the_latest_only() -> None:
    """Changes that come while the reader is busy are one change to it."""

    async def story() -> None:
        store = MemoryDatastore()
        mirror = Mirror(store, ["IPPool"], decode)
        mirror.start()
        changes = mirror.changes()
        await anext(changes)
        for i in range(20):
            await store.create(pool(f"p{i}"), {"spec": {"n": i}})
        await asyncio.sleep(1)
        assert len((await anext(changes)).resources) == 20
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(100)
        assert not waiting.done()
        waiting.cancel()
        await mirror.close()

    run_virtual(story())


def test_what_is_not_mirrored_wakes_nobody() -> None:
    """A write of another kind moves the revision and wakes no reader: an agent's own status must not wake it."""

    async def story() -> None:
        store = MemoryDatastore()
        mirror = Mirror(store, ["IPPool"], decode)
        mirror.start()
        changes = mirror.changes()
        await anext(changes)
        waiting = asyncio.ensure_future(anext(changes))
        made = await store.create(Key("CalicoNodeStatus", "n"), {})
        await asyncio.sleep(10)
        assert not waiting.done()
        assert mirror.snapshot.revision == made.revision
        waiting.cancel()
        await mirror.close()

    run_virtual(story())


def test_the_last_copy_stands_while_the_store_is_away() -> None:
    """An outage leaves the snapshot; afterwards the mirror catches up, with pauses that grow and end."""

    async def story() -> None:
        store = MemoryDatastore()
        client = store.client()
        await store.create(pool("a"), {"spec": {"n": 1}})
        mirror = Mirror(client, ["IPPool"], decode)
        mirror.start()
        await mirror.in_sync()
        client.faults = lambda _: Fault(refused=True)
        client.drop_watches()
        await store.create(pool("b"), {"spec": {"n": 2}})
        await asyncio.sleep(600)
        assert mirror.unavailable is not None
        assert numbers(mirror) == {"a": 1}
        client.faults = lambda _: Fault()
        await asyncio.sleep(6)
        assert mirror.unavailable is None
        assert numbers(mirror) == {"a": 1, "b": 2}
        await mirror.close()

    run_virtual(story())


def test_a_deletion_lost_to_compaction_is_found_by_the_new_list() -> None:
    """What was deleted while the mirror was away, and compacted away, is gone after it is back."""

    async def story() -> None:
        store = MemoryDatastore()
        client = store.client()
        await store.create(pool("a"), {"spec": {"n": 1}})
        await store.create(pool("b"), {"spec": {"n": 2}})
        mirror = Mirror(client, ["IPPool"], decode)
        mirror.start()
        await mirror.in_sync()
        client.faults = lambda call: Fault(refused=call.operation is Operation.WATCH)
        client.drop_watches()
        await store.delete(pool("a"))
        await store.compact()
        await asyncio.sleep(30)
        client.faults = lambda _: Fault()
        await asyncio.sleep(6)
        assert numbers(mirror) == {"b": 2}
        await mirror.close()

    run_virtual(story())


@pytest.mark.parametrize("seed", range(40))
def test_any_faults_end_in_the_same_copy(seed: int) -> None:
    """Under random outages, broken watches, slow delivery and compaction the mirror never goes back, and ends right."""

    async def story() -> None:
        dice = random.Random(seed)

        def faults(call: Call) -> Fault:
            broken = dice.random() < 0.15
            return Fault(delay_s=dice.random() * 0.2, refused=broken, answer_lost=not broken and dice.random() < 0.1)

        store = MemoryDatastore()
        client = store.client(faults)
        mirror = Mirror(client, ["IPPool", "Node"], decode)
        mirror.start()
        seen: list[dict[Key, int]] = []

        async def read() -> None:
            async for snapshot in mirror.changes():
                seen.append({key: resource.spec for key, resource in snapshot.resources.items()})
                await asyncio.sleep(dice.random())

        reader = asyncio.ensure_future(read())
        for number in range(80):
            key = Key(dice.choice(["IPPool", "Node"]), dice.choice("abcde"))
            try:
                entry = await store.get(key)
                if dice.random() < 0.3:
                    await store.delete(key)
                else:
                    await store.update(key, {"spec": {"n": number}}, entry.revision)
            except Failed:
                await store.create(key, {"spec": {"n": number}})
            if dice.random() < 0.1:
                await store.compact(dice.randrange(4))
            if dice.random() < 0.05:
                client.drop_watches()
            await asyncio.sleep(dice.random() * 0.3)
        client.faults = lambda _: Fault()
        await asyncio.sleep(30)
        final = {e.key: e.value["spec"]["n"] for kind in ("IPPool", "Node") for e in (await store.list(kind)).entries}
        assert seen[-1] == final
        for former, later in pairwise(seen):
            for key in former.keys() & later.keys():
                assert former[key] <= later[key], "a key went back in time"
        reader.cancel()
        await mirror.close()

    run_virtual(story())


def test_an_object_under_the_key_of_another_is_set_aside(tmp_path: Path) -> None:
    """What was written past the store's checks and says that it is somebody else stands in for nobody."""

    async def story() -> None:
        path = tmp_path / "store.db"
        store = EmbeddedDatastore.open(path)
        node = {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": "n"}, "spec": {}}
        for name in ("node1", "node2"):
            await store.create(Key("Node", name), {**node, "metadata": {"name": name}})
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("UPDATE objects SET value = replace(value, 'node2', 'node1') WHERE name = 'node2'")
        mirror = Mirror(store, ["Node"])
        mirror.start()
        await mirror.in_sync()
        assert set(mirror.snapshot.resources) == {Key("Node", "node1")}
        (problem,) = mirror.problems[Key("Node", "node2")]
        assert "Node node1" in problem.what
        assert problem.where.startswith("Node node2")
        await mirror.close()
        await store.close()

    asyncio.run(story())


class _Damaged(MemoryDatastore):
    """A store whose file is damaged while `damaged` is set."""

    damaged = False

    async def watch(self, kinds: Collection[str], after: Revision) -> AsyncIterator[Change | Bookmark]:
        async for event in super().watch(kinds, after):
            if self.damaged:
                raise Failed(Problem("the datastore's file is damaged", "store.db", "restore a copy"))
            yield event


def test_a_mirror_says_how_old_its_copy_is() -> None:
    """No age while the store answers, seconds since it fell silent while it does not, told once when it is back."""

    async def story() -> None:
        returned: list[float] = []
        away = False
        store = MemoryDatastore()
        client = store.client(lambda _: Fault(refused=away))
        made = await store.create(pool("a"), {"spec": {"n": 1}})
        mirror = Mirror(client, ["IPPool"], decode, on_return=returned.append)
        mirror.start()
        await mirror.in_sync()
        await asyncio.sleep(1000)
        assert (mirror.age_s, mirror.unavailable) == (0.0, None)
        away = True
        client.drop_watches()
        await asyncio.sleep(600)
        await store.update(pool("a"), {"spec": {"n": 2}}, made.revision)
        assert 599 <= mirror.age_s <= 600
        assert mirror.unavailable is not None
        assert numbers(mirror) == {"a": 1}
        away = False
        await asyncio.sleep(10)
        assert mirror.age_s == 0.0
        assert numbers(mirror) == {"a": 2}
        assert len(returned) == 1
        assert 600 <= returned[0] <= 610
        await mirror.close()

    run_virtual(story())


def test_a_damaged_store_leaves_the_last_copy_until_it_is_put_right() -> None:
    """Whatever the store says of itself, the mirror stands and tells; it goes on when somebody has repaired it."""

    async def story() -> None:
        told: list[MuslinError] = []
        store = _Damaged()
        await store.create(pool("a"), {"spec": {"n": 1}})
        mirror = Mirror(store, ["IPPool"], decode, on_failure=lambda error, _: told.append(error))
        mirror.start()
        await mirror.in_sync()
        store.damaged = True
        await store.create(pool("b"), {"spec": {"n": 2}})
        await asyncio.sleep(30)
        assert numbers(mirror) == {"a": 1}
        assert mirror.unavailable is told[-1]
        store.damaged = False
        await asyncio.sleep(30)
        assert numbers(mirror) == {"a": 1, "b": 2}
        assert mirror.unavailable is None
        await mirror.close()

    run_virtual(story())


def test_a_store_that_forgets_everything_is_not_flooded_with_lists() -> None:
    """The first list after a compaction comes at once; each further one in vain waits longer."""
    lists: list[float] = []

    class Forgetful(MemoryDatastore):
        async def list(self, kind: str, **further: Any) -> Listing:
            lists.append(asyncio.get_running_loop().time())
            return await super().list(kind, **further)

        async def watch(self, kinds: Collection[str], after: Revision) -> AsyncIterator[Change | Bookmark]:
            if len(lists) < 30:
                raise Compacted(after)
            async for event in super().watch(kinds, after):
                yield event

    async def main() -> None:
        mirror = Mirror(Forgetful(), ["IPPool"], decode)
        mirror.start()
        await mirror.in_sync()
        await mirror.close()

    run_virtual(main())

    waits = [after - before for before, after in pairwise(lists)]
    assert len(lists) == 30
    assert waits[0] == 0
    assert waits[1:4] == pytest.approx([0.1, 0.2, 0.4])
    assert waits[-1] == pytest.approx(5.0)
