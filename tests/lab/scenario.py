"""Runs a bare lab from up to down as whoever starts it, and prints what it saw as one JSON object.

Usage: python -m tests.lab.scenario FOLDER; XDG_STATE_HOME names where the lab's folder is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.errors import MuslinError
from muslin.lab import control, verbs
from muslin.lab.processes import probe
from muslin.lab.state import StateFolder
from muslin.lab.topology import Topology
from muslin.resources.keys import Key

LAB = "scenario"


def outside() -> dict[str, list[str]]:
    """What of a lab could be left on the machine."""
    processes = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"muslin.lab.supervisor" in words and any(word.endswith(b"/scenario") for word in words):
                    processes.append(entry.name)
    with Path("/proc/self/mounts").open() as mounts:
        mounted = sorted(line for line in mounts if "muslin" in line or "nsfs" in line)
    links = json.loads(subprocess.run(["ip", "-json", "link"], capture_output=True, check=True).stdout)
    return {
        "processes": processes,
        "mounts": mounted,
        "links": [link["ifname"] for link in links],
        "namespaces": subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout.split(),
        "folder": [str(StateFolder.of(LAB).path)] if StateFolder.of(LAB).path.exists() else [],
    }


def _at(place: str, *argv: str) -> str:
    return verbs.execute(LAB, place, argv, capture=True, timeout_s=20).stdout


def _reaches(place: str, address: str, *more: str) -> bool:
    argv = ["ping", "-q", "-c1", "-W1", *more, address]
    return verbs.execute(LAB, place, argv, capture=True, timeout_s=20).returncode == 0


def _lines(path: Path, wanted: str, limit_s: float = 10) -> list[dict[str, Any]]:
    """Lines of a process's log once one of them has this event; the file grows in another process."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        if any(line["event"] == wanted for line in found):
            return found
        select.select([], [], [], 0.02)
    raise TimeoutError(f"no {wanted} in {path}: {path.read_text() if path.exists() else 'no file'}")


def _restarts(folder: Path) -> dict[str, Any]:
    """A process that is killed comes again; one that is stopped does not; orphans are reaped."""
    fifo = folder / "up"
    os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDWR)
    verbs.start(LAB, "steady", "node1", ["sh", "-c", f"echo $$ >{fifo}; exec sleep 100"], restart=True)

    def born() -> bool:
        return bool(select.select([descriptor], [], [], 10)[0] and os.read(descriptor, 100))

    seen = [born()]
    verbs.ask(LAB, "kill", name="steady")
    seen.append(born())
    process = next(each for each in verbs.status(LAB)["processes"] if each["name"] == "steady")
    verbs.ask(LAB, "stop", name="steady")
    stopped = next(each for each in verbs.status(LAB)["processes"] if each["name"] == "steady")
    verbs.start(LAB, "parent", "node1", ["sh", "-c", f"(setsid sh -c 'sleep 0.05; echo 1 >{fifo}' &); exit 3"])
    status = verbs.ask(LAB, "wait", name="parent")["status"]
    born()
    zombies = "grep -l '^State:.Z' /proc/[0-9]*/status; true"
    left = next((each for each in (_at("node1", "sh", "-c", zombies) for _ in range(20)) if not each), "zombies")
    os.close(descriptor)
    return {
        "born": seen,
        "starts": process["starts"],
        "last_status": process["last_status"],
        "stopped_pid": stopped["pid"],
        "parent_status": status,
        "zombies": left,
    }


async def _profile(namespace: str) -> dict[str, Any]:
    datastore = EmbeddedDatastore.open(StateFolder.of(LAB).datastore)
    try:
        found = await datastore.get(Key("Profile", f"kns.{namespace}"))
    finally:
        await datastore.close()
    return dict(found.value["spec"]["labelsToApply"])


def _pods() -> dict[str, Any]:
    """Two pods of one node, attached by the CNI executable; what passes between them."""
    verbs.start(LAB, "mini", "node1", [sys.executable, "-m", "tests.lab.mini_agent", "node1"], restart=True)
    server = verbs.add_pod(LAB, "node1", "demo", "server", {"app": "server"})["ips"][0]["address"].split("/")[0]
    verbs.add_pod(LAB, "node1", "demo", "client")
    echo = verbs.start(LAB, "echo", "demo.server", probe("echo", "--udp", "7", "--speak", "9", "--every", "0.1"))
    _lines(echo, "ready")
    idle = verbs.start(LAB, "idle", "demo.client", probe("idle", server, "9"))
    flow = verbs.start(LAB, "flow", "demo.client", probe("flow", "udp", server, "7", "--patience", "0.2"))
    _lines(flow, "up")
    heard = _lines(idle, "heard")
    verbs.ask(LAB, "check-pod", namespace="demo", name="server")
    dns = verbs.start_dns(LAB, "node1")
    _lines(StateFolder.of(LAB).logs / "dns.log", "ready")
    ask = "import socket,struct,sys;s=socket.socket(2,2);s.settimeout(3);s.connect((sys.argv[1],53));"
    ask += "s.send(struct.pack('!6H',1,256,1,0,0,0)+b'\\6server\\4demo\\3lab\\0\\0\\1\\0\\1');"
    ask += "print(socket.inet_ntoa(s.recv(512)[-4:]))"
    answer = _at("demo.client", sys.executable, "-IS", "-c", ask, dns).strip()
    verbs.ask(LAB, "kill", name="flow", signal=int(signal.SIGTERM))
    summary = _lines(flow, "summary")[-1]
    found = {
        "full_mtu": _reaches("demo.client", server, "-M", "do", "-s", "1472"),
        "over_mtu": _reaches("demo.client", server, "-M", "do", "-s", "1473"),
        "heard": [line["text"] for line in heard if line["event"] == "heard"][:1],
        "lost": summary["lost"],
        "sent": summary["sent"] > 0,
        "dns": answer == server,
    }
    try:
        verbs.add_pod(LAB, "node1", "demo", "client")
    except MuslinError as error:
        found["twice"] = error.problems[0].what
    verbs.add_pod(LAB, "node1", "fresh", "pod")
    found["profile"] = asyncio.run(_profile("fresh"))
    verbs.remove_pod(LAB, "fresh", "pod")
    for pod in ("server", "client"):
        verbs.remove_pod(LAB, "demo", pod)
    verbs.remove_pod(LAB, "kube-system", "dns")
    found["links"] = _at("node1", "sh", "-c", "ip -o link | grep -c cali || true").strip()
    found["namespaces"] = _at("node1", "ls", "/run/netns").split()
    verbs.ask(LAB, "stop", name="mini")
    return found


def _killed() -> dict[str, Any]:
    """Killing the first process ends everything; down then only removes the folder."""
    state = StateFolder.of(LAB)
    verbs.up(Topology.of(1, name=LAB, bare=True))
    watch = os.pidfd_open(control.init_pid(state.control))
    signal.pidfd_send_signal(watch, signal.SIGKILL)
    ended = bool(select.select([watch], [], [], 10)[0])
    os.close(watch)
    return {"ended": ended, "down": verbs.down(LAB)}


def main() -> None:
    """Run, and print."""
    folder = Path(sys.argv[1])
    before = outside()
    begun = time.monotonic()
    verbs.up(Topology.of(3, name=LAB, bare=True))
    found: dict[str, Any] = {"up_s": time.monotonic() - begun, "uid": os.geteuid()}
    try:
        found["mode"] = oct(StateFolder.of(LAB).path.stat().st_mode & 0o777)
        found["nodes"] = _reaches("node1", "192.0.2.3", "-M", "do", "-s", "1472")
        found["outside"] = _reaches("node3", "203.0.113.10")
        found["no_way_back"] = not _reaches("outside", "10.48.0.1")
        found["restarts"] = _restarts(folder)
        found["pods"] = _pods()
        try:
            verbs.up(Topology.of(1, name=LAB))
        except MuslinError as error:
            found["up_twice"] = error.problems[0].what
    finally:
        found["down"] = verbs.down(LAB)
    found["killed"] = _killed()
    found["down_again"] = verbs.down(LAB)
    found["before"], found["after"] = before, outside()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
