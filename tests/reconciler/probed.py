"""A reconciler over two nodes whose agents answer probes, on virtual time; and what it is given to apply."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from muslin.net import Address
from muslin.resources.keys import Key
from muslin.resources.stored import load_stored
from muslin.semantics.snapshot import Snapshot
from reconciler.controller import Controller
from reconciler.gates import GateSettings
from reconciler.status import EventKind
from runtime.probe_request import Answer, Ask, Word
from runtime.probing import Probing
from tests.reconciler.cases import World, policy
from tests.reconciler.networks import Nodes, bgp
from tests.support.virtual_time import run_virtual

__all__ = ["BAD", "GOOD", "PROBE", "WHY", "Running", "endpoint", "run"]

PROBE = """apiVersion: reconciler.muslin/v1alpha1
kind: Probe
metadata: {name: web-to-db}
spec:
  from: {namespace: shop, selector: app == 'web'}
  to: {namespace: shop, pod: db}
  port: 5432
"""
GOOD = {"bgp.yaml": bgp(mesh=True), "probe.yaml": PROBE, "a.yaml": policy("a")}
_DENY = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: deny}
spec: {order: 2000, types: [Ingress, Egress]}
"""
BAD = GOOD | {"deny.yaml": _DENY}
_KIND = "ReconcilerProbe"
WHY = "probe web-to-db: shop/web-1 to 10.48.0.9 over TCP 5432: no answer; it must answer"


def endpoint(name: str, app: str, node: str, address: str) -> dict[str, Any]:
    """The WorkloadEndpoint of a pod of namespace shop."""
    spec = {
        "orchestrator": "k8s", "node": node, "pod": name, "endpoint": "eth0", "ipNetworks": [f"{address}/32"],
        "interfaceName": f"cali{name}", "profiles": ["kns.shop"], "containerID": "c",
    }  # fmt: skip
    metadata = {"name": f"{node}-k8s-{name.replace('-', '--')}-eth0", "namespace": "shop", "labels": {"app": app}}
    return {"apiVersion": "projectcalico.org/v3", "kind": "WorkloadEndpoint", "metadata": metadata, "spec": spec}


class Running:
    """A reconciler over two nodes whose agents answer; a policy named deny is what stops packets."""

    def __init__(self, *, probes: int = 8, **gates: float) -> None:
        self.world = World()
        self.world.settings = replace(self.world.settings, gates=GateSettings(**gates), probes=probes)
        self.nodes = Nodes(self.world.store, "n1", "n2", delay_s=0.3)
        self.controller: Controller = self.world.controller()
        self.broken = False
        self.gone: set[str] = set()
        self.asked = 0
        self._reconciler: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Future[None]] = []
        self.agents: dict[str, asyncio.Future[None]] = {}

    async def begin(self, files: dict[str, str], *, agents: bool = True) -> str:
        """Nodes, two pods, agents, and a first commit that is applied; gives its id."""
        await self.nodes.register()
        self._tasks.append(asyncio.ensure_future(self.nodes.follow()))
        for pod in (endpoint("web-1", "web", "n1", "10.48.0.1"), endpoint("db", "db", "n2", "10.48.0.9")):
            await self.put(pod)
        for name in self.nodes.names if agents else ():
            self.start_agent(name)
        commit = self.world.source.push(files)
        self.start()
        await asyncio.sleep(20)
        assert self.status.applied == commit
        return commit

    async def put(self, value: dict[str, Any]) -> None:
        """Write an object."""
        metadata = value["metadata"]
        await self.world.store.create(Key(value["kind"], metadata["name"], metadata["namespace"]), value)

    def start_agent(self, name: str) -> None:
        """The part of an agent that answers, over this store."""
        store = self.world.store.client()

        def snapshot() -> Snapshot:
            found = self.world.store.history.list("WorkloadEndpoint").entries
            return Snapshot.of(load_stored(entry.value, str(entry.key))[0] for entry in found)

        probing = Probing(
            name, store, self, snapshot=snapshot, applied=lambda: "999999", on_failure=lambda _, __: None
        )  # fmt: skip
        self.agents[name] = asyncio.ensure_future(probing.run())

    async def ask(self, interface: str, source: Address, ask: Ask) -> Answer:
        """What happens to a packet."""
        self.asked += 1
        names = {key.name for key in self.world.store_keys()}
        stopped = (
            "deny" in names
            or self.broken
            or str(ask.target) in self.gone
            or (interface, str(source)) != ("caliweb-1", "10.48.0.1")
        )
        await asyncio.sleep(ask.timeout_s if stopped else 0.005)
        return Answer(Word.SILENT if stopped else Word.ANSWERED)

    def start(self) -> None:
        """Start a reconciler."""
        self.controller = self.world.controller()
        self._reconciler = asyncio.ensure_future(self.controller.run())

    async def kill(self, what: asyncio.Future[None] | None = None) -> None:
        """Kill the reconciler, or whatever else."""
        task = what or self._reconciler
        assert task is not None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def push(self, files: dict[str, str]) -> str:
        """A commit, of which the reconciler is told; gives its id."""
        commit = self.world.source.push(files)
        self.controller.wake()
        return commit

    @property
    def status(self) -> Any:
        """What the last look found."""
        assert self.controller.last is not None
        return self.controller.last

    def said(self, kind: EventKind) -> list[str]:
        """What all events of a kind said, oldest first."""
        return [event.message for event in self.world.events if event.kind is kind]

    async def requests(self) -> list[str]:
        """Names of what nodes are asked with now."""
        return [entry.key.name for entry in (await self.world.store.list(_KIND)).entries]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario on virtual time."""

    async def main() -> None:
        await scenario()

    run_virtual(main())
