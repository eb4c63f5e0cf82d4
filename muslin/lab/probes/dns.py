"""A small DNS server for pods: A records of `<pod>.<namespace>.lab`, over UDP.

Usage: python -IS dns.py --hosts FILE [--port 53]

FILE is a JSON object `{"web-0.demo": "10.48.0.1"}`; it is read again when it has changed. One question a message, no
recursion, no more than 512 bytes (RFC 1035); what is no query is dropped without an answer.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import sys
from collections.abc import Mapping

_HEADER = struct.Struct("!6H")
_ZONE = "lab"
_TTL_S = 1
_NO_ERROR, _FORMAT, _NAME, _NOT_IMPLEMENTED, _REFUSED = 0, 1, 3, 4, 5
_A, _ANY, _INTERNET = 1, 255, 1


def respond(message: bytes, hosts: Mapping[str, str]) -> bytes | None:
    """The answer to a message, None for what deserves none. `hosts` is names without the zone -> IPv4 address."""
    if not _HEADER.size <= len(message) <= 512:
        return None
    identity, flags, questions, *_ = _HEADER.unpack_from(message)
    if flags & 0x8000:  # an answer: two servers must not talk to each other for ever
        return None
    read = _question(message) if questions == 1 else None
    if read is None:
        return _HEADER.pack(identity, 0x8000 | flags & 0x0100 | _FORMAT, 0, 0, 0, 0)
    name, kind, network_class, end = read
    code, records = _NO_ERROR, b""
    host, dot, zone = name.rpartition(".")
    if flags & 0x7800:
        code = _NOT_IMPLEMENTED
    elif not dot or zone != _ZONE or network_class != _INTERNET:
        code = _REFUSED
    elif host not in hosts:
        code = _NAME
    elif kind in {_A, _ANY}:
        records = struct.pack("!HHHIH", 0xC00C, _A, _INTERNET, _TTL_S, 4) + socket.inet_aton(hosts[host])
    header = _HEADER.pack(identity, 0x8400 | flags & 0x7900 | code, 1, 1 if records else 0, 0, 0)
    return header + message[_HEADER.size : end] + records


def _question(message: bytes) -> tuple[str, int, int, int] | None:
    """Name in lower case, type, class and where the question ends; None if it is malformed or compressed."""
    labels, at = [], _HEADER.size
    while at < len(message) and (length := message[at]):
        label = message[at + 1 : at + 1 + length]
        if length > 63 or len(label) != length:
            return None
        labels.append(label.decode("latin-1").lower())
        at += 1 + length
    if at + 5 > len(message) or at - _HEADER.size > 254:
        return None
    kind, network_class = struct.unpack_from("!HH", message, at + 1)
    return ".".join(labels), kind, network_class, at + 5


class _Hosts:
    """The file of names, read when it has changed."""

    def __init__(self, path: str) -> None:
        self._path, self._seen = path, (-1, -1)
        self._names: dict[str, str] = {}

    def names(self) -> dict[str, str]:
        """What the file says; what it said last while it can't be read."""
        try:
            status = os.stat(self._path)  # noqa: PTH116  pathlib costs more than the query
            if (status.st_mtime_ns, status.st_ino) != self._seen:
                with open(self._path, encoding="utf-8") as file:  # noqa: PTH123
                    self._names = {str(name): str(address) for name, address in json.load(file).items()}
                self._seen = (status.st_mtime_ns, status.st_ino)
        except (OSError, ValueError):
            pass
        return self._names


def main() -> int:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description="answer DNS queries for pods")
    parser.add_argument("--hosts", required=True)
    parser.add_argument("--port", type=int, default=53)
    arguments = parser.parse_args()
    hosts = _Hosts(arguments.hosts)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", arguments.port))
        sys.stdout.write(json.dumps({"event": "ready"}) + "\n")
        sys.stdout.flush()
        while True:
            try:
                message, client = server.recvfrom(2048)
                if (answer := respond(message, hosts.names())) is not None:
                    server.sendto(answer, client)
            except OSError:
                continue  # an ICMP error of an earlier answer


if __name__ == "__main__":
    sys.exit(main())
