"""What the datastore said at each revision, read independently of the agents, and what must hold of every write."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from muslin import resources
from muslin.datastore.built_in import DEFAULT_PROFILE, default_profile
from muslin.datastore.history import History
from muslin.datastore.protocol import Change
from muslin.errors import BadInput
from muslin.ipam.blocks import Block
from muslin.ipam.names import block_key, cni_handle
from muslin.net import Address, parse_prefix
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, Verdict, verdict
from runtime.agent import MIRRORED
from tests.runtime.cni.frames import NETWORK

__all__ = ["POISON", "Oracle"]

POISON = "poison"
"""Objects of bad commits begin with this; none may ever be written."""


class Oracle:
    """Follows a store's history; `follow` must be called before changes are compacted away.

    Args:
        history: of the store.
        broken: is told what must not be.
    """

    def __init__(self, history: History, broken: Callable[[str], None]) -> None:
        self._history, self._broken = history, broken
        self._seen = history.head
        self._values: dict[Key, Any] = {}
        # one profile is in every store, and no change tells it
        self._decoded: dict[Key, Resource] = {DEFAULT_PROFILE: resources.load(default_profile().value)}
        self._revisions = [0]
        self._snapshots = [Snapshot(MappingProxyType(dict(self._decoded)))]
        self._verdicts: dict[tuple[int, Flow], Verdict] = {}

    def follow(self) -> list[Change]:
        """Take in every change since the last call, judge each, and give them."""
        changes = []
        while self._seen < self._history.head:
            self._seen += 1
            change = self._history.change(self._seen)
            changes.append(change)
            self._judge(change)
            if self._put(change):
                self._remember(self._seen)
        return changes

    @property
    def latest(self) -> Snapshot:
        """The datastore now."""
        return self._snapshots[-1]

    def snapshot(self, index: int) -> Snapshot:
        """The datastore as it was."""
        return self._snapshots[index]

    def index(self, revision: str) -> int:
        """Number of the snapshot that stood at a revision."""
        return bisect_right(self._revisions, int(revision)) - 1

    @property
    def last(self) -> int:
        """Number of the latest snapshot."""
        return len(self._snapshots) - 1

    def verdict(self, index: int, flow: Flow) -> Verdict:
        """What semantics says of a flow in a snapshot."""
        found = self._verdicts.get((index, flow))
        if found is None:
            found = self._verdicts[index, flow] = verdict(self._snapshots[index], flow)
        return found

    def owner(self, index: int, address: Address) -> WorkloadEndpoint | None:
        """The pod with this address in a snapshot."""
        for endpoint in self._snapshots[index].all(WorkloadEndpoint):
            if any(address in network for network in endpoint.spec.ip_networks):
                return endpoint
        return None

    def _remember(self, revision: int) -> None:
        self._revisions.append(revision)
        self._snapshots.append(Snapshot(MappingProxyType(dict(self._decoded)), str(revision)))

    def _put(self, change: Change) -> bool:
        """Whether it is of a kind that nodes look at."""
        key, value = change.key, change.value
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value
        if key.kind not in MIRRORED:
            return False
        self._decoded.pop(key, None)
        if value is not None:
            with suppress(BadInput):  # an object that cannot be read counts as missing
                self._decoded[key] = resources.load(value)
        return True

    def _judge(self, change: Change) -> None:
        key, value = change.key, change.value
        if value is None:
            return
        if key.name.startswith(POISON):
            self._broken(f"{key} of a bad commit was written")
        if key.kind == "WorkloadEndpoint":
            self._judge_endpoint(key, value)

    def _judge_endpoint(self, key: Key, value: Any) -> None:
        """An address has one owner: no other endpoint, and IPAM says so."""
        for text in value["spec"]["ipNetworks"]:
            for other, former in self._values.items():
                if other.kind == "WorkloadEndpoint" and other != key and text in former["spec"]["ipNetworks"]:
                    self._broken(f"{text} belongs to {other} and to {key}")
            handle = cni_handle(NETWORK["name"], value["spec"]["containerID"])
            held = self.held_by(handle)
            if parse_prefix(text).network_address not in held:
                self._broken(f"{text} of {key} is not held by {handle}, which holds {sorted(map(str, held))}")

    def held_by(self, handle: str) -> set[Address]:
        """Addresses that IPAM holds for a handle."""
        return {address for found, address in self.allocations() if found == handle}

    def allocations(self) -> list[tuple[str, Address]]:
        """Each address that IPAM gave out, with its handle."""
        found: list[tuple[str, Address]] = []
        for key, value in self._values.items():
            if key.kind == "IPAMBlock":
                block = Block.read(value)
                assert key == block_key(block.prefix), key
                for ordinal, index in enumerate(block.allocations):
                    if index is not None and block.attributes[index].released_at is None:
                        found.append((str(block.attributes[index].handle), block.address(ordinal)))
        return found

    @property
    def values(self) -> Mapping[Key, Any]:
        """Mapping[Key, JSON]: every object now."""
        return self._values
