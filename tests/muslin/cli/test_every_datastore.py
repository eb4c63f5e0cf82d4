"""The verbs on a real etcd and a real Kubernetes API do what they do on the embedded datastore."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from muslin.conversion.kinds import ApiGroup
from muslin.resources.crds import definitions
from tests.muslin.cli.calico import BOTH, POOL, TIER, Calico, manifest
from tests.muslin.cli.running import Run
from tests.muslin.datastore.kubernetes.clusters import cluster as cluster_with
from tests.support.engines import wait_until
from tests.support.etcd_server import EtcdServer
from tests.support.kube_apiserver import KubeApiserver


@pytest.fixture
def etcd() -> Iterator[EtcdServer]:
    """An empty etcd with TLS."""
    with EtcdServer(tls=True) as server:
        yield server


@pytest.fixture
def in_etcd(etcd: EtcdServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calico:
    """An empty etcd, told by the environment."""
    environment = {"DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": etcd.endpoint, "ETCD_CA_CERT_FILE": str(etcd.ca_file)}
    return Calico(run, tmp_path, environment, monkeypatch)


@pytest.fixture
def in_kubernetes(kube_apiserver: KubeApiserver, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calico:
    """A Kubernetes API with our definitions."""
    for definition in definitions():
        kube_apiserver.install(definition)
    environment = {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": str(kube_apiserver.kubeconfig)}
    return Calico(run, tmp_path, {**environment, "K8S_CLIENT_QPS": "1000"}, monkeypatch)


_ODD_NODE = {"metadata": {"name": "odd", "annotations": {"projectcalico.org/IPv4Address": "not-an-address"}}}


@pytest.mark.engines
def test_an_annotation_that_is_wrong_is_told_by_get_and_check(
    in_kubernetes: Calico, kube_apiserver: KubeApiserver
) -> None:
    """With the node and the annotation; the node is shown without it, in a list too."""
    assert kube_apiserver.request("POST", "/api/v1/nodes", _ODD_NODE).status == 201
    try:
        shown, listed = in_kubernetes("get", "node", "odd", "-o", "yaml"), in_kubernetes("get", "nodes")
        checked = in_kubernetes("datastore", "check")
    finally:
        kube_apiserver.request("DELETE", "/api/v1/nodes/odd")

    for ran in (shown, listed):
        assert (ran.status, ran.err.count("warning: ")) == (0, 1)
        assert "where: Node odd  metadata.annotations[projectcalico.org/IPv4Address]" in ran.err
    assert "ipv4Address" not in shown.out
    assert checked.status == 1
    assert "IPv4Address" in checked.out


def _journey(calico: Calico, namespace: str) -> None:
    """A user's way through all verbs, with calicoctl's lines and statuses."""
    everything = BOTH.replace("shop", namespace)
    file = calico.write(everything)
    assert calico.ctl("apply", "-f", file).out == "Successfully applied 3 resource(s)\n"
    assert calico.ctl("apply", "-f", file).out == "Successfully applied 3 resource(s)\n"
    exists = calico.ctl("create", "-f", calico.write(TIER))
    assert exists.err.startswith("failed to create 'Tier' resource: [resource already exists: Tier(sec) with error: ")
    assert calico.ctl("get", "np", "-n", namespace).out.splitlines()[1].split() == [namespace, "web", "sec"]
    assert calico.get("pool", "pods")["spec"]["blockSize"] == 26

    assert calico.ctl("patch", "pool", "pods", "-p", '{"spec":{"natOutgoing":true}}').status == 0
    assert calico.ctl("label", "pool", "pods", "a=b").status == 0
    found = calico.get("pool", "pods")
    assert (found["spec"]["natOutgoing"], found["metadata"]["labels"]["a"]) == (True, "b")
    stale = manifest("IPPool", "pods", "{cidr: 10.48.0.0/16}", extra=", resourceVersion: '1'")
    assert "update conflict: IPPool(pods)" in calico.ctl("apply", "-f", calico.write(stale)).err
    assert "CIDR cannot be changed" in calico.ctl("apply", "-f", calico.write(POOL.replace("48", "49"))).err
    full = calico.ctl("delete", "tier", "sec")
    assert "Tier is not empty" in full.err.splitlines()[0]

    assert calico.ctl("datastore", "migrate", "lock").out == "Datastore locked.\n"
    report = calico.folder / "report.json"
    assert calico.ctl("ipam", "check", "-o", report).out.splitlines()[-1] == "Check complete; found 0 problems."
    assert calico.ctl("ipam", "release", "--from-report", report).status == 0
    assert calico.ctl("ipam", "split", "2", "--name", "pods").status == 0
    assert calico.ctl("ipam", "configure", "--strictaffinity", "true").status == 0
    assert "| StrictAffinity               | true" in calico.ctl("ipam", "show", "--show-configuration").out
    assert calico.ctl("datastore", "migrate", "unlock").status == 0

    gone = calico.ctl("delete", "-f", calico.write(everything), "--skip-not-exists")
    assert (gone.status, gone.out) == (0, "Successfully deleted 3 resource(s)\n")
    assert calico.ctl("delete", "pool", "split-pods-0", "split-pods-1").status == 0
    missing = calico.ctl("get", "tier", "sec")
    assert missing.err.startswith("resource does not exist: Tier(sec) with error: ")


@pytest.mark.engines("etcd")
def test_a_users_way_with_etcd(in_etcd: Calico) -> None:
    """All verbs, with TLS; the export of what is there goes into an embedded datastore as well."""
    _journey(in_etcd, "shop")


@pytest.mark.engines
def test_a_users_way_with_kubernetes(in_kubernetes: Calico, namespace: str) -> None:
    """All verbs, on native definitions."""
    _journey(in_kubernetes, namespace)


@pytest.mark.engines
def test_nodes_of_kubernetes(in_kubernetes: Calico, kube_apiserver: KubeApiserver) -> None:
    """`apply` writes a Node that Kubernetes has, which can't be created or deleted here; the server's words show."""
    kube_apiserver.request("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
    calico = in_kubernetes
    bgp = "{bgp: {ipv4Address: 192.0.2.1/24, asNumber: 64496}}"
    applied = calico.ctl("apply", "-f", calico.write(manifest("Node", "n1", bgp)))
    unknown = calico.ctl("apply", "-f", calico.write(manifest("Node", "other", bgp)))
    deleted = calico.ctl("delete", "node", "n1")

    assert (applied.status, calico.get("node", "n1")["spec"]["bgp"]["asNumber"]) == (0, 64496)
    assert unknown.err.splitlines()[0] == (
        "failed to apply 'Node' resource: [resource does not exist: Node(other) with error: nodes \"other\" not found]"
    )
    assert deleted.err.startswith("Failed to delete 'Node' resource: operation Delete is not supported on Node(n1)")
    assert "n1" in calico("get", "nodes", "-o", "wide").out


_READER = {
    "metadata": {"name": "pool-reader"},
    "rules": [
        {"apiGroups": ["projectcalico.org"], "resources": ["clusterinformations", "ippools"], "verbs": ["get", "list"]}
    ],
}
_BOUND = {
    "metadata": {"name": "pool-reader"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "pool-reader"},
    "subjects": [{"kind": "Group", "name": "devs", "apiGroup": "rbac.authorization.k8s.io"}],
}


@pytest.mark.engines
def test_who_may_only_read_pools(
    in_kubernetes: Calico, kube_apiserver: KubeApiserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads them, and of all else is told what may not be done, in calicoctl's words, and what right is missing."""
    calico, token = in_kubernetes, kube_apiserver.user_token
    calico.apply(POOL)
    monkeypatch.setenv("KUBECONFIG", str(kube_apiserver.kubeconfig_for("alice", token=token)))
    gate = calico.ctl("get", "pools")
    roles, pools = "/apis/rbac.authorization.k8s.io/v1", "/apis/projectcalico.org/v3/ippools"
    for path, body in (("clusterroles", _READER), ("clusterrolebindings", _BOUND)):
        assert kube_apiserver.request("POST", f"{roles}/{path}", body).status == 201
    try:
        wait_until(lambda: kube_apiserver.request("GET", pools, token=token).status == 200, "the right", within_s=30)
        shown, listed = calico.ctl("get", "pool", "pods"), calico.ctl("get", "np", "-A")
        refused = [
            calico.ctl(*words)
            for words in (
                ("apply", "-f", calico.write(TIER)),
                ("patch", "pool", "pods", "-p", '{"spec":{"disabled":true}}'),
                ("label", "pool", "pods", "a=b"),
                ("delete", "pool", "pods"),
                ("ipam", "configure", "--strictaffinity", "true"),
            )
        ]
    finally:
        for path in ("clusterrolebindings", "clusterroles"):
            kube_apiserver.request("DELETE", f"{roles}/{path}/pool-reader")
        monkeypatch.setenv("KUBECONFIG", str(kube_apiserver.kubeconfig))
    assert calico.ctl("delete", "pool", "pods").status == 0

    assert "unable to get Cluster Information to verify version mismatch: connection is unauthorized: " in gate.err
    assert (shown.status, shown.out.splitlines()[1].split()[0]) == (0, "pods")
    for ran in (gate, listed, *refused):
        assert (ran.status, 'User "alice" cannot ' in ran.err, "fix:   bind a Role" in ran.err) == (1, True, True), ran
    assert refused[2].err.splitlines()[0] == "failed to update pool pods, label not changed"


@pytest.mark.engines("etcd")
def test_an_etcd_that_is_away(in_etcd: Calico, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told with what to do, exit status 1, no traceback; `validate` does not need it."""
    monkeypatch.setenv("ETCD_ENDPOINTS", "https://127.0.0.1:1")
    ran = in_etcd.ctl("get", "tiers")

    assert (ran.status, "where:" in ran.err, "Traceback" in ran.err) == (1, True, False)
    assert in_etcd.ctl("validate", "-f", in_etcd.write(BOTH)).status == 0


@pytest.mark.engines
def test_from_etcd_into_a_new_kubernetes(etcd: EtcdServer, run: Run, tmp_path: Path) -> None:
    """What etcd held is exported, and imported into a Kubernetes that had no definition of ours."""
    with pytest.MonkeyPatch.context() as patch:
        environment = {
            "DATASTORE_TYPE": "etcdv3",
            "ETCD_ENDPOINTS": etcd.endpoint,
            "ETCD_CA_CERT_FILE": str(etcd.ca_file),
        }
        source = Calico(run, tmp_path, environment, patch)
        source.apply(BOTH.replace("shop", "default"))
        source.ctl("datastore", "migrate", "lock")
        exported = source.ctl("datastore", "migrate", "export")
    with KubeApiserver() as server, pytest.MonkeyPatch.context() as patch:
        environment = {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": str(server.kubeconfig), "K8S_CLIENT_QPS": "1000"}
        target = Calico(run, tmp_path, environment, patch)
        ran = target.ctl("datastore", "migrate", "import", "-f", source.write(exported.out, "all.txt"))
        found = target.get("np", "web")
        locked = target.get("clusterinfo", "default")["spec"]["datastoreReady"]

    assert (exported.status, ran.status) == (0, 0), exported.err + ran.err
    assert (found["spec"]["tier"], locked) == ("sec", False)
    assert ran.out.splitlines()[-1].startswith("Datastore information successfully imported.")


@pytest.mark.engines("etcd")
def test_the_reconciler_keeps_an_etcd(in_etcd: Calico, monkeypatch: pytest.MonkeyPatch) -> None:
    """`plan`, `reconcile` and `status` find the datastore as calicoctl's verbs do."""
    calico = in_etcd
    monkeypatch.setenv("GIT_AUTHOR_NAME", "t")
    folder, mirror = calico.write(POOL.replace("48", "52"), "repository/pool.yaml").parent, calico.folder / "mirror.git"
    for words in (
        ("init", "-q", "-b", "main", str(folder)),
        ("-C", str(folder), "add", "."),
        ("-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "pool"),
    ):
        subprocess.run(("git", *words), check=True)
    # As a process: a fetcher bounds its own memory and files for good.
    fetch = ("fetch", "--repository", str(folder), "--allow-local", "--mirror", str(mirror), "--once")
    fetched = subprocess.run((sys.executable, "-m", "muslin.cli.main", *fetch), check=False)
    before = calico("plan", folder)
    applied = calico("reconcile", "--mirror", mirror, "--once")
    after = calico("plan", folder)

    assert (fetched.returncode, before.status, applied.status, after.status) == (0, 2, 0, 0), applied.err
    assert "create IPPool pods" in before.out
    assert calico.get("ippool", "pods")["spec"]["cidr"] == "10.52.0.0/16"
    assert calico("status").out.startswith("Set default: applied ")
    assert calico.ctl("delete", "ippool", "pods").status == 0


@pytest.mark.engines
def test_pools_with_kubernetes_older_definitions(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the cluster minds pools that overlap there, so the verbs do; and they disable a pool that goes."""
    with cluster_with(ApiGroup.V1) as server:
        environment = {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": str(server.kubeconfig), "K8S_CLIENT_QPS": "1000"}
        calico = Calico(run, tmp_path, environment, monkeypatch)
        calico.apply(POOL)
        over = calico.ctl("create", "-f", calico.write(manifest("IPPool", "more", "{cidr: 10.48.128.0/17}")))
        gone = calico.ctl("delete", "ippool", "pods")

        assert "IPPool(more) CIDR overlaps with IPPool(pods) CIDR 10.48.0.0/16" in over.err.splitlines()[0]
        assert (gone.status, calico.get("ippools")["items"]) == (0, [])
