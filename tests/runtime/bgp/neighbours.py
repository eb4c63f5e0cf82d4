"""Real daemons and our own speaker as processes, for tests in a namespace."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from runtime.bgp.client import SpeakerClient
from runtime.bgp.settings import PeerSettings, SpeakerSettings
from runtime.bgp.view import View
from tests.runtime.bgp.namespaces import in_peer

AS = 64512
OURS = IPv4Network("10.48.0.0/26")
THEIRS = IPv4Network("10.48.1.0/26")


def settings(**of_peer: Any) -> SpeakerSettings:
    """Our end of one iBGP session to 192.0.2.2."""
    us = IPv4Address("192.0.2.1")
    peer = PeerSettings(IPv4Address("192.0.2.2"), AS, AS, **{"local_address": us, "hold_time_s": 9, **of_peer})
    return SpeakerSettings(us, (us,), 179, (peer,), (OURS,), (IPv4Network("10.48.0.0/16"),))


class Ours:
    """Our speaker as a process, and the agent's client."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "speaker.sock"
        self.log = directory / "speaker.log"
        self.client = SpeakerClient(self.socket, retry_s=0.05)
        self._process: subprocess.Popen[bytes] | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Ours]:
        """The process and the client, until the block ends."""
        self.start()
        task = asyncio.create_task(self.client.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])
            self.stop(signal.SIGTERM)

    def start(self) -> None:
        """Start the process."""
        command = [sys.executable, "-m", "runtime.bgp.main", "--socket", str(self.socket)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log)

    def stop(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(10)

    async def until(self, what: Callable[[View], bool], seconds: float = 15) -> View:
        """Wait for a view of which this holds."""
        try:
            async with asyncio.timeout(seconds):
                async for view in self.client.changes():
                    if what(view):
                        return view
        except TimeoutError:
            raise AssertionError(f"{self.client.view}\n{self.log.read_text()}") from None
        raise AssertionError


class Bird:
    """BIRD 2 in the namespace `peer`."""

    def __init__(self, directory: Path, extra: str = "") -> None:
        self.binary = shutil.which("bird") or "/usr/sbin/bird"
        self.config, self.control = directory / "bird.conf", directory / "bird.ctl"
        self.config.write_text(
            f"router id 192.0.2.2; protocol device {{}} protocol direct {{ ipv4; }}"
            f"protocol static mine {{ ipv4; route {THEIRS} blackhole; }}"
            f"protocol bgp p1 {{ local 192.0.2.2 as {AS}; neighbor 192.0.2.1 as {AS}; hold time 9;"
            f" connect delay time 1; connect retry time 1; error wait time 1,2; {extra}"
            f" ipv4 {{ import all; export where source = RTS_STATIC; next hop self; }}; }}"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *flags: str) -> None:
        """Start the process."""
        self._process = subprocess.Popen(
            in_peer(self.binary, *flags, "-f", "-c", str(self.config), "-s", str(self.control)),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def stop(self, number: signal.Signals) -> None:
        """`ip netns exec` has become BIRD itself, so the signal reaches it."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(10)

    async def ask(self, command: str) -> str:
        """A command's answer by birdc, empty while BIRD does not answer."""
        process = await asyncio.create_subprocess_exec(
            "birdc", "-r", "-s", str(self.control), command,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        output, _ = await process.communicate()
        return output.decode()

    async def has_our_route(self) -> bool:
        """Whether our block is in its table, with us as next hop."""
        text = await self.ask(f"show route for {OURS} all")
        return bool(re.search(r"via 192\.0\.2\.1 on eth0", text)) and "p1" in text

    async def until(self, what: Callable[[], Any], seconds: float = 15) -> None:
        """Ask BIRD again and again: it has no events for us to wait for."""
        async with asyncio.timeout(seconds):
            while not await what():  # noqa: ASYNC110 - another program
                await asyncio.sleep(0.05)
