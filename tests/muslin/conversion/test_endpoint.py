"""Pods as endpoints of Calico, and the patches by which endpoints are written."""

from __future__ import annotations

from typing import Any

import pytest

from muslin import resources
from muslin.conversion.endpoint import (
    endpoint_from_pod,
    endpoint_patch,
    is_finished,
    pod_of_endpoint,
    removal_patch,
)
from muslin.conversion.endpoint_name import interface_of
from tests.muslin.conversion.objects import BORN, UID, pod

_CNI = "cni.projectcalico.org/"


def _spec(annotations: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    converted = endpoint_from_pod(pod(annotations, **changes))
    assert converted is not None
    assert converted.problems == ()
    spec: dict[str, Any] = converted.value["spec"]
    return spec


def test_a_pod_is_an_endpoint() -> None:
    """Name, labels, profiles, addresses and interface follow from the pod alone."""
    converted = endpoint_from_pod(pod({f"{_CNI}containerID": "0123"}))
    assert converted is not None

    assert converted.problems == ()
    assert converted.value == {
        "apiVersion": "projectcalico.org/v3",
        "kind": "WorkloadEndpoint",
        "metadata": {
            "name": "node--1-k8s-web--0-eth0",
            "namespace": "red",
            **BORN,
            "labels": {
                "app": "web",
                "projectcalico.org/namespace": "red",
                "projectcalico.org/orchestrator": "k8s",
                "projectcalico.org/serviceaccount": "runner",
            },
        },
        "spec": {
            "orchestrator": "k8s",
            "node": "node-1",
            "containerID": "0123",
            "pod": "web-0",
            "endpoint": "eth0",
            "serviceAccountName": "runner",
            "ipNetworks": ["10.48.0.1/32", "2001:db8::1/128"],
            "profiles": ["kns.red", "ksa.red.runner"],
            "interfaceName": interface_of("red", "web-0"),
        },
    }
    assert resources.load(converted.value).kind == "WorkloadEndpoint"


@pytest.mark.parametrize("spec", [{"nodeName": ""}, {"nodeName": None}, {"hostNetwork": True}])
def test_pods_without_a_network_of_their_own_are_not_shown(spec: dict[str, Any]) -> None:
    """A pod on no node, or in the node's network, is no endpoint."""
    assert endpoint_from_pod(pod(spec=spec)) is None


def test_without_service_account_there_is_no_profile_of_one() -> None:
    """The profile and the label of a service account need one."""
    converted = endpoint_from_pod(pod(spec={"serviceAccountName": ""}))
    assert converted is not None

    assert converted.value["spec"]["profiles"] == ["kns.red"]
    assert "serviceAccountName" not in converted.value["spec"]
    assert "projectcalico.org/serviceaccount" not in converted.value["metadata"]["labels"]


@pytest.mark.parametrize(("length", "labelled"), [(62, True), (63, False)])
def test_a_long_service_account_is_no_label(length: int, *, labelled: bool) -> None:
    """A label's value may not be longer; the field has it nevertheless."""
    account = "a" * length
    converted = endpoint_from_pod(pod(spec={"serviceAccountName": account}))
    assert converted is not None

    assert ("projectcalico.org/serviceaccount" in converted.value["metadata"]["labels"]) == labelled
    assert converted.value["spec"]["serviceAccountName"] == account


_NOWHERE: dict[str, Any] = {"podIP": "", "podIPs": []}


@pytest.mark.parametrize(
    ("status", "annotations", "networks"),
    [
        ({"podIP": "10.48.0.9"}, {}, ["10.48.0.1/32", "2001:db8::1/128"]),
        ({"podIP": "10.48.0.9", "podIPs": []}, {f"{_CNI}podIPs": "10.48.0.2/32"}, ["10.48.0.9/32"]),
        (
            _NOWHERE,
            {f"{_CNI}podIPs": "10.48.0.2/32,2001:db8::2/128", f"{_CNI}podIP": "10.48.0.3/32"},
            ["10.48.0.2/32", "2001:db8::2/128"],
        ),
        (_NOWHERE, {f"{_CNI}podIP": "10.48.0.3/32", "vpc.amazonaws.com/pod-ips": "10.48.0.4"}, ["10.48.0.3/32"]),
        (_NOWHERE, {"vpc.amazonaws.com/pod-ips": "10.48.0.4,10.48.0.5"}, ["10.48.0.4/32", "10.48.0.5/32"]),
    ],
)
def test_addresses_come_from_the_first_place_that_has_any(
    status: dict[str, Any], annotations: dict[str, str], networks: list[str]
) -> None:
    """The kubelet's word, then the plugin's annotation, then that of Amazon's."""
    assert _spec(annotations, status=status)["ipNetworks"] == networks


def test_a_pod_without_addresses_is_shown_without() -> None:
    """It is there before it has any."""
    assert "ipNetworks" not in _spec(status=_NOWHERE)


@pytest.mark.parametrize(
    ("changes", "finished"),
    [
        ({"status": {"phase": "Succeeded"}}, True),
        ({"status": {"phase": "Failed"}}, True),
        ({"status": {"phase": "Completed"}}, True),
        ({"status": {"phase": "Running"}}, False),
        ({"metadata": {"deletionTimestamp": "2026-01-02T03:04:05Z"}}, False),
        ({"metadata": {"annotations": {f"{_CNI}podIP": ""}}}, False),
        (
            {"metadata": {"deletionTimestamp": "2026-01-02T03:04:05Z", "annotations": {f"{_CNI}podIP": ""}}},
            True,
        ),
        (
            {
                "metadata": {
                    "deletionTimestamp": "2026-01-02T03:04:05Z",
                    "annotations": {f"{_CNI}podIP": "10.48.0.1/32"},
                }
            },
            False,
        ),
        (
            {"metadata": {"deletionTimestamp": "now", "annotations": {"vpc.amazonaws.com/pod-ips": ""}}},
            True,
        ),
    ],
)
def test_a_finished_pod_owns_no_address(changes: dict[str, Any], *, finished: bool) -> None:
    """Ended, or being deleted with its network gone: the addresses may be another's by now."""
    each = pod(**changes)
    converted = endpoint_from_pod(each)
    assert converted is not None

    assert is_finished(each) == finished
    assert ("ipNetworks" not in converted.value["spec"]) == finished


def test_long_names_of_node_and_pod_make_a_longer_one() -> None:
    """The endpoint is one that agents can read."""
    converted = endpoint_from_pod(pod(metadata={"name": "p-" * 126 + "p"}, spec={"nodeName": "n-" * 126 + "n"}))
    assert converted is not None

    assert len(converted.value["metadata"]["name"]) > 253
    assert resources.load(converted.value).kind == "WorkloadEndpoint"


def test_ports_with_a_name_or_on_the_host_are_shown() -> None:
    """Containers first, then those that initialise; protocols that policy does not know are left out."""
    spec = {
        "containers": [
            {
                "ports": [
                    {"name": "http", "containerPort": 8080},
                    {"containerPort": 9090},
                    {"containerPort": 53, "protocol": "UDP", "hostPort": 5353, "hostIP": "192.0.2.1"},
                    {"name": "odd", "containerPort": 1, "protocol": "ODD"},
                ]
            }
        ],
        "initContainers": [{"ports": [{"name": "sig", "containerPort": 3868, "protocol": "SCTP"}]}],
    }
    nobody = {"hostPort": 0, "hostIP": ""}

    assert _spec(spec=spec)["ports"] == [
        {"name": "http", "protocol": "TCP", "port": 8080, **nobody},
        {"name": "", "protocol": "UDP", "port": 53, "hostPort": 5353, "hostIP": "192.0.2.1"},
        {"name": "sig", "protocol": "SCTP", "port": 3868, **nobody},
    ]


def test_floating_addresses_go_to_the_address_of_their_family() -> None:
    """Each outside address is mapped to the pod's of the same family, if it has one."""
    floating = {f"{_CNI}floatingIPs": '["198.51.100.7", "2001:db8:f::7"]'}

    assert _spec(floating)["ipNATs"] == [
        {"internalIP": "10.48.0.1", "externalIP": "198.51.100.7"},
        {"internalIP": "2001:db8::1", "externalIP": "2001:db8:f::7"},
    ]
    assert _spec(floating, status={"podIPs": [{"ip": "10.48.0.1"}]})["ipNATs"] == [
        {"internalIP": "10.48.0.1", "externalIP": "198.51.100.7"}
    ]
    assert "ipNATs" not in _spec(floating, status={"phase": "Failed"})


def test_source_prefixes_lose_their_host_bits() -> None:
    """What a pod may spoof is a list of networks."""
    allowed = {f"{_CNI}allowedSourcePrefixes": '["203.0.113.7/24", "2001:db8:5::/48"]'}

    assert _spec(allowed)["allowSpoofedSourcePrefixes"] == ["203.0.113.0/24", "2001:db8:5::/48"]


def test_generated_names_and_the_network_status_are_kept() -> None:
    """Both travel with the endpoint; other annotations stay with the pod."""
    status = {"k8s.v1.cni.cncf.io/network-status": "[]"}
    converted = endpoint_from_pod(pod({**status, "other": "x"}, metadata={"generateName": "web-"}))
    plain = endpoint_from_pod(pod({**status, "other": "x"}))
    assert converted is not None
    assert plain is not None

    assert converted.value["metadata"]["generateName"] == "web-"
    assert plain.value["metadata"]["annotations"] == status


def test_the_interface_has_the_first_prefix() -> None:
    """The prefix is the agent's setting."""
    converted = endpoint_from_pod(pod(), interface_prefixes="tap,cali")
    assert converted is not None

    assert converted.value["spec"]["interfaceName"] == interface_of("red", "web-0", "tap")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("floatingIPs", "["),
        ("floatingIPs", '{"a": 1}'),
        ("floatingIPs", "[1]"),
        ("floatingIPs", '["nonsense"]'),
        ("allowedSourcePrefixes", '["203.0.113.7"]'),
        ("allowedSourcePrefixes", '["fe80::/64%eth0"]'),
        ("allowedSourcePrefixes", "x"),
        ("containerID", "-a"),
        ("allowedSourcePrefixes", "[" * 100_000),
    ],
)
def test_a_bad_annotation_is_left_out_and_told(name: str, text: str) -> None:
    """The pod keeps its network; what nobody can read allows nothing."""
    converted = endpoint_from_pod(pod({_CNI + name: text}))
    assert converted is not None

    (problem,) = converted.problems
    assert problem.where == f"Pod red/web-0  metadata.annotations[{_CNI}{name}]"
    assert converted.value["spec"] == _spec()


_READ = [
    *(_CNI + name for name in ("podIP", "podIPs", "containerID", "floatingIPs", "allowedSourcePrefixes")),
    "vpc.amazonaws.com/pod-ips",
    "k8s.v1.cni.cncf.io/network-status",
    "kubernetes.io/ingress-bandwidth",
    *(f"qos.projectcalico.org/{name}" for name in ("egressBurst", "ingressPacketRate", "egressMaxConnections", "dscp")),
]


@pytest.mark.parametrize("name", _READ)
@pytest.mark.parametrize("status", [{}, _NOWHERE])
def test_no_annotation_makes_an_endpoint_unreadable(name: str, status: dict[str, Any]) -> None:
    """Whatever a person or a program writes there, the pod keeps an endpoint that agents can read."""
    texts = [
        "",
        "x",
        "-1",
        "5M",
        "::",
        "192.0.2.1",
        "192.0.2.1/24",
        "10.0.0.1,10.0.0.2,::1",
        ",",
        "[]",
        "{}",
        "null",
        "é",
    ]
    texts += [
        '["::"]',
        '["192.0.2.9", "192.0.2.9"]',
        '["0.0.0.0/0", "::/0"]',
        "[[]]",
        "\x00",
        "9" * 5000,
        '["::ffff:192.0.2.1"]',
    ]
    for text in texts:
        converted = endpoint_from_pod(pod({name: text}, status=status))
        assert converted is not None
        assert resources.load(converted.value).kind == "WorkloadEndpoint", text


def test_a_bad_address_is_left_out_and_told() -> None:
    """The others stay."""
    converted = endpoint_from_pod(pod(status={"podIPs": [{"ip": "nonsense"}, {"ip": "10.48.0.1"}]}))
    assert converted is not None

    assert converted.value["spec"]["ipNetworks"] == ["10.48.0.1/32"]
    assert [problem.where for problem in converted.problems] == ["Pod red/web-0  status.podIPs"]


def test_an_endpoint_is_written_into_its_pod() -> None:
    """Addresses and container as annotations, on the pod of this UID whatever its revision."""
    endpoint = endpoint_from_pod(pod({f"{_CNI}containerID": "0123"}))
    assert endpoint is not None

    assert endpoint_patch(endpoint.value) == {
        "metadata": {
            "annotations": {
                f"{_CNI}podIP": "10.48.0.1/32",
                f"{_CNI}podIPs": "10.48.0.1/32,2001:db8::1/128",
                f"{_CNI}containerID": "0123",
            },
            "uid": UID,
        }
    }


def test_an_endpoint_without_addresses_writes_nothing() -> None:
    """There is nothing to say, but the pod must still be the same."""
    assert endpoint_patch({"metadata": {"uid": UID}, "spec": {"containerID": "0123"}}) == {"metadata": {"uid": UID}}


def test_what_is_written_is_read_again() -> None:
    """A pod with the patch and without the kubelet's word has the endpoint's addresses."""
    endpoint = endpoint_from_pod(pod({f"{_CNI}containerID": "0123"}))
    assert endpoint is not None
    patch = endpoint_patch(endpoint.value)

    assert _spec(patch["metadata"]["annotations"], status=_NOWHERE) == endpoint.value["spec"]


def test_an_endpoint_is_removed_by_empty_addresses() -> None:
    """The container stays named, and a pod that changed or is another refuses."""
    patch = removal_patch(UID, "17")

    assert patch == {
        "metadata": {
            "annotations": {f"{_CNI}podIP": "", f"{_CNI}podIPs": ""},
            "resourceVersion": "17",
            "uid": UID,
        }
    }
    gone = pod(metadata={"deletionTimestamp": "now", "annotations": patch["metadata"]["annotations"]})
    assert is_finished(gone)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("node--1-k8s-web--0-eth0", "web-0"),
        ("node--1-k8s-web--0-eth1", None),
        ("node-cni-0123-eth0", None),
        ("nonsense", None),
        ("node-k8s-web-eth0-more", None),
    ],
)
def test_an_endpoint_s_name_tells_its_pod(name: str, expected: str | None) -> None:
    """Only endpoints of pods have one."""
    assert pod_of_endpoint(name) == expected
