"""A node on a separate etcd: addresses claimed by several at once, and an agent whose etcd goes away and comes back."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from ipaddress import ip_address, ip_interface
from random import Random
from typing import Any

import pytest

from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.ipam import run
from muslin.ipam.assign import auto_assign
from muslin.ipam.assignment import AssignmentRequest
from muslin.ipam.blocks import Block
from muslin.ipam.release import release_by_handle
from muslin.resources import load
from muslin.resources.keys import Key
from runtime.agent import Agent, Parts
from runtime.convergence import Kernel
from runtime.registration import NodeIdentity
from tests.muslin.datastore.etcd.members import QUICK, opened
from tests.muslin.datastore.suite.drivers import value
from tests.runtime.agent_world import SilentSpeaker, push_as_one
from tests.support.etcd_server import EtcdServer
from tests.support.fake_kernel import FakeKernel
from tests.support.fake_nftables import FilterPacket

pytestmark = [pytest.mark.engines("etcd"), pytest.mark.slow]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_EACH = 20
_POOL: Any = load(
    {
        "apiVersion": "projectcalico.org/v3",
        "kind": "IPPool",
        "metadata": {"name": "pods"},
        "spec": {"cidr": "198.51.100.0/25", "blockSize": 28},
    }
)


async def _claim(store: Any, host: str) -> dict[str, str]:
    given = {}
    for number in range(_EACH):
        request = AssignmentRequest(host, 1, f"net.{host}-{number}", _NOW, [_POOL])
        for address in (await run(store, auto_assign(request))).addresses:
            given[str(address.ip)] = f"net.{host}-{number}"
    return given


async def _books(store: Any) -> dict[str, str]:
    held = {}
    for entry in (await store.list("IPAMBlock")).entries:
        block = Block.read(entry.value)
        for ordinal, index in enumerate(block.allocations):
            if index is not None and block.attributes[index].handle is not None:
                held[str(block.address(ordinal))] = str(block.attributes[index].handle)
    return held


def test_addresses_are_given_once() -> None:
    """Four nodes claim twenty addresses each at once: eighty different ones, the books agree, all come back."""

    async def main(server: EtcdServer) -> None:
        async with AsyncExitStack() as stack:
            stores = [await stack.enter_async_context(opened(server.endpoint)) for _ in range(4)]
            await ensure_initialized(stores[0])
            claimed = await asyncio.gather(*(_claim(store, f"node-{n}") for n, store in enumerate(stores)))
            given = {address: handle for each in claimed for address, handle in each.items()}
            assert len(given) == _EACH * len(stores)
            assert await _books(stores[0]) == given
            backwards = zip(given.values(), stores * _EACH, strict=True)
            await asyncio.gather(*(run(store, release_by_handle(handle, _NOW)) for handle, store in backwards))
            assert await _books(stores[0]) == {}
            assert (await stores[0].list("IPAMHandle")).entries == ()

    with EtcdServer() as server:
        asyncio.run(asyncio.wait_for(main(server), 120))


def test_an_agent_goes_on_while_its_etcd_is_away() -> None:
    """What is in force stays so without etcd, this is told, what is written afterwards is enforced; a push as one."""
    kernel, log = FakeKernel(), list[Any]()
    links = ["cali-client", "cali-server"]
    for link in links:
        kernel.routes.add_link(link)

    def passes(port: int = 80) -> bool:
        addresses = ip_address("198.51.100.1"), ip_address("198.51.100.2")
        packet = FilterPacket(*addresses, 17, 4000, port, in_interface=links[0], out_interface=links[1])
        return kernel.verdict(packet)

    async def until(holds: Any) -> None:
        async with asyncio.timeout(30):
            while not holds():  # noqa: ASYNC110 - a kernel tells nobody
                await asyncio.sleep(0.02)

    async def main(server: EtcdServer) -> None:
        async with opened(server.endpoint, patience=QUICK) as one, opened(server.endpoint, patience=QUICK) as two:
            await ensure_initialized(one)
            for number, name in enumerate(("client", "server"), start=1):
                key = Key("WorkloadEndpoint", f"n1-k8s-{name}-eth0", "default")
                spec = {
                    "orchestrator": "k8s", "node": "n1", "pod": name, "endpoint": "eth0", "containerID": name,
                    "interfaceName": links[number - 1], "ipNetworks": [f"198.51.100.{number}/32"],
                    "profiles": ["projectcalico-default-allow"],
                }  # fmt: skip
                endpoint = value(key, **spec)
                endpoint["metadata"]["labels"] = {"app": name}
                await one.create(key, endpoint)
            agent = Agent(
                NodeIdentity("n1", ip_interface("192.0.2.2/24")),
                Parts(two, Kernel(kernel.nftables, kernel.routes, kernel.conntrack, list), SilentSpeaker()),
                now=lambda: _NOW,
                random=Random(1),
                log=lambda event, **fields: log.append((event, fields)),
            )
            running = asyncio.ensure_future(agent.run())
            try:
                await until(passes)
                assert [fields for event, fields in log if event == "failed"] == []
                await asyncio.to_thread(server.kill)
                await until(lambda: any(event == "failed" for event, _ in log))
                assert passes()
                await asyncio.to_thread(server.start)
                policy = Key("NetworkPolicy", "closed", "default")
                await one.create(policy, value(policy, selector="app == 'server'", types=["Ingress"]))
                await until(lambda: not passes())
                await one.delete(policy)
                await until(passes)
                await push_as_one(one, "default", passes)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    with EtcdServer() as server:
        asyncio.run(asyncio.wait_for(main(server), 120))
