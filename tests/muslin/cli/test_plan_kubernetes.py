"""`muslin plan` against a real Kubernetes API: pods are the endpoints, and its own policies judge as well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from muslin.resources.crds import definitions
from tests.muslin.cli.calico import Calico, manifest
from tests.muslin.cli.running import Run
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module", autouse=True)
def _definitions(kube_apiserver: KubeApiserver) -> None:
    """Calico's kinds in the API."""
    for definition in definitions():
        kube_apiserver.install(definition)


def _pod(server: KubeApiserver, namespace: str, name: str, address: str) -> None:
    metadata = {"name": name, "labels": {"app": name}, "annotations": {"cni.projectcalico.org/podIP": f"{address}/32"}}
    spec = {"nodeName": "plan-node", "containers": [{"name": "c", "image": "registry.example/x"}]}
    answer = server.request("POST", f"/api/v1/namespaces/{namespace}/pods", {"metadata": metadata, "spec": spec})
    assert answer.status == 201, answer


def test_whose_each_field_is_now(
    kube_apiserver: KubeApiserver, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Managers are named as the API has them, for each field, whoever they are; the record itself is not shown."""
    environment = {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": str(kube_apiserver.kubeconfig)}
    calico = Calico(run, tmp_path, {**environment, "K8S_CLIENT_QPS": "1000"}, monkeypatch)
    namespace = kube_apiserver.new_namespace({})
    path = f"/apis/projectcalico.org/v3/namespaces/{namespace}/networkpolicies"
    metadata = {"name": "db", "namespace": namespace}
    head = {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy", "metadata": metadata}
    spec = {"selector": "app == 'db'", "types": ["Ingress"]}
    made = kube_apiserver.request("POST", f"{path}?fieldManager=kubectl-create", {**head, "spec": spec})
    assert made.status == 201, made
    now = {**made, "spec": {**spec, "order": 7}}
    assert kube_apiserver.request("PUT", f"{path}/db?fieldManager=argocd", now).status == 200
    wanted = "{selector: \"app == 'web'\", types: [Ingress], order: 8}"
    files = calico.write(manifest("NetworkPolicy", "db", wanted, namespace), "files/db.yaml").parent

    told = json.loads(calico("plan", files, "-o", "json").out)
    text = calico("plan", files).out

    (step,) = [each for each in told["steps"] if each["name"] == "db" and each["namespace"] == namespace]
    owners = {each["path"]: each["owner"] for each in step["fields"]}
    assert {name: owners.get(name) for name in ("spec.order", "spec.selector")} == {
        "spec.order": "argocd", "spec.selector": "kubectl-create",
    }  # fmt: skip
    assert "(now of argocd)" in text
    assert "managedFields" not in text + json.dumps(told)


def test_pods_of_a_cluster_are_judged(
    kube_apiserver: KubeApiserver, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy cuts one pod off; where Kubernetes' own policy closes it already, nothing is left to cut."""
    environment = {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": str(kube_apiserver.kubeconfig)}
    calico = Calico(run, tmp_path, {**environment, "K8S_CLIENT_QPS": "1000"}, monkeypatch)
    namespace = kube_apiserver.new_namespace({"stage": "test"})
    _pod(kube_apiserver, namespace, "web", "198.51.100.201")
    _pod(kube_apiserver, namespace, "db", "198.51.100.202")
    spec = "{selector: \"app == 'db'\", types: [Ingress], order: 2000}"
    files = calico.write(manifest("NetworkPolicy", "db", spec, namespace), "files/db.yaml").parent

    ran = calico("plan", files, "-o", "json")
    told = json.loads(ran.out)["effect"]["traffic"]["closed"]
    assert ran.status == 2, ran.err
    assert told["pairs"] >= 1
    assert {end["members"][0] for path in told["paths"] for end in path["destinations"]} == {f"{namespace}/db"}
    assert any(f"{namespace}/web" in end.get("members", ()) for path in told["paths"] for end in path["sources"])

    closed = {"metadata": {"name": "db"}, "spec": {"podSelector": {"matchLabels": {"app": "db"}}}}
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    assert kube_apiserver.request("POST", path, closed).status == 201
    after = json.loads(calico("plan", files, "-o", "json").out)["effect"]["traffic"]
    assert (after["closed"]["pairs"], after["opened"]["pairs"]) == (0, 0)
