"""IP protocols of rules: six known by name, all by number."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

__all__ = ["Protocol", "parse_protocol", "print_protocol"]

_NUMBERS: Final = {"ICMP": 1, "TCP": 6, "UDP": 17, "ICMPv6": 58, "SCTP": 132, "UDPLite": 136}
_NAMES: Final = {number: name for name, number in _NUMBERS.items()}
_CHOICE: Final = f"{', '.join(_NUMBERS)} or a number 1..255"
_WITH_PORTS: Final = frozenset({6, 17, 132})


class Protocol:
    """An IP protocol. Two are equal if their number is.

    Attributes:
        number: as in the IP header, 1..255.
        name: the canonical name, None where there is no name that rules may use.
        written: what the author wrote, a name or a number; printed as it was.
    """

    __slots__ = ("number", "written")

    number: int
    written: int | str

    def __init__(self, written: int | str) -> None:
        number: int
        spelt: int | str
        if isinstance(written, str):
            if written in _NUMBERS:
                number, spelt = _NUMBERS[written], written
            elif written.isascii() and written.isdigit() and len(written) <= 3:
                number = spelt = int(written)
            else:
                raise ValueError(f"{written!r} is not a protocol, protocol name invalid: {_CHOICE}")
        else:
            number = spelt = written
        if isinstance(written, bool) or not 1 <= number <= 255:
            raise ValueError(f"{written!r} is not a protocol: the number must be 1..255")
        object.__setattr__(self, "number", number)
        object.__setattr__(self, "written", spelt)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a protocol cannot be changed: {name} = {value!r}")

    @property
    def name(self) -> str | None:
        """`TCP`, `UDP`, `ICMP`, `ICMPv6`, `SCTP`, `UDPLite`, or None."""
        return _NAMES.get(self.number)

    @property
    def has_ports(self) -> bool:
        """Whether rules may match ports of it: TCP, UDP, SCTP."""
        return self.number in _WITH_PORTS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Protocol) and self.number == other.number

    def __hash__(self) -> int:
        return hash(("Protocol", self.number))

    def __str__(self) -> str:
        return self.name or str(self.number)

    def __repr__(self) -> str:
        return f"Protocol({self.written!r})"

    def __reduce__(self) -> tuple[type[Protocol], tuple[int | str]]:
        return type(self), (self.written,)


def parse_protocol(value: Any) -> Protocol:
    """A protocol from JSON: a name, a number, or a number in a string. Raises ValueError."""
    if isinstance(value, Protocol):
        return value
    if isinstance(value, str) and value in _NUMBERS:
        return _named(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{value!r} is not a protocol: {_CHOICE}")  # noqa: TRY004
    return Protocol(value)


@cache
def _named(name: str) -> Protocol:
    return Protocol(name)


def print_protocol(protocol: Protocol) -> int | str:
    """A protocol as JSON: the canonical name if it was named, else the number."""
    return protocol.written
