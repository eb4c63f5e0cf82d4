"""Addresses of pods over a datastore in which a predecessor died half-way."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest

from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.protocol import Datastore, Entry
from muslin.errors import Unavailable
from muslin.resources import load
from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from runtime.cni.names import Handle
from runtime.cni.pod import Pod
from runtime.pod_addresses import PodAddresses
from tests.support.virtual_time import run_virtual

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_HANDLE = Handle("k8s-pod-network.c1")
_POD = Pod("demo", "client")
_META = {"apiVersion": "projectcalico.org/v3"}
_SPEC = {"cidr": "198.51.100.0/24", "nodeSelector": "all()"}
_POOL = {**_META, "kind": "IPPool", "metadata": {"name": "pods"}, "spec": _SPEC}
_NODE = {**_META, "kind": "Node", "metadata": {"name": "node1"}, "spec": {}}


class _Death(BaseException):
    """The process ends here."""


class _Dying:
    """A datastore whose user dies when it is about to write the nth object of a kind."""

    def __init__(self, store: Datastore, kind: str) -> None:
        self._store, self._kind = store, kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def update(self, key: Key, *arguments: Any) -> Any:
        """As the datastore does it, unless this is the moment."""
        if key.kind == self._kind:
            raise _Death
        return await self._store.update(key, *arguments)


def _addresses(store: Any) -> PodAddresses:
    snapshot = Snapshot.of([load(_POOL), load(_NODE)])
    return PodAddresses("node1", store, snapshot=lambda: snapshot, now=lambda: _NOW)


async def _counts(store: Datastore) -> list[dict[str, int]]:
    return [entry.value["spec"]["block"] for entry in (await store.list("IPAMHandle")).entries]


def test_an_add_after_a_death_between_count_and_block_counts_once() -> None:
    """A handle that counts an address which its block never gave is made good before the next address is given."""

    async def scenario() -> tuple[list[dict[str, int]], list[dict[str, int]]]:
        store = MemoryDatastore()
        with contextlib.suppress(Unavailable):
            await _addresses(_Dying(store, "IPAMBlock")).assign(_HANDLE, _POD, ())
        left = await _counts(store)
        await _addresses(store).assign(_HANDLE, _POD, ())
        return left, await _counts(store)

    left, after = asyncio.run(scenario())

    assert (list(left[0].values()), list(after[0].values())) == ([1], [1])


def test_the_same_handle_gets_the_same_address() -> None:
    """An ADD that is repeated takes no second address."""

    async def scenario() -> tuple[object, object, list[dict[str, int]]]:
        store = MemoryDatastore()
        one = await _addresses(store).assign(_HANDLE, _POD, ())
        return one, await _addresses(store).assign(_HANDLE, _POD, ()), await _counts(store)

    one, again, counts = asyncio.run(scenario())

    assert (one, [list(each.values()) for each in counts]) == (again, [[1]])


class _World:
    """A node's IPAM that sees the blocks it has, as an agent does."""

    def __init__(self) -> None:
        self.store = MemoryDatastore()
        self.snapshot = Snapshot.of([load(_POOL), load(_NODE)])
        self.addresses = PodAddresses("node1", self.store, snapshot=lambda: self.snapshot, now=lambda: _NOW)

    async def look(self) -> None:
        """Take in the blocks and affinities that there are now."""
        listings = [await self.store.list(kind) for kind in ("IPAMBlock", "BlockAffinity")]
        found = [load(entry.value) for listing in listings for entry in listing.entries]
        self.snapshot = Snapshot.of([load(_POOL), load(_NODE), *found])

    async def block(self) -> Entry:
        """The one block."""
        (entry,) = (await self.store.list("IPAMBlock")).entries
        return entry

    async def in_use(self) -> int:
        """Addresses given out."""
        return sum(index is not None for index in (await self.block()).value["spec"]["allocations"])


def test_many_at_once_get_addresses_of_their_own_by_one_write_of_the_block() -> None:
    """Sixteen pods that start together cost one write of the block, and no address is given twice."""

    async def scenario() -> None:
        world = _World()
        await world.addresses.assign(Handle("first"), _POD, ())
        await world.look()
        sequence = int((await world.block()).value["spec"]["sequenceNumber"])

        given = await asyncio.gather(*(world.addresses.assign(Handle(f"c{n}"), _POD, ()) for n in range(16)))

        assert len({address for each in given for address in each}) == 16
        assert int((await world.block()).value["spec"]["sequenceNumber"]) == sequence + 1
        for number in range(16):
            await world.addresses.release(Handle(f"c{number}"))
        assert await world.in_use() == 1
        assert len((await world.store.list("IPAMHandle")).entries) == 1

    run_virtual(scenario())


def test_when_somebody_writes_in_between_all_get_their_address_all_the_same() -> None:
    """A conflict on the block takes the counts back, and each is served by itself."""

    async def scenario() -> None:
        world = _World()
        await world.addresses.assign(Handle("first"), _POD, ())
        await world.look()
        meddling = True

        class _Meddled:
            """The store, with another node's agent that touches the block once before our write."""

            def __getattr__(self, name: str) -> Any:
                return getattr(world.store, name)

            async def update(self, key: Key, value: Any, revision: Any) -> Any:
                nonlocal meddling
                if key.kind == "IPAMBlock" and meddling and len((await world.store.list("IPAMHandle")).entries) > 2:
                    meddling = False
                    current = await world.store.get(key)
                    await world.store.update(key, current.value, current.revision)
                return await world.store.update(key, value, revision)

        store: Any = _Meddled()
        addresses = PodAddresses("node1", store, snapshot=lambda: world.snapshot, now=lambda: _NOW)
        given = await asyncio.gather(*(addresses.assign(Handle(f"c{n}"), _POD, ()) for n in range(8)))

        assert not meddling
        assert len({address for each in given for address in each}) == 8
        assert await world.in_use() == 9
        assert all(sum(counts.values()) == 1 for counts in await _counts(world.store))

    run_virtual(scenario())


def test_one_that_gives_up_waiting_is_given_nothing() -> None:
    """A request that is cancelled while others are served holds no address afterwards."""

    async def scenario() -> None:
        world = _World()
        await world.addresses.assign(Handle("first"), _POD, ())
        await world.look()
        asked = [asyncio.ensure_future(world.addresses.assign(Handle(f"c{n}"), _POD, ())) for n in range(4)]
        await asyncio.sleep(0)
        asked[3].cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await world.addresses.release(Handle("c3"))

        assert await world.in_use() == 4

    run_virtual(scenario())


def test_a_reserved_address_is_never_given_to_a_pod() -> None:
    """IPReservation keeps addresses from being given out: of a block of 16, the four that are left; then none."""
    spec = {"reservedCIDRs": ["198.51.100.0/29", "198.51.100.8/30"]}
    kept = load({**_META, "kind": "IPReservation", "metadata": {"name": "kept"}, "spec": spec})
    pool = load({**_POOL, "spec": {**_SPEC, "cidr": "198.51.100.0/28", "blockSize": 28}})
    snapshot = Snapshot.of([pool, load(_NODE), kept])

    async def scenario() -> set[str]:
        addresses = PodAddresses("node1", MemoryDatastore(), snapshot=lambda: snapshot, now=lambda: _NOW)
        given = [await addresses.assign(Handle(f"net.c{n}"), _POD, ()) for n in range(4)]
        with pytest.raises(Unavailable):
            await addresses.assign(Handle("net.c4"), _POD, ())
        return {str(each) for one in given for each in one}

    assert asyncio.run(scenario()) == {f"198.51.100.{n}" for n in range(12, 16)}
