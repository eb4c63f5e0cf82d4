"""`muslin verify-install --from-cluster` of a real kube-apiserver: by manifests, by the operator, as a stranger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blueprints.upstream.operator import components_policy
from muslin.resources import dump
from muslin.resources.base import Resource
from muslin.resources.crds import definitions
from muslin.yaml.write import dump as dump_yaml
from tests.blueprints.upstream.networks import NETWORKS, decided
from tests.blueprints.upstream.upstreams import by_the_operator, merged
from tests.engines.verdicts import path_of
from tests.muslin.cli.running import Run
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

_NAME = "several-subnets-60-nodes"
_PATHS = {
    "ConfigMap": "/api/v1/namespaces/kube-system/configmaps",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "DaemonSet": "/apis/apps/v1/namespaces/kube-system/daemonsets",
    "Deployment": "/apis/apps/v1/namespaces/kube-system/deployments",
    "Installation": "/apis/operator.tigera.io/v1/installations",
    "APIServer": "/apis/operator.tigera.io/v1/apiservers",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/kube-system/poddisruptionbudgets",
    "Service": "/api/v1/namespaces/kube-system/services",
    "ServiceAccount": "/api/v1/namespaces/kube-system/serviceaccounts",
}


class _Installed:
    """Objects in a server, which are taken out again."""

    def __init__(self, server: KubeApiserver) -> None:
        self.server = server
        self._made: list[str] = []

    def put(self, value: dict[str, Any], path: str | None = None) -> None:
        """Create an object."""
        path = path or _PATHS[value["kind"]]
        answer = self.server.request("POST", path, value)
        assert answer.status == 201, answer
        self._made.append(f"{path}/{value['metadata']['name']}")

    def status(self, path: str, status: dict[str, Any]) -> None:
        """As controllers would report."""
        kind = "application/merge-patch+json"
        answer = self.server.request("PATCH", f"{path}/status", {"status": status}, content_type=kind)
        assert answer.status == 200, answer

    def resources(self, resources: tuple[Resource, ...]) -> None:
        """Create Calico's resources; of Nodes Kubernetes' own, as kubelets and people leave them."""
        for each in resources:
            if each.kind != "Node":
                self.put(dump(each), path_of(each.kind, ""))
                continue
            bgp = dump(each)["spec"]["bgp"]
            told = {"projectcalico.org/RouteReflectorClusterID": bgp["routeReflectorClusterID"]}
            metadata = {"name": each.metadata.name, "labels": dict(each.metadata.labels), "annotations": told}
            self.put({"apiVersion": "v1", "kind": "Node", "metadata": metadata}, "/api/v1/nodes")

    def remove(self) -> None:
        """Everything that was put."""
        for path in reversed(self._made):
            self.server.request("DELETE", f"{path}?gracePeriodSeconds=0")


@pytest.fixture(scope="module")
def defined(kube_apiserver: KubeApiserver) -> Iterator[KubeApiserver]:
    """A server with Calico's definitions, and with two of the operator's that take anything."""
    for definition in definitions():
        kube_apiserver.install(definition)
    for kind, plural in (("Installation", "installations"), ("APIServer", "apiservers")):
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        kube_apiserver.install(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": f"{plural}.operator.tigera.io"},
                "spec": {
                    "group": "operator.tigera.io",
                    "scope": "Cluster",
                    "names": {"kind": kind, "plural": plural},
                    "versions": [version],
                },
            }
        )
    yield kube_apiserver
    for plural in ("installations", "apiservers"):
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.operator.tigera.io"
        kube_apiserver.request("DELETE", path)


@pytest.fixture
def cluster(kube_apiserver: KubeApiserver) -> Iterator[_Installed]:
    """What is put into the server, and taken out at the end."""
    held = _Installed(kube_apiserver)
    try:
        yield held
    finally:
        held.remove()


def _asked(run: Run, folder: Path, kubeconfig: Path) -> dict[tuple[str, str], str]:
    """Mapping[(check, verdict), what was found] of every line that does not hold."""
    facts = folder / "cluster.yaml"
    told: dict[str, Any] = {
        "apiVersion": "blueprints.muslin/v1alpha1",
        "kind": "Cluster",
        "name": "demo",
        "networkMTU": 1500,
        "podRange": "10.48.0.0/16",
        **NETWORKS[_NAME],
    }
    facts.write_text(dump_yaml(told))
    ran = run("verify-install", facts, "--from-cluster", "--kubeconfig", kubeconfig, "-o", "json")
    lines = json.loads(ran.out)["lines"]
    wrong = {(each["check"], each["verdict"]): each["found"] for each in lines if each["verdict"] != "holds"}
    assert ran.status == (1 if any(verdict != "cannot tell" for _, verdict in wrong) else 0)
    return wrong


@pytest.mark.usefixtures("defined")
def test_what_runs_as_decided_holds(cluster: _Installed, run: Run, tmp_path: Path) -> None:
    """calico-node, calico-config, Typha, resources, reflectors' nodes; then one is taken out, and one differs."""
    network = decided(_NAME)
    for value in merged(network):
        cluster.put(value)
    cluster.resources(network.blueprint.resources)
    ready = {"currentNumberScheduled": 60, "desiredNumberScheduled": 60, "numberMisscheduled": 0, "numberReady": 60}
    cluster.status(f"{_PATHS['DaemonSet']}/calico-node", ready)
    cluster.status(f"{_PATHS['Deployment']}/calico-typha", {"replicas": 3, "readyReplicas": 3})
    held = _asked(run, tmp_path, cluster.server.kubeconfig)
    cluster.server.request("DELETE", f"{_PATHS['PodDisruptionBudget']}/calico-typha")
    cluster.status(f"{_PATHS['DaemonSet']}/calico-node", {**ready, "numberReady": 59})
    differing = _asked(run, tmp_path, cluster.server.kubeconfig)

    assert held == {}
    assert differing == {
        ("Typha PodDisruptionBudget", "absent"): "",
        ("calico-node is ready", "differs"): "on 59 of 60 nodes",
    }


@pytest.mark.usefixtures("defined")
def test_what_the_operator_installs_is_read_as_well(cluster: _Installed, run: Run, tmp_path: Path) -> None:
    """Its Installation and what it reports; what it has not made yet is absent."""
    network = decided(_NAME)
    for value in by_the_operator(network):
        if value["kind"] in ("Installation", "APIServer"):
            cluster.put({**value, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    cluster.resources((*network.blueprint.resources, components_policy()))
    told = _asked(run, tmp_path, cluster.server.kubeconfig)

    assert set(told) == {
        ("Typha Service", "absent"),
        ("Typha replicas", "absent"),
        ("Typha on the hosts' network", "absent"),
        ("Typha PodDisruptionBudget", "absent"),
        ("calico-node is ready", "absent"),
    }


def test_a_stranger_is_told_what_they_may_not_see(cluster: _Installed, run: Run, tmp_path: Path) -> None:
    """That is no difference: nothing can be told."""
    network = decided(_NAME)
    for value in merged(network):
        cluster.put(value)
    kubeconfig = cluster.server.kubeconfig_for("alice", token=cluster.server.user_token)
    told = _asked(run, tmp_path, kubeconfig)

    assert {verdict for _, verdict in told} == {"cannot tell"}
    assert ("one way of installing", "cannot tell") in told
    assert "alice" in told["one way of installing", "cannot tell"]


def test_a_server_that_does_not_answer_is_status_1(run: Run, tmp_path: Path) -> None:
    """And says so, without a table."""
    kubeconfig = tmp_path / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "users": [{"name": "a", "user": {}}],
        "current-context": "a",
    }
    kubeconfig.write_text(json.dumps(config))
    facts = Path(__file__).parents[3] / "docs" / "cluster.yaml"
    ran = run("verify-install", facts, "--from-cluster", "--kubeconfig", kubeconfig)

    assert (ran.status, ran.out) == (1, "")
    assert "127.0.0.1" in ran.err
