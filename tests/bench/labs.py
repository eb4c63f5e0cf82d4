"""A lab for benches: up with the network of the demo applied, and down whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blueprints import facts
from blueprints.emit import render
from blueprints.single_subnet import single_subnet
from muslin import yaml
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.lab import control, verbs, world
from muslin.lab.demo.cluster import Cluster
from muslin.lab.demo.files import cluster_file
from muslin.lab.demo.repository import Clone
from muslin.lab.state import StateFolder
from muslin.lab.topology import Topology
from tests.bench.load import tree

__all__ = ["Lab", "bare", "lab"]

_NAME = "bench"


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab that is up: its datastore seen from outside, and a person's clone of its repository."""

    name: str
    cluster: Cluster
    clone: Clone

    async def run(self, namespace: str, program: str, *arguments: str, timeout_s: float = 120) -> dict[str, Any]:
        """Run a module of this package inside a namespace; gives the JSON that it printed."""
        return await asyncio.to_thread(_within, self.name, namespace, program, arguments, timeout_s)

    async def add_pod(self, node: str, namespace: str, pod: str, labels: Mapping[str, str]) -> str:
        """Attach a pod; gives its address."""
        result = await asyncio.to_thread(verbs.add_pod, self.name, node, namespace, pod, labels)
        return str(result["ips"][0]["address"]).split("/")[0]

    def pid(self, process: str) -> int:
        """Process id of a declared process, as this side sees it."""
        inner = next(each["pid"] for each in verbs.status(self.name)["processes"] if each["name"] == process)
        for pid in tree(control.init_pid(StateFolder.of(self.name).control)):
            if _innermost(pid) == inner:
                return pid
        raise LookupError(process)


def _innermost(pid: int) -> int | None:
    try:
        lines = open(f"/proc/{pid}/status").read().splitlines()  # noqa: PTH123, SIM115
    except OSError:
        return None
    return next((int(line.split()[-1]) for line in lines if line.startswith("NSpid:")), None)


def _within(name: str, namespace: str, program: str, arguments: Sequence[str], timeout_s: float) -> dict[str, Any]:
    argv = [sys.executable, "-m", f"tests.bench.{program}", *arguments]
    done = verbs.execute(name, namespace, argv, capture=True, timeout_s=timeout_s)
    if done.returncode != 0:
        raise RuntimeError(f"{program} ended with {done.returncode}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


@contextlib.asynccontextmanager
async def lab(nodes: int = 3) -> AsyncIterator[Lab]:
    """A lab whose network is pushed, applied, and whose sessions are up."""
    verbs.down(_NAME)
    topology = Topology.of(nodes, name=_NAME)
    state = await asyncio.to_thread(verbs.up, topology)
    store = EmbeddedDatastore.open(state.datastore)
    try:
        cluster = Cluster(store, [node.name for node in topology.nodes])
        clone = await asyncio.to_thread(Clone, state.path / "work", state.repository)
        text = cluster_file(topology)
        document = yaml.load(text, "cluster.yaml")[0]
        blueprint = single_subnet(facts.load(document.value, document.places, "cluster.yaml"), document.places)
        files = {"cluster.yaml": text, **render(blueprint, ["network", "default-policy"])}
        await cluster.sessions_up()
        push = await asyncio.to_thread(clone.push, "The network", files)
        await cluster.applied(push.commit)
        yield Lab(_NAME, cluster, clone)
    finally:
        await store.close()
        await asyncio.to_thread(verbs.down, _NAME)


@contextlib.contextmanager
def bare() -> Any:
    """A world of namespaces with one node and none of our processes; gives `run(program, *arguments)`."""
    verbs.down(_NAME)
    world.way_in()
    verbs.up(Topology.of(1, name=_NAME, bare=True))
    try:
        yield lambda program, *arguments: _within(_NAME, "node1", program, arguments, 120)
    finally:
        verbs.down(_NAME)
