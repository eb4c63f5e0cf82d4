"""Moving between real servers: round the three kinds of datastore, and killed by SIGKILL at any write."""

from __future__ import annotations

import asyncio
import contextlib
import json
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
from muslin.resources.crds import definitions
from muslin.resources.keys import Key
from tests.muslin.cli.running import real
from tests.muslin.datastore.kubernetes.clusters import cluster, install
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


@contextlib.contextmanager
def kubernetes(*groups: ApiGroup) -> Iterator[KubeApiserver]:
    """An API server with Calico's kinds, as the models define them unless groups are named; nodes and a namespace."""
    with cluster(*groups) as server:
        if not groups:
            install(server, iter(definitions()))
        for name in NAMES.values():
            assert server.request("POST", "/api/v1/nodes", {"metadata": {"name": name}}).status == 201
        assert server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}}).status in (201, 409)
        yield server


@pytest.fixture(scope="module")
def api() -> Iterator[KubeApiserver]:
    """An API server of this module's own."""
    try:
        with kubernetes() as server:
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


def plain(objects: dict[Key, dict[str, Any]]) -> dict[Key, Any]:
    """Their specs."""
    return {key: value["spec"] for key, value in objects.items()}


def lacks(there: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Fields that are not there as they were sent; an API server writes defaults beside them."""
    return [name for name, part in wanted.items() if there.get(name) != part]


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
        assert ran.stderr == ""  # no progress where nobody looks
        assert not ready(source)
        assert ready(target)
    before, after, through = what(first), what(last), what(second)

    def shared(objects: dict[Key, dict[str, Any]]) -> dict[Key, Any]:
        return {key: spec for key, spec in plain(objects).items() if key.kind not in ("Node", "IPAMBlock")}

    names = {f"node.{old}": f"node.{new}" for old, new in NAMES.items()}
    expected = {}
    for key, spec in shared(before).items():
        told = {"node": NAMES.get(spec.get("node"), spec.get("node"))} if "node" in spec else {}
        name = names.get(key.name, key.name)
        for old, new in NAMES.items():
            if key.kind in ("BlockAffinity", "IPAMHandle"):
                name = name.replace(old, new) if not name.startswith("k8s-pod-network.") else name
        if key.kind == "IPAMHandle":
            told = {"handleID": name}
        expected[key._replace(name=name)] = {**spec, **told}
    assert shared(after).keys() == expected.keys()
    assert {key: lost for key, spec in expected.items() if (lost := lacks(shared(after)[key], spec))} == {}
    assert shared(through) == shared(before)
    owners = {value["spec"]["affinity"] for key, value in after.items() if key.kind == "IPAMBlock"}
    assert owners == {f"host:{name}" for name in NAMES.values()}
    nodes = {key.name: value["spec"]["bgp"] for key, value in after.items() if key.kind == "Node"}
    assert nodes == {new: {"ipv4Address": f"192.0.2.{n}/24"} for n, new in enumerate(NAMES.values(), 1)}


@pytest.mark.engines("etcd")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "when"), [(1, "after"), (2, "after"), (3, "before"), (30, "after"), (-1, "before"), (-1, "after")],
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
    assert plain(what(target)) == plain(objects)


@pytest.mark.engines
@pytest.mark.slow
def test_a_migration_into_kubernetes_may_be_killed_too(tmp_path: Path) -> None:
    """Into the older CRDs: killed again and again it comes to its end. From there into the newer ones beside them."""
    try:
        with kubernetes(*ApiGroup) as server:
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
            newer = tmp_path / "newer.cfg"
            spec = f"datastoreType: kubernetes, kubeconfig: {server.kubeconfig}, calicoAPIGroup: projectcalico.org/v3"
            newer.write_text(f"apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nspec: {{{spec}}}\n")
            ran = real("datastore", "migrate", "--from", target, "--to", newer)
            assert ran.returncode == 0, ran.stdout + ran.stderr
            assert (ready(target), ready(str(newer))) == (False, True)
            assert plain(what(str(newer))) == plain(what(target))
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.engines
def test_what_kubernetes_composes_is_written_out_elsewhere(tmp_path: Path) -> None:
    """Namespaces, pods, nodes and Kubernetes' own policies become objects of etcd's forms in a file; checked there."""
    pod = {
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"nodeName": NAMES["node1"], "containers": [{"name": "c", "image": "none"}],
                 "serviceAccountName": "default", "automountServiceAccountToken": False},
    }  # fmt: skip
    policy = {
        "metadata": {"name": "deny", "namespace": "shop"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    networking = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies"
    try:
        with kubernetes() as server:
            server.request("POST", "/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "default"}})
            assert server.request("POST", "/api/v1/namespaces/shop/pods", pod).status == 201
            assert server.request("POST", networking, policy).status == 201
            source, target = f"kubernetes:{server.kubeconfig}", str(tmp_path / "to.db")
            environment = {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": str(server.kubeconfig)}
            looked = real("datastore", "check", "-o", "json", env=environment)
            assert looked.returncode == 0, looked.stdout + looked.stderr
            ran = real("datastore", "migrate", "--from", source, "--to", target)
            assert ran.returncode == 0, ran.stdout + ran.stderr
    except Missing as missing:
        pytest.skip(str(missing))
    kinds = ("Node", "Profile", "WorkloadEndpoint", "NetworkPolicy")
    there = {(key.kind, key.namespace, key.name) for key in what(target, kinds)}
    assert {("Node", None, name) for name in NAMES.values()} <= there
    assert {("Profile", None, "kns.shop"), ("Profile", None, "ksa.shop.default")} <= there
    assert ("NetworkPolicy", "shop", "knp.default.deny") in there
    assert ("WorkloadEndpoint", "shop", "k1.example-k8s-web-eth0") in there
    checked = real("datastore", "check", "--datastore", target, "-o", "json")
    assert json.loads(checked.stdout)["problems"] == []


@pytest.mark.engines("etcd")
def test_a_moved_cluster_is_checked_and_repaired_in_etcd(tmp_path: Path, etcd: EtcdServer) -> None:
    """Leaked addresses, and blocks of nodes that are gone, are repaired in etcd as everywhere."""
    source, target = made(tmp_path / "from.db"), emptied(etcd)
    assert real("datastore", "migrate", "--from", source, "--to", target).returncode == 0
    environment = {"DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": etcd.endpoint}
    assert real("datastore", "migrate", "lock", env=environment).returncode == 0
    before = json.loads(real("datastore", "check", "-o", "json", env=environment).stdout)
    done = real("datastore", "check", "--fix", "--yes", "-o", "json", env=environment)

    assert {each["reason"] for each in before["problems"]} == {"AddressLeaked"}, before
    answer = json.loads(done.stdout)
    assert answer["problems"] == [], done.stdout
    assert all(each["repaired"] for each in answer["repairs"])
