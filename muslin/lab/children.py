"""Starting and reaping processes as the lab's first process: its own children, and orphans of others.

Events only: the kernel says through a pidfd that a child ended, and through SIGCHLD that an orphan did.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Children"]


class Children:
    """Every process that we started, and none that we did not is left a zombie. One instance, on a running loop."""

    def __init__(self) -> None:
        if sys.version_info < (3, 12):
            watcher = asyncio.PidfdChildWatcher()
            watcher.attach_loop(asyncio.get_running_loop())
            asyncio.set_child_watcher(watcher)
        self._known: set[int] = set()
        self._starting = 0
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap_orphans)

    async def run(
        self, argv: Sequence[str], stdin: bytes, environment: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Run to the end; gives exit status (negative: signal) and all output, errors included."""
        process = await self._start(argv, environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            output, _ = await process.communicate(stdin)
        finally:
            self._forget(process)
        return process.returncode or 0, output

    async def run_split(
        self, argv: Sequence[str], stdin: bytes, environment: Mapping[str, str]
    ) -> tuple[int, bytes, bytes]:
        """As `run`, with exactly this environment, and standard error by itself."""
        process = await self._start(argv, environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            output, errors = await process.communicate(stdin)
        finally:
            self._forget(process)
        return process.returncode or 0, output, errors

    async def start_logged(
        self, argv: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> asyncio.subprocess.Process:
        """Start a process in a session of its own, its output appended to `log`. `wait` for it with `ended`."""
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            return await self._start(
                argv,
                environment,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    async def ended(self, process: asyncio.subprocess.Process) -> int:
        """Wait until a started process ends; gives its status, negative for a signal."""
        try:
            return await process.wait()
        finally:
            self._forget(process)

    async def _start(
        self, argv: Sequence[str], environment: Mapping[str, str] | None, **options: object
    ) -> asyncio.subprocess.Process:
        options.setdefault("stdin", subprocess.PIPE)
        self._starting += 1  # until the loop watches it, a child looks like an orphan
        try:
            process = await asyncio.create_subprocess_exec(*argv, env=environment, **options)  # type: ignore[arg-type]
            self._known.add(process.pid)
        finally:
            self._starting -= 1
        self._reap_orphans()
        return process

    def _forget(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            self._known.discard(process.pid)

    def _reap_orphans(self) -> None:
        if self._starting:
            return
        with contextlib.suppress(OSError):
            for pid in map(int, Path("/proc/self/task", str(os.getpid()), "children").read_text().split()):
                if pid not in self._known:
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)
