"""Nodes that report, for tests of gates: their word follows what the datastore says, after a while."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from muslin import resources
from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.protocol import AlreadyExists, Change, NotFound
from muslin.errors import MuslinError
from muslin.resources.keys import Key
from muslin.semantics.sessions import sessions
from muslin.semantics.snapshot import Snapshot
from reconciler.node_reports import APPLIED_REVISION

__all__ = ["Nodes", "bgp", "node", "peer"]

_BGP = ("Node", "BGPPeer", "BGPConfiguration")


def node(name: str, *, reflects: bool = False) -> str:
    """A declared Node; with `reflects` it has a cluster ID and the label that `peer` selects."""
    if not reflects:
        return f"apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {{name: {name}}}\nspec: {{}}\n"
    return f"""apiVersion: projectcalico.org/v3
kind: Node
metadata: {{name: {name}, labels: {{rr: "true"}}}}
spec: {{bgp: {{routeReflectorClusterID: 192.0.2.250}}}}
"""


def peer() -> str:
    """All nodes peer with the reflectors."""
    return """apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: reflectors}
spec: {nodeSelector: all(), peerSelector: rr == 'true'}
"""


def bgp(*, mesh: bool) -> str:
    """The default BGP configuration."""
    return f"""apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {{name: default}}
spec: {{asNumber: 64512, nodeToNodeMeshEnabled: {str(mesh).lower()}}}
"""


class Nodes:
    """Nodes of a cluster in memory. `follow` reports what they have; who is in `deaf` or `broken` does not come up.

    Attributes:
        delay_s: from a change of the datastore to the sessions that follow.
        broken: pairs of addresses between which no session comes up.
        deaf: nodes that report nothing.
        upstream: they report only where they are asked to, and not what they have applied.
        history: Mapping[node, established peers] after each change, oldest first.
    """

    def __init__(self, store: MemoryDatastore, *names: str, delay_s: float = 2.0) -> None:
        self.store, self.names, self.delay_s = store.client(), names, delay_s
        self.addresses = {name: f"192.0.2.{number}" for number, name in enumerate(names, 1)}
        self.broken: set[frozenset[str]] = set()
        self.deaf: set[str] = set()
        self.upstream = False
        self.history: list[dict[str, dict[str, str]]] = []
        self._moved = asyncio.Event()

    async def register(self) -> None:
        """As agents do when they start."""
        for name, address in self.addresses.items():
            spec = {"bgp": {"ipv4Address": f"{address}/24"}}
            metadata = {"name": name, "labels": {"site": "a"}}
            value = {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": metadata, "spec": spec}
            await self.store.create(Key("Node", name), value)

    async def follow(self) -> None:
        """Bring sessions up and down as the datastore says, for ever."""
        head = (await self.store.list("Node")).revision
        await self.settle(head)
        latest, moved = head, self._moved

        async def note() -> None:
            nonlocal latest
            kinds = (*_BGP, "NetworkPolicy", "GlobalNetworkPolicy", "CalicoNodeStatus")
            async for event in self.store.watch(kinds, head):
                latest = event.revision
                if isinstance(event, Change) and (event.key.kind != "CalicoNodeStatus" or _is_asked(event)):
                    moved.set()

        noting = asyncio.ensure_future(note())
        try:
            while True:
                await moved.wait()
                moved.clear()
                revision = latest
                await asyncio.sleep(self.delay_s)
                await self.settle(revision)
        finally:
            noting.cancel()

    def look_again(self) -> None:
        """The network is not as it was."""
        self._moved.set()

    async def settle(self, revision: str) -> None:
        """Report what is up now."""
        values = [entry.value for kind in _BGP for entry in (await self.store.list(kind)).entries]
        snapshot = Snapshot.of(map(resources.load, values))
        up = {
            name: {
                str(each.peer_address): each.kind.value
                for each in sessions(snapshot, name)
                if frozenset((str(each.peer_address), self.addresses[name])) not in self.broken
            }
            for name in self.names
        }
        both = {
            name: {peer: kind for peer, kind in peers.items() if self.addresses[name] in up.get(self._named(peer), ())}
            for name, peers in up.items()
        }
        self.history.append(both)
        for name in self.names:
            if name not in self.deaf:
                await self._report(name, both[name], revision)

    def _named(self, address: str) -> str:
        return next((name for name, known in self.addresses.items() if known == address), "")

    async def _report(self, name: str, peers: Mapping[str, str], revision: str) -> None:
        known = Key("CalicoNodeStatus", name)
        value = status(name, peers, None if self.upstream else revision)
        while True:
            try:
                entry = await self.store.get(known)
                if self.upstream:
                    value = {**entry.value, "status": value["status"]}
                await self.store.update(known, value, entry.revision)
            except NotFound:
                if self.upstream:
                    return
                with suppress(AlreadyExists):
                    await self.store.create(known, value)
            except MuslinError:
                continue
            return


def _is_asked(change: Change) -> bool:
    return change.value is not None and "status" not in change.value


def status(name: str, peers: Mapping[str, str], revision: str | None) -> dict[str, Any]:
    """What a node reports; without `revision` as upstream's agent does."""
    metadata: dict[str, Any] = {"name": name}
    if revision is not None:
        metadata["annotations"] = {APPLIED_REVISION: revision}
    told = [{"peerIP": each, "type": kind, "state": "Established"} for each, kind in sorted(peers.items())]
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "CalicoNodeStatus",
        "metadata": metadata,
        "spec": {"node": name, "classes": ["Agent", "BGP", "Routes"], "updatePeriodSeconds": 10},
        "status": {"bgp": {"peersV4": told}},
    }
