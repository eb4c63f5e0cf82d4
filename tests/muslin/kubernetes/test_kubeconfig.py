"""kubeconfig files as kubectl reads them, and what is wrong with them in words."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from muslin.errors import BadInput
from muslin.kubernetes.finding import find_access
from muslin.kubernetes.in_cluster import from_pod
from muslin.kubernetes.kubeconfig import from_files, from_text

_ONE = """\
apiVersion: v1
kind: Config
current-context: one
clusters:
  - name: east
    cluster:
      server: https://192.0.2.10:6443
      certificate-authority: pki/ca.crt
users:
  - name: alice
    user: {token: alices-token}
contexts:
  - name: one
    context: {cluster: east, user: alice, namespace: shop}
"""
_TWO = """\
kind: Config
current-context: two
clusters:
  - name: east
    cluster: {server: "https://198.51.100.1"}
  - name: west
    cluster: {server: "https://203.0.113.1", insecure-skip-tls-verify: true, tls-server-name: api.example.org}
users:
  - name: bob
    user: {username: bob, password: bobs-password}
contexts:
  - name: two
    context: {cluster: west, user: bob}
"""


def _file(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_context_names_cluster_user_and_namespace(tmp_path: Path) -> None:
    """Paths are relative to the file that says them."""
    access = from_files(_file(tmp_path, "a", _ONE))

    assert (access.server, access.namespace, access.user.token) == ("https://192.0.2.10:6443", "shop", "alices-token")
    assert access.ca is not None
    assert access.ca.path == tmp_path / "pki/ca.crt"


def test_of_several_files_the_first_word_counts(tmp_path: Path) -> None:
    """Equal names are the first file's whole; other names add up; missing files and empty parts are passed over."""
    one, two = _file(tmp_path, "a", _ONE), _file(tmp_path, "b", _TWO)
    both = os.pathsep.join(("", one, str(tmp_path / "missing"), two))

    assert from_files(both).server == "https://192.0.2.10:6443"
    west = from_files(both, context="two")
    assert (west.server, west.insecure_skip_tls_verify, west.tls_server_name) == (
        "https://203.0.113.1", True, "api.example.org",
    )  # fmt: skip
    assert (west.user.username, west.user.password, west.namespace) == ("bob", "bobs-password", "default")
    assert from_files(os.pathsep.join((two, one)), context="one").server == "https://198.51.100.1"


def test_data_in_the_file_win_over_paths() -> None:
    """As with kubectl, `-data` is used where both are there."""
    data = base64.b64encode(b"PEM").decode()
    text = _ONE.replace("certificate-authority:", f"certificate-authority-data: {data}\n      certificate-authority:")
    access = from_text(text)

    assert access.ca is not None
    assert access.ca.read() == b"PEM"


def test_secrets_are_in_no_repr(tmp_path: Path) -> None:
    """Neither tokens, passwords, keys nor what a plugin is given can reach a log by a value's text."""
    key = base64.b64encode(b"PRIVATE").decode()
    certified = _ONE.replace("{token: alices-token}", f"{{client-certificate: c.crt, client-key-data: {key}}}")
    plugin = (
        "{exec: {apiVersion: client.authentication.k8s.io/v1, command: p, "
        "args: [hidden], env: [{name: A, value: hidden}]}}"
    )
    texts = [_ONE, _TWO, certified, _ONE.replace("{token: alices-token}", plugin)]

    for text in texts:
        shown = repr(from_text(text))

        assert not [word for word in ("alices-token", "bobs-password", "PRIVATE", key, "hidden") if word in shown]


@pytest.mark.parametrize(
    ("change", "what", "where"),
    [
        (("current-context: one", ""), "no context is chosen", "there are: one"),
        (("current-context: one", "current-context: onn"), "there is no context 'onn'", "did you mean one?"),
        (("cluster: east, user", "cluster: eest, user"), "there is no cluster 'eest'", "did you mean east?"),
        (("user: alice,", "user: alicia,"), "there is no user 'alicia'", "did you mean alice?"),
        (("https://192.0.2.10:6443", "192.0.2.10:6443"), "no address of an API server", "clusters[east].server"),
        (("server: https://192.0.2.10:6443", ""), "the cluster has no server", "clusters[east].server"),
        (("{token: alices-token}", "{auth-provider: {name: gcp}}"), "auth-provider gcp is not supported", "kubelogin"),
        (("{token: alices-token}", "{token: 12345}"), "token is no string", "put it in quotes"),
        (("{token: alices-token}", '{token: "a\\nX: y"}'), "characters that no token has", "users[alice].token"),
        (("{token: alices-token}", "{client-key-data: '?'}"), "is no base64", "users[alice].client-key-data"),
        (("{token: alices-token}", "{exec: {command: p}}"), "exec speaks no apiVersion", "users[alice].exec"),
        (("certificate-authority: pki/ca.crt", "proxy-url: socks5://192.0.2.1"), "proxies of the kind 'socks5'", "http://"),
        (("certificate-authority:", "insecure-skip-tls-verify: true\n      certificate-authority:"),
         "would not look at it", "remove one"),
        (("kind: Config", "kind: Pod"), "this is no kubeconfig", "kind: Config"),
        (("users:\n  - name: alice\n    user: {token: alices-token}", "users: {a: b}"),
         "users is no list", "list of names"),
        (("  - name: east", "  - nome: east"), "not a cluster with a name", "clusters[0]"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(change: tuple[str, str], what: str, where: str) -> None:
    """Each problem says what is wrong, where, and what to write instead."""
    with pytest.raises(BadInput) as caught:
        from_text(_ONE.replace(*change))

    (problem,) = caught.value.problems
    assert what in problem.what
    assert where in f"{problem.where} {problem.fix}"
    assert "alices-token" not in str(problem)


def test_interactive_plugins_are_refused_with_a_way_out() -> None:
    """A plugin that must have a terminal can't work under an agent."""
    said = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: p, interactiveMode: Always}}"

    with pytest.raises(BadInput, match="wants a terminal"):
        from_text(_ONE.replace("{token: alices-token}", said))


def test_a_plugin_in_the_files_folder(tmp_path: Path) -> None:
    """A command with a slash is relative to the file, one without is looked for on PATH."""
    said = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: %s, args: [a], provideClusterInfo: true}}"
    (tmp_path / "pki").mkdir()
    _file(tmp_path, "pki/ca.crt", "PEM")
    text = _ONE.replace("{token: alices-token}", said)
    relative, on_path = (
        from_files(_file(tmp_path, name, text % command)).user.plugin
        for name, command in (("a", "bin/plugin"), ("b", "plugin"))
    )

    assert relative is not None
    assert on_path is not None
    assert (relative.command, on_path.command) == (str(tmp_path / "bin/plugin"), "plugin")
    assert relative.cluster == {
        "server": "https://192.0.2.10:6443",
        "certificate-authority-data": base64.b64encode(b"PEM").decode(),
    }


def test_missing_files_are_told(tmp_path: Path) -> None:
    """A single one must be there; of several at least one."""
    missing = str(tmp_path / "missing")

    with pytest.raises(BadInput, match="does not exist"):
        from_files(missing)
    with pytest.raises(BadInput, match="no kubeconfig is there"):
        from_files(f"{missing}:{missing}2")


def test_in_a_pod_it_is_the_service_account(tmp_path: Path) -> None:
    """Address from the environment, token by its file since it rotates, the authority, the namespace."""
    for name, text in (("token", "t"), ("ca.crt", "PEM"), ("namespace", "calico-system\n")):
        _file(tmp_path, name, text)
    environment = {"KUBERNETES_SERVICE_HOST": "2001:db8::1", "KUBERNETES_SERVICE_PORT": "443"}
    access = from_pod(environment, tmp_path)

    assert (access.server, access.namespace) == ("https://[2001:db8::1]:443", "calico-system")
    assert access.user.token_file == tmp_path / "token"


def test_outside_of_a_pod_it_says_what_to_give(tmp_path: Path) -> None:
    """Neither kubeconfig nor pod; and a pod without its service account."""
    with pytest.raises(BadInput, match="no pod of a cluster"):
        find_access(environment={})
    with pytest.raises(BadInput, match="no service account mounted"):
        from_pod({"KUBERNETES_SERVICE_HOST": "192.0.2.1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)


def test_single_settings_replace_what_a_file_says(tmp_path: Path) -> None:
    """Server, authority, certificate, token; verifying nothing drops the authority."""
    path = _file(tmp_path, "a", _ONE)
    access = find_access(
        kubeconfig=path,
        server="https://198.51.100.9",
        ca_file="/x/ca",
        cert_file="/x/c",
        key_file="/x/k",
        token="other",
    )
    careless = find_access(kubeconfig=path, insecure_skip_tls_verify=True)

    assert (access.server, access.user.token) == ("https://198.51.100.9", "other")
    assert [pem.path for pem in (access.ca, access.user.certificate, access.user.key) if pem] == [
        Path("/x/ca"), Path("/x/c"), Path("/x/k"),
    ]  # fmt: skip
    assert (careless.insecure_skip_tls_verify, careless.ca) == (True, None)
    assert find_access(inline=_TWO, kubeconfig=path).server == "https://203.0.113.1"
    assert find_access(server="http://192.0.2.7:8080").user.token is None
