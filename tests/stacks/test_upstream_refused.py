"""Clusters in which upstream Calico cannot be told what was decided: a clear error at preview, nothing written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.stacks.conftest import MakeStack
from tests.stacks.upstreams import upstreams_manifest
from tests.support.engines import wait_until
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

_API = "/apis/operator.tigera.io/v1"
_TOLD = f"{_API}/installations/default"
_MERGE = "application/merge-patch+json"


def _definition(kind: str, plural: str) -> dict[str, Any]:
    """The definition of one of the operator's kinds, in short: what is in it is the operator's business."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }  # fmt: skip
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.operator.tigera.io"},
        "spec": {"group": "operator.tigera.io", "names": names, "scope": "Cluster", "versions": [version]},
    }


@pytest.fixture(scope="module")
def definitions(server: KubeApiserver) -> Iterator[None]:
    """The operator's definitions, for the tests of this page."""
    for kind, plural in (("Installation", "installations"), ("APIServer", "apiservers")):
        server.install(_definition(kind, plural))
    yield
    for plural in ("installations", "apiservers"):
        server.request("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.operator.tigera.io")
    wait_until(lambda: server.request("GET", _API).status == 404, "the operator's definitions to go")


@pytest.fixture
def operators(definitions: None, cluster: KubeApiserver) -> Iterator[None]:
    """The operator's definitions are there, and nothing was said to it; the same afterwards."""
    del definitions
    yield
    for plural in ("installations", "apiservers"):
        cluster.request("DELETE", f"{_API}/{plural}/default")


def _told(cluster: KubeApiserver, manager: str, **spec: Any) -> None:
    """An Installation that somebody made."""
    value = {
        "apiVersion": "operator.tigera.io/v1", "kind": "Installation", "metadata": {"name": "default"}, "spec": spec,
    }  # fmt: skip
    assert cluster.request("POST", f"{_API}/installations?fieldManager={manager}", value).status == 201


@pytest.mark.usefixtures("operators")
def test_an_older_calico(stack: MakeStack, cluster: KubeApiserver) -> None:
    """A manifest's agents, and an operator that reports what it runs, of a release before the one that is meant."""
    mine = stack("operated", by="manifests")
    with upstreams_manifest(cluster, image="registry.example:5000/calico/node:v3.29.1@sha256:00"):
        by_manifests = mine.up()
    _told(cluster, "kubectl")
    cluster.request("PATCH", f"{_TOLD}/status", {"status": {"calicoVersion": "v3.30.4"}}, content_type=_MERGE)
    mine.config["by"] = "operator"
    by_operator = mine.up()

    assert "this is an older Calico: v3.29.1 runs, and the decisions are for 3.32" in by_manifests.error
    assert "update upstream's manifest to 3.32 first" in by_manifests.error
    assert "this is an older Calico: v3.30.4 runs" in by_operator.error
    assert by_manifests.names("create") == by_operator.names("create") == []


@pytest.mark.usefixtures("operators")
def test_objects_of_the_operator(stack: MakeStack, cluster: KubeApiserver) -> None:
    """Where the operator installs Calico, nothing is patched into a manifest's objects: it would be taken back."""
    with upstreams_manifest(cluster):
        _told(cluster, "kubectl")
        done = stack("operated", by="manifests").up()

    assert "the operator installs Calico here" in done.error
    assert "by='operator'" in done.error
    assert done.names("create") == []


@pytest.mark.usefixtures("operators")
def test_what_somebody_told_the_operator_otherwise(stack: MakeStack, cluster: KubeApiserver) -> None:
    """Another value of a person's is refused by field and manager, and taken over when that is asked for."""
    _told(cluster, "helm", calicoNetwork={"mtu": 1400}, registry="registry.example")
    mine = stack("operated")
    refused = mine.up()
    mine.config["force"] = ["Installation/default"]
    forced = mine.up()
    spec = cluster.request("GET", _TOLD)["spec"]

    assert 'somebody else set this field to another value (conflict with "helm"' in refused.error
    assert "Installation/default  spec.calicoNetwork.mtu" in refused.error
    assert (refused.names("create"), forced.error) == ([], "")
    assert (spec["calicoNetwork"]["mtu"], spec["registry"]) == (1500, "registry.example")


@pytest.mark.usefixtures("operators")
def test_defaults_that_the_operator_writes(stack: MakeStack, cluster: KubeApiserver) -> None:
    """They make the operator the manager of the list of pools; the next change still gets there; one writer at a time.

    The operator merges them into what it was told, and a list has one manager as a whole.
    """
    mine = stack("operated")
    first = mine.up()
    calico = cluster.request("GET", _TOLD)["spec"]["calicoNetwork"]
    filled = [{**each, "allowedUses": ["Workload", "Tunnel"]} for each in calico["ipPools"]]
    patch = {"spec": {"calicoNetwork": {"ipPools": filled}}}
    cluster.request("PATCH", f"{_TOLD}?fieldManager=operator", patch, content_type=_MERGE)
    again = mine.up()
    mine.config["nat"] = False
    changed = mine.up()
    spec = cluster.request("GET", _TOLD)["spec"]["calicoNetwork"]
    mine.name = "other"
    other = mine.preview()

    assert [first.error, again.error, changed.error] == ["", "", ""]
    assert again.names("same") == first.names("create")
    assert changed.names("update") == ["calico-installation-default"]
    assert [each["natOutgoing"] for each in spec["ipPools"]] == ["Disabled"]
    assert "the stack operated/test writes Installation/default already: one writer at a time" in other.error
