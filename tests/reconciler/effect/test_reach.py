"""Whom a change connects and parts: small clusters whose answer can be read off."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from muslin.resources.base import Resource
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.host_endpoint import HostEndpoint
from muslin.resources.policy import PolicyType
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow
from tests.reconciler.effect.oracle import computed, expected, reaches, told
from tests.support.clusters import (
    global_policy,
    global_set,
    namespace_profile,
    network_set,
    node,
    policy,
    profile,
    tier,
    workload,
)

_WEB, _DB, _OTHER, _NODE, _FAR_NODE, _OUTSIDE = (
    "10.48.0.1", "10.48.1.1", "10.48.0.2", "192.0.2.1", "192.0.2.2", "203.0.113.9",
)  # fmt: skip
CLUSTER: list[Resource] = [
    node("node-a", f"{_NODE}/24"),
    node("node-b", f"{_FAR_NODE}/24"),
    namespace_profile("shop"),
    namespace_profile("lab", {"team": "x"}),
    workload("web", [_WEB, "2001:db8:48::1"], namespace="shop", labels={"app": "web"}),
    workload(
        "db", _DB, namespace="shop", on="node-b", labels={"app": "db"},
        ports=[{"name": "sql", "protocol": "TCP", "port": 5432}],
    ),
    workload("other", _OTHER, namespace="lab", labels={"app": "web"}),
    global_set("partners", ["203.0.113.0/24"], {"kind": "partner"}),
]  # fmt: skip
_ENDS = (_WEB, _DB, _OTHER, _NODE, _OUTSIDE)
_DROP = FelixConfiguration.model_validate({"metadata": {"name": "default"}, "spec": {}})
_ACCEPT = FelixConfiguration.model_validate(
    {"metadata": {"name": "default"}, "spec": {"defaultEndpointToHostAction": "Accept"}}
)

_CLOSED = policy("closed", "shop", selector="app == 'web'", types=["Ingress"])

_HOST_SPEC = {
    "node": "node-a", "interfaceName": "eth1", "expectedIPs": [_OUTSIDE],
    "ports": [{"name": "ssh", "protocol": "TCP", "port": 5432}],
}  # fmt: skip
_HOST = HostEndpoint.model_validate({"metadata": {"name": "gate", "labels": {"role": "gate"}}, "spec": _HOST_SPEC})


def _allow(**rule: Any) -> list[dict[str, Any]]:
    return [{"action": "Allow", **rule}]


_SQL = {"protocol": "TCP", "destination": {"ports": ["sql"]}}
CHANGES: dict[str, tuple[list[Resource], list[Resource]]] = {
    "isolate": ([], [policy("deny", "shop", selector="app == 'db'", types=["Ingress"])]),
    "named port": (
        [policy("db", "shop", selector="app == 'db'", types=["Ingress"])],
        [policy("db", "shop", selector="app == 'db'", types=["Ingress"], ingress=_allow(**_SQL))],
    ),
    "egress to a network": (
        [],
        [global_policy("out", types=["Egress"], egress=_allow(destination={"selector": "kind == 'partner'"}))],
    ),
    "a set loses its label": (
        [global_policy("out", types=["Egress"], egress=_allow(destination={"selector": "kind == 'partner'"}))],
        [
            global_policy("out", types=["Egress"], egress=_allow(destination={"selector": "kind == 'partner'"})),
            global_set("partners", ["203.0.113.0/24"], {"kind": "stranger"}),
        ],
    ),
    "a set covers pods": (
        [global_policy("in", types=["Ingress"], ingress=_allow(source={"selector": "kind == 'own'"}))],
        [
            global_policy("in", types=["Ingress"], ingress=_allow(source={"selector": "kind == 'own'"})),
            network_set("own", ["10.48.0.0/24"], {"kind": "own"}, "lab"),
        ],
    ),
    "pass to the next tier": (
        [tier("first", 10), global_policy("first.all", tier="first", types=["Ingress"])],
        [
            tier("first", 10),
            global_policy("first.all", tier="first", types=["Ingress"], ingress=[{"action": "Pass"}]),
        ],
    ),
    "a tier passes at its end": (
        [tier("first", 10), global_policy("first.all", tier="first", types=["Ingress"])],
        [tier("first", 10, "Pass"), global_policy("first.all", tier="first", types=["Ingress"])],
    ),
    "a namespace gets a label": (
        [global_policy("in", types=["Ingress"], ingress=_allow(source={"namespaceSelector": "team == 'x'"}))],
        [
            global_policy("in", types=["Ingress"], ingress=_allow(source={"namespaceSelector": "team == 'x'"})),
            namespace_profile("shop", {"team": "x"}),
        ],
    ),
    "a profile denies": ([], [profile("kns.lab", ingress=[{"action": "Deny"}], egress=[])]),
    "what pods send to their node": ([_DROP], [_ACCEPT]),
    "a node moves": ([_ACCEPT, _CLOSED], [_ACCEPT, _CLOSED, node("node-a", "192.0.2.3/24")]),
    "a pod gets another label": ([policy("deny", "shop", selector="app == 'db'")], [
        policy("deny", "shop", selector="app == 'db'"),
        workload("db", _DB, namespace="shop", on="node-b", labels={"app": "new"}),
    ]),
    "a pod goes": (
        [policy("deny", "shop", selector="app == 'db'")],
        [workload("db", "10.48.1.9", namespace="shop", on="node-b", labels={"app": "db"})],
    ),
    "source ports": ([], [
        global_policy("p", types=["Ingress"], ingress=_allow(protocol="UDP", source={"ports": ["1:1024"]})),
    ]),
    "types of ICMP": ([], [
        global_policy("p", types=["Ingress"], ingress=_allow(protocol="ICMP", icmp={"type": 8, "code": 0})),
    ]),
    "hosts and their named ports": (
        [_HOST, global_policy("p", types=["Egress"], egress=_allow(protocol="TCP", destination={"ports": ["ssh"]}))],
        [
            _HOST,
            global_policy(
                "p", types=["Egress"],
                egress=_allow(protocol="TCP", destination={"selector": "role == 'other'", "ports": ["ssh"]}),
            ),
        ],
    ),
    "a host gets another label": (
        [_HOST, global_policy("p", types=["Ingress"], ingress=_allow(source={"selector": "role == 'gate'"}))],
        [
            HostEndpoint.model_validate({"metadata": {"name": "gate"}, "spec": _HOST_SPEC}),
            global_policy("p", types=["Ingress"], ingress=_allow(source={"selector": "role == 'gate'"})),
        ],
    ),
    "two pods claim one address": (
        [workload("zz", _DB, namespace="lab", labels={"app": "zz"}), policy("no", "shop", types=["Ingress"])],
        [
            workload("zz", _DB, namespace="lab", labels={"app": "zz"}),
            policy("no", "shop", types=["Ingress"]),
            global_policy("p", types=["Egress"], order=1, egress=_allow(destination={"selector": "app == 'zz'"})),
        ],
    ),
    "everything but a network": (
        [global_policy("p", types=["Ingress"], ingress=_allow(source={"notNets": ["203.0.113.0/28"]}))],
        [global_policy("p", types=["Ingress"], ingress=_allow(source={"notNets": ["203.0.113.0/29"]}))],
    ),
    "a service that nobody sees": ([], [
        global_policy("p", types=["Egress"], egress=_allow(destination={"services": {"name": "x", "namespace": "y"}})),
    ]),
}  # fmt: skip


def every_flow() -> list[Flow]:
    """Between any two ends: protocols, ports and types that some rule tells apart."""
    found = []
    for source in map(ip_address, _ENDS):
        for destination in map(ip_address, _ENDS):
            if source == destination:
                continue
            found += [Flow(source, destination, 17, port, 53) for port in (1000, 40000)]
            found += [Flow(source, destination, 6, 40000, port) for port in (53, 5432)]
            found += [Flow(source, destination, 1, icmp=each) for each in ((8, 0), (8, 1))]
            found += [Flow(source, destination, 47)]
    return found


@pytest.mark.parametrize("name", CHANGES)
def test_every_flow_is_told_as_two_verdicts_say(name: str) -> None:
    """Any two ends, protocols, ports and types: told once if it changes, and not otherwise."""
    before, after = (Snapshot.of([*CLUSTER, *each]) for each in CHANGES[name])
    found = reaches(before, after)

    changed = 0
    for flow in every_flow():
        assert computed(found, flow) == expected(before, after, flow), flow
        changed += computed(found, flow) is not None
    assert changed


def test_the_direction_that_decides_is_told() -> None:
    """A closed egress is told of the source, whatever the destination would say."""
    after = [*CLUSTER, policy("no", "shop", selector="app == 'web'", types=["Egress"])]
    found = reaches(Snapshot.of(CLUSTER), Snapshot.of(after))

    flow = Flow(ip_address(_WEB), ip_address(_DB), 6, 40000, 80)
    assert told(found[4], flow) == [(False, PolicyType.EGRESS)]


def test_nothing_is_walked_where_nothing_changes() -> None:
    """The same cluster, read twice: nobody is touched."""
    found = reaches(Snapshot.of(CLUSTER), Snapshot.of(CLUSTER))

    assert [(each.rectangles, each.touched) for each in found.values() if each is not None] == [((), 0), ((), 0)]
