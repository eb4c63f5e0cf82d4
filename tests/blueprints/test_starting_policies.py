"""A namespace's starting policy: its own pods and DNS, and nothing of others; refused where it would do harm."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from blueprints.single_subnet import single_subnet
from muslin.errors import BadInput
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, verdict
from tests.blueprints.clusters import facts
from tests.support.clusters import namespace_profile, workload


@pytest.mark.parametrize("deny", [True, False])
@pytest.mark.parametrize(
    ("source", "destination", "protocol", "port", "allowed"),
    [
        ("10.48.0.1", "10.48.0.2", 6, 80, True),
        ("10.48.0.1", "10.48.0.3", 6, 80, False),
        ("10.48.0.3", "10.48.0.1", 6, 80, False),
        ("10.48.0.1", "203.0.113.10", 6, 443, False),
        ("10.48.0.1", "10.48.0.9", 17, 53, True),
        ("10.48.0.1", "10.48.0.9", 6, 53, True),
    ],
)
def test_a_namespace_talks_within_itself(
    source: str, destination: str, protocol: int, port: int, *, allowed: bool, deny: bool
) -> None:
    """With the default policy, and in the moment before it is there."""
    policies = [
        each
        for each in single_subnet(facts(startingPolicies=["shop"])).resources
        if each.kind == "NetworkPolicy" or (deny and each.kind == "GlobalNetworkPolicy")
    ]
    snapshot = Snapshot.of(
        [
            *policies,
            *(namespace_profile(each) for each in ("shop", "red", "kube-system")),
            workload("web", "10.48.0.1", namespace="shop"),
            workload("db", "10.48.0.2", namespace="shop", on="node-b"),
            workload("other", "10.48.0.3", namespace="red"),
            workload("dns", "10.48.0.9", namespace="kube-system"),
        ]
    )
    flow = Flow(ip_address(source), ip_address(destination), protocol, 40000, port)

    assert verdict(snapshot, flow).allowed is allowed


def test_it_stands_before_the_default_policy() -> None:
    """In the same group and commit, so that nobody is without either; one file for each namespace."""
    blueprint = single_subnet(facts(startingPolicies=["shop", "web"]))
    group = blueprint.groups[-1]

    assert list(group.files) == [
        "default-policy/shop.yaml", "default-policy/web.yaml", "default-policy/default-deny.yaml",
    ]  # fmt: skip
    assert blueprint.decision("starting policies").chosen == "shop, web"


@pytest.mark.parametrize("namespace", ["kube-system", "Not_A_Name", "a.b"])
def test_names_that_do_harm_are_refused(namespace: str) -> None:
    """kube-system is open, and must stay so; others must be names of namespaces."""
    with pytest.raises(BadInput) as refused:
        facts(startingPolicies=[namespace])

    assert [each.where for each in refused.value.problems] == ["startingPolicies[0]"]
