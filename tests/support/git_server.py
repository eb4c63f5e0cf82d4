"""A git server over HTTPS on loopback: `git http-backend` behind TLS, with tokens, client certificates and tricks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import os
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.support.certificates import Pair

__all__ = ["GitServer", "Seen"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request: path with query, and what it proved itself with."""

    path: str
    authorization: str | None
    client: str | None


@dataclass
class GitServer:
    """Serves the bare repositories below a folder.

    Attributes:
        root: the folder; `/r` is `root/r`.
        pair: certificate and key of the server.
        authority: whoever signed clients' certificates; None asks for none.
        token: user and token that must be given, None for nobody.
        git: the program, found before a test puts another one before it.
        trick: gives an answer of its own to a request and its body, or None to let git answer.
    """

    root: Path
    pair: Pair
    authority: Path | None = None
    token: tuple[str, str] | None = None
    trick: Callable[[web.BaseRequest, bytes], web.StreamResponse | None] | None = None
    git: str | None = shutil.which("git")
    seen: list[Seen] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """While inside, it answers; gives its address without a path."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.pair.cert, self.pair.key)
        if self.authority is not None:
            context.load_verify_locations(self.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        server = web.Server(self._answer, access_log=None)
        door = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=context)
        try:
            yield f"https://localhost:{door.sockets[0].getsockname()[1]}"
        finally:
            door.close()
            await server.shutdown(1)
            await door.wait_closed()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        given = request.headers.get("Authorization")
        certificate = request.get_extra_info("peercert") if request.transport is not None else None
        client = dict(part[0] for part in certificate["subject"])["commonName"] if certificate else None
        self.seen.append(Seen(request.path_qs, given, client))
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.trick is not None and (made := self.trick(request, body)) is not None:
            return made
        if self.token is not None:
            wanted = "Basic " + base64.b64encode(":".join(self.token).encode()).decode()
            if given != wanted:
                return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        return await self._backend(request, body)

    async def _backend(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        """Git's own CGI program."""
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
        git = self.git or "git"
        child = await asyncio.create_subprocess_exec(
            git, "http-backend", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, env={**environment, "CONTENT_LENGTH": str(len(body))},
        )  # fmt: skip
        output, _ = await child.communicate(body)
        head, _, content = output.partition(b"\r\n\r\n")
        headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n") if line)
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, headers=headers, body=content)
