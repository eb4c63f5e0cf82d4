"""Kubernetes' NetworkPolicy as Calico's."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslin import resources
from muslin.conversion.policy import policy_from_kubernetes, staged_policy_from_kubernetes
from muslin.conversion.rule_ports import merged
from muslin.resources.ports import NamedPort, PortRange
from tests.muslin.conversion.objects import BORN, OTHER_UID, kubernetes_policy

_PODS = "projectcalico.org/orchestrator == 'k8s'"


def _spec(**spec: Any) -> dict[str, Any]:
    value, problems = policy_from_kubernetes(kubernetes_policy(**spec))
    assert problems == ()
    found: dict[str, Any] = value["spec"]
    return found


def _ports(*ports: dict[str, Any]) -> list[tuple[str, list[int | str]]]:
    """(protocol, ports) of each rule for anybody at these ports."""
    rules = _spec(ingress=[{"ports": list(ports)}])["ingress"]
    return [(rule["protocol"], rule.get("destination", {}).get("ports", [])) for rule in rules]


def test_a_policy_keeps_its_name_and_stands_at_order_1000() -> None:
    """Its kind is its own, so that a policy of Calico may have the same name."""
    value = policy_from_kubernetes(kubernetes_policy()).value

    assert value == {
        "apiVersion": "projectcalico.org/v3",
        "kind": "KubernetesNetworkPolicy",
        "metadata": {"name": "web.v1", "namespace": "red", **BORN, "uid": OTHER_UID},
        "spec": {"tier": "default", "order": 1000, "selector": _PODS, "types": ["Ingress"]},
    }
    assert resources.dump(resources.load(value)) == value


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({}, _PODS),
        ({"matchLabels": {"b": "2", "a": "1"}}, f"{_PODS} && a == '1' && b == '2'"),
        (
            {
                "matchExpressions": [
                    {"key": "k", "operator": "In", "values": ["x", "y"]},
                    {"key": "k", "operator": "NotIn", "values": ["z"]},
                    {"key": "k", "operator": "Exists"},
                    {"key": "l", "operator": "DoesNotExist"},
                ]
            },
            f"{_PODS} && k in {{ 'x', 'y' }} && k not in {{ 'z' }} && has(k) && ! has(l)",
        ),
        (
            {"matchLabels": {"a": ""}, "matchExpressions": [{"key": "example.org/k", "operator": "Exists"}]},
            f"{_PODS} && a == '' && has(example.org/k)",
        ),
    ],
)
def test_pods_are_selected_in_the_reference_s_words(selector: dict[str, Any], text: str) -> None:
    """Labels sorted, requirements in their order, always pods only."""
    assert _spec(podSelector=selector)["selector"] == text


@pytest.mark.parametrize(
    ("peer", "match"),
    [
        ({"podSelector": {}}, {"selector": _PODS}),
        ({"podSelector": {"matchLabels": {"a": "1"}}}, {"selector": f"{_PODS} && a == '1'"}),
        ({"namespaceSelector": {}}, {"selector": _PODS, "namespaceSelector": "all()"}),
        (
            {"namespaceSelector": {"matchLabels": {"t": "1"}}, "podSelector": {"matchLabels": {"a": "1"}}},
            {"selector": f"{_PODS} && a == '1'", "namespaceSelector": "t == '1'"},
        ),
        ({"ipBlock": {"cidr": "203.0.113.7/24"}}, {"nets": ["203.0.113.0/24"]}),
        (
            {"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]}},
            {"nets": ["2001:db8::/32"], "notNets": ["2001:db8:1::/48"]},
        ),
    ],
)
def test_peers_are_the_far_end(peer: dict[str, Any], match: dict[str, Any]) -> None:
    """Where a policy says `from` it is the source, where it says `to` the destination."""
    spec = _spec(ingress=[{"from": [peer]}], egress=[{"to": [peer]}], policyTypes=["Ingress", "Egress"])

    assert spec["ingress"] == [{"action": "Allow", "source": match}]
    assert spec["egress"] == [{"action": "Allow", "destination": match}]


def test_a_rule_without_peers_and_ports_allows_everything() -> None:
    """An empty rule is one rule without a protocol."""
    assert _spec(ingress=[{}])["ingress"] == [{"action": "Allow"}]


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (None, ["Ingress"]),
        ([], ["Ingress"]),
        (["Egress"], ["Egress"]),
        (["Egress", "Ingress"], ["Ingress", "Egress"]),
        (["Sideways"], ["Ingress"]),
    ],
)
def test_directions_are_those_that_the_policy_names(types: list[str] | None, expected: list[str]) -> None:
    """Rules of a direction alone do not make it one."""
    assert _spec(policyTypes=types, egress=[{}])["types"] == expected


def test_there_is_a_rule_for_each_protocol_and_peer() -> None:
    """Protocols sorted, then peers in their order; ports stand at the destination."""
    peers = [{"ipBlock": {"cidr": "192.0.2.0/24"}}, {"ipBlock": {"cidr": "198.51.100.0/24"}}]
    ports = [{"protocol": "UDP", "port": 53}, {"port": 80}]
    spec = _spec(ingress=[{"from": peers, "ports": ports}], egress=[{"to": peers, "ports": ports}])

    def rules(direction: str, side: str) -> list[tuple[str, str, Any]]:
        return [(rule["protocol"], rule[side]["nets"][0], rule["destination"]["ports"]) for rule in spec[direction]]

    expected = [
        (protocol, net, [port])
        for protocol, port in (("TCP", 80), ("UDP", 53))
        for net in ("192.0.2.0/24", "198.51.100.0/24")
    ]
    for direction, side in (("ingress", "source"), ("egress", "destination")):
        assert rules(direction, side) == expected


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ([{}], [("TCP", [])]),
        ([{"port": "80"}], [("TCP", [80])]),
        (
            [{"port": 80}, {"port": 81}, {"port": 82}, {"port": 9090}, {"port": "http"}],
            [("TCP", ["http", "80:82", 9090])],
        ),
        ([{"port": 80, "endPort": 90}, {"port": 85, "endPort": 100}], [("TCP", ["80:100"])]),
        ([{"port": 80}, {"port": 80}], [("TCP", [80])]),
        ([{"port": 80}, {"port": "http"}], [("TCP", [80, "http"])]),
        ([{"port": 80}, {}], [("TCP", [])]),
        ([{}, {"port": 80}], [("TCP", [])]),
        (
            [{"protocol": "SCTP", "port": 1}, {"protocol": "UDP"}, {"port": 2}],
            [("SCTP", [1]), ("TCP", [2]), ("UDP", [])],
        ),
        ([{"protocol": "tcp", "port": 1}], [("TCP", [1])]),
    ],
)
def test_ports_become_as_few_ranges_as_possible(ports: list[dict[str, Any]], expected: Any) -> None:
    """TCP is meant where nothing is said; no port means all of the protocol."""
    assert _ports(*ports) == expected


_NUMBERED = st.tuples(st.integers(1, 200), st.integers(0, 20)).map(lambda each: PortRange(each[0], each[0] + each[1]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(_NUMBERED, st.sampled_from("ab").map(NamedPort)), max_size=8))
def test_merged_ports_mean_the_same(ports: list[PortRange | NamedPort]) -> None:
    """The same numbers and names, and no two ranges that could be one."""
    found = merged(ports)
    ranges = sorted(each for each in found if isinstance(each, PortRange))

    def numbers(of: Any) -> set[int]:
        return {n for each in of if isinstance(each, PortRange) for n in range(each.first, each.last + 1)}

    assert numbers(found) == numbers(ports)
    assert {each for each in found if isinstance(each, NamedPort)} == {p for p in ports if isinstance(p, NamedPort)}
    assert all(a.last + 1 < b.first for a, b in pairwise(ranges))


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        ({"ports": [{"port": 80}, {"port": 0}]}, ".ports[1].port"),
        ({"ports": [{"port": 90, "endPort": 80}]}, ".ports[0].port"),
        ({"ports": [{"port": "http", "endPort": 80}]}, ".ports[0].port"),
        ({"ports": [{"port": 1.5}]}, ".ports[0].port"),
        ({"ports": [{"protocol": "ODD", "port": 1}]}, ".ports[0].protocol"),
        ({"ports": ["80"]}, ".ports[0]"),
        ({"ports": "80"}, ".ports"),
        ({"from": {"podSelector": {}}}, ".from"),
        ({"from": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": "192.0.2.0/25"}}]}, ".from[0].ipBlock.except"),
        ({"from": [{"ipBlock": {"cidr": "nonsense"}}]}, ".from[0].ipBlock.cidr"),
        ({"from": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.1"]}}]}, ".from[0].ipBlock.except[0]"),
        ({"from": ["anybody"]}, ".from[0]"),
        ({"from": [{}]}, ".from[0]"),
        ("nonsense", ""),
    ],
)
def test_a_bad_rule_is_left_out_and_told(rule: Any, where: str) -> None:
    """The policy stays, so less is allowed; the problem names the place."""
    value, problems = policy_from_kubernetes(kubernetes_policy(ingress=[{}, rule]))

    assert value["spec"]["ingress"] == [{"action": "Allow"}]
    assert [problem.where for problem in problems] == [f"NetworkPolicy red/web.v1  spec.ingress[1]{where}"]


@pytest.mark.parametrize(
    "selector",
    [
        "nonsense",
        {"matchLabels": {"a": "it's"}},
        {"matchLabels": {"a b": "c"}},
        {"matchLabels": {"a": 1}},
        {"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]},
        {"matchExpressions": [{"key": "a", "operator": "In", "values": []}]},
        {"matchExpressions": [{"key": "' || all() || a == '", "operator": "Exists"}]},
        {"matchExpressions": ["a"]},
        {"matchExpressions": "a"},
        {"matchLabels": ["a"]},
    ],
)
def test_a_selector_that_no_label_can_meet_selects_nobody(selector: Any) -> None:
    """Kubernetes refuses these; were one there, it must not select everybody, nor break the policy."""
    value, _ = policy_from_kubernetes(kubernetes_policy(ingress=[{"from": [{"podSelector": selector}]}]))
    (rule,) = value["spec"]["ingress"]

    assert rule["source"]["selector"] == f"{_PODS} && ! all()"
    assert resources.load(value).kind == "KubernetesNetworkPolicy"


def test_a_network_without_all_addresses_is_nobody() -> None:
    """A rule for it alone lets nobody in, instead of everybody; one for others as well keeps them."""
    nobody = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["0.0.0.0/0"]}}
    one = {"ipBlock": {"cidr": "192.0.2.0/24"}}

    assert "ingress" not in _spec(ingress=[{"from": [nobody]}])
    assert _spec(ingress=[{"from": [nobody, one]}])["ingress"] == [
        {"action": "Allow", "source": {"nets": ["192.0.2.0/24"]}}
    ]


def test_what_no_label_has_is_excluded_for_nothing() -> None:
    """To exclude what cannot be is to exclude nothing."""
    expressions = [
        {"key": "a b", "operator": "DoesNotExist"},
        {"key": "a", "operator": "NotIn", "values": ["it's", "b"]},
        {"key": "a", "operator": "NotIn", "values": []},
    ]

    assert _spec(podSelector={"matchExpressions": expressions})["selector"] == f"{_PODS} && a not in {{ 'b' }}"


def test_limits_of_calico_s_own_kinds_do_not_refuse_a_policy() -> None:
    """Kubernetes has none; a policy refused for its length would open what it closes."""
    names = {f"example.org/{'k' * 50}-{n}": "v" * 50 for n in range(20)}
    excepted = [f"192.0.{n}.0/24" for n in range(256)] + ["192.1.0.0/16"]
    peer = {"ipBlock": {"cidr": "192.0.0.0/8", "except": excepted}}
    ports = [{"port": 2 * n} for n in range(1, 100)]
    rules = [{"from": [peer], "ports": ports}, *[{}] * 1100]
    value, problems = policy_from_kubernetes(kubernetes_policy(podSelector={"matchLabels": names}, ingress=rules))

    assert problems == ()
    assert resources.dump(resources.load(value)) == value


def test_a_staged_policy_of_kubernetes_is_a_staged_policy_of_calico() -> None:
    """Same rules, tried and not enforced, under a name with a prefix."""
    staged = {**kubernetes_policy(ingress=[{}]), "kind": "StagedKubernetesNetworkPolicy"}
    value, problems = staged_policy_from_kubernetes(staged)

    assert problems == ()
    assert (value["kind"], value["metadata"]["name"]) == ("StagedNetworkPolicy", "knp.default.web.v1")
    assert value["spec"] == {"stagedAction": "Set", **_spec(ingress=[{}])}
    assert resources.load(value).kind == "StagedNetworkPolicy"


def test_a_staged_deletion_says_nothing_else() -> None:
    """What is to be gone has no rules."""
    staged = {"metadata": {"name": "web", "namespace": "red"}, "spec": {"stagedAction": "Delete"}}
    value = staged_policy_from_kubernetes(staged).value

    assert value["spec"] == {"stagedAction": "Delete", "tier": "default"}
    assert resources.load(value).kind == "StagedNetworkPolicy"
