"""ReferenceNetwork in a program: which resources, under which names, in which order, with which options."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from muslin.pulumi import ReferenceNetwork, ReferenceNetworkArgs, Refused
from tests.blueprints.clusters import facts, nodes_in
from tests.muslin.pulumi.recording import Program, run

_SWITCH = {"name": "t1", "address": "192.0.2.254", "asNumber": 64400, "racks": ["r1"], "passwordSecret": "bgp"}
_RACK = [{"name": f"n{index}", "address": f"192.0.2.{index}", "rack": "r1"} for index in (1, 2)]

_PEERED = {"nodes": _RACK, "topOfRack": [_SWITCH], "subnets": ["192.0.2.0/24"], "blueprint": "top_of_rack"}


def _network(told: dict[str, Any], **args: Any) -> Program:
    done = run(lambda: ReferenceNetwork("net", ReferenceNetworkArgs(facts(**told), look_first=False, **args)))
    assert done.error is None
    return done


def test_one_resource_for_each_object() -> None:
    """Every object of the blueprint is one Pulumi resource, and nothing but the gate's is added."""
    told = nodes_in(3, 3)
    decided = BLUEPRINTS["route_reflectors"](facts(**told), None, None)

    done = _network(told, blueprint="route_reflectors")
    made = [each for each in done.resources.values() if each.custom and not each.type.startswith("pulumi:")]
    objects = [(each.inputs.get("kind", "Node"), each.inputs["metadata"]["name"]) for each in made]

    assert len(set(objects)) == len(objects)
    assert set(objects) - {(each.kind, each.metadata.name) for each in decided.resources} == {
        ("CalicoNodeStatus", "sessions-of-n0-0"), ("CalicoNodeStatus", "sessions-of-n1-0"),
    }  # fmt: skip


def test_names_follow_from_the_objects() -> None:
    """Names are component, kind, namespace and name: the same for the same facts, whatever else there is."""
    done = _network({"startingPolicies": ["shop"]}, blueprint="single_subnet")

    assert {name for name, each in done.resources.items() if each.custom} == {
        "net-kubernetes",
        "net-ippool-default-ipv4-ippool",
        "net-bgpconfiguration-default",
        "net-networkpolicy-shop-starting",
        "net-globalnetworkpolicy-default-deny",
    }


def test_children_of_their_concern() -> None:
    """Pools, peering and policy are components below the network, and each object is in one of them."""
    done = _network({}, blueprint="single_subnet")

    assert {name: each.parent for name, each in done.resources.items() if "net-" in name} == {
        "net-kubernetes": "net",
        "net-pools": "net",
        "net-peering": "net",
        "net-policy": "net",
        "net-ippool-default-ipv4-ippool": "net-pools",
        "net-bgpconfiguration-default": "net-peering",
        "net-globalnetworkpolicy-default-deny": "net-policy",
    }


def test_the_mesh_goes_off_behind_the_gate() -> None:
    """BGPConfiguration waits for the reports of both reflectors, and these for peers and nodes."""
    done = _network(nodes_in(3, 3), blueprint="route_reflectors")
    gates = {"net-caliconodestatus-sessions-of-n0-0", "net-caliconodestatus-sessions-of-n1-0"}
    peers = {"net-bgppeer-node-peer-to-rr", "net-bgppeer-rr-to-rr-peer"}

    assert gates == set(done.resources["net-bgpconfiguration-default"].after)
    for gate in gates:
        assert peers | {"net-node-n0-0", "net-node-n1-0"} == set(done.resources[gate].after)


def test_what_the_gate_waits_for() -> None:
    """A reflector's report must show an established session with every other node."""
    done = _network(nodes_in(2, 2), blueprint="route_reflectors")
    gate = done.resources["net-caliconodestatus-sessions-of-n0-0"]
    annotations = gate.inputs["metadata"]["annotations"]

    assert gate.inputs["spec"] == {"node": "n0-0", "classes": ["BGP"], "updatePeriodSeconds": 10}
    assert annotations["pulumi.com/timeoutSeconds"] == "600"
    for address in ("10.0.0.2", "10.1.0.1", "10.1.0.2"):
        path = f'jsonpath={{.status.bgp.peersV4[?(@.peerIP==\\"{address}\\")].state}}=Established'
        assert f'"{path}"' in annotations["pulumi.com/waitFor"]
    assert '10.0.0.1\\"' not in annotations["pulumi.com/waitFor"]


def test_without_a_gate() -> None:
    """Who has no agents that report does without: the mesh still goes off after peers and nodes."""
    done = _network(nodes_in(3, 3), blueprint="route_reflectors", gate=None)

    assert sorted(done.of(":CalicoNodeStatus")) == []
    assert set(done.resources["net-bgpconfiguration-default"].after) == {
        "net-bgppeer-node-peer-to-rr", "net-bgppeer-rr-to-rr-peer", "net-node-n0-0", "net-node-n1-0",
    }  # fmt: skip


def test_switches_are_waited_for_by_each_node_of_their_rack() -> None:
    """Where switches replace the mesh, every node reports its sessions with those of its rack."""
    told = {"nodes": _RACK, "topOfRack": [_SWITCH], "subnets": ["192.0.2.0/24"]}
    done = _network(told, blueprint="top_of_rack")

    assert done.of(":CalicoNodeStatus") == [
        "net-caliconodestatus-sessions-of-n1", "net-caliconodestatus-sessions-of-n2",
    ]  # fmt: skip
    waited = done.resources["net-caliconodestatus-sessions-of-n2"].inputs["metadata"]["annotations"]
    assert "192.0.2.254" in waited["pulumi.com/waitFor"]


def test_policies_after_those_that_allow() -> None:
    """The policy that denies waits for the ones that allow, as the reconciler's order says."""
    done = _network({"startingPolicies": ["shop"]}, blueprint="single_subnet")

    assert done.resources["net-globalnetworkpolicy-default-deny"].after == ("net-networkpolicy-shop-starting",)


def test_pools_are_protected_and_nothing_else() -> None:
    """Pulumi refuses to delete pools, unless the program says that it may."""
    done = _network(nodes_in(3, 3), blueprint="route_reflectors")
    free = _network({}, blueprint="single_subnet", protect_pools=False)

    assert [each.name for each in done.resources.values() if each.protect] == ["net-ippool-default-ipv4-ippool"]
    assert [each.name for each in free.resources.values() if each.protect] == []


def test_what_others_own_is_patched() -> None:
    """Kubelet's Nodes and agents' settings are patched; what is named as shared is as well; the rest is made."""
    done = _network(nodes_in(3, 3), blueprint="route_reflectors", shared=["BGPConfiguration/default"])

    assert sorted(done.of("Patch")) == [
        "net-bgpconfiguration-default", "net-felixconfiguration-default", "net-node-n0-0", "net-node-n1-0",
    ]  # fmt: skip
    node = done.resources["net-node-n0-0"]
    assert node.type == "kubernetes:core/v1:NodePatch"
    assert node.inputs["metadata"] == {
        "name": "n0-0",
        "labels": {"route-reflector": "true"},
        "annotations": {
            "pulumi.com/patchFieldManager": "muslin",
            "stacks.muslin/writer": "project/stack",
            "projectcalico.org/RouteReflectorClusterID": "1.0.0.1",
        },
    }


def test_everything_is_written_under_the_reconcilers_name() -> None:
    """Each object names the reconciler's manager, so that it can go over without a conflict; force only where asked."""
    done = _network(nodes_in(3, 3), blueprint="route_reflectors", force=["IPPool/default-ipv4-ippool"])
    annotations = {
        name: each.inputs["metadata"]["annotations"]
        for name, each in done.resources.items()
        if "metadata" in each.inputs
    }

    assert len(annotations) == 10
    assert {each["pulumi.com/patchFieldManager"] for each in annotations.values()} == {"muslin"}
    assert [name for name, each in annotations.items() if "pulumi.com/patchForce" in each] == [
        "net-ippool-default-ipv4-ippool"
    ]


def test_the_provider_asks_fast_and_adopts() -> None:
    """One provider for all objects, with a request rate of its own and upsert; a password is changed in place."""
    done = _network({}, blueprint="single_subnet")
    given = done.resources["net-kubernetes"].inputs
    used = {each.provider for each in done.resources.values() if "metadata" in each.inputs}

    assert used == {"net-kubernetes"}
    assert (given["upsertExistingObjects"], given["enableSecretMutable"]) == ("true", "true")
    assert json.loads(given["kubeClientSettings"]) == {"qps": 500, "burst": 1000}


def test_the_provider_finds_its_cluster_as_kubectl_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine's path of a kubeconfig is in the state, several files are no path, and no variable ends the apply."""
    monkeypatch.setenv("KUBECONFIG", "/one/config:/other/config")
    monkeypatch.setenv("PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY", "false")
    given = _network({}, blueprint="single_subnet").resources["net-kubernetes"].inputs

    assert given["kubeconfig"] == ""
    assert given["enableServerSideApply"] == "true"


def test_retained_before_hand_over() -> None:
    """With `retain` every object stays when the stack goes, except those that only ask nodes for reports."""
    done = _network(nodes_in(3, 3), blueprint="route_reflectors", retain=True)
    gone = [name for name, each in done.resources.items() if "metadata" in each.inputs and not each.retain]

    assert sorted(gone) == ["net-caliconodestatus-sessions-of-n0-0", "net-caliconodestatus-sessions-of-n1-0"]


def test_outputs_say_why() -> None:
    """Decisions with reason, alternatives and source, and for each object what made it so."""
    done = _network({}, blueprint="single_subnet")
    outputs = done.outputs["net"]

    assert outputs["blueprint"] == "single_subnet"
    decision = outputs["decisions"]["encapsulation"]
    assert decision["chosen"] == "no encapsulation"
    assert "Calico Reference Architecture" in decision["source"]
    assert decision["notChosen"]
    assert any(each.startswith("encapsulation: ") for each in outputs["reasons"]["IPPool/default-ipv4-ippool"])


def test_policies_can_wait() -> None:
    """The default policy is a second step: without it there is no policy at all."""
    done = _network({"startingPolicies": ["shop"]}, blueprint="single_subnet", default_policy=False)

    assert done.of("NetworkPolicy") == []


_RUNNING = {**nodes_in(3, 3), "running": {"routeDistribution": "node-to-node mesh"}}


def test_a_change_in_stages() -> None:
    """What a running cluster must not do at once is done stage by stage: the mesh stays on until the last of them."""
    first = _network(_RUNNING, blueprint="route_reflectors", stage=1)
    args = ReferenceNetworkArgs(facts(**_RUNNING), "route_reflectors", look_first=False)
    at_once = run(lambda: ReferenceNetwork("net", args))

    assert first.resources["net-bgpconfiguration-default"].inputs["spec"].get("nodeToNodeMeshEnabled", True) is True
    assert isinstance(at_once.error, Refused)
    assert "a running cluster must not change at once" in str(at_once.error)
    assert at_once.resources == {}


@pytest.mark.parametrize(
    ("told", "args", "said"),
    [
        ({"datastore": "embedded"}, {}, "Pulumi writes to Kubernetes, and the datastore is embedded"),
        ({}, {"passwords": {"bgp": "x"}}, "no session uses the Secret 'bgp'"),
        ({}, {"shared": ["IPPool/other"]}, "'IPPool/other' is none of the blueprint's objects"),
        ({}, {"force": "BGPConfiguration/default"}, "give a list of texts: ['BGPConfiguration/default']"),
        (_PEERED, {"passwords": {"bgp": ""}}, "the password of bgp is not a text of 1 to 80 bytes"),
        (_PEERED, {"passwords": {"bgp": "\u00e9" * 41}}, "the password of bgp is not a text of 1 to 80 bytes"),
        ({}, {"stage": 1}, "there is no stage 1"),
        (_RUNNING, {"stage": 99, "blueprint": "route_reflectors"}, "there is no stage 99"),
        ({}, {"blueprint": "ring"}, "there is no blueprint 'ring'"),
        ({"plannedNodes": 80}, {"blueprint": "single_subnet"}, "80 nodes"),
        ({"blueprint": "multi_subnet"}, {"blueprint": "single_subnet"}, "for single_subnet, and its facts say multi_s"),
    ],
)
def test_refused_before_anything_is_registered(told: dict[str, Any], args: dict[str, Any], said: str) -> None:
    """What does not go together is Pulumi's own error, with place and fix, and no resource is registered."""
    done = run(lambda: ReferenceNetwork("net", ReferenceNetworkArgs(facts(**told), look_first=False, **args)))

    assert isinstance(done.error, Refused)
    assert said in str(done.error)
    assert "fix:" in str(done.error)
    assert done.resources == {}


def test_every_mistake_at_once() -> None:
    """All problems of the facts come in one error, with their places in the file."""
    wrong = {
        "apiVersion": "blueprints.muslin/v1alpha1",
        "kind": "Cluster",
        "name": 3,
        "subnets": ["x"],
        "podRange": "y",
    }
    done = run(lambda: ReferenceNetwork("net", ReferenceNetworkArgs(wrong)))

    assert isinstance(done.error, Refused)
    assert len(done.error.problems) >= 4
    assert "so nothing is written" in str(done.error)
