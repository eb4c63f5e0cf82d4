"""Upstream Calico's own objects as its manifest makes them, in short: what a program says of them is added there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.support.kube_apiserver import KubeApiserver

__all__ = ["AGENTS", "system", "upstreams_manifest"]

_AGENTS: Final = "/apis/apps/v1/namespaces/kube-system/daemonsets"
AGENTS: Final = f"{_AGENTS}/calico-node"
_CONFIG: Final = "/api/v1/namespaces/kube-system/configmaps"


def system(cluster: KubeApiserver) -> None:
    """The namespace of Kubernetes' own, which nobody makes here."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}
    cluster.request("POST", "/api/v1/namespaces", namespace)


@contextmanager
def upstreams_manifest(cluster: KubeApiserver, image: str = "example.org/node:v3.32.1") -> Iterator[None]:
    """calico-config and calico-node are there, made by kubectl; gone at the end."""
    system(cluster)
    environment = [{"name": "IP", "value": "autodetect"}, {"name": "WAIT", "value": "true"}]
    pod = {
        "metadata": {"labels": {"k8s-app": "calico-node"}},
        "spec": {"containers": [{"name": "calico-node", "image": image, "env": environment}]},
    }
    agents = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "calico-node", "namespace": "kube-system"},
        "spec": {"selector": {"matchLabels": {"k8s-app": "calico-node"}}, "template": pod},
    }
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "calico-config", "namespace": "kube-system"},
        "data": {"typha_service_name": "none", "calico_backend": "bird"},
    }
    assert cluster.request("POST", f"{_AGENTS}?fieldManager=kubectl", agents).status == 201
    assert cluster.request("POST", f"{_CONFIG}?fieldManager=kubectl", config).status == 201
    try:
        yield
    finally:
        cluster.request("DELETE", AGENTS)
        cluster.request("DELETE", f"{_CONFIG}/calico-config")
