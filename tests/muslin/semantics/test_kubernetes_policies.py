"""Policies of Kubernetes judge among those of Calico: what its users expect of them, by both evaluators."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from muslin import resources
from muslin.conversion.cluster_policy import cluster_policy_from_kubernetes
from muslin.conversion.endpoint import endpoint_from_pod
from muslin.conversion.policy import policy_from_kubernetes
from muslin.conversion.profile import profile_from_namespace, profile_from_service_account
from muslin.resources.base import Resource
from muslin.semantics.policy import ordered_policies
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, verdict
from runtime.calc.compute import compute
from runtime.calc.verdict import Judge, Packet
from tests.support.clusters import global_policy, node, policy

_NODE = "node-a"
_ADDRESSES = {"web": "10.48.0.1", "db": "10.48.0.2", "other": "10.48.0.3"}
_OUTSIDE = "203.0.113.9"


def _pod(name: str, namespace: str, labels: dict[str, str] | None = None) -> Resource:
    converted = endpoint_from_pod(
        {
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": name, **(labels or {})}},
            "spec": {
                "nodeName": _NODE,
                "serviceAccountName": "default",
                "containers": [{"ports": [{"name": "main", "containerPort": 5432}]}],
            },
            "status": {"podIPs": [{"ip": _ADDRESSES[name]}]},
        }
    )
    assert converted is not None
    return resources.load(converted.value)


def _namespace(name: str, **labels: str) -> Resource:
    return resources.load(profile_from_namespace({"metadata": {"name": name, "labels": labels}}).value)


def _account(namespace: str) -> Resource:
    return resources.load(profile_from_service_account({"metadata": {"name": "default", "namespace": namespace}}).value)


_CLUSTER: tuple[Resource, ...] = (
    node(_NODE, "192.0.2.1/24"),
    _namespace("red", team="one"),
    _namespace("blue"),
    _account("red"),
    _account("blue"),
    _pod("web", "red"),
    _pod("db", "red"),
    _pod("other", "blue"),
)


def _kubernetes(name: str = "p", **spec: Any) -> Resource:
    converted = policy_from_kubernetes(
        {
            "metadata": {"name": name, "namespace": "red"},
            "spec": {"podSelector": {"matchLabels": {"app": "db"}}, **spec},
        }
    )
    assert converted.problems == ()
    return resources.load(converted.value)


def _cluster_policy(tier: str, action: str, name: str = "p", priority: int = 1) -> Resource:
    converted = cluster_policy_from_kubernetes(
        {
            "metadata": {"name": name},
            "spec": {
                "tier": tier,
                "priority": priority,
                "subject": {"pods": {"podSelector": {"matchLabels": {"app": "db"}}}},
                "ingress": [{"action": action, "from": [{"namespaces": {}}]}],
            },
        }
    )
    assert converted.problems == ()
    return resources.load(converted.value)


def _allowed(*policies: Resource, source: str = "web", port: int = 5432, protocol: int = 6) -> bool:
    snapshot = Snapshot.of([*_CLUSTER, *policies])
    flow = Flow(ip_address(_ADDRESSES.get(source, source)), ip_address(_ADDRESSES["db"]), protocol, 40000, port)
    expected = verdict(snapshot, flow).allowed
    judge = Judge(compute(snapshot, _NODE))
    packet = Packet(flow.source, flow.destination, flow.protocol, flow.source_port, flow.destination_port)
    assert judge.judge(judge.located(packet)).allowed == expected, "the node does otherwise than the resources say"
    return expected


_FROM_WEB = {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}


def test_without_policies_everything_is_allowed() -> None:
    """The profile of the namespace says so."""
    assert _allowed()
    assert _allowed(source="other")


def test_a_selected_pod_is_isolated() -> None:
    """A policy without rules lets nobody in; pods that it does not select stay open."""
    assert not _allowed(_kubernetes())
    assert _allowed(_kubernetes(podSelector={"matchLabels": {"app": "web"}}))
    assert _allowed(_kubernetes(policyTypes=["Egress"]))


@pytest.mark.parametrize(
    ("rule", "web", "other", "outside"),
    [
        ({}, True, True, True),
        (_FROM_WEB, True, False, False),
        ({"from": [{"podSelector": {}}]}, True, False, False),
        ({"from": [{"namespaceSelector": {}}]}, True, True, False),
        ({"from": [{"namespaceSelector": {"matchLabels": {"team": "one"}}}]}, True, False, False),
        (
            {"from": [{"namespaceSelector": {"matchLabels": {"projectcalico.org/name": "blue"}}}]},
            False,
            True,
            False,
        ),
        ({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "other"}}}]}, False, True, False),
        ({"from": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}, False, False, True),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.48.0.0/16"]}}]}, False, False, True),
        ({"from": [{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.8/29"]}}]}, False, False, False),
    ],
)
def test_a_rule_lets_in_whom_it_names(rule: dict[str, Any], *, web: bool, other: bool, outside: bool) -> None:
    """Pods of the policy's namespace, of selected namespaces, and networks with exceptions."""
    found = [_allowed(_kubernetes(ingress=[rule]), source=source) for source in ("web", "other", _OUTSIDE)]

    assert found == [web, other, outside]


@pytest.mark.parametrize(
    ("ports", "allowed"),
    [
        ([{"port": 5432}], True),
        ([{"port": 5433}], False),
        ([{"port": 5000, "endPort": 6000}], True),
        ([{"port": "main"}], True),
        ([{"port": "side"}], False),
        ([{"protocol": "UDP", "port": 5432}], False),
        ([{"protocol": "UDP"}, {}], True),
        ([{"protocol": "UDP"}], False),
    ],
)
def test_a_rule_lets_in_to_the_ports_that_it_names(ports: list[dict[str, Any]], *, allowed: bool) -> None:
    """By number, range or name; TCP where nothing is said."""
    assert _allowed(_kubernetes(ingress=[{"ports": ports}])) == allowed


@pytest.mark.parametrize(
    "label", [{"pcns.team": "one"}, {"pcns.projectcalico.org/name": "red"}, {"projectcalico.org/namespace": "red"}]
)
def test_a_pod_cannot_pretend_to_be_in_another_namespace(label: dict[str, str]) -> None:
    """What selectors of namespaces see comes from namespaces, whatever labels a pod gives itself."""
    liar = _pod("other", "blue", label)
    rules = [
        {"from": [{"namespaceSelector": {"matchLabels": {"team": "one"}}}]},
        {"from": [{"namespaceSelector": {"matchLabels": {"projectcalico.org/name": "red"}}}]},
        {"from": [{"podSelector": {}}]},
    ]

    assert not _allowed(_kubernetes(ingress=rules), liar, source="other")
    assert _allowed(_kubernetes(ingress=rules), liar)


def test_policies_add_up() -> None:
    """What any of them allows is allowed."""
    assert _allowed(_kubernetes("a"), _kubernetes("b", ingress=[_FROM_WEB]))


@pytest.mark.parametrize(("order", "allowed"), [(999, False), (1001, True)])
def test_a_policy_of_calico_stands_before_or_after(order: float, *, allowed: bool) -> None:
    """Kubernetes' are at 1000 in the tier `default`."""
    deny = policy("deny", "red", order=order, selector="app == 'db'", ingress=[{"action": "Deny"}])

    assert _allowed(_kubernetes(ingress=[_FROM_WEB]), deny) == allowed


def test_one_name_may_be_two_policies() -> None:
    """A policy of Calico and one of Kubernetes of one name both judge, in an order that is fixed."""
    both = [_kubernetes("same", ingress=[_FROM_WEB]), policy("same", "red", order=1000, selector="app == 'db'")]
    ((_, policies),) = ordered_policies(Snapshot.of(both))

    assert [each.kind for each in policies] == ["KubernetesNetworkPolicy", "NetworkPolicy"]
    assert _allowed(*both)
    assert not _allowed(*both, source="other")


@pytest.mark.parametrize(
    ("tier", "action", "with_policy", "without"),
    [
        ("Admin", "Deny", False, False),
        ("Admin", "Accept", True, True),
        ("Admin", "Pass", False, True),
        ("Baseline", "Deny", False, False),
        ("Baseline", "Accept", False, True),
    ],
)
def test_cluster_policies_come_before_or_after_the_namespace_s(
    tier: str, action: str, *, with_policy: bool, without: bool
) -> None:
    """An administrator's word comes first, the baseline counts where no policy selects the pod."""
    guard = _cluster_policy(tier, action)

    assert _allowed(guard, _kubernetes()) == with_policy
    assert _allowed(guard) == without


def test_priority_decides_among_cluster_policies() -> None:
    """The smaller number comes first."""
    accept, deny = _cluster_policy("Admin", "Accept", "a", 2), _cluster_policy("Admin", "Deny", "d", 1)

    assert not _allowed(accept, deny)
    assert _allowed(_cluster_policy("Admin", "Accept", "a", 0), deny)


def test_a_cluster_policy_does_not_judge_whom_it_does_not_name() -> None:
    """Its rules are for its subject and its peers; the rest goes on to the next tier."""
    assert _allowed(_cluster_policy("Admin", "Deny"), source=_OUTSIDE)


def test_a_broken_cluster_policy_without_rules_changes_nothing() -> None:
    """A policy whose accepting rules were all left out judges in no direction."""
    converted = cluster_policy_from_kubernetes(
        {
            "metadata": {"name": "p"},
            "spec": {
                "tier": "Admin",
                "priority": 1,
                "subject": {"namespaces": {}},
                "ingress": [{"action": "Accept", "from": [{"moon": {}}]}],
            },
        }
    )

    assert len(converted.problems) == 1
    assert _allowed(resources.load(converted.value))
    assert _allowed(
        resources.load(converted.value), global_policy("g", selector="app == 'db'", ingress=[{"action": "Allow"}])
    )
