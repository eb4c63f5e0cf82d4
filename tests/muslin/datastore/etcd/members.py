"""An etcd of three members on loopback, and stores opened on real servers."""

from __future__ import annotations

import contextlib
import functools
import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from muslin.datastore.etcd import EtcdDatastore
from muslin.datastore.etcd.patience import Patience
from muslin.datastore.settings import EtcdSettings
from tests.support.engines import Server, free_ports, program, workspace
from tests.support.etcd_server import quick

__all__ = ["QUICK", "Members", "opened", "three_members"]

QUICK = Patience(connect_s=1.0, answer_s=1.5, total_s=3.0)
"""For tests in which members are stopped."""


class Members:
    """Three servers; `endpoints` are those of their clients, in the same order."""

    def __init__(self, servers: list[Server], endpoints: list[str]) -> None:
        self.servers, self.endpoints = servers, endpoints

    def start(self) -> None:
        """Start those that do not run; a member alone is never ready, so all at once."""
        with ThreadPoolExecutor(len(self.servers)) as pool:
            list(pool.map(Server.start, [each for each in self.servers if each.pid is None]))

    def leader(self) -> int:
        """Number of the member that leads now."""
        for number, endpoint in enumerate(self.endpoints):
            said = _said(f"{endpoint}/v3/maintenance/status")
            if said.get("leader") and said["leader"] == said["header"]["member_id"]:
                return number
        raise AssertionError("nobody leads")


def _knows_a_leader(endpoint: str) -> bool:
    return bool(_said(f"{endpoint}/v3/maintenance/status").get("leader", "0") != "0")


def _said(url: str) -> Any:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, b"{}", timeout=2) as answer:
        return json.load(answer)
    return {}


@contextlib.contextmanager
def three_members() -> Iterator[Members]:
    """Started, and gone afterwards."""
    with workspace("etcd3") as folder:
        ports = free_ports(6)
        clients = [f"http://127.0.0.1:{port}" for port in ports[:3]]
        peers = [f"http://127.0.0.1:{port}" for port in ports[3:]]
        cluster = ",".join(f"m{number}={peer}" for number, peer in enumerate(peers))
        servers = [
            Server(
                [
                    program("etcd"), f"--name=m{number}", f"--data-dir={folder}/m{number}", "--log-level=error",
                    f"--listen-client-urls={clients[number]}", f"--advertise-client-urls={clients[number]}",
                    f"--listen-peer-urls={peers[number]}", f"--initial-advertise-peer-urls={peers[number]}",
                    f"--initial-cluster={cluster}", *quick(program("etcd")),
                ],
                folder / f"log{number}",
                functools.partial(_knows_a_leader, clients[number]),
            )
            for number in range(3)
        ]  # fmt: skip
        members = Members(servers, clients)
        try:
            members.start()
            yield members
        finally:
            for server in servers:
                server.kill()


@asynccontextmanager
async def opened(*endpoints: str, patience: Patience | None = None, **more: Any) -> AsyncIterator[EtcdDatastore]:
    """A store that is closed afterwards; `more` are further `EtcdSettings`."""
    store = await EtcdDatastore.open(EtcdSettings(endpoints=endpoints, **more), patience=patience)
    try:
        yield store
    finally:
        await store.close()
