"""A node over a datastore in memory and a fake kernel, on virtual time, for the tests beside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address, ip_interface
from random import Random
from typing import Any

from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.memory import Call, Fault, MemoryDatastore
from muslin.datastore.protocol import Datastore
from muslin.net import Address, Prefix
from muslin.resources import dump
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from reconciler.controller import Controller, Settings
from runtime.agent import Agent, Parts
from runtime.calc.state import NodeState
from runtime.convergence import Kernel
from runtime.node_status import APPLIED_REVISION, ReportedSession
from runtime.registration import NodeIdentity
from tests.support.clusters import namespace_profile, policy, pool, workload
from tests.support.fake_kernel import FakeKernel
from tests.support.fake_nftables import FilterPacket
from tests.support.memory_git import MemorySource
from tests.support.virtual_time import run_virtual

__all__ = ["CLIENT", "SERVER", "SilentSpeaker", "World", "allow", "push_as_one", "run"]

CLIENT, SERVER = ip_address("10.48.0.1"), ip_address("10.48.0.2")


class SilentSpeaker:
    """A speaker without peers."""

    routes: Mapping[Prefix, Address] = {}
    in_sync = True
    speaking = True

    def desire(self, state: NodeState) -> None:
        """It has nobody to talk to."""

    def peer_of(self, prefix: Prefix) -> Address | None:
        """Nobody has any."""
        return None

    def sessions(self) -> tuple[ReportedSession, ...]:
        """None."""
        return ()


class World:
    """A node, its datastore and its log."""

    def __init__(self) -> None:
        self.store, self.kernel, self.speaker = MemoryDatastore(), FakeKernel(), SilentSpeaker()
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.handed: list[Snapshot] = []
        """What the agent has given its loop."""
        self.away = False
        self.deaf: Callable[[Call], bool] = lambda _: False
        """Which calls of the agent are refused."""
        self.client = self.store.client(lambda call: Fault(refused=self.away or self.deaf(call)))
        for name in ("cali1", "cali2"):
            self.kernel.routes.add_link(name)

    def agent(self) -> Agent:
        """The node's agent, not started yet."""
        kernel = Kernel(self.kernel.nftables, self.kernel.routes, self.kernel.conntrack, list)
        made = Agent(
            NodeIdentity("node-a", ip_interface("192.0.2.1/24")),
            Parts(self.client, kernel, self.speaker),
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            random=Random(1),
            log=lambda event, **fields: self.log.append((event, fields)),
        )
        take = made.convergence.take

        def noted(snapshot: Snapshot, *, within_s: float = 0.0) -> None:
            self.handed.append(snapshot)
            take(snapshot, within_s=within_s)

        made.convergence.take = noted  # type: ignore[method-assign]
        return made

    async def put(self, *resources: Resource) -> int:
        """Write new objects; gives the revision of the last."""
        entry = None
        for resource in resources:
            entry = await self.store.create(resource.key, dump(resource))
        assert entry is not None
        return int(entry.revision)

    def passes(self, port: int) -> bool:
        """Whether the kernel lets the client ask the server at this UDP port."""
        packet = FilterPacket(CLIENT, SERVER, 17, 4000, port, in_interface="cali1", out_interface="cali2")
        return self.kernel.verdict(packet)

    async def reported(self) -> int:
        """The revision that the agent says the kernel has."""
        entry = await self.store.get(Key("CalicoNodeStatus", "node-a"))
        return int(entry.value["metadata"]["annotations"][APPLIED_REVISION])


def run(body: Callable[[World], Awaitable[None]], world: World | None = None) -> World:
    """Run it beside an agent that has been up for a second, with two pods that nothing forbids anything."""

    async def main(world: World) -> World:
        await ensure_initialized(world.store)
        await world.put(
            pool("pods", "10.48.0.0/16"),
            namespace_profile("default"),
            workload("client", str(CLIENT), interfaceName="cali1", labels={"app": "client"}),
            workload("server", str(SERVER), interfaceName="cali2", labels={"app": "server"}),
        )
        running = asyncio.ensure_future(world.agent().run())
        await asyncio.sleep(1)
        await body(world)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return world

    return run_virtual(main(world or World()))


def allow(name: str, port: int) -> Resource:
    """A policy that lets the server be asked at one UDP port, and at no other."""
    rule = {"action": "Allow", "protocol": "UDP", "destination": {"ports": [port]}}
    return policy(name, selector="app == 'server'", types=["Ingress"], ingress=[rule])


async def push_as_one(store: Datastore, namespace: str, passes: Callable[[int], bool]) -> None:
    """A reconciler writes twelve policies, each of which allows the server's clients one port: none is ever cut.

    Args:
        store: of the reconciler, on the running loop.
        namespace: of the server.
        passes: whether the kernel lets a client ask the server at this UDP port; it does at all before.
    """
    ports = range(8000, 8012)
    source = MemorySource()
    source.push(
        {
            f"p{port}.yaml": f"""\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: p{port}, namespace: {namespace}}}
spec:
  selector: app == 'server'
  types: [Ingress]
  ingress:
  - {{action: Allow, protocol: UDP, destination: {{ports: [{port}]}}}}
"""
            for port in ports
        }
    )
    controller = Controller(
        store, source, Settings("pushed", gates=None), random=Random(1),
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC), tell=lambda _: None,
    )  # fmt: skip
    writing = asyncio.ensure_future(controller.once())
    async with asyncio.timeout(30):
        while passes(443) or not writing.done():
            assert all(map(passes, ports))
            await asyncio.sleep(0.001)  # a kernel tells nobody
    assert (await writing).settled
