"""What may wrap a packet between two nodes, and how many bytes that costs: plain arithmetic, without any model.

`muslin.semantics.routes` and `muslin.semantics.mtu` say of resources which of these applies where.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["OVERHEAD", "SMALLEST_USEFUL_MTU", "Encapsulation", "encapsulation_mtu"]


class Encapsulation(enum.Enum):
    """What wraps a packet between two nodes; the value is what people call it."""

    NONE = "no encapsulation"
    IPIP = "IP-in-IP"
    VXLAN = "VXLAN"
    WIREGUARD = "WireGuard"


_OuterVersion = int

OVERHEAD: Mapping[tuple[Encapsulation, _OuterVersion], int] = MappingProxyType(
    {
        (Encapsulation.NONE, 4): 0,
        (Encapsulation.NONE, 6): 0,
        (Encapsulation.IPIP, 4): 20,
        (Encapsulation.VXLAN, 4): 50,
        (Encapsulation.VXLAN, 6): 70,
        (Encapsulation.WIREGUARD, 4): 60,
        (Encapsulation.WIREGUARD, 6): 80,
    }
)
"""Mapping[(encapsulation, IP version of the outer header), bytes added to every packet]."""

SMALLEST_USEFUL_MTU = 576
"""What every IPv4 host must be able to receive (RFC 791 section 3.1); less is a mistake in the facts."""


def encapsulation_mtu(network_mtu: int, encapsulation: Encapsulation, ip_version: int = 4) -> int:
    """MTU inside one encapsulation.

    Args:
        network_mtu: MTU of the links between the nodes, bytes.
        encapsulation: what wraps the packet.
        ip_version: of the outer header, 4 or 6.

    Raises:
        ValueError: this encapsulation does not exist over that version (IP-in-IP is IPv4 only).
    """
    try:
        return network_mtu - OVERHEAD[encapsulation, ip_version]
    except KeyError:
        raise ValueError(f"there is no {encapsulation.value} over IPv{ip_version}") from None
