"""Each driver beside an obvious model: a dictionary of objects and a list of changes, walked by Hypothesis."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muslin.datastore.protocol import AlreadyExists, Bookmark, Compacted, Conflict, NotFound
from muslin.resources.keys import Key
from tests.muslin.datastore.suite.drivers import DRIVERS, value

KEYS = [
    Key("IPPool", "a"),
    Key("IPPool", "b"),
    Key("Node", "a"),
    Key("NetworkSet", "a", "x"),
    Key("NetworkSet", "a", "y"),
]
KINDS = sorted({key.kind for key in KEYS})

_client, _key = st.integers(0, 1), st.sampled_from(KEYS)
_step = st.one_of(
    st.tuples(st.just("create"), _client, _key, st.integers(0, 9)),
    st.tuples(st.just("update"), _client, _key, st.integers(0, 9), st.booleans()),
    st.tuples(st.just("delete"), _client, _key, st.sampled_from([None, True, False])),
    st.tuples(st.just("compact"), _client, st.integers(0, 3)),
    st.tuples(st.just("watch"), _client, st.sets(st.sampled_from(KINDS), min_size=1), st.integers(0, 10)),
    st.tuples(st.just("read"), st.integers(0, 3), st.integers(1, 4)),
    st.tuples(st.just("list"), _client, st.sampled_from(KINDS), st.integers(1, 3)),
)


class Model:
    """What a store holds, said as simply as can be."""

    def __init__(self) -> None:
        self.objects: dict[Key, tuple[int, int]] = {}
        self.changes: list[tuple[int, Key, int | None]] = []
        self.head = self.compacted = 0

    def put(self, key: Key, number: int | None) -> int:
        """One change; None is a deletion. Gives its revision."""
        self.head += 1
        self.changes.append((self.head, key, number))
        self.objects.pop(key, None)
        if number is not None:
            self.objects[key] = (number, self.head)
        return self.head


class Watcher:
    """A watch, and the revision up to which it has told everything."""

    def __init__(self, stream: Any, kinds: set[str], after: int) -> None:
        self.stream, self.kinds, self.position, self.over = stream, kinds, after, False

    async def read(self, model: Model, count: int) -> None:
        """Take some events if there must be any, and hold them against the model: all, once, in order."""
        for _ in range(count):
            due = [it for it in model.changes if it[0] > self.position and it[1].kind in self.kinds]
            if self.over or not due:
                return
            try:
                event = await asyncio.wait_for(anext(self.stream), 5)
            except Compacted:
                assert self.position < model.compacted, "compacted, although nothing was lost"
                self.over = True
                return
            if isinstance(event, Bookmark):
                assert self.position <= int(event.revision) < due[0][0], "a bookmark before what is due"
                self.position = int(event.revision)
                continue
            revision, key, number = due[0]
            assert (int(event.revision), event.key) == (revision, key)
            assert (None if event.value is None else event.value["spec"]["n"]) == number
            self.position = revision


async def _walk(clients: tuple[Any, Any], steps: list[tuple[Any, ...]]) -> None:
    model, watchers = Model(), []
    for step in steps:
        match step:
            case ("create", client, key, number):
                try:
                    made = await clients[client].create(key, value(key, n=number))
                    assert key not in model.objects
                    assert int(made.revision) == model.put(key, number)
                except AlreadyExists as error:
                    assert int(error.current.revision) == model.objects[key][1]  # noqa: PT017 - either may come
            case ("update", client, key, number, fresh):
                at = model.objects.get(key, (0, 0))[1] - (not fresh)
                try:
                    made = await clients[client].update(key, value(key, n=number), str(at))
                    assert fresh
                    assert key in model.objects
                    assert int(made.revision) == model.put(key, number)
                except NotFound:
                    assert key not in model.objects
                except Conflict as error:
                    assert not fresh
                    assert error.current.value["spec"]["n"] == model.objects[key][0]  # noqa: PT017 - either may come
            case ("delete", client, key, fresh):
                known = None if fresh is None else str(model.objects.get(key, (0, 0))[1] - (not fresh))
                try:
                    gone = await clients[client].delete(key, known)
                    assert fresh is not False
                    assert int(gone.revision) == model.objects[key][1]
                    model.put(key, None)
                except NotFound:
                    assert key not in model.objects
                except Conflict:
                    assert fresh is False
            case ("compact", client, keep):
                await clients[client].compact(keep)
                model.compacted = max(model.compacted, model.head - keep)
            case ("watch", client, kinds, back):
                after = max(0, model.head - back)
                watchers.append(Watcher(clients[client].watch(kinds, str(after)), kinds, after))
            case ("read", which, count) if which < len(watchers):
                await watchers[which].read(model, count)
            case ("list", client, kind, limit):
                page = await clients[client].list(kind, limit=limit)
                found = list(page.entries)
                while page.more is not None:
                    page = await clients[client].list(kind, limit=limit, after=page.more)
                    found += page.entries
                assert int(page.revision) == model.head
                expected = sorted(
                    (k for k in model.objects if k.kind == kind), key=lambda k: (k.namespace or "", k.name)
                )
                assert [(e.key, e.value["spec"]["n"], int(e.revision)) for e in found] == [
                    (key, *model.objects[key]) for key in expected
                ]
    for watcher in watchers:
        await watcher.read(model, 1000)
    for key in KEYS:
        if key in model.objects:
            assert (await clients[1].get(key)).value["spec"]["n"] == model.objects[key][0]


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_a_driver_does_what_the_model_does(driver: str) -> None:
    """Any sequence of calls by two clients: same answers, and watches lose, repeat, reorder and rewind nothing."""
    many = {"embedded": 60, "memory": 250}[driver]

    @settings(
        max_examples=many, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(_step, max_size=40))
    def walk(steps: list[tuple[Any, ...]]) -> None:
        async def main() -> None:
            async with DRIVERS[driver]() as clients:
                await _walk(clients, steps)

        asyncio.run(main())

    walk()
