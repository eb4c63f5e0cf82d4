"""What a text means for each kind of setting: boundaries, capitals, blanks, units, lists."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.resources.durations import Duration
from muslin.semantics.felix_kinds import (
    AUTHORITY,
    BOOL,
    CIDR_LIST,
    DSCP,
    ENDPOINT_LIST,
    HOST_ADDRESS,
    IFACE_FILTERS,
    IFACE_LIST,
    IFACE_PATTERNS,
    INT,
    IPV4,
    IPV6,
    KEY_DURATIONS,
    KEY_VALUES,
    LOG_RATE,
    MARK,
    MILLIS,
    OPTIONAL_BOOL,
    PORT_RANGE,
    PORT_RANGES,
    PORTS,
    REGION,
    SECONDS,
    STRING,
    TABLE_RANGE,
    TABLE_RANGES,
    Kind,
    between,
    one_of,
)
from muslin.semantics.felix_numbers import FailsafePort, NumericPorts
from muslin.semantics.felix_parameters import PARAMETERS

_NET4, _NET6 = ip_network("198.51.100.0/24"), ip_network("2001:db8::/32")
_WORDS = one_of("Enabled", "DoNothing", "off")

_MEANT: list[tuple[Kind, str, Any]] = [
    *((BOOL, text, True) for text in ("true", "TRUE", "1", "yes", "Y", "t")),
    *((OPTIONAL_BOOL, text, False) for text in ("false", "0", "No", "n", "F")),
    (INT, "0x10", 16),
    (INT, "0o17", 15),
    (INT, "017", 15),
    (INT, "0b101", 5),
    (INT, "1_000", 1000),
    (INT, "+5", 5),
    (INT, "-0x1", -1),
    (INT, "9223372036854775807", 2**63 - 1),
    (INT, "-9223372036854775808", -(2**63)),
    (INT, "0", 0),
    (between(1, 3000), "1", 1),
    (between(1, 3000), "3000", 3000),
    (between(0, 65535), "0xffff", 65535),
    (SECONDS, "1.5", Duration(1_500_000_000)),
    (SECONDS, "1e3", Duration(1000 * 10**9)),
    (SECONDS, ".5", Duration(5 * 10**8)),
    (SECONDS, "-1", Duration(-(10**9))),
    (SECONDS, "0x1p-1", Duration(5 * 10**8)),
    (SECONDS, "0.29", Duration(290_000_000)),
    (SECONDS, "1e-400", Duration(0)),
    (MILLIS, "1.5", Duration(1_500_000)),
    (MILLIS, "5.", Duration(5_000_000)),
    (STRING, " as it is ", " as it is "),
    (HOST_ADDRESS, "2001:db8::1", "2001:db8::1"),
    (HOST_ADDRESS, "a" * 64, "a" * 64),
    (AUTHORITY, "h:1", "h:1"),
    (REGION, "region-1", "region-1"),
    (REGION, "r" * 47, "r" * 47),
    (LOG_RATE, "9999/day", "9999/day"),
    (LOG_RATE, "", ""),
    (IFACE_LIST, "cali,tap", "cali,tap"),
    (IFACE_FILTERS, " docker+ ,, eth0", ("docker+", "eth0")),
    (IFACE_FILTERS, "", ()),
    (IPV4, "192.0.2.1", ip_address("192.0.2.1")),
    (IPV4, "::ffff:192.0.2.1", ip_address("192.0.2.1")),
    (IPV6, "2001:db8::1", ip_address("2001:db8::1")),
    (CIDR_LIST, "198.51.100.7/24, 2001:db8::/32,", (_NET4, _NET6)),
    (CIDR_LIST, "192.0.2.1", (ip_network("192.0.2.1/32"),)),
    (ENDPOINT_LIST, " https://h:1 ,http://192.0.2.1/", ("https://h:1/", "http://192.0.2.1/")),
    (ENDPOINT_LIST, "HTTP://[2001:db8::1]:2379", ("http://[2001:db8::1]:2379/",)),
    (PORTS, "22", (FailsafePort("tcp", 22),)),
    (PORTS, "UDP:0, tcp:65535", (FailsafePort("udp", 0), FailsafePort("tcp", 65535))),
    (PORTS, "tcp:198.51.100.9/24:1", (FailsafePort("tcp", 1, _NET4),)),
    (PORTS, "udp:[2001:db8::/32]:2", (FailsafePort("udp", 2, _NET6),)),
    (PORTS, "tcp::3", (FailsafePort("tcp", 3),)),
    (PORT_RANGE, "0", NumericPorts()),
    (PORT_RANGE, "1:65535", NumericPorts(1, 65535)),
    (PORT_RANGES, "1:2,3", (NumericPorts(1, 2), NumericPorts(3, 3))),
    (MARK, "0xffff0000", 0xFFFF0000),
    (MARK, "3", 3),
    (MARK, "4294967295", 0xFFFFFFFF),
    (KEY_VALUES, "", {}),
    (KEY_VALUES, "  ", {}),
    (KEY_VALUES, " a=b,, c = d=e ".replace("c =", "c="), {"a": "b", "c": " d=e "}),
    (KEY_DURATIONS, "a=90s,b= 0 ", {"a": Duration(90 * 10**9), "b": Duration(0)}),
    (TABLE_RANGE, "1-250", (1, 250)),
    (TABLE_RANGES, "1-2 7-7;65000-65001", ((1, 2), (7, 7), (65000, 65001))),
    (TABLE_RANGES, "1-65535", ((1, 65535),)),
    (TABLE_RANGES, "4294967295-4294967295", ((0xFFFFFFFF, 0xFFFFFFFF),)),
    (DSCP, "63", 63),
    (DSCP, "af11", "AF11"),
    (DSCP, "EF", "EF"),
    (_WORDS, "donothing", "DoNothing"),
    (_WORDS, "OFF", "off"),
]

_REFUSED: list[tuple[Kind, str]] = [
    *((BOOL, text) for text in (" true", "on", "2", "Enabled")),
    *((INT, text) for text in ("", " 1", "1.0", "0x", "08", "1__0", "_1", "1_", "9223372036854775808", "٣", "1e3")),
    (between(1, 3000), "0"),
    (between(1, 3000), "3001"),
    (between(0, 65535), "-1"),
    *((SECONDS, text) for text in ("", "1s", "0x10", "inf", "nan", "9999999999", "1e999", "1e99999999999", "1_", " 1")),
    (STRING, "two\nlines"),
    (HOST_ADDRESS, "a" * 65),
    (HOST_ADDRESS, "a b"),
    (AUTHORITY, "h"),
    (AUTHORITY, "2001:db8::1:1"),
    (REGION, "Region"),
    (REGION, "r" * 48),
    (REGION, "-r"),
    (LOG_RATE, "0/day"),
    (LOG_RATE, "10000/day"),
    (LOG_RATE, "1/week"),
    (IFACE_LIST, "a.b"),
    (IFACE_LIST, "a,"),
    (IFACE_LIST, "a" * 16),
    (IFACE_FILTERS, "a b"),
    (IFACE_PATTERNS, "a.b"),
    (IFACE_PATTERNS, "/a b/"),
    (IFACE_PATTERNS, "/[/"),
    (IFACE_PATTERNS, "a,"),
    (IFACE_PATTERNS, "//"),
    (IPV4, " "),
    (IPV4, "2001:db8::1"),
    (IPV4, "192.0.2.01"),
    (IPV6, "192.0.2.1"),
    (IPV6, "fe80::1%eth0"),
    (IPV6, "::ffff:192.0.2.1"),
    (CIDR_LIST, "198.51.100.0/33"),
    (CIDR_LIST, "198.51.100.0/255.255.255.0"),
    (CIDR_LIST, "x"),
    (CIDR_LIST, "fe80::1%e/64"),
    (ENDPOINT_LIST, "h:1"),
    (ENDPOINT_LIST, "http://u@h:1"),
    (ENDPOINT_LIST, "http://h:1/path"),
    (ENDPOINT_LIST, "http://h:1?q"),
    (PORTS, "sctp:1"),
    (PORTS, "65536"),
    (PORTS, "-1"),
    (PORTS, "0x16"),
    (PORTS, "tcp:x:1"),
    (PORTS, "tcp:[2001:db8::/32]1"),
    (PORTS, "tcp:198.51.100.0/24:1:2"),
    (PORTS, "tcp: 22"),
    (PORT_RANGE, "http"),
    (PORT_RANGE, "2:1"),
    (PORT_RANGE, "65536"),
    (PORT_RANGE, ""),
    (PORT_RANGES, "1, 2"),
    (PORT_RANGES, "1,"),
    (MARK, "1"),
    (MARK, "0"),
    (MARK, "-1"),
    (MARK, "+3"),
    (MARK, "0x1ffffffff"),
    (KEY_VALUES, "a"),
    (KEY_VALUES, "a=b, "),
    (KEY_DURATIONS, "a=90"),
    (KEY_DURATIONS, "a="),
    (TABLE_RANGE, "0-1"),
    (TABLE_RANGE, "1-251"),
    (TABLE_RANGE, "2-1"),
    (TABLE_RANGE, "1"),
    (TABLE_RANGE, " 1-2"),
    (TABLE_RANGES, "0-1"),
    (TABLE_RANGES, "2-1"),
    (TABLE_RANGES, "1-65536"),
    (TABLE_RANGES, "1-40000,50000-90000"),
    (TABLE_RANGES, "4294967295-4294967296"),
    (TABLE_RANGES, "1,2"),
    (TABLE_RANGES, "1-99999999999999999999999"),
    (DSCP, "64"),
    (DSCP, "-1"),
    (DSCP, "AF14"),
    (DSCP, "CS7"),
    (DSCP, " 1"),
    (_WORDS, ""),
    (_WORDS, " off"),
    (_WORDS, "enable"),
]


@pytest.mark.parametrize(("kind", "text", "value"), _MEANT)
def test_a_text_means_its_value(kind: Kind, text: str, value: object) -> None:
    """Each form that the reference reads gives the value it means."""
    assert value == kind.parse(text)


@pytest.mark.parametrize(("kind", "text"), _REFUSED)
def test_other_texts_are_refused(kind: Kind, text: str) -> None:
    """What is just outside is refused, with a sentence."""
    with pytest.raises(ValueError, match=r"\w"):
        kind.parse(text)


def test_patterns_of_interfaces_are_names_or_in_slashes() -> None:
    """A plain name stands for itself alone, a pattern for whatever it finds."""
    name, pattern = IFACE_PATTERNS.parse("veth1,/^kube/")

    assert [name.text, pattern.text] == ["^veth1$", "^kube"]
    assert (name.matches("veth1"), name.matches("veth12"), pattern.matches("kube-x")) == (True, False, True)


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_are_read_in_every_base(number: int) -> None:
    """Decimal, hexadecimal, octal and binary forms of a number are that number."""
    sign, size = ("-" if number < 0 else ""), abs(number)

    assert {number} == {INT.parse(f"{sign}{form}") for form in (size, hex(size), oct(size), bin(size), f"0{size:o}")}


@given(st.integers(-(10**12), 10**12))
def test_a_duration_is_exact_to_the_millisecond(milliseconds: int) -> None:
    """Seconds with three digits behind the point, and milliseconds, give the same length."""
    sign, size = ("-" if milliseconds < 0 else ""), abs(milliseconds)
    text = f"{sign}{size // 1000}.{size % 1000:03d}"
    if abs(milliseconds) < 9 * 10**9:
        assert Duration(milliseconds * 10**6) == SECONDS.parse(text) == MILLIS.parse(str(milliseconds))


@given(
    st.lists(st.tuples(st.sampled_from(["tcp", "udp"]), st.integers(0, 65535), st.sampled_from([None, _NET4, _NET6])))
)
def test_ports_are_read_as_they_are_written(ports: list[tuple[str, int, Any]]) -> None:
    """A list of ports in its written form is that list."""
    nets = {None: "", _NET4: f"{_NET4}:", _NET6: f"[{_NET6}]:"}
    text = ",".join(f"{protocol}:{nets[net]}{port}" for protocol, port, net in ports)

    assert tuple(FailsafePort(protocol, port, net) for protocol, port, net in ports) == PORTS.parse(text)


@given(st.sampled_from(sorted(PARAMETERS)), st.text(max_size=20))
def test_any_text_is_a_value_or_refused(name: str, text: str) -> None:
    """No text ends in another error, and a value can be compared and hashed."""
    try:
        value = PARAMETERS[name].kind.parse(text)
    except ValueError:
        return
    assert hash(value) == hash(value)


def test_every_default_is_of_its_kind() -> None:
    """The default's text means the default, in whatever capitals for words."""
    for parameter in PARAMETERS.values():
        if parameter.default_text:
            assert parameter.default == parameter.kind.parse(parameter.default_text)
        else:
            assert parameter.default == parameter.kind.zero
