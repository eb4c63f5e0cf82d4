"""Work for several who ask at about the same time, done by one call in a thread.

What the kernel does at length holds up the loop if it runs there. In a thread the loop goes on; one call for all who
have gathered costs one change between the two, and the kernel may have a cheaper way for many than for one each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from muslin.errors import MuslinError

__all__ = ["Gathering"]

_Asked = TypeVar("_Asked")
_Got = TypeVar("_Got")


class Gathering(Generic[_Asked, _Got]):
    """Hands what was asked to `work`, in the order of asking, never two calls at once.

    Args:
        work: gives for each what came of it, or why nothing did; runs in `thread`. An OSError is everybody's.
        thread: the caller's to shut down.
        at_most: so many are handed over together.
    """

    def __init__(
        self,
        work: Callable[[Sequence[_Asked]], Sequence[_Got | MuslinError]],
        thread: ThreadPoolExecutor,
        *,
        at_most: int,
    ) -> None:
        self._work, self._thread, self._at_most = work, thread, at_most
        self._asked: list[tuple[_Asked, asyncio.Future[_Got]]] = []
        self._working: asyncio.Task[None] | None = None

    async def ask(self, what: _Asked) -> _Got:
        """What came of it. Raises what `work` gave as the reason why nothing did.

        Returns only when `work` has done with it, cancelled or not: a descriptor's number, such as that of a pod's
        namespace, may be another's a moment later. Who is cancelled before it began had no work done.
        """
        answer: asyncio.Future[_Got] = asyncio.get_running_loop().create_future()
        asked = (what, answer)
        self._asked.append(asked)
        if self._working is None:
            self._working = asyncio.create_task(self._work_off())
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if asked in self._asked:
                self._asked.remove(asked)
            else:
                await asyncio.wait([answer])
                if not answer.cancelled():
                    answer.exception()  # nobody asks any more
            raise

    async def _work_off(self) -> None:
        part: Sequence[tuple[_Asked, asyncio.Future[_Got]]] = ()
        try:
            while self._asked:
                part, self._asked = self._asked[: self._at_most], self._asked[self._at_most :]
                for (_, answer), got in zip(part, await self._done([what for what, _ in part]), strict=True):
                    if isinstance(got, BaseException):
                        answer.set_exception(got)
                        answer.exception()  # whoever asked may be gone
                    else:
                        answer.set_result(got)
        finally:
            self._working = None
            for _, answer in (*part, *self._asked):  # the loop ends: nobody must wait for ever
                answer.cancel()

    async def _done(self, wanted: Sequence[_Asked]) -> Sequence[_Got | MuslinError | OSError]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, wanted)
        except OSError as error:  # of a socket, such as no memory for an answer
            return [error] * len(wanted)
