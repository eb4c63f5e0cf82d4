"""Kinds of settings: what a text means for each of them, and what `none` makes of them.

A kind reads one text and gives a value of the field, or raises ValueError with what is wrong. Blanks count: only lists
take them off around their items, as the reference does.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from muslin.net import Address, parse_address
from muslin.resources.durations import Duration, parse_duration
from muslin.resources.felix_patterns import Pattern, parse_pattern
from muslin.resources.frozen import FrozenDict
from muslin.resources.names import LABEL
from muslin.semantics.felix_numbers import (
    NumericPorts,
    duration,
    integer,
    mark,
    numeric_ports,
    prefix,
    protocol_port,
    table_range,
    table_ranges,
)

__all__ = [
    "AUTHORITY", "BOOL", "CIDR_LIST", "DSCP", "DSCP_NAMES", "ENDPOINT_LIST", "EXECUTABLE", "EXISTING_FILE",
    "FILE", "HOSTNAME", "HOST_ADDRESS", "IFACE_FILTERS", "IFACE_LIST", "IFACE_PARAM", "IFACE_PATTERNS", "INT", "IPV4",
    "IPV6", "KEY_DURATIONS", "KEY_VALUES", "LOG_RATE", "MARK", "MILLIS", "OPTIONAL_BOOL", "PATTERN", "PORTS",
    "PORT_RANGE", "PORT_RANGES", "REGION", "SECONDS", "STRING", "TABLE_RANGE", "TABLE_RANGES", "FileUse", "Kind",
    "at_least", "between", "like", "list_of", "one_of",
]  # fmt: skip

_Parse: TypeAlias = Callable[[str], Any]


class FileUse(enum.Enum):
    """What must be there for a value that names a file."""

    EXISTS = "exists"
    EXECUTABLE = "executable"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value.

    Attributes:
        name: for people and documentation.
        parse: the value of a text; raises ValueError.
        zero: what `none` gives, and what a setting without a default is.
        file: what must be there of the file that the value names, None for other kinds.
    """

    name: str
    parse: _Parse
    zero: Any
    file: FileUse | None = None


_TRUE: Final = frozenset({"true", "1", "yes", "y", "t"})
_FALSE: Final = frozenset({"false", "0", "no", "n", "f"})
_LONGEST_REGION: Final = 47
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def _bool(text: str) -> bool:
    folded = text.lower()
    if folded not in _TRUE | _FALSE:
        raise ValueError("it is neither true nor false")
    return folded in _TRUE


def like(pattern: str, what: str) -> _Parse:
    """Reads text that this pattern matches as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def parse(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(f"it is not {what}")
        return text

    return parse


def list_of(name: str, parse: Callable[[str], Any]) -> Kind:
    """Lists with commas: blanks around items do not count, empty items neither."""
    return Kind(name, lambda text: tuple(parse(each) for item in text.split(",") if (each := item.strip(" "))), ())


def _address(version: int) -> Callable[[str], Address]:
    def parse(text: str) -> Address:
        address = parse_address(text)
        if isinstance(address, IPv6Address):
            if address.scope_id is not None:
                raise ValueError(f"{text!r} names a link")
            address = address.ipv4_mapped or address
        if address.version != version:
            raise ValueError(f"not an IPv{version} address")
        return address

    return parse


_PAIR = re.compile(r"\s*(\w+)=(.*)", re.ASCII)


def _key_values(text: str) -> Mapping[str, str]:
    if not text.strip():
        return FrozenDict()
    pairs = {}
    for item in filter(None, text.split(",")):
        found = _PAIR.search(item)
        if found is None:
            raise ValueError(f"{item!r} is not key=value")
        pairs[found.group(1)] = found.group(2)
    return FrozenDict(pairs)


def _key_durations(text: str) -> Mapping[str, Duration]:
    return FrozenDict({key: parse_duration(value.strip()) for key, value in _key_values(text).items()})


_IN_SLASHES = re.compile(r"/[^\t\n\f\r ]+/", re.ASCII)
_PLAIN_NAME = re.compile(r"[a-zA-Z0-9_-]{1,15}", re.ASCII)


def _interface_pattern(item: str) -> Pattern:
    if _IN_SLASHES.fullmatch(item):
        return parse_pattern(item[1:-1])
    if _PLAIN_NAME.fullmatch(item):
        return parse_pattern(f"^{item}$")
    raise ValueError(f"{item!r} is neither an interface name nor /a regular expression/")


def _region(text: str) -> str:
    if len(text) > _LONGEST_REGION:
        raise ValueError(f"the value of OpenstackRegion must be {_LONGEST_REGION} chars or fewer")
    if re.fullmatch(LABEL, text) is None:
        raise ValueError("the value of OpenstackRegion must be a valid DNS label")
    return text


_ENDPOINT = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://((?:\[[0-9a-fA-F:.]+\]|[^\s/?#@:\[\]\\\"<>^`{|}%]*)(?::\d*)?)/?")


def _endpoint(item: str) -> str:
    found = _ENDPOINT.fullmatch(item)
    if found is None:
        raise ValueError(f"{item!r} is not http(s)://hostname:port")
    return f"{found.group(1).lower()}://{found.group(2)}/"


DSCP_NAMES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "DF": 0, "EF": 46,
        **{f"AF{major}{minor}": 8 * major + 2 * minor for major in range(1, 5) for minor in range(1, 4)},
        **{f"CS{number}": 8 * number for number in range(7)},
    }
)  # fmt: skip
"""Mapping[name of a class of traffic, its six bits]. Source: RFC 2474, RFC 2597, RFC 3246."""


def _dscp(text: str) -> int | str:
    if text.upper() in DSCP_NAMES:
        return text.upper()
    if re.fullmatch(r"\d{1,20}", text, re.ASCII) is None or int(text) > 63:
        raise ValueError("DSCP must be between 0 and 63, or a name such as AF11")
    return int(text)


def between(low: int, high: int) -> Kind:
    """Whole numbers of a range, both ends included."""
    return Kind(f"whole number from {low} to {high}", lambda text: integer(text, low, high), 0)


def at_least(low: int) -> Kind:
    """Whole numbers from here on."""
    return Kind(f"whole number, at least {low}", lambda text: integer(text, low, _LARGEST), 0)


def one_of(*words: str) -> Kind:
    """One of these words in any case; the value is the word as it stands here."""
    canonical = {word.lower(): word for word in words}

    def parse(text: str) -> str:
        found = canonical.get(text.lower())
        if found is None:
            raise ValueError(f"it is none of {', '.join(words)}")
        return found

    return Kind(f"one of {', '.join(words)}", parse, "")


def _seconds(text: str) -> Duration:
    return duration(text, 10**9)


def _millis(text: str) -> Duration:
    return duration(text, 10**6)


_TEXT = like(r"[^\n]*", "one line")

BOOL = Kind("true or false", _bool, zero=False)
OPTIONAL_BOOL = Kind("true, false or unset", _bool, None)
INT = Kind("whole number", lambda text: integer(text, _SMALLEST, _LARGEST), 0)
SECONDS = Kind("seconds, with a fraction if need be", _seconds, Duration(0))
MILLIS = Kind("milliseconds, with a fraction if need be", _millis, Duration(0))
STRING = Kind("text", _TEXT, "")
FILE = Kind("path", str, "")
EXISTING_FILE = Kind("path of a file that exists", str, "", FileUse.EXISTS)
EXECUTABLE = Kind("program", str, "", FileUse.EXECUTABLE)
HOSTNAME = Kind("host name", like(r"[a-zA-Z0-9_.-]+", "a host name"), "")
HOST_ADDRESS = Kind("host name or address", like(r"[a-zA-Z0-9:._+-]{1,64}", "a host name or address"), "")
AUTHORITY = Kind("host:port", like(r"[^:/]+:\d+", "host:port"), "")
REGION = Kind("OpenStack region", _region, "")
LOG_RATE = Kind(
    "number/second, minute, hour or day",
    like(r"([1-9]\d{0,3}/(second|minute|hour|day))?", "a rate such as 10/minute"),
    "",
)
IFACE_LIST = Kind(
    "names of interfaces with commas", like(r"[a-zA-Z0-9_-]{1,15}(,[a-zA-Z0-9_-]{1,15})*", "names of interfaces"), ""
)
_FILTER = like(r"[a-zA-Z0-9:._+-]{1,15}", "an interface, or its beginning and '+'")
IFACE_PARAM = Kind("interface", _FILTER, "")
IFACE_FILTERS = list_of("interfaces with commas, '+' at the end for any rest", _FILTER)
IFACE_PATTERNS = Kind(
    "interfaces and /regular expressions/ with commas",
    lambda text: tuple(_interface_pattern(item) for item in text.split(",")),
    (),
)
PATTERN = Kind("regular expression", parse_pattern, None)
IPV4 = Kind("IPv4 address", _address(4), None)
IPV6 = Kind("IPv6 address", _address(6), None)
CIDR_LIST = list_of("prefixes and addresses with commas", prefix)
ENDPOINT_LIST = list_of("http(s)://host:port with commas", _endpoint)
PORTS = list_of("ports with protocol and prefix, with commas", protocol_port)
PORT_RANGE = Kind("port or range a:b", numeric_ports, NumericPorts())
PORT_RANGES = Kind(
    "ports and ranges a:b with commas", lambda text: tuple(numeric_ports(item) for item in text.split(",")), ()
)
MARK = Kind("bit mask of 32 bits, two or more of them set", mark, 0)
KEY_VALUES = Kind("key=value with commas", _key_values, FrozenDict())
KEY_DURATIONS = Kind("key=duration with commas", _key_durations, FrozenDict())
TABLE_RANGE = Kind("range a-b of routing tables within 1-250", table_range, (0, 0))
TABLE_RANGES = Kind("ranges a-b of routing tables", table_ranges, ())
DSCP = Kind("0 to 63, or a name such as AF11", _dscp, 0)
