"""Runs in namespaces of its own: ADD, CHECK and DEL by a shim with the real IPAM, links and datastore.

Usage: python -m tests.runtime.cni.inside_whole SHIM...; prints one JSON object. The oracle is `ip`.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from muslin import resources
from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.memory import MemoryDatastore
from muslin.semantics.snapshot import Snapshot
from runtime.cni.attach import Attacher
from runtime.cni.endpoints import Attachment
from runtime.cni.server import Server
from runtime.pod_addresses import PodAddresses
from runtime.pod_links import PodLinks
from tests.lab.mini_agent import policy_ready as write_route
from tests.runtime.cni.frames import ENVIRONMENT, NETWORK

_POOL = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "IPPool",
    "metadata": {"name": "pods"},
    "spec": {"cidr": "10.48.0.0/16", "blockSize": 26},
}


def _ip(*arguments: str, netns: Path | None = None) -> Any:
    inside = ["nsenter", f"--net={netns}"] if netns else []
    done = subprocess.run([*inside, "ip", "-json", *arguments], capture_output=True, text=True, check=False)
    return json.loads(done.stdout or "[]")


def _see(netns: Path) -> dict[str, Any]:
    """What is there, as `ip` sees it."""
    return {
        "links": [link["ifname"] for link in _ip("link") if link["ifname"].startswith("cali")],
        "routes": [route["dst"] for route in _ip("route") if route.get("dev", "").startswith("cali")],
        "addresses": [a["local"] for link in _ip("-4", "address", netns=netns) for a in link["addr_info"]],
        "pod_routes": [(route["dst"], route.get("gateway")) for route in _ip("route", netns=netns)],
    }


def _ping(address: str) -> bool:
    return subprocess.run(["ping", "-c1", "-W1", address], capture_output=True, check=False).returncode == 0


async def _run(shim: list[str], folder: Path) -> dict[str, Any]:
    store, netns = MemoryDatastore(), folder / "pod"
    await ensure_initialized(store)
    snapshot = Snapshot.of([resources.load(_POOL)])

    async def policy_ready(attachment: Attachment) -> None:
        await write_route(attachment)
        resources.load((await store.get(attachment.key)).value)

    async def call(command: str, network: dict[str, Any]) -> tuple[int | None, Any]:
        values = {"CNI_COMMAND": command, "CNI_NETNS": str(netns), "MUSLIN_CNI_SOCKET": str(folder / "s")}
        process = await asyncio.create_subprocess_exec(
            *shim, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**ENVIRONMENT, **values}
        )
        output, _ = await process.communicate(json.dumps(network).encode())
        return process.returncode, json.loads(output) if output else None

    async def held() -> list[str]:
        return [
            entry.key.name for kind in ("IPAMHandle", "WorkloadEndpoint") for entry in (await store.list(kind)).entries
        ]

    links = PodLinks()
    attacher = Attacher(
        "node1",
        store,
        addresses=PodAddresses("node1", store, snapshot=lambda: snapshot, now=lambda: datetime.now(UTC)),
        links=links,
        policy_ready=policy_ready,
        mtu=lambda: 1500,
    )
    server = Server(folder / "s", attacher.handle)
    await server.start()
    found: dict[str, Any] = {"add": await call("ADD", NETWORK)}
    found["again"] = await call("ADD", NETWORK)
    previous = {**NETWORK, "prevResult": found["add"][1]}
    found["check"] = await call("CHECK", previous)
    found["there"], found["held"] = await asyncio.to_thread(_see, netns), await held()
    address = found["add"][1]["ips"][0]["address"].split("/")[0]
    found["ping"] = await asyncio.to_thread(_ping, address)
    await asyncio.to_thread(_ip, "address", "flush", "dev", "eth0", netns=netns)
    found["check_broken"] = await call("CHECK", previous)
    found["del"] = [await call("DEL", previous), await call("DEL", previous)]
    found["gone"], found["held_after"] = await asyncio.to_thread(_see, netns), await held()
    await server.close()
    links.close()
    return found


def main() -> None:
    """Run, and print what happened."""
    with tempfile.TemporaryDirectory() as name:
        pod = Path(name, "pod")
        pod.touch()
        subprocess.run(["unshare", f"--net={pod}", "true"], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "address", "add", "192.0.2.1/32", "dev", "lo"], check=True)
        try:
            print(json.dumps(asyncio.run(_run(sys.argv[1:], Path(name)))))
        finally:
            subprocess.run(["umount", str(pod)], check=False)


if __name__ == "__main__":
    main()
