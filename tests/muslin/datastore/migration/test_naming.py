"""A datastore named by one word: what people type for `--from` and `--to`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.naming import settings_named
from muslin.datastore.settings import EmbeddedSettings, EtcdSettings, KubernetesSettings
from muslin.errors import BadInput

KUBECONFIG = "apiVersion: v1\nkind: Config\nclusters: []\n"
CALICO = """apiVersion: projectcalico.org/v3
kind: CalicoAPIConfig
spec: {datastoreType: etcdv3, etcdEndpoints: "http://192.0.2.9:2379"}
"""


def test_files_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    """A datastore's file, a CalicoAPIConfig, a kubeconfig; a name that ends in .db may be made."""

    async def made() -> None:
        await EmbeddedDatastore.open(tmp_path / "store").close()

    asyncio.run(made())
    (tmp_path / "config").write_text(KUBECONFIG)
    (tmp_path / "calico.cfg").write_text(CALICO)
    (tmp_path / "other.txt").write_text("hello")

    assert settings_named(str(tmp_path / "store"), {}, "") == EmbeddedSettings(str(tmp_path / "store"))
    assert settings_named(str(tmp_path / "new.db"), {}, "") == EmbeddedSettings(str(tmp_path / "new.db"))
    assert settings_named(str(tmp_path / "calico.cfg"), {"ETCD_ENDPOINTS": "http://192.0.2.1:1"}, "") == EtcdSettings(
        endpoints=("http://192.0.2.9:2379",)
    )
    found = settings_named(str(tmp_path / "config"), {"KUBECONFIG": "elsewhere"}, "")
    assert isinstance(found, KubernetesSettings)
    assert found.kubeconfig == str(tmp_path / "config")
    for wrong in ("other.txt", "nothing"):
        with pytest.raises(BadInput, match=wrong):
            settings_named(str(tmp_path / wrong), {}, "--to")


def test_words_say_the_kind_and_leave_the_rest_to_the_environment(tmp_path: Path) -> None:
    """Certificates and users come from the usual variables; where the store is does not."""
    (tmp_path / "config").write_text(KUBECONFIG)
    environment = {
        "ETCD_ENDPOINTS": "http://192.0.2.1:2379", "ETCD_DISCOVERY_SRV": "example.com", "ETCD_USERNAME": "u",
        "CALICO_ETCD_PASSWORD": "p", "MUSLIN_DATASTORE": "/there", "DATASTORE_TYPE": "kubernetes",
        "KUBECONFIG": str(tmp_path / "config"),
    }  # fmt: skip
    two = "etcd:http://192.0.2.8:2379,http://192.0.2.9:2379"

    assert settings_named("embedded:x", environment, "") == EmbeddedSettings("x")
    assert settings_named(two, environment, "") == EtcdSettings(
        endpoints=("http://192.0.2.8:2379", "http://192.0.2.9:2379"), username="u", password="p"
    )
    file = f"kubernetes:{tmp_path / 'config'}"
    for word, context in (("kubernetes", None), (file, None), ("kubernetes:@prod", "prod"), (f"{file}@prod", "prod")):
        found = settings_named(word, environment, "")
        assert isinstance(found, KubernetesSettings)
        assert (found.kubeconfig, found.context) == (str(tmp_path / "config"), context)


def test_a_bare_address_is_asked_back() -> None:
    """It may be an etcd or an API server: the message says how each is written."""
    with pytest.raises(BadInput) as error:
        settings_named("https://192.0.2.1:2379", {}, "--from")
    assert "etcd:https://192.0.2.1:2379" in error.value.problems[0].fix
