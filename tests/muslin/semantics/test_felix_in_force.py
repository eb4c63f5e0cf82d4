"""Which FelixConfigurations count for a node, and what the agent does with what they say."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from muslin.resources.base import Resource
from muslin.resources.cluster_information import ClusterInformation
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.ip_pool import IPPool
from muslin.resources.node import Node
from muslin.semantics.felix import felix_problems, felix_settings, selecting
from muslin.semantics.felix_sources import Local, Source
from muslin.semantics.mtu import node_pod_mtu
from muslin.semantics.snapshot import Snapshot
from runtime.calc.compute import compute
from runtime.calc.state import Action


def _felix(name: str, created: str | None = None, **spec: Any) -> FelixConfiguration:
    return FelixConfiguration.model_validate({"metadata": {"name": name, "creationTimestamp": created}, "spec": spec})


def _node(name: str = "a", **spec: Any) -> Node:
    return Node.model_validate({"metadata": {"name": name, "labels": {"rack": "x"}}, "spec": spec})


_EVERYWHERE = {"nodeSelector": "rack == 'x'"}


@given(st.permutations(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"]))
def test_the_oldest_object_that_selects_a_node_counts_alone(created: list[str]) -> None:
    """Fields of younger ones are not even filled in where the oldest is silent; the others are told."""
    names = ["one", "two", "three"]
    objects = [
        _felix(name, when, vxlanMTU=1400 + number, **({"ipipMTU": 1300} if when != min(created) else {}), **_EVERYWHERE)
        for number, (name, when) in enumerate(zip(names, created, strict=True))
    ]
    snapshot = Snapshot.of([_node(), *objects])
    settings = felix_settings(snapshot, "a")

    oldest = created.index(min(created))
    assert (settings["VXLANMTU"], settings["IpInIpMtu"]) == (1400 + oldest, 0)
    assert next(each.metadata.name for each in selecting(snapshot, "a")) == names[oldest]
    assert len(list(felix_problems(snapshot, "a", settings))) == 2


def test_of_two_of_the_same_age_the_first_name_counts() -> None:
    """The choice never depends on the order in which objects come."""
    objects: list[Resource] = [_felix("b", vxlanMTU=2, **_EVERYWHERE), _felix("a", vxlanMTU=1, **_EVERYWHERE), _node()]

    for order in (objects, objects[::-1]):
        assert felix_settings(Snapshot.of(order), "a")["VXLANMTU"] == 1


def test_an_object_without_selector_counts_for_no_node() -> None:
    """Any name but `default` and `node.` needs a selector; one that does not match does not count either."""
    snapshot = Snapshot.of([_node(), _felix("mine", vxlanMTU=1), _felix("y", vxlanMTU=2, nodeSelector="rack == 'y'")])

    assert felix_settings(snapshot, "a").setting("VXLANMTU").source is Source.DEFAULT


def test_environment_and_file_count_before_the_datastore() -> None:
    """All six places in one: each setting comes from the strongest that says it."""
    names = ["VXLANMTU", "IpInIpMtu", "VXLANMTUV6", "VXLANPort", "WireguardMTU", "VXLANVNI"]
    snapshot = Snapshot.of(
        [
            _node(),
            _felix("default", vxlanMTU=1, ipipMTU=1, vxlanMTUV6=1, vxlanPort=1, wireguardMTU=1),
            _felix("rack", vxlanMTU=2, ipipMTU=2, vxlanMTUV6=2, vxlanPort=2, **_EVERYWHERE),
            _felix("node.a", vxlanMTU=3, ipipMTU=3, vxlanMTUV6=3),
        ]
    )
    local = Local(environment={"vxlanmtu": "5"}, file={"VXLANMTU": "4", "IpInIpMtu": "4"})

    assert [felix_settings(snapshot, "a", local)[name] for name in names] == [5, 4, 3, 2, 1, 4096]


def test_cluster_and_node_say_their_own_settings() -> None:
    """The cluster's type is ClusterInformation's, tunnels' addresses are the Node's."""
    information = ClusterInformation.model_validate(
        {"metadata": {"name": "default"}, "spec": {"clusterType": "k8s,bgp", "clusterGUID": "ab"}}
    )
    snapshot = Snapshot.of([information, _node(ipv4VXLANTunnelAddr="192.0.2.9")])
    settings = felix_settings(snapshot, "a")

    assert (settings["ClusterType"], settings["ClusterGUID"]) == ("k8s,bgp", "ab")
    assert str(settings["IPv4VXLANTunnelAddr"]) == "192.0.2.9"


def test_the_agent_obeys_its_environment() -> None:
    """What pods may send to their own node, and their MTU, follow the environment before the datastore."""
    snapshot = Snapshot.of([_felix("default", defaultEndpointToHostAction="return")])
    pool = IPPool.model_validate({"metadata": {"name": "p"}, "spec": {"cidr": "10.48.0.0/16", "vxlanMode": "Always"}})
    local = Local(environment={"defaultendpointtohostaction": "Accept", "vxlanmtu": "1234"})

    assert compute(snapshot, "a").endpoint_to_host is Action.PASS
    assert compute(snapshot, "a", local=local).endpoint_to_host is Action.ALLOW
    assert node_pod_mtu(Snapshot.of([pool]), "a", 1500, local) == 1234


def test_what_cannot_be_meant_is_told_and_the_default_stands() -> None:
    """A bad value in the datastore does not end the agent: it is among the node's problems, with its field."""
    snapshot = Snapshot.of([_felix("default", interfacePrefix="no good", metadataPort=70000)])
    state = compute(snapshot, "a")

    assert {"FelixConfiguration default  spec.interfacePrefix", "FelixConfiguration default  spec.metadataPort"} == {
        problem.where for problem in state.problems
    }
