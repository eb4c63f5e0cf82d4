"""Runs in a node's namespaces: starts the agent again and again, and tells the seconds until it is in sync, as JSON.

Usage: python -m tests.bench.restart_within NODE DATASTORE ENDPOINTS ROUNDS

In sync is when the last missing route to a pod is back: routes are written after policy. `warm`: the agent was killed
and one route taken away, so that its return can be seen. `cold`: table and routes were flushed. `floor`: the
interpreter and the same imports alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.lab.processes import muslin, run_folder
from muslin.resources.keys import Key
from runtime.dataplane.netlink import routes as codec
from runtime.dataplane.netlink.socket import ROUTE, NetlinkSocket
from runtime.dataplane.ownership import ROUTE_PROTOCOL, TABLE

_LIMIT_S = 30


def _address(number: int) -> str:
    return f"10.48.200.{number + 1}"


async def _declare(path: Path, node: str, count: int) -> None:
    store = EmbeddedDatastore.open(path)
    for number in range(count):
        name = f"{node}-k8s-pod{number}-eth0"
        value = {
            "apiVersion": "projectcalico.org/v3", "kind": "WorkloadEndpoint",
            "metadata": {
                "name": name, "namespace": "demo",
                "labels": {"app": f"app{number % 10}", "projectcalico.org/namespace": "demo",
                           "projectcalico.org/orchestrator": "k8s"},
            },
            "spec": {
                "orchestrator": "k8s", "node": node, "containerID": f"c{number}", "pod": f"pod{number}",
                "endpoint": "eth0", "ipNetworks": [f"{_address(number)}/32"], "profiles": ["kns.demo"],
                "interfaceName": f"cali{number}", "mac": f"02:00:00:00:00:{number:02x}",
            },
        }  # fmt: skip
        await store.create(Key("WorkloadEndpoint", name, "demo"), value)
    await store.close()


def _batch(*lines: str) -> None:
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines).encode(), check=True)


def _until_routes(listener: NetlinkSocket, wanted: set[str]) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while wanted:
        if not select.select([listener], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise SystemExit(f"{len(wanted)} routes did not come back in {_LIMIT_S} s")
        for event in listener.events().received:
            if event.kind == codec.NEW_ROUTE:
                wanted.discard(str(codec.parse_route(event.body).prefix.network_address))


def _started(argv: tuple[str, ...], wanted: set[str]) -> float:
    """Seconds from the start of the agent until these routes are there; the agent is killed then."""
    listener = NetlinkSocket(ROUTE, (codec.GROUPS["ipv4-route"],))
    with tempfile.TemporaryFile() as log:
        began = time.monotonic()
        agent = subprocess.Popen(argv, stderr=log)
        try:
            _until_routes(listener, wanted)
            return time.monotonic() - began
        finally:
            agent.kill()
            agent.wait()
            listener.close()


def _imports() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import runtime.main"], check=True)
    return time.monotonic() - began


def main() -> None:
    """Measure the three in turns; the first round does not count."""
    node, datastore, count, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    links = [
        f"link add cali{n} type veth peer name far{n}\nlink set cali{n} up\nlink set far{n} up" for n in range(count)
    ]
    _batch(*links)
    asyncio.run(_declare(datastore, node, count))
    argv = muslin("agent", "--node", node, "--datastore", str(datastore), "--run-dir", str(run_folder(node)))
    every = {_address(number) for number in range(count)}
    found: dict[str, list[float]] = {"warm": [], "cold": [], "floor": []}
    _started(argv, set(every))
    for _ in range(rounds):
        _batch(f"route del {_address(count - 1)}/32 proto {ROUTE_PROTOCOL}")
        found["warm"].append(_started(argv, {_address(count - 1)}))
        found["floor"].append(_imports())
        subprocess.run(["nft", "delete", "table", "inet", TABLE], check=True)
        _batch(f"route flush proto {ROUTE_PROTOCOL}")
        found["cold"].append(_started(argv, set(every)))
    os.sync()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
