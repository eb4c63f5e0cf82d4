"""Which policies judge an endpoint, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.resources.policy import PolicyType
from muslin.resources.tier import TierAction
from muslin.semantics.policy import endpoint_labels, ordered_policies, selected_by, tiers
from muslin.semantics.snapshot import Snapshot
from tests.support.clusters import global_policy, policy, profile, tier, workload


def test_tiers_go_by_order_then_name() -> None:
    """Built-in tiers exist without objects; a tier without order counts as the default one does."""
    snapshot = Snapshot.of([tier("zeta", 5), tier("alpha", 5, "Pass"), tier("unordered")])

    assert [(each.name, each.default_action) for each in tiers(snapshot)] == [
        ("alpha", TierAction.PASS),
        ("zeta", TierAction.DENY),
        ("kube-admin", TierAction.PASS),
        ("default", TierAction.DENY),
        ("unordered", TierAction.DENY),
        ("kube-baseline", TierAction.PASS),
    ]


def test_policies_go_by_order_then_name_and_unordered_last() -> None:
    """Equal orders are settled by name/namespace/kind, whatever the kind."""
    snapshot = Snapshot.of(
        [
            global_policy("b", order=10),
            policy("a", "red", order=10),
            policy("b", "blue", order=10),
            global_policy("early", order=-1),
            global_policy("unordered"),
        ]
    )
    ((_, policies),) = ordered_policies(snapshot)

    assert [each.metadata.name for each in policies] == ["early", "a", "b", "b", "unordered"]
    assert [each.kind for each in policies[2:4]] == ["GlobalNetworkPolicy", "NetworkPolicy"]


@pytest.mark.parametrize("special", [{"doNotTrack": True}, {"preDNAT": True}])
def test_policies_for_hosts_only_do_not_judge_workloads(special: dict[str, Any]) -> None:
    """Untracked and pre-DNAT policies never select a workload."""
    spec = {**special, "applyOnForward": True, "types": ["Ingress"]}

    assert ordered_policies(Snapshot.of([global_policy("g", **spec)])) == ()


def test_policy_of_a_missing_tier_has_no_place() -> None:
    """A policy whose tier does not exist is left out until the tier is there."""
    orphan = global_policy("gone.g", tier="gone")

    assert ordered_policies(Snapshot.of([orphan])) == ()
    assert len(ordered_policies(Snapshot.of([orphan, tier("gone", 1)]))) == 1


@pytest.mark.parametrize(
    ("spec", "ingress", "egress"),
    [
        ({}, True, False),
        ({"ingress": [{"action": "Allow"}]}, True, False),
        ({"egress": [{"action": "Allow"}]}, False, True),
        ({"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]}, True, True),
        ({"types": ["Egress"]}, False, True),
        ({"types": ["Ingress", "Egress"]}, True, True),
    ],
)
def test_directions_follow_from_types_or_rules(spec: dict[str, Any], *, ingress: bool, egress: bool) -> None:
    """Without types a policy judges the directions that it has rules for, and ingress if none."""
    (found,) = selected_by({}, Snapshot.of([global_policy("g", **spec)]))

    assert (ingress, egress) == (bool(found.of(PolicyType.INGRESS)), bool(found.of(PolicyType.EGRESS)))


def test_labels_are_inherited_below_own_ones() -> None:
    """Own labels win over profiles', earlier profiles over later; namespace and account are labels too."""
    pod = workload(
        "pod",
        "10.48.0.1",
        namespace="red",
        labels={"a": "own"},
        profiles=["first", "second", "missing"],
        serviceAccountName="robot",
    )
    snapshot = Snapshot.of([pod, profile("first", {"a": "1", "b": "1"}), profile("second", {"b": "2", "c": "2"})])

    assert endpoint_labels(pod, snapshot) == {
        "a": "own",
        "b": "1",
        "c": "2",
        "projectcalico.org/namespace": "red",
        "projectcalico.org/serviceaccount": "robot",
    }
