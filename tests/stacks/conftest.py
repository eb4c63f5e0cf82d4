"""A Kubernetes API with our definitions for these tests alone: stacks write the cluster's singletons."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from muslin.conversion.kinds import CRD_KINDS
from muslin.datastore.kubernetes.own_kinds import own_definitions
from muslin.resources.crds import definitions
from tests.stacks.command_line import environment, missing
from tests.stacks.engine.deployment import Stack
from tests.stacks.engine.real import RealStack
from tests.support.engines import Missing
from tests.support.kube_apiserver import KubeApiserver

_ROOT = Path(__file__).parents[2]
_KINDS = (
    "IPPool", "BGPConfiguration", "BGPPeer", "FelixConfiguration", "CalicoNodeStatus", "NetworkPolicy",
    "GlobalNetworkPolicy", "Tier", "ClusterInformation",
)  # fmt: skip


@pytest.fixture(scope="package")
def server() -> Iterator[KubeApiserver]:
    """One for all tests of this folder that a worker runs."""
    try:
        # Pulumi deletes in the foreground, which ends only where a controller collects garbage, or where nobody does
        started = KubeApiserver(arguments=["--enable-garbage-collector=false"]).__enter__()
    except Missing as missing:
        pytest.skip(str(missing))
    try:
        for definition in definitions():
            if definition["spec"]["names"]["kind"] in _KINDS:
                started.install(definition)
        for definition in own_definitions():
            started.install(definition)
        yield started
    finally:
        started.stop()


@pytest.fixture
def cluster(server: KubeApiserver) -> Iterator[KubeApiserver]:
    """The server without an object of ours, before and after."""
    _sweep(server)
    yield server
    _sweep(server)


def _sweep(server: KubeApiserver) -> None:
    for kind in _KINDS:
        path = f"/apis/projectcalico.org/v3/{CRD_KINDS[kind].plural}"
        for each in server.request("GET", path).get("items", ()):
            within = f"/namespaces/{each['metadata']['namespace']}" if "namespace" in each["metadata"] else ""
            one = f"/apis/projectcalico.org/v3{within}/{CRD_KINDS[kind].plural}/{each['metadata']['name']}"
            server.request("DELETE", one)
    for path in ("/api/v1/nodes", "/apis/reconciler.muslin/v1alpha1/reconcilerledgers"):
        server.request("DELETE", path)


MakeStack = Callable[..., Stack]
MakeAny = Callable[..., "Stack | RealStack"]


@pytest.fixture
def stack(cluster: KubeApiserver, tmp_path: Path) -> MakeStack:
    """`stack("single_subnet", config...)`: a copy of a shipped stack, or of a program of these tests."""

    def make(name: str, *, secrets: tuple[str, ...] = (), token: str | None = None, **config: Any) -> Stack:
        shipped, ours = _ROOT / "stacks" / name, Path(__file__).parent / "programs" / name
        folder = tmp_path / name
        shutil.copytree(shipped if shipped.is_dir() else ours, folder)
        return Stack(folder, cluster, config, secrets, token)

    return make


@pytest.fixture(params=["small", pytest.param("pulumi", marks=pytest.mark.skipif(bool(missing()), reason=missing()))])
def any_stack(request: pytest.FixtureRequest, stack: MakeStack, cluster: KubeApiserver, tmp_path: Path) -> MakeAny:
    """As `stack`, by the small engine and by Pulumi's own command line: the same scenarios."""

    def make(name: str, *, secrets: tuple[str, ...] = (), **config: Any) -> Stack | RealStack:
        mine = stack(name, secrets=secrets, **config)
        if request.param == "small":
            return mine
        return RealStack(mine.folder, environment(cluster, tmp_path), mine.config, secrets)

    return make
