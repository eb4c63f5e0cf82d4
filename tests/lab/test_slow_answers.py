"""A denied flow whose server answers slowly stops as well: by real packets, over UDP."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.lab import verbs
from muslin.lab.demo.cluster import Cluster
from muslin.lab.demo.flows import start_flow
from muslin.lab.topology import Topology
from muslin.resources.keys import Key

_PORT = 5001
_SLOW_ECHO = f"""
import heapq, select, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", {_PORT}))
due = []
while True:
    wait = max(0.0, due[0][0] - time.monotonic()) if due else None
    if select.select([s], [], [], wait)[0]:
        data, peer = s.recvfrom(4096)
        heapq.heappush(due, (time.monotonic() + 0.04, data, peer))
    while due and due[0][0] <= time.monotonic():
        _, data, peer = heapq.heappop(due)
        s.sendto(data, peer)
"""
_META = {"apiVersion": "projectcalico.org/v3"}
_POOL = {**_META, "kind": "IPPool", "metadata": {"name": "pods"}, "spec": {"cidr": "10.48.0.0/16"}}
_DENY = {
    **_META,
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny", "namespace": "demo"},
    "spec": {"selector": "app == 'server'", "types": ["Ingress"]},
}


@pytest.mark.netns
@pytest.mark.slow
def test_answers_on_their_way_do_not_keep_a_denied_flow_alive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four answers of 40 ms are under way when only the server's ingress is denied: the flow stops all the same."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    topology = Topology.of(2, name="slow")
    state = verbs.up(topology)
    try:
        down_after = asyncio.run(_scenario(topology, state.datastore))
    finally:
        verbs.down(topology.name)

    assert down_after < 1.0


async def _scenario(topology: Topology, path: Path) -> float:
    """Seconds from the policy's write to the last request that was answered; raises if the flow does not stop."""
    store = EmbeddedDatastore.open(path)
    try:
        cluster = Cluster(store, [node.name for node in topology.nodes])
        await cluster.caught_up(await store.create(Key("IPPool", "pods"), _POOL))
        lab, pods = topology.name, {}
        for name, node in (("server", "node1"), ("client", "node2")):
            result = await asyncio.to_thread(verbs.add_pod, lab, node, "demo", name, {"app": name})
            pods[name] = str(result["ips"][0]["address"]).split("/")[0]
        echo = [sys.executable, "-IS", "-c", _SLOW_ECHO]
        await asyncio.to_thread(verbs.start, lab, "echo", "demo.server", echo)
        flow = await start_flow(lab, "flow", "demo.client", ("udp", pods["server"], _PORT), allowed=False)
        began = time.monotonic()
        await store.create(Key("NetworkPolicy", "deny", "demo"), _DENY)
        return await flow.until("down", 5.0) - began
    finally:
        await store.close()
