"""Some workers that share one queue: the first failure ends them all, and is the one that is raised."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["together"]


async def together(work: Callable[[], Awaitable[None]], count: int) -> None:
    """Run so many of the same worker until each has ended; one needs no task of its own."""
    if count <= 1:
        await work()
        return
    workers = [asyncio.ensure_future(work()) for _ in range(count)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
