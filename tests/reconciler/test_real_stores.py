"""A reconciler over each real datastore: what it writes is there, a second look writes nothing, drift and removals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

import pytest

from muslin.datastore.protocol import Datastore, NotFound
from muslin.resources.keys import Key
from reconciler.controller import Controller, Settings
from reconciler.status import KIND as STATUS
from reconciler.status import Event, EventKind
from tests.muslin.datastore.kubernetes.clusters import cleared, shared
from tests.muslin.datastore.suite.drivers import DRIVERS
from tests.reconciler.cases import NOW, UNASKED, policy, pool, tier
from tests.support.engines import Missing
from tests.support.memory_git import MemorySource

_KINDS = ("NetworkPolicy", "GlobalNetworkPolicy", "IPPool", "Tier", "BGPPeer")
_OURS = ("ReconcilerLedger", "ReconcilerStatus")
_PEER = """apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: switch}
spec: {peerIP: 192.0.2.1, asNumber: 64512}
"""
_CLOSED = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: mend.deny, annotations: {owner: ada}}
spec: {tier: mend, order: 10, selector: app == 'x', types: [Ingress]}
"""
_FILES = {
    "a.yaml": policy("a"), "b.yaml": policy("b"), "tier.yaml": tier("mend"), "deny.yaml": _CLOSED,
    "pool.yaml": pool("pods", "10.48.0.0/16"), "peer.yaml": _PEER,
}  # fmt: skip
_POLICY = Key("GlobalNetworkPolicy", "mend.deny")


@dataclass
class _Running:
    """A reconciler that runs over one client; the test looks through another."""

    store: Datastore
    eyes: Datastore
    source: MemorySource
    events: list[Event] = field(default_factory=list)
    looked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        """Start."""
        self.controller = Controller(
            self.store, self.source, Settings(set_name="real", poll_s=3600.0, budget=UNASKED), random=Random(1),
            now=lambda: NOW, tell=self.events.append, looked=lambda *_: self.looked.set(),
        )  # fmt: skip
        self.task = asyncio.ensure_future(self.controller.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop after the look under way."""
        self.controller.stop()
        await self.task

    async def push(self, files: dict[str, str]) -> None:
        """Push, and wait until the commit is applied completely."""
        commit = self.source.push(files)
        self.controller.wake()
        await self.until_status(lambda status: status.get("applied") == commit)

    async def until_status(self, found: Callable[[Any], bool]) -> None:
        """Until the set's status is as asked."""
        await self.until(STATUS, lambda value: value["metadata"]["name"] == "real" and found(value["status"]))

    async def until(self, kind: str, found: Callable[[Any], bool]) -> None:
        """Until an object of a kind is as asked, told by a watch."""
        listing = await self.eyes.list(kind)
        if any(found(entry.value) for entry in listing.entries):
            return
        async for change in self.eyes.watch((kind,), listing.revision):
            value = getattr(change, "value", None)
            if value is not None and found(value):
                return

    async def revisions(self) -> dict[Key, str]:
        """Every object's revision."""
        listed = [each for kind in (*_KINDS, *_OURS) for each in (await self.eyes.list(kind)).entries]
        ours = [each for each in listed if each.key.kind in _KINDS or each.key.name.startswith("real")]
        return {each.key: each.revision for each in ours}


async def _story(store: Datastore, eyes: Datastore) -> None:
    for kind in _OURS:
        # another story on the same server left them
        for entry in (await eyes.list(kind)).entries:
            await eyes.delete(entry.key)
    source = MemorySource()
    async with _Running(store, eyes, source) as running:
        await running.push(_FILES)
        stored = (await eyes.get(_POLICY)).value
        assert stored["spec"]["order"] == 10
        assert stored["metadata"]["annotations"]["owner"] == "ada"
    # all that the first process says has been said once it has ended
    before = await running.revisions()
    assert {key.kind for key in before} == {*_KINDS, *_OURS}

    # a process that was just started finds everything as it is, and writes nothing
    async with _Running(store, eyes, source) as running:
        await running.looked.wait()
        assert await running.revisions() == before
        assert [event.kind for event in running.events if event.kind is EventKind.OBJECT_WRITTEN] == []

        entry = await eyes.get(_POLICY)
        await eyes.update(_POLICY, {**entry.value, "spec": {**entry.value["spec"], "order": 7}}, entry.revision)
        await running.until("GlobalNetworkPolicy", lambda value: value["spec"]["order"] == 10)
        await running.until_status(lambda status: len(status["drift"]) == 1)
        await eyes.delete(_POLICY)
        await running.until("GlobalNetworkPolicy", lambda value: value["spec"]["order"] == 10)

        await running.push({name: text for name, text in _FILES.items() if name not in ("deny.yaml", "tier.yaml")})
        for gone in (_POLICY, Key("Tier", "mend")):
            with pytest.raises(NotFound):
                await eyes.get(gone)
        assert (await eyes.get(Key("NetworkPolicy", "a", "shop"))).revision == before[Key("NetworkPolicy", "a", "shop")]


@pytest.mark.engines
@pytest.mark.parametrize("driver", ["etcd", "kubernetes", "kubernetes-v1"])
def test_a_push_drift_and_a_removal(driver: str) -> None:
    """On etcd and on both kinds of Kubernetes definitions the same happens as on the embedded datastore."""
    if driver != "etcd":
        try:
            server = shared()
        except Missing as missing:
            pytest.skip(str(missing))
        cleared(server, *_KINDS, namespaces=("shop",))

    async def scenario() -> None:
        async with DRIVERS[driver]() as (store, eyes):
            await asyncio.wait_for(_story(store, eyes), 60)

    asyncio.run(scenario())


def test_a_push_drift_and_a_removal_on_the_embedded_one() -> None:
    """The same story, where nothing has to be installed."""

    async def scenario() -> None:
        async with DRIVERS["embedded"]() as (store, eyes):
            await asyncio.wait_for(_story(store, eyes), 20)

    asyncio.run(scenario())
