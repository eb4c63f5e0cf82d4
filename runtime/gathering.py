"""Work for several who ask at about the same time, done by one call in a thread.

What the kernel does at length holds up the loop if it runs there. In a thread the loop goes on; one call for all who
have gathered costs one change between the two, and the kernel may have a cheaper way for many than for one each.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from muslin.errors import MuslinError

__all__ = ["Gathering"]

_Asked = TypeVar("_Asked")
_Got = TypeVar("_Got")


class _Question(Generic[_Asked, _Got]):
    """What somebody asked. Who is cancelled meanwhile waits for `ended` instead of the answer."""

    __slots__ = ("answer", "ended", "told", "what")

    def __init__(self, what: _Asked, answer: asyncio.Future[_Got]) -> None:
        self.what, self.answer = what, answer
        self.told = False
        self.ended: asyncio.Future[None] | None = None

    def tell(self, got: _Got | BaseException) -> None:
        """On the loop: the work is done."""
        self.told = True
        if self.ended is not None:
            self.ended.set_result(None)
        elif self.answer.cancelled():
            return  # and who asked has not run since
        elif isinstance(got, BaseException):
            self.answer.set_exception(got)
            self.answer.exception()  # whoever asked may be gone
        else:
            self.answer.set_result(got)


class Gathering(Generic[_Asked, _Got]):
    """Hands what was asked to `work`, in the order of asking, never two calls at once.

    The thread takes the next who have gathered by itself: a busy loop does not hold up the kernel's work. Others that
    share the thread have their turn after each call.

    Args:
        work: gives for each what came of it, or why nothing did; runs in `thread`. An OSError is everybody's.
        thread: the caller's to shut down; has one worker.
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
        self._lock = threading.Lock()
        self._asked: list[_Question[_Asked, _Got]] = []
        self._working = False

    async def ask(self, what: _Asked) -> _Got:
        """What came of it. Raises what `work` gave as the reason why nothing did.

        Returns only when `work` has done with it, cancelled or not: a descriptor's number, such as that of a pod's
        namespace, may be another's a moment later. Who is cancelled before it began had no work done.
        """
        loop = asyncio.get_running_loop()
        asked: _Question[_Asked, _Got] = _Question(what, loop.create_future())
        with self._lock:
            self._asked.append(asked)
            begin, self._working = not self._working, True
        if begin:
            self._thread.submit(self._work_off)
        try:
            return await asked.answer
        except asyncio.CancelledError:
            if not asked.told:
                with self._lock:
                    if not_begun := asked in self._asked:
                        self._asked.remove(asked)
                if not not_begun:
                    asked.ended = loop.create_future()
                    await asyncio.wait([asked.ended])
            raise

    def _work_off(self) -> None:
        """One call's worth, in the thread; then comes back, behind whatever else the thread has to do."""
        with self._lock:
            part, self._asked = self._asked[: self._at_most], self._asked[self._at_most :]
            self._working = bool(part)
        if not part:
            return
        got: Sequence[_Got | BaseException]
        try:
            got = self._work([asked.what for asked in part])
        except BaseException as error:  # noqa: BLE001 - of a socket, such as no memory for an answer; told to all
            got = [error] * len(part)
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it all who asked
            part[0].answer.get_loop().call_soon_threadsafe(_tell, part, got)
        with contextlib.suppress(RuntimeError):  # the thread is to end; so has everybody who could ask
            self._thread.submit(self._work_off)


def _tell(part: Sequence[_Question[_Asked, _Got]], got: Sequence[_Got | BaseException]) -> None:
    for asked, each in zip(part, got, strict=True):
        asked.tell(each)
