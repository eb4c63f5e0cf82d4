"""The two processes as they run: a push becomes objects in a file, through SIGKILL of either."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from random import Random

import pytest

from reconciler.fetch_state import Standing, read_state
from tests.reconciler.cases import policy, policy_key
from tests.reconciler.repositories import git
from tests.reconciler.sites import Site, end


@pytest.mark.slow
def test_from_push_to_object_through_sigkill(tmp_path: Path) -> None:
    """Pushes are applied within the second; whichever process is killed, the next one goes on; both end as asked."""

    async def scenario() -> None:
        site = Site(tmp_path)
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

            await end(reconciler, signal.SIGKILL)
            await site.push({"c.yaml": policy("c"), "a.yaml": policy("a")})
            reconciler = await site.reconciler()
            await site.until(c=True, a=True, b4=False)
            await end(fetcher, signal.SIGKILL)
            await site.push({"d.yaml": policy("d"), "a.yaml": policy("a")})
            fetcher = await site.fetcher()
            await site.until(d=True, c=False)
            await site.store.delete(policy_key("d"))
            await site.until(d=True)
            await site.push({"d.yaml": policy("d"), "e.yaml": policy("e"), "bad.yaml": "kind: [\n"})
            await site.push({"d.yaml": policy("d"), "f.yaml": policy("f")})
            await site.until(f=True, a=False, e=False)
        finally:
            codes = (await end(fetcher), await end(reconciler))
        assert codes == (0, 0)
        await site.store.close()

    asyncio.run(scenario())


@pytest.mark.slow
def test_once_says_by_its_exit_status_whether_all_is_applied(tmp_path: Path) -> None:
    """`--once`: 0 applied, 1 held with the place in the log, 2 wrong usage."""

    async def scenario() -> None:
        site = Site(tmp_path)
        await site.push({"a.yaml": policy("a")})
        assert await end(await site.fetcher("--once"), 0) == 0
        assert await end(await site.reconciler("--once"), 0) == 0
        assert await site.has(policy_key("a"))
        await site.push({"a.yaml": policy("a").replace("order: 100", "ordr: 100")})
        assert await end(await site.fetcher("--once"), 0) == 0
        assert await end(await site.reconciler("--once", "--json"), 0) == 1
        log = (tmp_path / "reconciler.process.log").read_text()
        assert '"event": "CommitHeld"' in log
        assert "a.yaml:7:" in log
        assert await end(await site.reconciler("--once", "--set", "Not A Name"), 0) == 2
        assert await end(await site.fetcher("--once", "--branch", "--all"), 0) == 2
        await site.store.close()

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_pack_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """A push larger than the limit does not fill the disk: refused, the state says so, the mirror keeps its commit."""

    async def scenario() -> None:
        site = Site(tmp_path)
        good = await site.push({"a.yaml": policy("a")})
        assert await end(await site.fetcher("--once"), 0) == 0
        (tmp_path / "w" / "large").write_bytes(Random(1).randbytes(2 << 20))
        git(tmp_path / "w", "add", "--all")
        git(tmp_path / "w", "commit", "--quiet", "-m", "large")
        git(tmp_path / "w", "push", "--quiet", str(site.remote), "HEAD:refs/heads/main")
        assert await end(await site.fetcher("--once", "--max-bytes", "500000"), 0) == 1
        state = read_state(site.mirror)
        assert state is not None
        assert (state.standing, state.commit) == (Standing.REFUSED, good)
        assert sum(path.stat().st_size for path in site.mirror.rglob("*") if path.is_file()) < 700_000
        await site.store.close()

    asyncio.run(scenario())
