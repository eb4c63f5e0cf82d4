"""Prefixes, addresses, AS numbers, ids and MAC addresses: one reader and one printed form each."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.net import (
    AsNumber,
    ClusterId,
    Mac,
    RouterId,
    parse_address,
    parse_interface_address,
    parse_prefix,
)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_prefixes_print_canonically(text: str, printed: str) -> None:
    """A bare address is its own prefix; IPv6 is printed short and in lower case."""
    assert str(parse_prefix(text)) == printed


def test_host_bits_are_told_with_the_network_that_was_meant() -> None:
    """A prefix with host bits is refused, or read as its network where the field allows it."""
    with pytest.raises(ValueError, match=r"host bits set; 192\.0\.2\.0/24 is the network"):
        parse_prefix("192.0.2.7/24")

    assert str(parse_prefix("192.0.2.7/24", strict=False)) == "192.0.2.0/24"


@pytest.mark.parametrize("text", ["", "192.0.2.0/33", "192.0.2/24", "example.org", "2001:db8::/129", "192.0.2.256"])
def test_what_is_no_prefix_is_named(text: str) -> None:
    """The message repeats what was written; no name is looked up."""
    with pytest.raises(ValueError, match="is not a prefix"):
        parse_prefix(text)


@pytest.mark.parametrize(
    "text", ["192.0.2.0/255.255.255.0", "192.0.2.0/0.0.0.255", "192.0.2.0/", "2001:db8::%eth0/64", "fe80::1%eth0"]
)
def test_masks_and_zones_are_refused(text: str) -> None:
    """Calico reads lengths only, and no zones; what the standard library makes of the others is nobody's meaning."""
    for parse in (parse_address, parse_prefix, parse_interface_address):
        with pytest.raises(ValueError, match=re.escape(f"{text!r} is not a")):
            parse(text)


def test_addresses_have_no_length_and_interface_addresses_keep_theirs() -> None:
    """The three forms of an address are three types."""
    assert str(parse_address("2001:DB8::1")) == "2001:db8::1"
    assert str(parse_interface_address("192.0.2.7/24")) == "192.0.2.7/24"
    with pytest.raises(ValueError, match="is not an IP address"):
        parse_address("192.0.2.0/24")
    with pytest.raises(ValueError, match="is not an address with length"):
        parse_interface_address("192.0.2.7/x")


@given(st.integers(0, 0xFFFFFFFF))
def test_as_numbers_read_plain_and_dotted(number: int) -> None:
    """Both notations of RFC 5396 give the same number, which prints plainly."""
    dotted = f"{number >> 16}.{number & 0xFFFF}"

    assert AsNumber(str(number)) == AsNumber(dotted) == AsNumber(number) == number
    assert str(AsNumber(dotted)) == str(number)


@pytest.mark.parametrize(
    "text", ["", "-1", "4294967296", "1.65536", "65536.1", "1.", ".1", "1.2.3", "AS64496", "٣", " 1"]
)
def test_what_is_no_as_number_is_refused(text: str) -> None:
    """Only ASCII digits, and only within 32 bits."""
    with pytest.raises(ValueError, match="is not an AS number"):
        AsNumber(text)


def test_ids_are_four_octets() -> None:
    """A router id must not be zero (RFC 6286); a cluster id may be any four octets."""
    assert str(RouterId("192.0.2.1")) == "192.0.2.1"
    assert str(ClusterId("0.0.0.0")) == "0.0.0.0"
    with pytest.raises(ValueError, match=r"must not be 0\.0\.0\.0"):
        RouterId("0.0.0.0")
    with pytest.raises(ValueError, match=r"300"):
        ClusterId("192.0.2.300")


@given(st.binary(min_size=6, max_size=6))
def test_mac_addresses_print_in_one_form(octets: bytes) -> None:
    """Octets, colons, dashes and capitals give the same lower-case text with colons."""
    mac = Mac(octets)

    assert mac.packed == octets
    assert Mac(mac.upper().replace(":", "-")) == mac == octets.hex(":")


@pytest.mark.parametrize("value", ["", "ee:ee:ee:ee:ee", "ee:ee:ee:ee:ee:gg", "eeeeeeeeeeee", b"12345"])
def test_what_is_no_mac_address_is_refused(value: str | bytes) -> None:
    """48 bits, written in pairs."""
    with pytest.raises(ValueError, match="MAC address"):
        Mac(value)
