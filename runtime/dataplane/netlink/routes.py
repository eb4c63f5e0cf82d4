"""rtnetlink codec of routes, addresses and neighbours, without I/O.

Source: linux/rtnetlink.h, linux/neighbour.h, linux/if_addr.h.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from muslin.net import Address, InterfaceAddress, Mac, Prefix, parse_interface_address
from runtime.dataplane.netlink import wire
from runtime.dataplane.netlink.wire import Message

__all__ = [
    "GROUPS",
    "KernelAddress",
    "KernelRoute",
    "Neighbour",
    "add_address",
    "add_neighbour",
    "add_route",
    "delete_neighbour",
    "delete_route",
    "dump_addresses",
    "dump_neighbours",
    "dump_routes",
    "interface_of_address",
    "interface_of_settings",
    "is_in_table",
    "parse_address",
    "parse_neighbour",
    "parse_route",
    "set_proxy_delay",
]

_NEW_ADDRESS, _GET_ADDRESS = 20, 22
_SET_NEIGHBOUR_TABLE = 67
_TABLE_NAME, _TABLE_PARAMETERS, _OF_INTERFACE, _PROXY_DELAY = 1, 6, 1, 13
NEW_ROUTE, DELETE_ROUTE, _GET_ROUTE = 24, 25, 26
_NEW_NEIGHBOUR, _DELETE_NEIGHBOUR, _GET_NEIGHBOUR = 28, 29, 30
NEW_ADDRESS, DELETE_ADDRESS = 20, 21
GROUPS: Final = {
    "link": 1, "neighbour": 3, "ipv4-address": 5, "ipv4-route": 7, "ipv6-route": 11, "ipv4-netconf": 24,
    "ipv6-netconf": 25,
}  # fmt: skip
"""Mapping[what changes, multicast group that tells]."""

_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BBHiHBB")
_ADDRESS = struct.Struct("=BBBBI")
_DESTINATION, _OUT_INTERFACE, _GATEWAY, _PRIORITY, _TABLE = 1, 4, 5, 6, 15
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_NOWHERE = 0, 253, 255
UNICAST, BLACKHOLE = 1, 6
_ONLINK = 0x4
_PERMANENT = 0x80
_SETTINGS_INTERFACE = 1  # NETCONFA_IFINDEX
_IPV6_METRIC = 1024  # the kernel turns metric 0 into this for IPv6


@dataclass(frozen=True, slots=True)
class KernelRoute:
    """One route as the kernel has it.

    `kind` is RTN_UNICAST (1) or RTN_BLACKHOLE (6), other numbers as read. An IPv6 metric is never 0. `plain` is False
    for what we never write: several next hops, metrics, encapsulation, a source address.
    """

    prefix: Prefix
    interface: int = 0
    gateway: Address | None = None
    kind: int = UNICAST
    onlink: bool = False
    metric: int = 0
    protocol: int = 80
    table: int = 254
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A permanent neighbour entry: who has `address` on `interface`."""

    interface: int
    address: Address
    mac: Mac
    permanent: bool = True


@dataclass(frozen=True, slots=True)
class KernelAddress:
    """An address of an interface."""

    interface: int
    address: InterfaceAddress


def _family(address: Address | Prefix) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def normal_metric(version: int, metric: int) -> int:
    """The metric that the kernel will show for a wanted one."""
    return _IPV6_METRIC if version == 6 and metric == 0 else metric


def _route_body(route: KernelRoute, scope: int) -> bytes:
    flags = _ONLINK if route.onlink else 0
    head = _ROUTE.pack(
        _family(route.prefix),
        route.prefix.prefixlen,
        0,
        0,
        route.table & 0xFF,
        route.protocol,
        scope,
        route.kind,
        flags,
    )
    parts = [head, wire.attribute(_DESTINATION, route.prefix.network_address.packed)]
    if route.table > 0xFF:
        parts.append(wire.u32(_TABLE, route.table))
    if route.gateway is not None:
        parts.append(wire.attribute(_GATEWAY, route.gateway.packed))
    if route.interface:
        parts.append(wire.u32(_OUT_INTERFACE, route.interface))
    if route.metric:
        parts.append(wire.u32(_PRIORITY, route.metric))
    return b"".join(parts)


def add_route(route: KernelRoute, *, replace: bool = False) -> Message:
    """Add a route, or put it in place of the one with the same prefix and metric.

    IPv6's replace keeps several routes side by side when one of them has a gateway; the driver deletes first there.
    """
    direct = route.gateway is None and route.kind == UNICAST and route.prefix.version == 4
    flags = wire.CREATE | (wire.REPLACE if replace else wire.EXCLUSIVE)
    return Message(NEW_ROUTE, flags, _route_body(route, _SCOPE_LINK if direct else _SCOPE_UNIVERSE))


def delete_route(route: KernelRoute) -> Message:
    """Delete exactly this route. Scope NOWHERE means any scope; 0 would mean universe and miss link routes."""
    return Message(DELETE_ROUTE, 0, _route_body(route, _SCOPE_NOWHERE))


def dump_routes(version: int, table: int, protocol: int) -> Message:
    """Dump routes of one family, table and protocol; the kernel filters if the socket asks for strict checking."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    head = _ROUTE.pack(family, 0, 0, 0, table & 0xFF, protocol, 0, 0, 0)
    return Message(_GET_ROUTE, 0, head + wire.u32(_TABLE, table))


def interface_of_settings(body: bytes | memoryview) -> int:
    """Which interface RTM_NEWNETCONF or RTM_DELNETCONF is about; negative for what is about many, or says nothing."""
    found = wire.attributes(memoryview(body)[4:]).get(_SETTINGS_INTERFACE)
    return -1 if found is None else int(struct.unpack("=i", found)[0])


def is_in_table(body: bytes | memoryview, table: int) -> bool:
    """Whether RTM_NEWROUTE or RTM_DELROUTE is about this table (1 to 251, 253, 254), told by its header alone.

    The kernel tells of every address and link by routes in table local; who reads each of them whole reads much.
    """
    return bool(body[4] == table)


_KNOWN = frozenset({_DESTINATION, _OUT_INTERFACE, _GATEWAY, _PRIORITY, _TABLE, 12, 20})  # 12 CACHEINFO, 20 PREF
_KEPT_FLAGS = _ONLINK


def parse_route(body: bytes | memoryview) -> KernelRoute:
    """A route from the body of RTM_NEWROUTE or RTM_DELROUTE. Raises ValueError, struct.error if it is none."""
    view = memoryview(body)
    family, length, _source, tos, table, protocol, _scope, kind, flags = _ROUTE.unpack_from(view)
    found = wire.attributes(view[_ROUTE.size :])
    packed = bytes(found.get(_DESTINATION, b"")) or bytes(4 if family == socket.AF_INET else 16)
    gateway = found.get(_GATEWAY)
    prefix: Prefix = ip_network((packed, length))
    return KernelRoute(
        prefix=prefix,
        interface=_number(found.get(_OUT_INTERFACE)) if kind == UNICAST else 0,
        gateway=None if gateway is None else ip_address(bytes(gateway)),
        kind=kind,
        onlink=bool(flags & _KEPT_FLAGS),
        metric=_number(found.get(_PRIORITY)),
        protocol=protocol,
        table=_number(found.get(_TABLE)) or table,
        plain=tos == 0 and not found.keys() - _KNOWN,
    )


def _number(found: memoryview | None) -> int:
    return 0 if found is None else int(struct.unpack_from("=I", found)[0])


def add_neighbour(neighbour: Neighbour) -> Message:
    """Set a permanent neighbour entry, whether or not there is another."""
    head = _NEIGHBOUR.pack(_family(neighbour.address), 0, 0, neighbour.interface, _PERMANENT, 0, 0)
    body = head + wire.attribute(1, neighbour.address.packed) + wire.attribute(2, neighbour.mac.packed)
    return Message(_NEW_NEIGHBOUR, wire.CREATE | wire.REPLACE, body)


def delete_neighbour(interface: int, address: Address) -> Message:
    """Delete a neighbour entry."""
    head = _NEIGHBOUR.pack(_family(address), 0, 0, interface, 0, 0, 0)
    return Message(_DELETE_NEIGHBOUR, 0, head + wire.attribute(1, address.packed))


def set_proxy_delay(interface: int, delay_ms: int) -> Message:
    """Set net.ipv4.neigh.*.proxy_delay of an interface: the longest wait before an ARP answer for somebody else."""
    values = wire.u32(_OF_INTERFACE, interface) + wire.attribute(_PROXY_DELAY, struct.pack("=Q", delay_ms))
    body = bytes(4) + wire.text(_TABLE_NAME, "arp_cache") + wire.nested(_TABLE_PARAMETERS, values)
    return Message(_SET_NEIGHBOUR_TABLE, 0, body)


def dump_neighbours(version: int) -> Message:
    """Dump neighbours of one family."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return Message(_GET_NEIGHBOUR, 0, _NEIGHBOUR.pack(family, 0, 0, 0, 0, 0, 0))


def parse_neighbour(body: bytes | memoryview) -> Neighbour | None:
    """A neighbour entry that has a MAC, from the body of RTM_NEWNEIGH; None for others."""
    view = memoryview(body)
    _family, _pad, _pad2, interface, state, _flags, _kind = _NEIGHBOUR.unpack_from(view)
    found = wire.attributes(view[_NEIGHBOUR.size :])
    if 1 not in found or 2 not in found or len(found[2]) != 6:
        return None
    return Neighbour(interface, ip_address(bytes(found[1])), Mac(bytes(found[2])), bool(state & _PERMANENT))


def add_address(interface: int, address: InterfaceAddress) -> Message:
    """Give an interface an address, without duplicate address detection (IPv6)."""
    no_dad = 0x02
    flags = no_dad if address.version == 6 else 0
    head = _ADDRESS.pack(_family(address.ip), address.network.prefixlen, flags, 0, interface)
    return Message(
        _NEW_ADDRESS,
        wire.CREATE | wire.REPLACE,
        head + wire.attribute(2, address.ip.packed) + wire.attribute(1, address.ip.packed),
    )


def dump_addresses(version: int) -> Message:
    """Dump interface addresses of one family."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return Message(_GET_ADDRESS, 0, _ADDRESS.pack(family, 0, 0, 0, 0))


def interface_of_address(body: bytes | memoryview) -> int:
    """Index of the interface that RTM_NEWADDR is about."""
    return int(_ADDRESS.unpack_from(body)[4])


def parse_address(body: bytes | memoryview) -> KernelAddress:
    """An interface's address from the body of RTM_NEWADDR."""
    view = memoryview(body)
    _family, length, _flags, _scope, interface = _ADDRESS.unpack_from(view)
    found = wire.attributes(view[_ADDRESS.size :])
    packed = bytes(found[2] if 2 in found else found[1])
    return KernelAddress(interface, parse_interface_address(f"{ip_address(packed)}/{length}"))
