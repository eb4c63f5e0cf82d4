"""Plugins, certificates and proxies: who we are and how we get there, and what is said when it can't work."""

from __future__ import annotations

import asyncio
import json
import ssl
import stat
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from muslin.errors import BadInput, Failed, MuslinError, Unavailable
from muslin.kubernetes.access import Access, ExecPlugin, Pem, User
from muslin.kubernetes.certificates import not_after
from muslin.kubernetes.client import KubernetesClient
from muslin.kubernetes.errors import Distrusted, NoAnswer, Unauthorized
from muslin.kubernetes.exec_plugin import ExecCredentials
from muslin.kubernetes.proxies import proxy_for
from muslin.kubernetes.tls import client_context
from tests.muslin.kubernetes.scripted_api import QUICK, Asked, Reply, changed, scripted, status
from tests.support.certificates import Authority, Pair

_V1 = "client.authentication.k8s.io/v1"


def _plugin(folder: Path, body: str, **fields: Any) -> ExecPlugin:
    """A plugin that is a shell script; it leaves a line in `ran` each time."""
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\necho ran >> {folder}/ran\n{body}\n")
    path.chmod(stat.S_IRWXU)
    return ExecPlugin(str(path), place="kubeconfig  users[alice].exec", **fields)


def _credential(**fields: Any) -> str:
    return f"cat <<'END'\n{json.dumps({'apiVersion': _V1, 'kind': 'ExecCredential', 'status': fields})}\nEND"


def _times(folder: Path) -> int:
    return len((folder / "ran").read_text().splitlines()) if (folder / "ran").exists() else 0


def test_a_plugins_token_is_kept_and_renewed_after_a_401(tmp_path: Path) -> None:
    """It runs once for many requests, again when the server refuses, and not in a circle."""
    plugin = _plugin(tmp_path, _credential(token="plugin-token"))
    refuse = 0

    async def script(_: Asked, reply: Reply) -> None:
        nonlocal refuse
        if refuse:
            refuse -= 1
            await reply.json(401, status(401, "Unauthorized"))
        else:
            await reply.json(200, changed(1))

    async def main() -> tuple[list[int], set[str]]:
        nonlocal refuse
        async with scripted(script) as api:
            client = await api.client(user=User(plugin=plugin))
            await asyncio.gather(*(client.get("/api") for _ in range(10)))
            ran = [_times(tmp_path)]
            refuse = 1
            await client.get("/api")
            ran.append(_times(tmp_path))
            refuse = 2
            with pytest.raises(Unauthorized):
                await client.get("/api")
            ran.append(_times(tmp_path))
            return ran, {asked.headers["authorization"] for asked in api.asked}

    assert asyncio.run(main()) == ([1, 2, 3], {"Bearer plugin-token"})


@pytest.mark.parametrize(("ends_in", "runs"), [(timedelta(hours=1), 1), (timedelta(seconds=-1), 3), (None, 1)])
def test_credentials_are_kept_until_they_end(tmp_path: Path, ends_in: timedelta | None, runs: int) -> None:
    """ExpirationTimestamp decides; without one they are good until the server says otherwise."""
    ends = {} if ends_in is None else {"expirationTimestamp": (datetime.now(UTC) + ends_in).isoformat()}
    plugin = _plugin(tmp_path, _credential(token="t", **ends))

    async def main() -> None:
        credentials = ExecCredentials(plugin)
        for _ in range(3):
            assert (await credentials.credential()).token == "t"

    asyncio.run(main())

    assert _times(tmp_path) == runs


def test_a_plugin_is_told_about_the_cluster_and_gets_its_arguments(tmp_path: Path) -> None:
    """Arguments as they are, without a shell between; its own variables; KUBERNETES_EXEC_INFO."""
    body = 'printf "%s|" "$@" "$EXTRA" > out; printf "%s" "$KUBERNETES_EXEC_INFO" > info\n' + _credential(token="t")
    plugin = _plugin(
        tmp_path, f"cd {tmp_path}\n{body}", arguments=("a b", "$(touch x)"), environment=(("EXTRA", "e"),),
        cluster={"server": "https://192.0.2.1"},
    )  # fmt: skip
    asyncio.run(ExecCredentials(plugin).credential())

    assert (tmp_path / "out").read_text() == "a b|$(touch x)|e|"
    assert json.loads((tmp_path / "info").read_text()) == {
        "apiVersion": _V1,
        "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {"server": "https://192.0.2.1"}},
    }


@pytest.mark.parametrize(
    ("body", "kind", "what"),
    [
        ("echo please log in >&2; exit 3", Failed, "status 3: please log in"),
        ("echo rubbish", Failed, "no ExecCredential"),
        (_credential(), Failed, "neither a token nor a certificate"),
        (_credential(token="t").replace("/v1", "/v1beta1"), Failed, "speaks client.authentication.k8s.io/v1beta1"),
        (_credential(token="t", expirationTimestamp="soon"), Failed, "no ExecCredential"),
        ("sleep 60 & wait", Unavailable, "nothing within 0.2 s"),
    ],
)
def test_a_plugin_that_fails_is_told(tmp_path: Path, body: str, kind: type[MuslinError], what: str) -> None:
    """With its name, where it stands, and the last that it said; a hanging one is killed with its children."""
    plugin = _plugin(tmp_path, body)

    with pytest.raises(kind) as caught:
        asyncio.run(ExecCredentials(plugin, longest_s=0.2 if "sleep" in body else 10).credential())

    assert what in caught.value.problems[0].what
    assert "users[alice].exec" in caught.value.problems[0].where


def test_a_plugin_that_is_not_there_is_told_with_its_hint() -> None:
    """The kubeconfig's own hint says how to install it."""
    plugin = ExecPlugin("no-such-plugin-here", hint="get it from example.org", place="p")

    with pytest.raises(BadInput, match="is not there") as caught:
        asyncio.run(ExecCredentials(plugin).credential())

    assert caught.value.problems[0].fix == "get it from example.org"


def test_a_plugins_certificate_is_shown(tmp_path: Path) -> None:
    """TLS with the certificate and key that a plugin printed."""
    authority = Authority(tmp_path / "ca")
    server, alice = authority.issue("server"), authority.issue("alice")
    given = _credential(clientCertificateData=alice.cert.read_text(), clientKeyData=alice.key.read_text())

    assert _over_tls(authority, server, User(plugin=_plugin(tmp_path, given))) == "alice"


def _over_tls(authority: Authority, server: Pair, user: User, **fields: Any) -> str:
    """The common name that a TLS server sees."""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        certificate = writer.get_extra_info("ssl_object").getpeercert()
        seen.extend(value for ((name, value),) in certificate["subject"] if name == "commonName")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async def main() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server.cert, server.key)
        context.load_verify_locations(authority.cert)
        context.verify_mode = ssl.CERT_REQUIRED
        listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port = listening.sockets[0].getsockname()[1]
        access = Access(f"https://127.0.0.1:{port}", ca=Pem("ca", path=authority.cert), user=user)
        client = await KubernetesClient.connect(replace(access, **fields), limits=QUICK)
        try:
            await client.get("/api")
        finally:
            await client.close()
            listening.close()

    asyncio.run(main())
    return seen[0]


def test_an_expired_server_is_not_trusted(tmp_path: Path) -> None:
    """The words say that the certificate has expired."""
    authority = Authority(tmp_path / "ca")
    server, alice = authority.issue("server", days=0), authority.issue("alice")
    user = User(certificate=Pem("c", path=alice.cert), key=Pem("k", path=alice.key))

    with pytest.raises(Distrusted, match="expired"):
        _over_tls(authority, server, user)


def test_bad_certificates_are_found_before_anything_is_asked(tmp_path: Path) -> None:
    """Expired, not fitting, half, missing, no PEM: each with its place."""
    authority = Authority(tmp_path / "ca")
    alice, bob, old = authority.issue("alice"), authority.issue("bob"), authority.issue("old", days=0)
    text = tmp_path / "text"
    text.write_text("hello")
    pem = {name: Pem(name, path=path) for name, path in (
        ("alice", alice.cert), ("alice-key", alice.key), ("bob-key", bob.key), ("old", old.cert), ("old-key", old.key),
        ("text", text), ("missing", tmp_path / "missing"), ("ca", authority.cert),
    )}  # fmt: skip
    cases: list[tuple[str, str | None, str | None, str]] = [
        ("ca", "old", "old-key", "expired on"),
        ("ca", "alice", "bob-key", "does not belong"),
        ("ca", "alice", None, "no client key"),
        ("ca", None, "alice-key", "no client certificate"),
        ("ca", "text", "alice-key", "the client certificate is not PEM"),
        ("ca", "alice", "text", "the client key can't be used"),
        ("ca", "alice", "missing", "can't be read: No such file"),
        ("text", None, None, "the certificate authority is not PEM"),
    ]

    for authority_name, certificate, key, what in cases:
        access = Access("https://192.0.2.1", ca=pem[authority_name])
        with pytest.raises(BadInput) as caught:
            client_context(access, pem[certificate] if certificate else None, pem[key] if key else None)

        assert what in str(caught.value)


def test_the_end_of_a_certificate_is_what_openssl_wrote(tmp_path: Path) -> None:
    """Thirty days from now, and beyond 2049, where the form of the time is another one."""
    authority = Authority(tmp_path / "ca")

    for days in (30, 20_000):
        ends = not_after(authority.issue("a", days=days).cert.read_bytes())

        assert abs(ends - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=5)
    for broken in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(ValueError):
            not_after(broken)


@pytest.mark.parametrize(
    ("server", "environment", "proxy"),
    [
        ("https://192.0.2.1:6443", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://192.0.2.1:6443", {"https_proxy": "p:1"}, "http://p:1"),
        ("https://192.0.2.1:6443", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://192.0.2.1", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("https://127.0.0.1", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://localhost:6443", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://192.0.2.1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "192.0.2.0/24"}, None),
        ("https://192.0.2.1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "198.51.100.0/24, 192.0.2.1"}, None),
        ("https://192.0.2.1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "192.0.2.1:6443"}, "http://p:1"),
        ("https://192.0.2.1:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "192.0.2.1:6443"}, None),
        ("https://api.example.org", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.org"}, None),
        ("https://example.org", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example.org"}, "http://p:1"),
        ("https://notexample.org", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.org"}, "http://p:1"),
        ("https://[2001:db8::1]", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "2001:db8::/32"}, None),
        ("https://192.0.2.1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ("https://192.0.2.1", {}, None),
    ],
)
def test_proxies_of_the_environment(server: str, environment: Mapping[str, str], proxy: str | None) -> None:
    """As Go's programs read them: by scheme, never for this machine, with what NO_PROXY lists left out."""
    assert proxy_for(server, environment) == proxy


def test_a_proxy_tunnels_tls_and_may_refuse(tmp_path: Path) -> None:
    """CONNECT with the server's name and the proxy's password; its refusal is told as its own."""
    authority = Authority(tmp_path / "ca")
    alice = authority.issue("alice")
    user = User(certificate=Pem("c", path=alice.cert), key=Pem("k", path=alice.key))
    heads: list[str] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head)
        if "Proxy-Authorization" not in head:
            writer.write(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        host, _, port = head.split()[1].rpartition(":")
        there = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async def main() -> None:
        server = authority.issue("server")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server.cert, server.key)
        listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        between = await asyncio.start_server(proxy, "127.0.0.1", 0)
        port, at = (each.sockets[0].getsockname()[1] for each in (listening, between))
        access = Access(f"https://127.0.0.1:{port}", ca=Pem("ca", path=authority.cert), user=user)
        for login in ("user:secret@", ""):
            through = replace(access, proxy_url=f"http://{login}127.0.0.1:{at}")
            client = await KubernetesClient.connect(through, limits=replace(QUICK, tries=1))
            try:
                if login:
                    assert await client.get("/api") == {}
                    assert heads[0].startswith(f"CONNECT 127.0.0.1:{port} ")
                else:
                    with pytest.raises(NoAnswer, match="the proxy answered 407"):
                        await client.get("/api")
            finally:
                await client.close()
        listening.close()
        between.close()

    asyncio.run(main())
