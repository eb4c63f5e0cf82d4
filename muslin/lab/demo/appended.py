"""Waiting for a file to grow: the kernel's inotify, through the running loop."""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path

__all__ = ["Appended"]

_MODIFY = 0x2
_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
"""IN_NONBLOCK and IN_CLOEXEC are these by definition. Source: inotify_init(2)."""
_libc = ctypes.CDLL(None, use_errno=True)


class Appended:
    """Says when something was written to a file, which must exist. Look once after it is made: what was before counts.

    Raises OSError where the kernel refuses.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = _checked(_libc.inotify_init1(_NONBLOCK | _CLOEXEC), path)
        try:
            _checked(_libc.inotify_add_watch(self._descriptor, os.fsencode(path), _MODIFY), path)
        except OSError:
            os.close(self._descriptor)
            raise
        self._written = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._drain)

    def _drain(self) -> None:
        os.read(self._descriptor, 4096)
        self._written.set()

    async def wait(self) -> None:
        """Wait for the next write since the last wait."""
        await self._written.wait()
        self._written.clear()

    def close(self) -> None:
        """Stop watching."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)


def _checked(result: int, path: Path) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    return result
