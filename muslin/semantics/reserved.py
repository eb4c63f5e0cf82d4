"""Which addresses belong to the network itself, and which workload has an address or interface that several claim.

Whoever can write an object could otherwise draw a node's, a router's or another pod's traffic to a pod. Pools are
believed before nodes outside our subnet, and what the node knows of itself before everything: so no object can make
another one's addresses look reserved.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_network

from muslin.errors import Problem
from muslin.net import Address, InterfaceAddress, Prefix
from muslin.resources.ip_pool import IPPool
from muslin.resources.node import Node
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.routes import node_interface_address
from muslin.semantics.snapshot import Snapshot

__all__ = ["Reserved", "admitted", "is_host", "reserved"]

_NO_HOSTS = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/3",
            "::/127",
            "::ffff:0:0/96",
            "fe80::/10",
            "ff00::/8",
        ),
    )
)
"""Unspecified, loopback, link-local, multicast and reserved ranges (RFC 6890)."""


def is_host(address: Address) -> bool:
    """Whether an address can be another host's at all."""
    return not any(address.version == range_.version and address in range_ for range_ in _NO_HOSTS)


@lru_cache(4096)
def _nobodys(prefix: Prefix) -> Prefix | None:
    """A range without hosts that a prefix overlaps; asked again for the same prefix whenever a pod starts anywhere."""
    return next((each for each in _NO_HOSTS if prefix.version == each.version and prefix.overlaps(each)), None)


@dataclass(frozen=True, slots=True)
class Reserved:
    """Addresses that no route of ours may lead away.

    Attributes:
        subnets: networks that the node stands in.
        nodes: Mapping[address, node's name].
        pools: prefixes of all pools; inside one, addresses of our own subnet may be pods'.
    """

    subnets: frozenset[Prefix] = frozenset()
    nodes: Mapping[Address, str] = field(default_factory=dict)
    pools: frozenset[Prefix] = frozenset()
    _in_order: Mapping[int, list[Address]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        in_order = {version: sorted(each for each in self.nodes if each.version == version) for version in (4, 6)}
        object.__setattr__(self, "_in_order", in_order)

    def why(self, prefix: Prefix) -> str | None:
        """What forbids a route to a prefix, as the end of a sentence that begins with it; None if nothing does."""
        nobodys = _nobodys(prefix)
        if nobodys is not None:
            return f"overlaps {nobodys}, whose addresses are no host's"
        # Asked of every route, pod and block; there may be thousands of nodes.
        in_order = self._in_order[prefix.version]
        first = bisect_left(in_order, prefix.network_address)
        if first < len(in_order) and in_order[first] in prefix:
            return f"is or holds the address {in_order[first]} of node {self.nodes[in_order[first]]}"
        for subnet in self.subnets:
            if _holds(prefix, subnet):
                return f"covers {subnet}, the network between the nodes"
            if _holds(subnet, prefix) and not any(_holds(pool, prefix) for pool in self.pools):
                return f"lies in {subnet}, the network between the nodes, and in no pool"
        return None


def reserved(snapshot: Snapshot, node: str, here: InterfaceAddress | None = None) -> Reserved:
    """What is reserved as a node sees it.

    Args:
        snapshot: all resources.
        node: name of the node.
        here: its address as it knows it itself; None takes the one that its Node says.
    """
    own = [] if here is None else [here]
    local = snapshot.get(Node, node)
    if local is not None:
        found = (node_interface_address(local, version) for version in (4, 6))
        own += [each for each in found if each is not None and all(each.version != other.version for other in own)]
    subnets = frozenset(each.network for each in own)
    pools = frozenset(pool.spec.cidr for pool in snapshot.all(IPPool))
    nodes: dict[Address, str] = {}
    for other in snapshot.all(Node):
        for version in (4, 6):
            address = node_interface_address(other, version)
            if address is None or other.metadata.name == node:
                continue
            if any(address.ip in subnet for subnet in subnets) or not any(address.ip in pool for pool in pools):
                nodes[address.ip] = other.metadata.name
    nodes.update((each.ip, node) for each in own)
    return Reserved(subnets, nodes, pools)


def admitted(
    workloads: Iterable[WorkloadEndpoint], node: str, taken: Reserved
) -> tuple[tuple[WorkloadEndpoint, ...], tuple[Problem, ...]]:
    """Workloads of a node that may have what they claim, by namespace and name, and what is wrong with the others.

    Of several that claim one address (on any node) or one interface the oldest has it, so that a new object takes
    nothing from one that works. One that may not have one of its addresses gets nothing at all.
    """
    every = tuple(workloads)
    mine = sorted((each for each in every if each.spec.node == node and each.spec.interface_name), key=_age)
    claimed = {network for each in mine for network in each.spec.ip_networks}
    elsewhere: dict[Prefix, WorkloadEndpoint] = {}
    for other in every:
        if other.spec.node == node:
            continue
        for network in other.spec.ip_networks:
            if network in claimed and (network not in elsewhere or _age(other) < _age(elsewhere[network])):
                elsewhere[network] = other
    addresses: dict[Prefix, WorkloadEndpoint] = {}
    interfaces: dict[str, WorkloadEndpoint] = {}
    problems: list[Problem] = []
    for each in mine:
        wrong = tuple(_wrong(each, taken, addresses, elsewhere, interfaces))
        problems += wrong
        if not wrong:
            addresses.update(dict.fromkeys(each.spec.ip_networks, each))
            interfaces[str(each.spec.interface_name)] = each
    return tuple(sorted(interfaces.values(), key=lambda each: (each.key.namespace or "", each.key.name))), tuple(
        problems
    )


def _wrong(
    workload: WorkloadEndpoint,
    taken: Reserved,
    here: Mapping[Prefix, WorkloadEndpoint],
    elsewhere: Mapping[Prefix, WorkloadEndpoint],
    interfaces: Mapping[str, WorkloadEndpoint],
) -> Iterator[Problem]:
    interface = workload.spec.interface_name or ""
    if interface in interfaces:
        what = f"the interface {interface} is that of {interfaces[interface].key}, which is older"
        yield Problem(what, f"{workload.key}  spec.interfaceName", "delete one of the two")
    for index, network in enumerate(workload.spec.ip_networks):
        where = f"{workload.key}  spec.ipNetworks[{index}]"
        reason = taken.why(network)
        if reason is not None:
            yield Problem(f"{network} {reason}", where, "give the workload an address of a pool")
        other = here.get(network) or elsewhere.get(network)
        if other is not None and (other.spec.node == workload.spec.node or _age(other) < _age(workload)):
            yield Problem(f"{network} is the address of {other.key}, which is older", where, "delete one of the two")


def _age(workload: WorkloadEndpoint) -> tuple[str, str, str]:
    """Sorts the oldest first; one that nobody gave a time of birth comes last."""
    return workload.metadata.creation_timestamp or "~", workload.key.namespace or "", workload.key.name


def _holds(outer: Prefix, inner: Prefix) -> bool:
    return outer.version == inner.version and outer.prefixlen <= inner.prefixlen and inner.network_address in outer
