"""Objects of Kubernetes to convert."""

from __future__ import annotations

from typing import Any

UID = "0bd4b3a4-1e1e-4b0e-9c5f-2c6f5a3e8d11"
OTHER_UID = "d02bcd25-7878-4b70-9cfa-34f65a7cb188"
"""What `UID` becomes, and the other way round."""
BORN = {"uid": UID, "resourceVersion": "17", "creationTimestamp": "2026-01-02T03:04:05Z"}


def core_node(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A core Node; `annotations` below `projectcalico.org/`."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": "node-1",
            "labels": {"kubernetes.io/hostname": "node-1"},
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0",
                **{f"projectcalico.org/{name}": text for name, text in (annotations or {}).items()},
            },
            **BORN,
        },
        "spec": spec,
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": "192.0.2.1"},
                {"type": "ExternalIP", "address": "198.51.100.1"},
                {"type": "Hostname", "address": "node-1"},
            ]
        },
    }


def pod(annotations: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    """A running pod on `node-1`; `changes` to metadata, spec or status by their names."""
    parts: dict[str, dict[str, Any]] = {
        "metadata": {"name": "web-0", "namespace": "red", "labels": {"app": "web"}, **BORN},
        "spec": {"nodeName": "node-1", "serviceAccountName": "runner", "containers": [{"name": "web"}]},
        "status": {"phase": "Running", "podIP": "10.48.0.1", "podIPs": [{"ip": "10.48.0.1"}, {"ip": "2001:db8::1"}]},
    }
    if annotations is not None:
        parts["metadata"]["annotations"] = annotations
    for name, part in changes.items():
        parts[name] = {**parts[name], **part}
    return {"apiVersion": "v1", "kind": "Pod", **parts}


def kubernetes_policy(**spec: Any) -> dict[str, Any]:
    """A NetworkPolicy of Kubernetes, of all pods in `red` unless told otherwise."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "web.v1", "namespace": "red", **BORN},
        "spec": {"podSelector": {}, **spec},
    }


def cluster_policy(**spec: Any) -> dict[str, Any]:
    """A ClusterNetworkPolicy of all pods, in the tier of administrators unless told otherwise."""
    return {
        "apiVersion": "policy.networking.k8s.io/v1alpha2",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": "guard", **BORN},
        "spec": {"tier": "Admin", "priority": 10, "subject": {"namespaces": {}}, **spec},
    }
