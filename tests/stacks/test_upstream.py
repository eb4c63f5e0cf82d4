"""Upstream Calico told by a program what was decided: its own objects keep the rest, and etcd's key stays secret."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from tests.stacks.conftest import MakeStack
from tests.stacks.engine.deployment import Result, Stack
from tests.stacks.engine.monitor import check
from tests.stacks.upstreams import AGENTS, system, upstreams_manifest
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines


@pytest.fixture
def manifest(cluster: KubeApiserver) -> Iterator[None]:
    """Upstream's manifest was applied."""
    with upstreams_manifest(cluster):
        yield


@pytest.mark.usefixtures("manifest")
def test_upstream_is_told_what_was_decided(stack: MakeStack, cluster: KubeApiserver) -> None:
    """Upstream's own ConfigMap and DaemonSet get the decided fields and keep the others; Typha is made whole.

    By the small engine only: Pulumi's own provider waits until Typha and the agents run, and nothing runs here.
    """
    mine = stack("upstream")

    done = mine.up()
    (container,) = cluster.request("GET", AGENTS)["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    typha = cluster.request("GET", "/apis/apps/v1/namespaces/kube-system/deployments/calico-typha")

    assert done.error == ""
    assert check(list(done.steps)) == []
    assert (variables["WAIT"], variables["CALICO_IPV4POOL_CIDR"]) == ("true", "10.48.0.0/16")
    assert container["image"] == "example.org/node:v3.32.1"
    assert typha["spec"]["replicas"] >= 1
    _again(mine, done, cluster)
    assert mine.destroy().error == ""
    assert cluster.request("GET", AGENTS).status == 200


def _again(mine: Stack, done: Result, cluster: KubeApiserver) -> None:
    """Nothing changes. Of agents Pulumi says that it updates them: it compares lists place by place.

    What is patched into upstream's list of variables stands between the others there.
    """
    before = cluster.request("GET", AGENTS)["metadata"]
    again = mine.up()

    assert (again.error, again.names("create")) == ("", [])
    assert again.names("update") == ["calico-daemonset-kube-system-calico-node"]
    assert sorted([*again.names("same"), *again.names("update")]) == sorted(done.names("create"))
    assert cluster.request("GET", AGENTS)["metadata"] == before


@pytest.mark.usefixtures("manifest")
def test_certificates_of_etcd_stay_secret(stack: MakeStack, cluster: KubeApiserver) -> None:
    """The key of etcd's certificate is in a Secret of the cluster, and in no state, plan or log."""
    key = "a key that is nobody's business"
    mine = stack("upstream", secrets=("etcdKey",), etcdKey=key)

    done = mine.up()
    secret = cluster.request("GET", "/api/v1/namespaces/kube-system/secrets/calico-etcd-secrets")

    assert done.error == ""
    assert base64.b64decode(secret["data"]["etcd-key"]).decode() == key
    assert key not in str(mine.exported()) + str(done.said) + str(done.outputs)
    assert mine.destroy().error == ""


def test_without_what_is_told(stack: MakeStack, cluster: KubeApiserver) -> None:
    """Without the operator's definitions, without upstream's manifest, without rights: all of it at preview."""
    system(cluster)
    mine = stack("operated")
    unserved = mine.preview()
    mine.config["by"] = "manifests"
    bare = mine.up()
    mine.token = cluster.user_token
    denied = mine.up()

    assert "the cluster does not serve APIServer" in unserved.error
    assert "the cluster does not serve Installation" in unserved.error
    assert "install upstream's operator first" in unserved.error
    assert "upstream's DaemonSet calico-node is not there" in bare.error
    assert "upstream's ConfigMap calico-config is not there" in bare.error
    assert "this user may not get, patch DaemonSet objects" in denied.error
    assert "this user may not create, delete, get, list, patch, watch Deployment objects" in denied.error
    assert [each.names("create") for each in (unserved, bare, denied)] == [[], [], []]
    assert cluster.request("GET", "/apis/apps/v1/namespaces/kube-system/deployments/calico-typha").status == 404
