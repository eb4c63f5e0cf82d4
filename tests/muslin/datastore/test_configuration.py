"""Which datastore flags, a CalicoAPIConfig file and the environment come to, and what is said of wrong ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from muslin.datastore.configuration import Asked, settings_of
from muslin.datastore.opening import named, open_store, opened
from muslin.datastore.settings import DatastoreSettings, EmbeddedSettings, EtcdSettings, KubernetesSettings
from muslin.errors import BadInput
from muslin.resources.keys import Key

_HEAD = "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nmetadata: {}\nspec:\n"


def _of(
    environment: Mapping[str, str], asked: Asked | None = None, default_file: str = "/nowhere"
) -> DatastoreSettings:
    return settings_of(asked or Asked(), environment, default_file=default_file, default_datastore="/d.db")


def _refused(environment: Mapping[str, str], asked: Asked | None = None) -> list[tuple[str, str]]:
    with pytest.raises(BadInput) as caught:
        _of(environment, asked)
    return [(problem.where, problem.what) for problem in caught.value.problems]


def test_nothing_said_means_the_embedded_datastore() -> None:
    """On one machine, that is; in a pod, with a kubeconfig, and for calicoctl it means Kubernetes."""
    in_a_pod = {"KUBERNETES_SERVICE_HOST": "192.0.2.1"}

    assert _of({}) == EmbeddedSettings("/d.db")
    assert _of(in_a_pod) == KubernetesSettings()
    assert _of({}, Asked(prefer_embedded=False)) == KubernetesSettings()


def test_the_users_own_kubeconfig(tmp_path: Path) -> None:
    """It is used where nothing else is named, as kubectl does."""
    own = tmp_path / ".kube" / "config"
    own.parent.mkdir()
    own.write_text("")

    assert _of({"HOME": str(tmp_path)}) == KubernetesSettings(kubeconfig=str(own))
    assert _of({"HOME": str(tmp_path), "K8S_API_ENDPOINT": "https://192.0.2.1"}) == KubernetesSettings(
        api_endpoint="https://192.0.2.1"
    )


def test_precedence(tmp_path: Path) -> None:
    """Flag, file by hand, MUSLIN_DATASTORE, default file, environment; a file is the whole truth."""
    file = tmp_path / "c.cfg"
    file.write_text(f"{_HEAD}  datastoreType: etcdv3\n  etcdEndpoints: https://192.0.2.10:2379\n")
    etcd = EtcdSettings(("https://192.0.2.10:2379",))
    environment = {"MUSLIN_DATASTORE": "/m.db", "DATASTORE_TYPE": "kubernetes", "ETCD_USERNAME": "u"}
    without = {"DATASTORE_TYPE": "kubernetes", "ETCD_USERNAME": "u"}

    assert _of(environment, Asked("/f.db", str(file))) == EmbeddedSettings("/f.db")
    assert _of(environment, Asked(config=str(file))) == etcd
    assert _of(environment, default_file=str(file)) == EmbeddedSettings("/m.db")
    assert _of(without, default_file=str(file)) == etcd
    assert _of(without) == KubernetesSettings()


@pytest.mark.parametrize("prefix", ["", "CALICO_"])
def test_every_variable_with_and_without_prefix(prefix: str, tmp_path: Path) -> None:
    """The names of the reference, each also with CALICO_ in front."""
    pem = tmp_path / "x.pem"
    pem.write_bytes(b"pem")
    etcd = {"ETCD_ENDPOINTS": "http://192.0.2.1:2379, http://192.0.2.2:2379", "ETCD_USERNAME": "u",
            "ETCD_PASSWORD": "p", "ETCD_KEY_FILE": str(pem), "ETCD_CERT_FILE": str(pem),
            "ETCD_CA_CERT_FILE": str(pem)}  # fmt: skip
    kubernetes = {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": str(pem), "K8S_API_ENDPOINT": "https://192.0.2.1",
                  "K8S_KEY_FILE": str(pem), "K8S_CERT_FILE": str(pem), "K8S_CA_FILE": str(pem),
                  "K8S_INSECURE_SKIP_TLS_VERIFY": "true", "USE_POD_CIDR": "1", "K8S_CLIENT_QPS": "50",
                  "K8S_CLIENT_BURST": "200", "K8S_CURRENT_CONTEXT": "c",
                  "CALICO_API_GROUP": "ProjectCalico.org/v3"}  # fmt: skip

    assert _of({prefix + name: value for name, value in etcd.items()}) == EtcdSettings(
        ("http://192.0.2.1:2379", "http://192.0.2.2:2379"), None, "u", "p", b"pem", b"pem", b"pem", (str(pem),) * 3
    )
    assert _of({prefix + name: value for name, value in kubernetes.items()}) == KubernetesSettings(
        str(pem), None, "c", "https://192.0.2.1", str(pem), str(pem), str(pem), None, True, True,
        "projectcalico.org/v3", 50.0, 200,
    )  # fmt: skip


def test_the_prefixed_variable_wins() -> None:
    """As envconfig, the reference's library, has it; an empty one says nothing."""
    both = {"CALICO_ETCD_ENDPOINTS": "http://192.0.2.1:1", "ETCD_ENDPOINTS": "http://192.0.2.2:2"}

    assert _of(both) == EtcdSettings(("http://192.0.2.1:1",))
    assert _of({**both, "CALICO_ETCD_ENDPOINTS": ""}) == EtcdSettings(("http://192.0.2.2:2",))


def test_the_type_follows_from_endpoints_and_names(tmp_path: Path) -> None:
    """Endpoints or a domain mean etcd; `embedded` is ours; the context of the command line wins."""
    file = tmp_path / "c.cfg"
    file.write_text(f"{_HEAD}  datastoreType: embedded\n  embeddedPath: /e.db\n")

    assert _of({"ETCD_DISCOVERY_SRV": "example.org"}) == EtcdSettings((), "example.org")
    assert _of({"DATASTORE_TYPE": "embedded"}) == EmbeddedSettings("/d.db")
    assert _of({}, Asked(config=str(file))) == EmbeddedSettings("/e.db")
    chosen = _of({"DATASTORE_TYPE": "kubernetes", "K8S_CURRENT_CONTEXT": "a"}, Asked(context="b"))
    assert isinstance(chosen, KubernetesSettings)
    assert chosen.context == "b"


def test_inline_certificates(tmp_path: Path) -> None:
    """A file may hold the PEMs themselves; messages then name the field, never the key."""
    file = tmp_path / "c.cfg"
    file.write_text(f"{_HEAD}  etcdEndpoints: https://192.0.2.1:2379\n  etcdKey: k\n  etcdCert: c\n  etcdCACert: a\n")
    found = _of({}, Asked(config=str(file)))

    assert isinstance(found, EtcdSettings)
    assert (found.key, found.cert, found.ca_cert, len(found.places)) == (b"k", b"c", b"a", 3)
    assert "b'k'" not in repr(found)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"DATASTORE_TYPE": "mongo"}, [("DATASTORE_TYPE", "unknown datastore type: mongo")]),
        ({"DATASTORE_TYPE": "etcdv3"}, [("ETCD_ENDPOINTS", "no etcd endpoints specified")]),
        ({"ETCD_ENDPOINTS": "ftp://x"}, [("ETCD_ENDPOINTS", "'ftp://x' is not an endpoint")]),
        ({"ETCD_ENDPOINTS": "http://x:port"}, [("ETCD_ENDPOINTS", "'http://x:port' is not an endpoint")]),
        ({"ETCD_ENDPOINTS": "a:1", "ETCD_PASSWORD": "p"}, [("ETCD_PASSWORD", "there is a password without a user")]),
        ({"CALICO_ETCD_ENDPOINTS": "a:1", "ETCD_CA_CERT_FILE": "/nope"},
         [("ETCD_CA_CERT_FILE", "/nope can't be read: No such file or directory")]),
        ({"KUBECONFIG": "/nope"}, [("KUBECONFIG", "the kubeconfig /nope is not there")]),
        ({"DATASTORE_TYPE": "kubernetes", "K8S_CLIENT_QPS": "fast", "USE_POD_CIDR": "maybe", "CALICO_API_GROUP": "v2",
          "K8S_CA_FILE": "/nope"},
         [("K8S_CA_FILE", "/nope is not there"), ("CALICO_API_GROUP", "'v2' is no API group"),
          ("USE_POD_CIDR", "'maybe' is neither true nor false"),
          ("K8S_CLIENT_QPS", "'fast' is not a number of requests a second")]),
    ],
)  # fmt: skip
def test_wrong_variables(environment: dict[str, str], expected: list[tuple[str, str]]) -> None:
    """Each is told with the variable's name, all of them at once."""
    assert _refused(environment) == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "it is not one document"),
        ("a: 1\n---\nb: 2\n", "it is not one document"),
        ("a: [", ""),
        ("apiVersion: v1\nkind: Pod\n", "unknown APIVersion 'v1'"),
        ("apiVersion: projectcalico.org/v3\nkind: Tier\n", "expected kind 'CalicoAPIConfig', got 'Tier'"),
        (
            f"{_HEAD}  etcdEndpoint: x\n",
            "field in document is not recognized or is in the wrong location: etcdEndpoint",
        ),
        (f"{_HEAD}  etcdEndpoints: [a]\n", "etcdEndpoints is not text"),
        (f"{_HEAD[:-6]}spec: 3\n", "spec is not a mapping"),
        (f"{_HEAD}  datastoreType: etcdv3\n  etcdEndpoints: a:1\n  etcdKey: k\n  etcdCertFile: /c\n", "at once"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, what: str) -> None:
    """A file that is wrong is told with its name, and never makes another datastore be used."""
    file = tmp_path / "c.cfg"
    file.write_text(text)
    refused = _refused({}, Asked(config=str(file)))

    assert any(what in said for _, said in refused)
    assert any(str(file) in where for where, _ in refused)


def test_a_file_that_is_not_there() -> None:
    """Given by hand it must be there; the default one need not."""
    assert _refused({}, Asked(config="/nope")) == [("--config", "Error reading config file: /nope")]


def test_opening(tmp_path: Path) -> None:
    """An embedded datastore is made only for who may make one, and closed at the end."""
    settings = EmbeddedSettings(str(tmp_path / "d.db"))

    async def work() -> str:
        with pytest.raises(BadInput, match="is not there"):
            await open_store(settings)
        async with opened(settings, make=True) as store:
            await store.create(Key("Tier", "a"), {"kind": "Tier", "metadata": {"name": "a"}})
        async with opened(settings) as store:
            return (await store.get(Key("Tier", "a"))).key.name

    assert asyncio.run(work()) == "a"


def test_names_for_people_hold_no_secret() -> None:
    """Where a store is, not how one gets in."""
    assert named(EtcdSettings(("http://192.0.2.1:1",), password="secret")) == "etcd http://192.0.2.1:1"
    assert named(KubernetesSettings(kubeconfig="/k", context="c", token="secret")) == "Kubernetes /k, context c"
    assert named(EmbeddedSettings("/d.db")) == "/d.db"
