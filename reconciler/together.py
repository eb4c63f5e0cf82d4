"""Tasks that belong to each other: workers that share one queue, a deed beside something that must not end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

__all__ = ["either", "together"]


async def together(work: Callable[[], Awaitable[None]], count: int) -> None:
    """Run so many of the same worker until each has ended; the first failure ends all. One needs no task of its own."""
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


async def either(following: asyncio.Future[None], deed: Coroutine[Any, Any, None]) -> None:
    """Wait for the deed; a watch that ends by a fault of the program ends the deed as well."""
    task = asyncio.ensure_future(deed)
    try:
        await asyncio.wait((following, task), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            following.result()
        else:
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
