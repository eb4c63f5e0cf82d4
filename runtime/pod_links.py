"""Links of pods for the CNI plugin, over the dataplane's steps.

What the kernel does runs in threads (`runtime.veth_maker`), for all pods that ask together; questions, a fraction of a
millisecond each, run on the loop.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from ipaddress import ip_network

from muslin.errors import KernelRefused, Problem
from muslin.net import Mac
from runtime.cni.attach import Link
from runtime.cni.server import PodNamespace
from runtime.dataplane import links
from runtime.dataplane.links import Veth
from runtime.dataplane.netlink import routes as codec
from runtime.dataplane.netlink.socket import ROUTE, NetlinkSocket
from runtime.dataplane.ownership import LINK_LOCAL_GATEWAY, MAIN_TABLE, ROUTE_PROTOCOL
from runtime.veth_maker import Inside, VethMaker

__all__ = ["PodLinks"]

_BOOT = 3
"""RTPROT_BOOT: the protocol of the routes that the dataplane writes inside a pod."""
_FIX = "delete the pod's sandbox, so that the runtime makes a new one"


class PodLinks:
    """Implements `runtime.cni.attach.Links`; for the thread and namespace in which it was made.

    Args:
        new_mac: six octets for a pod's end: locally administered, not multicast.
    """

    def __init__(self, *, new_mac: Callable[[], Mac] | None = None) -> None:
        self._host = NetlinkSocket(ROUTE)
        self._veths = VethMaker()
        self._new_mac = new_mac or _random_mac

    def close(self) -> None:
        """Close the sockets; the links stay."""
        self._veths.close()
        self._host.close()

    def new_mac(self) -> Mac:
        """See `runtime.cni.attach.Links`."""
        return self._new_mac()

    async def make(self, link: Link, mac: Mac, namespace: PodNamespace) -> int:
        """See `runtime.cni.attach.Links`. The route to it is the node's loop's to write."""
        veth = Veth(link.interface, link.ifname, namespace.netns, link.mtu, mac)
        try:
            made = await self._veths.make(veth)
        except KernelRefused as error:
            if error.errno != errno.EEXIST or links.find_link(self._host, link.interface) is None:
                raise
            await self.disconnect(link.interface)
            made = await self._veths.make(veth)
        return made.peer

    async def connect(self, link: Link, peer: int, namespace: PodNamespace) -> None:
        """See `runtime.cni.attach.Links`."""
        await self._veths.set_up(Inside(_inside(namespace), peer, link.ifname, link.addresses))

    async def disconnect(self, interface: str) -> None:
        """Remove a host interface, its route and with it the pod's side. Absent is success."""
        if links.find_link(self._host, interface) is not None:
            await self._veths.delete(interface)

    async def problems(self, link: Link, namespace: PodNamespace) -> tuple[Problem, ...]:
        """What differs from `link`: interface, addresses, routes in the pod; interface and route on the host."""
        found: list[Problem] = []
        host = links.find_link(self._host, link.interface)
        if host is None:
            found.append(Problem("the host interface is gone", link.interface, _FIX))
        else:
            found += self._host_route_problems(link, host.index)
        pod = _inside(namespace)
        inside = links.find_link(pod, link.ifname)
        if inside is None:
            return (*found, Problem("the interface is gone", f"{link.ifname} in the pod", _FIX))
        if inside.mtu != link.mtu:
            found.append(Problem(f"the MTU is {inside.mtu}, not {link.mtu}", f"{link.ifname} in the pod", _FIX))
        for version in sorted({address.version for address in link.addresses}):
            found += _pod_problems(pod, link, inside.index, version)
        return tuple(found)

    def _host_route_problems(self, link: Link, index: int) -> list[Problem]:
        bodies = [
            body
            for version in sorted({address.version for address in link.addresses})
            for body in self._host.dump(codec.dump_routes(version, MAIN_TABLE, ROUTE_PROTOCOL))
        ]
        there = {(route.prefix, route.interface) for route in map(codec.parse_route, bodies)}
        return [
            Problem("the host has no route to the pod", f"{address} dev {link.interface}", "see the agent's log")
            for address in link.addresses
            if (ip_network(address), index) not in there
        ]


def _inside(namespace: PodNamespace) -> NetlinkSocket:
    """The socket that the plugin opened in the pod's namespace; it stays the server's to close."""
    return NetlinkSocket(ROUTE, adopted=namespace.netlink)


def _pod_problems(pod: NetlinkSocket, link: Link, index: int, version: int) -> list[Problem]:
    found: list[Problem] = []
    where = f"{link.ifname} in the pod"
    there = map(codec.parse_address, pod.dump(codec.dump_addresses(version)))
    addresses = {item.address.ip for item in there if item.interface == index}
    found += [
        Problem(f"the address {address} is gone", where, _FIX)
        for address in link.addresses
        if address.version == version and address not in addresses
    ]
    table = [codec.parse_route(body) for body in pod.dump(codec.dump_routes(version, MAIN_TABLE, _BOOT))]
    every = ip_network("0.0.0.0/0" if version == 4 else "::/0")
    if not any(route.prefix == every and route.interface == index for route in table):
        found.append(Problem("the default route is gone", where, _FIX))
    gateway = ip_network(f"{LINK_LOCAL_GATEWAY}/32")
    if version == 4 and not any(route.prefix == gateway and route.interface == index for route in table):
        found.append(Problem("the route to the gateway is gone", where, _FIX))
    return found


def _random_mac() -> Mac:
    octets = bytearray(os.urandom(6))
    octets[0] = octets[0] & 0xFC | 0x02  # locally administered, one station (IEEE 802)
    return Mac(bytes(octets))
