"""Our client of the Kubernetes API beside `kubernetes` and `kubernetes_asyncio`, plain dictionaries on every side.

Processor time of the client alone, against one real kube-apiserver: a list in pages, a replay of events, events as they
happen (written by another process), and patches one after the other. The others' leanest way to dictionaries is taken:
the unread answer and `json.loads` where there is one.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import kubernetes
import kubernetes_asyncio

from muslin.kubernetes.client import KubernetesClient, PatchType
from muslin.kubernetes.finding import find_access
from muslin.kubernetes.pace import Limits
from tests.bench.figures import Line, Rounds
from tests.support.engines import Missing
from tests.support.kube_apiserver import KubeApiserver

__all__ = ["measure"]

_OBJECTS, _PATCHES, _ROUNDS, _PAGE = 5000, 1000, 3, 500
_GOAL = 3.0
_GROUP, _VERSION, _PLURAL, _SPACE = "bench.example.org", "v1", "things", "default"
_PATH = f"/apis/{_GROUP}/{_VERSION}/namespaces/{_SPACE}/{_PLURAL}"
_FREE = Limits(qps=0)
_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"{_PLURAL}.{_GROUP}"},
    "spec": {
        "group": _GROUP,
        "scope": "Namespaced",
        "names": {"plural": _PLURAL, "singular": "thing", "kind": "Thing"},
        "versions": [
            {
                "name": _VERSION,
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        ],
    },
}


def _thing(number: int) -> dict[str, Any]:
    """About as large as a WorkloadEndpoint or a small policy."""
    return {
        "apiVersion": f"{_GROUP}/{_VERSION}",
        "kind": "Thing",
        "metadata": {
            "name": f"thing-{number:05}",
            "labels": {"app": f"a{number % 100}", "team": "bench", "tier": "backend"},
            "annotations": {"note": "x" * 60},
        },
        "spec": {
            "selector": f"app == 'a{number % 100}'",
            "order": number,
            "types": ["Ingress", "Egress"],
            "ingress": [
                {"action": "Allow", "protocol": "TCP", "source": {"nets": ["192.0.2.0/24"]},
                 "destination": {"ports": [80, 443, 8000 + number % 100]}},
                {"action": "Deny", "source": {"nets": ["198.51.100.0/24"]}},
            ],
        },
    }  # fmt: skip


def _cpu(run: Callable[[], object]) -> float:
    gc.collect()
    began = time.process_time()
    kept = run()
    spent = time.process_time() - began
    del kept  # whoever reads a list keeps it: giving it up again is nobody's cost
    return spent


class _Sides:
    """The same work by each of the three; every method checks that it saw all."""

    def __init__(self, config: Path) -> None:
        self.config = str(config)
        self.numbers = iter(range(1 << 30))

    def _run(self, work: Callable[[KubernetesClient], Coroutine[Any, Any, object]]) -> float:
        async def main() -> float:
            client = await KubernetesClient.connect(find_access(kubeconfig=self.config), limits=_FREE)
            try:
                await client.get("/version")  # a connection is there, on every side
                gc.collect()
                began = time.process_time()
                kept = await work(client)
                spent = time.process_time() - began
                del kept
                return spent
            finally:
                await client.close()

        return asyncio.run(main())

    def _sync(self, work: Callable[[Any], object]) -> float:
        with kubernetes.config.new_client_from_config(self.config) as api:
            kubernetes.client.VersionApi(api).get_code()
            return _cpu(lambda: work(kubernetes.client.CustomObjectsApi(api)))

    def _asyncio(self, work: Callable[[Any], Coroutine[Any, Any, object]]) -> float:
        async def main() -> float:
            async with await kubernetes_asyncio.config.new_client_from_config(self.config) as api:
                await kubernetes_asyncio.client.VersionApi(api).get_code()
                gc.collect()
                began = time.process_time()
                kept = await work(kubernetes_asyncio.client.CustomObjectsApi(api))
                spent = time.process_time() - began
                del kept
                return spent

        return asyncio.run(main())

    def list_ours(self) -> float:
        """All objects in pages."""

        async def work(client: KubernetesClient) -> object:
            items: list[Any] = []
            after = None
            while True:
                page = await client.page(_PATH, limit=_PAGE, continue_=after)
                items += page["items"]
                if not (after := page["metadata"].get("continue")):
                    break
            assert len(items) == _OBJECTS
            return items

        return self._run(work)

    def list_sync(self) -> float:
        """All objects in pages."""

        def work(api: Any) -> object:
            items: list[Any] = []
            after: dict[str, Any] = {}
            while True:
                answer = api.list_namespaced_custom_object(
                    _GROUP, _VERSION, _SPACE, _PLURAL, limit=_PAGE, _preload_content=False, **after
                )
                page = json.loads(answer.data)
                items += page["items"]
                if not page["metadata"].get("continue"):
                    break
                after = {"_continue": page["metadata"]["continue"]}
            assert len(items) == _OBJECTS
            return items

        return self._sync(work)

    def list_asyncio(self) -> float:
        """All objects in pages."""

        async def work(api: Any) -> object:
            items: list[Any] = []
            after: dict[str, Any] = {}
            while True:
                answer = await api.list_namespaced_custom_object(
                    _GROUP, _VERSION, _SPACE, _PLURAL, limit=_PAGE, _preload_content=False, **after
                )
                page = json.loads(await answer.read())
                items += page["items"]
                if not page["metadata"].get("continue"):
                    break
                after = {"_continue": page["metadata"]["continue"]}
            assert len(items) == _OBJECTS
            return items

        return self._asyncio(work)

    def patch_ours(self) -> float:
        """One after the other."""

        async def work(client: KubernetesClient) -> None:
            for number in range(_PATCHES):
                order = next(self.numbers)
                path = f"{_PATH}/thing-{number:05}"
                answer = await client.patch(path, {"spec": {"order": order}}, how=PatchType.MERGE)
                assert answer["spec"]["order"] == order

        return self._run(work)

    def patch_sync(self) -> float:
        """One after the other."""

        def work(api: Any) -> None:
            for number in range(_PATCHES):
                order = next(self.numbers)
                answer = api.patch_namespaced_custom_object(
                    _GROUP, _VERSION, _SPACE, _PLURAL, f"thing-{number:05}", {"spec": {"order": order}},
                    _preload_content=False,
                )  # fmt: skip
                assert json.loads(answer.data)["spec"]["order"] == order

        return self._sync(work)

    def patch_asyncio(self) -> float:
        """One after the other."""

        async def work(api: Any) -> None:
            for number in range(_PATCHES):
                order = next(self.numbers)
                answer = await api.patch_namespaced_custom_object(
                    _GROUP, _VERSION, _SPACE, _PLURAL, f"thing-{number:05}", {"spec": {"order": order}},
                    _preload_content=False, _content_type="application/merge-patch+json",
                )  # fmt: skip
                assert json.loads(await answer.read())["spec"]["order"] == order

        return self._asyncio(work)

    def watch_ours(self, revision: str, begin: Callable[[], object]) -> float:
        """As many events as there are objects."""

        async def work(client: KubernetesClient) -> object:
            begin()
            seen = []
            async for event in client.watch(_PATH, resource_version=revision):
                seen.append(event.object)
                if len(seen) == _OBJECTS:
                    return seen
            raise RuntimeError("the watch ended")

        return self._run(work)

    def watch_sync(self, revision: str, begin: Callable[[], object]) -> float:
        """As many events as there are objects."""

        def work(api: Any) -> object:
            begin()
            seen = []
            listing = api.list_namespaced_custom_object
            for event in kubernetes.watch.Watch().stream(
                listing, _GROUP, _VERSION, _SPACE, _PLURAL, resource_version=revision
            ):
                seen.append(event["object"])
                if len(seen) == _OBJECTS:
                    return seen
            raise RuntimeError("the watch ended")

        return self._sync(work)

    def watch_asyncio(self, revision: str, begin: Callable[[], object]) -> float:
        """As many events as there are objects."""

        async def work(api: Any) -> object:
            begin()
            seen = []
            listing = api.list_namespaced_custom_object
            async with kubernetes_asyncio.watch.Watch().stream(
                listing, _GROUP, _VERSION, _SPACE, _PLURAL, resource_version=revision
            ) as stream:
                async for event in stream:
                    seen.append(event["object"])
                    if len(seen) == _OBJECTS:
                        return seen
            raise RuntimeError("the watch ended")

        return self._asyncio(work)


async def _write(config: str, *, create: bool) -> None:
    """Create all objects, or change each once, several at a time."""
    client = await KubernetesClient.connect(find_access(kubeconfig=config), limits=_FREE)
    wish = iter(range(_OBJECTS))

    async def worker() -> None:
        for number in wish:
            if create:
                await client.create(_PATH, _thing(number))
            else:
                change = {"metadata": {"annotations": {"changed": str(time.monotonic_ns())}}}
                await client.patch(f"{_PATH}/thing-{number:05}", change, how=PatchType.MERGE)

    await asyncio.gather(*(worker() for _ in range(8)))
    await client.close()


def _revision(server: KubeApiserver) -> str:
    found: str = server.request("GET", f"{_PATH}?limit=1")["metadata"]["resourceVersion"]
    return found


def _lines(what: str, ours: Callable[[], float], others: dict[str, Callable[[], float]]) -> list[Line]:
    sides = {"": ours, **others}
    for side in sides.values():
        side()
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(_ROUNDS):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            spent[name].append(sides[name]())
    lines = []
    for name in others:
        rounds = Rounds(spent[""], spent[name])
        held = rounds.ratio <= 1 / _GOAL
        lines.append(rounds.line(f"{what}, CPU", name, goal=f"ratio at most {1 / _GOAL:.2f}", held=held))
    return lines


def measure() -> list[Line]:
    """Ratios of processor time, ours / theirs."""
    try:
        with KubeApiserver() as server:
            server.install(_CRD)
            empty = _revision(server)
            asyncio.run(_write(str(server.kubeconfig), create=True))
            return _measured(server, empty)
    except Missing as missing:
        raise RuntimeError(str(missing)) from missing


def _measured(server: KubeApiserver, empty: str) -> list[Line]:
    sides = _Sides(server.kubeconfig)
    writers: list[subprocess.Popen[bytes]] = []

    def write() -> None:
        command = [sys.executable, "-m", __name__, str(server.kubeconfig)]
        writers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))

    def live(watched: Callable[[str, Callable[[], object]], float]) -> Callable[[], float]:
        def run() -> float:
            try:
                return watched(_revision(server), write)
            finally:
                for each in writers:
                    each.wait(120)
                writers.clear()

        return run

    lines = _lines(
        f"list of {_OBJECTS} objects in pages of {_PAGE}",
        sides.list_ours,
        {"kubernetes": sides.list_sync, "kubernetes_asyncio": sides.list_asyncio},
    )
    lines += _lines(
        f"replay of {_OBJECTS} events",
        lambda: sides.watch_ours(empty, lambda: None),
        {
            "kubernetes": lambda: sides.watch_sync(empty, lambda: None),
            "kubernetes_asyncio": lambda: sides.watch_asyncio(empty, lambda: None),
        },
    )
    lines += _lines(
        f"{_PATCHES} patches",
        sides.patch_ours,
        {"kubernetes": sides.patch_sync, "kubernetes_asyncio": sides.patch_asyncio},
    )
    return lines + _lines(
        f"watch of {_OBJECTS} events as they happen",
        live(sides.watch_ours),
        {"kubernetes": live(sides.watch_sync), "kubernetes_asyncio": live(sides.watch_asyncio)},
    )


if __name__ == "__main__":
    asyncio.run(_write(sys.argv[1], create=False))
