"""Bytes beside values, both ways; and what a parser does with rubbish."""

from __future__ import annotations

import contextlib
import struct
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.net import Mac
from runtime.dataplane.netlink import conntrack, expressions, links, nftables, routes, wire
from runtime.dataplane.netlink.nftables import SetShape
from runtime.dataplane.netlink.routes import KernelRoute, Neighbour
from runtime.dataplane.netlink.wire import Message


def test_message_is_header_and_padded_body() -> None:
    """Length counts the header and not the padding; REQUEST is always set."""
    packed = wire.pack(Message(24, wire.CREATE, b"abc"), 7)

    assert packed == struct.pack("=IHHII", 19, 24, 0x401, 7, 0) + b"abc\0"
    (received,) = wire.messages(memoryview(packed))
    assert (received.kind, received.flags, received.sequence, bytes(received.body)) == (24, 0x401, 7, b"abc")


def test_attributes_lose_their_flag_bits() -> None:
    """NLA_F_NESTED says how to read, not what it is."""
    found = wire.attributes(memoryview(wire.nested(5, wire.u32(1, 9)) + wire.text(2, "x")))

    assert {kind: bytes(value) for kind, value in found.items()} == {5: wire.u32(1, 9), 2: b"x\0"}


@pytest.mark.parametrize("capped", [True, False])
def test_error_carries_the_kernels_words(capped: bool) -> None:
    """The extended ack's text is found behind the request's header, and behind the whole request."""
    request = struct.pack("=IHHII", 20, 24, 5, 7, 0) + (b"" if capped else b"abcd")
    body = struct.pack("=i", -17) + request + wire.text(1, "no such thing")
    flags = 0x300 if capped else 0x200

    reply = wire.parse_reply(wire.Received(wire.ERROR, flags, 7, 0, memoryview(body)))

    assert (reply.errno, reply.extack) == (17, "no such thing")


@pytest.mark.parametrize(
    "route",
    [
        KernelRoute(ip_network("10.48.0.1/32"), 7),
        KernelRoute(ip_network("10.48.0.0/26"), 2, ip_address("192.0.2.2"), onlink=True),
        KernelRoute(ip_network("2001:db8::/64"), 2, ip_address("2001:db8:2::2"), metric=512),
        KernelRoute(ip_network("0.0.0.0/0"), 3, ip_address("169.254.1.1"), protocol=3, table=1000),
        KernelRoute(ip_network("10.48.0.0/26"), kind=routes.BLACKHOLE),
    ],
    ids=str,
)
def test_route_survives_the_round_trip(route: KernelRoute) -> None:
    """What we send parses to what we meant."""
    assert routes.parse_route(routes.add_route(route).body) == route


def test_route_request_is_these_octets() -> None:
    """A /32 on a link: family, length, table, protocol 80, scope link, destination, interface."""
    body = routes.add_route(KernelRoute(ip_network("10.48.0.1/32"), 7)).body

    assert body == bytes((2, 32, 0, 0, 254, 80, 253, 1)) + bytes(4) + bytes.fromhex(
        "08000100 0a300001 08000400 07000000"
    )


def test_neighbour_survives_the_round_trip() -> None:
    """Interface, address, MAC and permanence."""
    neighbour = Neighbour(3, ip_address("10.48.0.1"), Mac("02:00:00:00:00:01"))

    assert routes.parse_neighbour(routes.add_neighbour(neighbour).body) == neighbour


@given(st.sets(st.integers(0, 255), min_size=0, max_size=40))
def test_intervals_survive_the_round_trip(numbers: set[int]) -> None:
    """Any disjoint one-octet intervals, adjacent ones and the last address included, come back as sent."""
    edges = sorted(numbers)
    wanted = {bytes(pair): b"" for pair in zip(edges[::2], edges[1::2], strict=False)}
    shape = SetShape(((12, 1),), intervals=True)

    sent = [message.body for message in nftables.add_elements("calico", "x", shape, wanted)]

    assert nftables.parse_elements(sent, shape) == wanted


def test_verdicts_survive_the_round_trip() -> None:
    """A dispatch map's elements come back with verdict and chain."""
    shape = SetShape(((41, 16),), verdicts=True)
    wanted = {
        b"cali1".ljust(16, b"\0"): expressions.verdict(-4, "from/x"),
        b"cali2".ljust(16, b"\0"): expressions.verdict(0),
    }

    sent = [message.body for message in nftables.add_elements("calico", "x", shape, wanted)]

    assert nftables.parse_elements(sent, shape) == wanted


def test_many_elements_go_in_several_messages() -> None:
    """One attribute holds 64 KiB; 10,000 addresses need more, and nothing is lost."""
    shape = SetShape(((7, 4),))
    wanted = {number.to_bytes(4, "big"): b"" for number in range(10_000)}

    sent = [message.body for message in nftables.add_elements("calico", "x", shape, wanted)]

    assert len(sent) > 1
    assert all(len(body) < 65_536 for body in sent)
    assert nftables.parse_elements(sent, shape) == wanted


def test_concatenated_key_type_is_six_bits_a_part() -> None:
    """As nft does it: address . protocol . port."""
    shape = SetShape(((7, 4), (12, 1), (13, 2)))

    assert (shape.key_type, shape.key_length) == ((7 << 12) | (12 << 6) | 13, 12)


@given(st.binary(max_size=200))
def test_parsers_refuse_rubbish_and_never_hang(rubbish: bytes) -> None:
    """Invariant: any octets either parse or raise one of the errors that a malformed message means."""
    for parse in (
        lambda: list(wire.messages(memoryview(rubbish))),
        lambda: wire.attributes(memoryview(rubbish)),
        lambda: routes.parse_route(rubbish),
        lambda: routes.parse_neighbour(rubbish),
        lambda: routes.parse_address(rubbish),
        lambda: links.parse_link(rubbish),
        lambda: conntrack.parse_entry(rubbish),
        lambda: nftables.parse_chain(rubbish, "calico"),
        lambda: nftables.parse_set(rubbish, "calico"),
    ):
        with contextlib.suppress(ValueError, KeyError, IndexError, struct.error):
            parse()
