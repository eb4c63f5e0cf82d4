"""Starts programs from a process that has imported what they import: each is a process of its own, a second sooner.

The parent never speaks gRPC and has no threads, so that its children begin like a fresh interpreter.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["Started", "serve", "start"]

_ROOT: Final = Path(__file__).parents[3]
_START_S: Final = 60


class Started:
    """One program's process.

    Attributes:
        status: its exit status; None while it runs, -9 where it was killed.
    """

    def __init__(self, connection: socket.socket, pid: int, log: Path) -> None:
        self._connection, self._pid, self._log = connection, pid, log
        self.status: int | None = None

    def wait(self, timeout_s: float) -> str:
        """What it printed, when it has ended. Raises TimeoutError."""
        if self.status is None:
            self._connection.settimeout(timeout_s)
            said = self._connection.recv(16)
            self.status = int(said) if said else -signal.SIGKILL
            self._connection.close()
        return self._log.read_text("utf-8", errors="replace")

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        if self.status is None:
            try:
                self.wait(0.001)
            except TimeoutError:
                return False
        return True

    def kill(self) -> None:
        """End it, if it runs."""
        if not self.ended:
            os.kill(self._pid, signal.SIGKILL)
            self.wait(10)


def start(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Started:
    """Run the host with these arguments, in this folder, with exactly these variables."""
    log = Path(_workspace()) / f"{os.urandom(8).hex()}.log"
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_START_S)
    connection.connect(_server())
    request = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment), "log": str(log)}
    connection.sendall(json.dumps(request).encode() + b"\n")
    pid = int(connection.makefile("rb", buffering=0).readline())
    return Started(connection, pid, log)


@functools.cache
def _workspace() -> str:
    folder = tempfile.TemporaryDirectory(prefix="muslin-programs-")
    atexit.register(folder.cleanup)
    return folder.name


@functools.cache
def _server() -> str:
    """Where the parent listens; it is started once for this process, and ends with it."""
    path = f"{_workspace()}/launcher"
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "--",
        sys.executable,
        "-m",
        "tests.stacks.engine.host",
        "--serve",
        path,
    ]
    process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    atexit.register(process.wait)
    atexit.register(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()
    return path


def serve(path: str) -> None:
    """The parent: listen, fork for each request, for ever."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _become(connection)
        connection.close()


def _become(connection: socket.socket) -> None:
    """The child: what was asked for, then its status on the wire. Never returns."""
    status = 70
    try:
        request = json.loads(connection.makefile("rb").readline())
        connection.sendall(f"{os.getpid()}\n".encode())
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        log = os.open(request["log"], os.O_CREAT | os.O_WRONLY, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = ["host", *request["arguments"]]
        from tests.stacks.engine.host import main  # noqa: PLC0415 - the parent is this module's own program

        status = main()
        sys.stdout.flush()
    finally:
        connection.sendall(str(status).encode())
        os._exit(status)
