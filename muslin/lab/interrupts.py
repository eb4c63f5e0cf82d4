"""Ctrl-C, SIGTERM and a closed terminal, alike: what was begun is taken down, and nothing interrupts that.

A signal that whoever started us chose to ignore (nohup, a shell's background) stays ignored.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

__all__ = ["ignored", "raised", "run"]

_T = TypeVar("_T")
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _heeded() -> tuple[signal.Signals, ...]:
    return tuple(each for each in _ENDING if signal.getsignal(each) != signal.SIG_IGN)


@contextlib.contextmanager
def _handled_by(handler: Any) -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in _heeded()}
    try:
        for each in before:
            signal.signal(each, handler)
        yield
    finally:
        for each, old in before.items():
            signal.signal(each, old)


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Within this, each of the three raises KeyboardInterrupt."""
    with _handled_by(signal.default_int_handler):
        yield


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """Within this, none of the three does anything: for taking down. Start no process here, it would inherit that."""
    with _handled_by(signal.SIG_IGN):
        yield


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """`asyncio.run`, where each of the three cancels the work; its `finally` runs. Raises KeyboardInterrupt then."""
    interrupted = False

    async def cancelled_by_signals() -> _T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            task.cancel()

        for each in _heeded():
            loop.add_signal_handler(each, interrupt)
        return await work

    try:
        return asyncio.run(cancelled_by_signals())
    except (asyncio.CancelledError, Exception) as error:
        if interrupted:  # whatever broke while everything was being ended, this is why
            raise KeyboardInterrupt from error
        raise
