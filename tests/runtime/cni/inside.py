"""Runs in namespaces of its own: executes a shim as a runtime does, against a server that looks at what it got.

Usage: python -m tests.runtime.cni.inside SHIM...; prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from runtime.cni.answer import Answer, done
from runtime.cni.request import Command, Request
from runtime.cni.server import PodNamespace, Server
from tests.runtime.cni.frames import ENVIRONMENT, NETWORK, previous


def _links_through(namespace: PodNamespace) -> list[str]:
    """Names of the links behind the netlink socket, asked by one dump on that very socket."""
    request = struct.pack("=IHHIIBxHiII", 32, 18, 0x301, 1, 0, 0, 0, 0, 0, 0)
    namespace.netlink.send(request)
    names, data = [], namespace.netlink.recv(65536)
    offset = 0
    while offset < len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        at = offset + 32
        while kind == 16 and at < offset + length:
            size, attribute = struct.unpack_from("=HH", data, at)
            if attribute == 3:
                names.append(data[at + 4 : at + size - 1].decode())
            at += (size + 3) & ~3
        offset += (length + 3) & ~3
    return names


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def _shim(shim: list[str], socket: Path, command: str, netns: str, network: dict[str, Any]) -> dict[str, Any]:
    environment = {**ENVIRONMENT, "CNI_COMMAND": command, "CNI_NETNS": netns, "MUSLIN_CNI_SOCKET": str(socket)}
    process = await asyncio.create_subprocess_exec(
        *shim, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    output, _ = await process.communicate(json.dumps(network).encode())
    return {"status": process.returncode, "body": json.loads(output) if output else None}


async def _run(shim: list[str], folder: Path) -> dict[str, Any]:
    seen: list[dict[str, Any]] = []

    async def handle(request: Request, namespace: PodNamespace | None) -> Answer:
        links = _links_through(namespace) if namespace else None
        same = namespace is not None and os.fstat(namespace.netns).st_ino == inode
        seen.append({"command": request.command.value, "links": links, "namespace": same})
        return done() if request.command is not Command.ADD else Answer(0, b'{"cniVersion":"1.0.0"}\n')

    netns = str(folder / "pod")
    inode = await asyncio.to_thread(lambda: Path(netns).stat().st_ino)
    server = Server(folder / "cni.sock", handle)
    await server.start()
    before = _open_files()
    path = folder / "cni.sock"
    answers = [
        await _shim(shim, path, "ADD", netns, NETWORK),
        await _shim(shim, path, "CHECK", netns, previous("10.48.0.1/32")),
        await _shim(shim, path, "DEL", netns, NETWORK),
        await _shim(shim, path, "DEL", str(folder / "gone"), NETWORK),
        await _shim(shim, path, "ADD", str(folder / "gone"), NETWORK),
        await _shim(shim, path, "ADD", str(path.parent / "note"), NETWORK),
    ]
    open_after = _open_files()
    await server.close()
    return {"answers": answers, "seen": seen, "leaked": open_after - before, "removed": not path.exists()}


def main() -> None:
    """Run, and print what happened."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "note").write_text("not a namespace")
        pod = folder / "pod"
        pod.touch()
        bind = f"mount --bind /proc/self/ns/net {pod}"
        subprocess.run(["unshare", "--net", "sh", "-c", f"ip link add marker0 type bridge && {bind}"], check=True)
        try:
            print(json.dumps(asyncio.run(_run(sys.argv[1:], folder))))
        finally:
            subprocess.run(["umount", str(folder / "pod")], check=False)


if __name__ == "__main__":
    main()
