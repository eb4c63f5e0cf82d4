"""Endpoints from SRV records: `_etcd-client-ssl._tcp` and `_etcd-client._tcp` of a domain, as etcd's own clients."""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from muslin.datastore.etcd.endpoints import Endpoint, endpoints_from
from muslin.datastore.etcd.srv import BadAnswer, Srv, Truncated, answer, question
from muslin.errors import BadInput, Problem, Unavailable

__all__ = ["discovered"]

_SERVICES: Final = (("https", "_etcd-client-ssl._tcp"), ("http", "_etcd-client._tcp"))
_TIMEOUT_S: Final = 3.0
_FIELD: Final = "etcdDiscoverySrv"


async def discovered(domain: str, resolv_conf: Path = Path("/etc/resolv.conf"), port: int = 53) -> tuple[Endpoint, ...]:
    """The members that a domain names; those with TLS where there are some.

    Args:
        domain: taken as complete: no search list.
        resolv_conf: names the servers to ask, one after the other.
        port: of these servers.

    Raises:
        BadInput: the domain is none, or names no member.
        Unavailable: no server answers.
    """
    servers = _servers(resolv_conf)
    for scheme, service in _SERVICES:
        records = await _asked(f"{service}.{domain}", domain, servers, port)
        if records:
            return endpoints_from([f"{scheme}://{_host(it.target)}:{it.port}" for it in records])
    names = " and ".join(f"{service}.{domain}" for _, service in _SERVICES)
    fix = "add the records, or name the endpoints in etcdEndpoints"
    raise BadInput(Problem(f"no SRV records at {names}", f"{_FIELD} {domain!r}", fix))


async def _asked(name: str, domain: str, servers: Sequence[str], port: int) -> tuple[Srv, ...]:
    try:
        question(domain, 0)
        message = question(name, secrets.randbelow(1 << 16))
    except ValueError as error:
        raise BadInput(Problem(str(error), f"{_FIELD} {domain!r}", "such as example.org")) from None
    reasons = []
    for server in servers:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                try:
                    return await _by_datagram(message, server, port)
                except Truncated:
                    return answer(message, await _by_stream(message, server, port))
        except TimeoutError:
            reasons.append(f"{server}: no answer within {_TIMEOUT_S:g} s")
        except (OSError, BadAnswer, Truncated, asyncio.IncompleteReadError) as error:
            reasons.append(f"{server}: {error}")
    what = f"the members of etcd can't be looked up: {'; '.join(reasons)}"
    raise Unavailable(Problem(what, f"{_FIELD} {domain!r}", "check the name servers in /etc/resolv.conf"))


class _Datagrams(asyncio.DatagramProtocol):
    """Gives the first datagram that answers; others (late, forged) are passed over."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self.found: asyncio.Future[tuple[Srv, ...]] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        """See `asyncio.DatagramProtocol`."""
        try:
            found = answer(self._message, data)
        except BadAnswer as error:
            if data[:2] == self._message[:2]:
                self._failed(error)
        except Truncated as error:
            self._failed(error)
        else:
            if not self.found.done():
                self.found.set_result(found)

    def error_received(self, exc: Exception) -> None:
        """See `asyncio.DatagramProtocol`."""
        self._failed(exc)

    def _failed(self, error: Exception) -> None:
        if not self.found.done():
            self.found.set_exception(error)


async def _by_datagram(message: bytes, server: str, port: int) -> tuple[Srv, ...]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _Datagrams(message), remote_addr=(server, port))
    try:
        transport.sendto(message)
        return await protocol.found
    finally:
        transport.close()


async def _by_stream(message: bytes, server: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(server, port)
    try:
        writer.write(struct.pack("!H", len(message)) + message)
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(length)
    finally:
        writer.close()
        await writer.wait_closed()


def _servers(resolv_conf: Path) -> Sequence[str]:
    try:
        lines = resolv_conf.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines]
    return [it[1] for it in words if len(it) > 1 and it[0] == "nameserver"] or ["127.0.0.1"]


def _host(target: str) -> str:
    return f"[{target}]" if ":" in target else target
