"""A Kubernetes cluster's own etcd is refused: by its certificates, and by its keys."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from muslin.datastore.etcd import EtcdDatastore
from muslin.datastore.settings import EtcdSettings
from muslin.errors import BadInput
from tests.support.certificates import Authority
from tests.support.etcd_server import EtcdServer


@pytest.mark.parametrize(
    "place",
    [
        "/etc/kubernetes/pki/apiserver-etcd-client.crt",
        "/etc/kubernetes/pki/etcd/ca.crt",
        "/srv/keys/apiserver-etcd-client.key",
        "/var/lib/rancher/k3s/server/tls/etcd/client.crt",
    ],
)
def test_the_clusters_certificates_are_refused_by_their_place(place: str) -> None:
    """Nothing is connected (there is nobody at that address), the rule and the way out are told."""
    settings = EtcdSettings(endpoints=("https://192.0.2.1:2379",), places=(place,))
    with pytest.raises(BadInput) as refused:
        asyncio.run(EtcdDatastore.open(settings))

    (problem,) = refused.value.problems
    assert problem.where == place
    assert "do not use the Kubernetes etcd cluster" in (problem.source or "")


def test_the_clusters_certificate_is_refused_by_its_name_wherever_it_is(tmp_path: Path) -> None:
    """A copy under another name, or inline, is the same certificate; one of our own is not."""
    authority = Authority(tmp_path)
    theirs = authority.issue("kube-apiserver-etcd-client")
    settings = EtcdSettings(
        endpoints=("https://192.0.2.1:2379",), cert=theirs.cert.read_bytes(), key=theirs.key.read_bytes()
    )
    with pytest.raises(BadInput) as refused:
        asyncio.run(EtcdDatastore.open(settings))
    assert "API server" in refused.value.problems[0].what


@pytest.mark.engines("etcd")
def test_an_etcd_with_keys_of_kubernetes_is_refused_before_any_write() -> None:
    """One key under /registry/ is enough; nothing is written; a key that only begins alike is none."""

    def put(server: EtcdServer, key: str) -> None:
        server.call("/v3/kv/put", {"key": base64.b64encode(key.encode()).decode(), "value": "e30="})

    async def opening(server: EtcdServer) -> None:
        store = await EtcdDatastore.open(EtcdSettings(endpoints=(server.endpoint,)))
        await store.close()

    with EtcdServer() as server:
        put(server, "/registryish")
        asyncio.run(opening(server))
        put(server, "/registry/namespaces/default")
        before = server.call("/v3/kv/range", {"key": "AA==", "range_end": "AA=="})
        with pytest.raises(BadInput) as refused:
            asyncio.run(opening(server))

        assert "/registry/namespaces/default" in refused.value.problems[0].what
        assert server.call("/v3/kv/range", {"key": "AA==", "range_end": "AA=="})["header"] == before["header"]
