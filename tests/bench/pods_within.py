"""Runs in a node's namespaces: attaches pods as a container runtime does, and tells the seconds of each as JSON.

Usage: python -m tests.bench.pods_within NODE ROUNDS AT_ONCE SIDE ...

Sides: `ours` (the built executable), `python` (the one in Python), `ip` (seven executions of ip that make the same
links and routes, without addresses from a pool, policy or a datastore). Namespaces are made before the clock starts.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from muslin.lab.pods import CNI_NETWORK
from muslin.lab.processes import cni_socket

_ROOT = Path(__file__).parent.parent.parent
_COMMANDS = {
    "ours": [str(_ROOT / "build" / "muslin-cni")],
    "python": [sys.executable, "-IS", str(_ROOT / "runtime" / "cni" / "shim.py")],
}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_REST_S = 0.15
_IP = """\
ip link add {host} mtu 1500 type veth peer name eth0 netns {pod}
ip link set {host} up
ip route add {address}/32 dev {host}
ip -n {pod} link set eth0 up
ip -n {pod} address add {address}/32 dev eth0
ip -n {pod} route add 169.254.1.1 dev eth0
ip -n {pod} route add default via 169.254.1.1 dev eth0
"""


def _together(
    commands: Sequence[Sequence[str]], environments: Sequence[Mapping[str, str]], stdins: Sequence[Path]
) -> list[float]:
    """Start all at once; seconds until each has ended well."""
    poll, began, found = select.poll(), {}, []
    with tempfile.NamedTemporaryFile() as output:
        for command, environment, stdin in zip(commands, environments, stdins, strict=True):
            at = time.monotonic()
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, str(stdin), os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, output.name, os.O_WRONLY | os.O_APPEND, 0),
            ]
            pid = os.posix_spawnp(command[0], list(command), environment, file_actions=actions)
            watch = os.pidfd_open(pid)
            poll.register(watch, select.POLLIN)
            began[watch] = (pid, at)
        while began:
            for watch, _ in poll.poll():
                pid, at = began.pop(watch)
                found.append(time.monotonic() - at)
                poll.unregister(watch)
                os.close(watch)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                if status:
                    raise RuntimeError(f"ended with {status}: {Path(output.name).read_text()}")
    return found


class _Pods:
    """A set of pods. Their namespaces stay from one round to the next: removing one keeps the kernel busy."""

    def __init__(self, node: str, folder: Path, count: int, side: str, turn: int) -> None:
        self.side = side
        self.names = [f"bench-{number}" for number in range(count)]
        self._stdins, self._environments = [], []
        for name in self.names:
            network = {
                "cniVersion": "1.0.0", "name": CNI_NETWORK, "type": "muslin", "ipam": {"type": "calico-ipam"},
                "pod": {"namespace": "demo", "name": name, "labels": {"app": "bench"}},
            }  # fmt: skip
            stdin = folder / name
            stdin.write_text(json.dumps(network))
            self._stdins.append(stdin)
            self._environments.append(
                {
                    "PATH": _PATH, "CNI_CONTAINERID": f"{name}-{side}-{turn}", "CNI_NETNS": f"/run/netns/{name}",
                    "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin", "CNI_ARGS": "",
                    "MUSLIN_CNI_SOCKET": str(cni_socket(node)),
                }
            )  # fmt: skip

    def add(self) -> list[float]:
        """Attach all at once."""
        if self.side != "ip":
            return self._cni("ADD", _COMMANDS[self.side])
        scripts = [
            ["sh", "-ec", _IP.format(host=f"b{number}", pod=name, address=f"10.99.0.{number + 1}")]
            for number, name in enumerate(self.names)
        ]
        return _together(scripts, self._environments, self._stdins)

    def remove(self) -> list[float]:
        """Detach all at once, and let the kernel and the agents come to rest."""
        if self.side == "ip":
            batch = "".join(f"link del b{number}\n" for number in range(len(self.names)))
            subprocess.run(["ip", "-batch", "-"], input=batch.encode(), check=True)
        found = [] if self.side == "ip" else self._cni("DEL", _COMMANDS["ours"])
        time.sleep(_REST_S)
        return found

    def _cni(self, command: str, executable: Sequence[str]) -> list[float]:
        environments = [{**each, "CNI_COMMAND": command} for each in self._environments]
        return _together([executable] * len(self.names), environments, self._stdins)


def _batch(what: str, names: Sequence[str]) -> None:
    subprocess.run(["ip", "-batch", "-"], input="".join(f"{what} {name}\n" for name in names).encode(), check=True)


def main() -> None:
    """Measure all sides in turns, the order of sides turned round each time; the first round does not count."""
    node, rounds, at_once, *sides = sys.argv[1:]
    found: dict[str, list[float]] = {side: [] for side in (*sides, "all", "delete")}
    spaces = [f"bench-{number}" for number in range(int(at_once))]
    _batch("netns add", spaces)
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(int(rounds) + 1):
            for side in sides if turn % 2 else reversed(sides):
                pods = _Pods(node, Path(folder), int(at_once), side, turn)
                took = pods.add()
                gone = pods.remove()
                if turn:
                    found[side] += took
                    found["all"] += [max(took)] * (side == "ours")
                    found["delete"] += gone
    _batch("netns del", spaces)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
