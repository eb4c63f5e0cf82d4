"""Values of the field that remember how they were written, so that they are printed so again.

Calico stores prefixes and addresses as their author wrote them. A value here is what its type says in every respect:
it compares, hashes and prints with `str` like any other of its type; only `dump` asks for the text.
"""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any, ClassVar, Final, Self, TypeVar

from muslin.net import Mac

__all__ = ["as_written", "written_text"]

_T = TypeVar("_T")


class _Written:
    """What all of them have: the text, and that a copy is made from it again."""

    text: str
    _OPTIONS: ClassVar[dict[str, bool]] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text, **self._OPTIONS)  # type: ignore[call-arg]
        self.text = text

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.text,)


class _WrittenIPv4Network(_Written, IPv4Network):
    _OPTIONS: ClassVar[dict[str, bool]] = {"strict": False}


class _WrittenIPv6Network(_Written, IPv6Network):
    _OPTIONS: ClassVar[dict[str, bool]] = {"strict": False}


class _WrittenIPv6Address(_Written, IPv6Address): ...


class _WrittenIPv4Interface(_Written, IPv4Interface): ...


class _WrittenIPv6Interface(_Written, IPv6Interface): ...


class _WrittenMac(Mac):
    text: str

    def __new__(cls, value: str | bytes) -> Self:
        made = super().__new__(cls, value)
        made.text = str(value)
        return made

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.text,)


_WRITTEN: Final[dict[type, Any]] = {
    IPv4Network: _WrittenIPv4Network,
    IPv6Network: _WrittenIPv6Network,
    IPv6Address: _WrittenIPv6Address,
    IPv4Interface: _WrittenIPv4Interface,
    IPv6Interface: _WrittenIPv6Interface,
    Mac: _WrittenMac,
}


def as_written(value: _T, text: str) -> _T:
    """The value that was read from a text; one that remembers it if it would print another."""
    remembering = _WRITTEN.get(type(value))
    if remembering is None or str(value) == text:
        return value
    found: _T = remembering(text)
    return found


def written_text(value: Any) -> str:
    """The text that a value was read from, else the one that it prints."""
    text = getattr(value, "text", None)
    return text if isinstance(text, str) else str(value)
