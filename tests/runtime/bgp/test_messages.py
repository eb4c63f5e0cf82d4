"""Messages: bytes beside values, both ways."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family, destination, from_wire, to_wire
from runtime.bgp.messages.attributes import Attributes, Origin, RawAttribute, Segment, SegmentKind
from runtime.bgp.messages.framing import KEEPALIVE, LENGTH, MessageType, message, take
from runtime.bgp.messages.notification import CeaseReason, ErrorCode, Notification, Notify
from runtime.bgp.messages.open import GracefulRestart, Open
from runtime.bgp.messages.refresh import Refresh, RefreshKind
from runtime.bgp.messages.update import Context, TooLarge, UpdateDecoder, announce, end_of_rib, withdraw

MARK = "ff" * 16
HOP = IPv4Address("192.0.2.2").packed
BOTH = Context(families=(IPV4_UNICAST, IPV6_UNICAST))


def body(data: bytes) -> bytes:
    """The body of the one message in `data`."""
    found = take(data, 0, LENGTH)
    assert found is not None
    assert found[2] == len(data)
    return found[1]


OPENS = {
    "plain": (
        Open(64512, 90, IPv4Address("192.0.2.1"), (IPV4_UNICAST,), None, False, False, False, False),
        "0025 01 04 fc00 005a c0000201 08 0206 010400010001",
    ),
    "all that we say": (
        Open(
            4200000001, 9, IPv4Address("192.0.2.1"), (IPV4_UNICAST, IPV6_UNICAST),
            GracefulRestart(120, True, True, {IPV4_UNICAST: True, IPV6_UNICAST: False}),
            extended_next_hops=((IPV4_UNICAST, 2),),
        ),
        (
            "004b 01 04 5ba0 0009 c0000201 2e 022c 010400010001 010400020001 0200 4600 "
            "4104fa56ea01 0600 400ac078 00010180 00020100 0506000100010002"
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("value", "text"), OPENS.values(), ids=OPENS)
def test_open(value: Open, text: str) -> None:
    """OPEN with its capabilities, in the order that we write them."""
    data = bytes.fromhex(MARK + text)

    assert value.encode() == data
    assert Open.decode(body(data)) == value


def test_open_with_parameters_over_255_octets() -> None:
    """Extended optional parameters (RFC 9072) are read, and written where they are needed."""
    value = replace(OPENS["plain"][0], families=tuple(Family(index, 1) for index in range(1, 60)))
    data = value.encode()

    assert data[28:30] == b"\xff\xff"
    assert Open.decode(body(data)) == value


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("03fc00005ac000020100", "2/1"),
        ("04fc000001c000020100", "2/6"),
        ("04fc00005a0000000000", "2/3"),
        ("040000005ac000020100", "2/2"),
        ("04fc00005ac000020101", "2/0"),
        ("04fc00005ac00002010402040104", "2/0"),
        ("04fc00005ac000020103010101", "2/4"),
        ("04fc00005ac0000201080206410400000000", "2/2"),
        ("04fc00005ac000020106020401020001", "2/0"),
        ("04fc00005ac0000201ffff0001", "2/0"),
        ("04fc00005ac0000201ffff000402000540", "2/0"),
        ("04fc00005ac0000201ffff00ff0200", "2/0"),
    ],
)
def test_wrong_open(text: str, error: str) -> None:
    """Each wrong field has its own subcode; lengths that lie are never followed."""
    with pytest.raises(Notify) as caught:
        Open.decode(bytes.fromhex(text))

    assert str(caught.value.notification) == error


def test_update_of_ipv4() -> None:
    """Announcement of IPv4: attributes by type, prefixes behind them."""
    text = (
        "0000 0022 40010100 400206 0201 fa56ea01 400304c0000202 4005040000012c c00804 fc000001 1a0a300040 00 200a300101"
    )  # fmt: skip
    value = Attributes(
        local_pref=300, as_path=(Segment(SegmentKind.SEQUENCE, (4200000001,)),), communities=(0xFC000001,)
    )
    prefixes = [to_wire(ip_network(text)) for text in ("10.48.0.64/26", "0.0.0.0/0", "10.48.1.1/32")]
    expected = message(MessageType.UPDATE, bytes.fromhex(text))

    assert list(announce(IPV4_UNICAST, value.encode(HOP), HOP, prefixes)) == [expected]
    update = UpdateDecoder(BOTH).decode(body(expected))
    assert (update.attributes, update.malformed) == (value, None)
    assert update.announced == [(IPV4_UNICAST, HOP, prefixes)]


def test_update_of_ipv6() -> None:
    """Announcement of IPv6: next hop and prefixes in MP_REACH, which comes first (RFC 7606 section 5.1)."""
    hop = bytes.fromhex("20010db8" + "00" * 11 + "02")
    prefix = to_wire(ip_network("2001:db8:1::/48"))
    text = (
        "0000 002d 800e1c 000201 10" + hop.hex() + "00 30 20010db80001 40010100 400200 40050400000064"
    )  # fmt: skip
    value = Attributes(local_pref=100)
    expected = message(MessageType.UPDATE, bytes.fromhex(text))

    assert list(announce(IPV6_UNICAST, value.encode(), hop, [prefix])) == [expected]
    update = UpdateDecoder(BOTH).decode(body(expected))
    assert update.announced == [(IPV6_UNICAST, hop, [prefix])]
    assert update.attributes == value


@pytest.mark.parametrize(
    ("family", "prefix", "text"),
    [
        (IPV4_UNICAST, "10.48.0.0/26", "0005 1a0a300000 0000"),
        (IPV6_UNICAST, "2001:db8:1::/48", "0000 000d 800f0a 000201 3020010db80001"),
    ],
)  # fmt: skip
def test_withdrawal(family: Family, prefix: str, text: str) -> None:
    """Withdrawals of both families."""
    wire = to_wire(ip_network(prefix))
    expected = message(MessageType.UPDATE, bytes.fromhex(text))

    assert list(withdraw(family, [wire])) == [expected]
    assert UpdateDecoder(BOTH).decode(body(expected)).withdrawn == [(family, [wire])]


@pytest.mark.parametrize(
    ("family", "text"), [(IPV4_UNICAST, "001702 00000000"), (IPV6_UNICAST, "001d02 00000006 800f03000201")]
)  # fmt: skip
def test_end_of_rib(family: Family, text: str) -> None:
    """The message that ends the first exchange."""
    data = bytes.fromhex(MARK + text)

    assert end_of_rib(family) == data
    assert UpdateDecoder(BOTH).decode(body(data)).end_of_rib == family


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Refresh(IPV4_UNICAST), "001705 00010001"),
        (Refresh(IPV6_UNICAST, RefreshKind.END), "001705 00020201"),
    ],
)  # fmt: skip
def test_refresh(value: Refresh, text: str) -> None:
    """ROUTE-REFRESH, plain and enhanced."""
    data = bytes.fromhex(MARK + text)

    assert value.encode() == data
    assert Refresh.decode(body(data)) == value


def test_notification() -> None:
    """Code, subcode, data; a Hard Reset wraps the reason; a shutdown text cannot break a log line."""
    value = Notification(ErrorCode.CEASE, CeaseReason.SHUTDOWN, b"\x06by\nby\x07")

    assert value.encode() == bytes.fromhex("0602") + b"\x06by\nby\x07"
    assert Notification.decode(value.encode()) == value
    assert value.communication == "by?by?"
    assert Notification(ErrorCode.CEASE, CeaseReason.SHUTDOWN, b"\xffshort").communication == ""
    assert value.hard() == Notification(6, 9, value.encode())
    assert value.hard().is_hard_reset
    assert not value.is_hard_reset
    assert Notification.decode(b"") == Notification(0, 0)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\0" * 16 + b"\0\x13\x04", "1/1"),
        (bytes.fromhex(MARK + "001204"), "1/2"),
        (bytes.fromhex(MARK + "100104"), "1/2"),
        (bytes.fromhex(MARK + "001309"), "1/3"),
        (message(MessageType.KEEPALIVE, b"x"), "1/2"),
        (bytes.fromhex(MARK + "001c01"), "1/2"),
        (bytes.fromhex(MARK + "001403"), "1/2"),
    ],
)
def test_wrong_header(data: bytes, error: str) -> None:
    """A header is judged before its body is here."""
    with pytest.raises(Notify) as caught:
        take(data[:19], 0, LENGTH)

    assert str(caught.value.notification) == error


def test_a_message_is_taken_only_when_it_is_whole() -> None:
    """Every proper beginning of a message waits."""
    data = KEEPALIVE + end_of_rib(IPV4_UNICAST)

    assert all(take(data[:end], 0, LENGTH) is None for end in range(19))
    assert take(data, 0, LENGTH) == (MessageType.KEEPALIVE, b"", 19)
    assert take(data[:-1], 19, LENGTH) is None


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**128 - 1), st.integers(0, 128))
def test_prefixes_survive_the_wire(v4: int, length4: int, v6: int, length6: int) -> None:
    """Prefix to key and back is the identity."""
    for prefix in (ip_network((v4, length4), strict=False), ip_network((v6, length6), strict=False)):
        assert from_wire(destination(prefix)) == prefix


_ases = st.integers(1, 2**32 - 1)
attributes = st.builds(
    Attributes,
    origin=st.sampled_from(Origin),
    as_path=st.lists(
        st.builds(Segment, st.sampled_from(SegmentKind), st.lists(_ases, min_size=1, max_size=5).map(tuple)), max_size=3
    ).map(tuple),
    med=st.none() | st.integers(0, 2**32 - 1),
    local_pref=st.integers(0, 2**32 - 1),
    communities=st.lists(st.integers(0, 2**32 - 1), max_size=100).map(tuple),
    originator_id=st.none() | st.binary(min_size=4, max_size=4),
    cluster_list=st.lists(st.binary(min_size=4, max_size=4), max_size=3).map(tuple),
    large_communities=st.lists(st.tuples(_ases, _ases, _ases), max_size=3).map(tuple),
    others=st.sampled_from([(), (RawAttribute(0xC0, 16, bytes(8)),), (RawAttribute(0xE0, 99, b"abc"),)]),
)
v4_prefixes = st.lists(
    st.builds(
        lambda bits, length: to_wire(ip_network((bits, length), strict=False)),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    ),
    min_size=1,
    max_size=60,
)


@given(attributes, v4_prefixes)
def test_updates_survive_the_wire(value: Attributes, prefixes: list[bytes]) -> None:
    """Any attributes and prefixes come back as they went."""
    update = UpdateDecoder(BOTH).decode(body(next(announce(IPV4_UNICAST, value.encode(HOP), HOP, prefixes))))

    assert update.attributes == value
    assert update.announced == [(IPV4_UNICAST, HOP, prefixes)]


@given(attributes)
def test_a_two_octet_session_keeps_the_path(value: Attributes) -> None:
    """AS_TRANS and AS4_PATH together give the whole path again (RFC 6793)."""
    decoder = UpdateDecoder(Context(four_octet_as=False))
    data = next(announce(IPV4_UNICAST, value.encode(HOP, four_octet_as=False), HOP, [b"\0"]))

    assert decoder.decode(body(data)).attributes.as_path == value.as_path


def test_many_prefixes_are_cut_into_messages() -> None:
    """No message is over the limit and no prefix is lost."""
    prefixes = [to_wire(ip_network((0x0A000000 + 64 * index, 26))) for index in range(5000)]
    messages = list(announce(IPV4_UNICAST, Attributes(local_pref=1).encode(HOP), HOP, prefixes))
    decoder = UpdateDecoder(BOTH)

    assert max(map(len, messages)) <= LENGTH
    assert len(messages) == 7
    assert [wire for data in messages for wire in decoder.decode(body(data)).announced[0].prefixes] == prefixes


def test_attributes_that_fill_a_message() -> None:
    """Attributes that leave no room are an error, not an endless loop."""
    with pytest.raises(TooLarge):
        list(announce(IPV4_UNICAST, bytes(4080), HOP, [b"\0"]))


def test_host_bits_are_cleared() -> None:
    """Bits after the length are noise: the key is canonical."""
    data = Attributes(local_pref=1).encode(HOP)
    raw = b"\0\0" + len(data).to_bytes(2, "big") + data + bytes((26, 10, 48, 0, 0x7F))

    assert UpdateDecoder(BOTH).decode(raw).announced[0].prefixes == [bytes((26, 10, 48, 0, 0x40))]
