"""What can't be true of a cluster at once, whatever is decided: contradictions among its facts, each with a place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING

from muslin.net import Address, Prefix
from muslin.resources.base import LABEL_NAME, SUBDOMAIN_NAME
from muslin.resources.places import FieldPath, spell_path
from muslin.resources.validation import Breach, ValidationRule, go

if TYPE_CHECKING:
    from blueprints.facts import Facts

__all__ = ["FACT_RULES"]

_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_TAKEN = (
    (ip_network("172.17.0.0/16"), "the bridge of Docker"),
    (ip_network("fe80::/10"), "link-local"),
    (ip_network("169.254.0.0/16"), "link-local"),
)


def _bad_names(facts: Facts) -> Iterator[Breach]:
    if not SUBDOMAIN_NAME.allows(facts.name):
        yield Breach(f"{facts.name!r} can't be the name of a cluster", ("name",))
    for index, node in enumerate(facts.nodes):
        if not SUBDOMAIN_NAME.allows(node.name):
            yield Breach(f"{node.name!r} can't be the name of a node", ("nodes", index, "name"))

        if node.rack is not None and not _LABEL_VALUE.fullmatch(node.rack):
            yield Breach(f"{node.rack!r} can't be the name of a rack: it becomes a label", ("nodes", index, "rack"))
    for index, namespace in enumerate(facts.starting_policies):
        if not LABEL_NAME.allows(namespace):
            yield Breach(f"{namespace!r} can't be the name of a namespace", ("startingPolicies", index))
    if "kube-system" in facts.starting_policies:
        what = "kube-system is open by the default policy, and a policy of its own would close it"
        yield Breach(what, ("startingPolicies", facts.starting_policies.index("kube-system")), "remove it")


def _none_given(facts: Facts) -> Iterator[Breach]:
    if not facts.nodes:
        yield Breach("the cluster has no nodes", ("nodes",))
    if not facts.subnets:
        yield Breach("the nodes' subnet is not given", ("subnets",))


def _twice(values: Sequence[object]) -> Iterator[int]:
    seen: set[object] = set()
    for index, value in enumerate(values):
        if value is not None and value in seen:
            yield index
        seen.add(value)


def _equal_nodes(facts: Facts) -> Iterator[Breach]:
    for index in _twice([node.name for node in facts.nodes]):
        yield Breach(f"two nodes are named {facts.nodes[index].name!r}", ("nodes", index, "name"))
    for index in _twice([node.address for node in facts.nodes]):
        yield Breach(f"two nodes have the address {facts.nodes[index].address}", ("nodes", index, "address"))
    for index in _twice([node.address_v6 for node in facts.nodes]):
        yield Breach(f"two nodes have the address {facts.nodes[index].address_v6}", ("nodes", index, "addressV6"))


def _stand(facts: Facts) -> Iterator[Breach]:
    prefixes = {each.cidr for each in facts.subnets}
    for index, node in enumerate(facts.nodes):
        if node.subnet is None:
            continue
        path = ("nodes", index, "subnet")
        if node.subnet not in prefixes:
            yield Breach(f"{node.subnet} of node {node.name} is not among the subnets", path)
        elif (own := node.address_of(node.subnet.version)) is not None and own not in node.subnet:
            yield Breach(f"node {node.name} has the address {own}, which is not in {node.subnet}", path)
    for index, subnet in enumerate(facts.subnets):
        if subnet.router is not None and subnet.router not in subnet.cidr:
            path = ("subnets", index, "router")
            yield Breach(f"the router {subnet.router} is not in its subnet {subnet.cidr}", path)


def _mtu(facts: Facts) -> Iterator[Breach]:
    for index, subnet in enumerate(facts.subnets):
        if facts.network_mtu is None and subnet.mtu is None:
            yield Breach(f"the MTU of {subnet} is not given", ("subnets", index))


def _ranges(facts: Facts) -> Iterator[tuple[FieldPath, Prefix, str]]:
    """Every range that has one use: where it stands, and what for."""
    for index, subnet in enumerate(facts.subnets):
        yield ("subnets", index), subnet.cidr, f"the nodes' subnet {subnet.cidr}"
    for index, each in enumerate(facts.service_ranges):
        yield ("serviceRanges", index), each, f"the service range {each}"
    routable = facts.routable
    if routable.pods is not None:
        yield ("routable", "pods"), routable.pods, f"the range of routable pods {routable.pods}"
    for name, given in (("externalIPs", routable.external_ips), ("loadBalancerIPs", routable.load_balancer_ips)):
        for index, each in enumerate(given):
            yield ("routable", name, index), each, f"the range of services {each}"
    if facts.pod_range_v6 is not None:
        yield ("podRangeV6",), facts.pod_range_v6, f"the pod range {facts.pod_range_v6}"


def _overlaps(facts: Facts) -> Iterator[Breach]:
    """Of two ranges the later one is shown; `podRange` is a blueprint's business."""
    seen: list[tuple[Prefix, str]] = []
    for path, prefix, what in _ranges(facts):
        for other, its in seen:
            if prefix.version == other.version and prefix.overlaps(other):
                yield Breach(f"{what} overlaps {its}", path)
        seen.append((prefix, what))
        for taken, whose in _TAKEN:
            if path[0] != "subnets" and prefix.version == taken.version and prefix.overlaps(taken):
                yield Breach(f"{what} overlaps {taken}, which is {whose}", path)


def _kubernetes(facts: Facts) -> Iterator[Breach]:
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
        if services and not any(address in each for each in services):
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


def _switches(facts: Facts) -> Iterator[Breach]:
    for index in _twice([each.name for each in facts.top_of_rack]):
        yield Breach(f"two switches are named {facts.top_of_rack[index].name!r}", ("topOfRack", index, "name"))
    for index in _twice([each.address for each in facts.top_of_rack]):
        what = f"two switches have the address {facts.top_of_rack[index].address}"
        yield Breach(what, ("topOfRack", index, "address"))
    racks = {node.rack for node in facts.nodes}
    own: dict[str, object] = {}
    for index, each in enumerate(facts.top_of_rack):
        if not SUBDOMAIN_NAME.allows(each.name):
            yield Breach(f"{each.name!r} can't be part of an object's name", ("topOfRack", index, "name"), "rename it")
        for at, rack in enumerate(each.racks):
            if rack not in racks:
                yield Breach(f"no node stands in rack {rack!r}", ("topOfRack", index, "racks", at), "correct the rack")
            if own.setdefault(rack, each.node_as_number) != each.node_as_number:
                what = f"nodes of rack {rack!r} have two AS numbers"
                yield Breach(what, ("topOfRack", index, "nodeASNumber"), "give both switches of a rack the same")


def _families(facts: Facts) -> Iterator[Breach]:
    if not facts.families:
        what = "the cluster has no range for pods"
        yield Breach(what, ("podRange",), "give podRange (IPv4) such as 10.48.0.0/16, or podRangeV6, or both")
    if facts.pod_range_v6 is None:
        return
    if facts.pod_range_v6.version != 6:
        what = f"podRangeV6 {facts.pod_range_v6} is not IPv6"
        yield Breach(what, ("podRangeV6",), "give an IPv6 range such as 2001:db8:48::/48")
        return
    for index, node in enumerate(facts.nodes):
        if node.address_of(6) is None:
            what = f"node {node.name} has no IPv6 address, and its pods are to have such"
            yield Breach(what, ("nodes", index), "set addressV6, or leave podRangeV6 out")


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
    """No machine has an address of pods or services; nodes are the blueprint's business, by their subnets."""
    for where, address, whose in _machines(facts):
        for _, prefix, what in _pods_and_services(facts):
            if address in prefix:
                yield Breach(f"{whose} has the address {address}, which lies in {what}", where)


def _ports(facts: Facts) -> Iterator[Breach]:
    for index, each in enumerate(facts.host_endpoints.open if facts.host_endpoints is not None else ()):
        if not each.protocol.has_ports:
            path = ("hostEndpoints", "open", index, "protocol")
            yield Breach(f"protocol {each.protocol} has no ports", path)


def _reflectors(facts: Facts) -> Iterator[Breach]:
    given = facts.external_reflectors
    for index in _twice([each.name for each in given]):
        yield Breach(f"two reflectors are named {given[index].name!r}", ("externalReflectors", index, "name"))
    for index in _twice([each.address for each in given]):
        what = f"two reflectors have the address {given[index].address}"
        yield Breach(what, ("externalReflectors", index, "address"))
    for index, each in enumerate(given):
        if not SUBDOMAIN_NAME.allows(each.name):
            what = f"{each.name!r} can't be part of an object's name"
            yield Breach(what, ("externalReflectors", index, "name"), "rename it")


def _overridden(facts: Facts) -> Iterator[Breach]:
    for index in _twice([each.decision for each in facts.overrides]):
        what = f"the decision {facts.overrides[index].decision!r} is overridden twice"
        yield Breach(what, ("overrides", index), "remove one")
    for index, each in enumerate(facts.overrides):
        if not each.reason.strip():
            yield Breach("an override has no reason", ("overrides", index, "reason"), "say why")


FACT_RULES: tuple[ValidationRule, ...] = (
    go("names", "names have a form", _bad_names, fix="use lower case letters, digits, '-' and '.'"),
    go("not-empty", "there is a node and a subnet", _none_given, fix="add at least one"),
    go("nodes-differ", "names and addresses of nodes are unique", _equal_nodes, fix="give each node its own"),
    go("stand", "nodes and routers stand in their subnet", _stand, fix="correct the subnet or the address"),
    go("mtu-known", "the MTU of every subnet is known", _mtu, fix="set networkMTU, or mtu of each subnet"),
    go("ranges-differ", "each range has one use", _overlaps, fix="give each its own range"),
    go("switches", "switches differ and serve racks that there are", _switches, fix="give each its own"),
    go("apart", "no machine has an address of pods or services", _apart, fix="correct the address or the range"),
    go("ports", "what is open has ports", _ports, fix="use TCP, UDP or SCTP"),
    go("reflectors", "reflectors outside differ", _reflectors, fix="give each its own"),
    go("families", "pods' families are the nodes' too", _families, fix="give both, or neither"),
    go("kubernetes", "ranges agree with what Kubernetes was told", _kubernetes, fix="use one and the same"),
    go("overrides", "a decision is overridden once, with a reason", _overridden, fix="say once, and why"),
)
"""In the order in which their breaches are told."""
