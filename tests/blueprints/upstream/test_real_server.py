"""What is written, a real kube-apiserver takes; patches change upstream's objects there as they do here."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.upstream import manifests, typha
from muslin.cli.strategic import strategic_merge
from tests.blueprints.upstream.networks import NETWORKS, decided
from tests.blueprints.upstream.upstreams import MERGE_KEYS, upstreams_objects
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

_PLURALS = {
    "ConfigMap": "configmaps",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "DaemonSet": "daemonsets",
    "Deployment": "deployments",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
}


def _path(value: dict[str, Any], namespace: str | None) -> str:
    version = value["apiVersion"]
    start = f"/apis/{version}" if "/" in version else f"/api/{version}"
    inside = "" if value["kind"].startswith("ClusterRole") else f"/namespaces/{namespace}"
    return f"{start}{inside}/{_PLURALS[value['kind']]}"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_server_takes_it(kube_apiserver: KubeApiserver, name: str) -> None:
    """calico-config and Typha, field by field: what the server does not know is refused."""
    network = decided(name)
    for value in (manifests.config_map(network), *typha.typha(network)):
        path = f"{_path(value, 'kube-system')}?dryRun=All&fieldValidation=Strict"
        answer = kube_apiserver.request("POST", path, value)

        assert answer.status == 201, answer


def _unordered(container: dict[str, Any]) -> dict[str, Any]:
    return {**container, "env": {each["name"]: each for each in container["env"]}}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_server_merges_as_we_do(kube_apiserver: KubeApiserver, namespace: str, name: str) -> None:
    """Upstream's calico-node with our patch: variables, those that go, and probes."""
    network = decided(name)
    patch = manifests.node_patch(network)
    node = upstreams_objects(etcd="datastore" in NETWORKS[name])[1]
    for value in (node, patch):
        value["metadata"]["namespace"] = namespace
    path = _path(node, namespace)
    assert kube_apiserver.request("POST", path, node).status == 201
    created = kube_apiserver.request("GET", f"{path}/calico-node")
    answer = kube_apiserver.request(
        "PATCH",
        f"{path}/calico-node?fieldValidation=Strict",
        patch,
        content_type="application/strategic-merge-patch+json",
    )
    ours = strategic_merge(created, patch, MERGE_KEYS)

    assert answer.status == 200, answer
    (theirs,) = answer["spec"]["template"]["spec"]["containers"]
    assert _unordered(ours["spec"]["template"]["spec"]["containers"][0]) == _unordered(theirs)
