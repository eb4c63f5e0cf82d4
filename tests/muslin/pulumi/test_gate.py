"""What is asked of which node before the mesh goes off."""

from __future__ import annotations

import json

from muslin.pulumi.arguments import Gate
from muslin.pulumi.gate import gates
from tests.blueprints.clusters import facts, nodes_in

_REFLECTOR = {"spec": {"bgp": {"routeReflectorClusterID": "1.0.0.1"}}}
_BOTH = {
    "nodes": [
        {"name": "a", "address": "192.0.2.1", "addressV6": "2001:db8::1"},
        {"name": "b", "address": "192.0.2.2", "addressV6": "2001:db8::2"},
    ],
    "subnets": ["192.0.2.0/24", "2001:db8::/64"],
    "podRangeV6": "2001:db8:48::/48",
}


def test_sessions_of_both_families() -> None:
    """Where pods have addresses of both, a session of each is waited for."""
    (waiting,) = gates(facts(**_BOTH), {"a": _REFLECTOR}, Gate())

    assert json.loads(waiting.annotations["pulumi.com/waitFor"]) == [
        'jsonpath={.status.bgp.peersV4[?(@.peerIP=="192.0.2.2")].state}=Established',
        'jsonpath={.status.bgp.peersV6[?(@.peerIP=="2001:db8::2")].state}=Established',
    ]


def test_reflectors_outside() -> None:
    """Where they stand outside of the cluster, every node is asked for its sessions with them."""
    outside = [{"name": f"rr{last}", "address": f"192.0.2.{last}", "asNumber": 64512} for last in (253, 254)]
    found = gates(facts(externalReflectors=outside), {}, Gate())

    assert [each.key.name for each in found] == ["sessions-of-node-a", "sessions-of-node-b"]
    assert [len(json.loads(each.annotations["pulumi.com/waitFor"])) for each in found] == [2, 2]


def test_nobody_to_ask() -> None:
    """Without reflectors and switches there is nothing to wait for."""
    assert gates(facts(), {}, Gate()) == ()


def test_how_long_and_how_often() -> None:
    """The time that Pulumi waits, and the period in which the node reports, are as the program says."""
    (waiting,) = gates(facts(), {"node-a": _REFLECTOR}, Gate(timeout_s=60, period_s=5))

    assert waiting.annotations["pulumi.com/timeoutSeconds"] == "60"
    assert waiting.value["spec"] == {"node": "node-a", "classes": ["BGP"], "updatePeriodSeconds": 5}


def test_a_large_cluster_is_asked_in_parts() -> None:
    """No object's annotations exceed what Kubernetes allows for all of them together; none is asked twice."""
    given = facts(**nodes_in(2500), plannedNodes=2500)
    found = gates(given, {"n0-0": _REFLECTOR}, Gate())
    asked = [each for waiting in found for each in json.loads(waiting.annotations["pulumi.com/waitFor"])]

    assert [each.key.name for each in found] == ["sessions-of-n0-0", "sessions-of-n0-0-1", "sessions-of-n0-0-2"]
    assert len(asked) == len(set(asked)) == 2499
    assert max(sum(map(len, each.annotations.values())) for each in found) < 200 << 10
