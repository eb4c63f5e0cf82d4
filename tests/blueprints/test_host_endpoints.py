"""Machines behind policy: who still gets in, and that the operator always does."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from blueprints.decision import Blueprint
from blueprints.facts import load
from blueprints.musts import Must, Refusal
from blueprints.single_subnet import single_subnet
from muslin.errors import BadInput
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.host_endpoint import HostEndpoint
from muslin.resources.policy_rules import RuleAction
from muslin.selectors import parse
from muslin.semantics.selector_scope import effective_selector
from muslin.semantics.snapshot import Snapshot
from tests.blueprints.clusters import facts

_WISH: dict[str, Any] = {
    "operators": ["203.0.113.0/24"],
    "open": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 9100, "sources": ["198.51.100.7/32"]}],
}
_FAILSAFE = {("TCP", port) for port in (22, 179, 2379, 2380, 5473, 6443, 6666, 6667)} | {("UDP", 68)}


def _decided(**wish: Any) -> Blueprint:
    return single_subnet(facts(hostEndpoints={**_WISH, **wish}))


def _policy(blueprint: Blueprint) -> GlobalNetworkPolicy:
    (policy,) = (each for each in blueprint.files["hosts/policy.yaml"] if isinstance(each, GlobalNetworkPolicy))
    return policy


def _let_in(blueprint: Blueprint, source: str, port: int, protocol: str = "TCP") -> bool:
    """What the policy of the machines says of a packet from outside: an obvious reading of its rules."""
    for rule in _policy(blueprint).spec.ingress:
        nets = rule.source.nets if rule.source is not None else ()
        ports = rule.destination.ports if rule.destination is not None else ()
        if rule.protocol is not None and str(rule.protocol) != protocol:
            continue
        if nets and not any(ip_address(source) in net for net in nets):
            continue
        if ports and str(port) not in {str(each) for each in ports}:
            continue
        return rule.action is RuleAction.ALLOW
    return False


@pytest.mark.parametrize(
    ("source", "port", "allowed"),
    [
        ("203.0.113.9", 22, True),
        ("203.0.113.9", 6443, True),
        ("198.51.100.9", 22, False),
        ("192.0.2.2", 10250, True),
        ("192.0.2.2", 5473, True),
        ("10.48.0.7", 10250, True),
        ("10.48.0.7", 22, False),
        ("198.51.100.9", 443, True),
        ("198.51.100.7", 9100, True),
        ("198.51.100.9", 9100, False),
    ],
)
def test_who_gets_in(source: str, port: int, *, allowed: bool) -> None:
    """Operators, other nodes, pods to the kubelet, and what is open; nobody else."""
    assert _let_in(_decided(), source, port) is allowed


def test_both_families_get_in() -> None:
    """A rule for each, as none may hold both; operators may come over a family that pods do not have."""
    nodes = [{"name": "a", "address": "192.0.2.1", "addressV6": "2001:db8::1"}]
    told = {"nodes": nodes, "subnets": ["192.0.2.0/24", "2001:db8::/64"], "podRangeV6": "2001:db8:48::/48"}
    operators = ["203.0.113.0/24", "2001:db8:9::/64"]
    blueprint = single_subnet(facts(**told, hostEndpoints={"operators": operators}))
    sources = ("203.0.113.9", "2001:db8:9::9", "2001:db8::7", "2001:db8:ffff::1")

    assert [_let_in(blueprint, each, 22) for each in sources] == [True, True, True, False]
    assert _let_in(_decided(operators=operators), "2001:db8:9::9", 22)


def test_an_endpoint_closes_nothing_before_its_policy() -> None:
    """Each has the profile that allows everything, and the label that the policy selects; egress is not judged."""
    blueprint = _decided()
    endpoints = [each for each in blueprint.files["hosts/endpoints.yaml"] if isinstance(each, HostEndpoint)]

    assert [each.metadata.name for each in endpoints] == ["node-a-all", "node-b-all"]
    assert {each.spec.profiles for each in endpoints} == {("projectcalico-default-allow",)}
    assert all(parse(_policy(blueprint).spec.selector or "").matches(each.metadata.labels) for each in endpoints)
    assert [each.value for each in _policy(blueprint).spec.effective_types] == ["Ingress"]
    assert [group.name for group in blueprint.groups] == ["network", "default-policy", "hosts"]


def test_the_default_policy_selects_no_machine() -> None:
    """It is about pods: with `namespaceSelector` it never matches a label of a host endpoint."""
    blueprint = _decided()
    deny = Snapshot.of(blueprint.resources).get(GlobalNetworkPolicy, "default-deny")

    assert deny is not None
    assert not effective_selector(deny).matches({"host-endpoint": "true"})


@pytest.mark.parametrize(
    ("wish", "added"),
    [
        ({}, set()),
        ({"sshPort": 2222}, {("TCP", 2222)}),
        ({"sshPort": 2222, "apiPort": 443}, {("TCP", 2222), ("TCP", 443)}),
    ],
)
def test_failsafe_ports_hold_the_machine_s_own(wish: dict[str, Any], added: set[tuple[str, int]]) -> None:
    """The usual list stays, and is written only where a port is to be added to it."""
    found = [each for each in _decided(**wish).resources if isinstance(each, FelixConfiguration)]
    listed = {
        (str(port.protocol), int(port.port)) for each in found for port in each.spec.failsafe_inbound_host_ports or ()
    }

    assert listed == (_FAILSAFE | added if added else set())


@pytest.mark.parametrize(
    ("operators", "what"),
    [([], "it is not said where operators come from"), (["10.48.7.0/24"], "which are pods")],
)
def test_nobody_is_locked_out(operators: list[str], what: str) -> None:
    """Without a way in for operators there are no host endpoints; pods are no way in."""
    with pytest.raises(BadInput) as caught:
        _decided(operators=operators)
    (refused,) = caught.value.problems

    assert isinstance(refused, Refusal)
    assert (refused.must, what in refused.what) == (Must.OPERATOR_STAYS, True)


def test_without_a_wish_there_are_none() -> None:
    """No copied defaults: nothing about hosts is written, nor decided."""
    blueprint = single_subnet(facts())

    assert not [each for each in blueprint.resources if isinstance(each, (HostEndpoint, FelixConfiguration))]
    assert "host endpoints" not in {each.name for each in blueprint.decisions}


@pytest.mark.parametrize("wish", [{"sshPort": 0}, {"open": [{"protocol": "ICMP", "port": 1}]}, {"interface": "eth 0"}])
def test_wrong_wishes_are_told(wish: dict[str, Any]) -> None:
    """A port that is none, a protocol without ports, a name that is no interface's."""
    document = {**_WISH, **wish}
    with pytest.raises(BadInput, match="hostEndpoints"):
        load(
            {
                "apiVersion": "blueprints.muslin/v1alpha1", "kind": "Cluster", "name": "demo", "networkMTU": 1500,
                "nodes": [{"name": "a", "address": "192.0.2.1"}], "subnets": ["192.0.2.0/24"],
                "podRange": "10.48.0.0/16", "hostEndpoints": document,
            }
        )  # fmt: skip
