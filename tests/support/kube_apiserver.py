"""A real kube-apiserver with an etcd of its own, on loopback: no kubelet, no controllers.

What follows from that: a deleted namespace stays Terminating, so each test takes a fresh one (`namespace`); a bound pod
goes only with a grace period of 0; service accounts must be created by hand; admission policies take effect a moment
after they were created.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import secrets
import ssl
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority, Pair, signing_key
from tests.support.engine_server import EngineServer
from tests.support.engines import Missing, Server, free_ports, program, wait_until, workspace
from tests.support.etcd_server import EtcdServer

__all__ = ["Answer", "KubeApiserver", "kube_apiserver", "namespace"]


class Answer(dict[str, Any]):
    """The object that the server answered with, and its HTTP status as `status`."""

    def __init__(self, status: int, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self.status = status


class KubeApiserver(EngineServer):
    """`with KubeApiserver() as server: ... server.kubeconfig`. Started on entering, gone on leaving.

    Args:
        arguments: more flags of kube-apiserver.

    Attributes:
        etcd: its storage, which can be killed and paused by itself.
        url: `https://127.0.0.1:PORT`, the same after a restart.
        ca_file: authority of its certificate.
        kubeconfig: with a token of the group system:masters; `kubeconfig_for` makes others.
        admin_token: that token.
        authority: signs client certificates: common name the user, organisations the groups.
    """

    etcd: EtcdServer
    url: str
    ca_file: Path
    kubeconfig: Path
    authority: Authority

    def __init__(self, *, arguments: Sequence[str] = ()) -> None:
        super().__init__()
        self._arguments = tuple(arguments)
        self.admin_token = secrets.token_hex(16)
        self.user_token = secrets.token_hex(16)
        """Of the user `alice` in the group `devs`, who may do nothing until a role says so."""

    def _opened(self, stack: contextlib.ExitStack) -> None:
        binary = program("kube-apiserver")
        self.etcd = stack.enter_context(EtcdServer())
        self.folder = stack.enter_context(workspace("kube-apiserver"))
        flags = self._keys(self.folder)
        self._begin(stack, lambda: self._made(binary, flags))
        self.kubeconfig = self.kubeconfig_for("admin", token=self.admin_token)

    def _keys(self, folder: Path) -> list[str]:
        self.authority = Authority(folder / "keys")
        self.ca_file = self.authority.cert
        names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
        hosts = ("IP:127.0.0.1", *(f"DNS:{name}" for name in names))
        serving = self.authority.issue("kube-apiserver", hosts=hosts)
        signer = signing_key(folder / "keys" / "service-accounts.key")
        tokens = folder / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(
            f'{self.admin_token},admin,admin-uid,"system:masters"\n{self.user_token},alice,alice-uid,"devs"\n'
        )
        return [
            f"--tls-cert-file={serving.cert}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={self.ca_file}",
            f"--token-auth-file={tokens}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={signer}",
            f"--service-account-signing-key-file={signer}",
        ]

    def _made(self, binary: Path, flags: Sequence[str]) -> Server:
        (port,) = free_ports(1)
        self.url = f"https://127.0.0.1:{port}"
        command: list[str | Path] = [
            binary,
            f"--etcd-servers={self.etcd.endpoint}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--endpoint-reconciler-type=none",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            # Pods need neither a controller that makes service accounts nor one that takes taints away.
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            *flags,
            *self._arguments,
        ]
        return Server(command, self.folder / "log", self._ready)

    def kubeconfig_for(self, name: str, *, token: str | None = None, client: Pair | None = None) -> Path:
        """A kubeconfig file for a user with a token or a client's certificate."""
        user: dict[str, str] = {}
        if token is not None:
            user["token"] = token
        if client is not None:
            user |= {"client-certificate": str(client.cert), "client-key": str(client.key)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.ca_file)}},
            ],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        }
        path = self.folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=1))
        return path

    @functools.cached_property
    def context(self) -> ssl.SSLContext:
        """Trusts the server's certificate."""
        return ssl.create_default_context(cafile=self.ca_file)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout_s: float = 60,
    ) -> Answer:
        """One request as the administrator, or with another token; an answer of any status comes back.

        Independent of our own client, so that tests of that can ask what is really there.
        """
        host, _, port = self.url.removeprefix("https://").partition(":")
        connection = http.client.HTTPSConnection(host, int(port), context=self.context, timeout=timeout_s)
        try:
            headers = {
                "Authorization": f"Bearer {token or self.admin_token}",
                "Content-Type": content_type,
                "Accept": accept,
            }
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
            return Answer(answer.status, _object(content))
        finally:
            connection.close()

    def _ready(self) -> bool:
        try:
            return self.request("GET", "/readyz", timeout_s=5).get("text") == "ok"
        except (OSError, http.client.HTTPException):
            return False

    def new_namespace(self, labels: Mapping[str, str] | None = None) -> str:
        """Make a namespace with a name of its own, and give the name."""
        name = f"t-{uuid.uuid4().hex[:12]}"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}}
        answer = self.request("POST", "/api/v1/namespaces", body)
        assert answer.status == 201, answer
        return name

    def install(self, definition: Mapping[str, Any]) -> None:
        """Create or replace a CustomResourceDefinition and wait until its objects are served."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        name = definition["metadata"]["name"]
        applied = self.request(
            "PATCH",
            f"{path}/{name}?fieldManager=tests&force=true",
            definition,
            content_type="application/apply-patch+yaml",
        )
        assert applied.status in {200, 201}, applied
        spec = definition["spec"]
        served = [
            f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}?limit=1"
            for version in spec["versions"]
            if version["served"]
        ]
        for address in served:
            wait_until(
                lambda address=address: self.request("GET", address).status == 200,  # type: ignore[misc]
                f"{address} to be served",
                within_s=30,
            )


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        return {"text": content.decode(errors="replace")}
    return value if isinstance(value, dict) else {"value": value}


@pytest.fixture(scope="session")
def kube_apiserver() -> Iterator[KubeApiserver]:
    """A server for all tests of this worker. A test that kills it must have started its own."""
    try:
        server = KubeApiserver().__enter__()
    except Missing as missing:
        pytest.skip(str(missing))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def namespace(kube_apiserver: KubeApiserver) -> str:
    """A namespace of this test alone."""
    return kube_apiserver.new_namespace()
