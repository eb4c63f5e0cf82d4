"""Ports, protocols, durations, peers' addresses: what is read, what is refused, how it is printed."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.resources import dump, load
from muslin.resources.bgp_peer import PeerAddress, parse_peer_address
from muslin.resources.durations import Duration, parse_duration
from muslin.resources.ports import NamedPort, PortRange, parse_port, print_port
from muslin.resources.protocols import Protocol, parse_protocol, print_protocol

from .builders import manifest


@pytest.mark.parametrize(
    ("written", "value", "printed"),
    [
        (80, PortRange(80, 80), 80),
        ("80", PortRange(80, 80), 80),
        ("0080", PortRange(80, 80), 80),
        ("8000:8099", PortRange(8000, 8099), "8000:8099"),
        ("80:80", PortRange(80, 80), 80),
        ("http-alt", NamedPort("http-alt"), "http-alt"),
    ],
)
def test_ports_are_numbers_ranges_or_names(written: Any, value: Any, printed: Any) -> None:
    """A single port prints as a number, whatever way it was written."""
    assert parse_port(written) == value
    assert print_port(value) == printed


@pytest.mark.parametrize(
    "written", [0, 65536, -1, "0:456", "9:8", "1:99999999999999", "a b", "", True, None, 1.5, "x" * 129]
)
def test_what_is_no_port_is_refused(written: Any) -> None:
    """Zero, reversed ranges, blanks in names and other types are not ports."""
    with pytest.raises(ValueError, match=r"."):
        parse_port(written)


@pytest.mark.parametrize(
    ("written", "number", "name", "printed"),
    [
        ("TCP", 6, "TCP", "TCP"),
        (6, 6, "TCP", 6),
        ("17", 17, "UDP", 17),
        ("ICMPv6", 58, "ICMPv6", "ICMPv6"),
        (99, 99, None, 99),
    ],
)
def test_protocols_have_number_and_name(written: Any, number: int, name: str | None, printed: Any) -> None:
    """Names print as names, numbers as numbers, and both are the same protocol."""
    protocol = parse_protocol(written)

    assert (protocol.number, protocol.name, print_protocol(protocol)) == (number, name, printed)
    assert protocol == Protocol(number)
    assert hash(protocol) == hash(Protocol(number))


@pytest.mark.parametrize("written", ["tcp", "jolly-UDP", 0, 256, "999", "", True, None, 6.0])
def test_what_is_no_protocol_is_refused(written: Any) -> None:
    """Names are exact, numbers are 1 to 255."""
    with pytest.raises(ValueError, match="is not a protocol"):
        parse_protocol(written)


@pytest.mark.parametrize(
    ("written", "seconds", "printed"),
    [
        ("90s", 90, "1m30s"),
        ("1h", 3600, "1h0m0s"),
        ("1m30.5s", 90.5, "1m30.5s"),
        ("200ms", 0.2, "200ms"),
        ("1500us", 0.0015, "1.5ms"),
        ("0", 0, "0s"),
        ("-5s", -5, "-5s"),
    ],
)
def test_durations_print_as_go_prints_them(written: str, seconds: float, printed: str) -> None:
    """The same length of time always has the same text."""
    duration = parse_duration(written)

    assert duration.seconds == seconds
    assert str(duration) == printed
    assert parse_duration(printed) == duration


@pytest.mark.parametrize("written", ["", "5", "s", "5 s", "5d", "9" * 50 + "h", 6, None])
def test_what_is_no_duration_is_refused(written: Any) -> None:
    """A number needs a unit, and the whole must fit."""
    with pytest.raises(ValueError, match=r"duration|too long"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("written", "port"),
    [("192.0.2.1", None), ("192.0.2.1:1790", 1790), ("2001:db8::1", None), ("[2001:db8::1]:1790", 1790)],
)
def test_addresses_of_peers_may_have_a_port(written: str, port: int | None) -> None:
    """Both families, with and without a port; printed as written."""
    address = parse_peer_address(written)

    assert address.port == port
    assert str(address) == written


@pytest.mark.parametrize("written", ["192.0.2.1:0", "192.0.2.1:65536", "router.example.org", "[192.0.2.1", 7])
def test_what_is_no_address_of_a_peer_is_refused(written: Any) -> None:
    """Names are not resolved, ports are 1 to 65535."""
    with pytest.raises(ValueError, match=r"."):
        parse_peer_address(written)


def test_fields_become_values_of_the_field() -> None:
    """AS numbers, cluster ids and addresses are read into their types and printed canonically."""
    node = manifest(
        "Node",
        {"bgp": {"asNumber": "1.10", "ipv4Address": "192.0.2.7/24", "routeReflectorClusterID": "192.0.2.250"}},
    )

    assert dump(load(node))["spec"]["bgp"] == {
        "asNumber": 65546,
        "ipv4Address": "192.0.2.7/24",
        "routeReflectorClusterID": "192.0.2.250",
    }


def test_durations_are_ordered_values() -> None:
    """Durations compare by length."""
    assert Duration(1) < Duration(2)
    assert PeerAddress(parse_peer_address("192.0.2.1").address) == parse_peer_address("192.0.2.1")
