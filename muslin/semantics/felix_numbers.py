"""Numbers, durations and ports as Felix reads them from text: Go's spelling, nothing around them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_network
from typing import Final

from muslin.net import Prefix
from muslin.resources.durations import Duration

__all__ = [
    "FailsafePort", "NumericPorts", "duration", "integer", "mark", "numeric_ports", "prefix", "protocol_port",
    "table_range", "table_ranges",
]  # fmt: skip

MOST_TABLES: Final = 0xFFFF
HIGHEST_TABLE: Final = 0xFFFFFFFF
MAX_PORT: Final = 0xFFFF
_FEWEST_MARK_BITS = 2

_INTEGER = re.compile(
    r"([+-]?)(?:0[xX]((?:_?[0-9a-fA-F])+)|0[bB]((?:_?[01])+)|0[oO]?((?:_?[0-7])+)|(0|[1-9](?:_?[0-9])*))", re.ASCII
)
_DECIMAL = re.compile(r"[+-]?(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?", re.ASCII)
_HEXADECIMAL = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?\d+", re.ASCII)
_PORTS = re.compile(r"(\d+)(?::(\d+))?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+", re.ASCII)
_TABLES = re.compile(r"(\d+)-(\d+)", re.ASCII)
_PREFIX = re.compile(r"[0-9a-fA-F:.]+(?:/[0-9]{1,3})?", re.ASCII)


def integer(text: str, low: int, high: int) -> int:
    """A whole number in any of Go's bases: `16`, `0x10`, `0o20`, `020`, `0b1_0000`.

    Raises ValueError for anything else, and for what is below `low` or above `high`.
    """
    found = _INTEGER.fullmatch(text)
    if found is None:
        raise ValueError("it is not a whole number")
    sign, *digits = found.groups()
    base, number = next((base, each) for base, each in zip((16, 2, 8, 10), digits, strict=True) if each)
    if len(number) > 2 * 64:
        raise ValueError("it has too many digits")
    value = int(number.replace("_", ""), base) * (-1 if sign == "-" else 1)
    if value < low:
        raise ValueError(f"it must be at least {low}")
    if value > high:
        raise ValueError(f"it must be at most {high}")
    return value


def duration(text: str, unit_ns: int) -> Duration:
    """A length of time from a number of units, with a fraction if need be: `1.5`, `1e3`.

    Infinite and longer ones than 292 years are refused; the reference computes an accidental number from them.
    """
    if _DECIMAL.fullmatch(text):
        number = float(text)
    elif _HEXADECIMAL.fullmatch(text):
        try:
            number = float.fromhex(text)
        except OverflowError:
            number = math.inf
    else:
        raise ValueError("it is not a number")
    if not abs(number * unit_ns) < 2**63:
        raise ValueError("it is too long: at most about 292 years")
    exact = Decimal(text.replace("_", "")) if number and _DECIMAL.fullmatch(text) else Decimal(number)
    return Duration(int(exact * unit_ns))


def mark(text: str) -> int:
    """Bits of a packet mark. Raises ValueError unless 32 bits hold it and at least two are set."""
    if text[:1] in {"+", "-"}:
        raise ValueError("it is not a bit mask such as 0xffff0000")
    value = integer(text, 0, 0xFFFFFFFF)
    if value.bit_count() < _FEWEST_MARK_BITS:
        raise ValueError(f"at least {_FEWEST_MARK_BITS} bits must be set")
    return value


@dataclass(frozen=True, slots=True)
class NumericPorts:
    """Ports `first` to `last`, both included and 0 allowed; 0 to 0 means none was given."""

    first: int = 0
    last: int = 0

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}:{self.last}"


def numeric_ports(text: str) -> NumericPorts:
    """A port or range `a:b`. Raises ValueError, also for a port's name."""
    found = _PORTS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a port or range such as 30000:32767")
    first, last = _port(found.group(1)), _port(found.group(2) or found.group(1))
    if first > last:
        raise ValueError(f"minimum port number ({first}) is greater than maximum port number ({last}) in port range")
    return NumericPorts(first, last)


def _port(digits: str) -> int:
    if len(digits.lstrip("0")) > len(str(MAX_PORT)) or int(digits) > MAX_PORT:
        raise ValueError("ports must be in range 0-65535")
    return int(digits)


@dataclass(frozen=True, slots=True)
class FailsafePort:
    """A port that stays open whatever policy says; `net` None means for everybody."""

    protocol: str
    port: int
    net: Prefix | None = None


def protocol_port(text: str) -> FailsafePort:
    """`tcp:198.51.100.0/24:22`, `udp:[2001:db8::/32]:53`, `udp:53` or `22`, which is TCP. Raises ValueError."""
    net: Prefix | None = None
    if "[" in text and "]" in text:
        before, _, rest = text.partition("[")
        inside, closed, after = rest.partition("]:")
        if not closed:
            raise ValueError("after an IPv6 prefix in brackets stands ':' and the port")
        text, net = before + after, prefix(inside) if inside else None
    parts = text.split(":")
    if len(parts) > 3:
        raise ValueError("ports should be <protocol>:<net>:<number> or <protocol>:<number> or <number>")
    protocol = parts[0].lower() if len(parts) > 1 else "tcp"
    if protocol not in {"tcp", "udp"}:
        raise ValueError(f"unknown protocol: {protocol}")
    if len(parts) == 3:
        net = prefix(parts[1]) if parts[1] else None
    if not _NUMBER.fullmatch(parts[-1]):
        raise ValueError("ports should be integers")
    sign, digits = parts[-1][:1], parts[-1].lstrip("+-")
    if sign == "-" and int(digits[:9]):
        raise ValueError("ports must be in range 0-65535")
    return FailsafePort(protocol, _port(digits), net)


def prefix(text: str) -> Prefix:
    """A prefix, host bits ignored, or an address as the prefix that holds only it. Raises ValueError."""
    try:
        if _PREFIX.fullmatch(text):
            return ip_network(text, strict=False)
    except ValueError:
        pass
    raise ValueError(f"invalid CIDR or IP {text}")


def table_range(text: str) -> tuple[int, int]:
    """The one range of routing tables, `1-250`. Raises ValueError."""
    found = _TABLES.fullmatch(text)
    low, high = (_table(digits) for digits in found.groups()) if found else (0, 0)
    if not 1 <= low <= high <= 250:
        raise ValueError("must be a range of route table indices within 1-250")
    return low, high


def table_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Every range in a text, whatever separates them. Raises ValueError."""
    ranges = tuple((_table(low), _table(high)) for low, high in _TABLES.findall(text))
    if not ranges:
        raise ValueError("must be a list of route-table ranges")
    for low, high in ranges:
        if low == 0:
            raise ValueError("min value is not a valid number")
        if low > high:
            raise ValueError("min value is greater than max value")
        if high > HIGHEST_TABLE:
            raise ValueError("max value is too high")
    if sum(high - low + 1 for low, high in ranges) > MOST_TABLES:
        raise ValueError("targets too many tables")
    return ranges


def _table(digits: str) -> int:
    return int(digits) if len(digits) < 20 else HIGHEST_TABLE + 1
