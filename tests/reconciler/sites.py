"""A repository, its mirror, a datastore, and the two processes as they run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.protocol import NotFound
from muslin.resources.keys import Key
from reconciler.fetcher import WAKE_FIFO
from reconciler.hook import install
from tests.reconciler.cases import policy_key
from tests.reconciler.repositories import bare, push

__all__ = ["Site", "end"]


class Site:
    """A repository, its mirror, a datastore, and the two processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remote = bare(folder / "r")
        self.mirror = folder / "m"
        self.store = EmbeddedDatastore.open(folder / "store.db")
        install(self.remote, self.mirror / WAKE_FIFO)

    async def fetcher(self, *more: str) -> asyncio.subprocess.Process:
        """Start `muslin fetch`."""
        return await self._start(
            "reconciler.fetch_process", "--repository", str(self.remote), "--allow-local", "--mirror", str(self.mirror),
            "--poke", str(self.folder / "wake"), *more,
        )  # fmt: skip

    async def reconciler(self, *more: str) -> asyncio.subprocess.Process:
        """Start `muslin reconcile`; give another `--wake` where several run."""
        return await self._start(
            "reconciler.process", "--mirror", str(self.mirror), "--datastore", str(self.folder / "store.db"),
            "--wake", str(self.folder / "wake"), *more,
        )  # fmt: skip

    async def push(self, files: Mapping[str, str]) -> str:
        """Push a commit of these files; gives its id."""
        return await asyncio.to_thread(push, self.folder / "w", self.remote, files)

    async def until(self, **there: bool) -> None:
        """Until the policies of these names are there (True) or gone (False)."""
        revision = (await self.store.list("NetworkPolicy")).revision
        async with asyncio.timeout(20):
            async for _ in self.store.watch(("NetworkPolicy",), revision):
                if all([await self.has(policy_key(name)) is wanted for name, wanted in there.items()]):
                    return

    async def has(self, key: Key) -> bool:
        """Whether the object is there."""
        try:
            await self.store.get(key)
        except NotFound:
            return False
        return True

    async def _start(self, module: str, *arguments: str) -> asyncio.subprocess.Process:
        log = (self.folder / f"{module}.log").open("ab")
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | {"GIT_DIR": "/nowhere"},
            )  # fmt: skip
        finally:
            log.close()


async def end(process: asyncio.subprocess.Process, number: int = signal.SIGTERM) -> int:
    """Send a signal, and give the exit status."""
    if process.returncode is None:
        process.send_signal(number)
    return await asyncio.wait_for(process.wait(), 20)
