"""Procedures of blueprints, run by the reconciler in a whole cluster: no route is lost, whenever it is killed.

One commit of facts each. Somebody does what the status tells people to do; somebody else kills the reconciler, and
the datastore refuses calls and loses answers.
"""

from __future__ import annotations

import asyncio
import json
import re
from random import Random
from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from muslin.datastore.history import History
from muslin.datastore.memory import MemoryDatastore
from muslin.resources.keys import Key
from reconciler.status import KIND as STATUS
from tests.simulation.cluster import NODES, Cluster, Weather
from tests.simulation.node import PodName, wall_clock
from tests.simulation.oracle import Oracle
from tests.simulation.witness import Witness, in_a_cluster, settled
from tests.support.memory_git import MemorySource


def _facts(*reflectors: str, **told: Any) -> dict[str, str]:
    nodes = [
        {"name": name, "address": f"192.0.2.{number}"} | ({"roles": ["reflector"]} if name in reflectors else {})
        for number, name in enumerate(NODES, 1)
    ]
    value = {
        "apiVersion": "blueprints.muslin/v1alpha1",
        "kind": "Cluster",
        "name": "simulated",
        "blueprint": "route_reflectors" if reflectors else "single_subnet",
        "nodes": nodes,
        "subnets": ["192.0.2.0/24"],
        "networkMTU": 1500,
        "network": {"bgp": True, "podAddresses": True, "sourceDestinationChecks": False},
        "podRange": "10.48.0.0/22",
        "overrides": [{"decision": "block size", "chosen": "/29", "reason": "a small cluster"}],
    }
    return {"cluster.yaml": json.dumps(value | told)}


class _Person:
    """Does what a stage's commands say: drains nodes, and so makes pods anew elsewhere."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.stages: list[str] = []

    async def work(self) -> None:
        """Look at the status once a second."""
        while True:
            await asyncio.sleep(1.0)
            stage = await self._stage()
            if stage is None or (self.stages and self.stages[-1] == stage["name"]):
                continue
            self.stages.append(stage["name"])
            if stage["people"]:
                named = {node for line in stage["commands"] for node in re.findall(r"kubectl drain (node-\w)", line)}
                for node in [name for name in NODES if name in named or not named]:
                    await self._drain(node, named or {node})

    async def _stage(self) -> dict[str, Any] | None:
        entries = (await self._cluster.hand.list(STATUS)).entries
        return next((entry.value["status"].get("stage") for entry in entries), None)

    async def _drain(self, node: str, cordoned: set[str]) -> None:
        cluster = self._cluster
        for pod in [pod for pod, where in cluster.wanted.items() if where.name == node]:
            cluster.unwant(pod)
            elsewhere = next(each for each in cluster.nodes if each.name not in cordoned)
            cluster.want(PodName(pod.namespace, f"{pod.name}x", pod.app), elsewhere)
        await asyncio.sleep(5.0)


async def _reap(cluster: Cluster, random: Random) -> None:
    """Kill the reconciler again and again, and start another."""
    while True:
        await asyncio.sleep(random.expovariate(1 / 4.0))
        process = cluster.reconciler_process
        assert process is not None
        process.fatal_step = process.steps + random.randint(1, 60)
        await asyncio.sleep(random.uniform(0.1, 1.0))
        process.kill()
        cluster.start_reconciler()


class _Life:
    """A cluster with a person, and killers if there is a seed."""

    def __init__(self, cluster: Cluster, seed: int | None) -> None:
        cluster.source = MemorySource(frozenset(BLUEPRINTS))
        cluster.store = MemoryDatastore(history=History(now=wall_clock))
        cluster.hand = cluster.store.client()
        cluster.oracle = Oracle(cluster.store.history, cluster.broken)
        self.cluster, self.person, self._seed = cluster, _Person(cluster), seed
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, files: dict[str, str], pods: dict[str, str]) -> Witness:
        witness = await settled(self.cluster, files, pods)
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self.person.work()))
        return witness

    async def applied(self, files: dict[str, str], within_s: float) -> None:
        """Push, be killed while it is applied, with answers that are lost; be sure that it is applied in the end."""
        cluster = self.cluster
        commit = cluster.push(files, told=True)
        if self._seed is not None:
            reaping = asyncio.get_running_loop().create_task(_reap(cluster, Random(self._seed)))
            cluster.weather = Weather(refused=0.03, answer_lost=0.03, watch_broken=0.01)
            await asyncio.sleep(within_s)
            reaping.cancel()
            cluster.weather = Weather()
            if cluster.reconciler_process is not None:
                cluster.reconciler_process.fatal_step = None
            cluster.start_reconciler()
        await asyncio.sleep(within_s)
        assert cluster.controller is not None
        assert cluster.controller.last is not None
        assert cluster.controller.last.applied == commit, cluster.controller.last


@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_reflectors_come_change_and_go(seed: int | None) -> None:
    """From a mesh to two reflectors, to another two, and back to the mesh: nobody ever loses the way to a pod."""

    async def scenario(cluster: Cluster) -> None:
        a, b, c = NODES
        life = _Life(cluster, seed)
        witness = await life.begin(_facts(), {"p1": a, "p2": c, "p3": b})
        await life.applied(_facts(a, b), 70)
        assert not (await cluster.hand.get(Key("BGPConfiguration", "default"))).value["spec"]["nodeToNodeMeshEnabled"]
        assert {pod.node.name for pod in cluster.attached.values()} == {c}
        await life.applied(_facts(b, c), 70)
        reflecting = [
            entry.key.name
            for entry in (await cluster.hand.list("Node")).entries
            if "routeReflectorClusterID" in entry.value["spec"]["bgp"]
        ]
        assert reflecting == [b, c]
        await life.applied(_facts(), 70)
        assert witness.lost == []
        assert len(witness.reached) > len(NODES) * 3
        assert {"set the reflectors aside", "turn the mesh off", f"let {a} reflect no more"} <= set(life.person.stages)

    in_a_cluster(scenario)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_another_number_node_by_node(seed: int | None) -> None:
    """Each node is drained before its number changes; in the end all have it from the configuration."""

    async def scenario(cluster: Cluster) -> None:
        a, b, c = NODES
        life = _Life(cluster, seed)
        witness = await life.begin(_facts(), {"p1": b, "p2": c, "p3": a})
        await life.applied(_facts(asNumber=64500), 110)
        assert (await cluster.hand.get(Key("BGPConfiguration", "default"))).value["spec"]["asNumber"] == 64500
        assert {"asNumber" in e.value["spec"]["bgp"] for e in (await cluster.hand.list("Node")).entries} == {False}
        assert witness.lost == []

    in_a_cluster(scenario)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_another_pool(seed: int | None) -> None:
    """New in, old disabled, drained by hand, its blocks given back, out; pods keep their ways until they go."""

    async def scenario(cluster: Cluster) -> None:
        _, b, c = NODES
        life = _Life(cluster, seed)
        witness = await life.begin(_facts(), {"p1": b, "p2": c})
        await life.applied(_facts(podRange="10.49.0.0/22", running={"podRange": "10.48.0.0/22"}), 60)
        assert {e.value["spec"]["cidr"] for e in (await cluster.hand.list("IPPool")).entries} == {"10.49.0.0/22"}
        assert all(str(pod.address).startswith("10.49.") for pod in cluster.attached.values())
        assert not [e for e in (await cluster.hand.list("IPAMBlock")).entries if "10.48." in e.value["spec"]["cidr"]]
        assert witness.lost == []

    in_a_cluster(scenario)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [None])
def test_a_smaller_mtu(seed: int | None) -> None:
    """No session is touched, and the stage ends when the last pod that is older is gone."""

    async def scenario(cluster: Cluster) -> None:
        _, b, c = NODES
        life = _Life(cluster, seed)
        witness = await life.begin(_facts(), {"p1": b, "p2": c})
        await life.applied(_facts(networkMTU=1400), 60)
        assert life.person.stages[-1] == "make every pod anew"
        assert all(pod.pod.name.endswith("x") for pod in cluster.attached.values())
        assert witness.lost == []
        assert not any("session down" in line for line in cluster.trace)

    in_a_cluster(scenario)


@pytest.mark.slow
def test_a_reflector_that_cannot_be_reached_costs_nothing() -> None:
    """Its stage fails: the mesh stays, the commit is taken back, and the ways of the others are never lost."""

    async def scenario(cluster: Cluster) -> None:
        a, b, c = NODES
        life = _Life(cluster, None)
        witness = await life.begin(_facts(), {"p1": b, "p2": c})
        for node in cluster.nodes[1:]:
            cluster.internet.cut.add(frozenset((cluster.nodes[0].address, node.address)))
        await asyncio.sleep(1)
        bad = cluster.push(_facts(a, b), told=True)
        await asyncio.sleep(200)
        assert (await cluster.hand.get(Key("BGPConfiguration", "default"))).value["spec"]["nodeToNodeMeshEnabled"]
        assert cluster.controller is not None
        assert cluster.controller.last is not None
        assert cluster.controller.last.held == bad
        assert not [line for line in witness.lost if f"{b} to" in line and line.endswith(c)]

    in_a_cluster(scenario)
