"""IPAM as the CNI plugin needs it: one address for a sandbox, held under its handle. Drives `muslin.ipam`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from muslin.datastore.ipam import run
from muslin.datastore.protocol import Datastore
from muslin.errors import Problem, Unavailable
from muslin.ipam.assign import AssignmentRequest, auto_assign
from muslin.ipam.blocks import Block, timestamp
from muslin.ipam.handles import blocks_of
from muslin.ipam.names import block_key, handle_key
from muslin.ipam.release import release_by_handle
from muslin.ipam.requests import Operation, get
from muslin.net import Address, parse_prefix
from muslin.resources.ip_pool import IPPool
from muslin.resources.ipam import IPAMConfiguration, IPAMConfigurationSpec
from muslin.resources.node import Node
from muslin.resources.profile import Profile
from muslin.semantics.snapshot import Snapshot
from runtime.cni.names import Handle
from runtime.cni.pod import Pod

__all__ = ["IpamAddresses"]

_PROFILE_LABEL = "pcns."


def _now() -> datetime:
    return datetime.now(UTC)


class IpamAddresses:
    """`runtime.cni.attach.Addresses` of one node.

    Args:
        datastore: where blocks, affinities and handles are.
        node: for which addresses are assigned.
        snapshot: the cluster as last seen: pools, IPAM configuration, labels of the node and of namespaces.
        now: the time, for claims and cooldown.
    """

    def __init__(
        self, datastore: Datastore, node: str, snapshot: Callable[[], Snapshot], *, now: Callable[[], datetime] = _now
    ) -> None:
        self._datastore, self._node, self._snapshot, self._now = datastore, node, snapshot, now

    async def assign(self, handle: Handle, pod: Pod, pools: tuple[str, ...]) -> tuple[Address, ...]:
        """See `Addresses.assign`. Raises Failed where no pool is for this pod, Unavailable where all are full."""
        if held := await self.held(handle):
            return held
        snapshot, now = self._snapshot(), self._now()
        node, profile = snapshot.get(Node, self._node), snapshot.get(Profile, f"kns.{pod.namespace}")
        applied = (profile.spec.labels_to_apply or {}) if profile else {}
        request = AssignmentRequest(
            host=self._node,
            count=1,
            handle=handle,
            now=now,
            pools=snapshot.all(IPPool),
            attributes={
                "namespace": pod.namespace,
                "node": self._node,
                "pod": pod.name,
                "timestamp": timestamp(now),
            },
            node_labels=(node.metadata.labels or {}) if node else {},
            namespace_labels={
                key.removeprefix(_PROFILE_LABEL): value
                for key, value in applied.items()
                if key.startswith(_PROFILE_LABEL)
            },
            requested_pools=pools,
            configuration=self._configuration(),
        )
        assignment = await run(self._datastore, auto_assign(request))
        if not assignment.addresses:
            fix = "add an IPPool, or free addresses: muslin ipam show"
            raise Unavailable(Problem(assignment.message, f"IPPools for {self._node}", fix))
        return tuple(each.ip for each in assignment.addresses)

    async def held(self, handle: Handle) -> tuple[Address, ...]:
        """See `Addresses.held`."""
        return await run(self._datastore, _held(handle))

    async def release(self, handle: Handle) -> None:
        """See `Addresses.release`."""
        operation: Operation[Any] = release_by_handle(handle, self._now(), self._configuration())
        await run(self._datastore, operation)

    def _configuration(self) -> IPAMConfigurationSpec:
        found = self._snapshot().get(IPAMConfiguration, "default")
        return found.spec if found else IPAMConfigurationSpec()


def _held(handle: Handle) -> Operation[tuple[Address, ...]]:
    stored = yield from get(handle_key(handle))
    if stored is None:
        return ()
    held: list[Address] = []
    for prefix in sorted(blocks_of(stored)):
        block_stored = yield from get(block_key(parse_prefix(prefix)))
        if block_stored is not None:
            block = Block.read(block_stored.value)
            held += [block.address(ordinal) for ordinal in block.held_by(handle)]
    return tuple(held)
