"""What every server of an engine has in common: started on a free port, killed, paused, started again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Self

from tests.support.engines import Server, StartFailed

__all__ = ["EngineServer"]

_PORT_TAKEN = "address already in use"
_TRIES = 5


class EngineServer:
    """A context manager around one process; whoever inherits says in `_opened` what is made for it and started."""

    _server: Server

    def __init__(self) -> None:
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._opened(stack)
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *args: object) -> None:
        self.stop()

    def _opened(self, stack: contextlib.ExitStack) -> None:
        """Make all that it needs, undone by the stack, and start it by `_begin`."""
        raise NotImplementedError

    def _begin(self, stack: contextlib.ExitStack, make: Callable[[], Server]) -> None:
        """Start what `make` gives; anew with other ports where somebody was faster to take one."""
        for attempt in range(_TRIES):
            self._server = make()
            try:
                self._server.start()
                break
            except StartFailed as error:
                if _PORT_TAKEN not in str(error) or attempt == _TRIES - 1:
                    raise
        stack.callback(self._server.kill)

    @property
    def pid(self) -> int | None:
        """Of its process; None while it doesn't run."""
        return self._server.pid

    def log_tail(self) -> str:
        """The end of its log."""
        return self._server.log_tail()

    def start(self) -> None:
        """Start it again after `kill` or `terminate`, on the same port and data."""
        self._server.start()

    def kill(self) -> None:
        """SIGKILL; its data stays."""
        self._server.kill()

    def terminate(self) -> None:
        """SIGTERM, and wait for its end; its data stays."""
        self._server.terminate()

    def restart(self) -> None:
        """Kill it where it runs, and start it again on the same port and data."""
        self._server.restart()

    def pause(self) -> None:
        """SIGSTOP: connections stay, nothing answers."""
        self._server.pause()

    def resume(self) -> None:
        """SIGCONT."""
        self._server.resume()

    def stop(self) -> None:
        """End it and remove what it wrote; twice is once."""
        self._exit.close()
