"""May this packet go, and why: the evaluator that everything else is held against."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from muslin.resources.base import Resource
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, Judged, Reason, Verdict, verdict
from tests.support.clusters import (
    global_policy,
    global_set,
    namespace_profile,
    node,
    policy,
    profile,
    tier,
    workload,
)

_PORTS = [{"name": "http", "protocol": "TCP", "port": 8080}]
_PODS: list[Resource] = [
    node("node-a", "192.0.2.1/24"),
    node("node-b", "192.0.2.2/24"),
    namespace_profile("red", {"team": "one"}),
    namespace_profile("blue"),
    workload("web", "10.48.0.1", namespace="red", labels={"app": "web"}),
    workload("db", "10.48.0.65", namespace="red", on="node-b", labels={"app": "db"}, ports=_PORTS),
    workload("other", "10.48.0.2", namespace="blue", labels={"app": "web"}),
]


def _flow(source: str = "10.48.0.1", destination: str = "10.48.0.65", port: int = 8080, protocol: int = 6) -> Flow:
    return Flow(ip_address(source), ip_address(destination), protocol, 40000, port)


def _verdict(*resources: Resource, **flow: Any) -> Verdict:
    return verdict(Snapshot.of([*_PODS, *resources]), _flow(**flow))


def test_profiles_decide_where_no_policy_selects() -> None:
    """The namespace's profile allows, and the reason says so at both ends."""
    reason = Reason(Judged.PROFILE_RULE, Key("Profile", "kns.red"), 0)

    assert Verdict(allowed=True, egress=reason, ingress=reason) == _verdict()


def test_policy_without_match_denies_at_the_end_of_its_tier() -> None:
    """One policy in a direction is enough to shut it; the other direction is left to the profiles."""
    found = _verdict(policy("db", "red", selector="app == 'db'"))

    assert not found.allowed
    assert Reason(Judged.TIER_DEFAULT, tier="default") == found.ingress
    assert _verdict(policy("db", "red", selector="app == 'db'"), source="10.48.0.65", destination="10.48.0.1").allowed


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({"source": {"selector": "app == 'web'"}}, True),
        ({"source": {"selector": "app == 'db'"}}, False),
        ({"source": {"notSelector": "app == 'web'"}}, False),
        ({"source": {"namespaceSelector": "team == 'one'"}}, True),
        ({"source": {"namespaceSelector": "has(nothing)"}}, False),
        ({"source": {"nets": ["10.48.0.0/26"]}}, True),
        ({"source": {"notNets": ["10.48.0.0/26"]}}, False),
        ({"protocol": "TCP", "destination": {"ports": [8080]}}, True),
        ({"protocol": "TCP", "destination": {"ports": ["8000:8079", 8081]}}, False),
        ({"protocol": "TCP", "destination": {"ports": ["http"]}}, True),
        ({"protocol": "UDP", "destination": {"ports": ["http"]}}, False),
        ({"protocol": "TCP", "destination": {"notPorts": [80]}}, True),
        ({"protocol": "TCP", "destination": {"notPorts": ["http"]}}, False),
        ({"notProtocol": "TCP"}, False),
        ({"ipVersion": 6}, False),
        ({"protocol": 6}, True),
        ({"http": {"methods": ["GET"]}}, False),
    ],
)
def test_rule_matches_all_that_it_names(rule: dict[str, Any], *, allowed: bool) -> None:
    """A policy with one allowing rule lets the packet in exactly if the rule matches."""
    only = policy("db", "red", selector="app == 'db'", ingress=[{"action": "Allow", **rule}])

    assert allowed is _verdict(only).allowed


def test_rule_of_a_namespaced_policy_means_its_own_namespace() -> None:
    """The same labels in another namespace do not match."""
    only = policy(
        "db", "red", selector="app == 'db'", ingress=[{"action": "Allow", "source": {"selector": "app == 'web'"}}]
    )

    assert _verdict(only, source="10.48.0.1").allowed
    assert not _verdict(only, source="10.48.0.2").allowed


def test_network_sets_give_labels_to_the_outside() -> None:
    """An outside address matches selectors through the sets that have it."""
    only = global_policy(
        "g", selector="app == 'db'", ingress=[{"action": "Allow", "source": {"selector": "out == 'x'"}}]
    )
    partners = global_set("partners", ["203.0.113.0/24"], {"out": "x"})

    assert _verdict(only, partners, source="203.0.113.10").allowed
    assert not _verdict(only, partners, source="198.51.100.1").allowed


def test_pass_goes_on_to_the_next_tier() -> None:
    """Pass skips the rest of its tier, its default action included."""
    first = [
        tier("first", 1),
        global_policy("first.pass", tier="first", order=1, ingress=[{"action": "Pass"}]),
        global_policy("first.deny", tier="first", order=2, ingress=[{"action": "Deny"}]),
    ]

    assert Judged.PROFILE_RULE is (_verdict(*first).ingress or Reason(Judged.RULE)).judged


@pytest.mark.parametrize(("action", "allowed"), [("Pass", True), ("Deny", False)])
def test_tier_ends_with_its_default_action(action: str, *, allowed: bool) -> None:
    """A tier whose policies decide nothing denies, or passes on if it says so."""
    assert allowed is _verdict(tier("first", 1, action), global_policy("first.g", tier="first")).allowed


def test_missing_profile_denies() -> None:
    """A profile that does not exist denies, even before one that would allow."""
    pod = workload("new", "10.48.0.3", profiles=["gone", "kns.red"])
    found = _verdict(pod, source="10.48.0.3")

    assert Verdict(allowed=False, egress=Reason(Judged.MISSING_PROFILE, Key("Profile", "gone"))) == found


def test_nothing_allows_nothing() -> None:
    """Without policy, and with a profile that has no rules, everything is denied."""
    found = _verdict(profile("mute"), workload("new", "10.48.0.3", profiles=["mute"]), source="10.48.0.3")

    assert Reason(Judged.NO_PROFILE_ALLOWS) == found.egress


def test_node_always_reaches_its_own_workloads() -> None:
    """From its own node a workload is reached whatever policy says; from another node policy decides."""
    deny = global_policy("deny")

    assert Judged.HOST_TO_OWN_WORKLOAD is (_verdict(deny, source="192.0.2.2").ingress or Reason(Judged.RULE)).judged
    assert not _verdict(deny, source="192.0.2.1").allowed


@pytest.mark.parametrize(("action", "allowed"), [(None, False), ("Accept", True), ("Return", True), ("Drop", False)])
def test_workload_reaches_its_own_node_if_the_setting_allows(action: str | None, *, allowed: bool) -> None:
    """`defaultEndpointToHostAction` decides after egress policy; other nodes are ordinary destinations."""
    spec = {} if action is None else {"defaultEndpointToHostAction": action}
    felix = FelixConfiguration.model_validate({"metadata": {"name": "default"}, "spec": spec})

    assert allowed is _verdict(felix, destination="192.0.2.1").allowed
    assert _verdict(felix, destination="192.0.2.2").allowed


def test_packets_between_strangers_are_not_judged() -> None:
    """Where no workload takes part there is nothing to say."""
    assert Verdict(allowed=True) == _verdict(global_policy("deny"), source="203.0.113.1", destination="198.51.100.1")


def test_reason_reads_as_a_sentence_part() -> None:
    """A reason prints what decided, with policy and rule."""
    reason = Reason(Judged.RULE, Key("NetworkPolicy", "db", "red"), 2, "default")

    assert str(reason) == "a rule of a policy: NetworkPolicy red/db, rule 2"
