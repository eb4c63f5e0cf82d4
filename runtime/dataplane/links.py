"""A pod's link: each step of wiring it, one function a step, so that who calls them can undo them.

The order for ADD: `create_veth`, `configure_host_side`, `configure_pod_side`; for DEL: `delete_link`. The route
to the pod belongs to the routes driver. No packet passes before policy knows the interface: its name begins with the
workload prefix, and the packet filter drops for such an interface whatever it doesn't know.
Sysctls are written below /proc/sys of the namespace the calling thread is in: the host's.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network
from typing import Final, NamedTuple, TypeAlias

from muslin.errors import KernelRefused
from muslin.net import Address, InterfaceAddress, Mac
from runtime.dataplane.netlink import links as codec
from runtime.dataplane.netlink import routes
from runtime.dataplane.netlink.links import Link
from runtime.dataplane.netlink.routes import KernelRoute, Neighbour
from runtime.dataplane.netlink.socket import NetlinkSocket
from runtime.dataplane.netlink.wire import Message
from runtime.dataplane.ownership import GOING_GROUP, HOST_MAC, LINK_LOCAL_GATEWAY

_Step: TypeAlias = tuple[str, str, Message]
"""An operation in words, what it is done to, and the request."""

__all__ = [
    "Veth",
    "configure_host_side",
    "configure_host_sides",
    "configure_pod_side",
    "create_veth",
    "create_veths",
    "delete_link",
    "delete_links",
    "find_link",
    "write_sysctl",
]  # fmt: skip

_PROC: Final = "/proc/sys/net"
_libc: Final = ctypes.PyDLL(None, use_errno=True)
"""Keeps the interpreter's lock: each of these calls takes microseconds, and a thread that gives the lock away waits for
a busy loop to get it again, which a pod's settings would do twelve times."""
_libc.open.argtypes = (ctypes.c_char_p, ctypes.c_int)
_libc.write.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
_libc.write.restype = ctypes.c_ssize_t
_libc.close.argtypes = (ctypes.c_int,)
_LOOPBACK: Final = 1
"""Index of `lo` in every network namespace; the kernel makes sure of it."""
_IPV6: Final = (
    ("disable_ipv6", "0"), ("accept_ra", "0"), ("accept_dad", "0"), ("proxy_ndp", "1"), ("forwarding", "1"),
)  # fmt: skip
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
    """As `configure_host_sides`, for one. Raises KernelRefused."""
    (refused,) = configure_host_sides(host, (link,), proc=proc)
    if refused is not None:
        raise refused


def configure_host_sides(host: NetlinkSocket, made: Sequence[Link], *, proc: str = _PROC) -> list[KernelRefused | None]:
    """Set the host ends' settings, then bring them up; gives for each why the kernel refused. Undone by deleting.

    proxy_delay 0: else the first ARP answer waits up to 0.8 s. accept_ra 0: a pod must not become our router
    (CVE-2020-13597). rp_filter as the host's default: the packet filter checks sources itself. IPv4's settings go by
    netlink, all in one send; IPv6 has only files, and a new link has the default's values, so only others are written.
    """
    refused: list[KernelRefused | None] = [None] * len(made)
    ipv4 = {codec.FORWARDING: 1, codec.PROXY_ARP: 1, codec.ROUTE_LOCALNET: 1, codec.RP_FILTER: _rp_filter(proc)}
    _each(host, made, refused, "IPv4 settings", lambda link: codec.set_ipv4(link.index, ipv4))
    _each(host, made, refused, "proxy_delay", lambda link: routes.set_proxy_delay(link.index, 0))
    ipv6 = _unlike_default(proc)
    for place, link in enumerate(made):
        try:
            for name, value in ipv6 if refused[place] is None else ():
                write_sysctl(f"{proc}/ipv6/conf/{link.name}/{name}", value)
        except KernelRefused as error:
            refused[place] = error
    _each(host, made, refused, "link up", lambda link: codec.set_link(link.index, up=True))
    return refused


def _each(
    host: NetlinkSocket,
    made: Sequence[Link],
    refused: list[KernelRefused | None],
    operation: str,
    message: Callable[[Link], Message],
) -> None:
    """One request for each link that nothing was refused to yet, all in one send; notes the refusals."""
    asked = [(place, link) for place, link in enumerate(made) if refused[place] is None]
    for refusal in host.batch([message(link) for _, link in asked]):
        place, link = asked[refusal.place]
        refused[place] = KernelRefused(operation, link.name, refusal.errno, refusal.extack)


def _rp_filter(proc: str) -> int:
    with open(f"{proc}/ipv4/conf/default/rp_filter", encoding="ascii") as default:  # noqa: PTH123 - paths cost as much
        return int(default.read())


def _unlike_default(proc: str) -> list[tuple[str, str]]:
    """Settings of IPv6, in the order of writing, that a new link does not have by itself; none without IPv6."""
    found = []
    for name, value in _IPV6:
        try:
            with open(f"{proc}/ipv6/conf/default/{name}", encoding="ascii") as default:  # noqa: PTH123 - as above
                if default.read().strip() != value:
                    found.append((name, value))
        except FileNotFoundError:
            continue
    return found


def write_sysctl(path: str, value: str) -> None:
    """Write one value below /proc/sys. Raises KernelRefused."""
    text = value.encode("ascii")
    file = _libc.open(os.fsencode(path), os.O_WRONLY | os.O_CLOEXEC)
    written = _libc.write(file, text, len(text)) if file >= 0 else -1
    refused = 0 if written == len(text) else ctypes.get_errno() or errno.EIO
    if file >= 0:
        _libc.close(file)
    if refused:
        raise KernelRefused("sysctl write", f"{path} = {value}", refused)


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
        what = _alone(address)
        steps.append(("address add", f"{what} on {interface}", routes.add_address(index, what)))
    for version in sorted(versions):
        steps += _gateway(index, version)
    _do(pod, steps)


@functools.lru_cache(4096)
def _alone(address: Address) -> InterfaceAddress:
    """The address with no other in its network; made by way of text, so that it is worth remembering."""
    return ip_interface(address)


@functools.lru_cache(64)
def _gateway(index: int, version: int) -> tuple[_Step, ...]:
    """The way out of a pod; remembered, as nearly every pod's first interface has the same index."""
    return tuple(_way_out(index, version))


def _way_out(index: int, version: int) -> Iterator[_Step]:
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


def delete_links(host: NetlinkSocket, names: Sequence[str]) -> list[KernelRefused | None]:
    """Delete links, with them their peers and routes; gives for each why the kernel refused; absent is success.

    Two or more are put into a group of links that are going, and the group is deleted: the kernel waits for every CPU
    once for all of them, where one after the other each takes about 20 ms under its lock.
    """
    refused: list[KernelRefused | None] = [None] * len(names)
    if len(names) > 1:
        moves = [codec.move_to_group(name, GOING_GROUP) for name in names]
        left = {refusal.place for refusal in host.batch(moves)}
        if len(left) < len(names):
            host.batch((codec.delete_group(GOING_GROUP),))
    for place, name in enumerate(names):  # what the group left: refused, or made again meanwhile
        try:
            if len(names) == 1 or find_link(host, name) is not None:
                delete_link(host, name)
        except KernelRefused as error:
            refused[place] = error
    return refused


def _do(netlink: NetlinkSocket, steps: Sequence[_Step], *, absent: int = 0) -> None:
    """All steps in one send. Raises KernelRefused for the first that the kernel refused."""
    for refusal in netlink.batch([message for _, _, message in steps]):
        if refusal.errno != absent:
            operation, what, _ = steps[refusal.place]
            raise KernelRefused(operation, what, refusal.errno, refusal.extack)
