"""A node with two pods and an outside host, in namespaces, wired by the code under test; and packets to send there."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from muslin.net import Address
from runtime.calc.verdict import Packet
from runtime.dataplane import links
from runtime.dataplane.netlink import routes
from runtime.dataplane.netlink.routes import KernelRoute
from runtime.dataplane.netlink.socket import NETFILTER, ROUTE, NetlinkSocket
from runtime.dataplane.netlink.wire import Message
from tests.support.netns import entered, ip, new_namespace, run
from tests.support.node_states import HOST, OUTSIDE, PODS

__all__ = ["Probes", "Wiring", "flush_conntrack", "route_to", "wire_node"]

_SENTINEL_PORT = 9
_IPV6_CHECKSUM = 7


@dataclass(frozen=True, slots=True)
class Wiring:
    """Network namespaces as file descriptors: of each pod by host interface, of the outside host."""

    pods: dict[str, int]
    outside: int


def route_to(host: NetlinkSocket, interface: int, address: Address) -> None:
    """The route that the node's loop would write; there already is fine."""
    reply = host.request(routes.add_route(KernelRoute(ip_network(address), interface)))
    assert reply.errno in (0, errno.EEXIST)


def wire_pod(host: NetlinkSocket, interface: str, addresses: tuple[Address, ...]) -> int:
    """A pod's namespace, wired and routed."""
    namespace = new_namespace()
    link = links.create_veth(host, links.Veth(interface, "eth0", namespace, 1450))
    links.configure_host_side(host, link)
    with entered(namespace):
        handed_in = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ROUTE)
    inside = NetlinkSocket(ROUTE, adopted=handed_in)
    links.configure_pod_side(inside, link.peer, "eth0", addresses)
    inside.close()
    for address in addresses:
        route_to(host, link.index, address)
    return namespace


def wire_node() -> Wiring:
    """Two pods and an outside host; the current namespace is the node."""
    for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path("/proc/sys/net", path).write_text("1", encoding="ascii")
    outside = new_namespace()
    ip(f"link add eth0 type veth peer name eth0 netns /proc/{os.getpid()}/fd/{outside}")
    for line in ("link set eth0 up", f"addr add {HOST[0]}/24 dev eth0", f"-6 addr add {HOST[1]}/64 dev eth0 nodad"):
        ip(line)
    for line in (
        "link set eth0 up",
        "addr add 192.0.2.254/24 dev eth0",
        "-6 addr add 2001:db8:2::fe/64 dev eth0 nodad",
        f"addr add {OUTSIDE[0]}/32 dev lo",
        f"-6 addr add {OUTSIDE[1]}/128 dev lo nodad",
        f"route add default via {HOST[0]}",
        f"-6 route add default via {HOST[1]}",
    ):
        ip(line, outside)
    ip(f"route add {OUTSIDE[0]}/32 via 192.0.2.254")
    ip(f"-6 route add {OUTSIDE[1]}/128 via 2001:db8:2::fe")
    host = NetlinkSocket(ROUTE)
    pods = {interface: wire_pod(host, interface, addresses) for interface, addresses in PODS.items()}
    host.close()
    for address in (*OUTSIDE, *PODS["cali1"], *PODS["cali2"]):  # so that no probe waits for a neighbour's answer
        run("ping", "-c1", "-W2", "-I", str(HOST[address.version == 6]), str(address))
    return Wiring(pods, outside)


def flush_conntrack(netlink: NetlinkSocket) -> None:
    """Forget every flow."""
    for family in (socket.AF_INET, socket.AF_INET6):
        netlink.request(Message(0x102, 0, struct.pack("!BBH", family, 0, 0)))


class Probes:
    """Sends first packets of flows with raw sockets and says which arrived; no waiting for what doesn't come.

    After each probe the node sends a packet that is always let through (a node reaches its own pods and its
    neighbours); everything happens on one CPU in order, so what has not come before it was dropped.
    """

    def __init__(self, wiring: Wiring) -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        self._wiring = wiring
        self._conntrack = NetlinkSocket(NETFILTER)
        places: list[tuple[str | None, int]] = [(None, wiring.outside), *wiring.pods.items()]
        self._senders: dict[tuple[str | None, int, int], socket.socket] = {}
        self._receivers: dict[tuple[str | None, int, int], socket.socket] = {}
        for place, namespace in places:
            with entered(namespace):
                for version in (4, 6):
                    self._open(place, version)
        for version in (4, 6):
            self._open("node", version)

    def _open(self, place: str | None, version: int) -> None:
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        for protocol in (6, 17, 1 if version == 4 else 58):
            raw = socket.socket(family, socket.SOCK_RAW, protocol)
            if version == 6 and protocol != 58:
                raw.setsockopt(socket.IPPROTO_IPV6, _IPV6_CHECKSUM, 16 if protocol == 6 else 6)
            mine = {None: OUTSIDE, "node": HOST}.get(place) or PODS[place or ""]
            raw.bind((str(mine[version == 6]), 0))
            self._senders[place, version, protocol] = raw
            receiver = socket.socket(family, socket.SOCK_RAW, protocol)
            self._receivers[place, version, protocol] = receiver

    def send_from(self, place: str, source: Address) -> None:
        """From now on a pod's UDP comes from another address."""
        with entered(self._wiring.pods[place]):
            raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 17)
            raw.bind((str(source), 0))
        self._senders[place, 4, 17].close()
        self._senders[place, 4, 17] = raw

    def arrives(self, packet: Packet) -> Address | None:
        """Where from the packet seems to come, sent now as the first of its flow; None if it does not arrive."""
        flush_conntrack(self._conntrack)
        version, protocol = packet.source.version, packet.protocol
        to = "node" if packet.path.value == "input" else packet.out_interface
        receiver = self._receivers[to, version, protocol]
        _drain(receiver)
        token, marker = os.urandom(8), os.urandom(8)
        sender = self._senders[packet.in_interface, version, protocol]
        sender.sendto(_segment(packet, token), (str(packet.destination), 0))
        target = {"node": HOST, None: OUTSIDE}.get(to) or PODS[to or ""]
        mine = HOST[version == 6]
        sentinel = Packet(mine, target[version == 6], protocol, 7, _SENTINEL_PORT, packet.icmp)
        self._senders["node", version, protocol].sendto(_segment(sentinel, marker), (str(sentinel.destination), 0))
        seen = None
        while True:
            got, place = receiver.recvfrom(2048)
            if got.endswith(marker):
                return seen
            if got.endswith(token) and (version == 4 or got[:1] != b"\x81"):
                seen = ip_address(place[0])


def _drain(receiver: socket.socket) -> None:
    receiver.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            receiver.recv(2048)
    receiver.settimeout(2)


def _segment(packet: Packet, body: bytes) -> bytes:
    if packet.icmp is not None:
        message = bytes(packet.icmp) + struct.pack("!HHH", 0, 1, 1) + body
        return message if packet.protocol == 58 else message[:2] + _checksum(message) + message[4:]
    ports = struct.pack("!HH", packet.source_port or 0, packet.destination_port or 0)
    if packet.protocol == 17:
        return ports + struct.pack("!HH", 8 + len(body), 0) + body  # IPv4: no checksum; IPv6: the kernel's
    head = ports + struct.pack("!IIBBHHH", 1, 0, 0x50, 0x02, 1000, 0, 0)
    if packet.source.version == 6:
        return head + body
    pseudo = packet.source.packed + packet.destination.packed + struct.pack("!BBH", 0, 6, len(head) + len(body))
    return head[:16] + _checksum(pseudo + head + body) + head[18:] + body


def _checksum(data: bytes) -> bytes:
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
