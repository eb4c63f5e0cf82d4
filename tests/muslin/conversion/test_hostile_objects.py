"""Whatever type somebody writes anywhere into an object, its conversion gives an object and never fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from muslin.conversion.cluster_policy import cluster_policy_from_kubernetes
from muslin.conversion.endpoint import endpoint_from_pod, endpoint_patch
from muslin.conversion.etcd import from_etcd
from muslin.conversion.node import blocks_of_pod_cidrs, node_from_core, node_patch
from muslin.conversion.policy import policy_from_kubernetes, staged_policy_from_kubernetes
from muslin.conversion.profile import profile_from_namespace, profile_from_service_account
from muslin.conversion.v1 import METADATA, from_v1, key_of_v1
from tests.muslin.conversion.objects import BORN, UID, cluster_policy, core_node, kubernetes_policy, pod
from tests.muslin.conversion.test_node import EVERYTHING

GARBAGE: tuple[Any, ...] = (None, True, 0, -7, 1e300, "", "x", "%", [], [None], ["x", 1], {}, {"x": None}, {"x": ["y"]})

_SELECTOR = {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}
_POD = pod(
    {
        "cni.projectcalico.org/floatingIPs": '["198.51.100.7"]',
        "cni.projectcalico.org/allowedSourcePrefixes": '["203.0.113.0/24"]',
        "qos.projectcalico.org/ingressBandwidth": "1M",
    },
    spec={"containers": [{"ports": [{"name": "http", "containerPort": 80, "hostPort": 80, "hostIP": "192.0.2.1"}]}]},
)
_RULE = {
    "from": [{"podSelector": _SELECTOR, "namespaceSelector": _SELECTOR}],
    "to": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.0/25"]}}],
    "ports": [{"protocol": "TCP", "port": 80, "endPort": 90}],
}
_POLICY = kubernetes_policy(podSelector=_SELECTOR, ingress=[_RULE], egress=[_RULE], policyTypes=["Ingress", "Egress"])
_CLUSTER_RULE = {
    "name": "r",
    "action": "Accept",
    "from": [{"pods": {"namespaceSelector": _SELECTOR, "podSelector": _SELECTOR}}],
    "to": [{"networks": ["192.0.2.0/24"]}],
    "protocols": [{"tcp": {"destinationPort": {"range": {"start": 1, "end": 2}}}}, {"destinationNamedPort": "http"}],
}
_CLUSTER_POLICY = cluster_policy(
    ingress=[_CLUSTER_RULE], egress=[_CLUSTER_RULE], subject={"pods": {"podSelector": _SELECTOR}}
)
_NAMED = {"metadata": {"name": "red", "namespace": "red", "labels": {"a": "b"}, **BORN}}
_RECORDED = {
    "name": "web",
    "labels": {"a": "b"},
    "annotations": {"a": "b"},
    "ownerReferences": [{"apiVersion": "projectcalico.org/v3", "uid": UID}],
    "finalizers": ["f"],
    "creationTimestamp": "now",
}
_OLD = {
    "kind": "BlockAffinity",
    "metadata": {"name": "a", "annotations": {METADATA: json.dumps(_RECORDED)}, "labels": {"a": "b"}, **BORN},
    "spec": {"deleted": "false", "tier": "default"},
}
_BLOCK = {"cidr": "192.0.2.0/30", "affinity": "host:a", "attributes": [{"handle_id": "h", "secondary": {"a": "b"}}]}


def _etcd(path: str) -> Callable[[Any], object]:
    return lambda value: from_etcd(path, value)


CONVERSIONS: dict[str, tuple[Callable[[Any], object], dict[str, Any]]] = {
    "node": (node_from_core, core_node(EVERYTHING, podCIDR="10.49.0.0/24", podCIDRs=["10.49.0.0/24"])),
    "node with podCIDR": (lambda core: node_from_core(core, use_pod_cidr=True), core_node(podCIDR="10.49.0.0/24")),
    "unchanged node": (lambda core: node_patch(node_from_core(core).value, core), core_node(EVERYTHING)),
    "blocks of podCIDRs": (blocks_of_pod_cidrs, core_node(podCIDR="10.49.0.0/24", podCIDRs=["10.49.0.0/24"])),
    "pod": (endpoint_from_pod, _POD),
    "endpoint": (endpoint_patch, {"metadata": BORN, "spec": {"ipNetworks": ["10.48.0.1/32"], "containerID": "0"}}),
    "namespace": (profile_from_namespace, _NAMED),
    "service account": (profile_from_service_account, _NAMED),
    "policy": (policy_from_kubernetes, _POLICY),
    "staged policy": (staged_policy_from_kubernetes, _POLICY),
    "cluster policy": (cluster_policy_from_kubernetes, _CLUSTER_POLICY),
    "older CRD": (from_v1, _OLD),
    "older CRD of a policy": (key_of_v1, {**_OLD, "kind": "NetworkPolicy"}),
    "block in etcd": (_etcd("/calico/ipam/v2/assignment/ipv4/block/192.0.2.0-30"), _BLOCK),
    "affinity in etcd": (_etcd("/calico/ipam/v2/host/a/ipv4/block/192.0.2.0-30"), {"state": "", "deleted": False}),
    "handle in etcd": (_etcd("/calico/ipam/v2/handle/h"), {"block": {"192.0.2.0/30": 1}, "deleted": False}),
    "policy in etcd": (_etcd("/calico/resources/v3/projectcalico.org/networkpolicies/red/web"), _OLD),
}


def _spoilt(value: Any) -> Iterator[Any]:
    """The value with each of its parts, itself included, replaced by each kind of garbage."""
    yield from GARBAGE
    if isinstance(value, (dict, list)):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for place, part in list(parts):
            for spoilt in _spoilt(part):
                copy = value.copy()
                copy[place] = spoilt
                yield copy


@pytest.mark.parametrize("name", CONVERSIONS)
def test_no_garbage_makes_a_conversion_fail(name: str) -> None:
    """Every part of a full object is replaced by every kind of garbage; the object given is never changed."""
    convert, good = CONVERSIONS[name]
    tried = 0
    for spoilt in _spoilt(good):
        if not isinstance(spoilt, dict) and not name.endswith("in etcd"):
            continue
        before = deepcopy(spoilt)
        convert(spoilt)
        assert spoilt == before
        tried += 1

    assert tried > len(GARBAGE)


@pytest.mark.parametrize("part", [*_RECORDED, "whole"])
def test_no_recorded_garbage_makes_an_older_object_fail(part: str) -> None:
    """The same for what stands in the annotation."""
    for garbage in GARBAGE:
        recorded = garbage if part == "whole" else {**_RECORDED, part: garbage}
        metadata = {"name": "a", "annotations": {METADATA: json.dumps(recorded)}}

        assert from_v1({"kind": "NetworkPolicy", "metadata": metadata}).value["metadata"]["name"] in (
            "a",
            "web",
            "x",
            "%",
        )
