"""A kube-apiserver that is killed and paused under watchers and writers: the recorded history is whole.

Each watcher lists, watches, and lists again where the server says that its revision is too old, as every informer does.
What it saw, one entry a change, must lead from state to state exactly as the acknowledged writes did.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from muslin.kubernetes.client import KubernetesClient, PatchType
from muslin.kubernetes.errors import Expired, NoAnswer
from muslin.kubernetes.finding import find_access
from muslin.kubernetes.pace import Limits
from tests.support.engines import Missing
from tests.support.kube_apiserver import KubeApiserver

pytestmark = [pytest.mark.engines, pytest.mark.slow]

_LIMITS = Limits(qps=0, first_wait_s=0.05, longest_wait_s=0.5, idle_s=2, answer_s=5, connect_s=2)
_OBJECTS = 4


_Entry = tuple[int, int]
"""Revision and counter of an object."""


@dataclass
class _Watcher:
    """What one watcher saw of each object: a part for each list and the watch from it, in order.

    The first entry of a part is what the list had, None where the object was not in it.
    """

    client: KubernetesClient
    path: str
    names: list[str]
    parts: dict[str, list[list[_Entry | None]]] = field(default_factory=dict)

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                page = await self.client.page(self.path)
            except NoAnswer:
                continue
            listed = {item["metadata"]["name"]: _entry(item) for item in page["items"]}
            for name in self.names:
                self.parts.setdefault(name, []).append([listed.get(name)])
            with suppress(Expired):
                async for event in self.client.watch(self.path, resource_version=page["metadata"]["resourceVersion"]):
                    if event.type != "BOOKMARK":
                        self.parts[event.object["metadata"]["name"]][-1].append(_entry(event.object))

    def at(self, name: str) -> int:
        """The newest counter seen."""
        newest = self.parts[name][-1][-1] if name in self.parts else None
        return -1 if newest is None else newest[1]


def _entry(item: dict[str, Any]) -> _Entry:
    return int(item["metadata"]["resourceVersion"]), int(item["data"]["n"])


async def _write(client: KubernetesClient, path: str, name: str, until: asyncio.Event) -> list[_Entry]:
    """Counts an object up; an answer that was lost is looked up. Gives every write that has happened."""
    made = await client.create(path, {"kind": "ConfigMap", "metadata": {"name": name}, "data": {"n": "0"}})
    done = [(int(made["metadata"]["resourceVersion"]), 0)]
    while not until.is_set() or done[-1][1] < 100:
        number = done[-1][1] + 1
        try:
            made = await client.patch(f"{path}/{name}", {"data": {"n": str(number)}}, how=PatchType.MERGE)
        except NoAnswer:
            try:
                made = await client.get(f"{path}/{name}")
            except NoAnswer:
                continue
            if int(made["data"]["n"]) != number:
                continue
        done.append((int(made["metadata"]["resourceVersion"]), number))
    return done


def _disturbed(disturb: Callable[[KubeApiserver], None], times: int) -> None:
    async def main(server: KubeApiserver) -> None:
        path = f"/api/v1/namespaces/{server.new_namespace()}/configmaps"
        client = await _connect(server.kubeconfig)
        names = [f"o{number}" for number in range(_OBJECTS)]
        watchers = [_Watcher(client, path, names) for _ in range(3)]
        watching = [asyncio.create_task(watcher.run()) for watcher in watchers]
        enough = asyncio.Event()
        writing = [asyncio.create_task(_write(client, path, name, enough)) for name in names]
        for _ in range(times):
            before = [watcher.at(name) for watcher in watchers for name in names]
            await _until(lambda before=before: all(  # type: ignore[misc]
                now > then + 5
                for now, then in zip([w.at(name) for w in watchers for name in names], before, strict=True)
            ))  # fmt: skip
            await asyncio.to_thread(disturb, server)
        enough.set()
        written = dict(zip(names, await asyncio.gather(*writing), strict=True))
        await _until(lambda: all(watcher.at(name) == written[name][-1][1] for watcher in watchers for name in names))
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await client.close()

        for watcher in watchers:
            _check(watcher, written)

    try:
        with KubeApiserver() as server:
            asyncio.run(asyncio.wait_for(main(server), 150))
    except Missing as missing:
        pytest.skip(str(missing))


def _check(watcher: _Watcher, written: dict[str, list[_Entry]]) -> None:
    """Each part is a piece of what was written, without a hole; no part begins before the former one ended."""
    for name, history in written.items():
        whole: list[_Entry | None] = [None, *history]
        reached = 0
        for part in watcher.parts[name]:
            begin = whole.index(part[0])

            assert part == whole[begin : begin + len(part)], "lost, doubled, or never written"
            assert begin >= reached, "from the past"

            reached = begin + len(part) - 1
        assert reached == len(history)


async def _connect(config: Path) -> KubernetesClient:
    return await KubernetesClient.connect(find_access(kubeconfig=str(config)), limits=_LIMITS)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  many watchers and writers together make it true
            await asyncio.sleep(0.02)


def test_a_killed_server_loses_and_doubles_nothing() -> None:
    """SIGKILL three times, each time in the middle of writes and watches; etcd stays."""
    _disturbed(KubeApiserver.restart, 3)


def test_a_paused_server_loses_and_doubles_nothing() -> None:
    """SIGSTOP for longer than a connection may be silent, twice: watchers go round it and come back."""

    def pause(server: KubeApiserver) -> None:
        server.pause()
        time.sleep(4)  # the pause itself is what is tested
        server.resume()

    _disturbed(pause, 2)
