"""How fast we may ask, and how long to wait before asking again. Time is the running loop's, so it may be virtual."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

__all__ = ["Bucket", "Limits", "backoff_s"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client allows itself.

    Attributes:
        qps, burst: requests a second in the long run, and at once after a rest; `qps` of 0 means no limit.
        tries: of one request, the first included.
        first_wait_s, longest_wait_s: bounds of the random wait before the second try, and before any.
        answer_s: for a whole answer (the server's own limit is 60 s).
        connect_s: for a connection, name lookup and TLS included.
        idle_s: silence on a watch after which it is made anew; servers send bookmarks about once a minute.
        watch_s: the server is asked to end a watch after this long to twice as long, so that load can move.
        connections: requests under way at once, watches not counted.
    """

    qps: float = 5.0
    burst: int = 100
    tries: int = 5
    first_wait_s: float = 0.2
    longest_wait_s: float = 10.0
    answer_s: float = 30.0
    connect_s: float = 10.0
    idle_s: float = 90.0
    watch_s: float = 300.0
    connections: int = 64


def backoff_s(limits: Limits, tried: int, random: Random, asked_s: float | None = None) -> float:
    """Seconds to wait after `tried` failures (from 1): random up to a bound that doubles, at least what was asked for.

    What a server asks for (Retry-After) is spread too, and never more than `longest_wait_s` is waited.
    """
    bound = min(limits.longest_wait_s, limits.first_wait_s * 2 ** min(tried - 1, 30))
    if asked_s is None:
        return random.uniform(bound / 2, bound)
    return min(limits.longest_wait_s, asked_s * random.uniform(1.0, 1.25))


class Bucket:
    """A token bucket: `turn` returns when one more request may go; who comes first goes first.

    `limits`: whether there is any limit; where there is none, nobody needs to call.
    """

    def __init__(self, qps: float, burst: int) -> None:
        self.limits = qps > 0
        self._each_s = 1.0 / qps if qps > 0 else 0.0
        self._room_s = self._each_s * max(1, burst)
        self._empty_at = float("-inf")
        """When the bucket would be empty of debts: each request moves it on by `_each_s`."""

    async def turn(self) -> None:
        """Waits until a token is there, and takes it."""
        if not self._each_s:
            return
        now = asyncio.get_running_loop().time()
        self._empty_at = max(self._empty_at, now) + self._each_s
        wait = self._empty_at - now - self._room_s
        if wait > 1e-9:
            await asyncio.sleep(wait)
