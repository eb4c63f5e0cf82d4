"""Giving out addresses: from blocks of our own, from a block claimed for it, or borrowed from another's.

The order is the reference's: affine blocks first, then a new block while the node may have one more, then (unless
affinity is strict) any block with room.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from ipaddress import ip_interface
from itertools import islice

from muslin.errors import BadInput
from muslin.ipam.affinities import (
    HeldBlock,
    Owner,
    affine_prefixes,
    claim,
    claimed_before,
    read_block,
    release_affinity,
)
from muslin.ipam.assignment import (
    AddressRefused,
    Assignment,
    AssignmentRequest,
    NoPool,
    RefusalReason,
    Shortfall,
)
from muslin.ipam.blocks import Block
from muslin.ipam.handles import decrement, increment
from muslin.ipam.names import block_key
from muslin.ipam.pools import block_of, block_prefixes, enabled, pool_of, qualified, selecting, start_index
from muslin.ipam.requests import ATTEMPTS, Operation, Stored, delete, list_all, update
from muslin.net import Address, InterfaceAddress, Prefix
from muslin.resources.ip_pool import IPPool

__all__ = ["assign_ip", "auto_assign"]

_RECLAIM_AFTER = timedelta(minutes=1)
"""How long an empty block of another node is left in peace."""
_MOST_BLOCKS_WALKED = 1 << 20
"""Of a pool; a /64 with blocks of 64 addresses has 2^58, and nobody waits for that."""


def auto_assign(request: AssignmentRequest) -> Operation[Assignment]:
    """Give out addresses of our choice.

    Raises:
        NoPool: no pool is for this node or this use.
    """
    pools = qualified(
        request.pools,
        version=request.version,
        use=request.use,
        node_labels=request.node_labels,
        namespace_labels=request.namespace_labels,
        requested=request.requested_pools,
    )
    if not pools:
        raise NoPool(
            f"no configured Calico pools for node {request.host}", f"IPv{request.version}, {request.use.value}"
        )
    search = _Search(request, pools)
    yield from search.known()
    if search.missing:
        yield from search.affine()
    if search.missing:
        yield from search.claimed()
    if search.missing and not request.configuration.strict_affinity:
        yield from search.borrowed()
    if search.missing and not search.shortfalls:
        search.shortfalls.append(Shortfall.ALL_IN_USE)
    shortfalls = tuple(search.shortfalls) if search.missing else ()
    return Assignment(request.count, tuple(search.found), request.version, shortfalls)


def assign_ip(request: AssignmentRequest, address: Address) -> Operation[InterfaceAddress]:
    """Give out this address; `count`, `known_blocks` and reservations do not matter.

    Raises:
        AddressRefused: with its reason.
    """
    pool = pool_of(enabled(request.pools, address.version), address)
    if pool is None or request.use not in pool.spec.effective_allowed_uses:
        raise AddressRefused(RefusalReason.NO_POOL, address)
    prefix = block_of(pool, address)
    for _ in range(ATTEMPTS):
        held = yield from read_block(prefix)
        if held is None:
            held = yield from claim(request.owner, prefix, request.now)
            if held is None:
                continue  # somebody else's since
        if request.configuration.strict_affinity and held.block.affinity != str(request.owner):
            raise AddressRefused(RefusalReason.ANOTHER_NODES_BLOCK, address)
        block = held.block.collected(request.now, _cooldown_s(request))
        chosen = block.assigned_address(address, request.attribute)
        if chosen is None:
            raise AddressRefused(RefusalReason.IN_USE, address, block.holder(address))
        if request.handle is not None:
            yield from increment(request.handle, prefix, 1)
        if (yield from held.write(chosen)) is not None:
            return ip_interface(f"{address}/{prefix.prefixlen}")
        if request.handle is not None:
            yield from decrement(request.handle, prefix, 1)
    raise AddressRefused(RefusalReason.IN_USE, address)


class _Search:
    """One request on its way: what is found so far, and which blocks are done with."""

    def __init__(self, request: AssignmentRequest, pools: tuple[IPPool, ...]) -> None:
        self.request, self.pools = request, pools
        self.found: list[InterfaceAddress] = []
        self.shortfalls: list[Shortfall] = []
        self._done: set[Prefix] = set()
        self._owned = 0

    @property
    def missing(self) -> int:
        return self.request.count - len(self.found)

    def known(self) -> Operation[None]:
        """From blocks that the caller has seen to be ours."""
        for prefix in self.request.known_blocks:
            if not self.missing:
                return
            if not self._allowed(prefix):
                continue
            held = yield from self._readable(prefix)
            if held is not None and held.block.affinity == str(self.request.owner):
                yield from self._take(held, ours=True)

    def affine(self) -> Operation[None]:
        """From all blocks that are ours; heals what former claims left."""
        prefixes = yield from affine_prefixes(self.request.owner, self.request.version)
        for prefix in prefixes:
            if self._allowed(prefix):
                self._owned += 1
            elif not self._selected(prefix):
                yield from self._give_back(prefix)
        for prefix in prefixes:
            if not self.missing:
                return
            if self._allowed(prefix) and prefix not in self._done:
                held = yield from self._claim(prefix)
                if held is None:
                    self._owned -= 1
                else:
                    yield from self._take(held, ours=True)

    def claimed(self) -> Operation[None]:
        """From blocks claimed for this request."""
        for _ in range(ATTEMPTS):
            if not self.missing:
                return
            if self._owned >= self.request.block_limit:
                self.shortfalls.append(Shortfall.BLOCK_LIMIT)
                return
            if not self.request.configuration.auto_allocate_blocks:
                self.shortfalls.append(Shortfall.NO_CLAIMS)
                return
            prefix = yield from self._usable()
            if prefix is None:
                self.shortfalls.append(Shortfall.NO_FREE_BLOCK)
                return
            held = yield from self._claim(prefix)
            if held is not None:
                self._owned += 1
                yield from self._take(held, ours=True)

    def borrowed(self) -> Operation[None]:
        """From any block with room, beginning where this host begins."""
        stored = yield from list_all("IPAMBlock")
        blocks = [held for held in _readable(stored) if self._allowed(held.block.prefix)]
        for pool in self.pools:
            start = next(block_prefixes(pool, start_index(self.request.host, pool)))
            mine = [held for held in blocks if _inside(held.block.prefix, (pool,))]
            for held in sorted(mine, key=lambda it: _from(start, it.block.prefix)):
                if not self.missing:
                    return
                if held.block.affinity != str(self.request.owner):
                    yield from self._take(held, ours=False)

    def _take(self, held: HeldBlock, *, ours: bool) -> Operation[None]:
        """What this block has, up to what is missing. Who comes first wins; the other reads again."""
        request, prefix = self.request, held.block.prefix
        self._done.add(prefix)
        current: HeldBlock | None = held
        for _ in range(ATTEMPTS):
            if current is None or (ours and current.block.affinity != str(request.owner)):
                self._done.discard(prefix)  # given up under our hands: it may be claimed anew
                self._owned -= min(self._owned, int(ours))
                return
            block = current.block.collected(request.now, _cooldown_s(request))
            block, addresses = block.assigned(self.missing, request.attribute, request.reserved)
            if not addresses:
                return
            if request.handle is not None:
                yield from increment(request.handle, prefix, len(addresses))
            answer = yield from update(current.stored, block.touched().json())
            if isinstance(answer, Stored):
                self.found += [ip_interface(f"{address}/{prefix.prefixlen}") for address in addresses]
                return
            if request.handle is not None:
                yield from decrement(request.handle, prefix, len(addresses))
            current = next(_readable([answer.current]), None) if answer.current is not None else None

    def _usable(self) -> Operation[Prefix | None]:
        """A block that nobody has; else one of ours with room; else one that an idle node gives up."""
        stored = yield from list_all("IPAMBlock")
        taken = {it.key.name for it in stored}
        blocks = list(_readable(stored))
        idle: list[HeldBlock] = []
        for pool in self.pools:
            inside = {held.block.prefix: held for held in blocks if _overlap(held.block.prefix, pool.spec.cidr)}
            sizes = {prefix.prefixlen for prefix in inside} - {pool.spec.effective_block_size}
            walk = block_prefixes(pool, start_index(self.request.host, pool))
            for prefix in islice(walk, _MOST_BLOCKS_WALKED):
                if prefix in self._done:
                    continue
                if sizes and any(other != prefix and _overlap(other, prefix) for other in inside):
                    continue
                held = inside.get(prefix)
                if held is None and block_key(prefix).name not in taken:
                    if any(not self.request.reserved(address) for address in prefix):
                        return prefix
                elif held is not None and held.block.affinity == str(self.request.owner):
                    if held.block.free(self.request.reserved):
                        return prefix
                elif held is not None and held.block.empty:
                    idle.append(held)
        return (yield from self._reclaimed(idle))

    def _reclaimed(self, idle: Sequence[HeldBlock]) -> Operation[Prefix | None]:
        for held in idle:
            block = held.block
            if block.affinity is None:  # only left over: nobody's, and empty
                if (yield from delete(held.stored)):
                    return block.prefix
                continue
            kind, _, host = block.affinity.partition(":")
            if not claimed_before(block, self.request.now - _RECLAIM_AFTER):
                continue
            if (
                yield from release_affinity(
                    Owner(host, kind), block.prefix, require_empty=True, sequence=block.sequence
                )
            ):
                return block.prefix
        return None

    def _claim(self, prefix: Prefix) -> Operation[HeldBlock | None]:
        """The block if it is ours now; not tried again if it is another's."""
        try:
            held = yield from claim(self.request.owner, prefix, self.request.now)
        except BadInput:
            held = None
        if held is None:
            self._done.add(prefix)
        return held

    def _readable(self, prefix: Prefix) -> Operation[HeldBlock | None]:
        try:
            return (yield from read_block(prefix))
        except BadInput:
            return None

    def _give_back(self, prefix: Prefix) -> Operation[None]:
        """A block in a pool that is no longer for this node, if nobody uses it."""
        try:
            yield from release_affinity(self.request.owner, prefix, require_empty=True)
        except BadInput:
            return

    def _allowed(self, prefix: Prefix) -> bool:
        return _inside(prefix, self.pools)

    def _selected(self, prefix: Prefix) -> bool:
        """Whether the node may have this block for some request, or its pool is none of ours to judge."""
        usable = enabled(self.request.pools, self.request.version)
        return not _inside(prefix, usable) or _inside(prefix, selecting(usable, self.request.node_labels))


def _inside(prefix: Prefix, pools: Collection[IPPool]) -> bool:
    return any(_overlap(prefix, pool.spec.cidr) and prefix.prefixlen >= pool.spec.cidr.prefixlen for pool in pools)


def _overlap(one: Prefix, other: Prefix) -> bool:
    """Whether they have addresses in common; of two prefixes one then holds the other."""
    return one.version == other.version and (one.network_address in other or other.network_address in one)


def _from(start: Prefix, prefix: Prefix) -> tuple[bool, int]:
    """Sort key: from `start` on, and then from the beginning."""
    return int(prefix.network_address) < int(start.network_address), int(prefix.network_address)


def _readable(stored: Collection[Stored]) -> Iterator[HeldBlock]:
    """The blocks among these that make sense; one that does not must not stop an assignment from another."""
    for it in stored:
        try:
            yield HeldBlock(Block.read(it.value), it)
        except BadInput:
            continue


def _cooldown_s(request: AssignmentRequest) -> int:
    return request.configuration.ip_cooldown_seconds or 0
