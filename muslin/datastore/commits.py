"""Where a commit runs: on the event loop as long as the disk answers at once, in a thread where it does not.

Waiting for a fast disk costs a fraction of a millisecond. A thread costs more than that wherever the interpreter is
busy, because it must get the interpreter's lock twice, each time for up to `sys.getswitchinterval()` (5 ms).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

__all__ = ["Commits"]

_QUICK_S: Final = 0.001
"""A disk is quick as long as the average commit takes less."""
_WEIGHT: Final = 0.25
"""Of the latest commit in the average: one that takes as long as four quick ones together tells that it is not."""
_TRY_EVERY: Final = 64
"""Of the commits to a slow disk, how many go to the thread before one tells again how slow it is."""


class Commits:
    """Runs commits, one at a time.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="datastore-commit")
        self._average_s = 0.0
        self._in_thread = 0

    @property
    def quick(self) -> bool:
        """Whether the next commit runs on the loop."""
        return self._average_s < _QUICK_S or self._in_thread >= _TRY_EVERY

    async def run(self, commit: Callable[[], object]) -> None:
        """Run one commit where it costs least. Raises what it raises."""
        if not self.quick:
            self._in_thread += 1
            await asyncio.get_running_loop().run_in_executor(self._thread, commit)
            return
        self._in_thread = 0
        began = self._clock()
        try:
            commit()
        finally:
            self._average_s += _WEIGHT * (self._clock() - began - self._average_s)

    def close(self) -> None:
        """End the thread, after the commit that it may be in."""
        self._thread.shutdown()
