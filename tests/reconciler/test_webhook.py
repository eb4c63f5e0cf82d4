"""Who may wake the fetcher over HTTP: proofs, limits, and an answer to everything."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import ssl
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from muslin.errors import BadInput, Failed
from reconciler.sources_file import Listen
from reconciler.webhook import Provider, Rate, Secret
from reconciler.webhook_process import Limits, Target, listening
from tests.support.certificates import Authority

_KEY = b"0123456789abcdef0123456789abcdef"
_BODY = b'{"ref": "refs/heads/main"}'
_LOOPBACK = Listen("127.0.0.1", 0, None, None)


def _proof(provider: Provider, body: bytes = _BODY, key: bytes = _KEY) -> str:
    digest = hmac.new(key, body, hashlib.sha256).hexdigest()
    return {Provider.GITLAB: key.decode(), Provider.GITEA: digest}.get(provider, f"sha256={digest}")


class _Door:
    """A running webhook with one source, `net`, and the FIFO that it writes to."""

    def __init__(self, folder: Path, provider: Provider, limits: Limits) -> None:
        self.fifo = folder / "muslin-wake"
        self.target = Target(Secret(provider, _KEY), self.fifo)
        self.limits = limits
        self.said: list[str] = []

    def run(self, deed: Callable[[aiohttp.ClientSession, str], Awaitable[None]]) -> int:
        """Let somebody talk to it; gives how many bytes reached the FIFO in the end."""
        os.mkfifo(self.fifo)
        reader = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)

        async def scenario() -> None:
            async with listening(_LOOPBACK, {"net": self.target}, self.said.append, self.limits) as port:
                timeout = aiohttp.ClientTimeout(total=10)
                async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=timeout) as session:
                    await deed(session, "/hook/net")

        try:
            asyncio.run(scenario())
            try:
                return len(os.read(reader, 4096))
            except BlockingIOError:
                return 0
        finally:
            os.close(reader)


@pytest.mark.parametrize("provider", Provider)
def test_each_kind_of_server_wakes_the_fetcher_with_its_own_proof(provider: Provider, tmp_path: Path) -> None:
    """A good proof is answered 202 and wakes; none, another's, a shortened or a doubled one is answered 401."""
    door = _Door(tmp_path, provider, Limits())
    header, good = door.target.secret.header, _proof(provider)

    async def deed(session: aiohttp.ClientSession, path: str) -> None:
        async def status(headers: list[tuple[str, str]], body: bytes = _BODY) -> int:
            async with session.post(path, data=body, headers=headers) as answer:
                return answer.status

        assert await status([(header, good)]) == 202
        bad = [[], [(header, good[:-1])], [(header, "")], [(header, "\u00e9" * 8)], [(header, good), (header, good)],
               [(header, _proof(provider, key=b"another secret of the same kind"))], [("X-Other", good)]]  # fmt: skip
        for headers in bad:
            assert await status(headers) == 401
        if provider is not Provider.GITLAB:
            assert await status([(header, good)], b"another body") == 401

    assert door.run(deed) == 1
    assert not any(_KEY.decode() in line or good in line for line in door.said)
    assert _KEY.decode() not in repr(door.target)


def test_a_packed_body_is_proven_as_it_was_sent_and_never_unpacked(tmp_path: Path) -> None:
    """The proof is over the octets on the wire: 64 kB that would unpack to 64 MB are 64 kB, within every limit."""
    door = _Door(tmp_path, Provider.GITHUB, Limits(body=1 << 19))
    packer = zlib.compressobj(9, wbits=31)
    body = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(64)), packer.flush()])
    headers = {"X-Hub-Signature-256": _proof(Provider.GITHUB, body), "Content-Encoding": "gzip"}

    async def deed(session: aiohttp.ClientSession, path: str) -> None:
        async with session.post(path, data=body, headers=headers) as answer:
            assert answer.status == 202

    assert door.run(deed) == 1


@pytest.mark.slow
def test_what_is_no_push_is_answered_and_wakes_nobody(tmp_path: Path) -> None:
    """Other paths, other methods, too long a body, announced or not, and one that never ends: each has its status."""
    door = _Door(tmp_path, Provider.GITHUB, Limits(body=1000, patience_s=0.2))
    headers = {"X-Hub-Signature-256": _proof(Provider.GITHUB)}

    async def endless() -> object:
        yield b"x"
        await asyncio.sleep(5)

    async def long() -> object:
        for _ in range(20):
            yield b"x" * 100

    async def deed(session: aiohttp.ClientSession, path: str) -> None:
        for method, where, body, status in (
            ("POST", "/", _BODY, 404),
            ("POST", "/hook/other", _BODY, 404),
            ("POST", "/hook/net/../../etc", _BODY, 404),
            ("GET", path, None, 405),
            ("POST", path, b"x" * 2000, 413),
            ("POST", path, long(), 413),
            ("POST", path, endless(), 408),
        ):
            async with session.request(method, where, data=body, headers=headers) as answer:
                assert (answer.status, bool(await answer.text())) == (status, True)

    assert door.run(deed) == 0


def test_a_flood_is_answered_and_wakes_now_and_then(tmp_path: Path) -> None:
    """Messages that are sent again and again wake a few times and once more at the end; beyond the limit it is 429."""
    door = _Door(tmp_path, Provider.GITHUB, Limits(burst=20, each_s=0.001, wakes=2, wakes_each_s=0.5))
    headers = {"X-Hub-Signature-256": _proof(Provider.GITHUB)}
    answers: list[int] = []

    async def deed(session: aiohttp.ClientSession, path: str) -> None:
        for _ in range(30):
            async with session.post(path, data=_BODY, headers=headers) as answer:
                answers.append(answer.status)
                assert answer.status == 202 or answer.headers["Retry-After"]

    assert door.run(deed) == 3
    assert (answers.count(202), answers.count(429)) == (20, 10)


def test_a_sender_that_says_nothing_does_not_stay(tmp_path: Path) -> None:
    """A connection ends after its time, however slowly it is fed, and others are answered meanwhile."""
    door = _Door(tmp_path, Provider.GITHUB, Limits(connection_s=0.2))

    async def deed(session: aiohttp.ClientSession, path: str) -> None:
        base = session._base_url
        assert base is not None
        reader, writer = await asyncio.open_connection(base.host, base.port)
        writer.write(b"POST /hook/net HTTP/1.1\r\nHost: x\r\n")
        async with session.post(path, data=_BODY, headers={"X-Hub-Signature-256": _proof(Provider.GITHUB)}) as answer:
            assert answer.status == 202
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()

    assert door.run(deed) == 1


def test_what_is_not_http_is_answered(tmp_path: Path) -> None:
    """Bytes that are no request are answered 400, and the log shows nothing that could move a terminal's cursor."""
    door = _Door(tmp_path, Provider.GITHUB, Limits(connection_s=1))

    async def deed(session: aiohttp.ClientSession, path: str) -> None:
        del path
        base = session._base_url
        assert base is not None
        reader, writer = await asyncio.open_connection(base.host, base.port)
        writer.write(b"\x16\x03\x01\x1b[2J\r\n\r\n")
        assert b" 400 " in await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert door.run(deed) == 0
    assert all(line.isprintable() for line in door.said)


def test_a_fetcher_that_does_not_run_is_said(tmp_path: Path) -> None:
    """Without a FIFO, without a reader, or with a link in its place, the answer is 503 and nothing is written."""
    targets = {}
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "unread")
    for name in ("missing", "link", "unread"):
        targets[name] = Target(Secret(Provider.GITHUB, _KEY), tmp_path / name)

    async def scenario() -> None:
        async with listening(_LOOPBACK, targets, print) as port, aiohttp.ClientSession() as session:
            for name in targets:
                url = f"http://127.0.0.1:{port}/hook/{name}"
                headers = {"X-Hub-Signature-256": _proof(Provider.GITHUB)}
                async with session.post(url, data=_BODY, headers=headers) as answer:
                    assert answer.status == 503

    asyncio.run(scenario())
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.slow
def test_with_a_certificate_it_speaks_tls_alone(tmp_path: Path) -> None:
    """A sender who trusts the authority is heard, plain HTTP is not; files that are no certificate are refused."""
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("hook")
    os.mkfifo(tmp_path / "fifo")
    targets = {"net": Target(Secret(Provider.GITLAB, _KEY), tmp_path / "fifo")}
    headers = {"X-Gitlab-Token": _KEY.decode()}
    trust = ssl.create_default_context(cafile=str(authority.cert))
    reader = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)

    async def scenario() -> None:
        listen = Listen("127.0.0.1", 0, pair.cert, pair.key)
        async with listening(listen, targets, print) as port, aiohttp.ClientSession() as session:
            async with session.post(f"https://localhost:{port}/hook/net", headers=headers, ssl=trust) as answer:
                assert answer.status == 202
            with pytest.raises(aiohttp.ClientError):
                await session.post(f"http://localhost:{port}/hook/net", headers=headers)
        with pytest.raises(BadInput, match="cannot be used"):
            async with listening(Listen("127.0.0.1", 0, pair.key, pair.cert), targets, print):
                pass
        with pytest.raises(Failed, match="cannot listen"):
            async with listening(Listen("192.0.2.1", 1, None, None), targets, print):
                pass

    try:
        asyncio.run(scenario())
        assert os.read(reader, 10) == b"."
    finally:
        os.close(reader)


def test_secrets_that_are_none_are_refused(tmp_path: Path) -> None:
    """A missing file and a short secret are problems; what comes after the first line is no part of it."""
    (tmp_path / "short").write_text("short\n")
    (tmp_path / "good").write_bytes(_KEY + b"\nignored")
    for name in ("missing", "short"):
        with pytest.raises(BadInput):
            Secret.read(Provider.GITEA, tmp_path / name)

    assert Secret.read(Provider.GITEA, tmp_path / "good").value == _KEY


def test_a_rate_fills_up_again() -> None:
    """So many at once, then so many a second, and never more than at once."""
    rate = Rate(2, 0.5)
    asked = [
        (0.0, True),
        (0.0, True),
        (0.1, False),
        (2.2, True),
        (2.3, False),
        (100.0, True),
        (100.0, True),
        (100.0, False),
    ]

    assert [rate.allows(at) for at, _ in asked] == [allowed for _, allowed in asked]
