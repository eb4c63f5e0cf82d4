"""What an agent finds out about its own machine: addresses, MTU. Read from the kernel, never remembered."""

from __future__ import annotations

from muslin.errors import BadInput, Problem
from muslin.net import Address, InterfaceAddress
from runtime.dataplane.netlink import links, routes
from runtime.dataplane.netlink.socket import NetlinkSocket
from runtime.dataplane.ownership import is_workload_interface

__all__ = ["find_address", "host_addresses", "mtu_of"]


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
