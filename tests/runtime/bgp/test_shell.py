"""The asyncio shell and the agent's client over a real unix socket, with a network inside this process."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from random import Random

import pytest

from muslin.errors import BadInput, Failed
from muslin.net import Address
from runtime.bgp.client import SpeakerClient
from runtime.bgp.core import Speaker
from runtime.bgp.network import Accept, Receiver, Stream
from runtime.bgp.reports import SessionState
from runtime.bgp.settings import PeerSettings, SpeakerSettings
from runtime.bgp.speaker import Shell
from runtime.bgp.view import View
from tests.runtime.bgp.simulation import POOL, address_of, block_of, peer_of


class _End:
    """One end of a stream between two shells of this process."""

    def __init__(self, local: Address, peer: Address) -> None:
        self.local_address, self.peer_address = local, peer
        self.receiver: Receiver | None = None
        self.other: _End | None = None
        self.open = True

    def write(self, data: bytes) -> None:
        if self.open and self.other is not None:
            asyncio.get_running_loop().call_soon(self.other.hear, data)

    def hear(self, data: bytes) -> None:
        if self.open and self.receiver is not None:
            self.receiver.received(data)

    def close(self) -> None:
        for end in (self, self.other):
            if end is not None and end.open:
                asyncio.get_running_loop().call_soon(end.lose)

    def lose(self) -> None:
        if self.open:
            self.open = False
            if self.receiver is not None:
                self.receiver.lost()


class Inside:
    """A network of all shells that share it; `busy` addresses cannot be listened on."""

    def __init__(self) -> None:
        self.accepting: dict[Address, Accept] = {}
        self.busy: set[Address] = set()

    async def listen(self, address: Address, port: int, accept: Accept) -> Inside:
        """Take an address."""
        if address in self.busy:
            raise OSError(98, "Address already in use")
        self.accepting[address] = accept
        return self

    def expect(self, peers: tuple[PeerSettings, ...]) -> None:
        """No passwords here."""

    def close(self) -> None:
        """Streams stay."""

    async def connect(self, peer: PeerSettings, receive: Callable[[Stream], Receiver | None]) -> None:
        """Reach the shell that has the address."""
        accept = self.accepting.get(peer.address)
        if accept is None:
            raise ConnectionRefusedError
        assert peer.local_address is not None
        near, far = _End(peer.local_address, peer.address), _End(peer.address, peer.local_address)
        near.other, far.other = far, near
        far.receiver = accept(far)
        if far.receiver is None:
            raise ConnectionResetError
        near.receiver = receive(near)


def settings(me: int, other: int) -> SpeakerSettings:
    """One session to the node `other`."""
    peer = peer_of(other, local_address=address_of(me), passive=other < me)
    return SpeakerSettings(address_of(me), (address_of(me),), 179, (peer,), (block_of(me),), (POOL,), 1.0)


@contextlib.asynccontextmanager
async def speaker(network: Inside, path: Path, *, restarted: bool = False) -> AsyncIterator[None]:
    """A shell that serves until the block ends."""
    stop = asyncio.Event()
    shell = Shell(Speaker(Random(1), restarted=restarted), network, listen_retry_s=0.1)
    task = asyncio.create_task(shell.serve(path, stop))
    while not path.exists():
        await asyncio.sleep(0)
        if task.done():
            task.result()
    try:
        yield
    finally:
        stop.set()
        await task


@contextlib.asynccontextmanager
async def agent(path: Path, wanted: SpeakerSettings) -> AsyncIterator[SpeakerClient]:
    """An agent's client until the block ends."""
    client = SpeakerClient(path, retry_s=0.01)
    client.want(wanted)
    task = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(client: SpeakerClient, what: Callable[[View], object]) -> View:
    """The first view of which this holds."""
    async with asyncio.timeout(5):
        async for view in client.changes():
            if what(view):
                return view
    raise AssertionError


def is_up(view: View) -> bool:
    """Whether the one session is established."""
    return [session.state for session in view.sessions.values()] == [SessionState.ESTABLISHED]


def test_two_speakers_exchange_routes_and_one_restarts(tmp_path: Path) -> None:
    """Routes reach the agents; a new speaker in the same place is told everything by the agent; nothing is lost."""

    async def story() -> None:
        network, one, two = Inside(), tmp_path / "1", tmp_path / "2"
        async with speaker(network, two), agent(one, settings(1, 2)) as first, agent(two, settings(2, 1)) as second:
            async with speaker(network, one):
                assert stat.S_IMODE(one.stat().st_mode) == 0o600
                view = await until(first, lambda view: view.in_sync and view.routes)
                assert view.routes[block_of(2)].next_hop == address_of(2)
                await until(first, is_up)
                await until(second, lambda view: block_of(1) in view.routes)
            assert not one.exists()
            kept = await until(first, lambda view: not view.connected)
            assert block_of(2) in kept.routes
            assert (await until(second, lambda view: view.routes[block_of(1)].stale)).routes
            async with speaker(network, one, restarted=True):
                await until(first, lambda view: view.in_sync and block_of(2) in view.routes)
                await until(second, lambda view: not view.routes[block_of(1)].stale)

    asyncio.run(story())


def test_a_changed_desired_state_reaches_the_peer(tmp_path: Path) -> None:
    """One more block, one block less: the session stays."""

    async def story() -> None:
        network, one, two = Inside(), tmp_path / "1", tmp_path / "2"
        async with speaker(network, one), speaker(network, two):  # noqa: SIM117
            async with agent(one, settings(1, 2)) as first, agent(two, settings(2, 1)) as second:
                await until(first, lambda view: block_of(2) in view.routes)
                view = await until(second, is_up)
                since = next(iter(view.sessions.values())).since
                second.want(replace(settings(2, 1), originated=(block_of(2, 1),)))
                await until(first, lambda view: set(view.routes) == {block_of(2, 1)})
                assert next(iter(second.view.sessions.values())).since == since

    asyncio.run(story())


def test_an_address_that_is_taken_is_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A leftover daemon on our port is named in the log, and once it is gone we listen."""

    async def story() -> None:
        network, one = Inside(), tmp_path / "1"
        network.busy.add(address_of(2))
        async with speaker(network, one), agent(one, settings(2, 1)) as client:
            await until(client, lambda view: view.sessions)
            network.busy.clear()
            async with asyncio.timeout(5):
                while address_of(2) not in network.accepting:  # noqa: ASYNC110 - the network has no event
                    await asyncio.sleep(0.05)

    asyncio.run(story())
    assert "Address already in use" in capsys.readouterr().err


def test_a_second_speaker_refuses_and_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """A living speaker keeps its socket, a dead one's is taken over, and a bad path is said plainly."""

    async def story() -> None:
        path = tmp_path / "speaker"
        async with speaker(Inside(), path):
            with pytest.raises(Failed, match="another speaker"):
                await Shell(Speaker(Random(1)), Inside()).serve(path, asyncio.Event())
            assert path.exists()
        server = await asyncio.start_unix_server(lambda _, __: None, path)
        server.close()
        assert path.exists()
        async with speaker(Inside(), path), agent(path, SpeakerSettings(IPv4Address("192.0.2.1"))) as client:
            await until(client, lambda view: view.in_sync)
        with pytest.raises(BadInput, match="108 letters"):
            await Shell(Speaker(Random(1)), Inside()).serve(tmp_path / ("x" * 200), asyncio.Event())

    asyncio.run(story())


def test_an_agent_that_talks_nonsense_is_cut_off(tmp_path: Path) -> None:
    """The speaker lives on and serves the next agent."""

    async def story() -> None:
        path = tmp_path / "speaker"
        async with speaker(Inside(), path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"nonsense\n")
            async with asyncio.timeout(5):
                while await reader.read(1000):
                    pass
            writer.close()
            async with agent(path, SpeakerSettings(IPv4Address("192.0.2.1"))) as client:
                await until(client, lambda view: view.in_sync)

    asyncio.run(story())


def test_an_error_of_ours_costs_one_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug that one peer's bytes hit closes that connection; the process goes on."""

    async def story() -> None:
        network, one, two = Inside(), tmp_path / "1", tmp_path / "2"
        original = Speaker.received
        hits: list[int] = []

        def broken(self: Speaker, number: int, data: bytes, now: float) -> None:
            if not hits:
                hits.append(number)
                raise ZeroDivisionError
            original(self, number, data, now)

        monkeypatch.setattr(Speaker, "received", broken)
        async with speaker(network, one), speaker(network, two):  # noqa: SIM117
            async with agent(one, settings(1, 2)) as first, agent(two, settings(2, 1)):
                await until(first, lambda view: block_of(2) in view.routes)
        assert hits

    asyncio.run(story())
