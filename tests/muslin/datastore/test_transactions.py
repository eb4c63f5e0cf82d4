"""Several writes as one transaction, in the embedded datastore, and what IPAM makes of it there and elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from muslin.datastore import database
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.ipam import run
from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.protocol import AlreadyExists, Change, Conflict, Datastore, Entry, Transactions
from muslin.errors import BadInput, Unavailable
from muslin.ipam.assign import auto_assign
from muslin.ipam.assignment import AssignmentRequest
from muslin.ipam.blocks import Block
from muslin.ipam.handles import first_count
from muslin.ipam.names import block_key
from muslin.ipam.together import assign_together
from muslin.net import parse_prefix
from muslin.resources.ip_pool import IPPool
from muslin.resources.keys import Key

_API = {"apiVersion": "projectcalico.org/v3"}
_BLOCK = parse_prefix("198.51.100.0/26")
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_TIER = Key("Tier", "last")
_POOL = IPPool.model_validate(
    {**_API, "kind": "IPPool", "metadata": {"name": "pods"}, "spec": {"cidr": "198.51.100.0/24"}}
)


def _value(name: str, order: int = 1) -> dict[str, Any]:
    return {**_API, "kind": "Tier", "metadata": {"name": name}, "spec": {"order": order}}


def _new(*names: str) -> list[tuple[Key, dict[str, Any]]]:
    return [(Key("Tier", name), _value(name)) for name in names]


async def _with_store(path: Path, story: Callable[[EmbeddedDatastore, Entry], Any]) -> None:
    store = EmbeddedDatastore.open(path / "db")
    try:
        await story(store, await store.create(_TIER, _value("last")))
    finally:
        await store.close()


def test_all_of_it_is_one_instant_in_its_order(tmp_path: Path) -> None:
    """Revisions follow each other, the update's comes last, and that is what a watch sees."""

    async def story(store: EmbeddedDatastore, last: Entry) -> None:
        made, updated = await store.create_then_update(_new("a", "b", "c"), _TIER, _value("last", 2), last.revision)

        entries = [each for each in (*made, updated) if isinstance(each, Entry)]
        first = int(last.revision)
        assert [int(each.revision) for each in entries] == [first + 1, first + 2, first + 3, first + 4]
        seen = []
        async for event in store.watch(["Tier"], last.revision):
            if not isinstance(event, Change):
                break
            seen.append(event.key.name)
        assert seen == ["a", "b", "c", "last"]

    asyncio.run(_with_store(tmp_path, story))


def test_where_one_is_there_already_the_others_are_made_and_nothing_is_updated(tmp_path: Path) -> None:
    """The refusal says what is there; whoever asked can go on without it."""

    async def story(store: EmbeddedDatastore, last: Entry) -> None:
        await store.create(*_new("b")[0])

        made, updated = await store.create_then_update(_new("a", "b", "c"), _TIER, _value("last", 2), last.revision)

        assert [type(each) for each in made] == [Entry, AlreadyExists, Entry]
        assert updated is None
        assert (await store.get(_TIER)).revision == last.revision

    asyncio.run(_with_store(tmp_path, story))


def test_an_update_of_what_somebody_wrote_in_between_is_refused_alone(tmp_path: Path) -> None:
    """What was created stays: whoever asked takes it back, as after two requests."""

    async def story(store: EmbeddedDatastore, last: Entry) -> None:
        await store.update(_TIER, _value("last", 5), last.revision)

        made, updated = await store.create_then_update(_new("a"), _TIER, _value("last", 2), last.revision)

        assert isinstance(made[0], Entry)
        assert isinstance(updated, Conflict)
        assert (await store.get(_TIER)).value["spec"]["order"] == 5

    asyncio.run(_with_store(tmp_path, story))


def test_a_value_that_cannot_be_kept_or_a_busy_file_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told before anything is written; and a transaction that cannot begin has done nothing of it."""

    async def story(store: EmbeddedDatastore, last: Entry) -> None:
        with pytest.raises(BadInput):
            await store.create_then_update([*_new("a"), (Key("Tier", "b"), _value("c"))], _TIER, {}, last.revision)
        monkeypatch.setattr("muslin.datastore.embedded._WAIT_FOR_LOCK_S", 0.05)
        with closing(database.connect(tmp_path / "db")) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable):
                await store.create_then_update(_new("a"), _TIER, _value("last", 2), last.revision)
            other.rollback()
        assert [entry.key for entry in (await store.list("Tier")).entries] == [_TIER]

    asyncio.run(_with_store(tmp_path, story))


def _request(handle: str) -> AssignmentRequest:
    return AssignmentRequest("node1", 1, handle, now=_NOW, pools=(_POOL,), known_blocks=(_BLOCK,))


@pytest.mark.parametrize("leftover", [False, True])
@pytest.mark.parametrize("transactions", [True, False])
def test_addresses_for_several_are_the_same_with_and_without_transactions(
    tmp_path: Path, *, transactions: bool, leftover: bool
) -> None:
    """Also where one of them has a handle of old: the others get their addresses, and the block says so once."""

    async def scenario(store: Datastore) -> tuple[dict[str, str], list[str]]:
        assert isinstance(store, Transactions) is transactions
        first = await run(store, auto_assign(_request("net.first")))
        assert first.addresses
        if leftover:
            await run(store, _create(first_count("net.two", _BLOCK, 1)))
        given = await run(store, assign_together([_request(f"net.{name}") for name in ("one", "two", "three")]))
        block = Block.read((await store.get(block_key(_BLOCK))).value)
        holders = [str(block.attributes[index].handle) for index in block.allocations if index is not None]
        return {handle: str(address.ip) for handle, address in given.items()}, holders

    def _create(asked: Any) -> Any:
        yield asked

    async def whole() -> tuple[dict[str, str], list[str]]:
        if not transactions:
            return await scenario(MemoryDatastore())
        store = EmbeddedDatastore.open(tmp_path / "db")
        try:
            return await scenario(store)
        finally:
            await store.close()

    given, holders = asyncio.run(whole())

    served = ["net.one", "net.three"] if leftover else ["net.one", "net.two", "net.three"]
    assert list(given) == served
    assert holders == ["net.first", *served]
    assert len(set(given.values())) == len(served)
