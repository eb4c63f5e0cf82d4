"""The agent's end of the link to the speaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from muslin.errors import BadInput, Problem
from runtime.bgp.link import LINE_LIMIT, Desired, Routes, Sessions, decode, encode
from runtime.bgp.settings import SpeakerSettings
from runtime.bgp.view import SpeakerView, View

__all__ = ["Dial", "SpeakerClient"]

Dial = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Opens a connection to the speaker. Raises OSError while there is none."""


class SpeakerClient:
    """Tells the speaker what to be, whenever there is one, and gives what it says.

    Args:
        where: the speaker's unix socket, or how to reach it otherwise.
        retry_s: how long to wait before looking for a speaker again.
    """

    def __init__(self, where: Path | Dial, *, retry_s: float = 0.2) -> None:
        self._dial = _at(where) if isinstance(where, Path) else where
        self._retry_s = retry_s
        self._wanted: SpeakerSettings | None = None
        self._state = SpeakerView()
        self._writer: asyncio.StreamWriter | None = None
        self._changed = asyncio.Condition()
        self._version = 0
        self.problem: BadInput | None = None

    @property
    def view(self) -> View:
        """The speaker as we see it now."""
        return self._state.view

    def want(self, settings: SpeakerSettings) -> None:
        """Have the speaker be this, now and after each of its restarts. Saying the same again costs nothing."""
        if settings != self._wanted:
            self._wanted = settings
            self._say()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                reader, self._writer = await self._dial()
            except OSError:
                await asyncio.sleep(self._retry_s)
                continue
            self._state.connected()
            await self._notify()
            try:
                self._say()
                await self._listen(reader)
            except OSError:
                pass  # the speaker died; its successor is told everything
            except BadInput as error:
                self.problem = error
            except ValueError as error:  # a line without an end
                fix = "run agent and speaker of the same version"
                self.problem = BadInput(Problem(f"a message is too long: {error}", "the socket of the speaker", fix))
            finally:
                self._writer.close()
                self._writer = None
                self._state.disconnected()
            await self._notify()
            await asyncio.sleep(self._retry_s)

    async def changes(self) -> AsyncIterator[View]:
        """The view now and after each change; changes that come faster than they are read are one."""
        seen = -1
        while True:
            async with self._changed:
                while self._version == seen:
                    await self._changed.wait()
                seen = self._version
            yield self._state.view

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            message = decode(line)
            if isinstance(message, Routes | Sessions):
                self._state.apply(message)
                await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._version += 1
            self._changed.notify_all()

    def _say(self) -> None:
        if self._writer is not None and self._wanted is not None:
            self._writer.write(encode(Desired(self._wanted)))


def _at(path: Path) -> Dial:
    return lambda: asyncio.open_unix_connection(path, limit=LINE_LIMIT)
