"""Reverts through real servers and processes: SSH, HTTPS with a token, and from a rollback to a push and back."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from muslin.resources.keys import Key
from reconciler.control import rollback
from reconciler.fetch_state import FetchState, read_state
from reconciler.reverts import Because, RevertAsked, RevertStanding, written
from reconciler.selection import Selection
from reconciler.status import KIND
from tests.reconciler.cases import commit_of, policy, policy_key
from tests.reconciler.repositories import bare, git, push
from tests.reconciler.sites import Site, end
from tests.support.certificates import Authority
from tests.support.git_server import GitServer
from tests.support.ssh_server import sshd

pytestmark = pytest.mark.slow

_TOKEN = "t0ken-that-nobody-may-see"


async def _fetched(folder: Path, url: str, *options: str | Path) -> FetchState:
    """What `muslin fetch --once` leaves, as a process that the kernel confines."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "reconciler.fetch_process", "--repository", url, "--mirror", folder / "m", "--once",
        "--revert-requests", folder / "asked.json", "--interval", "0.01", *options, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0, errors
    assert _TOKEN.encode() not in errors
    state = read_state(folder / "m")
    assert state is not None
    return state


async def _reverts(folder: Path, remote: Path, url: str, *options: str | Path) -> None:
    """A bad commit is reverted on a branch of its own, and a refusal of the server is told in its words."""
    good = push(folder / "w", remote, {"p.yaml": policy("good")})
    await _fetched(folder, url, *options)
    bad = push(folder / "w", remote, {"p.yaml": policy("bad")})
    asked = RevertAsked("a", "", bad, good, Selection(), Because.ASKED, "it hurt", "2026-01-01T00:00:00Z")
    (folder / "asked.json").write_bytes(written([asked]))
    refusing = remote / "hooks" / "pre-receive"
    refusing.parent.mkdir(exist_ok=True)
    refusing.write_text("#!/bin/sh\necho protected >&2\nexit 1\n")
    refusing.chmod(0o755)
    (outcome,) = (await _fetched(folder, url, *options)).reverts
    assert (outcome.standing, outcome.tries) == (RevertStanding.REFUSED, 1)
    assert "pre-receive hook declined" in outcome.message

    refusing.unlink()
    (outcome,) = (await _fetched(folder, url, *options)).reverts
    assert outcome.standing is RevertStanding.PUSHED
    assert outcome.made == git(remote, "rev-parse", f"refs/heads/muslin/revert-{bad[:12]}")
    assert git(remote, "show", f"{outcome.made}:p.yaml") + "\n" == policy("good")
    assert git(remote, "rev-parse", "refs/heads/main") == bad


def test_a_revert_is_pushed_over_ssh(tmp_path: Path) -> None:
    """With the key and the hosts by which is fetched, by a process that may start nothing but git and ssh."""
    remote = bare(tmp_path / "r")
    with sshd(tmp_path) as (port, key, hosts):
        url = f"ssh://{os.environ.get('USER', 'root')}@127.0.0.1:{port}{remote}"
        asyncio.run(_reverts(tmp_path, remote, url, "--ssh-key", key, "--known-hosts", hosts))


def test_a_revert_is_pushed_over_https(tmp_path: Path) -> None:
    """With the token and the authority by which is fetched; the token is in no file of ours."""
    authority = Authority(tmp_path / "ca")
    remote = bare(tmp_path / "srv" / "r")
    git(remote, "config", "http.receivepack", "true")
    (tmp_path / "token").write_text(_TOKEN)
    server = GitServer(tmp_path / "srv", authority.issue("server"), token=("git", _TOKEN))

    async def scenario() -> None:
        async with server.running() as address:
            proofs = ("--token-file", tmp_path / "token", "--authority", authority.cert)
            await _reverts(tmp_path, remote, f"{address}/r", *proofs)

    asyncio.run(scenario())
    files = [path for path in (tmp_path / "m").rglob("*") if path.is_file()]
    assert not [path for path in files if _TOKEN.encode() in path.read_bytes()]


def test_what_is_taken_back_is_reverted_on_the_branch_and_followed(tmp_path: Path) -> None:
    """From a rollback through both processes: the branch declares again what is in force, and nothing is held."""

    async def scenario() -> None:
        site = Site(tmp_path)
        asked = str(tmp_path / "asked.json")
        fetcher = await site.fetcher("--revert-requests", asked, "--revert-tracked")
        reconciler = await site.reconciler("--ask-revert", asked)
        try:
            await site.push(commit_of("a"))
            await site.until(a=True)
            bad = await site.push(commit_of("a", "b"))
            await site.until(b=True)
            revision = (await site.store.list(KIND)).revision
            answer = await rollback(site.store, "default", reason="it hurt", by="me", at="2026-01-01T00:00:00Z")
            assert answer == "Done"
            tip = ""
            async with asyncio.timeout(60):
                async for _ in site.store.watch((KIND,), revision):
                    status = (await site.store.get(Key(KIND, "default"))).value["status"]
                    tip = git(site.remote, "rev-parse", "refs/heads/main")
                    if status["accepted"] == tip != bad and status["held"] is None:
                        break
            assert git(site.remote, "rev-parse", f"{tip}^") == bad
            assert not await site.has(policy_key("b"))
            assert not (tmp_path / "asked.json").exists()
        finally:
            assert await end(reconciler) == 0
            assert await end(fetcher) == 0
            await site.store.close()

    asyncio.run(scenario())
