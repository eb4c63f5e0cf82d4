"""Random small clusters full of policy, and packets between whatever lives in them."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from hypothesis import strategies as st

from muslin.resources.base import Resource
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow
from tests.support.clusters import (
    global_policy,
    global_set,
    network_set,
    node,
    policy,
    profile,
    tier,
    workload,
)

__all__ = ["NODES", "clusters", "flows"]

NODES = ("node-a", "node-b")
_NAMESPACES = ("red", "blue")
_NODE_ADDRESSES = ("192.0.2.1", "192.0.2.2")
_PODS = tuple(f"10.48.{index % 2}.{index + 1}" for index in range(6))
_PODS_V6 = tuple(f"2001:db8:48::{index + 1:x}" for index in range(6))
_OUTSIDE = ("203.0.113.10", "198.51.100.7", "2001:db8:ffff::1")
_SELECTORS = (
    "all()",
    "app == 'web'",
    "app != 'web'",
    "app in {'web', 'db'}",
    "has(tier)",
    "!has(app)",
    "app == 'db' || tier == 'back'",
    "app contains 'e' && tier != 'front'",
)
_NAMESPACE_SELECTORS = ("all()", "projectcalico.org/name == 'red'", "team == 'one'", "!has(team)")
_ACCOUNT_SELECTORS = ("role == 'admin'", "all()")
_NETS = ("10.48.0.0/24", "10.48.1.0/24", "203.0.113.0/24", "0.0.0.0/0", "10.48.0.1/32")
_NETS_V6 = ("2001:db8:48::/64", "2001:db8:48::2/128", "2001:db8:ffff::/48")
_NOT_NETS = _NETS[:3] + _NETS[4:]
_PORTS: tuple[int | str, ...] = (53, 80, "8080:8090", "http", "dns")

_labels = st.fixed_dictionaries(
    {}, optional={"app": st.sampled_from(["web", "db", "cache"]), "tier": st.sampled_from(["front", "back"])}
)


@st.composite
def _entities(draw: st.DrawFn, *, namespaced: bool, ports: bool, version: int) -> Mapping[str, Any]:
    nets, not_nets = (_NETS, _NOT_NETS) if version == 4 else (_NETS_V6, _NETS_V6)
    choices: dict[str, st.SearchStrategy[Any]] = {
        "nets": st.lists(st.sampled_from(nets), min_size=1, max_size=2, unique=True),
        "notNets": st.lists(st.sampled_from(not_nets), min_size=1, max_size=2, unique=True),
        "selector": st.sampled_from(_SELECTORS),
        "notSelector": st.sampled_from(_SELECTORS[1:]),
        "namespaceSelector": st.sampled_from((*_NAMESPACE_SELECTORS, "global()")),
        "serviceAccounts": st.sampled_from(
            [{"names": ["robot"]}, {"selector": "role == 'admin'"}, {"names": ["robot", "ghost"], "selector": "all()"}]
        ),
    }
    if ports:
        several = st.lists(st.sampled_from(_PORTS), min_size=1, max_size=3, unique=True)
        choices |= {"ports": several, "notPorts": several}
    wanted = draw(st.lists(st.sampled_from(sorted(choices)), max_size=draw(st.sampled_from([0, 1, 1, 2])), unique=True))
    entity = {name: draw(choices[name]) for name in wanted}
    if entity.get("namespaceSelector") == "global()" and set(entity) & {"selector", "notSelector", "serviceAccounts"}:
        entity["namespaceSelector"] = "all()"
    return entity


@st.composite
def _rules(draw: st.DrawFn, *, namespaced: bool) -> Mapping[str, Any]:
    version = draw(st.sampled_from([4, 4, 4, 6]))
    protocol = draw(st.sampled_from([None, "TCP", "UDP", "ICMP" if version == 4 else "ICMPv6"]))
    ports = protocol in ("TCP", "UDP")
    entity = _entities(namespaced=namespaced, ports=ports, version=version)
    rule: dict[str, Any] = {
        "action": draw(st.sampled_from(["Allow", "Allow", "Deny", "Pass", "Log", "Allow"])),
        "source": draw(entity),
        "destination": draw(entity),
    }
    if protocol is not None:
        rule["protocol"] = protocol
        if not ports:
            rule["ipVersion"] = version
            rule |= draw(
                st.sampled_from([{}, {"icmp": {"type": 8}}, {"icmp": {"type": 8, "code": 1}}, {"notICMP": {"type": 8}}])
            )
    elif draw(st.booleans()):
        rule["notProtocol"] = draw(st.sampled_from(["TCP", "UDP"]))
    elif draw(st.booleans()):
        rule["ipVersion"] = version
    return rule


@st.composite
def _policy_specs(draw: st.DrawFn, *, namespaced: bool, tiers: tuple[str, ...]) -> Mapping[str, Any]:
    rules = st.lists(_rules(namespaced=namespaced), max_size=3)
    spec: dict[str, Any] = {"ingress": draw(rules), "egress": draw(rules), "tier": draw(st.sampled_from(tiers))}
    if draw(st.booleans()):
        spec["types"] = draw(st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]))
    if draw(st.booleans()):
        spec["order"] = draw(st.sampled_from([1, 2, 2.5, 1000]))
    if draw(st.booleans()):
        spec["selector"] = draw(st.sampled_from(_SELECTORS))
    if draw(st.integers(0, 3)) == 0:
        spec["serviceAccountSelector"] = draw(st.sampled_from(_ACCOUNT_SELECTORS))
    if not namespaced and draw(st.integers(0, 2)) == 0:
        spec["namespaceSelector"] = draw(st.sampled_from(_NAMESPACE_SELECTORS))
    return spec


@st.composite
def clusters(draw: st.DrawFn) -> Snapshot:
    """Two nodes, up to six pods of two namespaces, and policy of every sort."""
    resources: list[Resource] = [
        node(name, f"{address}/24") for name, address in zip(NODES, _NODE_ADDRESSES, strict=True)
    ]
    some_rules = st.lists(_rules(namespaced=False), max_size=2)
    for namespace in _NAMESPACES:
        labels = {"pcns.projectcalico.org/name": namespace} | draw(st.sampled_from([{}, {"pcns.team": "one"}]))
        closing = draw(st.sampled_from([[{"action": "Allow"}], []]))
        spec = {way: [*draw(some_rules), *closing] for way in ("ingress", "egress")}
        resources.append(profile(f"kns.{namespace}", labels, **spec))
    resources.append(profile("ksa.robot", {"pcsa.role": "admin", "tier": "front"}))
    names = ("default", *draw(st.sampled_from([(), ("first",), ("first", "last")])))
    if "first" in names:
        resources.append(tier("first", 10, draw(st.sampled_from(["Deny", "Pass"]))))
    if "last" in names:
        resources.append(tier("last", 2_000_000, draw(st.sampled_from(["Deny", "Pass"]))))
    for index in range(draw(st.integers(3, len(_PODS)))):
        namespace = draw(st.sampled_from(_NAMESPACES))
        robot = draw(st.booleans())
        profiles = [f"kns.{namespace}", *(["ksa.robot"] if robot else [])]
        if draw(st.integers(0, 29)) == 7:
            profiles.insert(draw(st.integers(0, len(profiles))), "missing")
        ports = draw(
            st.lists(
                st.sampled_from(
                    [
                        {"name": "http", "protocol": "TCP", "port": 80},
                        {"name": "http", "protocol": "TCP", "port": 8085},
                        {"name": "dns", "protocol": "UDP", "port": 53},
                        {"name": "dns", "protocol": "TCP", "port": 53},
                    ]
                ),
                max_size=2,
            )
        )
        resources.append(
            workload(
                f"pod-{index}",
                [_PODS[index], _PODS_V6[index]],
                on=draw(st.sampled_from(NODES)),
                namespace=namespace,
                labels=draw(_labels),
                profiles=profiles,
                ports=ports,
                **({"serviceAccountName": "robot"} if robot else {}),
            )
        )
    several_nets = st.lists(st.sampled_from((*_NETS[:3], *_NETS[4:], *_NETS_V6)), min_size=1, max_size=3, unique=True)
    if draw(st.booleans()):
        resources.append(global_set("partners", draw(several_nets), draw(_labels)))
    if draw(st.booleans()):
        resources.append(network_set("own", draw(several_nets), draw(_labels), "red"))
    for index in range(draw(st.integers(1, 5))):
        namespaced = draw(st.booleans())
        policy_spec: Mapping[str, Any] = draw(_policy_specs(namespaced=namespaced, tiers=names))
        name = f"{'' if policy_spec['tier'] == 'default' else policy_spec['tier'] + '.'}policy-{index}"
        resources.append(
            policy(name, draw(st.sampled_from(_NAMESPACES)), **policy_spec)
            if namespaced
            else global_policy(name, **policy_spec)
        )
    return Snapshot.of(resources)


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """A first packet between two of the addresses that clusters have, or that nobody has."""
    version = draw(st.sampled_from([4, 4, 6]))
    pods = (*_PODS[:3], *_PODS_V6[:3]) * 3
    known = [ip_address(each) for each in (*pods, *_PODS, *_PODS_V6, *_OUTSIDE, *_NODE_ADDRESSES)]
    ends = st.sampled_from([address for address in known if address.version == version])
    source = draw(ends)
    destination = draw(ends.filter(lambda address: address != source))
    protocol = draw(st.sampled_from([6, 6, 17, 1 if version == 4 else 58, 132, 47]))
    if protocol in (6, 17, 132):
        ports = st.sampled_from([53, 80, 8080, 8085, 8090, 8091, 40000])
        return Flow(source, destination, protocol, draw(ports), draw(ports))
    icmp = draw(st.sampled_from([(8, 0), (8, 1), (0, 0)])) if protocol in (1, 58) else None
    return Flow(source, destination, protocol, icmp=icmp)
