"""Addresses of pods for the CNI plugin: the node's IPAM over the datastore.

One assignment at a time on a node: two at once would fight for the same block by compare-and-swap. Calico's plugin
holds a lock file for the same reason.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_network
from typing import TypeAlias

from muslin.datastore.ipam import run
from muslin.datastore.protocol import Datastore, NotFound
from muslin.errors import MuslinError, Problem, Unavailable
from muslin.ipam.assign import auto_assign
from muslin.ipam.assignment import AssignmentRequest
from muslin.ipam.blocks import Block
from muslin.ipam.names import block_key, handle_key
from muslin.ipam.pools import reservations
from muslin.ipam.release import release_by_handle
from muslin.ipam.together import assign_together, release_together
from muslin.net import Address, parse_prefix
from muslin.resources.ip_pool import IPPool
from muslin.resources.ip_reservation import IPReservation
from muslin.resources.ipam import IPAMConfiguration, IPAMConfigurationSpec
from muslin.resources.node import Node
from muslin.resources.profile import Profile
from muslin.semantics.routes import own_blocks
from muslin.semantics.snapshot import Snapshot
from runtime.cni.names import Handle
from runtime.cni.pod import Pod

__all__ = ["PodAddresses"]

_NAMESPACE_LABEL = "pcns."
_TOGETHER = 64
"""So many at most are answered at once."""
_GATHER_S, _GATHER_MORE_S, _GATHER_AT_MOST_S = 0.001, 0.002, 0.012
"""Who asks waits for others until nobody has asked for a moment: the first of these times for one alone, the second
where several have asked, so that more are likely to come; at most the third. Pods that start together come one after
the other, and each write of the block costs this node and the others more than such a wait."""


_Leaving: TypeAlias = tuple[Handle, "asyncio.Future[None]"]
_Asked: TypeAlias = tuple[Handle, Pod, tuple[str, ...], "asyncio.Future[tuple[Address, ...]]"]


class PodAddresses:
    """Implements `runtime.cni.attach.Addresses`.

    Args:
        node: name of the node.
        datastore: where blocks are.
        snapshot: gives the latest copy of pools, nodes, profiles and blocks.
        now: wall clock.
    """

    def __init__(
        self, node: str, datastore: Datastore, *, snapshot: Callable[[], Snapshot], now: Callable[[], datetime]
    ) -> None:
        self._node, self._datastore, self._snapshot, self._now = node, datastore, snapshot, now
        self._turn = asyncio.Lock()
        self._asking: list[_Asked] = []
        self._answering: asyncio.Task[None] | None = None
        self._leaving: list[_Leaving] = []
        self._freeing: asyncio.Task[None] | None = None

    async def assign(self, handle: Handle, pod: Pod, pools: tuple[str, ...]) -> tuple[Address, ...]:
        """One address for this handle; what it holds already is given again. Raises MuslinError."""
        asked: asyncio.Future[tuple[Address, ...]] = asyncio.get_running_loop().create_future()
        self._asking.append((handle, pod, pools, asked))
        if self._answering is None:
            self._answering = asyncio.create_task(self._work_off())
        return await asked  # cancelled with the one who asks: nobody is given an address that nobody waits for

    async def _work_off(self) -> None:
        """Answer who have gathered, together, until nobody asks; each goes on as soon as it has its answer."""
        try:
            while self._asking:
                await _quiet(self._asking)
                async with self._turn:
                    gathered, self._asking = self._asking[:_TOGETHER], self._asking[_TOGETHER:]
                    await self._answer(gathered)
        finally:
            self._answering = None

    async def _answer(self, gathered: Sequence[_Asked]) -> None:
        """Addresses for all who wait: together as far as that goes, then one by one."""
        waiting = [each for each in gathered if not each[3].cancelled()]
        try:
            node = self._common()
            requests = [self._request(node, handle, pod, pools) for handle, pod, pools, _ in waiting]
            given = await run(self._datastore, assign_together(requests))
            for each, request in zip(waiting, requests, strict=True):
                address = given.get(str(each[0]))
                if address is not None:
                    _tell(each[3], (address.ip,))
                elif not await self._had(each):
                    await self._one(request, each[3])
        except BaseException as error:
            for *_, asked in waiting:
                if not asked.done():
                    asked.set_exception(error if isinstance(error, MuslinError) else _interrupted(error))
                    asked.exception()  # whoever asked may be gone
            if isinstance(error, asyncio.CancelledError):
                raise

    async def _had(self, each: _Asked) -> bool:
        """Whether the handle holds something already; then that is the answer."""
        handle, _, _, asked = each
        held = await self._find(handle)
        if held:
            _tell(asked, held)
        elif held is not None:  # a predecessor died between counting and giving: its count would stay for ever
            await run(self._datastore, release_by_handle(str(handle), self._now(), self._configuration()))
        return bool(held)

    async def _one(self, request: AssignmentRequest, asked: asyncio.Future[tuple[Address, ...]]) -> None:
        try:
            assignment = await run(self._datastore, auto_assign(request))
            if not assignment.addresses:
                where = f"pools for node {self._node}"
                raise Unavailable(Problem(assignment.message, where, "add a pool, or make room in one"))
        except MuslinError as error:
            if not asked.done():
                asked.set_exception(error)
                asked.exception()
            return
        _tell(asked, tuple(each.ip for each in assignment.addresses))

    async def held(self, handle: Handle) -> tuple[Address, ...]:
        """What the handle holds now."""
        return await self._find(handle) or ()

    async def _find(self, handle: Handle) -> tuple[Address, ...] | None:
        """What the handle holds now; None where there is no such handle."""
        try:
            found = await self._datastore.get(handle_key(str(handle)))
        except NotFound:
            return None
        addresses: list[Address] = []
        for prefix in found.value.get("spec", {}).get("block") or {}:
            addresses += await self._held_in(str(prefix), str(handle))
        return tuple(addresses)

    async def release(self, handle: Handle) -> None:
        """Give everything of the handle back. Nothing to give is success."""
        freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leaving.append((handle, freed))
        if self._freeing is None:
            self._freeing = asyncio.create_task(self._free())
        await asyncio.shield(freed)

    async def _free(self) -> None:
        """Release for who have gathered, together, until nobody asks; then one by one what is not plain."""
        gathered: Sequence[_Leaving] = ()
        try:
            while self._leaving:
                await _quiet(self._leaving)
                async with self._turn:
                    gathered, self._leaving = self._leaving[:_TOGETHER], self._leaving[_TOGETHER:]
                    done: Collection[str] = ()
                    with contextlib.suppress(MuslinError):  # told below to whom it concerns
                        handles = [str(handle) for handle, _ in gathered]
                        operation = release_together(handles, self._now(), self._configuration())
                        done = await run(self._datastore, operation)
                    for handle, freed in gathered:
                        await self._free_one(str(handle), freed, done)
        finally:
            self._freeing = None
            for _, freed in (*gathered, *self._leaving):  # the loop ends: nobody must wait for ever
                freed.cancel()

    async def _free_one(self, handle: str, freed: asyncio.Future[None], done: Collection[str]) -> None:
        try:
            if handle not in done:
                await run(self._datastore, release_by_handle(handle, self._now(), self._configuration()))
        except Exception as error:  # noqa: BLE001 - told to who asked
            freed.set_exception(error)
            freed.exception()  # who may be gone
        else:
            freed.set_result(None)

    def _configuration(self) -> IPAMConfigurationSpec:
        found = self._snapshot().get(IPAMConfiguration, "default")
        return IPAMConfigurationSpec() if found is None else found.spec

    def _common(self) -> AssignmentRequest:
        """What every request of this moment has in common."""
        snapshot, now = self._snapshot(), self._now()
        node = snapshot.get(Node, self._node)
        return AssignmentRequest(
            host=self._node,
            count=1,
            handle=None,
            now=now,
            pools=snapshot.all(IPPool),
            attributes={"node": self._node, "timestamp": f"{now:%Y-%m-%d %H:%M:%S.%f} +0000 UTC"},
            node_labels={} if node is None else dict(node.metadata.labels or {}),
            configuration=self._configuration(),
            reserved=reservations(
                [
                    ip_network(text, strict=False)
                    for each in snapshot.all(IPReservation)
                    for text in each.spec.reserved_cidrs
                ]
            ),
            known_blocks=own_blocks(snapshot, self._node),
        )

    def _request(
        self, common: AssignmentRequest, handle: Handle, pod: Pod, pools: tuple[str, ...]
    ) -> AssignmentRequest:
        profile = self._snapshot().get(Profile, f"kns.{pod.namespace}")
        inherited = {} if profile is None else profile.spec.labels_to_apply or {}
        return replace(
            common,
            handle=str(handle),
            attributes={**common.attributes, "namespace": pod.namespace, "pod": pod.name},
            namespace_labels={
                key.removeprefix(_NAMESPACE_LABEL): value
                for key, value in inherited.items()
                if key.startswith(_NAMESPACE_LABEL)
            },
            requested_pools=pools,
        )

    async def _held_in(self, prefix: str, handle: str) -> list[Address]:
        try:
            block = Block.read((await self._datastore.get(block_key(parse_prefix(prefix)))).value)
        except (NotFound, ValueError):
            return []
        return [block.address(ordinal) for ordinal in block.held_by(handle)]


async def _quiet(asking: Sequence[object]) -> None:
    """Wait until nobody new has asked for a moment."""
    loop = asyncio.get_running_loop()
    latest = loop.time() + _GATHER_AT_MOST_S
    count = 0
    while count != len(asking) and loop.time() < latest:
        count = len(asking)
        await asyncio.sleep(_GATHER_S if count == 1 else _GATHER_MORE_S)


def _tell(asked: asyncio.Future[tuple[Address, ...]], addresses: tuple[Address, ...]) -> None:
    if not asked.done():
        asked.set_result(addresses)


def _interrupted(error: BaseException) -> Unavailable:
    return Unavailable(
        Problem(f"the assignment was broken off: {error!r}", "IPAM of this node", "the runtime will try again")
    )
