"""The folder of a mirror: one fetcher's at a time, healed of what a killed git left, and the FIFO that wakes it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from muslin.errors import BadInput, Problem
from reconciler.commands import FETCHED, FORMER, REVERTS, TRACKED
from reconciler.hook import WAKE_FIFO

__all__ = ["MirrorFolder"]

_LOCK_FILE: Final = "muslin-fetch.lock"
_OF_GIT: Final = ("objects", "refs", "logs", "packed-refs", "HEAD", "config", "info", "branches", "hooks", "shallow")
"""What `git init` and `git fetch` make in the mirror; the rest is ours."""
_LOCKS: Final = (
    "HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock", "gc.pid",
    *(f"{room}{name}.lock" for room in ("", "logs/") for name in (TRACKED, FETCHED, FORMER)),
    "muslin-revert.index", "muslin-revert.index.lock",
)  # fmt: skip
"""What a git that was killed leaves, and the next one stumbles over."""
_PATIENCE_S: Final = 5.0


class MirrorFolder:
    """One mirror's folder. `take` first; `close` last.

    Args:
        path: the folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._fifo: int | None = None

    @property
    def lock(self) -> int:
        """The descriptor of the lock; children inherit it: after a SIGKILL of ours the folder is free with the last."""
        assert self._lock is not None
        return self._lock

    @property
    def is_made(self) -> bool:
        """Whether there is a repository in it."""
        return (self.path / "objects").is_dir() and (self.path / "HEAD").is_file()

    async def take(self) -> None:
        """Make the folder ours. Raises BadInput where another fetcher has it, or something else lies in it."""
        self.path.mkdir(parents=True, exist_ok=True)
        entries = {entry.name for entry in self.path.iterdir()}
        if entries and _LOCK_FILE not in entries:
            raise BadInput(
                Problem(f"{self.path} is not empty and not a mirror of ours", str(self.path), "give a new folder")
            )
        self._lock = os.open(self.path / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if asyncio.get_running_loop().time() > deadline:
                    what, fix = "another fetcher works in this folder", "give each fetcher its own folder"
                    raise BadInput(Problem(what, str(self.path), fix)) from None
                # flock has no way to wait with a limit
                await asyncio.sleep(0.05)
            else:
                return

    def sweep(self) -> None:
        """Remove locks, halves of packs and objects of a git that failed or was killed. None may be running."""
        for name in _LOCKS:
            (self.path / name).unlink(missing_ok=True)
        for pattern in ("pack/tmp_*", "??/tmp_obj_*"):
            for part in (self.path / "objects").glob(pattern):
                part.unlink(missing_ok=True)
        for left in self.path.glob("muslin-check-*"):
            shutil.rmtree(left, ignore_errors=True)
        for room in ("", "logs/"):
            for left in self.path.glob(f"{room}{REVERTS}*.lock"):
                left.unlink(missing_ok=True)

    async def empty(self) -> None:
        """Remove all that is git's."""
        for name in _OF_GIT:
            left = self.path / name
            if left.is_dir() and not left.is_symlink():
                await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)

    def size(self) -> int:
        """Bytes of packs: everything that is fetched is kept in one (`fetch.unpackLimit`)."""
        size = 0
        for path in (self.path / "objects" / "pack").glob("*"):
            with contextlib.suppress(FileNotFoundError):  # git tidies up meanwhile
                size += path.stat().st_size
        return size

    def listen(self, woken: Callable[[], None]) -> None:
        """Call `woken` when somebody writes to the FIFO. Raises BadInput where something else is in its place.

        It is opened for writing as well, so that it never reports its end.
        """
        path = self.path / WAKE_FIFO
        if not path.exists():
            os.mkfifo(path)
        path.chmod(0o622)
        fifo = self._fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
        if not stat.S_ISFIFO(os.fstat(fifo).st_mode):
            raise BadInput(Problem("this is not a FIFO", str(path), "remove it; the fetcher makes it anew"))

        def readable() -> None:
            with contextlib.suppress(BlockingIOError):
                os.read(fifo, 65536)
            woken()

        asyncio.get_running_loop().add_reader(fifo, readable)

    def close(self) -> None:
        """Let go of it."""
        if self._fifo is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._fifo)
            os.close(self._fifo)
            self._fifo = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
