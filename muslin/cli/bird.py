"""What BIRD says of its BGP sessions, asked over its control socket: how a node of upstream Calico tells its peers."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["FOLDERS", "BirdFault", "BirdPeer", "ask", "peers_of"]

FOLDERS: Final = ("/var/run/calico", "/var/run/bird")
_TIMEOUT_S: Final = 2.0
_LARGEST: Final = 4 << 20
_HEADINGS = ["name", "proto", "table", "state", "since", "info"]
_NAME = re.compile(r"(Global|Node|Mesh|Local_Workload)_(.+?)(?:_port_([0-9]+))?")
_KINDS = {
    "Global": "global",
    "Mesh": "node-to-node mesh",
    "Node": "node specific",
    "Local_Workload": "local workload",
}


class BirdFault(OSError):
    """BIRD did not answer, or not as its protocol says."""


class BirdPeer(NamedTuple):
    """A session as BIRD shows it."""

    address: str
    kind: str
    state: str
    since: str
    info: str


def ask(version: int, folders: Iterable[str] = FOLDERS) -> list[BirdPeer]:
    """The sessions of the daemon for IPv4 or IPv6. Raises BirdFault, also where no daemon listens."""
    name = "bird.ctl" if version == 4 else "bird6.ctl"
    paths = [Path(folder, name) for folder in folders]
    path = next((each for each in paths if each.is_socket()), paths[0])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_TIMEOUT_S)
        try:
            asking.connect(str(path))
            asking.sendall(b"show protocols\n")
            return peers_of(_lines(asking), version)
        except BirdFault:
            raise
        except OSError as error:
            raise BirdFault(f"unable to connect to BIRDv{version} socket: {error}") from error


def peers_of(lines: Iterable[str], version: int) -> list[BirdPeer]:
    """The sessions in an answer to `show protocols`. Raises BirdFault."""
    found: list[BirdPeer] = []
    for line in lines:
        code = line[:4]
        if code == "0000":
            return found
        if code == "2002":
            headings = line[5:].lower().split()
            if headings != _HEADINGS:
                raise BirdFault("unknown BIRD table output format")
        elif code == "1002" or line.startswith(" "):
            peer = _peer(line[5:] if code == "1002" else line[1:], version)
            if peer is not None:
                found.append(peer)
        elif code != "0001":
            raise BirdFault("unexpected output line from BIRD")
    raise BirdFault("BIRD ended its answer too early")


def _lines(asking: socket.socket) -> Iterable[str]:
    rest, size = b"", 0
    while True:
        octets = asking.recv(65536)
        size += len(octets)
        if not octets or size > _LARGEST:
            return
        *whole, rest = (rest + octets).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")


def _peer(line: str, version: int) -> BirdPeer | None:
    columns = line.split()
    if len(columns) < 5 or columns[1] != "BGP":
        return None
    named = _NAME.fullmatch(columns[0])
    if named is None:
        return None
    address = named[2].replace("_", "." if version == 4 else ":")
    return BirdPeer(address, _KINDS[named[1]], columns[3], columns[4], " ".join(columns[5:]))
