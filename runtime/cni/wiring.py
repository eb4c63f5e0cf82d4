"""A pod's link, made and checked through netlink: the steps of `runtime.dataplane.links` in the order of CNI."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_interface, ip_network

from muslin.errors import KernelRefused, Problem
from muslin.net import Mac
from runtime.cni.attach import Link
from runtime.cni.server import PodNamespace
from runtime.dataplane import links
from runtime.dataplane.netlink import links as link_codec
from runtime.dataplane.netlink import routes
from runtime.dataplane.netlink.socket import NetlinkSocket
from runtime.dataplane.ownership import ROUTE_PROTOCOL

__all__ = ["PodLinks"]

_MAIN_TABLE, _BOOT = 254, 3
_FIX = "delete the pod's sandbox, so that the runtime makes a new one"


class PodLinks:
    """`runtime.cni.attach.Links` on this machine. `host` is a routing socket of the host's namespace, not shared."""

    def __init__(self, host: NetlinkSocket) -> None:
        self._host = host

    async def connect(self, link: Link, namespace: PodNamespace) -> Mac:
        """See `Links.connect`. Nothing is awaited between creating the pair and routing to it. Raises KernelRefused."""
        if links.find_link(self._host, link.interface) is not None:
            await self.disconnect(link.interface)
        found = links.create_veth(self._host, link.interface, peer=link.ifname, namespace=namespace.netns, mtu=link.mtu)
        links.configure_host_side(self._host, found)
        pod = _pod_socket(namespace)
        try:
            inner = links.configure_pod_side(pod, link.ifname, link.addresses)
        finally:
            pod.close()
        for address in link.addresses:
            links.add_host_route(self._host, found, address)
        if inner.mac is None:
            raise KernelRefused("link get", link.ifname, 19, "the pod's interface has no MAC address")
        return inner.mac

    async def disconnect(self, interface: str) -> None:
        """See `Links.disconnect`. Traffic stops at once; the deletion, 20 ms in the kernel, blocks nobody else."""
        found = links.find_link(self._host, interface)
        if found is None:
            return
        self._host.request(link_codec.set_link(found.index, up=False))
        await asyncio.to_thread(_delete, interface)

    async def problems(self, link: Link, namespace: PodNamespace) -> tuple[Problem, ...]:
        """See `Links.problems`."""
        pod = _pod_socket(namespace)
        try:
            return (*self._host_problems(link), *_pod_problems(link, pod))
        finally:
            pod.close()

    def _host_problems(self, link: Link) -> list[Problem]:
        found = links.find_link(self._host, link.interface)
        if found is None or not found.up:
            what = "is gone" if found is None else "is down"
            return [Problem(f"the host's interface {what}", f"interface {link.interface}", _FIX)]
        main = [
            routes.parse_route(body)
            for version in {address.version for address in link.addresses}
            for body in self._host.dump(routes.dump_routes(version, _MAIN_TABLE, ROUTE_PROTOCOL))
        ]
        here = {route.prefix for route in main if route.interface == found.index}
        return [
            Problem(f"the host has no route to {address}", f"interface {link.interface}", _FIX)
            for address in link.addresses
            if ip_network(address) not in here
        ]


def _pod_problems(link: Link, pod: NetlinkSocket) -> list[Problem]:
    where = f"interface {link.ifname} in the pod"
    found = links.find_link(pod, link.ifname)
    if found is None or not found.up:
        return [Problem(f"the pod's interface is {'gone' if found is None else 'down'}", where, _FIX)]
    problems = []
    for version in sorted({address.version for address in link.addresses}):
        dumped = (routes.parse_address(body) for body in pod.dump(routes.dump_addresses(version)))
        had = {each.address for each in dumped if each.interface == found.index}
        problems += [
            Problem(f"the pod lacks the address {address}", where, _FIX)
            for address in link.addresses
            if address.version == version and ip_interface(address) not in had
        ]
        everything = ip_network("0.0.0.0/0" if version == 4 else "::/0")
        table = [routes.parse_route(body) for body in pod.dump(routes.dump_routes(version, _MAIN_TABLE, _BOOT))]
        if not any(route.prefix == everything and route.interface == found.index for route in table):
            problems.append(Problem("the pod has no default route through its interface", where, _FIX))
    return problems


def _pod_socket(namespace: PodNamespace) -> NetlinkSocket:
    """The pod's socket under a descriptor of our own, as NetlinkSocket owns what it is given."""
    return NetlinkSocket(socket.NETLINK_ROUTE, adopted=namespace.netlink.dup())


def _delete(interface: str) -> None:
    host = NetlinkSocket(socket.NETLINK_ROUTE)
    try:
        links.delete_link(host, interface)
    finally:
        host.close()
