"""Which pools an address may come from, and in which order their blocks are tried."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from ipaddress import ip_network

from muslin.ipam.blocks import nobody
from muslin.net import Address, Prefix
from muslin.resources.ip_pool import AllowedUse, AssignmentMode, IPPool
from muslin.selectors import parse

__all__ = [
    "block_count",
    "block_of",
    "block_prefixes",
    "enabled",
    "pool_of",
    "qualified",
    "reservations",
    "selecting",
    "start_index",
]


def enabled(pools: Collection[IPPool], version: int) -> tuple[IPPool, ...]:
    """Pools of a family that give out addresses, by name: not disabled, not on their way out, not refused."""
    return tuple(
        sorted(
            (
                pool
                for pool in pools
                if pool.spec.cidr.version == version
                and not pool.spec.disabled
                and pool.metadata.deletion_timestamp is None
                and not _refused(pool)
            ),
            key=lambda pool: pool.metadata.name,
        )
    )


def selecting(pools: Collection[IPPool], node_labels: Mapping[str, str]) -> tuple[IPPool, ...]:
    """Pools whose nodeSelector matches a node."""
    return tuple(pool for pool in pools if parse(pool.spec.effective_node_selector).matches(node_labels))


def qualified(
    pools: Collection[IPPool],
    *,
    version: int,
    use: AllowedUse,
    node_labels: Mapping[str, str],
    namespace_labels: Mapping[str, str],
    requested: Sequence[str] = (),
) -> tuple[IPPool, ...]:
    """Pools that an address may come from, in the order to try.

    Args:
        pools: all of the cluster.
        version: 4 or 6.
        use: what the address is for.
        node_labels: of the node it is for.
        namespace_labels: of the workload's namespace; empty where there is none.
        requested: names or prefixes of pools that were asked for by name; selectors do not bind then.
    """
    usable = enabled(pools, version)
    if requested:
        wanted = tuple(
            pool for text in requested for pool in usable if text in (pool.metadata.name, str(pool.spec.cidr))
        )
    else:
        wanted = tuple(
            pool
            for pool in selecting(usable, node_labels)
            if pool.spec.effective_assignment_mode is AssignmentMode.AUTOMATIC
            and (pool.spec.namespace_selector is None or parse(pool.spec.namespace_selector).matches(namespace_labels))
        )
    return tuple(pool for pool in dict.fromkeys(wanted) if use in pool.spec.effective_allowed_uses)


def block_prefixes(pool: IPPool, start: int) -> Iterator[Prefix]:
    """All blocks of a pool once, from the block at `start` on, and then from the beginning."""
    count = block_count(pool)
    for offset in range(count):
        yield _block(pool, (start + offset) % count)


def block_count(pool: IPPool) -> int:
    """How many blocks a pool has."""
    return 1 << max(0, pool.spec.effective_block_size - pool.spec.cidr.prefixlen)


def start_index(host: str, pool: IPPool) -> int:
    """Where a host begins to look for a free block: hosts begin apart, so that they seldom want the same.

    The reference draws it from a generator seeded with the host's name; only the purpose is the same here.
    """
    digest = hashlib.sha256(f"{host} {pool.spec.cidr}".encode()).digest()
    return int.from_bytes(digest[:16], "big") % block_count(pool)


def pool_of(pools: Collection[IPPool], address: Address) -> IPPool | None:
    """The pool that an address is of: the smallest that holds it."""
    found = [pool for pool in pools if pool.spec.cidr.version == address.version and address in pool.spec.cidr]
    return max(found, key=lambda pool: pool.spec.cidr.prefixlen, default=None)


def block_of(pool: IPPool, address: Address) -> Prefix:
    """The block of a pool that an address is in."""
    length = max(pool.spec.effective_block_size, pool.spec.cidr.prefixlen)
    return ip_network(f"{address}/{length}", strict=False)


def reservations(prefixes: Collection[Prefix]) -> Callable[[Address], bool]:
    """Whether an address is never to be given out by itself (IPReservation's `reservedCIDRs`)."""
    reserved = tuple(prefixes)
    if not reserved:
        return nobody
    return lambda address: any(prefix.version == address.version and address in prefix for prefix in reserved)


def _block(pool: IPPool, index: int) -> Prefix:
    cidr = pool.spec.cidr
    length = max(pool.spec.effective_block_size, cidr.prefixlen)
    base = int(cidr.network_address) + (index << (cidr.max_prefixlen - length))
    return type(cidr)((base, length))


def _refused(pool: IPPool) -> bool:
    conditions = pool.status.conditions if pool.status is not None else ()
    return any(condition.type == "Allocatable" and condition.status == "False" for condition in conditions)
