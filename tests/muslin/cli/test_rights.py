"""Users with less than all rights, on a real etcd and a real Kubernetes API: what is refused, and how it is told."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from muslin.resources.crds import definition
from tests.muslin.cli.calico import POOL, Calico
from tests.muslin.cli.running import Run
from tests.support.etcd_server import EtcdServer
from tests.support.kube_apiserver import KubeApiserver

_POOLS = "/calico/resources/v3/projectcalico.org/ippools/"


@pytest.fixture
def etcd() -> Iterator[EtcdServer]:
    """An etcd whose user `reader` may read all of Calico's keys, `pools` only those of pools, `calico` may write."""
    with EtcdServer(tls=True) as server:
        server.call("/v3/auth/user/add", {"name": "reader", "password": "pw"})
        server.call("/v3/auth/role/add", {"name": "reader"})
        first, last = (base64.b64encode(key).decode() for key in (b"/calico/", b"/calico0"))
        right = {"permType": "READ", "key": first, "range_end": last}
        server.call("/v3/auth/role/grant", {"name": "reader", "perm": right})
        server.call("/v3/auth/user/grant", {"user": "reader", "role": "reader"})
        server.enable_auth("root-pw", {"calico": ("pw", "/calico/"), "pools": ("pw", _POOLS)})
        yield server


@pytest.mark.engines("etcd")
def test_roles_in_etcd(etcd: EtcdServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal is calicoctl's line, then the key and the role's cure; exit status 1; what may be is done."""
    environment = {"DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": etcd.endpoint, "ETCD_CA_CERT_FILE": str(etcd.ca_file)}
    calico = Calico(run, tmp_path, {**environment, "ETCD_PASSWORD": "pw"}, monkeypatch)
    monkeypatch.setenv("ETCD_USERNAME", "calico")
    calico.apply(POOL)
    pool = calico.write(POOL)
    unauthorized = "connection is unauthorized: etcd does not allow this: permission denied"

    monkeypatch.setenv("ETCD_USERNAME", "reader")
    assert calico.ctl("get", "ippools").out.splitlines()[1].startswith("pods ")
    assert calico.ctl("ipam", "show").status == 0
    for words, line in (
        (("apply", "-f", pool), f"failed to apply 'IPPool' resource: [{unauthorized}]"),
        (("replace", "-f", pool), f"failed to replace 'IPPool' resource: {unauthorized}"),
        (("delete", "ippool", "pods"), f"Failed to delete 'IPPool' resource: {unauthorized}"),
        (("label", "ippool", "pods", "a=b"), "failed to update ippool pods, label not changed"),
        (("patch", "ippool", "pods", "-p", '{"spec":{"natOutgoing":true}}'), f"hit error: {unauthorized}"),
    ):
        ran = calico.ctl(*words)
        assert (ran.status, ran.out, ran.err.splitlines()[0]) == (1, "", line)
        assert f"where: {_POOLS}pods at {etcd.endpoint}" in ran.err
        assert "fix:   grant the user's role the keys" in ran.err

    monkeypatch.setenv("ETCD_USERNAME", "pools")
    gate = calico.ctl("get", "ippools")
    assert (gate.status, gate.err.splitlines()[:2]) == (1, [
        f"unable to get Cluster Information to verify version mismatch: {unauthorized}",
        "Use --allow-version-mismatch to override.",
    ])  # fmt: skip
    assert calico.ctl("--allow-version-mismatch", "get", "ippool", "pods").status == 0
    other = calico.ctl("--allow-version-mismatch", "get", "tiers")
    assert (other.status, other.out, other.err.splitlines()[0]) == (1, "", unauthorized)


@pytest.mark.engines
def test_roles_in_kubernetes(
    kube_apiserver: KubeApiserver, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server's words stay, then the object and the role's cure; nothing is shown of a refused list."""
    kube_apiserver.install(definition("IPPool"))
    alice = kube_apiserver.kubeconfig_for("alice", token=kube_apiserver.user_token)
    calico = Calico(run, tmp_path, {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": str(alice)}, monkeypatch)
    pool = calico.write(POOL)
    for words, line, place in (
        (("get", "np", "-A"), 'User "alice" cannot list resource "networkpolicies"', "networkpolicies"),
        (("apply", "-f", pool), 'User "alice" cannot create resource "ippools"', "IPPool pods"),
        (("ipam", "show"), 'User "alice" cannot list resource "ipamblocks"', "ipamblocks"),
    ):
        ran = calico.ctl("--allow-version-mismatch", *words)
        assert (ran.status, ran.out) == (1, "")
        assert "connection is unauthorized: " in ran.err.splitlines()[0]
        assert line in ran.err.splitlines()[0]
        assert place in ran.err.splitlines()[1]
        assert "bind a Role or ClusterRole" in ran.err
