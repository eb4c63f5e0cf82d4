"""ClusterNetworkPolicy as Calico's GlobalNetworkPolicy."""

from __future__ import annotations

from typing import Any

import pytest

from muslin import resources
from muslin.conversion.cluster_policy import cluster_policy_from_kubernetes
from muslin.errors import BadInput
from tests.muslin.conversion.objects import BORN, OTHER_UID, cluster_policy

_PODS = "projectcalico.org/orchestrator == 'k8s'"
_EVERYBODY: dict[str, Any] = {"namespaces": {}}


def _spec(**spec: Any) -> dict[str, Any]:
    value, problems = cluster_policy_from_kubernetes(cluster_policy(**spec))
    assert problems == ()
    assert resources.load(value).kind == "KubernetesClusterNetworkPolicy"
    found: dict[str, Any] = value["spec"]
    return found


def test_a_policy_keeps_its_name_and_its_priority_is_its_order() -> None:
    """Without rules it judges in no direction."""
    value = cluster_policy_from_kubernetes(cluster_policy()).value
    policy = resources.load(value)

    assert value == {
        "apiVersion": "projectcalico.org/v3",
        "kind": "KubernetesClusterNetworkPolicy",
        "metadata": {"name": "guard", **BORN, "uid": OTHER_UID},
        "spec": {
            "tier": "kube-admin",
            "order": 10,
            "namespaceSelector": "all()",
            "selector": _PODS,
            "types": [],
        },
    }
    assert policy.spec.effective_types == ()


def test_the_baseline_has_a_tier_of_its_own() -> None:
    """It comes after everything else."""
    assert _spec(tier="Baseline")["tier"] == "kube-baseline"


@pytest.mark.parametrize(
    ("subject", "namespaces", "pods"),
    [
        ({"namespaces": {"matchLabels": {"t": "1"}}}, "t == '1'", _PODS),
        (
            {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "1"}}}},
            "all()",
            f"{_PODS} && a == '1'",
        ),
        ({"pods": {}}, "all()", _PODS),
    ],
)
def test_the_subject_is_namespaces_or_pods(subject: dict[str, Any], namespaces: str, pods: str) -> None:
    """Host endpoints are never meant."""
    spec = _spec(subject=subject)

    assert (spec["namespaceSelector"], spec["selector"]) == (namespaces, pods)


@pytest.mark.parametrize(("action", "expected"), [("Accept", "Allow"), ("Deny", "Deny"), ("Pass", "Pass")])
def test_actions_are_calico_s(action: str, expected: str) -> None:
    """Each of the three has its word; directions are those that have rules."""
    rule = {"action": action, "from": [_EVERYBODY], "name": "first"}
    spec = _spec(ingress=[rule])

    assert spec["ingress"] == [
        {
            "action": expected,
            "source": {"namespaceSelector": "all()"},
            "metadata": {"annotations": {"name": "first"}},
        }
    ]
    assert spec["types"] == ["Ingress"]


def test_networks_are_peers_of_egress_a_family_a_rule() -> None:
    """A rule of Calico is of one family."""
    rule = {"action": "Deny", "to": [{"networks": ["192.0.2.7/24", "2001:db8::/32", "198.51.100.0/24"]}]}

    assert _spec(egress=[rule])["egress"] == [
        {"action": "Deny", "destination": {"nets": ["192.0.2.0/24", "198.51.100.0/24"]}},
        {"action": "Deny", "destination": {"nets": ["2001:db8::/32"]}},
    ]


@pytest.mark.parametrize(
    ("protocols", "expected"),
    [
        (None, [(None, [])]),
        ([{"tcp": {}}], [("TCP", [])]),
        ([{"udp": {"destinationPort": {"number": 53}}}], [("UDP", [53])]),
        (
            [
                {"tcp": {"destinationPort": {"range": {"start": 80, "end": 89}}}},
                {"tcp": {"destinationPort": {"number": 90}}},
                {"sctp": {"destinationPort": {"number": 7}}},
            ],
            [("SCTP", [7]), ("TCP", ["80:90"])],
        ),
        (
            [{"destinationNamedPort": "http"}, {"tcp": {"destinationPort": {"number": 80}}}],
            [(None, ["http"]), ("TCP", [80])],
        ),
    ],
)
def test_there_is_a_rule_for_each_protocol(protocols: Any, expected: list[tuple[str | None, list[Any]]]) -> None:
    """Named ports are of any protocol; ranges are merged."""
    rule = {"action": "Accept", "to": [_EVERYBODY], "protocols": protocols}
    found = [(each.get("protocol"), each["destination"].get("ports", [])) for each in _spec(egress=[rule])["egress"]]

    assert found == expected


_BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"to": []}, ".to"),
    ({"to": [{"nodes": {}}]}, ".to[0]"),
    ({"to": [_EVERYBODY, {"domainNames": ["example.org"]}]}, ".to[1]"),
    ({"to": [{"namespaces": {}, "pods": {}}]}, ".to[0]"),
    ({"to": [{"networks": ["nonsense"]}]}, ".to[0].networks[0]"),
    ({"to": [_EVERYBODY], "protocols": [{}]}, ".protocols[0]"),
    ({"to": [_EVERYBODY], "protocols": {"tcp": {}}}, ".protocols"),
    ({"to": [_EVERYBODY], "protocols": [{"icmp": {}}]}, ".protocols[0]"),
    ({"to": [_EVERYBODY], "protocols": [{"tcp": {"destinationPort": {}}}]}, ".protocols[0]"),
    ({"to": [_EVERYBODY], "protocols": [{"tcp": {"destinationPort": {"number": 70000}}}]}, ".protocols[0]"),
    ({"to": [_EVERYBODY], "protocols": [{"destinationNamedPort": "no port"}]}, ".protocols[0]"),
]


@pytest.mark.parametrize(("rule", "where"), _BROKEN)
@pytest.mark.parametrize(
    ("action", "left"), [("Accept", []), ("Deny", [{"action": "Deny"}]), ("Pass", [{"action": "Deny"}])]
)
def test_a_rule_that_cannot_be_said_opens_nothing(
    rule: dict[str, Any], where: str, action: str, left: list[dict[str, Any]]
) -> None:
    """What accepts is left out; what denies or passes denies everything; both are told."""
    value, problems = cluster_policy_from_kubernetes(cluster_policy(egress=[{"action": action, **rule}]))

    assert value["spec"].get("egress", []) == left
    assert [problem.where for problem in problems] == [f"ClusterNetworkPolicy guard  spec.egress[0]{where}"]


@pytest.mark.parametrize(
    "rule", [{"action": "Shrug", "to": [_EVERYBODY]}, {"to": [_EVERYBODY]}, "nonsense", {"action": []}]
)
def test_an_unknown_action_denies(rule: Any) -> None:
    """Nobody knows what it would have let through."""
    value, problems = cluster_policy_from_kubernetes(cluster_policy(egress=[rule]))

    assert value["spec"]["egress"] == [{"action": "Deny"}]
    assert len(problems) == 1


def test_rules_that_are_no_list_deny() -> None:
    """Nobody knows what they would have denied."""
    assert cluster_policy_from_kubernetes(cluster_policy(ingress={"a": 1})).value["spec"]["ingress"] == [
        {"action": "Deny"}
    ]


def test_networks_are_no_peers_of_ingress() -> None:
    """The API has them for egress alone."""
    rule = {"action": "Deny", "from": [{"networks": ["192.0.2.0/24"]}]}

    assert cluster_policy_from_kubernetes(cluster_policy(ingress=[rule])).value["spec"]["ingress"] == [
        {"action": "Deny"}
    ]


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"tier": "Middle"}, "spec.tier"),
        ({"tier": None}, "spec.tier"),
        ({"priority": "first"}, "spec.priority"),
        ({"subject": {}}, "spec.subject"),
        ({"subject": {"namespaces": {}, "pods": {}}}, "spec.subject"),
        ({"subject": {"nodes": {}}}, "spec.subject"),
    ],
)
def test_a_policy_whose_head_makes_no_sense_counts_as_missing(spec: dict[str, Any], where: str) -> None:
    """It is there, no model accepts it, and the problem names the place."""
    value, problems = cluster_policy_from_kubernetes(cluster_policy(**spec))

    assert [problem.where for problem in problems] == [f"ClusterNetworkPolicy guard  {where}"]
    assert value["metadata"]["name"] == "guard"
    with pytest.raises(BadInput, match="unreadable"):
        resources.load(value)
