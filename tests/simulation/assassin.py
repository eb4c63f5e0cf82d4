"""One short story, told again and again with one process killed at one step of its life: the end must be the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.simulation.cluster import Cluster
from tests.simulation.commits import Writer
from tests.simulation.histories import Ended, ended
from tests.simulation.node import PodName
from tests.simulation.processes import Process, simulate
from tests.simulation.watchman import Watchman

__all__ = ["ROLES", "Deed", "steps_of", "tell"]

ROLES = ("reconciler", "node-a agent", "node-b speaker")
_PODS = (
    ("demo", "one", "web", 0),
    ("shop", "two", "client", 1),
    ("demo", "three", "db", 0),
    ("shop", "four", "web", 2),
)


@dataclass(frozen=True, slots=True)
class Deed:
    """Kill the first process of this name instead of letting it do its step of this number.

    `call`: count its system calls instead.
    """

    role: str
    step: int
    call: bool = False


def _arm(cluster: Cluster, deed: Deed) -> None:
    process = next(process for process in cluster.processes if process.name == deed.role)
    if deed.call:
        node = next(node for node in cluster.nodes if node.agent_process is process)
        node.machine.fatal_call = deed.step
    else:
        process.fatal_step = deed.step


async def _story(processes: list[Process], deed: Deed | None, counted: dict[str, int]) -> Ended:
    cluster = Cluster(7, processes)
    watchman = Watchman(cluster, Random("watch"))
    writer = Writer(Random("story"))
    await cluster.begin()
    if deed is not None:
        _arm(cluster, deed)
    reviving = asyncio.get_running_loop().create_task(_revive(cluster))
    pods = [PodName(*words[:3]) for words in _PODS]
    cluster.push(writer.good(), told=True)
    for pod, words in zip(pods, _PODS, strict=True):
        await asyncio.sleep(0.5)
        cluster.want(pod, cluster.nodes[words[3]])
    for index in range(4):
        await asyncio.sleep(1.0)
        commit = cluster.push(writer.bad() if index == 2 else writer.good(), told=True)
        watchman.tick()
    cluster.unwant(pods[0])
    await asyncio.sleep(140.0)
    watchman.calm(commit)
    for process in processes:
        counted.setdefault(process.name, process.steps)
    reviving.cancel()
    return ended(cluster)


async def _revive(cluster: Cluster) -> None:
    while True:
        await asyncio.sleep(1.0)
        cluster.start_everything()


def tell(deed: Deed | None = None) -> Ended:
    """The story, with or without a murder."""
    return simulate(lambda processes: _story(processes, deed, {}))


def steps_of() -> dict[str, int]:
    """Mapping[role, steps of its life]."""
    counted: dict[str, int] = {}

    async def main(processes: list[Process]) -> Any:
        return await _story(processes, None, counted)

    simulate(main)
    return counted
