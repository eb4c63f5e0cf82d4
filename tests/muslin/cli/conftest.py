"""Fixtures: the command line in this process, and a cluster to look at."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from tests.muslin.cli.calico import Calico
from tests.muslin.cli.running import Cluster, Run


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `muslin` with arguments, in this process."""
    for name in ("MUSLIN_DATASTORE", "NODENAME", "MUSLIN_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    return Run(capsys)


@pytest.fixture(scope="session")
def first_cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """What `cluster` gives copies of."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.push()
    return made


@pytest.fixture
def cluster(first_cluster: Cluster, tmp_path: Path) -> Cluster:
    """A datastore to which one commit has been applied."""
    return first_cluster.copy(tmp_path)


async def _made(file: Path) -> None:
    await EmbeddedDatastore.open(file).close()


@pytest.fixture
def calico(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calico:
    """An empty embedded datastore."""
    file = tmp_path / "calico.db"
    asyncio.run(_made(file))
    return Calico(run, tmp_path, {"MUSLIN_DATASTORE": str(file)}, monkeypatch)
