"""Questions and answers over real datastores: both sides write one object, and each sees what the other wrote."""

from __future__ import annotations

import asyncio

import pytest

from muslin.datastore.protocol import Change, Datastore, Entry
from muslin.net import Address
from reconciler.probe_questions import answers_of, mark_of, pairs_of, request, request_key
from runtime.probe_request import KIND, Answer, Ask, Word
from runtime.probing import Probing
from tests.muslin.datastore.kubernetes.clusters import shared
from tests.muslin.datastore.suite.drivers import DRIVERS
from tests.reconciler.probes import CLUSTER, PROBE
from tests.support.engines import Missing

_KEY = request_key("real", "n1")


class _Asker:
    async def ask(self, interface: str, source: Address, ask: Ask) -> Answer:
        del interface, source, ask
        return Answer(Word.SILENT)


async def _answered(eyes: Datastore, mark: str) -> None:
    """Until the question with this mark is answered, told by a watch."""
    listing = await eyes.list(KIND)
    known = {entry.key: entry for entry in listing.entries}
    if _KEY in known and answers_of(known[_KEY], mark):
        return
    async for event in eyes.watch((KIND,), listing.revision):
        if isinstance(event, Change) and event.key == _KEY and event.value is not None:
            found = answers_of(Entry(event.key, event.value, event.revision), mark)
            if found:
                assert [each.word.value for each in found.values()] == [Word.SILENT.value]
                return


async def _story(store: Datastore, eyes: Datastore) -> None:
    pairs = pairs_of([PROBE], CLUSTER)[:1]
    failures: list[BaseException] = []
    probing = Probing(
        "n1", store, _Asker(), snapshot=lambda: CLUSTER, applied=lambda: "10",
        on_failure=lambda error, _: failures.append(error),
    )  # fmt: skip
    running = asyncio.ensure_future(probing.run())
    try:
        for phase in ("one", "two"):
            mark = mark_of("c" * 40, phase, 0, pairs)
            value = request("real", "n1", mark, 0, pairs)
            there = [each for each in (await eyes.list(KIND)).entries if each.key == _KEY]
            if there:
                await eyes.update(_KEY, value, there[0].revision)
            else:
                await eyes.create(_KEY, value)
            await _answered(eyes, mark)
        await eyes.delete(_KEY)
        assert failures == []
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _told(driver: str) -> None:
    async def scenario() -> None:
        async with DRIVERS[driver]() as (store, eyes):
            await asyncio.wait_for(_story(store, eyes), 30)

    asyncio.run(scenario())


@pytest.mark.engines
@pytest.mark.parametrize("driver", ["etcd", "kubernetes"])
def test_asked_and_answered(driver: str) -> None:
    """A question, its answer, another question, its answer, none any more; over servers that keep objects."""
    if driver != "etcd":
        try:
            shared()
        except Missing as missing:
            pytest.skip(str(missing))
    _told(driver)


def test_asked_and_answered_over_the_embedded_one() -> None:
    """The same, where nothing has to be installed."""
    _told("embedded")
