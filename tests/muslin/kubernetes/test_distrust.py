"""What a server, or whoever poses as one, can't make the client do."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from muslin.datastore.kubernetes import KubernetesDatastore
from muslin.errors import BadInput, Failed
from muslin.kubernetes.access import Access, Pem, User
from muslin.kubernetes.client import KubernetesClient
from muslin.kubernetes.errors import ApiError, Distrusted, NoAnswer, NotFound, NotTheApi
from muslin.kubernetes.finding import find_access
from muslin.kubernetes.login import Login
from muslin.kubernetes.transport import Request
from muslin.resources.keys import Key
from tests.muslin.kubernetes.scripted_api import QUICK, Asked, Reply, scripted
from tests.support.certificates import Authority


def _asked_over_tls(tmp_path: Path, hosts: tuple[str, ...], expected: str | None, **settings: Any) -> list[bytes]:
    """Asks a server whose certificate names these hosts; gives what it was sent."""
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("server", hosts=hosts)
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def main() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        user = User(token="secret")
        access = Access(url, ca=Pem("ca", path=authority.cert), user=user, tls_server_name=expected, **settings)
        client = await KubernetesClient.connect(access, limits=QUICK)
        try:
            await client.get("/api")
        finally:
            await client.close()
            server.close()

    asyncio.run(main())
    return heads


def test_a_certificate_for_another_host_gets_no_token(tmp_path: Path) -> None:
    """Signed by the right authority, for somebody else: nothing is sent, and the reason is told."""
    heads: list[bytes] = []
    with pytest.raises(Distrusted, match="not trusted"):
        heads = _asked_over_tls(tmp_path, ("IP:192.0.2.1", "DNS:other.example.org"), None)

    assert heads == []


def test_the_name_to_expect_can_be_told(tmp_path: Path) -> None:
    """`tls-server-name` is what the certificate must name, and nothing else."""
    assert len(_asked_over_tls(tmp_path / "right", ("DNS:api.example.org",), "api.example.org")) == 1
    with pytest.raises(Distrusted):
        _asked_over_tls(tmp_path / "wrong", ("IP:127.0.0.1",), "api.example.org")


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_takes_the_token_nowhere(code: int) -> None:
    """It is told as the refusal that it is."""

    async def main() -> tuple[int, list[Asked]]:
        async def elsewhere(_: Asked, reply: Reply) -> None:
            await reply.json(200, {})

        async with scripted(elsewhere) as other:

            async def script(_: Asked, reply: Reply) -> None:
                await reply.json(code, {}, Location=f"{other.url}/api")

            async with scripted(script) as api:
                client = await api.client(user=User(token="secret"))
                with pytest.raises(ApiError) as caught:
                    await client.get("/api")
                return caught.value.status, other.asked

    assert asyncio.run(main()) == (code, [])


@pytest.mark.parametrize(("code", "text"), [(404, "<html>no such page</html>"), (302, "moved"), (400, "https only")])
def test_an_answer_of_somebody_else_says_nothing_about_an_object(code: int, text: str) -> None:
    """A proxy's 404 is no object that is gone: whoever took it for one would clear away what is in force."""

    async def script(_: Asked, reply: Reply) -> None:
        body = text.encode()
        await reply.raw(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (code, len(body), body))

    async def main() -> None:
        async with scripted(script) as api:
            client = await api.client()
            with pytest.raises(NotTheApi):
                await client.get("/api/v1/nodes/a")
            store = KubernetesDatastore(client, group="projectcalico.org/v3")
            for call in (store.get(Key("IPPool", "a")), store.list("IPPool"), store.delete(Key("IPPool", "a"))):
                with pytest.raises(Failed, match="what answers at this address"):
                    await call

    asyncio.run(main())


def test_a_group_that_is_not_there_is_not_found() -> None:
    """The API server's own plain text still says so."""

    async def script(_: Asked, reply: Reply) -> None:
        await reply.raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n404 page not found\n")

    async def main() -> None:
        async with scripted(script) as api:
            with pytest.raises(NotFound):
                await (await api.client()).get("/apis/nobody/v1")

    asyncio.run(main())


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by us, not by whoever answers: here 1 MiB, of a body that would be a petabyte."""
    monkeypatch.setattr("muslin.kubernetes.transport._LARGEST", 1 << 20)

    async def script(_: Asked, reply: Reply) -> None:
        await reply.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _unused in range(1 << 14):
            await reply.chunk(b"x" * (1 << 16))

    async def main() -> None:
        async with scripted(script) as api:
            client = await api.client()
            with pytest.raises(NoAnswer, match="far too large"):
                await client.get("/api")

    asyncio.run(main())


def test_an_event_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that brings one line for ever ends with the reason."""
    monkeypatch.setattr("muslin.kubernetes.watch._LONGEST", 1 << 18)

    async def script(_: Asked, reply: Reply) -> None:
        await reply.begin()
        while True:
            await reply.chunk(b"x" * (1 << 16))

    async def main() -> None:
        async with scripted(script) as api:
            client = await api.client()
            with pytest.raises(Failed, match="no end"):
                await anext(client.watch("/api/v1/pods", resource_version="1"))

    asyncio.run(main())


def test_a_refusal_without_end_is_shown_in_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a watch that is refused, only the beginning of the reason is read."""
    monkeypatch.setattr("muslin.kubernetes.sending._LONGEST_REFUSAL", 1 << 18)

    async def script(_: Asked, reply: Reply) -> None:
        await reply.raw(b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await reply.chunk(b"no " * (1 << 14))

    async def main() -> None:
        async with scripted(script) as api:
            client = await api.client()
            with pytest.raises(ApiError, match="no no no") as caught:
                await anext(client.watch("/api/v1/pods", resource_version="1"))
            assert len(str(caught.value)) < 2000

    asyncio.run(main())


@pytest.mark.parametrize(
    "server",
    [
        "192.0.2.1:6443",
        "example",
        "ftp://192.0.2.1",
        "https://",
        "https://a:99999",
        "https://a?b=c",
        "https://a\r\nX: y",
    ],
)
def test_what_is_no_address_of_a_server_is_refused(server: str) -> None:
    """Before anything is opened, with the setting's name and an example."""
    with pytest.raises(BadInput, match="K8S_API_ENDPOINT"):
        find_access(server=server)


def test_a_password_in_an_address_is_refused_unseen() -> None:
    """Addresses are in every message; the refusal does not show the password either."""
    with pytest.raises(BadInput) as caught:
        find_access(server="https://alice:hunter2@192.0.2.1")

    assert "hunter2" not in str(caught.value)


def test_no_secret_is_in_the_repr_of_an_access() -> None:
    """Neither a token nor the password of a proxy."""
    access = Access("https://192.0.2.1", user=User(token="hunter2"), proxy_url="http://a:hunter2@192.0.2.2:3128")

    assert "hunter2" not in repr(access)
    assert "hunter2" not in repr(Request("GET", "/api", (("Authorization", "Bearer hunter2"),)))


@pytest.mark.parametrize(
    ("server", "sent"),
    [
        ("https://192.0.2.1", True),
        ("http://192.0.2.1", False),
        ("http://api.example.org:8080", False),
        ("http://127.0.0.1:8001", True),
        ("http://[::1]:8001", True),
        ("http://localhost:8001", True),
    ],
)
def test_a_token_goes_over_no_network_in_the_clear(server: str, *, sent: bool) -> None:
    """Without TLS it stays here, as with kubectl; what never leaves the machine is another matter."""

    async def main() -> bool:
        return bool(await Login(Access(server, user=User(token="secret"))).headers())

    assert asyncio.run(main()) is sent
