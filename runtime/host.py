"""What an agent finds out about its own machine: addresses, MTU. Read from the kernel, never remembered."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from muslin.errors import BadInput, Problem
from muslin.net import Address, InterfaceAddress
from runtime.dataplane import links as links_of_pods
from runtime.dataplane.netlink import links, routes
from runtime.dataplane.netlink.socket import ROUTE, NetlinkSocket
from runtime.dataplane.ownership import is_workload_interface

__all__ = ["HostSettings", "find_address", "host_addresses", "mtu_of"]

_SYSCTLS = Path("/proc/sys/net")
_ON_WORKLOADS = (
    ("ipv4/conf", "forwarding", "1"),
    ("ipv4/conf", "proxy_arp", "1"),
    ("ipv4/conf", "route_localnet", "1"),
    ("ipv6/conf", "forwarding", "1"),
    ("ipv6/conf", "accept_ra", "0"),
    ("ipv6/conf", "proxy_ndp", "1"),
)


_WHOLE_AFTER_S = 30.0


class HostSettings:
    """Keeps the kernel's settings without which no packet of a pod gets through; for the namespace it was made in.

    Args:
        sysctls: where they are.
    """

    def __init__(self, sysctls: Path = _SYSCTLS) -> None:
        self._sysctls = sysctls
        self._listener = NetlinkSocket(ROUTE, (routes.GROUPS["ipv4-netconf"], routes.GROUPS["ipv6-netconf"]))
        self._told: set[int] | None = None
        """Interfaces that events were about since the last repair; None where it can be any."""
        self._whole_at = 0.0

    def fileno(self) -> int:
        """Becomes readable when a setting changed, by whoever; then call `drain`."""
        return self._listener.fileno()

    def drain(self) -> bool:
        """Take all events; whether to look at the settings."""
        events = self._listener.events()
        about = {routes.interface_of_settings(event.body) for event in events.received}
        if events.lost or min(about, default=0) < 0:
            self._told = None
        elif self._told is not None:
            self._told |= about
        return events.lost or bool(about)

    def close(self) -> None:
        """Close the socket; the settings stay."""
        self._listener.close()

    def repair(self) -> tuple[str, ...]:
        """Set what is not as it must be; gives what that was. Raises KernelRefused.

        Only interfaces that events were about are looked at, where there were any, so that a pod's start does not cost
        more the more pods there are; and all of them again after a while, as not every setting has events.
        """
        told, self._told = self._told, set()
        now = time.monotonic()
        if not told or now - self._whole_at > _WHOLE_AFTER_S:
            self._whole_at = now
            there = os.listdir(self._sysctls / "ipv4/conf")  # noqa: PTH208 - names alone
            names = sorted(filter(is_workload_interface, there))
        else:
            names = sorted(filter(is_workload_interface, map(_name_of, told)))
        wanted = [("ipv4/ip_forward", "1")]
        wanted += [(f"{family}/{name}/{setting}", value) for name in names for family, setting, value in _ON_WORKLOADS]
        wrong = []
        for setting, value in wanted:
            path = f"{self._sysctls}/{setting}"
            try:
                with open(path, encoding="ascii") as file:  # noqa: PTH123 - paths cost as much as all the rest
                    found = file.read().strip()
                if found != value:
                    links_of_pods.write_sysctl(path, value)
                    wrong.append(f"{setting} = {value}")
            except FileNotFoundError:
                continue  # the interface went meanwhile
        return tuple(wrong)


def _name_of(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""  # it went meanwhile


def host_addresses(netlink: NetlinkSocket) -> frozenset[Address]:
    """Every address of the machine itself, loopback included."""
    return frozenset(
        routes.parse_address(body).address.ip
        for version in (4, 6)
        for body in netlink.dump(routes.dump_addresses(version))
    )


def find_address(netlink: NetlinkSocket) -> InterfaceAddress:
    """The first IPv4 address of an interface that is up, not loopback and not a workload's: Calico's `first-found`.

    Raises:
        BadInput: there is none.
    """
    up = {
        link.index
        for link in map(links.parse_link, netlink.dump(links.get_link()))
        if link.up and not is_workload_interface(link.name)
    }
    for body in netlink.dump(routes.dump_addresses(4)):
        found = routes.parse_address(body)
        if found.interface in up and not (found.address.ip.is_loopback or found.address.ip.is_link_local):
            return found.address
    raise BadInput(
        Problem("the node has no IPv4 address", "interfaces that are up", "give one with --address 192.0.2.1/24")
    )


def mtu_of(netlink: NetlinkSocket, address: InterfaceAddress) -> int:
    """MTU of the interface that has the address, octets. Raises BadInput."""
    for body in netlink.dump(routes.dump_addresses(address.version)):
        found = routes.parse_address(body)
        if found.address.ip == address.ip:
            for link in map(links.parse_link, netlink.dump(links.get_link())):
                if link.index == found.interface:
                    return link.mtu
    raise BadInput(
        Problem(f"no interface has the address {address.ip}", "--address", "give the address of one of this machine's")
    )
