"""A pod's link: each step of wiring it, one function a step, so that who calls them can undo them.

The order for ADD: `create_veth`, `configure_host_side`, `configure_pod_side`; for DEL: `delete_link`. The route
to the pod belongs to the routes driver. No packet passes before policy knows the interface: its name begins with the
workload prefix, and the packet filter drops for such an interface whatever it doesn't know.
Sysctls are written below /proc/sys of the namespace the calling thread is in: the host's.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network
from typing import Final, NamedTuple, TypeAlias

from muslin.errors import KernelRefused
from muslin.net import Address, Mac
from runtime.dataplane.netlink import links as codec
from runtime.dataplane.netlink import routes
from runtime.dataplane.netlink.links import Link
from runtime.dataplane.netlink.routes import KernelRoute, Neighbour
from runtime.dataplane.netlink.socket import NetlinkSocket
from runtime.dataplane.netlink.wire import Message
from runtime.dataplane.ownership import HOST_MAC, LINK_LOCAL_GATEWAY

_Step: TypeAlias = tuple[str, str, Message]
"""An operation in words, what it is done to, and the request."""

__all__ = [
    "Veth", "configure_host_side", "configure_pod_side", "create_veth", "create_veths", "delete_link", "find_link",
    "write_sysctl",
]  # fmt: skip

_PROC: Final = "/proc/sys/net"
_LOOPBACK: Final = 1
"""Index of `lo` in every network namespace; the kernel makes sure of it."""
_EVERY_4, _EVERY_6 = ip_network("0.0.0.0/0"), ip_network("::/0")
_GATEWAY_4: Final = IPv4Address(LINK_LOCAL_GATEWAY)
_GATEWAY_6: Final = IPv6Address("fe80::ecee:eeff:feee:eeee")
"""Link-local address that the host's end gets because of its MAC (EUI-64)."""


class Veth(NamedTuple):
    """A pair to be made: the host's end and, born in the namespace of the file descriptor, the pod's."""

    name: str
    peer: str
    namespace: int | None
    mtu: int
    peer_mac: Mac | None = None


def create_veth(host: NetlinkSocket, veth: Veth) -> Link:
    """Create one pair. Undone by `delete_link`. Raises KernelRefused: EEXIST if either name is taken."""
    (made,) = create_veths(host, (veth,))
    if isinstance(made, KernelRefused):
        raise made
    return made


def create_veths(host: NetlinkSocket, wanted: Sequence[Veth]) -> list[Link | KernelRefused]:
    """Create pairs in one send; each becomes the host's end, or why the kernel refused it."""
    pairs = [(_create(veth), codec.get_link(veth.name)) for veth in wanted]
    made: list[Link | KernelRefused] = []
    for veth, (reply, found) in zip(wanted, host.change_then_get(pairs), strict=True):
        if reply.errno:
            made.append(KernelRefused("veth create", veth.name, reply.errno, reply.extack))
        elif found is None:
            made.append(KernelRefused("veth create", veth.name, errno.ENODEV, "the link was gone at once"))
        else:
            made.append(codec.parse_link(found))
    return made


def _create(veth: Veth) -> Message:
    return codec.create_veth(
        veth.name, Mac(HOST_MAC), veth.mtu, peer=veth.peer, peer_namespace=veth.namespace, peer_mac=veth.peer_mac
    )


def find_link(netlink: NetlinkSocket, name: str) -> Link | None:
    """The link of this name, None if there is none."""
    try:
        return codec.parse_link(netlink.get(codec.get_link(name)))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise KernelRefused("link get", name, error.errno or errno.EIO, str(error)) from error


def configure_host_side(host: NetlinkSocket, link: Link, *, proc: str = _PROC) -> None:
    """Set the host end's sysctls, then bring it up. Undone by deleting the link.

    proxy_delay 0: else the first ARP answer waits up to 0.8 s. accept_ra 0: a pod must not become our router
    (CVE-2020-13597). rp_filter as the host's default: the packet filter checks sources itself.
    """
    name = link.name
    with open(f"{proc}/ipv4/conf/default/rp_filter", encoding="ascii") as default:  # noqa: PTH123 - paths cost as much
        rp_filter = default.read().strip()
    settings = [
        (f"ipv4/conf/{name}/route_localnet", "1"),
        (f"ipv4/conf/{name}/proxy_arp", "1"),
        (f"ipv4/neigh/{name}/proxy_delay", "0"),
        (f"ipv4/conf/{name}/forwarding", "1"),
        (f"ipv4/conf/{name}/rp_filter", rp_filter),
    ]
    if os.path.exists(f"{proc}/ipv6"):  # noqa: PTH110 - as above
        settings += [
            (f"ipv6/conf/{name}/disable_ipv6", "0"),
            (f"ipv6/conf/{name}/accept_ra", "0"),
            (f"ipv6/conf/{name}/accept_dad", "0"),
            (f"ipv6/conf/{name}/proxy_ndp", "1"),
            (f"ipv6/conf/{name}/forwarding", "1"),
        ]
    for path, value in settings:
        write_sysctl(f"{proc}/{path}", value)
    _do(host, (("link up", name, codec.set_link(link.index, up=True)),))


def write_sysctl(path: str, value: str) -> None:
    """Write one value below /proc/sys. Raises KernelRefused."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(file, value.encode("ascii"))
        finally:
            os.close(file)
    except OSError as error:
        raise KernelRefused("sysctl write", f"{path} = {value}", error.errno or errno.EIO) from error


def configure_pod_side(pod: NetlinkSocket, index: int, interface: str, addresses: Iterable[Address]) -> None:
    """Through a netlink socket of the pod's namespace: loopback and link up, addresses, default route by the host.

    The gateway's MAC is the host end's constant one, so it is written down and never asked for. Undone by deleting
    the link.

    `index` is that of the pod's end, `interface` its name, for messages.
    """
    steps: list[_Step] = [
        ("link up", "lo", codec.set_link(_LOOPBACK, up=True)),
        ("link up", interface, codec.set_link(index, up=True)),
    ]
    versions = set()
    for address in addresses:
        versions.add(address.version)
        what = ip_interface(address)
        steps.append(("address add", f"{what} on {interface}", routes.add_address(index, what)))
    for version in sorted(versions):
        steps += _gateway(index, version)
    _do(pod, steps)


def _gateway(index: int, version: int) -> Iterator[_Step]:
    boot = 3  # RTPROT_BOOT: what CNI plugins use; these routes are the pod's, not a node's
    every, gateway = (_EVERY_4, _GATEWAY_4) if version == 4 else (_EVERY_6, _GATEWAY_6)
    yield "neighbour add", str(gateway), routes.add_neighbour(Neighbour(index, gateway, Mac(HOST_MAC)))
    if version == 4:  # fe80::/64 is on the link already
        direct = KernelRoute(ip_network(gateway), index, protocol=boot)
        yield "route add", str(direct.prefix), routes.add_route(direct, replace=True)
    default = KernelRoute(every, index, gateway, protocol=boot)
    yield "route add", f"{every} via {gateway}", routes.add_route(default, replace=True)


def delete_link(host: NetlinkSocket, name: str) -> None:
    """Delete a link, with it its peer and routes; absent is success. Takes about 20 ms: not for the request path."""
    _do(host, (("link delete", name, codec.delete_link(name)),), absent=errno.ENODEV)


def _do(netlink: NetlinkSocket, steps: Sequence[_Step], *, absent: int = 0) -> None:
    """All steps in one send. Raises KernelRefused for the first that the kernel refused."""
    for refusal in netlink.batch([message for _, _, message in steps]):
        if refusal.errno != absent:
            operation, what, _ = steps[refusal.place]
            raise KernelRefused(operation, what, refusal.errno, refusal.extack)
