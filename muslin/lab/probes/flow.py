"""Sends numbered requests at a steady rate and tells which were answered: what a flow sees of a change.

Usage: python -IS flow.py {udp,udp-new,tcp} ADDRESS PORT [--rate HZ] [--seconds S] [--patience S]

`udp` keeps one source port (one conntrack entry), `udp-new` takes another for every request (new flows), `tcp` uses
one established connection. Times are CLOCK_MONOTONIC seconds, comparable between processes of one machine.

JSON lines: `{"event": "up"|"down", "at": when, "sequence": n}` each time the flow flips (`at` is when the first
request of the new state was sent; a request is lost when it had no answer for the patience), `closed` with the error
where TCP ended, and a `summary` at the end, on SIGTERM, and on SIGUSR1 (which goes on).
"""

from __future__ import annotations

import argparse
import json
import select
import signal
import socket
import struct
import sys
import time
from itertools import pairwise
from typing import Any

_RECORD = struct.Struct("!Q")
_ROOM = 1 << 20
"""Bytes that wait in a socket while a busy machine lets nobody read; what the kernel does not give is not missed."""


class Record:
    """Which sequence was sent and answered when; pure, times are given."""

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self.sent: list[float] = []
        self.answered: list[float | None] = []
        self._judged = 0
        self._up: bool | None = None

    def send(self, now: float) -> int:
        """Note a request; gives its sequence number."""
        self.sent.append(now)
        self.answered.append(None)
        return len(self.sent) - 1

    def answer(self, sequence: int, now: float) -> None:
        """Note an answer. What was never asked, or is answered already, is ignored."""
        if 0 <= sequence < len(self.sent) and self.answered[sequence] is None:
            self.answered[sequence] = now

    def flips(self, now: float) -> list[dict[str, Any]]:
        """Changes of state that are certain by now, in order; each is told once."""
        found = []
        while self._judged < len(self.sent):
            sequence = self._judged
            sent, answered = self.sent[sequence], self.answered[sequence]
            in_time = answered is not None and answered - sent <= self.patience_s
            if not in_time and now - sent <= self.patience_s:
                break
            if in_time is not self._up:
                self._up = in_time
                found.append({"event": "up" if in_time else "down", "at": sent, "sequence": sequence})
            self._judged += 1
        return found

    def summary(self) -> dict[str, Any]:
        """What is certain by the last `flips`: requests younger than the patience are not counted."""
        sent, answered = self.sent[: self._judged], self.answered[: self._judged]
        times = [at for at in answered if at is not None]
        delays = [at - asked for at, asked in zip(answered, sent, strict=True) if at is not None]
        late = [delay > self.patience_s for delay in delays].count(True)
        return {
            "event": "summary",
            "sent": len(sent),
            "answered": len(times),
            "late": late,
            "lost": len(sent) - len(times) + late,
            "first_sent": sent[0] if sent else None,
            "last_sent": sent[-1] if sent else None,
            "first_answer": min(times, default=None),
            "last_answer": max(times, default=None),
            "longest_delay_s": max(delays, default=None),
            "longest_gap_s": max((later - one for one, later in pairwise(times)), default=None),
        }


class _Prober:
    """The sockets of one flow."""

    def __init__(self, kind: str, address: str, port: int) -> None:
        self._kind, self._peer = kind, (address, port)
        self._pending = b""
        self._sockets: list[socket.socket] = []
        self.closed: str | None = None
        if kind == "tcp":
            stream = socket.create_connection(self._peer, timeout=5)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream.setblocking(False)
            self._sockets = [stream]
        elif kind == "udp":
            self._sockets = [self._datagrams()]

    def _datagrams(self) -> socket.socket:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        sender.setblocking(False)
        sender.connect(self._peer)
        return sender

    def send(self, sequence: int) -> None:
        """Send one request; a full buffer or an ICMP error leaves it unanswered."""
        if self._kind == "udp-new":
            self._sockets.append(self._datagrams())
            if len(self._sockets) > 100:
                self._sockets.pop(0).close()
        try:
            self._sockets[-1].send(_RECORD.pack(sequence))
        except BlockingIOError:
            pass
        except OSError as error:
            self._fail(error)

    def receive(self, wait_s: float) -> list[int]:
        """Sequences answered within the time."""
        if self.closed is not None:
            time.sleep(wait_s)
            return []
        found = []
        for ready in select.select(self._sockets, [], [], wait_s)[0]:
            try:
                data = ready.recv(65536)
            except BlockingIOError:
                continue
            except OSError as error:
                self._fail(error)
                continue
            if self._kind == "tcp" and not data:
                self.closed = "the peer closed the connection"
            self._pending = self._pending + data if self._kind == "tcp" else data
            while len(self._pending) >= _RECORD.size:
                found.append(_RECORD.unpack_from(self._pending)[0])
                self._pending = self._pending[_RECORD.size :]
            if self._kind != "tcp":
                self._pending = b""
        return found

    def _fail(self, error: OSError) -> None:
        if self._kind == "tcp":
            self.closed = str(error)


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _probe(prober: _Prober, record: Record, interval_s: float, end: float) -> None:
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, lambda got, _: asked.append(got))
    next_send, closed = time.monotonic(), False
    while True:
        now = time.monotonic()
        sending = now < end and signal.SIGTERM not in asked and signal.SIGINT not in asked
        if sending and now >= next_send:
            prober.send(record.send(now))
            next_send = max(
                next_send + interval_s, now - 10 * interval_s
            )  # a stopped process does not catch up for ever
        for flip in record.flips(now):
            _print(flip)
        if prober.closed is not None and not closed:
            closed = True
            _print({"event": "closed", "at": now, "error": prober.closed})
        if signal.SIGUSR1 in asked:
            asked.remove(signal.SIGUSR1)
            _print(record.summary())
        if not sending and (not record.sent or now > record.sent[-1] + record.patience_s):
            _print(record.summary())
            return
        wait_s = max(0.0, next_send - time.monotonic()) if sending else 0.02
        for sequence in prober.receive(min(wait_s, 0.05)):
            record.answer(sequence, time.monotonic())


def main() -> int:
    """Probe as the arguments say."""
    parser = argparse.ArgumentParser(description="probe a flow")
    parser.add_argument("kind", choices=["udp", "udp-new", "tcp"])
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--patience", type=float, default=0.5)
    arguments = parser.parse_args()
    try:
        prober = _Prober(arguments.kind, arguments.address, arguments.port)
    except OSError as error:
        _print({"event": "closed", "at": time.monotonic(), "error": f"can't connect: {error}"})
        return 1
    _probe(prober, Record(arguments.patience), 1 / arguments.rate, time.monotonic() + arguments.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
