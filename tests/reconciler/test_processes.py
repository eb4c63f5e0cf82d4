"""The two processes as they run: a push becomes objects in a file, through SIGKILL of either."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.protocol import NotFound
from muslin.resources.keys import Key
from reconciler.fetch_state import Standing, read_state
from reconciler.fetcher import WAKE_FIFO
from reconciler.hook import install
from tests.reconciler.cases import policy, policy_key
from tests.reconciler.repositories import bare, git, push


class _Site:
    """A repository, its mirror, a datastore, and the two processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remote = bare(folder / "r")
        self.mirror = folder / "m"
        self.store = EmbeddedDatastore.open(folder / "store.db")
        install(self.remote, self.mirror / WAKE_FIFO)

    async def fetcher(self, *more: str) -> asyncio.subprocess.Process:
        return await self._start(
            "reconciler.fetch_process", "--repository", str(self.remote), "--allow-local", "--mirror", str(self.mirror),
            "--poke", str(self.folder / "wake"), *more,
        )  # fmt: skip

    async def reconciler(self, *more: str) -> asyncio.subprocess.Process:
        return await self._start(
            "reconciler.process", "--mirror", str(self.mirror), "--datastore", str(self.folder / "store.db"),
            "--wake", str(self.folder / "wake"), *more,
        )  # fmt: skip

    async def push(self, files: Mapping[str, str]) -> str:
        return await asyncio.to_thread(push, self.folder / "w", self.remote, files)

    async def until(self, **there: bool) -> None:
        """Until the policies of these names are there (True) or gone (False)."""
        revision = (await self.store.list("NetworkPolicy")).revision
        async with asyncio.timeout(20):
            async for _ in self.store.watch(("NetworkPolicy",), revision):
                if all([await self.has(policy_key(name)) is wanted for name, wanted in there.items()]):
                    return

    async def has(self, key: Key) -> bool:
        try:
            await self.store.get(key)
        except NotFound:
            return False
        return True

    async def _start(self, module: str, *arguments: str) -> asyncio.subprocess.Process:
        log = (self.folder / f"{module}.log").open("ab")
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | {"GIT_DIR": "/nowhere"},
            )  # fmt: skip
        finally:
            log.close()


async def _end(process: asyncio.subprocess.Process, number: int = signal.SIGTERM) -> int:
    if process.returncode is None:
        process.send_signal(number)
    return await asyncio.wait_for(process.wait(), 20)


@pytest.mark.slow
def test_from_push_to_object_through_sigkill(tmp_path: Path) -> None:
    """Pushes are applied within the second; whichever process is killed, the next one goes on; both end as asked."""

    async def scenario() -> None:
        site = _Site(tmp_path)
        await site.push({"a.yaml": policy("a")})
        fetcher, reconciler = await site.fetcher(), await site.reconciler()
        try:
            await site.until(a=True)
            times = []
            for number in range(5):
                begun = time.monotonic()
                await site.push({"a.yaml": policy("a"), "b.yaml": policy(f"b{number}")})
                await site.until(**{f"b{number}": True})
                times.append(time.monotonic() - begun)
            print("seconds from `git commit` to the object:", [f"{each:.3f}" for each in times])
            assert min(times) < 1

            await _end(reconciler, signal.SIGKILL)
            await site.push({"c.yaml": policy("c"), "a.yaml": policy("a")})
            reconciler = await site.reconciler()
            await site.until(c=True, a=True, b4=False)
            await _end(fetcher, signal.SIGKILL)
            await site.push({"d.yaml": policy("d"), "a.yaml": policy("a")})
            fetcher = await site.fetcher()
            await site.until(d=True, c=False)
            await site.store.delete(policy_key("d"))
            await site.until(d=True)
            await site.push({"d.yaml": policy("d"), "e.yaml": policy("e"), "bad.yaml": "kind: [\n"})
            await site.push({"d.yaml": policy("d"), "f.yaml": policy("f")})
            await site.until(f=True, a=False, e=False)
        finally:
            codes = (await _end(fetcher), await _end(reconciler))
        assert codes == (0, 0)
        await site.store.close()

    asyncio.run(scenario())


@pytest.mark.slow
def test_once_says_by_its_exit_status_whether_all_is_applied(tmp_path: Path) -> None:
    """`--once`: 0 applied, 1 held with the place in the log, 2 wrong usage."""

    async def scenario() -> None:
        site = _Site(tmp_path)
        await site.push({"a.yaml": policy("a")})
        assert await _end(await site.fetcher("--once"), 0) == 0
        assert await _end(await site.reconciler("--once"), 0) == 0
        assert await site.has(policy_key("a"))
        await site.push({"a.yaml": policy("a").replace("order: 100", "ordr: 100")})
        assert await _end(await site.fetcher("--once"), 0) == 0
        assert await _end(await site.reconciler("--once", "--json"), 0) == 1
        log = (tmp_path / "reconciler.process.log").read_text()
        assert '"event": "CommitHeld"' in log
        assert "a.yaml:7:" in log
        assert await _end(await site.reconciler("--once", "--set", "Not A Name"), 0) == 2
        assert await _end(await site.fetcher("--once", "--branch", "--all"), 0) == 2
        await site.store.close()

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_pack_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """A push larger than the limit does not fill the disk: refused, the state says so, the mirror keeps its commit."""

    async def scenario() -> None:
        site = _Site(tmp_path)
        good = await site.push({"a.yaml": policy("a")})
        assert await _end(await site.fetcher("--once"), 0) == 0
        (tmp_path / "w" / "large").write_bytes(Random(1).randbytes(2 << 20))
        git(tmp_path / "w", "add", "--all")
        git(tmp_path / "w", "commit", "--quiet", "-m", "large")
        git(tmp_path / "w", "push", "--quiet", str(site.remote), "HEAD:refs/heads/main")
        assert await _end(await site.fetcher("--once", "--max-bytes", "500000"), 0) == 1
        state = read_state(site.mirror)
        assert state is not None
        assert (state.standing, state.commit) == (Standing.REFUSED, good)
        assert sum(path.stat().st_size for path in site.mirror.rglob("*") if path.is_file()) < 700_000
        await site.store.close()

    asyncio.run(scenario())
