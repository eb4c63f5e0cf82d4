"""A real API server with Calico's kinds in it, and datastores on it.

The definitions here take any object: they are for what the driver does with objects of every shape. What the real ones
accept is tried in `test_real_definitions.py`.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from muslin.conversion.kinds import CRD_KINDS, ApiGroup
from muslin.datastore.kubernetes import KubernetesDatastore
from muslin.datastore.kubernetes.own_kinds import own_definitions
from muslin.datastore.settings import KubernetesSettings
from muslin.resources.keys import Key
from tests.support.engines import wait_until
from tests.support.kube_apiserver import KubeApiserver

__all__ = ["cleared", "cluster", "compact", "definitions", "install", "over", "settings", "shared", "stores", "value"]

_T = TypeVar("_T")

_WITH_STATUS = ("CalicoNodeStatus", "IPPool", "KubeControllersConfiguration", "Tier")
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def _definition(group: str, version: str, kind: str, plural: str, scope: str, *, status: bool) -> dict[str, Any]:
    served: dict[str, Any] = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    if status:
        served["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "scope": scope,
            "versions": [served],
        },
    }


def definitions(group: ApiGroup) -> Iterator[dict[str, Any]]:
    """Definitions of all kinds in a group."""
    for kind, stored in CRD_KINDS.items():
        old = group is ApiGroup.V1
        name, plural = (stored.v1_kind, stored.v1_plural) if old else (kind, stored.plural)
        scope = "Namespaced" if stored.namespaced else "Cluster"
        version = group.value.partition("/")[2]
        yield _definition(group.group, version, name, plural, scope, status=kind in _WITH_STATUS and not old)


def install(server: KubeApiserver, crds: Iterator[dict[str, Any]]) -> None:
    """Create definitions, all at once, and wait until all are served."""
    wanted = list(crds)
    for each in wanted:
        assert server.request("POST", _DEFINITIONS, each).status in (201, 409)

    def served() -> bool:
        for each in wanted:
            spec = each["spec"]
            path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}?limit=1"
            if server.request("GET", path).status != 200:
                return False
        return True

    wait_until(served, "Calico's kinds to be served", within_s=60)


@contextmanager
def cluster(*groups: ApiGroup, arguments: tuple[str, ...] = ()) -> Iterator[KubeApiserver]:
    """A server of one's own, with these groups of Calico's kinds and Muslin's own ones."""
    with KubeApiserver(arguments=arguments) as server:
        for group in groups:
            install(server, definitions(group))
        install(server, iter(own_definitions()))
        yield server


@functools.cache
def shared() -> KubeApiserver:
    """The server of all tests of this worker that break nothing, with both groups. Gone at the worker's end."""
    stack = cluster(*ApiGroup)
    server = stack.__enter__()
    atexit.register(stack.__exit__, None, None, None)
    return server


def cleared(server: KubeApiserver, *kinds: str, namespaces: tuple[str, ...] = ()) -> None:
    """No objects of these kinds in either group, and these namespaces."""
    for kind in kinds:
        stored = CRD_KINDS[kind]
        for path in (f"/apis/{ApiGroup.V3.value}/{stored.plural}", f"/apis/{ApiGroup.V1.value}/{stored.v1_plural}"):
            for item in server.request("GET", path).get("items", ()):
                metadata = item["metadata"]
                within = f"namespaces/{metadata['namespace']}/" if stored.namespaced else ""
                parents, _, plural = path.rpartition("/")
                server.request("DELETE", f"{parents}/{within}{plural}/{metadata['name']}")
    for name in namespaces:
        server.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})


def settings(server: KubeApiserver, group: ApiGroup | None = ApiGroup.V3) -> KubernetesSettings:
    """How a datastore reaches the server, without a bound on its pace."""
    return KubernetesSettings(kubeconfig=str(server.kubeconfig), api_group=group.value if group else None, qps=0)


@asynccontextmanager
async def stores(
    server: KubeApiserver, count: int = 1, group: ApiGroup | None = ApiGroup.V3
) -> AsyncIterator[list[KubernetesDatastore]]:
    """Datastores on the server, as so many processes would have."""
    opened = [await KubernetesDatastore.open(settings(server, group)) for _ in range(count)]
    try:
        yield opened
    finally:
        for store in opened:
            await store.close()


def over(
    server: KubeApiserver,
    story: Callable[..., Awaitable[_T]],
    *,
    count: int = 1,
    group: ApiGroup | None = ApiGroup.V3,
    within_s: float = 60,
) -> _T:
    """Run a story over so many datastores of the server; one that hangs fails."""

    async def main() -> _T:
        async with stores(server, count, group) as opened:
            return await asyncio.wait_for(story(*opened), within_s)

    return asyncio.run(main())


def value(key: Key, **parts: Any) -> dict[str, Any]:
    """An object for a key."""
    metadata = {"name": key.name} | ({"namespace": key.namespace} if key.namespace else {})
    return {"apiVersion": ApiGroup.V3.value, "kind": key.kind, "metadata": metadata, **parts}


def compact(server: KubeApiserver) -> None:
    """Forget the history: etcd's, and that which kube-apiserver holds in memory."""
    revision = server.etcd.call("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
    server.etcd.call("/v3/kv/compaction", {"revision": revision, "physical": True})
    server.restart()
