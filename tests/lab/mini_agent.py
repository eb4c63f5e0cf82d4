"""The smallest agent that can attach pods: real CNI server, IPAM and links; no policy, no BGP.

Usage: python -m tests.lab.mini_agent NODE
"""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import UTC, datetime

from muslin import resources
from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.memory import MemoryDatastore
from muslin.lab.processes import cni_socket
from muslin.semantics.snapshot import Snapshot
from runtime.cni.attach import Attacher
from runtime.cni.endpoints import Attachment
from runtime.cni.server import Server
from runtime.dataplane.links import find_link
from runtime.dataplane.netlink.socket import ROUTE, NetlinkSocket
from runtime.pod_addresses import PodAddresses
from runtime.pod_links import PodLinks
from tests.support.pod_wiring import route_to

_POOL = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "IPPool",
    "metadata": {"name": "pods"},
    "spec": {"cidr": "10.48.0.0/16", "blockSize": 26},
}


async def policy_ready(attachment: Attachment) -> None:
    """Write the route to the pod, as a node's loop does; there is no policy to wait for."""
    host = NetlinkSocket(ROUTE)
    try:
        link = find_link(host, attachment.interface)
        assert link is not None
        for address in attachment.addresses:
            route_to(host, link.index, address)
    finally:
        host.close()


async def _run(node: str) -> None:
    store = MemoryDatastore()
    await ensure_initialized(store)
    snapshot = Snapshot.of([resources.load(_POOL)])
    links = PodLinks()
    addresses = PodAddresses(node, store, snapshot=lambda: snapshot, now=lambda: datetime.now(UTC))
    attacher = Attacher(node, store, addresses=addresses, links=links, policy_ready=policy_ready, mtu=lambda: 1500)
    server = Server(cni_socket(node), attacher.handle)
    await server.start()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()
    await server.close()
    links.close()


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1]))
