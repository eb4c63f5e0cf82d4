"""Asks a DNS server for the IPv4 address of a name, and prints it.

Usage: python -IS lookup.py SERVER NAME

Prints nothing and gives 1 where there is no answer within two tries of a second, or none with an address.
"""

from __future__ import annotations

import socket
import struct
import sys

_QUERY = 0x1234


def question(name: str) -> bytes:
    """A query for an A record (RFC 1035 section 4)."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack("!HHHHHH", _QUERY, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)


def address(answer: bytes, asked: bytes) -> str | None:
    """The first A record of an answer to our question; None if it has none."""
    if len(answer) < len(asked) + 16 or struct.unpack_from("!H", answer)[0] != _QUERY:
        return None
    count = struct.unpack_from("!H", answer, 6)[0]
    kind, _, _, length = struct.unpack_from("!HHIH", answer, len(asked) + 2)  # after a compressed name
    at = len(asked) + 12
    if count < 1 or (kind, length) != (1, 4) or len(answer) < at + 4:
        return None
    return socket.inet_ntoa(answer[at : at + 4])


def main() -> int:
    """Ask twice at most."""
    server, name = sys.argv[1:3]
    asked = question(name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1.0)
        client.connect((server, 53))
        for _ in range(2):
            try:
                client.send(asked)
                found = address(client.recv(512), asked)
            except OSError:
                continue
            if found is not None:
                sys.stdout.write(found + "\n")
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
