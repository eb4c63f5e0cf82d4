"""Addresses for several holders at once, and back again: what a node does when many pods start or end together.

One after the other each would read and write the block; together they write it once. Only the plain case is done
here. Who gets nothing (no room, no block, a handle that is there already, somebody who wrote in between) asks
`muslin.ipam.assign.auto_assign`, and who is left `muslin.ipam.release.release_by_handle`, which know all cases.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from ipaddress import ip_interface, ip_network

from muslin.errors import BadInput
from muslin.ipam.affinities import HeldBlock, read_block
from muslin.ipam.assignment import AssignmentRequest, NoPool
from muslin.ipam.blocks import Block
from muslin.ipam.handles import blocks_of, decrement, first_count
from muslin.ipam.names import handle_key
from muslin.ipam.pools import qualified
from muslin.ipam.release import write_or_delete
from muslin.ipam.requests import Delete, Operation, Refused, Stored, get, update, write_then, write_together
from muslin.net import InterfaceAddress, Prefix
from muslin.resources.ipam import IPAMConfigurationSpec

__all__ = ["assign_together", "release_together"]


def assign_together(requests: Sequence[AssignmentRequest]) -> Operation[Mapping[str, InterfaceAddress]]:
    """One address for each request that has a handle of its own, all of one node and moment; `count` does not matter.

    Returns:
        Mapping[handle, its address]: of those that got one. The handles of the others hold nothing by this.
    """
    asking = [request for request in requests if request.handle is not None]
    for prefix in asking[0].known_blocks if asking else ():
        wanted = _all_allowed(asking, prefix)
        held = yield from _readable(prefix)
        if held is None or not wanted or held.block.affinity != str(wanted[0].owner):
            continue
        block, given = _given(held, prefix, wanted)
        if not given:
            continue
        counts = [first_count(handle, prefix, 1) for handle in given]
        answers = yield from write_then(counts, held.stored, block.touched().json())
        counted = {handle for handle, each in zip(given, answers.each, strict=True) if isinstance(each, Stored)}
        answer = answers.then
        if answer is None:  # some have a handle already: without them
            block, given = _given(held, prefix, [request for request in wanted if request.handle in counted])
            answer = yield from update(held.stored, block.touched().json())
        if isinstance(answer, Stored):
            return given
        for handle in counted:
            yield from decrement(handle, prefix, 1)
        return {}
    return {}


def release_together(
    handles: Collection[str], now: datetime, configuration: IPAMConfigurationSpec | None = None
) -> Operation[frozenset[str]]:
    """Release all that these handles hold, and the handles.

    Returns:
        Handles that are gone and hold nothing. The others may have been released and not be gone.
    """
    cooldown_s = (configuration.ip_cooldown_seconds if configuration else None) or 0
    done: set[str] = set()
    inside: dict[str, dict[str, Stored]] = {}
    for handle in handles:
        stored = yield from get(handle_key(handle))
        if stored is None:
            done.add(handle)
        elif len(blocks_of(stored)) == 1:
            (text,) = blocks_of(stored)
            inside.setdefault(text, {})[handle] = stored
    for text, holders in inside.items():
        if not (yield from _emptied(text, holders, now, cooldown_s)):
            continue
        answers = yield from write_together([Delete(each.key, each.revision) for each in holders.values()])
        done.update(
            handle
            for handle, answer in zip(holders, answers, strict=True)
            if isinstance(answer, Stored) or answer.reason is Refused.NOT_FOUND
        )
    return frozenset(done)


def _emptied(text: str, handles: Collection[str], now: datetime, cooldown_s: int) -> Operation[bool]:
    """Whether the handles have nothing of a block any more. The block is written also where they had nothing.

    An assignment that is under way for one of them then meets a conflict, and takes its count back.
    """
    try:
        held = yield from read_block(ip_network(text))
    except (BadInput, ValueError):
        return False
    if held is None:
        return True
    ordinals = [ordinal for handle in handles for ordinal in held.block.held_by(handle)]
    block = held.block.released(ordinals, now).collected(now, cooldown_s) if ordinals else held.block
    return (yield from write_or_delete(held, block))


def _given(
    held: HeldBlock, prefix: Prefix, requests: Sequence[AssignmentRequest]
) -> tuple[Block, dict[str, InterfaceAddress]]:
    """The block after giving each of these an address, as far as it has any; and who got which."""
    if not requests:
        return held.block, {}
    first = requests[0]
    asking: dict[str, AssignmentRequest] = {}
    for request in requests:
        assert request.handle is not None
        asking.setdefault(request.handle, request)
    block = held.block.collected(first.now, first.configuration.ip_cooldown_seconds or 0)
    block, addresses = block.assigned_each([request.attribute for request in asking.values()], first.reserved)
    given = zip(asking, addresses, strict=False)
    return block, {handle: ip_interface(f"{address}/{prefix.prefixlen}") for handle, address in given}


def _all_allowed(requests: Sequence[AssignmentRequest], prefix: Prefix) -> list[AssignmentRequest]:
    """Those that may have addresses of a block. Neighbours that differ by nothing that matters are judged once."""
    allowed: list[AssignmentRequest] = []
    before, verdict = None, False
    for each in requests:
        matters = (each.pools, each.version, each.use, each.node_labels, each.namespace_labels, each.requested_pools)
        if matters != before:
            before, verdict = matters, _allowed(each, prefix)
        if verdict:
            allowed.append(each)
    return allowed


def _allowed(request: AssignmentRequest, prefix: Prefix) -> bool:
    try:
        pools = qualified(
            request.pools,
            version=request.version,
            use=request.use,
            node_labels=request.node_labels,
            namespace_labels=request.namespace_labels,
            requested=request.requested_pools,
        )
    except NoPool:
        return False
    return any(
        pool.spec.cidr.version == prefix.version
        and prefix.prefixlen >= pool.spec.cidr.prefixlen
        and prefix.network_address in pool.spec.cidr
        for pool in pools
    )


def _readable(prefix: Prefix) -> Operation[HeldBlock | None]:
    try:
        return (yield from read_block(prefix))
    except BadInput:
        return None
