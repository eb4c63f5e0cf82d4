"""Values of the field: prefixes, addresses, AS numbers, router and cluster ids, MAC addresses.

Each has one parser that says what is wrong and one printed form. No I/O, no name resolution.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Self, TypeAlias

__all__ = [
    "Address",
    "AsNumber",
    "ClusterId",
    "InterfaceAddress",
    "Mac",
    "Prefix",
    "RouterId",
    "parse_address",
    "parse_interface_address",
    "parse_prefix",
    "parse_wireguard_key",
]

_KEY_LENGTH = 32

Address: TypeAlias = IPv4Address | IPv6Address
"""An address without a length."""
Prefix: TypeAlias = IPv4Network | IPv6Network
"""A network: address bits and length, host bits zero."""
InterfaceAddress: TypeAlias = IPv4Interface | IPv6Interface
"""An address with the length of the network it stands in."""


_OTHERWISE_WRITTEN = re.compile(r"%|/(?!\d+\Z)", re.ASCII)
"""What the standard library reads and Calico does not: an address with a zone, a mask instead of a length."""


def _calicos(text: str) -> str:
    """The text itself. Raises ValueError if it is otherwise written."""
    if _OTHERWISE_WRITTEN.search(text):
        raise ValueError(text)
    return text


def parse_address(text: str) -> Address:
    """An address from text, without a zone. Raises ValueError with a sentence for people."""
    try:
        return ip_address(_calicos(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None


def parse_prefix(text: str, *, strict: bool = True) -> Prefix:
    """A prefix from text; a bare address is a /32 or /128. With `strict`, host bits must be zero.

    Raises ValueError with a sentence for people.
    """
    try:
        return ip_network(_calicos(text), strict=strict)
    except ValueError as error:
        if "host bits" in str(error):
            meant = ip_network(text, strict=False)
            raise ValueError(f"{text!r} has host bits set; {meant} is the network") from None
        raise ValueError(f"{text!r} is not a prefix such as 192.0.2.0/24") from None


def parse_interface_address(text: str) -> InterfaceAddress:
    """An address with its network's length, such as 192.0.2.7/24. Raises ValueError."""
    try:
        return ip_interface(_calicos(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an address with length such as 192.0.2.7/24") from None


def parse_wireguard_key(text: str) -> str:
    """A public key of WireGuard as it is written: 32 octets in base64. Raises ValueError."""
    try:
        octets = len(b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        octets = 0
    if octets != _KEY_LENGTH:
        raise ValueError(f"{text!r} is not a public key of WireGuard")
    return text


class AsNumber(int):
    """An autonomous system number, 0..4294967295; 0 is nobody's (RFC 7607). Prints plain; reads plain and `1.10`."""

    __slots__ = ()

    def __new__(cls, value: int | str) -> Self:
        """Raises ValueError with a sentence for people."""
        number: int
        if isinstance(value, str):
            high, dot, low = value.partition(".")
            if not (high.isascii() and high.isdigit() and (not dot or (low.isascii() and low.isdigit()))):
                raise ValueError(f"{value!r} is not an AS number such as 64512 or 1.10")
            if dot and (int(high) > 0xFFFF or int(low) > 0xFFFF):
                raise ValueError(f"{value!r} is not an AS number: each half of a dotted one is at most 65535")
            number = (int(high) << 16) + int(low) if dot else int(high)
        else:
            number = value
        if not 0 <= number <= 0xFFFFFFFF:
            raise ValueError(f"{value!r} is not an AS number: it must be 0..4294967295")
        return super().__new__(cls, number)


class RouterId(IPv4Address):
    """A BGP identifier: four octets, not zero (RFC 6286)."""

    def __init__(self, value: object) -> None:
        super().__init__(value)
        if int(self) == 0:
            raise ValueError("a router id must not be 0.0.0.0")


class ClusterId(IPv4Address):
    """A route reflector's cluster id: four octets; reflectors that serve the same clients share it (RFC 4456)."""


_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_DOTTED_MAC = re.compile(r"[0-9a-f]{4}(\.[0-9a-f]{4}){2}")


class Mac(str):
    """A 48-bit MAC address, printed in lower case with colons."""

    __slots__ = ()

    def __new__(cls, value: str | bytes) -> Self:
        """Raises ValueError with a sentence for people."""
        if isinstance(value, bytes):
            if len(value) != 6:
                raise ValueError(f"a MAC address has 6 octets, not {len(value)}")
            return super().__new__(cls, value.hex(":"))
        text = value.lower().replace("-", ":")
        if _DOTTED_MAC.fullmatch(text):
            text = bytes.fromhex(text.replace(".", "")).hex(":")
        if not _MAC.fullmatch(text):
            raise ValueError(f"{value!r} is not a MAC address such as ee:ee:ee:ee:ee:ee")
        return super().__new__(cls, text)

    @property
    def packed(self) -> bytes:
        """The six octets."""
        return bytes.fromhex(self.replace(":", ""))
