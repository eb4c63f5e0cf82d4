"""Processes inside one event loop, each of which can be killed at any await, as SIGKILL would: nothing of it runs on.

Whatever a process does carries a context variable. The loop asks it before each callback: a dead process's callbacks
are put aside, so that neither its `finally` blocks nor its timers have any effect on the world.
"""

from __future__ import annotations

import asyncio
import contextvars
import warnings
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from tests.support.virtual_time import Stuck, VirtualLoop

__all__ = ["NOBODY", "Killed", "Process", "ProcessLoop", "simulate"]

_T = TypeVar("_T")
_OWNER: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)

NOBODY = contextvars.Context()
"""The context of what belongs to no process: wires, kernels, people."""


class Killed(BaseException):
    """Raised inside a system call in whose middle the process died; nothing of the process may run any more."""


class Process:
    """A process: its tasks, callbacks and timers.

    Attributes:
        steps: callbacks that it has run.
        fatal_step: dies instead of running this step; None: lives on.
        on_death: called when it dies: what a kernel does for a dead process.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.steps = 0
        self.fatal_step: int | None = None
        self.on_death: list[Callable[[], None]] = []
        self.held: list[tuple[Callable[..., Any], tuple[Any, ...], contextvars.Context]] = []
        self.context = contextvars.Context()
        self.context.run(_OWNER.set, self)

    def run(self, call: Callable[..., _T], *arguments: Any) -> _T:
        """Call as this process."""
        context = self.context.copy()
        return context.run(call, *arguments)

    def spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run as a task of this process."""
        return asyncio.get_running_loop().create_task(work, context=self.context.copy())

    def kill(self) -> None:
        """SIGKILL."""
        if self.alive:
            self.alive = False
            for call in self.on_death:
                call()

    def step(self, callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Run a callback, unless dead."""
        if self.alive and self.steps + 1 == self.fatal_step:
            self.kill()
        if not self.alive:
            self.held.append((callback, arguments, contextvars.copy_context()))
            return
        self.steps += 1
        callback(*arguments)


class ProcessLoop(VirtualLoop):
    """Virtual time, and processes."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = False
        self.faults: list[str] = []
        self.set_exception_handler(self._fault)

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """As any loop's, on behalf of the process whose context it is."""
        owner = _OWNER.get() if context is None else context.get(_OWNER)
        if owner is None:
            return super().call_soon(callback, *args, context=context)
        return super().call_soon(owner.step, callback, args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """As any loop's, on behalf of the process whose context it is."""
        owner = _OWNER.get() if context is None else context.get(_OWNER)
        if owner is None:
            return super().call_at(when, callback, *args, context=context)
        return super().call_at(when, owner.step, callback, args, context=context)

    def _fault(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not self.ended and not isinstance(error, Killed):
            self.faults.append(f"{context.get('message')}: {error!r}")


def simulate(main: Callable[[list[Process]], Coroutine[Any, Any, _T]]) -> _T:
    """Run on virtual time; `main` is given a list in which to note every process that it starts."""
    loop = ProcessLoop()
    processes: list[Process] = []
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main(processes))
    finally:
        loop.ended = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the dead had made and not begun
            _bury(loop, processes)
        asyncio.set_event_loop(None)
        loop.close()


def _bury(loop: ProcessLoop, processes: list[Process]) -> None:
    """Let the tasks of the dead end too, now that nothing sees it, so that none is found pending."""
    for process in processes:
        process.alive, process.fatal_step = True, None
        held, process.held = process.held, []
        for callback, arguments, context in held:
            loop.call_soon(callback, *arguments, context=context)
    for _ in range(20):
        pending = [task for task in asyncio.all_tasks(loop) if not task.done()]
        if not pending:
            break
        for task in pending:
            task.cancel()
        with suppress(Stuck):
            loop.run_until_complete(asyncio.wait(pending, timeout=1.0))
    loop.run_until_complete(loop.shutdown_asyncgens())
