"""Sessions with the real BIRD 2, in namespaces of their own."""

from __future__ import annotations

import asyncio
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.bgp.namespaces import in_own_namespace
from tests.runtime.bgp.neighbours import OURS, THEIRS, Bird, Ours, settings

pytestmark = [
    pytest.mark.interop, pytest.mark.netns, pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bird") is None and not Path("/usr/sbin/bird").exists(), reason="no BIRD here"),
]  # fmt: skip


async def _exchange(directory: Path, bird_extra: str, **of_peer: Any) -> None:
    bird = Bird(directory, bird_extra)
    bird.start()
    async with Ours(directory).running() as ours:
        ours.client.want(settings(**of_peer))
        view = await ours.until(lambda view: THEIRS in view.routes and view.in_sync)
        await bird.until(bird.has_our_route)

        assert str(view.routes[THEIRS].next_hop) == "192.0.2.2"
        assert set(view.routes) == {THEIRS}
    bird.stop(signal.SIGTERM)


@in_own_namespace
def test_we_dial(directory: Path) -> None:
    """BIRD waits, we connect; routes go both ways."""
    asyncio.run(_exchange(directory, "passive yes;"))


@in_own_namespace
def test_we_wait(directory: Path) -> None:
    """We wait, BIRD connects; routes go both ways."""
    asyncio.run(_exchange(directory, "", passive=True))


@in_own_namespace
def test_both_dial(directory: Path) -> None:
    """Both connect; one connection stays and routes go both ways."""
    asyncio.run(_exchange(directory, ""))


@in_own_namespace
def test_md5_and_gtsm_when_we_dial(directory: Path) -> None:
    """Signed segments and the TTL check on the connection that we open."""
    extra = 'passive yes; password "muslin"; ttl security on;'
    asyncio.run(_exchange(directory, extra, password="muslin", ttl_security_hops=1))


@in_own_namespace
def test_md5_and_gtsm_when_we_wait(directory: Path) -> None:
    """Signed segments and the TTL check on the connection that we accept."""
    extra = 'password "muslin"; ttl security on;'
    asyncio.run(_exchange(directory, extra, passive=True, password="muslin", ttl_security_hops=1))


@in_own_namespace
def test_a_signed_peer_that_is_added_later(directory: Path) -> None:
    """The key of a new peer goes onto the listener that is there; a wrong key stays out, a changed one gets in."""

    async def story() -> None:
        bird = Bird(directory, 'password "muslin";')
        bird.start()
        async with Ours(directory).running() as ours:
            wanted = settings(passive=True, password="wrong")
            ours.client.want(replace(wanted, peers=()))
            await ours.until(lambda view: view.in_sync)
            ours.client.want(wanted)
            async with asyncio.timeout(10):
                while "Connect" not in await bird.ask("show protocols p1"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert not ours.client.view.routes
            ours.client.want(settings(passive=True, password="muslin"))
            await ours.until(lambda view: THEIRS in view.routes)
        bird.stop(signal.SIGTERM)

    asyncio.run(story())


@in_own_namespace
def test_we_keep_the_routes_of_a_killed_bird(directory: Path) -> None:
    """Helper: BIRD is killed and comes back within its restart time; its route never goes, and is fresh at the end."""

    async def story() -> None:
        bird = Bird(directory, "graceful restart on; graceful restart time 20;")
        bird.start()
        async with Ours(directory).running() as ours:
            ours.client.want(settings())
            await ours.until(lambda view: THEIRS in view.routes and view.in_sync)
            views: list[Any] = []
            task = asyncio.create_task(_collect(ours, views))
            bird.stop(signal.SIGKILL)
            await ours.until(lambda view: view.routes[THEIRS].stale)
            bird.start("-R")
            await ours.until(lambda view: not view.routes[THEIRS].stale)
            task.cancel()

            assert all(THEIRS in view.routes for view in views)
            bird.stop(signal.SIGKILL)

    asyncio.run(story())


@in_own_namespace
def test_bird_keeps_our_routes_while_our_speaker_restarts(directory: Path) -> None:
    """Restarting speaker: ours is killed, a new one says the Restart bit; BIRD's table always has our route."""

    async def story() -> None:
        bird = Bird(directory, "graceful restart on; graceful restart time 20;")
        bird.start()
        async with Ours(directory).running() as ours:
            ours.client.want(settings())
            await ours.until(lambda view: THEIRS in view.routes and view.in_sync)
            await bird.until(bird.has_our_route)
            views: list[Any] = []
            task = asyncio.create_task(_collect(ours, views))
            had = []
            ours.stop(signal.SIGKILL)
            had += [await bird.has_our_route() for _ in range(10)]
            ours.start()

            async def back() -> bool:
                had.append(await bird.has_our_route())
                return ours.client.view.in_sync and "Established" in await bird.ask("show protocols p1")

            await bird.until(back)
            had += [await bird.has_our_route() for _ in range(10)]
            task.cancel()

            assert all(had)
            assert all(THEIRS in view.routes for view in views)
        assert OURS not in ours.client.view.routes
        bird.stop(signal.SIGKILL)

    asyncio.run(story())


@in_own_namespace
def test_a_stopped_speaker_leaves_its_routes_in_bird(directory: Path) -> None:
    """SIGTERM closes without a NOTIFICATION, so BIRD keeps our route for the restart time; no peers left ends it."""

    async def story() -> None:
        bird = Bird(directory, "graceful restart on; graceful restart time 20;")
        bird.start()
        async with Ours(directory).running() as ours:
            ours.client.want(settings())
            await ours.until(lambda view: THEIRS in view.routes and view.in_sync)
            await bird.until(bird.has_our_route)
            assert ours.stop(signal.SIGTERM) == 0
            assert await bird.has_our_route()
            ours.start()
            await ours.until(lambda view: view.connected and view.in_sync)
            with_peers = settings()
            ours.client.want(type(with_peers)(with_peers.router_id))

            async def gone() -> bool:
                return not await bird.has_our_route()

            await bird.until(gone, 5)
        bird.stop(signal.SIGKILL)

    asyncio.run(story())


async def _collect(ours: Ours, views: list[Any]) -> None:
    async for view in ours.client.changes():
        views.append(view)  # noqa: PERF401 - one after the other
