"""Many deadlines, of which only the earliest must be watched."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

__all__ = ["Deadlines"]

_K = TypeVar("_K", bound=Hashable)


class Deadlines(Generic[_K]):
    """Deadlines by key. Putting one off costs nothing: its old place in the heap is looked at when it comes up."""

    def __init__(self) -> None:
        self._at: dict[_K, float] = {}
        self._queued: dict[_K, float] = {}
        self._heap: list[tuple[float, int, _K]] = []
        self._order = count()

    def __getitem__(self, key: _K) -> float | None:
        return self._at.get(key)

    def set(self, key: _K, at: float | None) -> None:
        """Give `key` this deadline instead of any other; None takes it away."""
        if at is None:
            self._at.pop(key, None)
            return
        self._at[key] = at
        queued = self._queued.get(key)
        if queued is None or at < queued:
            self._push(key, at)

    def earliest(self) -> float | None:
        """The earliest deadline."""
        heap = self._heap
        while heap:
            at, _, key = heap[0]
            wanted = self._at.get(key)
            if wanted == at:
                return at
            heapq.heappop(heap)
            if self._queued.get(key) == at:
                del self._queued[key]
                if wanted is not None:
                    self._push(key, wanted)
        return None

    def take_due(self, now: float) -> list[_K]:
        """Keys whose deadline is here, the earliest first; they have none afterwards."""
        due: list[_K] = []
        while (at := self.earliest()) is not None and at <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._at[key]
            if self._queued.get(key) == at:
                del self._queued[key]
            due.append(key)
        return due

    def _push(self, key: _K, at: float) -> None:
        self._queued[key] = at
        heapq.heappush(self._heap, (at, next(self._order), key))
