"""One at a time for a key, any number for different keys."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from types import TracebackType

__all__ = ["Turns"]


class Turns:
    """Locks by key that exist only while somebody holds or awaits them."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    def of(self, key: Hashable) -> _Turn:
        """For `async with`: wait for the turn of this key; those that wait are served in order."""
        return _Turn(self._locks, key)


class _Turn:
    def __init__(self, locks: dict[Hashable, tuple[asyncio.Lock, int]], key: Hashable) -> None:
        self._locks, self._key = locks, key

    async def __aenter__(self) -> None:
        lock, count = self._locks.get(self._key) or (asyncio.Lock(), 0)
        self._locks[self._key] = (lock, count + 1)
        try:
            await lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._leave().release()

    def _leave(self) -> asyncio.Lock:
        lock, count = self._locks.pop(self._key)
        if count > 1:
            self._locks[self._key] = (lock, count - 1)
        return lock
