"""An API server whose every octet a test decides: what a real one does only on a bad day.

A script is an async function that gets each request and a `Reply`; it ends with the answer or leaves it open.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

from muslin.kubernetes.access import Access, User
from muslin.kubernetes.client import KubernetesClient
from muslin.kubernetes.pace import Limits

__all__ = ["QUICK", "Api", "Asked", "Reply", "changed", "scripted", "status"]

QUICK = Limits(qps=0, first_wait_s=0.002, longest_wait_s=0.01, answer_s=5, connect_s=5, idle_s=5)
"""Limits of tests: waits are short, and no test waits for one to end."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Reply:
    """Writes to the client; head and body as it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def raw(self, octets: bytes) -> None:
        """These octets, and no others."""
        self.writer.write(octets)
        await self.writer.drain()

    async def json(self, status: int, value: Any, **headers: str) -> None:
        """A whole answer."""
        body = json.dumps(value).encode()
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Content-Type: application/json"]
        lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
        await self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def begin(self) -> None:
        """The head of a watch."""
        await self.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    async def chunk(self, octets: bytes) -> None:
        """A part of an answer that goes on."""
        await self.raw(b"%x\r\n%b\r\n" % (len(octets), octets))

    async def event(self, kind: str, thing: Any) -> None:
        """A line of a watch."""
        await self.chunk(json.dumps({"type": kind, "object": thing}).encode() + b"\n")

    async def end(self) -> None:
        """The end of a watch, in order."""
        await self.raw(b"0\r\n\r\n")

    async def gone(self) -> None:
        """Until the client has closed its end."""
        assert await self.reader.read(1) == b""

    def cut(self) -> None:
        """The connection is gone, without a word."""
        self.writer.transport.abort()


Script = Callable[[Asked, Reply], Awaitable[None]]


@dataclass
class Api:
    """A running server: `asked` is every request so far, in order of their arrival."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    open: list[KubernetesClient] = field(default_factory=list)

    async def client(self, limits: Limits = QUICK, user: User | None = None, **settings: Any) -> KubernetesClient:
        """A client of it, closed at the end; `settings` are other fields of the access."""
        access = replace(Access(self.url, user=user or User()), **settings)
        client = await KubernetesClient.connect(access, limits=limits, random=Random(7))
        self.open.append(client)
        return client


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[Api]:
    """Runs a server on loopback for the block."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = await _request(reader)
                api.asked.append(asked)
                await script(asked, Reply(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    api = Api(f"http://{host}:{port}")
    try:
        yield api
    finally:
        for client in api.open:
            await client.close()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    url = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    return Asked(method, url.path, query, headers, json.loads(body) if body else None)


def changed(revision: int, name: str = "x", **further: Any) -> dict[str, Any]:
    """An object at a revision."""
    return {"kind": "Thing", "metadata": {"name": name, "resourceVersion": str(revision)}, **further}


def status(code: int, reason: str, message: str = "no", **details: Any) -> dict[str, Any]:
    """A Status object, as refusals are."""
    return {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message, **details}
