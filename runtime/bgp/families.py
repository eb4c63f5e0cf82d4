"""Address families, and prefixes as they stand in messages.

A prefix in the routing tables is its wire form (length octet and the octets that it needs, host bits zero): key of
the tables, NLRI and comparison are one object, and no address object is made for a route that only passes through.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from muslin.net import Address, Prefix

__all__ = ["IPV4_UNICAST", "IPV6_UNICAST", "Destination", "Family", "WirePrefix", "address_of", "family_of"]

WirePrefix = bytes
"""Length octet, then as many octets as the length needs; bits after the length are zero."""


class Family(NamedTuple):
    """AFI and SAFI of RFC 4760."""

    afi: int
    safi: int

    @property
    def bits(self) -> int:
        """Length of an address, bits."""
        return 32 if self.afi == 1 else 128


IPV4_UNICAST = Family(1, 1)
IPV6_UNICAST = Family(2, 1)

Destination = tuple[Family, WirePrefix]
"""What a route leads to; key of every table."""


def family_of(value: Address | Prefix) -> Family:
    """Unicast family of an address or a prefix."""
    return IPV4_UNICAST if value.version == 4 else IPV6_UNICAST


def address_of(packed: bytes) -> Address:
    """The address of 4 octets, or of 16 or 32 octets (RFC 2545: the global one comes first)."""
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed[:16])


def to_wire(prefix: Prefix) -> WirePrefix:
    """A prefix's wire form."""
    octets = (prefix.prefixlen + 7) >> 3
    return bytes((prefix.prefixlen,)) + prefix.network_address.packed[:octets]


def destination(prefix: Prefix) -> Destination:
    """The key under which a prefix stands in the tables."""
    return family_of(prefix), to_wire(prefix)


def from_wire(key: Destination) -> Prefix:
    """The prefix of a key."""
    family, wire = key
    packed = wire[1:].ljust(family.bits >> 3, b"\0")
    return IPv4Network((packed, wire[0])) if family.afi == 1 else IPv6Network((packed, wire[0]))


def split(data: bytes, start: int, end: int, bits: int) -> list[WirePrefix]:
    """The prefixes of an NLRI field, host bits cleared.

    Raises:
        ValueError: a length is over `bits`, or the last prefix is cut off.
    """
    found: list[WirePrefix] = []
    while start < end:
        length = data[start]
        after = start + 1 + ((length + 7) >> 3)
        if length > bits or after > end:
            raise ValueError("a prefix is longer than an address or than the field")
        wire = data[start:after]
        spare = -length & 7
        if spare and wire[-1] & ((1 << spare) - 1):
            wire = wire[:-1] + bytes((wire[-1] >> spare << spare,))
        found.append(wire)
        start = after
    return found
