"""What no part of an effect can say is named: nobody may take silence for nothing."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.resources.base import Resource
from muslin.resources.bgp_filter import BGPFilter
from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.host_endpoint import HostEndpoint
from muslin.resources.kube_controllers_configuration import KubeControllersConfiguration
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.effect import effect
from reconciler.effect.unjudged import Unjudged
from tests.support.clusters import global_policy, global_set, namespace_profile, node, profile, tier, workload


def _resource(kind: type[Resource], name: str, **spec: Any) -> Resource:
    return kind.model_validate({"metadata": {"name": name}, "spec": spec})


_HOST = HostEndpoint.model_validate(
    {
        "metadata": {"name": "eth0", "labels": {"host": "yes"}},
        "spec": {"node": "node-a", "interfaceName": "eth0", "profiles": ["machines"]},
    }
)
_MACHINES = profile("machines", {"machine": "yes"})
_RULE = {"action": "Allow", "source": {"selector": "net == 'office'"}}
_OFFICE = {"net": "office"}
_OPEN = global_policy("open", selector="has(host)", tier="edge", ingress=[_RULE])
_PEER = _resource(BGPPeer, "rack", peerIP="192.0.2.254", asNumber=64500, node="node-a", filters=["all"])
_CLUSTER: list[Resource] = [
    node("node-a", "192.0.2.1/24"),
    namespace_profile("shop"),
    workload("web", "10.48.0.1", namespace="shop", labels={"app": "web"}),
    _HOST,
    _MACHINES,
    tier("edge", 10),
    _OPEN,
    global_set("office", ["198.51.100.0/24"], _OFFICE),
    global_set("lab", ["203.0.113.0/24"], {"net": "lab"}),
    _PEER,
    _resource(BGPFilter, "all"),
    _resource(BGPFilter, "unused"),
]
_REJECT = {"exportV4": [{"action": "Reject"}]}


def _told(*changed: Resource, without: str = "") -> dict[Unjudged, list[str]]:
    keys = {each.key for each in changed}
    kept = [each for each in _CLUSTER if each.key not in keys and str(each.key) != without]
    found = effect(Snapshot.of(_CLUSTER), Snapshot.of([*kept, *changed]))
    return {reason: list(map(str, keys)) for reason, keys in found.unjudged}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (_resource(HostEndpoint, "eth1", node="node-a", interfaceName="eth1"), "HostEndpoint eth1"),
        (_resource(HostEndpoint, "eth0", node="node-a", interfaceName="eth0"), "HostEndpoint eth0"),
        (tier("edge", 10, "Pass"), "Tier edge"),
        (profile("machines", {"machine": "no"}), "Profile machines"),
        (global_set("office", ["192.0.2.0/24"], _OFFICE), "GlobalNetworkSet office"),
        (global_policy("inherited", selector="has(machine)"), "GlobalNetworkPolicy inherited"),
        (_resource(FelixConfiguration, "default", failsafeInboundHostPorts=[]), "FelixConfiguration default"),
        (
            _resource(
                KubeControllersConfiguration, "default",
                controllers={"node": {"hostEndpoint": {"autoCreate": "Enabled"}}},
            ),
            "KubeControllersConfiguration default",
        ),
    ],
    ids=["a new host endpoint", "its labels", "its tier", "its profile", "a set its rules name", "by a profile's label",
         "failsafe ports", "endpoints made for every node"],
)  # fmt: skip
def test_whatever_can_close_a_host_is_named(changed: Resource, named: str) -> None:
    """Each of them changes what reaches a host, of which nothing is computed."""
    assert _told(changed).get(Unjudged.HOST_POLICY) == [named]


def test_a_host_endpoint_that_goes_is_named() -> None:
    """The host is open from then on."""
    assert _told(without=str(_HOST.key)) == {Unjudged.HOST_POLICY: ["HostEndpoint eth0"]}


@pytest.mark.parametrize(
    "changed",
    [
        tier("other", 5),
        global_set("lab", ["192.0.2.0/24"], {"net": "lab"}),
        profile("nobody", {"a": "b"}),
        _resource(BGPFilter, "unused", **_REJECT),
        _resource(FelixConfiguration, "default", logSeverityScreen="Debug"),
    ],
    ids=lambda each: str(each.key),
)
def test_what_concerns_no_host_and_no_peer_is_not_named(changed: Resource) -> None:
    """A warning that is always there is read by nobody."""
    assert _told(changed) == {}


def test_settings_of_agents_that_packets_feel_are_named() -> None:
    """Another dataplane may cut what no policy does; which objects set it is told, in every version of them."""
    changed = _resource(FelixConfiguration, "node.node-a", bpfEnabled=True)
    assert _told(changed) == {Unjudged.AGENT_SETTINGS: ["FelixConfiguration node.node-a"]}


def test_a_filter_of_a_peer_that_changes_is_named() -> None:
    """It may drop every prefix, although no session and no announcement of ours changes."""
    assert _told(_resource(BGPFilter, "all", **_REJECT)) == {Unjudged.BGP_FILTERS: ["BGPFilter all"]}


def test_a_peer_that_gets_another_filter_is_named() -> None:
    """Which filter counts changes what the peer hears as much as what it says."""
    peer = _resource(BGPPeer, "rack", peerIP="192.0.2.254", asNumber=64500, node="node-a", filters=["unused"])
    assert _told(peer) == {Unjudged.BGP_FILTERS: ["BGPPeer rack"]}
