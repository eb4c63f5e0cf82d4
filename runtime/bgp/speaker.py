"""The speaker's shell: performs what the core wants on a network and a clock, and talks to the agent.

When told to stop it closes its connections without a NOTIFICATION: peers then keep our routes for the restart time
(RFC 4724) while the kernel goes on forwarding, and the next speaker says with the Restart bit that it did. A node that
must leave for good is told so by a desired state without peers: each session then ends with Cease 6/3, as a Hard Reset
where the peer knows it (RFC 8538 section 4), and its routes go at once.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from muslin.errors import BadInput, Failed, Problem
from muslin.net import Address
from runtime.bgp.actions import Action, Close, Connect, Listen, Log, ReportRoutes, ReportSessions, Send
from runtime.bgp.core import Speaker
from runtime.bgp.link import LINE_LIMIT, Desired, Message, Routes, Sessions, decode, encode, route_parts
from runtime.bgp.network import Listener, Network, Receiver, Stream
from runtime.bgp.reports import NoteKind

__all__ = ["Shell", "log"]

_LISTEN_RETRY_S = 2.0
_AGENT_LIMIT = 64 << 20
"""Octets that may wait for an agent that does not read; then it is cut off and must connect again."""
_QUIET_S = 10.0
"""Strangers that are refused get one line in the log in this time."""


def log(event: str, **fields: object) -> None:
    """One line to standard error: time, event, fields."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = " ".join(
        f"{name}={str(value)!r}" if " " in str(value) else f"{name}={value}" for name, value in fields.items()
    )
    sys.stderr.write(f"{stamp} speaker: {event} {text}".rstrip() + "\n")
    sys.stderr.flush()


class _Link:
    """One BGP connection between core and network."""

    def __init__(self, shell: Shell, number: int) -> None:
        self._shell = shell
        self._number = number

    def received(self, data: bytes) -> None:
        self._shell.input(lambda core, now: core.received(self._number, data, now), self._number)

    def lost(self) -> None:
        self._shell.lost(self._number)


class Shell:
    """Runs one core.

    Args:
        core: the speaker.
        network: where peers are.
        on_in_sync: called whenever the core reports that it is in sync.
        listen_retry_s: how long to wait while somebody else has an address that we should listen on.
        say: writes one line of the log.
    """

    def __init__(
        self,
        core: Speaker,
        network: Network,
        on_in_sync: Callable[[], None] = lambda: None,
        listen_retry_s: float = _LISTEN_RETRY_S,
        say: Callable[..., None] = log,
    ) -> None:
        self._say = say
        self._listen_retry_s = listen_retry_s
        self._core = core
        self._network = network
        self._on_in_sync = on_in_sync
        self._loop = asyncio.get_running_loop()
        self._streams: dict[int, Stream] = {}
        self._dials: dict[int, asyncio.Task[None]] = {}
        self._listeners: dict[tuple[Address, int], Listener] = {}
        self._listening: asyncio.Task[None] | None = None
        self._agent: asyncio.StreamWriter | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refused_at = float("-inf")

    async def serve(self, path: Path, stop: asyncio.Event) -> None:
        """Speak, and obey the agent that connects to `path`, until `stop`.

        Raises:
            Failed: another speaker serves there.
        """
        _clear(path)
        umask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self.serve_agent, path, limit=LINE_LIMIT)
        finally:
            os.umask(umask)
        self._say("ready", socket=path, pid=os.getpid())
        try:
            await stop.wait()
        finally:
            server.close()
            path.unlink(missing_ok=True)
            await self._shut_down()
        self._say("stopped", keeps="routes of and in peers, by graceful restart")

    def input(self, step: Callable[[Speaker, float], None], number: int | None = None) -> None:
        """Give the core an input and do what it wants then.

        `number` is the connection whose bytes are the input: should they hit an error of ours, it is closed, for one
        peer must not stop the others.
        """
        now = self._loop.time()
        try:
            step(self._core, now)
        except Exception:
            if number is None:
                raise
            self._say("error of ours, connection closed", connection=number, trace=traceback.format_exc(limit=-3))
            self._close(number)
            self._core.closed(number, now)
        self._act()

    def lost(self, number: int) -> None:
        """A stream is gone."""
        if self._streams.pop(number, None) is not None:
            self.input(lambda core, now: core.closed(number, now))

    def _act(self) -> None:
        for action in self._core.take_actions():
            self._perform(action)
        deadline = self._core.deadline
        if self._timer is not None and (deadline is None or self._timer.when() != deadline):
            self._timer.cancel()
            self._timer = None
        if self._timer is None and deadline is not None:
            self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.input(lambda core, now: core.advance(now))

    def _perform(self, action: Action) -> None:
        if isinstance(action, Send):
            if action.connection in self._streams:
                self._streams[action.connection].write(action.data)
        elif isinstance(action, Close):
            self._close(action.connection)
        elif isinstance(action, Connect):
            self._dials[action.connection] = self._loop.create_task(self._dial(action))
        elif isinstance(action, Listen):
            if self._listening is not None:
                self._listening.cancel()
            self._listening = self._loop.create_task(self._listen(action, self._listening))
        elif isinstance(action, ReportRoutes):
            self._tell(Routes(action.report))
            if action.report.in_sync:
                self._on_in_sync()
        elif isinstance(action, ReportSessions):
            self._tell(Sessions(action.sessions, action.removed))
        else:
            self._note(action)

    def _note(self, action: Log) -> None:
        note = action.note
        if note.kind is NoteKind.REFUSED:
            now = self._loop.time()
            if now - self._refused_at < _QUIET_S:
                return
            self._refused_at = now
        peer = {} if note.peer is None else {"peer": note.peer}
        self._say(note.kind.value, **peer, **note.fields)

    # -- the network

    def _close(self, number: int) -> None:
        dial = self._dials.pop(number, None)
        if dial is not None:
            dial.cancel()
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.close()

    async def _dial(self, action: Connect) -> None:
        number = action.connection

        def opened(stream: Stream) -> Receiver | None:
            if self._dials.pop(number, None) is None:
                return None
            self._streams[number] = stream
            self.input(lambda core, now: core.connected(number, stream.local_address, now))
            return _Link(self, number)

        try:
            await self._network.connect(action.peer, opened)
        except OSError:
            if self._dials.pop(number, None) is not None:
                self.input(lambda core, now: core.closed(number, now))

    def _accept(self, stream: Stream) -> Receiver | None:
        now = self._loop.time()
        number = self._core.accepted(stream.peer_address, stream.local_address, now)
        if number is not None:
            self._streams[number] = stream
        self._act()
        return None if number is None or number not in self._streams else _Link(self, number)

    async def _listen(self, wanted: Listen, before: asyncio.Task[None] | None) -> None:
        """Make the listeners so, trying again while an address is taken."""
        if before is not None:
            await asyncio.wait([before])
        places = {(address, wanted.port) for address in wanted.addresses}
        for place in self._listeners.keys() - places:
            self._listeners.pop(place).close()
        while True:
            complaints = []
            for address, port in sorted(places - self._listeners.keys(), key=str):
                try:
                    self._listeners[address, port] = await self._network.listen(address, port, self._accept)
                except OSError as error:
                    complaints.append(f"{address} port {port}: {error.strerror}")
            for listener in self._listeners.values():
                listener.expect(wanted.peers)
            if not complaints:
                return
            self._say("cannot listen, trying again; does another BGP daemon run here?", problem="; ".join(complaints))
            await asyncio.sleep(self._listen_retry_s)

    # -- the agent

    async def serve_agent(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Obey the agent at the other end until it goes; a newer one takes its place."""
        if self._agent is not None:
            self._agent.close()  # the older one is dead or misconfigured; the newer is told everything
        self._agent = writer
        self._tell(Sessions(self._core.sessions(), reset=True))
        for part in route_parts(self._core.routes()):
            self._tell(part)
        try:
            while line := await reader.readline():
                message = decode(line)
                if isinstance(message, Desired) and self._agent is writer:
                    settings = message.settings
                    self.input(lambda core, now, settings=settings: core.configure(settings, now))  # type: ignore[misc]
        except BadInput as error:
            self._say("agent cut off", reason=error.problems[0].what)
        except (OSError, ValueError) as error:
            self._say("agent lost", reason=error)
        finally:
            if self._agent is writer:
                self._agent = None
            writer.close()

    def _tell(self, message: Message) -> None:
        agent = self._agent
        if agent is None:
            return
        agent.write(encode(message))
        if agent.transport.get_write_buffer_size() > _AGENT_LIMIT:
            agent.transport.abort()
            self._agent = None

    async def _shut_down(self) -> None:
        tasks = [*self._dials.values(), *([self._listening] if self._listening else [])]
        self._dials.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for listener in self._listeners.values():
            listener.close()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.close()
        if self._agent is not None:
            self._agent.close()
        if self._timer is not None:
            self._timer.cancel()


def _clear(path: Path) -> None:
    """Remove a socket that a dead speaker left."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            fix = "give a --socket of less than 108 letters in a directory that we may write"
            raise BadInput(Problem(f"cannot use the socket: {error}", str(path), fix)) from error
    raise Failed(
        Problem(
            what="another speaker is running",
            where=str(path),
            fix="stop it, or give another --socket",
        )
    )
