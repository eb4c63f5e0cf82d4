"""Each driver beside an obvious model: a dictionary of objects and a list of changes, walked by Hypothesis."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muslin.datastore.protocol import AlreadyExists, Bookmark, Compacted, Conflict, NotFound
from muslin.resources.keys import Key
from tests.muslin.datastore.suite.drivers import DRIVERS, EXACT, every_driver, value

KEYS = [
    Key("IPPool", "a"),
    Key("IPPool", "b"),
    Key("GlobalNetworkSet", "a"),
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
    """What a store holds, said as simply as can be.

    `instants` holds a revision for each number of changes that had been made: one that the store itself gave.
    """

    def __init__(self, start: str) -> None:
        self.objects: dict[Key, tuple[int, str]] = {}
        self.changes: list[tuple[Key, int | None, str | None]] = []
        self.instants = [start]
        self.compacted = 0

    def put(self, key: Key, number: int | None, revision: str | None, instant: str) -> None:
        """One change; None is a deletion."""
        self.changes.append((key, number, revision))
        self.instants.append(instant)
        self.objects.pop(key, None)
        if number is not None and revision is not None:
            self.objects[key] = (number, revision)


class Watcher:
    """A watch that began after so many changes, and which of the later ones it has told."""

    def __init__(self, stream: Any, kinds: set[str], after: int, *, exact: bool) -> None:
        self.stream, self.kinds, self.position, self.exact = stream, kinds, after, exact
        self.after, self.told, self.over = after, set[int](), False

    def _due(self, model: Model) -> list[int]:
        """The changes that must still come, oldest first."""
        later = range(self.after, len(model.changes))
        return [at for at in later if at not in self.told and model.changes[at][0].kind in self.kinds]

    async def read(self, model: Model, count: int) -> None:
        """Take some events if there must be any, and hold them against the model: all, once, each kind's in order."""
        for _ in range(count):
            due = self._due(model)
            if self.over or not due:
                return
            try:
                event = await asyncio.wait_for(anext(self.stream), 10)
            except Compacted:
                assert self.position < model.compacted, "compacted, although nothing was lost"
                self.over = True
                return
            if isinstance(event, Bookmark):
                if event.revision in model.instants:
                    self.position = model.instants.index(event.revision)
                    assert self.position <= due[0], "a bookmark before what is due"
                continue
            at = due[0] if self.exact else next(at for at in due if model.changes[at][0].kind == event.key.kind)
            key, number, revision = model.changes[at]
            assert event.key == key
            assert (None if event.value is None else event.value["spec"]["n"]) == number
            assert revision in (None, event.revision)
            self.told.add(at)
            self.position = at + 1


async def _walk(clients: tuple[Any, Any], steps: list[tuple[Any, ...]], *, exact: bool) -> None:
    async def now() -> str:
        return str((await clients[0].list(KEYS[0].kind, limit=1)).revision)

    model, watchers = Model(await now()), []
    for step in steps:
        match step:
            case ("create", client, key, number):
                try:
                    made = await clients[client].create(key, value(key, n=number))
                    assert key not in model.objects
                    model.put(key, number, made.revision, await now())
                except AlreadyExists as error:
                    assert error.current.revision == model.objects[key][1]  # noqa: PT017 - either may come
            case ("update", client, key, number, fresh):
                at = model.objects[key][1] if fresh and key in model.objects else model.instants[0]
                try:
                    made = await clients[client].update(key, value(key, n=number), at)
                    assert fresh
                    assert key in model.objects
                    model.put(key, number, made.revision, await now())
                except NotFound:
                    assert key not in model.objects
                except Conflict as error:
                    assert not fresh
                    assert error.current.value["spec"]["n"] == model.objects[key][0]  # noqa: PT017 - either may come
            case ("delete", client, key, fresh):
                at = model.objects[key][1] if fresh and key in model.objects else model.instants[0]
                try:
                    gone = await clients[client].delete(key, None if fresh is None else at)
                    assert fresh is not False
                    assert gone.revision == model.objects[key][1]
                    model.put(key, None, None, await now())
                except NotFound:
                    assert key not in model.objects
                except Conflict:
                    assert fresh is False
            case ("compact", client, keep) if exact:
                await clients[client].compact(keep)
                model.compacted = max(model.compacted, len(model.changes) - keep)
            case ("watch", client, kinds, back):
                after = max(0, len(model.changes) - back)
                stream = clients[client].watch(kinds, model.instants[after])
                watchers.append(Watcher(stream, kinds, after, exact=exact))
            case ("read", which, count) if which < len(watchers):
                await watchers[which].read(model, count)
            case ("list", client, kind, limit):
                page = await clients[client].list(kind, limit=limit)
                found = list(page.entries)
                while page.more is not None:
                    page = await clients[client].list(kind, limit=limit, after=page.more)
                    found += page.entries
                assert page.revision == model.instants[-1] or not exact
                expected = sorted(
                    (k for k in model.objects if k.kind == kind), key=lambda k: (k.namespace or "", k.name)
                )
                assert [(e.key, e.value["spec"]["n"], e.revision) for e in found] == [
                    (key, *model.objects[key]) for key in expected
                ]
    for watcher in watchers:
        await watcher.read(model, 1000)
    for key in KEYS:
        if key in model.objects:
            assert (await clients[1].get(key)).value["spec"]["n"] == model.objects[key][0]


@pytest.mark.slow
@every_driver
def test_a_driver_does_what_the_model_does(driver: str) -> None:
    """Any sequence of calls by two clients: same answers, and watches lose, repeat, reorder and rewind nothing."""
    many = {"embedded": 60, "memory": 250}.get(driver, 10)

    @settings(
        max_examples=many, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(_step, max_size=40))
    def walk(steps: list[tuple[Any, ...]]) -> None:
        async def main() -> None:
            async with DRIVERS[driver]() as clients:
                await _walk(clients, steps, exact=driver in EXACT)

        asyncio.run(main())

    walk()
