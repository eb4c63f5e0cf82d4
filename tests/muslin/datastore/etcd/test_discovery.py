"""SRV records: the codec alone, and lookups at a small name server of our own over UDP and TCP."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.datastore.etcd.discovery import discovered
from muslin.datastore.etcd.srv import BadAnswer, Srv, Truncated, answer, question
from muslin.errors import BadInput, Unavailable
from tests.support.engines import free_ports

_TLS, _PLAIN = "_etcd-client-ssl._tcp.example.org", "_etcd-client._tcp.example.org"
_RECORDS = (Srv(10, 5, 2379, "b.example.org"), Srv(10, 60, 2380, "a.example.org"), Srv(0, 0, 1, "first.example.org"))


def _name(name: str) -> bytes:
    return b"".join(bytes((len(it),)) + it.encode() for it in name.split(".")) + b"\0"


def _asked(message: bytes) -> str:
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels)


def _answer(asked: bytes, records: tuple[Srv, ...], *, flags: int = 0x8180) -> bytes:
    """As a server writes it: names of answers point to the question's, other records beside."""
    header = asked[:2] + struct.pack("!5H", flags, 1, len(records) + 1, 0, 0)
    alias = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, 2) + b"\xc0\x0c"
    body = b"".join(
        b"\xc0\x0c" + struct.pack("!HHIH3H", 33, 1, 60, 6 + len(_name(it.target)), *it[:3]) + _name(it.target)
        for it in records
    )
    return header + asked[12:] + alias + body


def test_records_come_in_the_order_in_which_to_try_them() -> None:
    """Lowest priority first, then the larger weight; records of other types are passed over."""
    asked = question(_TLS, 7)

    assert [it.target for it in answer(asked, _answer(asked, _RECORDS))] == [
        "first.example.org", "a.example.org", "b.example.org",
    ]  # fmt: skip
    assert answer(asked, _answer(asked, (), flags=0x8183)) == ()


def test_an_answer_to_something_else_is_none() -> None:
    """Another number, another name, a refusal, a name that points forward; a truncated one says so."""
    asked = question(_TLS, 7)
    good = _answer(asked, _RECORDS)
    for bad in (question(_TLS, 8)[:2] + good[2:], _answer(question(_PLAIN, 7), _RECORDS), asked, good[:40], b""):
        with pytest.raises(BadAnswer):
            answer(asked, bad)
    with pytest.raises(BadAnswer, match="code 5"):
        answer(asked, _answer(asked, (), flags=0x8185))
    with pytest.raises(BadAnswer, match="forward"):
        answer(asked, good.replace(b"\xc0\x0c", b"\xc0\xff", 1) + b"\0" * 255)
    with pytest.raises(Truncated):
        answer(asked, _answer(asked, (), flags=0x8380))


@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_octets_do_more_than_be_refused(noise: bytes, at: int) -> None:
    """Whatever comes, it is records, `BadAnswer` or `Truncated`, at once."""
    asked = question(_TLS, 7)
    good = _answer(asked, _RECORDS)
    for message in (noise, good[:at] + noise + good[at + len(noise) :]):
        try:
            answer(asked, message)
        except (BadAnswer, Truncated):
            continue


@pytest.mark.parametrize("domain", ["", "a..b", "x" * 64 + ".org", "é.org", ".".join(["x" * 60] * 5)])
def test_a_domain_that_is_none_is_refused(domain: str, tmp_path: Path) -> None:
    """It is the caller's mistake; nobody is asked."""
    with pytest.raises(BadInput):
        asyncio.run(discovered(domain, tmp_path / "none"))


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, reply: Callable[[bytes], list[bytes]]) -> None:
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        for each in self._reply(data):
            self._transport.sendto(each, addr)


@asynccontextmanager
async def _name_server(by_udp: Callable[[bytes], list[bytes]], by_tcp: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    (port,) = free_ports(1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        reply = by_tcp(await reader.readexactly(length))
        writer.write(struct.pack("!H", len(reply)) + reply)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(by_udp), local_addr=("127.0.0.1", port))
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield port
    finally:
        transport.close()
        server.close()
        await server.wait_closed()


def _look_up(tmp_path: Path, by_udp: Callable[[bytes], list[bytes]], by_tcp: Callable[[bytes], bytes]) -> list[str]:
    conf = tmp_path / "resolv.conf"
    conf.write_text("# two\nnameserver 127.0.0.1\nsearch example.net\noptions edns0\n")

    async def main() -> list[str]:
        async with _name_server(by_udp, by_tcp) as port:
            return [str(it) for it in await discovered("example.org", conf, port)]

    return asyncio.run(main())


def test_members_with_tls_are_preferred_and_forged_datagrams_passed_over(tmp_path: Path) -> None:
    """Noise and an answer with another number before the right one change nothing."""

    def reply(asked: bytes) -> list[bytes]:
        forged = _answer(asked, (Srv(0, 0, 666, "bad.example.org"),))
        records = _RECORDS if _asked(asked) == _TLS else (Srv(0, 0, 1, "plain.example.org"),)
        return [b"noise", bytes((forged[0] ^ 1,)) + forged[1:], _answer(asked, records)]

    assert _look_up(tmp_path, reply, lambda _: b"") == [
        "https://first.example.org:1", "https://a.example.org:2380", "https://b.example.org:2379",
    ]  # fmt: skip


def test_a_long_answer_is_asked_for_again_by_tcp(tmp_path: Path) -> None:
    """The datagram says that it is truncated; the members without TLS come where there are none with."""

    def whole(asked: bytes) -> bytes:
        return _answer(asked, _RECORDS if _asked(asked) == _PLAIN else ())

    found = _look_up(tmp_path, lambda asked: [_answer(asked, (), flags=0x8380)], whole)

    assert found == ["http://first.example.org:1", "http://a.example.org:2380", "http://b.example.org:2379"]


def test_no_record_and_no_server_are_told_apart(tmp_path: Path) -> None:
    """A domain without records is the caller's mistake; a server that refuses may answer later."""
    with pytest.raises(BadInput, match="no SRV records"):
        _look_up(tmp_path, lambda asked: [_answer(asked, (), flags=0x8183)], lambda _: b"")
    with pytest.raises(Unavailable, match=r"code 2"):
        _look_up(tmp_path, lambda asked: [_answer(asked, (), flags=0x8182)], lambda _: b"")
