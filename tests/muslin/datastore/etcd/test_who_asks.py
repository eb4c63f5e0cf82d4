"""TLS, client certificates, users and passwords, on a real etcd."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from muslin.datastore.etcd import EtcdDatastore
from muslin.datastore.etcd.patience import Patience
from muslin.datastore.etcd.watches import exact_progress
from muslin.datastore.mirror import Mirror
from muslin.datastore.protocol import Bookmark, Forbidden
from muslin.datastore.settings import EtcdSettings
from muslin.errors import BadInput, Unavailable
from muslin.resources.keys import Key
from runtime.agent import MIRRORED
from tests.muslin.datastore.etcd.members import opened
from tests.muslin.datastore.suite.drivers import pool, value
from tests.support.certificates import Authority
from tests.support.etcd_server import EtcdServer

pytestmark = pytest.mark.engines("etcd")
_SHORT = Patience(1.0, 2.0, 1.0)


def _settings(server: EtcdServer, **more: Any) -> dict[str, Any]:
    assert server.ca_file is not None
    return {"ca_cert": server.ca_file.read_bytes(), **more}


def test_a_client_certificate_lets_us_in_and_nothing_else_does(tmp_path: Path) -> None:
    """With it a write is made; without it, with another authority's, or trusting another authority, nobody answers."""

    async def main(server: EtcdServer) -> None:
        assert server.client is not None
        cert, key = server.client.cert.read_bytes(), server.client.key.read_bytes()
        async with opened(server.endpoint, **_settings(server, cert=cert, key=key)) as store:
            made = await store.create(pool("a"), value(pool("a")))
            assert await store.get(pool("a")) == made
        stranger = Authority(tmp_path, "somebody else")
        theirs = stranger.issue("root")
        wrong: tuple[dict[str, Any], ...] = (
            _settings(server),
            _settings(server, cert=theirs.cert.read_bytes(), key=theirs.key.read_bytes()),
            {"ca_cert": stranger.cert.read_bytes(), "cert": cert, "key": key},
        )
        for given in wrong:
            with pytest.raises(Unavailable) as refused:
                await EtcdDatastore.open(EtcdSettings(endpoints=(server.endpoint,), **given), patience=_SHORT)
            assert refused.value.problems[0].where == server.endpoint

    with EtcdServer(client_certificates=True) as server:
        asyncio.run(main(server))


def test_half_a_certificate_is_refused_before_anything_is_connected() -> None:
    """A certificate without its key, and a PEM that is none, are the caller's mistake."""
    for given in ({"cert": b"-----BEGIN CERTIFICATE-----"}, {"ca_cert": b"nothing"}):
        with pytest.raises(BadInput):
            asyncio.run(EtcdDatastore.open(EtcdSettings(endpoints=("https://192.0.2.1:2379",), **given)))  # type: ignore[arg-type]


def test_certificates_that_cannot_work_are_told_before_anything_is_connected(tmp_path: Path) -> None:
    """An expired one, one with another's key, and an authority that is none: each with what is wrong."""
    authority = Authority(tmp_path)
    alice, old = authority.issue("alice"), authority.issue("old", days=0)
    ca = authority.cert.read_bytes()
    cases: list[tuple[dict[str, bytes], str]] = [
        ({"ca_cert": ca, "cert": old.cert.read_bytes(), "key": old.key.read_bytes()}, "expired"),
        ({"ca_cert": ca, "cert": alice.cert.read_bytes(), "key": old.key.read_bytes()}, "does not belong"),
        ({"cert": old.cert.read_bytes(), "key": old.key.read_bytes()}, "expired"),
        ({"ca_cert": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "not PEM"),
    ]
    for given, told in cases:
        settings = EtcdSettings(endpoints=("https://192.0.2.1:2379",), places=("etcd.yaml",), **given)  # type: ignore[arg-type]
        with pytest.raises(BadInput, match=told):
            asyncio.run(EtcdDatastore.open(settings))


def test_a_server_that_is_not_trusted_is_told_as_that(tmp_path: Path) -> None:
    """Another authority: the way out speaks of certificates."""

    async def main(server: EtcdServer) -> None:
        stranger = Authority(tmp_path).cert.read_bytes()
        settings = EtcdSettings(endpoints=(server.endpoint,), ca_cert=stranger)
        with pytest.raises(Unavailable, match="TLS failed"):
            await EtcdDatastore.open(settings, patience=_SHORT)

    with EtcdServer(tls=True) as server:
        asyncio.run(main(server))


def test_users_do_what_their_roles_allow_and_outlive_their_tokens() -> None:
    """A password lets a user in; a wrong one, none, or a role for other keys is Forbidden; a lost token is renewed."""

    async def main(server: EtcdServer) -> None:
        endpoint = server.endpoint
        async with opened(endpoint, username="calico", password="secret") as store:
            made = await store.create(pool("a"), value(pool("a"), n=1))
            watch = store.watch({"IPPool"}, made.revision)
            assert isinstance(await anext(watch), Bookmark)
            for name, password in (("calico", "wrong"), (None, None)):
                with pytest.raises(Forbidden):
                    async with opened(endpoint, username=name, password=password) as refused:
                        await refused.get(pool("a"))
            async with opened(endpoint, username="other", password="secret") as other:
                for call in (
                    other.get(pool("a")), other.create(pool("a"), value(pool("a"))), other.delete(pool("a")),
                    other.update(pool("a"), made.value, made.revision), other.list("IPPool"),
                ):  # fmt: skip
                    with pytest.raises(Forbidden, match="ippools/"):
                        await call
                with pytest.raises(Forbidden):
                    await anext(other.watch({"IPPool"}, made.revision))

            await asyncio.to_thread(server.restart)  # forgets every token
            changed = await store.update(pool("a"), value(pool("a"), n=2), made.revision)
            seen = await asyncio.wait_for(anext(watch), 20)
            while isinstance(seen, Bookmark):
                seen = await asyncio.wait_for(anext(watch), 20)
            assert seen.revision == changed.revision

    with EtcdServer() as server:
        if not exact_progress(server.call("/v3/maintenance/status")["version"]):
            pytest.skip("this release of etcd needs the right to read all keys for a watch (see the next test)")
        server.enable_auth("root-secret", {"calico": ("secret", "/calico/"), "other": ("secret", "/other/")})
        asyncio.run(main(server))


def test_a_release_that_must_watch_all_keys_says_so() -> None:
    """Where progress can't be relied on, a role for our keys alone reads and writes, and is told what a watch needs."""

    async def main(server: EtcdServer) -> None:
        async with opened(server.endpoint, username="calico", password="secret") as store:
            made = await store.create(pool("a"), value(pool("a")))
            with pytest.raises(Forbidden, match="3\\.4\\.25"):
                await anext(store.watch({"IPPool"}, made.revision))
        async with opened(server.endpoint, username="root", password="root-secret") as store:
            assert isinstance(await anext(store.watch({"IPPool"}, made.revision)), Bookmark)

    with EtcdServer() as server:
        if exact_progress(server.call("/v3/maintenance/status")["version"]):
            pytest.skip("this release of etcd is right about progress; Debian's 3.4 is not")
        server.enable_auth("root-secret", {"calico": ("secret", "/calico/")})
        asyncio.run(main(server))


def test_an_agent_needs_the_right_to_calicos_keys_alone() -> None:
    """What it mirrors is under `/calico/`; with the reconciler's own kinds it is one range of keys."""
    both = ("IPPool", "ReconcilerLedger")

    async def main(server: EtcdServer) -> None:
        async with opened(server.endpoint, username="calico", password="secret") as store:
            mirror = Mirror(store, MIRRORED, on_failure=lambda error, _: failures.append(error))
            mirror.start()
            await asyncio.wait_for(mirror.in_sync(), 20)
            await mirror.close()
            with pytest.raises(Forbidden, match="/muslin0"):
                await store.list("ReconcilerLedger")
        async with opened(server.endpoint, username="reconciler", password="secret") as store:
            assert isinstance(await anext(store.watch(both, (await store.list("IPPool")).revision)), Bookmark)
        assert failures == []

    failures: list[Any] = []
    with EtcdServer() as server:
        if not exact_progress(server.call("/v3/maintenance/status")["version"]):
            pytest.skip("this release of etcd needs the right to read all keys for a watch")
        server.enable_auth("root-secret", {"calico": ("secret", "/calico/"), "reconciler": ("secret", "/unused/")})
        first, last = (base64.b64encode(key).decode() for key in (b"/calico/", b"/muslin0"))
        right = {"permType": "READWRITE", "key": first, "range_end": last}
        token = server.log_in("root", "root-secret")
        server.call("/v3/auth/role/grant", {"name": "reconciler", "perm": right}, token=token)
        asyncio.run(main(server))


def test_a_user_where_none_is_asked_for_is_let_in() -> None:
    """As with etcd's own clients: a name and a password do no harm where authentication is off."""

    async def main(server: EtcdServer) -> None:
        async with opened(server.endpoint, username="calico", password="secret") as store:
            assert (await store.list("Tier")).entries == ()
            assert await store.get(Key("Profile", "projectcalico-default-allow"))

    with EtcdServer() as server:
        asyncio.run(main(server))
