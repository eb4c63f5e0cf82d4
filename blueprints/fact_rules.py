"""What can't be true of a cluster at once, whatever is decided: contradictions among its facts, each with a place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from blueprints.fact_parts import NodeRole
from blueprints.range_rules import RANGE_RULES
from blueprints.running_rules import RUNNING_RULES
from muslin.resources.base import LABEL_NAME, SUBDOMAIN_NAME
from muslin.resources.validation import Breach, ValidationRule, go

if TYPE_CHECKING:
    from blueprints.facts import Facts

__all__ = ["FACT_RULES"]

_REFLECTS: Final = "route-reflector"
_RACK: Final = "rack"
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


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


def _labels(facts: Facts) -> Iterator[Breach]:
    """Labels that peers ask for, and that say something else than the facts."""
    by_rack = bool(facts.top_of_rack) or facts.reflectors_per_rack
    for index, node in enumerate(facts.nodes):
        where = ("nodes", index, "labels")
        if _REFLECTS in node.labels and NodeRole.REFLECTOR not in node.roles:
            what = f"node {node.name} has the label {_REFLECTS}, which makes others peer with it, and does not reflect"
            yield Breach(what, (*where, _REFLECTS), "give it the role reflector, or take the label off")
        if by_rack and node.labels.get(_RACK, node.rack) != node.rack:
            told = "in none" if node.rack is None else f"in rack {node.rack!r}"
            what = f"the label {_RACK} of node {node.name} is {node.labels[_RACK]!r}, and it stands {told}"
            yield Breach(what, (*where, _RACK), "say the same twice, or leave the label out")
        if {NodeRole.REFLECTOR, NodeRole.CONTROL_PLANE} <= set(node.roles):
            what = f"node {node.name} reflects and is of the control plane: both would fail together"
            yield Breach(what, ("nodes", index, "roles"), "let a node reflect that does nothing else")


FACT_RULES: tuple[ValidationRule, ...] = (
    go("names", "names have a form", _bad_names, fix="use lower case letters, digits, '-' and '.'"),
    go("not-empty", "there is a node and a subnet", _none_given, fix="add at least one"),
    go("nodes-differ", "names and addresses of nodes are unique", _equal_nodes, fix="give each node its own"),
    go("stand", "nodes and routers stand in their subnet", _stand, fix="correct the subnet or the address"),
    go("mtu-known", "the MTU of every subnet is known", _mtu, fix="set networkMTU, or mtu of each subnet"),
    go("switches", "switches differ and serve racks that there are", _switches, fix="give each its own"),
    go("ports", "what is open has ports", _ports, fix="use TCP, UDP or SCTP"),
    go("reflectors", "reflectors outside differ", _reflectors, fix="give each its own"),
    go("families", "pods' families are the nodes' too", _families, fix="give both, or neither"),
    go("labels", "labels and roles agree with the facts", _labels, fix="say the same twice"),
    go("overrides", "a decision is overridden once, with a reason", _overridden, fix="say once, and why"),
    *RANGE_RULES,
    *RUNNING_RULES,
)
"""In the order in which their breaches are told."""
