"""Ranges and machines that are in each other's way: each address has one use, and some are nobody's to give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from muslin.net import Address, Prefix
from muslin.resources.places import FieldPath, spell_path
from muslin.resources.validation import Breach, ValidationRule, go

if TYPE_CHECKING:
    from blueprints.facts import Facts

__all__ = ["RANGE_RULES", "others_addresses"]

_TAKEN: Final[Mapping[Prefix, str]] = {
    ip_network("0.0.0.0/8"): "this network (RFC 1122)",
    ip_network("127.0.0.0/8"): "loopback",
    ip_network("169.254.0.0/16"): "link-local",
    ip_network("172.17.0.0/16"): "the bridge of Docker",
    ip_network("224.0.0.0/4"): "multicast",
    ip_network("::/8"): "reserved, loopback in it (RFC 4291)",
    ip_network("fe80::/10"): "link-local",
    ip_network("ff00::/8"): "multicast",
}
_WITHOUT_BROADCAST: Final = 31
"""Length from which on an IPv4 prefix has neither a network's nor a broadcast address (RFC 3021)."""


def others_addresses(prefix: Prefix) -> Iterator[tuple[Prefix, str]]:
    """What a prefix overlaps that no cluster may give to pods, services or nodes: the range, and whose it is."""
    for taken, whose in _TAKEN.items():
        if taken.version == prefix.version and taken.overlaps(prefix):
            yield taken, whose


def _ranges(facts: Facts) -> Iterator[tuple[FieldPath, Prefix, str]]:
    """Every range that has one use: where it stands, and what for. `podRange` is a blueprint's business."""
    for index, subnet in enumerate(facts.subnets):
        yield ("subnets", index), subnet.cidr, f"the nodes' subnet {subnet.cidr}"
    for index, each in enumerate(facts.service_ranges):
        yield ("serviceRanges", index), each, f"the service range {each}"
    for index, each in enumerate(facts.kubernetes.service_subnets):
        if each not in facts.service_ranges:
            yield ("kubernetes", "serviceSubnets", index), each, f"Kubernetes' service range {each}"
    if facts.routable.pods is not None:
        yield ("routable", "pods"), facts.routable.pods, f"the range of routable pods {facts.routable.pods}"
    yield from _announced(facts)
    if facts.pod_range_v6 is not None:
        yield ("podRangeV6",), facts.pod_range_v6, f"the pod range {facts.pod_range_v6}"


def _announced(facts: Facts) -> Iterator[tuple[FieldPath, Prefix, str]]:
    given = (("externalIPs", facts.routable.external_ips), ("loadBalancerIPs", facts.routable.load_balancer_ips))
    for name, ranges in given:
        for index, each in enumerate(ranges):
            yield ("routable", name, index), each, f"the range of services {each}"


def _overlaps(facts: Facts) -> Iterator[Breach]:
    """Of two ranges the later one is shown."""
    seen: list[tuple[FieldPath, Prefix, str]] = []
    for path, prefix, what in _ranges(facts):
        for where, other, its in seen:
            told_by_kubernetes = "kubernetes" in (path[0], where[0]) and "serviceRanges" in (path[0], where[0])
            if _overlap(prefix, other) and not told_by_kubernetes:
                yield Breach(f"{what} overlaps {its}", path)
        seen.append((path, prefix, what))
        for taken, whose in others_addresses(prefix):
            yield Breach(f"{what} overlaps {taken}, which is {whose}", path)
    if facts.pod_range is not None:
        for path, prefix, what in _announced(facts):
            if _overlap(prefix, facts.pod_range):
                yield Breach(f"{what} overlaps the pod range {facts.pod_range}", path)


def _pods_of_kubeadm(facts: Facts) -> Iterator[Breach]:
    """kube-proxy takes all of kubeadm's podSubnet for pods, whatever a pool has of it."""
    others = [each for each in _ranges(facts) if each[0][0] not in ("podRangeV6", "routable")]
    for index, each in enumerate(facts.kubernetes.pod_subnets):
        for _, prefix, what in (*others, *_announced(facts)):
            if _overlap(each, prefix):
                fix = "give kubeadm a podSubnet of its own, or correct the other range"
                yield Breach(f"Kubernetes' podSubnet {each} overlaps {what}", ("kubernetes", "podSubnets", index), fix)


def _overlap(one: Prefix, other: Prefix) -> bool:
    return one.version == other.version and one.overlaps(other)


def _kubernetes(facts: Facts) -> Iterator[Breach]:
    """Link-local is where a cache of each node answers for the DNS service: NodeLocal DNSCache."""
    told = facts.kubernetes
    for given, pods in (("podRange", facts.pod_range), ("podRangeV6", facts.pod_range_v6)):
        of_family = [each for each in told.pod_subnets if pods is not None and each.version == pods.version]
        if pods is not None and of_family and not any(_inside(pods, each) for each in of_family):
            what = f"the pod range {pods} is not in Kubernetes' own, {', '.join(map(str, of_family))}"
            yield Breach(what, (given,), "use Kubernetes' podSubnet: kube-proxy takes other addresses for strangers")
    for index, each in enumerate(facts.service_ranges):
        if told.service_subnets and each not in told.service_subnets:
            what = f"the service range {each} is not Kubernetes' own, {', '.join(map(str, told.service_subnets))}"
            yield Breach(what, ("serviceRanges", index), "use Kubernetes' serviceSubnet")
    services = (*facts.service_ranges, *told.service_subnets)
    for index, address in enumerate(told.dns):
        if services and not address.is_link_local and not any(address in each for each in services):
            where: FieldPath = ("kubernetes", "dns", index)
            yield Breach(f"the DNS service {address} is in no service range", where, "correct the address or the range")
    for path, prefix, what in _pods_and_services(facts):
        if told.api_server is not None and told.api_server in prefix:
            yield Breach(
                f"the API server {told.api_server} lies in {what}, {spell_path(path)}",
                ("kubernetes", "apiServer"),
                "give the address that nodes reach it by, outside of the ranges of pods and services",
            )


def _pods_and_services(facts: Facts) -> Iterator[tuple[FieldPath, Prefix, str]]:
    if facts.pod_range is not None:
        yield ("podRange",), facts.pod_range, "the pod range"
    yield from (each for each in _ranges(facts) if each[0][0] != "subnets")


def _inside(inner: Prefix, outer: Prefix) -> bool:
    return inner.network_address in outer and inner.prefixlen >= outer.prefixlen


def _machines(facts: Facts) -> Iterator[tuple[FieldPath, Address, str]]:
    """Every address of a machine beside the nodes: where it stands, and whose it is."""
    for index, subnet in enumerate(facts.subnets):
        if subnet.router is not None:
            yield ("subnets", index, "router"), subnet.router, "the router"
    for index, tor in enumerate(facts.top_of_rack):
        yield ("topOfRack", index, "address"), tor.address, f"the switch {tor.name}"
    for index, reflector in enumerate(facts.external_reflectors):
        yield ("externalReflectors", index, "address"), reflector.address, f"the reflector {reflector.name}"
        if reflector.address_v6 is not None:
            yield ("externalReflectors", index, "addressV6"), reflector.address_v6, f"the reflector {reflector.name}"


def _apart(facts: Facts) -> Iterator[Breach]:
    """No machine has an address of pods or services, of a node, or of nobody; a switch may well be the router."""
    nodes = {each: node.name for node in facts.nodes for each in (node.address, node.address_v6) if each is not None}
    switches = {each.address: each.name for each in facts.top_of_rack}
    for where, address, whose in _machines(facts):
        for _, prefix, what in _pods_and_services(facts):
            if address in prefix:
                yield Breach(f"{whose} has the address {address}, which lies in {what}", where)
        if address in nodes:
            yield Breach(f"{whose} has the address {address}, which node {nodes[address]} has", where)
        if where[0] == "externalReflectors" and address in switches:
            yield Breach(f"{whose} has the address {address}, which the switch {switches[address]} has", where)
        for taken, of_whom in _TAKEN.items():
            if address in taken:
                yield Breach(f"{whose} has the address {address} of {taken}, which is {of_whom}", where)


def _hosts(facts: Facts) -> Iterator[Breach]:
    """The first and the last address of an IPv4 subnet are no machine's."""
    for index, node in enumerate(facts.nodes):
        subnet = facts.subnet_of(node, 4)
        if subnet is None or subnet.cidr.prefixlen >= _WITHOUT_BROADCAST:
            continue
        for no_machine, what in (
            (subnet.cidr.network_address, "the network's own"),
            (subnet.cidr.broadcast_address, "the broadcast address"),
        ):
            if node.address == no_machine:
                path = ("nodes", index, "address")
                yield Breach(f"node {node.name} has the address {node.address}, {what} of {subnet.cidr}", path)


RANGE_RULES: tuple[ValidationRule, ...] = (
    go("ranges-differ", "each range has one use", _overlaps, fix="give each its own range"),
    go("kubeadm-apart", "kubeadm's podSubnet is of pods alone", _pods_of_kubeadm, fix="give each its own range"),
    go("apart", "each machine has an address of its own", _apart, fix="correct the address or the range"),
    go("hosts", "nodes have addresses that machines can have", _hosts, fix="correct the address or the subnet"),
    go("kubernetes", "ranges agree with what Kubernetes was told", _kubernetes, fix="use one and the same"),
)
"""In the order in which their breaches are told."""
