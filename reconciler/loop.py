"""The only retry loop: look again when woken, when a retry is due, or when nobody said anything for a while.

Level-triggered: a wake-up says only *look again*, so any number of them during one step is one more step. Time is
the running event loop's, and the jitter's randomness is handed in: on a simulated clock the same seed gives the
same walk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from muslin.datastore.protocol import Conflict
from muslin.errors import MuslinError, Unavailable

__all__ = ["RETRYABLE", "Backoff", "Loop"]

RETRYABLE: tuple[type[MuslinError], ...] = (Unavailable, Conflict)
"""Trying again helps: by type, never by the text of a message."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after the n-th failure in a row: exponential, limited, spread.

    `spread` is the part of the wait that is random: 0.2 gives 80 to 100 percent of the nominal wait.
    """

    first_s: float = 0.1
    factor: float = 2.0
    limit_s: float = 30.0
    spread: float = 0.2

    def delay(self, failures: int, random: Random) -> float:
        """Seconds to wait after `failures` failures in a row, at least one."""
        nominal = min(self.limit_s, self.first_s * self.factor ** min(failures - 1, 64))
        return nominal * (1.0 - self.spread * random.random())


class Loop:
    """Runs one step again and again until it is stopped; never two steps at once.

    Args:
        step: one whole look: read, plan, apply. It raises one of `retryable` when trying again helps.
        random: where jitter comes from.
        resync_s: look again after this time even if nobody woke us, spread by the backoff's spread; None for never.
        backoff: waits between failures in a row.
        retryable: exception types after which the step is tried again by itself. Another `MuslinError` is told to
            `on_failure` and waits for the next wake-up or resync; any other exception is a fault of the program and
            ends `run`.
        on_failure: is told each failure and the wait that follows, None where no retry is planned.
    """

    def __init__(
        self,
        step: Callable[[], Awaitable[None]],
        *,
        random: Random,
        resync_s: float | None = None,
        backoff: Backoff | None = None,
        retryable: tuple[type[BaseException], ...] = RETRYABLE,
        on_failure: Callable[[MuslinError | BaseException, float | None], None] | None = None,
    ) -> None:
        self._step = step
        self._random = random
        self._resync_s = resync_s
        self._backoff = backoff or Backoff()
        self._retryable = retryable
        self._on_failure = on_failure
        self._woken = asyncio.Event()
        self._woken.set()
        self._stopping = False

    def wake(self) -> None:
        """Look again soon. Cheap; wake-ups that arrive before or during a step count once."""
        self._woken.set()

    def stop(self) -> None:
        """Let `run` return after the step that is running, without another one."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Step at once, then whenever woken or due, until `stop` is called or the task is cancelled."""
        failures = 0
        while not self._stopping:
            self._woken.clear()
            retry_after: float | None = None
            try:
                await self._step()
                failures = 0
            except self._retryable as error:
                failures += 1
                retry_after = self._backoff.delay(failures, self._random)
                self._tell(error, retry_after)
            except MuslinError as error:
                failures = 0
                self._tell(error, None)
            await self._wait(retry_after)

    def _tell(self, error: BaseException, retry_after: float | None) -> None:
        if self._on_failure is not None:
            self._on_failure(error, retry_after)

    async def _wait(self, retry_after: float | None) -> None:
        """Until woken, or until a retry or the resync is due.

        A wake-up during a backoff looks again at once: what failed may have been healed by what woke us, and a store
        that is away cannot wake anybody.
        """
        timeout = retry_after
        if timeout is None and self._resync_s is not None:
            timeout = self._resync_s * (1.0 - self._backoff.spread * self._random.random())
        try:
            async with asyncio.timeout(timeout):
                await self._woken.wait()
        except TimeoutError:
            pass
