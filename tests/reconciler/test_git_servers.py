"""Repositories on real servers: HTTPS with tokens, client certificates, pinned authorities; SSH with pinned hosts."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from aiohttp import web

from muslin.errors import BadInput, MuslinError, Unavailable
from reconciler.commands import TRACKED, Git
from reconciler.credentials import Credentials
from reconciler.fetch_state import STATE_FILE, Standing
from reconciler.fetcher import Fetcher
from reconciler.references import reference
from reconciler.remotes import Remote
from tests.reconciler.cases import policy
from tests.reconciler.repositories import bare, push
from tests.support.certificates import Authority
from tests.support.git_server import GitServer
from tests.support.ssh_server import sshd

_TOKEN = "t0ken-that-nobody-may-see"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that signs servers and clients here."""
    return Authority(tmp_path_factory.mktemp("ca"))


def _fetcher(mirror: Path, remote: Remote, credentials: Credentials, said: list[str]) -> Fetcher:
    return Fetcher(
        Git(mirror, remote, credentials),
        poke=None,
        interval_s=60,
        timeout_s=20,
        random=Random(0),
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        say=said.append,
    )


@contextlib.asynccontextmanager
async def _opened(fetcher: Fetcher) -> AsyncIterator[Fetcher]:
    await fetcher.open()
    try:
        yield fetcher
    finally:
        fetcher.close()


async def _process(mirror: Path, remote: Remote, *options: str | Path) -> str | None:
    """What `muslin fetch --once` brings, as a process that the kernel confines."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "reconciler.fetch_process", "--repository", remote.url, "--mirror", mirror, "--once",
        *options, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await asyncio.wait_for(child.communicate(), 30)
    assert child.returncode == 0, errors
    assert _TOKEN.encode() not in errors
    return reference(mirror, TRACKED)


@pytest.mark.slow
def test_https_with_token_certificate_and_pinned_authority(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three prove us and the server; the token is in no argument list and no file; at rest one look is one git."""
    made = push(tmp_path / "w", bare(tmp_path / "srv" / "r"), {"a.yaml": policy("a")})
    client = authority.issue("fetcher")
    (tmp_path / "token").write_text(f"{_TOKEN}\n")
    server = GitServer(tmp_path / "srv", authority.issue("server"), authority.cert, ("git", _TOKEN))
    credentials = Credentials(
        token_file=tmp_path / "token", certificate=client.cert, key=client.key, authority=authority.cert
    )
    log, said = tmp_path / "log", list[str]()

    async def scenario() -> None:
        async with server.running() as address:
            remote = Remote.parse(f"{address}/r", "main")
            async with _opened(_fetcher(tmp_path / "m", remote, credentials, said)) as fetcher:
                await fetcher.fetch_once()
                assert reference(tmp_path / "m", TRACKED) == made
                assert {each.client for each in server.seen} == {"fetcher"}
                proofs = (
                    "--token-file",
                    tmp_path / "token",
                    "--client-certificate",
                    client.cert,
                    "--client-key",
                    client.key,
                )
                process = await _process(tmp_path / "p", remote, *proofs, "--authority", authority.cert)
                assert process == made
                _front(tmp_path / "bin", f'echo "$*" >>{log}', monkeypatch)
                before, _ = len(server.seen), log.write_text("")
                await fetcher.fetch_once()
                assert len(log.read_text().splitlines()) == 1
                assert len(server.seen) <= before + 2  # protocol 2: capabilities, then the one reference
                for bad, standing in (
                    ({"token_file": None}, Standing.UNREACHABLE),
                    ({"certificate": None, "key": None}, Standing.UNREACHABLE),
                    ({"authority": Authority(tmp_path / "other").cert}, Standing.UNREACHABLE),
                    ({"pinned_key": f"sha256//{'A' * 43}="}, Standing.UNREACHABLE),
                ):
                    fetcher.close()
                    worse = _fetcher(tmp_path / "m", remote, replace(credentials, **bad), said)
                    async with _opened(worse):
                        with pytest.raises(Unavailable) as caught:
                            await worse.fetch_once()
                    assert _TOKEN not in str(caught.value)
                    assert (worse.state.standing, worse.state.commit) == (standing, made)

    asyncio.run(scenario())
    assert _TOKEN not in log.read_text() + "".join(said)
    assert not [path for path in (tmp_path / "m").rglob("*") if path.is_file() and _TOKEN.encode() in path.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["another server", "another path", "plain http"])
def test_a_server_that_redirects_gets_no_token_anywhere(where: str, tmp_path: Path, authority: Authority) -> None:
    """Redirects are not followed, so the token stays with the one server, and what is elsewhere is not fetched."""
    push(tmp_path / "w", bare(tmp_path / "srv" / "r"), {"a.yaml": policy("a")})
    (tmp_path / "token").write_text(_TOKEN)
    pair = authority.issue("server")
    other = GitServer(tmp_path / "srv", pair)

    async def scenario() -> None:
        async with other.running() as elsewhere:
            first = GitServer(tmp_path / "srv", pair)
            to = {
                "another server": elsewhere, "another path": "/x", "plain http": elsewhere.replace("https", "http"),
            }[where]  # fmt: skip
            first.trick = lambda request, _: (
                None if where == "another path" and request.path.startswith("/x/")
                else web.Response(status=302, headers={"Location": f"{to}{request.path_qs}"})
            )  # fmt: skip
            async with first.running() as address:
                remote = Remote.parse(f"{address}/r", "main")
                credentials = Credentials(token_file=tmp_path / "token", authority=authority.cert)
                async with _opened(_fetcher(tmp_path / "m", remote, credentials, [])) as fetcher:
                    with pytest.raises(Unavailable):
                        await fetcher.fetch_once()
                    assert fetcher.state.commit is None
                assert len(first.seen) == 1

    asyncio.run(scenario())
    assert other.seen == []


@pytest.mark.slow
@pytest.mark.parametrize("status", [200, 403])
def test_a_server_that_sends_the_token_back_does_not_bring_it_into_the_log(
    status: int, tmp_path: Path, authority: Authority
) -> None:
    """Whatever a server makes of our proof, neither what we say nor the state file shows it."""
    (tmp_path / "token").write_text(_TOKEN)
    server, said = GitServer(tmp_path, authority.issue("server")), list[str]()

    def echo(request: web.BaseRequest, _: bytes) -> web.Response:
        given = request.headers["Authorization"]
        told = f"fatal: {given} is {base64.b64decode(given.partition(' ')[2]).decode()}\n"
        if status == 200:
            told = f"ERR {told}"
            body = f"001e# service=git-upload-pack\n0000{len(told) + 4:04x}{told}".encode()
            return web.Response(body=body, content_type="application/x-git-upload-pack-advertisement")
        return web.Response(status=status, reason=given, text=told, content_type="text/plain")

    server.trick = echo

    async def scenario() -> None:
        async with server.running() as address:
            credentials = Credentials(token_file=tmp_path / "token", authority=authority.cert)
            fetcher = _fetcher(tmp_path / "m", Remote.parse(f"{address}/r", "main"), credentials, said)
            async with _opened(fetcher):
                with pytest.raises(Unavailable) as caught:
                    await fetcher.fetch_once()
                said.append(str(caught.value))

    asyncio.run(scenario())
    said.append((tmp_path / "m" / STATE_FILE).read_text())
    proof = base64.b64encode(f"git:{_TOKEN}".encode()).decode()
    assert server.seen[0].authorization == f"Basic {proof}"
    assert not [line for line in said if _TOKEN in line or proof in line]


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        b"", b"garbage\n" * 1000, b"0000", b"001e# service=git-upload-pack\n0000ffff",
        b"001e# service=git-upload-pack\n"
        b"000000" + b"00f0" + b"1" * 40 + b" refs/heads/main\x00agent=" + b"\x1b[2J" * 40 + b"\n0000",
        b"001e# service=git-upload-pack\n0000003e" + b"1" * 40 + b" refs/heads/main\n0000",
    ],
    ids=["nothing", "garbage", "flush", "cut off", "escape sequences", "an object that it does not have"],
)  # fmt: skip
def test_a_server_that_speaks_nonsense_is_said_and_nothing_else(
    answer: bytes, tmp_path: Path, authority: Authority
) -> None:
    """Whatever a server answers, the fetcher says so in one printable line, and keeps what it has."""
    server = GitServer(tmp_path, authority.issue("server"))
    kind = "application/x-git-upload-pack-advertisement"
    server.trick = lambda *_: web.Response(body=answer, headers={"Content-Type": kind})

    async def scenario() -> None:
        async with server.running() as address:
            remote = Remote.parse(f"{address}/r", "main")
            credentials = Credentials(authority=authority.cert)
            async with _opened(_fetcher(tmp_path / "m", remote, credentials, [])) as fetcher:
                with contextlib.suppress(Unavailable):
                    await fetcher.fetch_once()
                assert fetcher.state.standing is not Standing.CURRENT
                assert fetcher.state.message.isprintable()
                assert fetcher.state.commit is None

    asyncio.run(scenario())


def test_a_token_file_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """A file that vanished or holds no token leaves the mirror as it is; the state says which file."""
    remote = Remote.parse("https://localhost:1/r", "main")
    for name, content in (("missing", None), ("empty", ""), ("two words", "a b"), ("control", "a\rInjected: header")):
        if content is not None:
            (tmp_path / name).write_text(content)

        async def scenario(name: str = name) -> None:
            path = tmp_path / name
            async with _opened(_fetcher(tmp_path / "m", remote, Credentials(token_file=path), [])) as fetcher:
                with pytest.raises(MuslinError) as caught:
                    await fetcher.fetch_once()
                assert isinstance(caught.value, Unavailable if name == "missing" else BadInput)
                assert fetcher.state.standing is Standing.UNREACHABLE
                assert "token" in fetcher.state.message

        asyncio.run(scenario())


def test_ssh_has_only_our_files(tmp_path: Path) -> None:
    """What ssh itself makes of our options: strict, our key and hosts only, no agent, no forwarding, no commands."""
    (tmp_path / "key").write_text("")
    command = Credentials(ssh_key=tmp_path / "key", known_hosts=tmp_path / "hosts").ssh().split()
    if shutil.which("ssh") is None:
        pytest.skip("ssh is not installed")
    done = subprocess.run([*command, "-G", "host.example"], capture_output=True, text=True, check=True)
    config = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)

    assert {name: config[name] for name in (
        "stricthostkeychecking", "userknownhostsfile", "globalknownhostsfile", "identityagent", "identitiesonly",
        "identityfile", "batchmode", "forwardagent", "permitlocalcommand", "updatehostkeys", "canonicalizehostname",
    )} == {
        "stricthostkeychecking": "true", "userknownhostsfile": str(tmp_path / "hosts"),
        "globalknownhostsfile": "/dev/null", "identityagent": "none", "identitiesonly": "yes",
        "identityfile": str(tmp_path / "key"), "batchmode": "yes", "forwardagent": "no", "permitlocalcommand": "no",
        "updatehostkeys": "false", "canonicalizehostname": "false",
    }  # fmt: skip
    assert "proxycommand" not in config
    environment = Git(tmp_path, Remote.parse("ssh://git@h/r", "main"), Credentials(ssh_key=tmp_path / "key"))
    assert "SSH_AUTH_SOCK" not in environment.environment({"SSH_AUTH_SOCK": "/x", "PATH": "/bin"})


@pytest.fixture
def ssh_server(tmp_path: Path) -> Iterator[tuple[int, Path, Path]]:
    """A real sshd: its port, the key that it lets in, and a known_hosts file for it."""
    with sshd(tmp_path) as server:
        yield server


@pytest.mark.slow
def test_ssh_with_a_pinned_host(tmp_path: Path, ssh_server: tuple[int, Path, Path]) -> None:
    """Our key is let in by the host that we know; a host with another key, or none that we know, is refused."""
    port, key, hosts = ssh_server
    made = push(tmp_path / "w", bare(tmp_path / "r"), {"a.yaml": policy("a")})
    remote = Remote.parse(f"ssh://{os.environ.get('USER', 'root')}@127.0.0.1:{port}{tmp_path / 'r'}", "main")
    (tmp_path / "nobody").write_text("")
    (tmp_path / "other").write_text(f"[127.0.0.1]:{port} {(tmp_path / 'user.pub').read_text()}")

    async def once(known: Path, mirror: str) -> Fetcher:
        async with _opened(_fetcher(tmp_path / mirror, remote, Credentials(key, known), [])) as fetcher:
            with contextlib.suppress(Unavailable):
                await fetcher.fetch_once()
            return fetcher

    async def scenario() -> None:
        first = (await once(hosts, "m")).state
        assert first.commit == made, first.message
        by_process = await _process(tmp_path / "process", remote, "--ssh-key", key, "--known-hosts", hosts)
        assert by_process == made
        for name in ("nobody", "other"):
            refused = (await once(tmp_path / name, f"m-{name}")).state
            assert (refused.standing, refused.commit) == (Standing.UNREACHABLE, None)

    asyncio.run(scenario())


def _front(folder: Path, first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a git before the real one that does something else first."""
    real = shutil.which("git")
    folder.mkdir()
    (folder / "git").write_text(f'#!/bin/sh\n{first}\nexec {real} "$@"\n')
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
