"""Answers probes: UDP and TCP echo, and a TCP server that speaks first and goes on speaking by itself.

Usage: python -IS echo.py [--udp PORT] [--tcp PORT] [--speak PORT] [--every SECONDS]

Prints one JSON line `{"event": "ready", "at": when}` (CLOCK_MONOTONIC seconds) once it listens. The speaking server
sends `hello`, then `tick N` at every interval: an idle client learns so whether the connection lives, without sending
anything itself.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import sys
import time

_MAX_CLIENTS = 64
_ROOM = 1 << 20
"""Bytes that wait in a socket while a busy machine lets nobody read; what the kernel does not give is not missed."""


class _Server:
    """All sockets of one process; one selector, no threads."""

    def __init__(self, every_s: float) -> None:
        self._selector = selectors.DefaultSelector()
        self._listeners: dict[int, bool] = {}
        self._ticks: dict[socket.socket, int] = {}
        self._clients = 0
        self._every_s = every_s
        self._next = time.monotonic() + every_s

    def udp(self, port: int) -> None:
        """Echo datagrams."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        server.bind(("0.0.0.0", port))
        server.setblocking(False)
        self._selector.register(server, selectors.EVENT_READ, self._datagrams)

    def tcp(self, port: int, *, speak: bool) -> None:
        """Echo streams, or speak on them."""
        server = socket.create_server(("0.0.0.0", port), backlog=64)
        server.setblocking(False)
        self._listeners[server.fileno()] = speak
        self._selector.register(server, selectors.EVENT_READ, self._accept)

    def run(self) -> None:
        """Serve until killed."""
        while True:
            wait_s = max(0.0, self._next - time.monotonic()) if self._ticks else None
            for key, _ in self._selector.select(wait_s):
                key.data(key.fileobj)
            if self._ticks and time.monotonic() >= self._next:
                self._next += self._every_s
                for client in list(self._ticks):
                    self._ticks[client] += 1
                    self._send(client, f"tick {self._ticks[client]}\n".encode())

    def _datagrams(self, server: socket.socket) -> None:
        try:
            data, client = server.recvfrom(2048)
            server.sendto(data, client)
        except OSError:
            pass  # an ICMP error of an earlier answer, or a full buffer: the prober counts it as lost

    def _accept(self, server: socket.socket) -> None:
        try:
            client, _ = server.accept()
        except OSError:
            return
        if self._clients >= _MAX_CLIENTS:
            client.close()
            return
        self._clients += 1
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(client, selectors.EVENT_READ, self._stream)
        if self._listeners[server.fileno()]:
            if not self._ticks:
                self._next = time.monotonic() + self._every_s
            self._ticks[client] = 0
            self._send(client, b"hello\n")

    def _stream(self, client: socket.socket) -> None:
        try:
            data = client.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(client)
        elif client not in self._ticks:
            self._send(client, data)

    def _send(self, client: socket.socket, data: bytes) -> None:
        try:
            client.send(data)
        except BlockingIOError:
            pass  # nobody reads: what does not fit is lost, as with a datagram
        except OSError:
            self._close(client)

    def _close(self, client: socket.socket) -> None:
        if client.fileno() >= 0:
            self._selector.unregister(client)
            self._ticks.pop(client, None)
            client.close()
            self._clients -= 1


def main() -> int:
    """Serve the ports that the arguments name."""
    parser = argparse.ArgumentParser(description="answer probes")
    parser.add_argument("--udp", type=int, action="append", default=[])
    parser.add_argument("--tcp", type=int, action="append", default=[])
    parser.add_argument("--speak", type=int, action="append", default=[])
    parser.add_argument("--every", type=float, default=1.0)
    arguments = parser.parse_args()
    server = _Server(arguments.every)
    for port in arguments.udp:
        server.udp(port)
    for port in arguments.tcp:
        server.tcp(port, speak=False)
    for port in arguments.speak:
        server.tcp(port, speak=True)
    sys.stdout.write(json.dumps({"event": "ready", "at": time.monotonic()}) + "\n")
    sys.stdout.flush()
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
