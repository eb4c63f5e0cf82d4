"""How a write in one process wakes the watchers of another: a datagram socket for each in `<database>.watch/`.

A writer sends one byte to every socket there after its commit. That is only a hint to look again: a full buffer
means that the watcher is awake anyway, and a writer killed before it sends is made good by a slow poll (the
caller's). Sockets with a path work across network namespaces; abstract ones would not.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

__all__ = ["Bell", "Waking"]

_POLL_S = 1.0
"""How often a watching process looks by itself, for writers that were killed between commit and wake."""
_LONGEST_SOCKET_PATH = 107
"""Bytes that `sun_path` holds beside its end (unix(7))."""


class Bell:
    """One process's socket among those of a database. Belongs to one event loop; make it there.

    Args:
        directory: where the sockets are; must exist.
        name: of our socket, unique among all that may live at the same time.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._directory, self._name = directory, name
        self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._ear: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._voice = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    def listen(self, on_ring: Callable[[], None]) -> None:
        """Call `on_ring` on the running loop whenever somebody rings, until `close`. Once only."""
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            ear.bind(self._address(self._name))
        except OSError:
            ear.close()
            raise
        self._ear = ear

        def drain() -> None:
            with suppress(BlockingIOError):
                while True:
                    ear.recv(16)
            on_ring()

        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(ear, drain)

    def ring(self) -> None:
        """Wake every other listener. Sockets whose process is dead are removed."""
        for name in os.listdir(self._descriptor):  # noqa: PTH208 - by descriptor, whatever the path's length
            if name == self._name:
                continue
            try:
                self._voice.sendto(b"w", self._address(name))
            except OSError as error:
                if error.errno == errno.ECONNREFUSED:  # its process is gone
                    with suppress(OSError):
                        os.unlink(name, dir_fd=self._descriptor)
                # anything else (full, just removed, not ours to write to): the listener's poll makes it good

    def close(self) -> None:
        """Stop listening and remove our socket."""
        if self._ear is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._ear)
            self._ear.close()
            with suppress(OSError):
                os.unlink(self._name, dir_fd=self._descriptor)
            self._ear = None
        self._voice.close()
        os.close(self._descriptor)

    def _address(self, name: str) -> str:
        direct = str(self._directory / name)
        if len(os.fsencode(direct)) <= _LONGEST_SOCKET_PATH:
            return direct
        return f"/proc/self/fd/{self._descriptor}/{name}"


class Waking:
    """When watchers of one process look: at its own writes, when another one rings, and at a slow poll.

    Args:
        bell: becomes this one's to close.
        version: a number that is another one after a write of another process; -1 says to look anyway.
        after_s: other processes are woken so long after a write, once for all writes until then.
    """

    def __init__(self, bell: Bell, version: Callable[[], int], after_s: float) -> None:
        self._bell, self._version, self._after_s = bell, version, after_s
        self._seen = -1
        self._poll: asyncio.TimerHandle | None = None
        self._ringing: asyncio.TimerHandle | None = None
        self.rung = asyncio.Event()
        """Is set at the next reason to look, and another one takes its place."""

    def listen(self) -> None:
        """Hear others and begin to poll, on the running loop; again is no more than once."""
        if self._poll is None:
            self._bell.listen(self.here)
            self._look()

    def here(self) -> None:
        """Wake this process's watchers."""
        rung, self.rung = self.rung, asyncio.Event()
        rung.set()

    def others(self) -> None:
        """Wake other processes: at once, or a moment later."""
        if self._after_s <= 0:
            self._bell.ring()
        elif self._ringing is None:
            self._ringing = asyncio.get_running_loop().call_later(self._after_s, self._ring)

    def close(self) -> None:
        """Stop; who is still to be woken is woken now."""
        for timer in (self._poll, self._ringing):
            if timer is not None:
                timer.cancel()
        if self._ringing is not None:
            self._ring()
        self._bell.close()

    def _ring(self) -> None:
        self._ringing = None
        self._bell.ring()

    def _look(self) -> None:
        self._poll = asyncio.get_running_loop().call_later(_POLL_S, self._look)
        version = self._version()
        if version != self._seen or version == -1:
            self._seen = version
            self.here()
