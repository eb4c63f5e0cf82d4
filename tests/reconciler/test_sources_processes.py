"""Fetcher, webhook and reconcilers of one file of sources, as they run."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.resources.keys import Key
from reconciler import fetch_process, webhook_process
from reconciler.hook import WAKE_FIFO
from tests.reconciler.cases import policy, policy_key, tier
from tests.reconciler.repositories import bare, push

_SECRET = "a secret that both of them know"  # of a test
_FACTS = """\
apiVersion: blueprints.muslin/v1alpha1
kind: Cluster
name: example
blueprint: single_subnet
nodes: [{name: node1, address: 192.0.2.1}]
subnets: [192.0.2.0/24]
networkMTU: 1500
network: {bgp: true, podAddresses: true}
podRange: 198.51.100.0/24
"""


def _file(folder: Path) -> Path:
    file = folder / "sources.yaml"
    file.write_text(f"""\
apiVersion: reconciler.muslin/v1alpha1
kind: Sources
mirrors: mirrors
sources:
- name: network
  url: {folder / "network.git"}
  allowLocal: true
  interval: 10m
  webhook: {{provider: github, secretFile: secret}}
- {{name: policies, url: {folder / "policies.git"}, allowLocal: true, interval: 10m}}
sets:
- name: a
  wake: a.wake
  from:
  - {{source: network, paths: [clusters/a], blueprints: [single_subnet]}}
  - {{source: policies, exclude: ["draft/**"]}}
- name: b
  from:
  - {{source: network, paths: [clusters/b]}}
webhook: {{listen: "127.0.0.1:0"}}
""")
    (folder / "secret").write_text(_SECRET)
    return file


@asynccontextmanager
async def _running(log: Path, module: str, *arguments: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of ours, ended by SIGTERM, which it must answer with 0."""
    with log.open("ab") as out:
        errors = asyncio.subprocess.PIPE if log.stem == "hook" else out
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=errors
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        ended = await asyncio.wait_for(process.wait(), 20)
    assert ended == 0, log.read_text()


async def _keys(store: EmbeddedDatastore, *kinds: str) -> set[Key]:
    return {entry.key for kind in kinds for entry in (await store.list(kind)).entries}


async def _until(store: EmbeddedDatastore, key: Key) -> None:
    async with asyncio.timeout(30):
        async for _ in store.watch((key.kind,), (await store.list(key.kind)).revision):
            if key in await _keys(store, key.kind):
                return


async def _port(process: asyncio.subprocess.Process) -> int:
    """Where the webhook says that it listens."""
    assert process.stderr is not None
    async with asyncio.timeout(20):
        async for line in process.stderr:
            if b"listens on" in line:
                return int(line.decode().split(" for ")[0].rpartition(":")[2])
    pytest.fail("the webhook ended")


@pytest.mark.slow
def test_a_push_is_told_to_the_webhook_and_applied_for_the_sets_that_read_it(tmp_path: Path) -> None:
    """Two repositories, two clusters, three kinds of process: facts and files are applied, each where it belongs."""
    file = _file(tmp_path)
    network, policies = bare(tmp_path / "network.git"), bare(tmp_path / "policies.git")
    clusters = {"clusters/a/cluster.yaml": _FACTS, "clusters/b/tier.yaml": tier("b")}
    push(tmp_path / "w1", network, clusters)
    push(tmp_path / "w2", policies, {"p.yaml": policy("p"), "draft/d.yaml": policy("d")})

    async def scenario() -> None:
        a, b = (EmbeddedDatastore.open(tmp_path / f"{name}.db") for name in "ab")
        logs = {name: tmp_path / f"{name}.log" for name in ("fetch", "hook", "a", "b")}
        reads = ("--sources", file, "--datastore")
        (tmp_path / "mirrors").mkdir()
        async with (
            _running(logs["fetch"], "reconciler.fetch_process", "--sources", file),
            _running(logs["hook"], "reconciler.webhook_process", "--sources", file) as hook,
            _running(logs["a"], "reconciler.process", *reads, tmp_path / "a.db", "--set", "a"),
        ):
            await _until(a, policy_key("p"))
            assert {key.kind for key in await _keys(a, "IPPool", "Tier", "NetworkPolicy")} >= {
                "IPPool",
                "NetworkPolicy",
            }
            assert policy_key("d") not in await _keys(a, "NetworkPolicy")
            port = await _port(hook)
            await asyncio.to_thread(push, tmp_path / "w1", network, {**clusters, "clusters/a/q.yaml": policy("q")})
            proof = hmac.new(_SECRET.encode(), b"{}", hashlib.sha256).hexdigest()
            headers = {"X-Hub-Signature-256": f"sha256={proof}"}
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"http://127.0.0.1:{port}/hook/network", data=b"{}", headers=headers) as answer,
            ):
                assert answer.status == 202
            await _until(a, policy_key("q"))
            async with _running(
                logs["b"], "reconciler.process", *reads, tmp_path / "b.db", "--set", "b", "--once"
            ) as once:
                await once.wait()
            assert Key("Tier", "b") in await _keys(b, "Tier")
            assert await _keys(b, "NetworkPolicy", "IPPool") == set()
        written = "".join(path.read_text() for path in logs.values())
        assert _SECRET not in written
        await a.close()
        await b.close()

    asyncio.run(scenario())


@pytest.mark.slow
def test_the_hook_of_a_local_repository_is_installed_when_asked(tmp_path: Path) -> None:
    """One option puts the hook that wakes this mirror's fetcher into the repository, before rights are given up."""
    remote = bare(tmp_path / "r")
    push(tmp_path / "w", remote, {"p.yaml": policy("p")})

    async def scenario() -> None:
        words = ("--allow-local", "--install-hook", "--once", "--repository", remote, "--mirror", tmp_path / "m")
        async with _running(tmp_path / "log", "reconciler.fetch_process", *words) as process:
            await process.wait()

    asyncio.run(scenario())
    assert str(tmp_path / "m" / WAKE_FIFO) in (remote / "hooks" / "post-receive").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--repository", "https://u:pass-word@git.example/r", "--mirror", "m"], "user name or password"),
        (["--repository", "https://git.example/r"], "no folder for the mirror"),
        (["--repository", "https://git.example/r", "--mirror", "m", "--tag", "a", "--branch", "b"], "2 of branch"),
        (["--repository", "https://git.example/r", "--mirror", "m", "--ssh-key", "k"], "no use over https"),
        (["--repository", "https://git.example/r", "--mirror", "m", "--token-file", "k"], "no such file"),
        (["--repository", "https://git.example/r", "--mirror", "m", "--pinned-key", "k"], "not the hash"),
        (["--repository", "https://git.example/r", "--mirror", "m", "--client-key", "k"], "belong together"),
        (["--repository", "https://git.example/r", "--mirror", "m", "--install-hook"], "not on this machine"),
        (["--repository", "/", "--allow-local", "--mirror", "m", "--install-hook"], "not a bare git repository"),
        (["--repository", "https://git.example/r", "--mirror", "m", "--anchor", "1" * 40], "none are asked for"),
        (
            ["--repository", "https://git.example/r", "--mirror", "m", "--keyring", "k", "--anchor", "main"],
            "not the id",
        ),
        (["--sources", "missing.yaml"], "can't be read"),
        (["--repository", "https://git.example/r", "--mirror", "m", "--revert-tracked"], "no reverts are asked for"),
        (
            [
                "--repository",
                "https://git.example/r",
                "--mirror",
                "m",
                "--revert-requests",
                "x",
                "--revert-branch",
                "main",
            ],
            "without a review",
        ),
        (
            [
                "--repository",
                "https://git.example/r",
                "--mirror",
                "m",
                "--revert-requests",
                "x",
                "--revert-branch",
                "y",
                "--revert-tracked",
            ],
            "two places",
        ),
    ],
)
def test_options_of_the_fetcher_that_cannot_be_are_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2 and a fix, before a folder is made or a program started; no password is shown."""
    assert fetch_process.main(arguments) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "fix:" in told
    assert "pass-word" not in told
    assert not Path("m").exists()


def test_a_webhook_without_sources_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No folder of mirrors, a file in which nobody asks for a webhook, and none at all: exit status 2 with a fix."""
    file = _file(tmp_path)
    (tmp_path / "none.yaml").write_text(
        file.read_text().replace("  webhook: {provider: github, secretFile: secret}\n", "")
    )
    for path in (file, tmp_path / "none.yaml", tmp_path / "missing.yaml"):
        assert webhook_process.main(["--sources", str(path)]) == 2
        assert "fix:" in capsys.readouterr().err
