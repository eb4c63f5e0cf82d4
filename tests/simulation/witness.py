"""Who looks at routes while something is changed, for tests of procedures in a whole cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from tests.simulation.cluster import NODES, Cluster
from tests.simulation.node import PodName
from tests.simulation.processes import NOBODY, Process, simulate

__all__ = ["Witness", "in_a_cluster", "settled"]


class Witness:
    """Looks at the routes of every node whenever a kernel is written, and 50 times a second: who has lost which way."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.reached: set[tuple[str, str]] = set()
        self.lost: list[str] = []
        self.looked = 0
        for node in cluster.nodes:
            node.machine.written = self._soon

    async def watch(self) -> None:
        """Look again and again."""
        while True:
            self.look()
            await asyncio.sleep(0.02)

    def _soon(self) -> None:
        asyncio.get_running_loop().call_soon(self.look, context=NOBODY)

    def look(self) -> None:
        """Every node to every pod that it has reached before."""
        self.looked += 1
        for node in self._cluster.nodes:
            for pod in self._cluster.attached.values():
                way = (node.name, pod.pod.name)
                if self._cluster.way_to(node, pod.address) is pod.node:
                    self.reached.add(way)
                elif way in self.reached:
                    now = asyncio.get_running_loop().time()
                    self.lost.append(f"{now:.3f} {node.name} to {pod.pod.name} on {pod.node.name}")


async def settled(cluster: Cluster, files: Mapping[str, str], pods: Mapping[str, str]) -> Witness:
    """A cluster with these pods (name: node) for which every route is there; watched from now on."""
    await cluster.begin()
    cluster.push(dict(files), told=True)
    nodes = {node.name: node for node in cluster.nodes}
    for name, node in pods.items():
        cluster.want(PodName("demo", name, "web"), nodes[node])
    await asyncio.sleep(60)
    witness = Witness(cluster)
    witness.look()
    assert cluster.settled
    assert len(witness.reached) == len(NODES) * len(pods)
    task = asyncio.get_running_loop().create_task(witness.watch())
    task.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())
    return witness


def in_a_cluster(scenario: Callable[[Cluster], Awaitable[None]], seed: int = 0) -> None:
    """Run a scenario in a cluster of its own; a failure shows the end of its trace."""

    async def main(processes: list[Process]) -> None:
        cluster = Cluster(seed, processes)
        try:
            await scenario(cluster)
        except AssertionError as error:
            raise AssertionError("\n".join([*cluster.trace[-40:], str(error)])) from error
        assert cluster.failure is None

    simulate(main)
