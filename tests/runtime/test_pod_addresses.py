"""Addresses of pods over a datastore in which a predecessor died half-way."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any

from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.protocol import Datastore
from muslin.resources import load
from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from runtime.cni.names import Handle
from runtime.cni.pod import Pod
from runtime.pod_addresses import PodAddresses

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
        with contextlib.suppress(_Death):
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
