"""Whose addresses lose their pool, which pools treat packets otherwise, and whom another MTU reaches. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final

from muslin.net import Prefix
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.ip_pool import IPPool
from muslin.resources.ipam import IPAMBlock
from muslin.resources.node import Node
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.felix import selecting
from muslin.semantics.mtu import node_pod_mtu
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.routing import differ

__all__ = ["Lost", "MtuChange", "PoolChange", "lost_pools", "mtu_changes", "pool_changes"]


@dataclass(frozen=True, slots=True)
class Lost:
    """Addresses in use that a pool held and no pool holds any more.

    Attributes:
        pool: name of the pool that held them.
        prefix: of that pool.
        addresses: in order, each once.
        workloads: how many of them are workloads'.
    """

    pool: str
    prefix: Prefix
    addresses: tuple[str, ...]
    workloads: int

    def to_json(self, *, full: bool) -> dict[str, Any]:
        """The count always, every address with `full`."""
        told: dict[str, Any] = {
            "pool": self.pool,
            "cidr": str(self.prefix),
            "addresses": len(self.addresses),
            "workloads": self.workloads,
        }
        return told | ({"members": list(self.addresses)} if full else {})


@dataclass(frozen=True, slots=True)
class PoolChange:
    """A pool that treats packets or assignments otherwise: `what` changes from `before` to `after`.

    `addresses` in use are concerned.
    """

    pool: str
    what: str
    before: str
    after: str
    addresses: int

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "pool": self.pool, "what": self.what, "before": self.before, "after": self.after,
            "addresses": self.addresses,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class MtuChange:
    """What new pods get on these nodes; pods that run keep what they have until they start again."""

    before: int
    after: int
    nodes: tuple[str, ...]
    running: int

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {"before": self.before, "after": self.after, "nodes": list(self.nodes), "runningPods": self.running}


def lost_pools(before: Snapshot, after: Snapshot) -> tuple[Lost, ...]:
    """Addresses in use, by the pool that they lose."""
    if not differ(before, after, IPPool):
        return ()
    pools = tuple(_ByLength(snapshot) for snapshot in (before, after))
    found: dict[str, dict[Prefix, bool]] = {}
    for address, is_workload in _in_use(after):
        former = pools[0].of(address)
        if former is not None and pools[1].of(address) is None:
            held = found.setdefault(former.metadata.name, {})
            held[address] = held.get(address, False) or is_workload
    return tuple(
        Lost(
            name,
            _pool(before, name).spec.cidr,
            tuple(str(each.network_address) for each in sorted(held, key=lambda one: (one.version, one))),
            sum(held.values()),
        )
        for name, held in sorted(found.items())
    )


def pool_changes(before: Snapshot, after: Snapshot) -> tuple[PoolChange, ...]:
    """Pools in both versions of which something counts that packets or assignments feel."""
    if not differ(before, after, IPPool):
        return ()
    found = []
    used: Mapping[str, int] | None = None
    for pool in after.all(IPPool):
        former = before.get(IPPool, pool.metadata.name)
        if former is None or former == pool:
            continue
        if used is None:
            used = _used(after)
        words = _words(former), _words(pool)
        for what in words[0]:
            if words[0][what] != words[1][what]:
                name = pool.metadata.name
                found.append(PoolChange(name, what, words[0][what], words[1][what], used.get(name, 0)))
    return tuple(found)


def mtu_changes(before: Snapshot, after: Snapshot, network_mtu: int) -> tuple[MtuChange, ...]:
    """Nodes whose new pods get another MTU.

    Args:
        before: as it is.
        after: as it is to be.
        network_mtu: of the links between the nodes, bytes.
    """
    if not differ(before, after, IPPool, FelixConfiguration):
        return ()
    known: dict[tuple[int, str | None, tuple[str, ...]], int] = {}
    found: dict[tuple[int, int], list[str]] = {}
    names = [node.metadata.name for node in after.all(Node)]
    for name in names:
        pair = []
        for at, snapshot in enumerate((before, after)):
            own = name if snapshot.get(FelixConfiguration, f"node.{name}") is not None else None
            group = at, own, tuple(each.metadata.name for each in selecting(snapshot, name))
            if group not in known:
                known[group] = node_pod_mtu(snapshot, name, network_mtu)
            pair.append(known[group])
        if pair[0] != pair[1]:
            found.setdefault((pair[0], pair[1]), []).append(name)
    running: dict[str, int] = {}
    for workload in after.all(WorkloadEndpoint):
        running[workload.spec.node or ""] = running.get(workload.spec.node or "", 0) + 1
    return tuple(
        MtuChange(old, new, tuple(nodes), sum(running.get(node, 0) for node in nodes))
        for (old, new), nodes in sorted(found.items())
    )


def _words(pool: IPPool) -> dict[str, str]:
    spec = pool.spec
    encapsulation = "none"
    if spec.effective_vxlan_mode.value != "Never":
        encapsulation = f"VXLAN {spec.effective_vxlan_mode.value}"
    elif spec.effective_ipip_mode.value != "Never":
        encapsulation = f"IP-in-IP {spec.effective_ipip_mode.value}"
    return {
        "prefix": str(spec.cidr),
        "NAT of what leaves": "on" if spec.nat_outgoing else "off",
        "encapsulation": encapsulation,
        "announced by BGP": "no" if spec.disable_bgp_export else "yes",
        "gives out addresses": "no" if spec.disabled else "yes",
        "nodes that take blocks": spec.effective_node_selector,
    }


def _pool(snapshot: Snapshot, name: str) -> IPPool:
    found = snapshot.get(IPPool, name)
    assert found is not None
    return found


def _in_use(snapshot: Snapshot) -> Iterator[tuple[Prefix, bool]]:
    """Every address that a block or a workload has, and whether it is a workload's."""
    for block in snapshot.all(IPAMBlock):
        if not block.spec.deleted:
            first = block.spec.cidr.network_address
            yield from (
                (ip_network(first + at), False) for at, held in enumerate(block.spec.allocations) if held is not None
            )
    for workload in snapshot.all(WorkloadEndpoint):
        yield from ((network, True) for network in workload.spec.ip_networks)


def _used(snapshot: Snapshot) -> Mapping[str, int]:
    """Mapping[pool, addresses of it in use]."""
    pools, found = _ByLength(snapshot), dict[str, set[Prefix]]()
    for address, _ in _in_use(snapshot):
        pool = pools.of(address)
        if pool is not None:
            found.setdefault(pool.metadata.name, set()).add(address)
    return {name: len(held) for name, held in found.items()}


_BITS: Final = {4: 32, 6: 128}


class _ByLength:
    """`muslin.semantics.routes.pool_of` for many addresses: the longest pool that holds one, a probe a length."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._pools: dict[tuple[int, int, int], IPPool] = {}
        for pool in reversed(snapshot.all(IPPool)):
            prefix = pool.spec.cidr
            self._pools[prefix.version, prefix.prefixlen, int(prefix.network_address)] = pool
        self._lengths = {
            version: sorted({length for of, length, _ in self._pools if of == version}, reverse=True)
            for version in (4, 6)
        }

    def of(self, address: Prefix) -> IPPool | None:
        number, bits = int(address.network_address), _BITS[address.version]
        for length in self._lengths[address.version]:
            found = self._pools.get((address.version, length, number >> (bits - length) << (bits - length)))
            if found is not None:
                return found
        return None
