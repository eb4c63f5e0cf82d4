"""Stores that things can be done to: killed, stopped, cut off, filled, compacted; and clients of them in any process.

Servers are this suite's own, one of each a test process, and run again after each history; what is written there is
removed before the next one.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import functools
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from muslin.conversion.kinds import ApiGroup, api_path
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.memory import Call, Fault, MemoryDatastore, Operation
from tests.support.histories import HANDLE, KIND
from tests.support.tcp_proxy import TcpProxy, Way

__all__ = ["PLACES", "MemoryLine", "Place", "open_at", "placed"]

Address = Mapping[str, Any]
"""How a process reaches a store, fit for JSON: `driver` and what that needs."""
Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryLine:
    """What a proxy is to a server, to a store in memory: assign `faults` to its clients."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.way, self.delay_s = Way.OPEN, 0.0
        self.clients: list[MemoryDatastore] = []

    def become(self, way: Way, *, reset: bool = False) -> None:
        """See `TcpProxy.become`. Nothing can be held back without being cut."""
        assert way is not Way.HELD
        if reset or Way.CUT in (way, self.way) or self.way is Way.ANSWERS_LOST:
            for client in self.clients:
                client.drop_watches()
        self.way = way

    def fault(self, call: Call) -> Fault:
        """See `Faults`."""
        delay_s = self._random.uniform(0, self.delay_s)
        if call.operation is Operation.DELIVER:
            return Fault(delay_s=delay_s, refused=self.way is not Way.OPEN)
        return Fault(delay_s=delay_s, refused=self.way is Way.CUT, answer_lost=self.way is Way.ANSWERS_LOST)


class Place:
    """One store, and what can be done to it.

    Attributes:
        driver: its name in tables.
        line: between clients and the store; None where there is nothing between.
        server: can be killed, started, paused and resumed; None where there is none.
        pace_s: how long a client waits between calls, so that quick stores do not fill a history.
    """

    def __init__(self, driver: str, address: Address, **parts: Any) -> None:
        self.driver, self._address = driver, address
        self.line: Any = parts.get("line")
        self.server: Any = parts.get("server")
        self.etcd: Any = parts.get("etcd")
        self.pace_s: float = parts.get("pace_s", 0.0)
        self._memory: MemoryDatastore | None = parts.get("memory")
        self._opened: list[Any] = []

    @property
    def address(self) -> Address:
        """For another process."""
        return self._address

    async def client(self, now: Clock = _now, *, patient: bool = False) -> Any:
        """Another client, closed with the place; a patient one waits as users' clients do, with nothing between."""
        if self._memory is not None:
            store: Any = self._memory.client(self.line.fault)
            self.line.clients.append(store)
        else:
            direct = {"patient": True, "port": self._address.get("direct")} if patient else {}
            store = await open_at({**self._address, **direct}, now)
        self._opened.append(store)
        return store

    async def compact(self) -> None:
        """Forget the history as far as this store can be told to; readers of the past are told `Compacted`."""
        if self.driver.startswith("kubernetes"):
            # kube-apiserver keeps the last changes in memory; it is started again for it to forget.
            revision = self.etcd.call("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
            self.etcd.call("/v3/kv/compaction", {"revision": revision, "physical": True})
            await asyncio.to_thread(self.server.restart)
            return
        await (self._memory or self._opened[0]).compact()

    def fill(self) -> None:
        """The server's disk is full: etcd's own alarm says so, and refuses every write."""
        self.etcd.call("/v3/maintenance/alarm", {"action": "ACTIVATE", "alarm": "NOSPACE"})

    def make_room(self) -> None:
        """The alarm is over."""
        for alarm in self.etcd.call("/v3/maintenance/alarm", {"action": "GET"}).get("alarms", ()):
            self.etcd.call("/v3/maintenance/alarm", {**alarm, "action": "DEACTIVATE"})

    async def close(self) -> None:
        """Close all clients."""
        for store in self._opened:
            await store.close()


async def open_at(address: Address, now: Clock = _now) -> Any:
    """A client of a store with a server or a file; impatient, so that faults are noticed soon."""
    match address["driver"]:
        case "embedded":
            return EmbeddedDatastore.open(address["path"], now=now)
        case "etcd":
            # gRPC and aiohttp take their time to load, and a process needs one of them.
            from muslin.datastore.etcd import EtcdDatastore  # noqa: PLC0415
            from muslin.datastore.etcd.patience import Patience  # noqa: PLC0415
            from muslin.datastore.settings import EtcdSettings  # noqa: PLC0415

            patience = None if address.get("patient") else Patience(1.0, 1.0, 2.0)
            settings = EtcdSettings(endpoints=(f"http://127.0.0.1:{address['port']}",))
            return await EtcdDatastore.open(settings, patience=patience, now=now)
        case _:
            from muslin.datastore.kubernetes import KubernetesDatastore  # noqa: PLC0415
            from muslin.kubernetes.client import KubernetesClient  # noqa: PLC0415
            from muslin.kubernetes.finding import find_access  # noqa: PLC0415
            from muslin.kubernetes.pace import Limits  # noqa: PLC0415

            url = f"https://127.0.0.1:{address['port']}"
            access = find_access(server=url, ca_file=address["ca_file"], token=address["token"])
            limits = Limits(qps=0)
            if not address.get("patient"):
                limits = replace(
                    limits, tries=2, first_wait_s=0.05, longest_wait_s=0.5, answer_s=1.5, connect_s=2.0, idle_s=5.0
                )
            client = await KubernetesClient.connect(access, limits=limits)
            return KubernetesDatastore(
                client, group=address["group"], patience_s=10.0 if address.get("patient") else 2.0
            )


@asynccontextmanager
async def _memory(random: Random) -> AsyncIterator[Place]:
    line = MemoryLine(random)
    yield Place("memory", {}, line=line, memory=MemoryDatastore(), pace_s=0.001)


@asynccontextmanager
async def _embedded(_: Random) -> AsyncIterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        yield Place("embedded", {"driver": "embedded", "path": str(path)}, pace_s=0.002)


@functools.cache
def _etcd_server() -> Any:
    from tests.support.etcd_server import EtcdServer  # noqa: PLC0415 - only where there is one

    server = EtcdServer().__enter__()
    atexit.register(server.stop)
    return server


@asynccontextmanager
async def _etcd(random: Random) -> AsyncIterator[Place]:
    server = await asyncio.to_thread(_etcd_server)
    await asyncio.to_thread(server.call, "/v3/kv/deleterange", {"key": "AA==", "range_end": "AA=="})
    # A watch asks for the revision that it knows, too: it must not be the one at which thousands of keys went.
    await asyncio.to_thread(server.call, "/v3/kv/put", {"key": base64.b64encode(b"/tests").decode()})
    async with TcpProxy(_port(server.endpoint), random) as proxy:
        address = {"driver": "etcd", "port": proxy.port, "direct": _port(server.endpoint)}
        yield Place("etcd", address, line=proxy, server=server, etcd=server)


@functools.cache
def _cluster() -> Any:
    from tests.muslin.datastore.kubernetes.clusters import cluster  # noqa: PLC0415 - only where there is one

    stack = cluster(*ApiGroup)
    server = stack.__enter__()
    atexit.register(stack.__exit__, None, None, None)
    return server


@asynccontextmanager
async def _kubernetes(random: Random, group: ApiGroup) -> AsyncIterator[Place]:
    server = await asyncio.to_thread(_cluster)
    for kind in (KIND, HANDLE):
        for each in ApiGroup:
            await asyncio.to_thread(server.request, "DELETE", api_path(each, kind))
    name = "kubernetes" if group is ApiGroup.V3 else "kubernetes-v1"
    async with TcpProxy(_port(server.url), random) as proxy:
        address = {
            "driver": name, "port": proxy.port, "direct": _port(server.url),
            "ca_file": str(server.ca_file), "token": server.admin_token,
            "group": group.value,
        }  # fmt: skip
        yield Place(name, address, line=proxy, server=server, etcd=server.etcd)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


PLACES: Mapping[str, Any] = {
    "memory": _memory,
    "embedded": _embedded,
    "etcd": _etcd,
    "kubernetes": functools.partial(_kubernetes, group=ApiGroup.V3),
    "kubernetes-v1": functools.partial(_kubernetes, group=ApiGroup.V1),
}


@asynccontextmanager
async def placed(driver: str, random: Random) -> AsyncIterator[Place]:
    """An empty store."""
    async with PLACES[driver](random) as place:
        try:
            yield place
        finally:
            await place.close()
