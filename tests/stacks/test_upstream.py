"""Upstream Calico told by a program what was decided: its own objects keep the rest, and etcd's key stays secret."""

from __future__ import annotations

import base64

import pytest

from tests.stacks.conftest import MakeAny
from tests.stacks.engine.monitor import check
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines


def _upstreams_daemons(cluster: KubeApiserver) -> str:
    """Upstream's DaemonSet as its manifest makes it, in short; gives where DaemonSets are."""
    system = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}
    cluster.request("POST", "/api/v1/namespaces", system)
    pod = {
        "metadata": {"labels": {"k8s-app": "calico-node"}},
        "spec": {"containers": [{"name": "calico-node", "image": "example.org/node",
                                 "env": [{"name": "IP", "value": "autodetect"}, {"name": "WAIT", "value": "true"}]}]},
    }  # fmt: skip
    daemons = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "calico-node", "namespace": "kube-system"},
        "spec": {"selector": {"matchLabels": {"k8s-app": "calico-node"}}, "template": pod},
    }
    path = "/apis/apps/v1/namespaces/kube-system/daemonsets"
    assert cluster.request("POST", f"{path}?fieldManager=kubectl", daemons).status == 201
    return path


def test_upstream_is_told_what_was_decided(any_stack: MakeAny, cluster: KubeApiserver) -> None:
    """Upstream's own ConfigMap and DaemonSet get the decided fields and keep the others; Typha is made whole."""
    path = _upstreams_daemons(cluster)
    mine = any_stack("upstream")

    done = mine.up()
    (container,) = cluster.request("GET", f"{path}/calico-node")["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    typha = cluster.request("GET", "/apis/apps/v1/namespaces/kube-system/deployments/calico-typha")

    assert done.error == ""
    assert check(list(done.steps)) == []
    assert (variables["WAIT"], variables["CALICO_IPV4POOL_CIDR"]) == ("true", "10.48.0.0/16")
    assert container["image"] == "example.org/node"
    assert typha["spec"]["replicas"] >= 1
    assert sorted(mine.up().names("same")) == sorted(done.names("create"))
    assert mine.destroy().error == ""
    assert cluster.request("GET", f"{path}/calico-node").status == 200
    cluster.request("DELETE", f"{path}/calico-node")


def test_certificates_of_etcd_stay_secret(any_stack: MakeAny, cluster: KubeApiserver) -> None:
    """The key of etcd's certificate is in a Secret of the cluster, and in no state, plan or log."""
    path, key = _upstreams_daemons(cluster), "a key that is nobody's business"
    mine = any_stack("upstream", secrets=("etcdKey",), etcdKey=key)

    done = mine.up()
    secret = cluster.request("GET", "/api/v1/namespaces/kube-system/secrets/calico-etcd-secrets")

    assert done.error == ""
    assert base64.b64decode(secret["data"]["etcd-key"]).decode() == key
    assert key not in str(mine.exported()) + str(done.said) + str(done.outputs)
    assert mine.destroy().error == ""
    cluster.request("DELETE", f"{path}/calico-node")
