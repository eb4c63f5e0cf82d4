"""Moving between real servers: round the three kinds of datastore, and killed by SIGKILL at any write."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from muslin.conversion.kinds import ApiGroup
from muslin.datastore.initialize import CLUSTER_INFORMATION
from muslin.datastore.migrate_objects import MOVED_KINDS
from muslin.datastore.naming import settings_named
from muslin.resources.keys import Key
from tests.muslin.cli.running import real
from tests.muslin.datastore.kubernetes.clusters import cluster
from tests.muslin.datastore.migration import moving
from tests.muslin.datastore.migration.cases import NAMES, contents, filled, over
from tests.support.engines import Missing
from tests.support.etcd_server import EtcdServer
from tests.support.kube_apiserver import KubeApiserver

KINDS = tuple(kind for kind in MOVED_KINDS if kind not in ("Profile", "WorkloadEndpoint", "Tier"))


@pytest.fixture(scope="module")
def etcd() -> Iterator[EtcdServer]:
    """An etcd of this module's own."""
    try:
        with EtcdServer() as server:
            yield server
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApiserver]:
    """An API server of this module's own, with Calico's kinds, the nodes and the namespace."""
    del tmp_path_factory
    try:
        with cluster(ApiGroup.V3) as server:
            for name in NAMES.values():
                assert server.request("POST", "/api/v1/nodes", {"metadata": {"name": name}}).status == 201
            assert server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}}).status in (201, 409)
            yield server
    except Missing as missing:
        pytest.skip(str(missing))


def emptied(server: EtcdServer) -> str:
    """The etcd with nothing in it, as a word for `--from` and `--to`."""
    server.call("/v3/kv/deleterange", {"key": "AA==", "range_end": "AA=="})
    return f"etcd:{server.endpoint}"


def what(word: str, kinds: tuple[str, ...] = KINDS) -> dict[Key, dict[str, Any]]:
    """Everything that a datastore has."""

    async def story() -> dict[Key, dict[str, Any]]:
        async with over(settings_named(word, os.environ, word)) as store:
            return await contents(store, kinds)

    return asyncio.run(story())


def ready(word: str) -> bool:
    """Whether the datastore is unlocked."""

    async def story() -> bool:
        async with over(settings_named(word, os.environ, word)) as store:
            return bool((await store.get(CLUSTER_INFORMATION)).value["spec"]["datastoreReady"])

    return asyncio.run(story())


def made(file: Path, *, sets: int = 0) -> str:
    """A cluster in a file."""

    async def story() -> None:
        async with over(settings_named(str(file), {}, "")) as store:
            await filled(store, sets=sets)

    asyncio.run(story())
    return str(file)


@pytest.mark.engines
def test_a_cluster_goes_round_all_three_datastores_and_stays_the_same(
    tmp_path: Path, etcd: EtcdServer, api: KubeApiserver
) -> None:
    """Embedded, etcd, Kubernetes, embedded: the same objects, but nodes by their names in Kubernetes."""
    first, second, third, last = (
        made(tmp_path / "first.db"),
        emptied(etcd),
        f"kubernetes:{api.kubeconfig}",
        str(tmp_path / "last.db"),
    )
    for source, target in ((first, second), (second, third), (third, last)):
        ran = real("datastore", "migrate", "--from", source, "--to", target)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert not ready(source)
        assert ready(target)
    before, after, through = what(first), what(last), what(second)

    def plain(objects: dict[Key, dict[str, Any]]) -> dict[Key, Any]:
        return {key: value["spec"] for key, value in objects.items() if key.kind not in ("Node", "IPAMBlock")}

    names = {f"node.{old}": f"node.{new}" for old, new in NAMES.items()}
    expected = {}
    for key, spec in plain(before).items():
        told = {"node": NAMES.get(spec.get("node"), spec.get("node"))} if "node" in spec else {}
        name = names.get(key.name, key.name)
        for old, new in NAMES.items():
            if key.kind in ("BlockAffinity", "IPAMHandle"):
                name = name.replace(old, new) if not name.startswith("k8s-pod-network.") else name
        if key.kind == "IPAMHandle":
            told = {"handleID": name}
        expected[key._replace(name=name)] = {**spec, **told}
    assert plain(after) == expected
    assert plain(through) == plain(before)
    owners = {value["spec"]["affinity"] for key, value in after.items() if key.kind == "IPAMBlock"}
    assert owners == {f"host:{name}" for name in NAMES.values()}
    nodes = {key.name: value["spec"]["bgp"] for key, value in after.items() if key.kind == "Node"}
    assert nodes == {new: {"ipv4Address": f"192.0.2.{n}/24"} for n, new in enumerate(NAMES.values(), 1)}


@pytest.mark.engines("etcd")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "when"), [(1, "before"), (1, "after"), (2, "after"), (3, "before"), (7, "after"), (30, "before"),
                        (45, "after"), (-1, "before"), (-1, "after")],
)  # fmt: skip
def test_a_killed_migration_is_repeated_to_the_same_end(
    tmp_path: Path, etcd: EtcdServer, write: int, when: str
) -> None:
    """SIGKILL at the lock, the claim, an object, the unlocking; the repetition says nothing of it."""
    source, target = made(tmp_path / "from.db", sets=20), emptied(etcd)
    objects = what(source)
    last = write if write > 0 else len(objects) + 4 + 3  # the tiers, the lock, the claim, the unlocking
    command = [sys.executable, moving.__file__, source, target, str(last), when]
    killed = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    if (write, when) != (-1, "after"):
        assert not what(target) or not ready(target)

    ran = real("datastore", "migrate", "--from", source, "--to", target)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ready(target)
    assert not ready(source)
    assert {key: value["spec"] for key, value in what(target).items()} == {
        key: value["spec"] for key, value in objects.items()
    }


@pytest.mark.engines
@pytest.mark.slow
def test_a_migration_into_kubernetes_may_be_killed_too(tmp_path: Path, api: KubeApiserver) -> None:
    """Killed again and again on its way into an API server, it comes to its end, and its repetition is quick."""
    with cluster(ApiGroup.V3) as server:
        for name in NAMES.values():
            server.request("POST", "/api/v1/nodes", {"metadata": {"name": name}})
        server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        source, target = made(tmp_path / "from.db"), f"kubernetes:{server.kubeconfig}"
        for last, when in ((2, "after"), (9, "after"), (12, "before")):
            command = [sys.executable, moving.__file__, source, target, str(last), when]
            killed = subprocess.run(command, capture_output=True, timeout=60, check=False)
            assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
            assert not ready(target)
        ran = real("datastore", "migrate", "--from", source, "--to", target)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert ready(target)
        again = real("datastore", "migrate", "--from", source, "--to", target)
        assert (again.returncode, "complete" in again.stdout) == (0, True)
    del api
