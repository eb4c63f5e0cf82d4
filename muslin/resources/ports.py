"""Ports of rules: a number, a range, or the name of a port that an endpoint declares."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

__all__ = ["MAX_PORT", "NamedPort", "Port", "PortRange", "parse_port", "print_port"]

MAX_PORT = 65535

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_NUMBERS = re.compile(r"(\d+)(?::(\d+))?", re.ASCII)
_OUT_OF_RANGE = "port range invalid, port number must be between 1 and 65535"


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Ports `first` to `last`, both included; a single port is a range of one."""

    first: int
    last: int

    def __post_init__(self) -> None:
        for number in (self.first, self.last):
            if not 1 <= number <= MAX_PORT:
                raise ValueError(_OUT_OF_RANGE)
        if self.first > self.last:
            raise ValueError(
                f"minimum port number ({self.first}) is greater than maximum port number ({self.last}) in port range"
            )

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.first <= number <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}:{self.last}"


@dataclass(frozen=True, slots=True, order=True)
class NamedPort:
    """A port by name; which number it is, each endpoint says for itself."""

    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a port: a number, a range such as 8000:8099, or a name")

    def __str__(self) -> str:
        return self.name


Port: TypeAlias = PortRange | NamedPort


def parse_port(value: Any) -> Port:
    """A port from JSON: a whole number, a numeric string, a range `a:b`, or a name. Raises ValueError."""
    if isinstance(value, (PortRange, NamedPort)):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return _single(value)
    if isinstance(value, float) and value.is_integer():
        return _single(int(value))
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a port: a number, a range such as 8000:8099, or a name")  # noqa: TRY004
    return _from_text(value)


@lru_cache(1 << 14)
def _single(number: int) -> PortRange:
    return PortRange(number, number)


def _from_text(value: str) -> Port:
    numbers = _NUMBERS.fullmatch(value)
    if numbers is None:
        return NamedPort(value)
    first, last = numbers.group(1), numbers.group(2) or numbers.group(1)
    if max(len(first.lstrip("0")), len(last.lstrip("0"))) > 5:
        raise ValueError(_OUT_OF_RANGE)
    return PortRange(int(first), int(last))


def print_port(port: Port) -> int | str:
    """A port as JSON: an int for a single number, text for a range or name."""
    if isinstance(port, PortRange) and port.first == port.last:
        return port.first
    return str(port)
