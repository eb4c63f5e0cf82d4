"""A pod as Calico's WorkloadEndpoint, and the patch of a pod by which one is written.

Source: calico.md sections 1a, 2.16 and 4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_interface
from typing import Any, Final

from muslin.conversion.endpoint_name import EndpointName, interface_of
from muslin.conversion.profile import namespace_profile, service_account_profile
from muslin.conversion.qos import qos_controls
from muslin.conversion.reading import (
    API_VERSION,
    Converted,
    Json,
    as_list,
    as_mapping,
    as_text,
    as_texts,
    born,
    metadata_of,
    network,
    parse_json,
    place,
)
from muslin.errors import Problem
from muslin.resources import names

__all__ = ["endpoint_from_pod", "endpoint_patch", "is_finished", "is_shown", "pod_of_endpoint", "removal_patch"]

POD_IP: Final = "cni.projectcalico.org/podIP"
POD_IPS: Final = "cni.projectcalico.org/podIPs"
CONTAINER_ID: Final = "cni.projectcalico.org/containerID"
_AWS_POD_IPS = "vpc.amazonaws.com/pod-ips"
_FLOATING = "cni.projectcalico.org/floatingIPs"
_SPOOFED = "cni.projectcalico.org/allowedSourcePrefixes"
_KEPT = "k8s.v1.cni.cncf.io/network-status"

_NAMESPACE, _ORCHESTRATOR = "projectcalico.org/namespace", "projectcalico.org/orchestrator"
_SERVICE_ACCOUNT = "projectcalico.org/serviceaccount"
_CONTAINER = re.compile(names.CONTAINER_ID)
_LONGEST_LABEL = 63
_PROTOCOLS = ("TCP", "UDP", "SCTP")

Tell = Callable[[str, str], None]


def is_shown(pod: Json) -> bool:
    """Whether a pod is an endpoint at all: it has a node, and a network of its own."""
    spec = as_mapping(pod.get("spec"))
    return bool(as_text(spec.get("nodeName"))) and spec.get("hostNetwork") is not True


def is_finished(pod: Json) -> bool:
    """Whether a pod has lost its addresses, though its object is still there."""
    metadata, status = metadata_of(pod), as_mapping(pod.get("status"))
    annotations = as_texts(metadata.get("annotations"))
    if metadata.get("deletionTimestamp") and "" in (annotations.get(POD_IP), annotations.get(_AWS_POD_IPS)):
        return True
    return status.get("phase") in ("Failed", "Succeeded", "Completed")


def endpoint_from_pod(pod: Json, *, interface_prefixes: str = "cali") -> Converted | None:
    """A pod's endpoint, None for pods that have none. What an annotation says wrongly is left out, and told.

    Args:
        pod: of the core API.
        interface_prefixes: `FELIX_INTERFACEPREFIX`, a comma list of which the first counts.
    """
    metadata, spec = metadata_of(pod), as_mapping(pod.get("spec"))
    if not is_shown(pod):
        return None
    problems = list[Problem]()

    def tell(what: str, path: str) -> None:
        problems.append(Problem(what, place("Pod", pod, path), "correct or remove it"))

    namespace, name = as_text(metadata.get("namespace")), as_text(metadata.get("name"))
    node, account = as_text(spec.get("nodeName")), as_text(spec.get("serviceAccountName"))
    annotations = as_texts(metadata.get("annotations"))
    networks = [] if is_finished(pod) else list(_networks(pod, annotations, tell))
    try:
        full_name = EndpointName(node, pod=name, endpoint="eth0").text()
    except ValueError as error:
        tell(str(error), "metadata.name")
        return Converted(_unnamed(node, name, namespace), tuple(problems))
    qos = qos_controls(annotations, lambda what, key: tell(what, f"metadata.annotations[{key}]"))
    profiles = [namespace_profile(namespace), *([service_account_profile(namespace, account)] if account else [])]
    kept = {key: annotations[key] for key in (_KEPT,) if key in annotations}
    parts = {
        "orchestrator": "k8s",
        "node": node,
        "containerID": _container(annotations, tell),
        "pod": name,
        "endpoint": "eth0",
        "serviceAccountName": account,
        "ipNetworks": networks,
        "ipNATs": _floating(annotations, networks, tell),
        "profiles": profiles,
        "interfaceName": interface_of(namespace, name, interface_prefixes),
        "ports": list(_ports(spec)),
        "allowSpoofedSourcePrefixes": _spoofed(annotations, tell),
        "qosControls": qos,
    }
    shown: dict[str, Any] = {"name": full_name, "namespace": namespace, "generateName": metadata.get("generateName")}
    shown |= {**born(pod), "labels": _labels(metadata, namespace, account), "annotations": kept}
    value = {
        "apiVersion": API_VERSION,
        "kind": "WorkloadEndpoint",
        "metadata": {key: part for key, part in shown.items() if part},
        "spec": {key: part for key, part in parts.items() if part},
    }
    return Converted(value, tuple(problems))


def pod_of_endpoint(name: str) -> str | None:
    """The pod whose endpoint has this name, None if it is no pod's. Endpoints of pods are called `eth0`."""
    try:
        parsed = EndpointName.parse(name)
    except ValueError:
        return None
    return parsed.pod if parsed.orchestrator == "k8s" and parsed.pod and parsed.endpoint == "eth0" else None


def endpoint_patch(endpoint: Json) -> dict[str, Any]:
    """How an endpoint is created or updated: a strategic merge patch of its pod's `status`, refused by another pod.

    The pod is told by its UID alone: its revision moves for reasons of others while a container is made.
    """
    spec = as_mapping(endpoint.get("spec"))
    networks = [each for each in as_list(spec.get("ipNetworks")) if isinstance(each, str)]
    annotations = {POD_IP: networks[0], POD_IPS: ",".join(networks)} if networks else {}
    if networks and (container := as_text(spec.get("containerID"))):
        annotations[CONTAINER_ID] = container
    return _patch(annotations, as_text(metadata_of(endpoint).get("uid")), "")


def removal_patch(uid: str, revision: str) -> dict[str, Any]:
    """How an endpoint is deleted: its pod's addresses become empty; the container's id stays, for a repeated DEL."""
    return _patch({POD_IP: "", POD_IPS: ""}, uid, revision)


def _patch(annotations: Mapping[str, str], uid: str, revision: str) -> dict[str, Any]:
    parts = {"annotations": dict(annotations), "resourceVersion": revision, "uid": uid}
    return {"metadata": {name: part for name, part in parts.items() if part}}


def _unnamed(node: str, name: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "WorkloadEndpoint",
        "metadata": {"name": f"{node}-k8s-{name}-eth0", "namespace": namespace},
        "spec": {"orchestrator": "k8s", "node": node, "pod": name, "endpoint": "eth0"},
    }


def _labels(metadata: Json, namespace: str, account: str) -> dict[str, str]:
    labels = as_texts(metadata.get("labels")) | {_NAMESPACE: namespace, _ORCHESTRATOR: "k8s"}
    if account and len(account.encode()) < _LONGEST_LABEL:
        labels[_SERVICE_ACCOUNT] = account
    return labels


def _networks(pod: Json, annotations: Mapping[str, str], tell: Tell) -> Iterator[str]:
    """The pod's addresses as /32 or /128, from the first place that has any."""
    path, texts = _addresses(pod, annotations)
    for text in texts:
        try:
            yield _single(text)
        except ValueError as error:
            tell(str(error), path)


def _single(text: str) -> str:
    found = ip_interface(network(text, bare=True))
    if found.network.num_addresses != 1:
        raise ValueError(f"{text!r} is not a single address")
    return str(found.network)


def _container(annotations: Mapping[str, str], tell: Tell) -> str:
    found = annotations.get(CONTAINER_ID, "")
    if found and not _CONTAINER.fullmatch(found):
        tell(f"{found[:80]!r} is not a container's id", f"metadata.annotations[{CONTAINER_ID}]")
        return ""
    return found


def _addresses(pod: Json, annotations: Mapping[str, str]) -> tuple[str, Sequence[str]]:
    status = as_mapping(pod.get("status"))
    if listed := [as_text(as_mapping(each).get("ip")) for each in as_list(status.get("podIPs"))]:
        return "status.podIPs", listed
    if single := as_text(status.get("podIP")):
        return "status.podIP", [single]
    for name in (POD_IPS, POD_IP, _AWS_POD_IPS):
        if text := annotations.get(name):
            return f"metadata.annotations[{name}]", [text] if name == POD_IP else text.split(",")
    return "", []


def _list_of_texts(annotations: Mapping[str, str], name: str, tell: Tell) -> list[str]:
    if not annotations.get(name):
        return []
    path = f"metadata.annotations[{name}]"
    try:
        value = parse_json(annotations[name])
    except ValueError as error:
        tell(str(error), path)
        return []
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        tell("it is no JSON list of texts", path)
        return []
    return value


def _floating(annotations: Mapping[str, str], networks: Sequence[str], tell: Tell) -> list[dict[str, str]]:
    inside = {ip_interface(each).version: each.partition("/")[0] for each in networks}
    found = []
    for text in _list_of_texts(annotations, _FLOATING, tell) if networks else ():
        try:
            outside = ip_address(text)
        except ValueError as error:
            tell(str(error), f"metadata.annotations[{_FLOATING}]")
            continue
        if outside.version in inside:
            found.append({"internalIP": inside[outside.version], "externalIP": text})
    return found


def _spoofed(annotations: Mapping[str, str], tell: Tell) -> list[str]:
    found = []
    for text in _list_of_texts(annotations, _SPOOFED, tell):
        try:
            found.append(network(text))
        except ValueError as error:
            tell(str(error), f"metadata.annotations[{_SPOOFED}]")
    return found


def _ports(spec: Json) -> Iterator[dict[str, Any]]:
    containers = [*as_list(spec.get("containers")), *as_list(spec.get("initContainers"))]
    for container in containers:
        for port in map(as_mapping, as_list(as_mapping(container).get("ports"))):
            name, number, host_port = as_text(port.get("name")), port.get("containerPort"), port.get("hostPort") or 0
            protocol = port.get("protocol") or "TCP"
            if not number or not (name or host_port) or protocol not in _PROTOCOLS:
                continue
            yield {
                "name": name,
                "protocol": protocol,
                "port": number,
                "hostPort": host_port,
                "hostIP": as_text(port.get("hostIP")),
            }
