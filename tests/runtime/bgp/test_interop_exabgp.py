"""A session with the real ExaBGP, in namespaces of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.bgp.namespaces import in_own_namespace, in_peer
from tests.runtime.bgp.neighbours import AS, OURS, THEIRS, Ours, settings

_EXABGP = Path(sys.executable).with_name("exabgp")
pytestmark = [
    pytest.mark.interop, pytest.mark.netns, pytest.mark.slow,
    pytest.mark.skipif(not _EXABGP.exists(), reason="no ExaBGP here"),
]  # fmt: skip


@in_own_namespace
def test_routes_go_both_ways(directory: Path) -> None:
    """ExaBGP's announcement reaches the agent, ours reaches its API; its withdrawal on exit is heard."""

    async def story() -> None:
        heard = directory / "heard"
        config = directory / "exabgp.conf"
        config.write_text(
            f"process api {{ run /usr/bin/tee {heard}; encoder json; }}\n"
            "neighbor 192.0.2.1 { local-address 192.0.2.2; router-id 192.0.2.2;"
            f" local-as {AS}; peer-as {AS}; hold-time 9; family {{ ipv4 unicast; }}"
            f" static {{ route {THEIRS} next-hop 192.0.2.2 local-preference 200; }}"
            " api { processes [ api ]; receive { parsed; update; } } }\n"
        )
        environment = {**os.environ, "exabgp_daemon_user": "root", "exabgp_api_cli": "false", "exabgp_tcp_port": "179"}
        with (directory / "exabgp.log").open("wb") as log:
            exabgp = subprocess.Popen(  # noqa: ASYNC220
                in_peer(str(_EXABGP), "server", str(config)), env=environment, stdout=log, stderr=log
            )
        async with Ours(directory).running() as ours:
            ours.client.want(settings())
            view = await ours.until(lambda view: THEIRS in view.routes and view.in_sync, 30)
            async with asyncio.timeout(10):
                while not (heard.exists() and str(OURS) in heard.read_text()):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)  # a file written by a program of ExaBGP's has no event

            assert str(view.routes[THEIRS].next_hop) == "192.0.2.2"
            exabgp.send_signal(signal.SIGTERM)
            exabgp.wait(10)
            await ours.until(lambda view: THEIRS not in view.routes)

    asyncio.run(story())
