"""Connects to a server that speaks first, says nothing, and tells all that it hears.

Usage: python -IS idle.py ADDRESS PORT

JSON lines with CLOCK_MONOTONIC seconds: `connected`, `heard` with the text, `closed` with the reason.
"""

from __future__ import annotations

import json
import socket
import sys
import time


def _print(event: str, **more: str) -> None:
    sys.stdout.write(json.dumps({"event": event, "at": time.monotonic(), **more}) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Listen until the connection ends; gives 0 if the peer closed it in order."""
    address, port = sys.argv[1], int(sys.argv[2])
    try:
        with socket.create_connection((address, port), timeout=5) as connection:
            connection.settimeout(None)
            _print("connected")
            while data := connection.recv(4096):
                for line in data.decode(errors="replace").splitlines():
                    _print("heard", text=line)
    except OSError as error:
        _print("closed", error=str(error))
        return 1
    _print("closed", error="the peer closed the connection")
    return 0


if __name__ == "__main__":
    sys.exit(main())
