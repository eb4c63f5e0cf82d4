"""What each kind of damage does to a session in which the route was good before (RFC 7606 and RFC 4271 section 6).

A case is one message for a prefix that the peer had announced. `kept`: the route stays or is replaced; `withdrawn`;
or the NOTIFICATION with which the session ends.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv4Network
from random import Random

import pytest

from runtime.bgp.actions import Send
from runtime.bgp.core import Speaker
from runtime.bgp.families import IPV4_UNICAST
from runtime.bgp.messages.framing import KEEPALIVE, MessageType, message
from runtime.bgp.messages.open import Open
from runtime.bgp.settings import PeerSettings, SpeakerSettings

US, PEER = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")


def attribute(flags: int, kind: int, value: bytes, length: int | None = None) -> bytes:
    """An attribute, with a length that can lie."""
    return bytes((flags, kind, len(value) if length is None else length)) + value


ORIGIN = attribute(0x40, 1, b"\0")
AS_PATH = attribute(0x40, 2, b"")
NEXT_HOP = attribute(0x40, 3, PEER.packed)
LOCAL_PREF = attribute(0x40, 5, b"\0\0\0\x64")
GOOD = ORIGIN + AS_PATH + NEXT_HOP + LOCAL_PREF
PREFIX = bytes((26, 10, 48, 1, 0))
V6 = attribute(0x80, 14, b"\0\2\1\x10" + bytes(15) + b"\x01\0\x40" + bytes(8))


def update(
    attributes: bytes,
    prefixes: bytes = PREFIX,
    gone: bytes = b"",
    *,
    size: int | None = None,
    gone_size: int | None = None,
) -> bytes:
    """An UPDATE, with lengths that can lie."""
    return message(
        MessageType.UPDATE,
        struct.pack("!H", len(gone) if gone_size is None else gone_size)
        + gone
        + struct.pack("!H", len(attributes) if size is None else size)
        + attributes
        + prefixes,
    )


def hop(text: str) -> bytes:
    """A good route but for its next hop."""
    return update(ORIGIN + AS_PATH + attribute(0x40, 3, IPv4Address(text).packed) + LOCAL_PREF)


OPEN = Open(64512, 90, PEER, (IPV4_UNICAST,), extended_messages=False).encode()

CASES = {
    "origin 9": (update(attribute(0x40, 1, b"\x09") + AS_PATH + NEXT_HOP + LOCAL_PREF), "withdrawn"),
    "origin flags": (update(attribute(0xC0, 1, b"\0") + AS_PATH + NEXT_HOP + LOCAL_PREF), "withdrawn"),
    "as path bad segment": (
        update(ORIGIN + attribute(0x40, 2, b"\x07\x01\0\0\0\1") + NEXT_HOP + LOCAL_PREF), "withdrawn"),
    "as path overrun": (
        update(ORIGIN + attribute(0x40, 2, b"\x02\x05\0\0\0\1") + NEXT_HOP + LOCAL_PREF), "withdrawn"),
    "as path empty segment": (update(ORIGIN + attribute(0x40, 2, b"\x02\0") + NEXT_HOP + LOCAL_PREF), "withdrawn"),
    "as 0": (update(ORIGIN + attribute(0x40, 2, b"\x02\x01\0\0\0\0") + NEXT_HOP + LOCAL_PREF), "withdrawn"),
    "next hop length 5": (update(ORIGIN + AS_PATH + attribute(0x40, 3, b"\xc0\0\2\2\0") + LOCAL_PREF), "withdrawn"),
    "next hop missing": (update(ORIGIN + AS_PATH + LOCAL_PREF), "withdrawn"),
    "local pref length 3": (update(ORIGIN + AS_PATH + NEXT_HOP + attribute(0x40, 5, bytes(3))), "withdrawn"),
    "local pref missing": (update(ORIGIN + AS_PATH + NEXT_HOP), "withdrawn"),
    "med length 2": (update(GOOD + attribute(0x80, 4, b"\0\1")), "withdrawn"),
    "duplicate origin": (update(ORIGIN + GOOD), "kept"),
    "community length 5": (update(GOOD + attribute(0xC0, 8, bytes(5))), "withdrawn"),
    "community length 0": (update(GOOD + attribute(0xC0, 8, b"")), "withdrawn"),
    "extended community length 7": (update(GOOD + attribute(0xC0, 16, bytes(7))), "withdrawn"),
    "large community length 11": (update(GOOD + attribute(0xC0, 32, bytes(11))), "withdrawn"),
    "originator id length 3": (update(GOOD + attribute(0x80, 9, bytes(3))), "withdrawn"),
    "cluster list length 3": (update(GOOD + attribute(0x80, 10, bytes(3))), "withdrawn"),
    "aggregator length 5": (update(GOOD + attribute(0xC0, 7, bytes(5))), "kept"),
    "atomic aggregate length 1": (update(GOOD + attribute(0x40, 6, b"\0")), "kept"),
    "last attribute overruns": (update(GOOD + attribute(0xC0, 8, bytes(4), 20)), "withdrawn"),
    "half an attribute header": (update(GOOD + b"\xc0\x08"), "withdrawn"),
    "unknown well-known": (update(GOOD + attribute(0x40, 77, b"x")), "3/2"),
    "unknown optional": (update(GOOD + attribute(0xC0, 77, b"x")), "kept"),
    "nlri /33": (update(GOOD, bytes((33, 10, 48, 1, 0, 0))), "3/10"),
    "nlri truncated": (update(GOOD, bytes((26, 10, 48))), "3/10"),
    "nlri with host bits": (update(GOOD, bytes((26, 10, 48, 1, 0x3F))), "kept"),
    "nlri without attributes": (update(b""), "3/3"),
    "attribute length overruns": (update(GOOD, size=500), "3/1"),
    "withdrawn length overruns": (update(GOOD, gone_size=500), "3/1"),
    "mp reach next hop length 5": (
        update(ORIGIN + AS_PATH + LOCAL_PREF + attribute(0x80, 14, b"\0\1\1\5" + bytes(6) + PREFIX), b""), "3/9"),
    "mp reach too short": (update(GOOD + attribute(0x80, 14, b"\0\1\1"), b""), "3/9"),
    "mp unreach too short": (update(attribute(0x80, 15, b"\0\1"), b""), "3/9"),
    "mp reach twice": (update(ORIGIN + AS_PATH + LOCAL_PREF + 2 * V6, b""), "3/1"),
    "family not negotiated": (
        update(ORIGIN + AS_PATH + LOCAL_PREF + attribute(0x80, 14, b"\0\x19\x46\4\xc0\0\2\2\0xx"), b""), "kept"),
    "next hop 0.0.0.0": (hop("0.0.0.0"), "withdrawn"),
    "next hop is us": (hop("192.0.2.1"), "withdrawn"),
    "next hop multicast": (hop("224.0.0.5"), "withdrawn"),
    "next hop loopback": (hop("127.0.0.1"), "withdrawn"),
    "next hop broadcast": (hop("255.255.255.255"), "withdrawn"),
    "bad marker": (b"\0" * 16 + b"\0\x13\x04", "1/1"),
    "length 18": (b"\xff" * 16 + b"\0\x12\x04", "1/2"),
    "message type 9": (message(9, b""), "1/3"),  # type: ignore[arg-type]
    "keepalive with a body": (message(MessageType.KEEPALIVE, b"x"), "1/2"),
    "open when established": (OPEN, "5/3"),
    "refresh length 3": (message(MessageType.REFRESH, b"\0\1\0"), "7/1"),
    "refresh of a family not negotiated": (message(MessageType.REFRESH, b"\0\2\0\1"), "kept"),
    "refresh of an unknown kind": (message(MessageType.REFRESH, b"\0\1\x63\1"), "kept"),
    "5 kB without extended messages": (
        update(GOOD, b"".join(bytes((32, 10, 48, index >> 8, index & 255)) for index in range(1000))), "1/2"),
}  # fmt: skip


class Established:
    """A speaker with one established iBGP session, and what it says."""

    def __init__(self) -> None:
        self.core = Speaker(Random(1))
        peer = PeerSettings(PEER, 64512, 64512, local_address=US, passive=True)
        pool = (IPv4Network("10.48.0.0/16"), IPv4Network("0.0.0.0/0"))
        self.core.configure(SpeakerSettings(US, (US,), peers=(peer,), importable=pool), 0.0)
        number = self.core.accepted(PEER, US, 0.0)
        assert number is not None
        self.number = number
        self.said = b""
        self.hear(OPEN + KEEPALIVE + update(GOOD))
        assert self.has_route

    def hear(self, data: bytes) -> None:
        """Let the peer say something and let changes be decided."""
        self.core.received(self.number, data, 1.0)
        self.core.advance(2.0)
        self.said = b"".join(action.data for action in self.core.take_actions() if isinstance(action, Send))

    @property
    def has_route(self) -> bool:
        """Whether the good route is the best."""
        return IPv4Network("10.48.1.0/26") in {route.prefix for route in self.core.routes().learnt}

    @property
    def notified(self) -> str | None:
        """Codes of our NOTIFICATION, None if there was none."""
        if len(self.said) < 21 or self.said[18] != MessageType.NOTIFICATION:
            return None
        return f"{self.said[19]}/{self.said[20]}"


@pytest.mark.parametrize(("data", "expected"), CASES.values(), ids=CASES)
def test_a_malformed_message(data: bytes, expected: str) -> None:
    """The session ends only where the prefixes cannot be known; else the route goes or stays, alone."""
    session = Established()
    session.hear(data)

    outcome = session.notified or ("kept" if session.has_route else "withdrawn")
    assert outcome == expected
    if session.notified:
        assert not session.has_route
    else:
        session.hear(update(GOOD))
        assert session.has_route, "the session must go on"


@pytest.mark.parametrize("prefix", [bytes((4, 224)), bytes((8, 127)), bytes((8, 0))])
def test_martian_prefixes_are_not_believed(prefix: bytes) -> None:
    """Prefixes that no host can have are kept out although everything is importable."""
    session = Established()
    session.hear(update(GOOD, prefix))

    assert len(session.core.routes().learnt) == 1
    assert session.core.sessions()[0].prefixes == 2
    assert session.core.sessions()[0].accepted == 1


def test_routes_outside_the_importable_prefixes_wait_for_them() -> None:
    """What is outside is kept aside and believed as soon as a pool covers it, without asking the peer."""
    session = Established()
    settings = SpeakerSettings(
        US, (US,), peers=(PeerSettings(PEER, 64512, 64512, local_address=US, passive=True),),
        importable=(IPv4Network("198.51.100.0/24"),),
    )  # fmt: skip
    session.core.configure(settings, 3.0)
    session.core.advance(4.0)
    assert not session.has_route
    wider = SpeakerSettings(US, (US,), 179, settings.peers, (), (IPv4Network("10.48.1.0/24"),))
    session.core.configure(wider, 5.0)
    session.core.advance(6.0)

    assert session.has_route


@pytest.mark.slow
def test_too_many_prefixes_end_the_session() -> None:
    """The limit is on without being asked for; the peer stays away for a while and its routes go."""
    session = Established()
    for start in range(0, 21_000, 700):
        prefixes = b"".join(bytes((32, 10, 48, *divmod(index % 65536, 256))) for index in range(start, start + 700))
        session.hear(update(GOOD, prefixes))
        if session.notified:
            break

    assert session.notified == "6/1"
    assert start > 18_000
    assert session.core.routes().learnt == ()
    assert session.core.accepted(PEER, US, 10.0) is None
    assert session.core.accepted(PEER, US, 400.0) is not None
