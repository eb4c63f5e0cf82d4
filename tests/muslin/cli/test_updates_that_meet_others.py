"""An update that meets somebody else's write starts again from what is there, five times at most."""

from __future__ import annotations

import asyncio

import pytest

from muslin.cli.client import Client
from muslin.cli.documents import Given
from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.protocol import Conflict, Entry, Json, Revision
from muslin.errors import Unavailable
from muslin.resources.keys import Key

_KEY = Key("Tier", "sec")


class _Contended(MemoryDatastore):
    """A store into which somebody else writes just before each of the first updates of ours."""

    def __init__(self, others: int) -> None:
        super().__init__()
        self.others = others

    async def update(self, key: Key, value: Json, revision: Revision) -> Entry:
        """As the store's own, after somebody else's."""
        if self.others:
            self.others -= 1
            live = await self.get(key)
            number = live.value["spec"].get("order", 0) + 1
            await super().update(key, {**live.value, "spec": {"order": number}}, live.revision)
        return await super().update(key, value, revision)


def _tier(**metadata: str) -> Given:
    return Given(
        {
            "apiVersion": "projectcalico.org/v3",
            "kind": "Tier",
            "metadata": {"name": "sec", **metadata},
            "spec": {"order": 500},
        },
        "case",
    )


async def _updated(others: int, *, version: bool = False) -> Json:
    store = _Contended(others)
    made = await store.create(_KEY, {**_tier().value, "spec": {"order": 1}})
    given = _tier(resourceVersion=str(made.revision)) if version else _tier()
    return await Client(store, pause_s=0).update(given, _KEY)


@pytest.mark.parametrize("others", [0, 1, 4])
def test_others_are_overcome(others: int) -> None:
    """Up to four times somebody else may be faster; the identity stays the stored object's."""
    found = asyncio.run(_updated(others))

    assert found["spec"]["order"] == 500
    assert found["metadata"]["uid"]


def test_the_fifth_time_is_the_last() -> None:
    """Then it is told, and nothing of ours is written."""
    with pytest.raises(Unavailable, match="failed to update the resource"):
        asyncio.run(_updated(5))


def test_an_explicit_version_is_tried_once() -> None:
    """Whoever names the version wants to know that somebody else was faster."""
    with pytest.raises(Conflict):
        asyncio.run(_updated(1, version=True))
