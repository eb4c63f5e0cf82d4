"""A reconciler of facts over nodes that report, on virtual time: for tests of changes in stages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from blueprints.catalogue import BLUEPRINTS
from muslin.datastore.memory import Faults, no_faults
from muslin.resources.keys import Key
from reconciler.control import confirm
from reconciler.controller import Controller
from reconciler.gates import GateSettings
from reconciler.plan import Budget
from reconciler.status import EventKind, Status
from tests.reconciler.cases import UNASKED, World
from tests.reconciler.networks import Nodes
from tests.support.memory_git import MemorySource
from tests.support.virtual_time import run_virtual

__all__ = ["NAMES", "Staged", "facts", "pod", "run"]

NAMES = ("n1", "n2", "n3", "n4")


def facts(*reflectors: str, **told: Any) -> dict[str, str]:
    """A commit: the facts of four nodes in a subnet, of which these reflect."""
    nodes = [
        {"name": name, "address": f"192.0.2.{number}"} | ({"roles": ["reflector"]} if name in reflectors else {})
        for number, name in enumerate(NAMES, 1)
    ]
    value = {
        "apiVersion": "blueprints.muslin/v1alpha1",
        "kind": "Cluster",
        "name": "example",
        "blueprint": "route_reflectors" if reflectors else "single_subnet",
        "nodes": nodes,
        "subnets": ["192.0.2.0/24"],
        "networkMTU": 1500,
        "network": {"bgp": True, "podAddresses": True, "sourceDestinationChecks": False},
        "podRange": "10.48.0.0/16",
    }
    return {"cluster.yaml": json.dumps(value | told)}


def pod(name: str, node: str, **labels: str) -> tuple[Key, dict[str, Any]]:
    """A pod's endpoint."""
    metadata = {"name": f"{node}-k8s-{name}-eth0", "namespace": "shop", "labels": labels}
    spec = {"node": node, "orchestrator": "k8s", "pod": name, "endpoint": "eth0", "interfaceName": "cali1"}
    value = {"apiVersion": "projectcalico.org/v3", "kind": "WorkloadEndpoint", "metadata": metadata, "spec": spec}
    return Key("WorkloadEndpoint", str(metadata["name"]), "shop"), value


class Staged:
    """The cluster, its repository, and one reconciler process at a time."""

    def __init__(self, budget: Budget = UNASKED, *, approval: bool = False, **gates: float) -> None:
        self.world = World(MemorySource(frozenset(BLUEPRINTS)))
        self.world.settings = replace(
            self.world.settings, gates=GateSettings(**gates), budget=budget, approval=approval
        )
        self.nodes = Nodes(self.world.store, *NAMES)
        self.controller: Controller = self.world.controller()
        self._tasks: list[asyncio.Future[None]] = []

    async def begin(self, files: dict[str, str]) -> str:
        """Nodes come up, and this commit is applied to them."""
        await self.nodes.register()
        self._tasks.append(asyncio.ensure_future(self.nodes.follow()))
        commit = self.world.source.push(files)
        self.start()
        await asyncio.sleep(60)
        assert self.status.applied == commit, self.status
        return commit

    def start(self, faults: Faults = no_faults) -> None:
        """Another process, whose datastore has these faults."""
        self.controller = self.world.controller(self.world.store.client(faults))
        self._tasks.append(asyncio.ensure_future(self.controller.run()))

    @property
    def task(self) -> asyncio.Future[None]:
        """The process that was started last."""
        return self._tasks[-1]

    async def kill(self) -> None:
        """It ends wherever it is."""
        task = self._tasks.pop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def push(self, files: dict[str, str]) -> str:
        """Another commit, of which the reconciler is told."""
        commit = self.world.source.push(files)
        self.controller.wake()
        return commit

    async def says(self, stage: int) -> None:
        """A person confirms a stage."""
        await confirm(self.world.store, "default", Key("Stage", str(stage)))

    async def create(self, made: tuple[Key, dict[str, Any]]) -> None:
        """Somebody makes an object."""
        await self.world.store.create(*made)

    @property
    def status(self) -> Status:
        """What the reconciler found last."""
        assert self.controller.last is not None
        return self.controller.last

    def stage(self) -> tuple[int, str] | None:
        """Number and name of the one that is under way."""
        found = self.status.stage
        return None if found is None else (found["number"], found["name"])

    async def spec(self, kind: str, name: str) -> dict[str, Any]:
        """The spec of an object."""
        return dict((await self.world.store.get(Key(kind, name))).value["spec"])

    def told(self, kind: EventKind = EventKind.STAGE) -> list[str]:
        """Messages of one kind, in their order."""
        return [event.message for event in self.world.events if event.kind is kind]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """On virtual time."""

    async def main() -> None:
        await scenario()

    run_virtual(main())
