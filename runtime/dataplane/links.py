"""A pod's link: each step of wiring it, one function a step, so that who calls them can undo them.

The order for ADD: `create_veth`, `configure_host_side`, `configure_pod_side`; for DEL: `delete_link`. The route
to the pod belongs to the routes driver. No packet passes before policy knows the interface: its name begins with the
workload prefix, and the packet filter drops for such an interface whatever it doesn't know.
Sysctls are written below /proc/sys of the namespace the calling thread is in: the host's.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Final

from muslin.errors import KernelRefused
from muslin.net import Address, Mac
from runtime.dataplane.netlink import links as codec
from runtime.dataplane.netlink import routes
from runtime.dataplane.netlink.links import Link
from runtime.dataplane.netlink.routes import KernelRoute, Neighbour
from runtime.dataplane.netlink.socket import NetlinkSocket
from runtime.dataplane.netlink.wire import Message
from runtime.dataplane.ownership import HOST_MAC, LINK_LOCAL_GATEWAY

__all__ = [
    "configure_host_side", "configure_pod_side", "create_veth", "delete_link", "find_link", "write_sysctl",
]  # fmt: skip

_PROC: Final = Path("/proc/sys/net")
_GATEWAY_4: Final = IPv4Address(LINK_LOCAL_GATEWAY)
_GATEWAY_6: Final = IPv6Address("fe80::ecee:eeff:feee:eeee")
"""Link-local address that the host's end gets because of its MAC (EUI-64)."""


def create_veth(
    host: NetlinkSocket, name: str, *, peer: str, namespace: int | None, mtu: int, peer_mac: Mac | None = None
) -> Link:
    """Create the pair; the pod's end is born in the namespace of the file descriptor. Undone by `delete_link`.

    Raises:
        KernelRefused: EEXIST if either name is taken.
    """
    _do(
        host,
        "veth create",
        name,
        codec.create_veth(name, Mac(HOST_MAC), mtu, peer=peer, peer_namespace=namespace, peer_mac=peer_mac),
    )
    found = find_link(host, name)
    if found is None:
        raise KernelRefused("veth create", name, errno.ENODEV, "the link was gone at once")
    return found


def find_link(netlink: NetlinkSocket, name: str) -> Link | None:
    """The link of this name, None if there is none."""
    try:
        return codec.parse_link(netlink.get(codec.get_link(name)))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise KernelRefused("link get", name, error.errno or errno.EIO, str(error)) from error


def configure_host_side(host: NetlinkSocket, link: Link, *, proc: Path = _PROC) -> None:
    """Set the host end's sysctls, then bring it up. Undone by deleting the link.

    proxy_delay 0: else the first ARP answer waits up to 0.8 s. accept_ra 0: a pod must not become our router
    (CVE-2020-13597). rp_filter as the host's default: the packet filter checks sources itself.
    """
    name = link.name
    default = (proc / "ipv4/conf/default/rp_filter").read_text(encoding="ascii").strip()
    for path, value in (
        (f"ipv4/conf/{name}/route_localnet", "1"),
        (f"ipv4/conf/{name}/proxy_arp", "1"),
        (f"ipv4/neigh/{name}/proxy_delay", "0"),
        (f"ipv4/conf/{name}/forwarding", "1"),
        (f"ipv4/conf/{name}/rp_filter", default),
        (f"ipv6/conf/{name}/disable_ipv6", "0"),
        (f"ipv6/conf/{name}/accept_ra", "0"),
        (f"ipv6/conf/{name}/accept_dad", "0"),
        (f"ipv6/conf/{name}/proxy_ndp", "1"),
        (f"ipv6/conf/{name}/forwarding", "1"),
    ):
        if path.startswith("ipv4/") or (proc / "ipv6").exists():
            write_sysctl(proc / path, value)
    _do(host, "link up", name, codec.set_link(link.index, up=True))


def write_sysctl(path: Path, value: str) -> None:
    """Write one value below /proc/sys. Raises KernelRefused."""
    try:
        path.write_text(value, encoding="ascii")
    except OSError as error:
        raise KernelRefused("sysctl write", f"{path} = {value}", error.errno or errno.EIO) from error


def configure_pod_side(pod: NetlinkSocket, interface: str, addresses: Iterable[Address]) -> Link:
    """Through a netlink socket of the pod's namespace: loopback and link up, addresses, default route by the host.

    The gateway's MAC is the host end's constant one, so it is written down and never asked for. Undone by deleting
    the link.
    """
    loopback, link = find_link(pod, "lo"), find_link(pod, interface)
    if link is None or loopback is None:
        raise KernelRefused("pod configure", interface, errno.ENODEV, "no such link in the pod's namespace")
    _do(pod, "link up", "lo", codec.set_link(loopback.index, up=True))
    _do(pod, "link up", interface, codec.set_link(link.index, up=True))
    listed = list(addresses)
    for address in listed:
        length = 32 if address.version == 4 else 128
        what = ip_interface(f"{address}/{length}")
        _do(pod, "address add", f"{what} on {interface}", routes.add_address(link.index, what))
    for version, gateway in ((4, _GATEWAY_4), (6, _GATEWAY_6)):
        if any(address.version == version for address in listed):
            _gateway(pod, link, gateway)
    return link


def _gateway(pod: NetlinkSocket, link: Link, gateway: Address) -> None:
    boot = 3  # RTPROT_BOOT: what CNI plugins use; these routes are the pod's, not a node's
    every = ip_network("0.0.0.0/0" if gateway.version == 4 else "::/0")
    neighbour = Neighbour(link.index, gateway, Mac(HOST_MAC))
    _do(pod, "neighbour add", str(gateway), routes.add_neighbour(neighbour))
    if gateway.version == 4:  # fe80::/64 is on the link already
        direct = KernelRoute(ip_network(f"{gateway}/32"), link.index, protocol=boot)
        _do(pod, "route add", f"{gateway}/32", routes.add_route(direct, replace=True))
    default = KernelRoute(every, link.index, ip_address(str(gateway)), protocol=boot)
    _do(pod, "route add", f"{every} via {gateway}", routes.add_route(default, replace=True))


def delete_link(host: NetlinkSocket, name: str) -> None:
    """Delete a link, with it its peer and routes; absent is success. Takes about 20 ms: not for the request path."""
    _do(host, "link delete", name, codec.delete_link(name), absent=errno.ENODEV)


def _do(netlink: NetlinkSocket, operation: str, what: str, message: Message, *, absent: int = 0) -> None:
    reply = netlink.request(message)
    if reply.errno and reply.errno != absent:
        raise KernelRefused(operation, what, reply.errno, reply.extack)
