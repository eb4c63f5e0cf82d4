"""Which block of addresses is reached how: whose it is, through which encapsulation, announced or not.

Asked by the node's calculation, by the reconciler's prediction and by blueprints; nobody else decides these.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_interface

from muslin.net import Address, InterfaceAddress, Prefix
from muslin.resources.ip_pool import EncapsulationMode, IPPool
from muslin.resources.ipam import AffinityState, AffinityType, BlockAffinity, IPAMBlock
from muslin.resources.node import Node
from muslin.semantics.encapsulations import Encapsulation
from muslin.semantics.snapshot import Snapshot

__all__ = [
    "Encapsulation",
    "encapsulation",
    "importable_prefixes",
    "is_announced",
    "node_address",
    "node_interface_address",
    "own_blocks",
    "pool_of",
    "pool_prefixes",
    "possible_encapsulations",
]


def pool_prefixes(snapshot: Snapshot) -> frozenset[Prefix]:
    """Prefixes of all pools, disabled ones too: disabling a pool stops assignment, not traffic."""
    return frozenset(pool.spec.cidr for pool in snapshot.all(IPPool))


def pool_of(snapshot: Snapshot, prefix: Prefix) -> IPPool | None:
    """The pool that holds a prefix; the longest where several do."""
    holding = [pool for pool in snapshot.all(IPPool) if _contains(pool.spec.cidr, prefix)]
    return max(holding, key=lambda pool: pool.spec.cidr.prefixlen, default=None)


def own_blocks(snapshot: Snapshot, node_name: str) -> tuple[Prefix, ...]:
    """Blocks whose addresses this node answers for, in order.

    A claim is made in two steps (affinity `pending`, block, affinity `confirmed`), and until it is confirmed another
    node may win the block, so a pending affinity counts as none. A block that is being given back
    (`pendingDeletion`) stays ours while the block still names us: its last addresses may be in use. An affinity
    whose block names another node is a stale one. Old clients wrote no state; that means confirmed.
    Source: calico.md sections 4 and 7.1.
    """
    owners = {block.spec.cidr: block.spec.affinity for block in snapshot.all(IPAMBlock) if not block.spec.deleted}
    mine = f"host:{node_name}"
    found = set()
    for affinity in snapshot.all(BlockAffinity):
        spec = affinity.spec
        if spec.node != node_name or spec.effective_type is not AffinityType.HOST or spec.deleted:
            continue
        confirmed = spec.state in (AffinityState.CONFIRMED, AffinityState.NONE)
        leaving = spec.state is AffinityState.PENDING_DELETION
        owner = owners.get(spec.cidr)
        if (confirmed and owner in (mine, None)) or (leaving and owner == mine):
            found.add(spec.cidr)
    return tuple(sorted(found, key=lambda prefix: (prefix.version, prefix)))


def is_announced(snapshot: Snapshot, block: Prefix) -> bool:
    """Whether an own block is told to BGP peers: unless a pool with `disableBGPExport` holds it."""
    return not any(pool.spec.disable_bgp_export and _contains(pool.spec.cidr, block) for pool in snapshot.all(IPPool))


def possible_encapsulations(pool: IPPool) -> frozenset[Encapsulation]:
    """Every encapsulation that packets to a pool's addresses may get, depending on the two nodes."""
    mode, wrapped = _mode(pool)
    if mode is EncapsulationMode.ALWAYS:
        return frozenset({wrapped})
    return (
        frozenset({wrapped, Encapsulation.NONE})
        if mode is EncapsulationMode.CROSS_SUBNET
        else frozenset({Encapsulation.NONE})
    )


def encapsulation(pool: IPPool, local: Node, remote: Node) -> Encapsulation:
    """What wraps a packet that `local` sends to an address of `pool` that lives on `remote`.

    With CrossSubnet, two nodes share a subnet if the remote's address lies in the prefix of the local one's
    interface address. A node without an address of the family is never in the same subnet.
    """
    mode, wrapped = _mode(pool)
    if mode is EncapsulationMode.NEVER:
        return Encapsulation.NONE
    if mode is EncapsulationMode.CROSS_SUBNET:
        here = node_interface_address(local, pool.spec.cidr.version)
        there = node_interface_address(remote, pool.spec.cidr.version)
        if here is not None and there is not None and there.ip in here.network:
            return Encapsulation.NONE
    return wrapped


def importable_prefixes(snapshot: Snapshot, node_name: str) -> tuple[Prefix, ...]:
    """Pools whose learnt routes go into the kernel as they are: no other node is reached through a tunnel.

    Routes of a tunnelled pool need the tunnel's device, which whoever manages the device writes.
    """
    local = snapshot.get(Node, node_name)
    others = [node for node in snapshot.all(Node) if node.metadata.name != node_name]

    def plain(pool: IPPool) -> bool:
        if possible_encapsulations(pool) == {Encapsulation.NONE}:
            return True
        return local is not None and all(encapsulation(pool, local, each) is Encapsulation.NONE for each in others)

    prefixes = {pool.spec.cidr for pool in snapshot.all(IPPool) if plain(pool)}
    return tuple(sorted(prefixes, key=lambda prefix: (prefix.version, prefix)))


def node_interface_address(node: Node, ip_version: int) -> InterfaceAddress | None:
    """A node's BGP address with the length of its subnet; a bare address is a subnet of its own."""
    if node.spec.bgp is None:
        return None
    value = node.spec.bgp.ipv4_address if ip_version == 4 else node.spec.bgp.ipv6_address
    return None if value is None else _interface_address(value)


@lru_cache(maxsize=1 << 16)
def _interface_address(value: InterfaceAddress) -> InterfaceAddress:
    """Asked for every pair of nodes by the mesh."""
    return ip_interface(value)


def node_address(node: Node, ip_version: int) -> Address | None:
    """A node's BGP address."""
    found = node_interface_address(node, ip_version)
    return None if found is None else found.ip


def _mode(pool: IPPool) -> tuple[EncapsulationMode, Encapsulation]:
    if pool.spec.effective_vxlan_mode is not EncapsulationMode.NEVER:
        return pool.spec.effective_vxlan_mode, Encapsulation.VXLAN
    return pool.spec.effective_ipip_mode, Encapsulation.IPIP


def _contains(outer: Prefix, inner: Prefix) -> bool:
    return inner.network_address in outer and inner.prefixlen >= outer.prefixlen
