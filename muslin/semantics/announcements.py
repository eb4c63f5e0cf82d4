"""Which prefixes every node tells its BGP peers, for all nodes at once: for who compares whole clusters.

A node's own answer is `muslin.semantics.routes.own_blocks` and what `runtime.calc` makes of it; tests hold the two
together. Filters of peers are not considered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from types import MappingProxyType

from muslin.net import Prefix
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.ip_pool import IPPool
from muslin.resources.ipam import BlockAffinity, IPAMBlock
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.routes import own_blocks
from muslin.semantics.snapshot import Snapshot

__all__ = ["announced", "service_ranges"]


def announced(snapshot: Snapshot) -> Mapping[str, frozenset[Prefix]]:
    """Mapping[node, blocks and borrowed addresses that it tells its peers]; nodes without any are left out."""
    affinities: dict[str, list[BlockAffinity]] = {}
    blocks = {block.spec.cidr: block for block in snapshot.all(IPAMBlock)}
    for affinity in snapshot.all(BlockAffinity):
        affinities.setdefault(affinity.spec.node, []).append(affinity)
    workloads: dict[str, list[WorkloadEndpoint]] = {}
    for workload in snapshot.all(WorkloadEndpoint):
        if workload.spec.node:
            workloads.setdefault(workload.spec.node, []).append(workload)
    pools = [(pool.spec.cidr, not pool.spec.disable_bgp_export) for pool in snapshot.all(IPPool)]
    found: dict[str, frozenset[Prefix]] = {}
    for node in sorted({*affinities, *workloads}):
        mine = affinities.get(node, [])
        named = (blocks[each.spec.cidr] for each in mine if each.spec.cidr in blocks)
        own = own_blocks(Snapshot.of([*mine, *named]), node)
        told = {*own, *_borrowed(workloads.get(node, ()), own)}
        found[node] = frozenset(prefix for prefix in told if _is_told(prefix, pools))
    return MappingProxyType({node: told for node, told in found.items() if told})


def service_ranges(snapshot: Snapshot) -> frozenset[Prefix]:
    """Ranges of services that every node tells its peers, by the default BGPConfiguration."""
    configuration = snapshot.get(BGPConfiguration, "default")
    if configuration is None:
        return frozenset()
    spec = configuration.spec
    ranges = (*spec.service_cluster_ips, *spec.service_external_ips, *spec.service_load_balancer_ips)
    return frozenset(each.cidr for each in ranges if each.cidr is not None)


def _borrowed(workloads: Iterable[WorkloadEndpoint], own: tuple[Prefix, ...]) -> Iterator[Prefix]:
    """Workloads' addresses that lie in no block of their node."""
    lengths = {(block.version, block.prefixlen) for block in own}
    starts = {(block.version, block.prefixlen, int(block.network_address)) for block in own}
    for workload in workloads:
        for network in workload.spec.ip_networks:
            bits, number = network.max_prefixlen, int(network.network_address)
            inside = (
                (version, length, number >> (bits - length) << (bits - length)) in starts
                for version, length in lengths
                if version == network.version
            )
            if not any(inside):
                yield ip_network(network.network_address)


def _is_told(prefix: Prefix, pools: list[tuple[Prefix, bool]]) -> bool:
    """A pool holds it, and none that holds it keeps it to itself."""
    holding = [
        exported
        for pool, exported in pools
        if pool.version == prefix.version and pool.prefixlen <= prefix.prefixlen and prefix.network_address in pool
    ]
    return bool(holding) and all(holding)
