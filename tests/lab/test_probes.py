"""The small programs that tell what packets do."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslin.lab.probes.dns import respond
from muslin.lab.probes.flow import Record
from muslin.lab.processes import probe

pytestmark = pytest.mark.slow


def _free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as any_port:
        any_port.bind(("127.0.0.1", 0))
        return int(any_port.getsockname()[1])


@contextmanager
def _running(*argv: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


@pytest.mark.parametrize("kind", ["udp", "udp-new", "tcp"])
def test_a_flow_to_an_echo_loses_nothing(kind: str) -> None:
    """Every request is answered, and the summary says so."""
    port = _free_port(socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    with _running(*probe("echo", "--tcp" if kind == "tcp" else "--udp", str(port))) as echo:
        assert _line(echo)["event"] == "ready"
        arguments = ("127.0.0.1", str(port), "--seconds", "0.3", "--patience", "0.2")
        done = subprocess.run(probe("flow", kind, *arguments), capture_output=True, text=True, timeout=10, check=True)
    first, *_, summary = (json.loads(line) for line in done.stdout.splitlines())

    assert (first["event"], first["sequence"]) == ("up", 0)
    assert (summary["event"], summary["lost"], 25 <= summary["sent"] <= 31) == ("summary", 0, True)


def test_an_idle_client_hears_a_server_that_speaks_first() -> None:
    """The greeting and the ticks arrive without the client's saying anything; the end is told."""
    port = _free_port()
    with _running(*probe("echo", "--speak", str(port), "--every", "0.05")) as echo:
        _line(echo)
        with _running(*probe("idle", "127.0.0.1", str(port))) as idle:
            heard = [_line(idle) for _ in range(4)]
            echo.kill()
            end = _line(idle)
            while end["event"] == "heard":
                end = _line(idle)

    assert [line.get("text", line["event"]) for line in heard] == ["connected", "hello", "tick 1", "tick 2"]
    assert end["event"] == "closed"


def test_a_tcp_flow_tells_that_it_was_cut() -> None:
    """Where the peer goes away, the flow says when, and counts what is unanswered as lost."""
    port = _free_port()
    with _running(*probe("echo", "--tcp", str(port))) as echo:
        _line(echo)
        with _running(*probe("flow", "tcp", "127.0.0.1", str(port), "--patience", "0.1")) as flow:
            assert _line(flow)["event"] == "up"
            echo.kill()
            assert _line(flow)["event"] == "closed"
            assert _line(flow)["event"] == "down"
            flow.terminate()
            summary = _line(flow)

    assert (summary["event"], summary["lost"] > 0) == ("summary", True)


def test_a_record_tells_when_a_flow_flipped() -> None:
    """The first request without an answer in time is when it went down; the next answered one, when it came up."""
    record = Record(0.5)
    for n in range(10):
        sequence = record.send(n / 10)
        if n < 3 or n >= 7:
            record.answer(sequence, n / 10 + 0.01)

    assert record.flips(0.7) == [
        {"event": "up", "at": 0.0, "sequence": 0},
    ]
    assert record.flips(1.5) == [
        {"event": "down", "at": 0.3, "sequence": 3},
        {"event": "up", "at": 0.7, "sequence": 7},
    ]
    assert (record.summary()["lost"], record.flips(2.0)) == (4, [])


def test_a_late_answer_is_lost_and_told_as_late() -> None:
    """An answer after the patience counts as lost, as the application would have given up."""
    record = Record(0.5)
    record.answer(record.send(0.0), 0.9)
    record.answer(17, 1.0)

    assert record.flips(1.0) == [{"event": "down", "at": 0.0, "sequence": 0}]
    assert (record.summary()["lost"], record.summary()["late"]) == (1, 1)


def _query(name: str, kind: int = 1, flags: int = 0x0100) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 7, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


_HOSTS = {"web-0.demo": "10.48.0.1"}


@pytest.mark.parametrize(
    ("query", "code", "answers"),
    [
        (_query("web-0.demo.lab"), 0, 1),
        (_query("WEB-0.demo.LAB"), 0, 1),
        (_query("web-0.demo.lab", kind=28), 0, 0),
        (_query("web-9.demo.lab"), 3, 0),
        (_query("example.com"), 5, 0),
        (_query("web-0.demo.lab", flags=0x2900), 4, 0),
        (_query("web-0.demo.lab")[:-3], 1, 0),
    ],
    ids=["a", "case", "aaaa", "unknown", "zone", "opcode", "cut"],
)
def test_dns_answers_as_rfc_1035_says(query: bytes, code: int, answers: int) -> None:
    """Response code and number of answers for each kind of question."""
    answer = respond(query, _HOSTS)
    assert answer is not None
    identity, flags, _, found, _, _ = struct.unpack_from("!6H", answer)

    assert (identity, flags & 0x8000, flags & 0xF, found) == (7, 0x8000, code, answers)
    assert not answers or answer.endswith(socket.inet_aton("10.48.0.1"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600) | st.builds(lambda tail: _query("web-0.demo.lab")[:-8] + tail, st.binary(max_size=20)))
def test_any_datagram_gets_a_short_answer_or_none(message: bytes) -> None:
    """Invariant: no bytes raise, and no answer is longer than 512 bytes or answers an answer."""
    answer = respond(message, _HOSTS)

    assert answer is None or len(answer) <= 512 + 16
    assert answer is None or respond(answer, _HOSTS) is None
