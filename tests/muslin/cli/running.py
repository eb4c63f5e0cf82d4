"""Runs the command line and gives what it printed; fills datastores as a running cluster does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from random import Random
from shutil import copy
from typing import Any

import pytest

from muslin.cli.main import main
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.initialize import ensure_initialized
from muslin.resources.keys import Key
from reconciler.controller import Controller, Settings
from reconciler.plan import Budget
from runtime.node_status import ReportedSession, node_status_object
from tests.reconciler.cases import NOW, policy, pool
from tests.support.memory_git import MemorySource

__all__ = ["FILES", "Cluster", "Ran", "Run", "buffered", "real", "session"]

FILES: Mapping[str, str] = {"pools.yaml": pool("pods", "10.48.0.0/16"), "a.yaml": policy("a"), "b.yaml": policy("b")}
"""What the cluster's first commit declares."""


@dataclass(frozen=True, slots=True)
class Ran:
    """Exit status and what was printed."""

    status: int
    out: str
    err: str


class Run:
    """Runs `muslin` with arguments, in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Ran:
        """Exit status, standard output and standard error of one run."""
        with pytest.raises(SystemExit) as caught:
            main([str(each) for each in arguments])
        out, err = self._capsys.readouterr()
        status = caught.value.code
        assert isinstance(status, int)
        return Ran(status, out, err)


def buffered() -> dict[str, str]:
    """The environment of a usual shell: with output that Python collects before it writes."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def real(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The real command as a process of its own, not on a terminal."""
    environment = {**buffered(), "COLUMNS": "80", "LANG": "C.UTF-8"} | options.pop("env", {})
    command = [sys.executable, "-m", "muslin.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment, **options)


class Cluster:
    """An embedded datastore in a file, and a reconciler that applied `FILES` to it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "datastore.db"
        self.manifests = folder / "manifests"
        self.source = MemorySource()
        self.write(FILES)

    def copy(self, folder: Path) -> Cluster:
        """The same cluster, by itself in another folder."""
        made = Cluster(folder)
        copy(self.file, made.file)
        made.source = deepcopy(self.source)
        return made

    def write(self, files: Mapping[str, str]) -> Path:
        """Make these the files of the working copy."""
        self.manifests.mkdir(exist_ok=True)
        for old in self.manifests.iterdir():
            old.unlink()
        for name, text in files.items():
            (self.manifests / name).write_text(text)
        return self.manifests

    def push(self, files: Mapping[str, str] = FILES) -> str:
        """Push files, and let the reconciler look once; gives the commit's id."""
        commit = self.source.push(files)
        asyncio.run(self._look())
        return commit

    def look(self) -> None:
        """The reconciler looks once more."""
        asyncio.run(self._look())

    def revision(self) -> str:
        """The datastore's revision: the same as before if nobody wrote."""
        return asyncio.run(self._revision())

    def edit(self, key: Key, **spec: Any) -> None:
        """Somebody changes fields of an object's spec by hand."""
        asyncio.run(self._edit(key, spec))

    def put(self, value: dict[str, Any], namespace: str | None = None) -> None:
        """Somebody creates an object, however strange."""
        asyncio.run(self._put(Key(value["kind"], value["metadata"]["name"], namespace), value))

    def remove(self, key: Key) -> None:
        """Somebody deletes an object."""
        asyncio.run(self._remove(key))

    def report(self, node: str, *sessions: ReportedSession, revision: str = "17") -> None:
        """A node's agent reports."""
        self.put(node_status_object(node, sessions, (), revision, "2026-01-02T03:04:05Z"))

    async def _look(self) -> None:
        store = EmbeddedDatastore.open(self.file)
        try:
            await ensure_initialized(store)
            settings = Settings(budget=Budget(part=0.5, least=1))
            controller = Controller(
                store, self.source, settings, random=Random(1), now=lambda: NOW, tell=lambda _: None
            )
            await controller.once()
        finally:
            await store.close()

    async def _revision(self) -> str:
        store = EmbeddedDatastore.open(self.file)
        try:
            return (await store.list("Node")).revision
        finally:
            await store.close()

    async def _edit(self, key: Key, spec: dict[str, Any]) -> None:
        store = EmbeddedDatastore.open(self.file)
        try:
            entry = await store.get(key)
            await store.update(key, {**entry.value, "spec": {**entry.value["spec"], **spec}}, entry.revision)
        finally:
            await store.close()

    async def _put(self, key: Key, value: dict[str, Any]) -> None:
        store = EmbeddedDatastore.open(self.file)
        try:
            await store.create(key, value)
        finally:
            await store.close()

    async def _remove(self, key: Key) -> None:
        store = EmbeddedDatastore.open(self.file)
        try:
            await store.delete(key)
        finally:
            await store.close()


def session(address: str, state: str = "Established", *, kind: str = "NodeMesh", since: str = "") -> ReportedSession:
    """One session of a report."""
    return ReportedSession(ip_address(address), kind, state, since or "2026-01-02T03:04:05Z")
