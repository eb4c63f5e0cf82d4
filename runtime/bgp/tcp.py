"""TCP as the speaker's network: MD5 keys (RFC 2385), GTSM (RFC 5082), a backlog that survives a reflector's restart."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address
from typing import cast

from muslin.net import Address
from runtime.bgp.network import Accept, Receiver, Stream
from runtime.bgp.settings import PeerSettings

__all__ = ["TcpNetwork"]

_BACKLOG = 1024
"""BIRD's 8 overflows when hundreds of clients come back at once."""
_CONNECT_TIMEOUT_S = 5.0
_WRITE_LIMIT = 32 << 20
"""Octets that may wait for a peer that does not read; then it is cut off (the purpose of RFC 9687)."""
_TCP_MD5SIG = 14  # linux/tcp.h
_IP_MINTTL = 21  # linux/in.h
_IPV6_MINHOPCOUNT = 73  # linux/in6.h


class _Connection(asyncio.Protocol):
    """Glue between a transport and a receiver."""

    def __init__(self, receive: Callable[[Stream], Receiver | None]) -> None:
        self._receive = receive
        self._receiver: Receiver | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._receiver = self._receive(self)
        if self._receiver is None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._receiver is not None:
            self._receiver.lost()

    @property
    def socket(self) -> socket.socket:
        """The socket below, for its options."""
        assert self._transport is not None
        return cast("socket.socket", self._transport.get_extra_info("socket"))

    @property
    def local_address(self) -> Address:
        return self._address("sockname")

    @property
    def peer_address(self) -> Address:
        return self._address("peername")

    def _address(self, name: str) -> Address:
        assert self._transport is not None
        address = ip_address(self._transport.get_extra_info(name)[0].partition("%")[0])
        mapped = address.ipv4_mapped if address.version == 6 else None
        return address if mapped is None else mapped

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _WRITE_LIMIT:
            self._transport.abort()

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


class _TcpListener:
    """One listening socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._server: asyncio.Server | None = None
        self._peers: dict[Address, PeerSettings] = {}

    async def start(self, accept: Accept) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(lambda stream: self._accept(stream, accept)), sock=self._socket, backlog=_BACKLOG
        )

    def _accept(self, stream: Stream, accept: Accept) -> Receiver | None:
        peer = self._peers.get(stream.peer_address)
        connection = cast("_Connection", stream)
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if peer is not None and peer.ttl_security_hops is not None:
            _require_near(connection.socket, peer.ttl_security_hops)
        return accept(stream)

    def expect(self, peers: tuple[PeerSettings, ...]) -> None:
        version = 4 if self._socket.family == socket.AF_INET else 6
        wanted = {peer.address: peer for peer in peers if peer.address.version == version}
        for address, peer in self._peers.items():
            if peer.password and not (address in wanted and wanted[address].password):
                _set_password(self._socket, address, "")
        for address, peer in wanted.items():
            old = self._peers.get(address)
            if peer.password and (old is None or old.password != peer.password):
                _set_password(self._socket, address, peer.password)
        self._peers = wanted

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


class TcpNetwork:
    """The kernel's TCP in the network namespace of this process."""

    async def listen(self, address: Address, port: int, accept: Accept) -> _TcpListener:
        """Accept connections. Raises OSError."""
        sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if address.version == 6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _send_far(sock)
            sock.bind((str(address), port))
            sock.setblocking(False)
            listener = _TcpListener(sock)
            await listener.start(accept)
        except BaseException:
            sock.close()
            raise
        return listener

    async def connect(self, peer: PeerSettings, receive: Callable[[Stream], Receiver | None]) -> None:
        """Dial. Raises OSError, TimeoutError among them."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET if peer.address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if peer.password:
                _set_password(sock, peer.address, peer.password)
            if peer.ttl_security_hops is not None:
                _send_far(sock)
                _require_near(sock, peer.ttl_security_hops)
            if peer.local_address is not None:
                sock.bind((str(peer.local_address), 0))
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await loop.sock_connect(sock, (str(peer.address), peer.port))
            await loop.create_connection(lambda: _Connection(receive), sock=sock)
        except BaseException:
            sock.close()
            raise


def _send_far(sock: socket.socket) -> None:
    """Send with the greatest TTL, which is what a peer with GTSM wants to see and harms no other."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)


def _require_near(sock: socket.socket, hops: int) -> None:
    """Have the kernel drop what came over more than `hops` hops."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MINTTL, 256 - hops)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MINHOPCOUNT, 256 - hops)


def _set_password(sock: socket.socket, address: Address, password: str) -> None:
    """Sign segments to and from `address`; an empty password takes the key away. `struct tcp_md5sig` of linux/tcp.h."""
    if address.version == 4:
        peer = struct.pack("=HH4s", socket.AF_INET, 0, address.packed)
    else:
        peer = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, address.packed, 0)
    key = password.encode()
    value = peer.ljust(128, b"\0") + struct.pack("=BBHI80s", 0, 0, len(key), 0, key)
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_MD5SIG, value)
