"""The smallest agent that can attach pods: real CNI server, IPAM and links; no policy, no BGP.

Usage: python -m tests.lab.mini_agent NODE
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys

from muslin import resources
from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.memory import MemoryDatastore
from muslin.lab.processes import cni_socket
from muslin.semantics.snapshot import Snapshot
from runtime.cni.addresses import IpamAddresses
from runtime.cni.attach import Attacher
from runtime.cni.endpoints import Attachment
from runtime.cni.server import Server
from runtime.cni.wiring import PodLinks
from runtime.dataplane.netlink.socket import NetlinkSocket

_POOL = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "IPPool",
    "metadata": {"name": "pods"},
    "spec": {"cidr": "10.48.0.0/16", "blockSize": 26},
}


async def _policy_ready(_: Attachment) -> None:
    """There is no policy to wait for."""


async def _run(node: str) -> None:
    store = MemoryDatastore()
    await ensure_initialized(store)
    snapshot = Snapshot.of([resources.load(_POOL)])
    host = NetlinkSocket(socket.NETLINK_ROUTE)
    addresses = IpamAddresses(store, node, lambda: snapshot)
    attacher = Attacher(
        node, store, addresses=addresses, links=PodLinks(host), policy_ready=_policy_ready, mtu=lambda: 1500
    )
    server = Server(cni_socket(node), attacher.handle)
    await server.start()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()
    await server.close()
    host.close()


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1]))
