"""The webhook process: hears over HTTP that somebody pushed, and writes one byte to the fetcher's FIFO.

A process of its own, because it alone talks to whoever asks: it has no credentials of a repository, no datastore, and
starts no program; what can be won by breaking it is to make the fetcher look more often. Every request is answered;
what a message says is never read, only its proof. A push that comes too soon after another is kept and wakes later.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import ssl
import stat
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web

from muslin.errors import BadInput, Failed, MuslinError, Problem
from reconciler import confinement, sources_file
from reconciler.hook import WAKE_FIFO
from reconciler.sources_file import Listen, Role
from reconciler.webhook import Rate, Secret

__all__ = ["Limits", "Target", "listening", "main"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What requests may cost. Bytes, seconds, and requests a second with how many at once."""

    body: int = 5 << 20
    patience_s: float = 10.0
    connection_s: float = 20.0
    at_a_time: int = 32
    burst: int = 60
    each_s: float = 10.0
    wakes: int = 3
    wakes_each_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a source's messages wake, and what proves them."""

    secret: Secret
    fifo: Path


class _Doors:
    """Answers requests. `now` is a clock that only goes forward."""

    def __init__(self, targets: Mapping[str, Target], limits: Limits, say: Callable[[str], None]) -> None:
        self._targets = targets
        self._limits = limits
        self._say = say
        self._rate = Rate(limits.burst, limits.each_s)
        self._wakes = {name: Rate(limits.wakes, limits.wakes_each_s) for name in targets}
        self._later: dict[str, asyncio.TimerHandle] = {}
        self._inside = 0

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to one request; never an exception."""
        if not self._rate.allows(asyncio.get_running_loop().time()) or self._inside >= self._limits.at_a_time:
            return _said(
                HTTPStatus.TOO_MANY_REQUESTS, "too many requests; the repository is polled as well", later=True
            )
        self._inside += 1
        try:
            async with asyncio.timeout(self._limits.patience_s):
                status, text = await self._judged(request)
        except TimeoutError:
            status, text = HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time"
        except (ConnectionError, ValueError, web.HTTPException):
            status, text = HTTPStatus.BAD_REQUEST, "the request cannot be read"
        finally:
            self._inside -= 1
        return _said(status, text, later=status is HTTPStatus.SERVICE_UNAVAILABLE)

    def close(self) -> None:
        """Wake now what was to be woken later."""
        for name, timer in list(self._later.items()):
            timer.cancel()
            self._wake(name)

    async def _judged(self, request: web.BaseRequest) -> tuple[HTTPStatus, str]:
        name = request.path.removeprefix("/hook/")
        target = self._targets.get(name) if request.path.startswith("/hook/") else None
        if target is None:
            return HTTPStatus.NOT_FOUND, "there is no such hook; the path is /hook/ and the source's name"
        if request.method != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED, "send it with POST"
        told = request.content_length
        if told is not None and told > self._limits.body:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {self._limits.body} bytes"
        body = bytearray()
        async for chunk in request.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > self._limits.body:
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {self._limits.body} bytes"
        proofs = request.headers.getall(target.secret.header, [])
        if len(proofs) != 1 or not target.secret.proves(proofs[0], bytes(body)):
            self._say(f"{name}: a request without a good {target.secret.header} was refused")
            return HTTPStatus.UNAUTHORIZED, f"{target.secret.header} does not prove the shared secret"
        return self._heard(name)

    def _heard(self, name: str) -> tuple[HTTPStatus, str]:
        loop = asyncio.get_running_loop()
        if name in self._later:
            return HTTPStatus.ACCEPTED, "will look soon"
        if not self._wakes[name].allows(loop.time()):
            self._later[name] = loop.call_later(1.0 / self._limits.wakes_each_s, self._wake, name)
            return HTTPStatus.ACCEPTED, "will look soon"
        return self._wake(name)

    def _wake(self, name: str) -> tuple[HTTPStatus, str]:
        self._later.pop(name, None)
        try:
            fifo = os.open(self._targets[name].fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError as error:
            self._say(f"{name}: the fetcher cannot be woken: {error.strerror}")
            return HTTPStatus.SERVICE_UNAVAILABLE, "the fetcher does not run; it will look when it does"
        try:
            if stat.S_ISFIFO(os.fstat(fifo).st_mode):
                with contextlib.suppress(BlockingIOError):  # full: it is woken already
                    os.write(fifo, b".")
        finally:
            os.close(fifo)
        return HTTPStatus.ACCEPTED, "looking"


def _said(status: HTTPStatus, text: str, *, later: bool = False) -> web.Response:
    response = web.Response(status=status, text=f"{text}\n", headers={"Retry-After": "5"} if later else None)
    response.force_close()
    return response


@contextlib.asynccontextmanager
async def listening(
    listen: Listen, targets: Mapping[str, Target], say: Callable[[str], None], limits: Limits | None = None
) -> AsyncIterator[int]:
    """While inside, requests are answered; gives the port. Raises Failed where it cannot listen, BadInput on bad files.

    Args:
        listen: address, port (0 for any), and what to prove ourselves with.
        targets: Mapping[source's name, whom it wakes].
        say: is given one line for the log.
        limits: what requests may cost.
    """
    limits = limits or Limits()
    loop, doors = asyncio.get_running_loop(), _Doors(targets, limits, say)
    # nothing is unpacked: what is proven are the octets that were sent, and small ones may unpack to very many
    server = web.Server(doors.answer, keepalive_timeout=1.0, access_log=None, lingering_time=1.0, auto_decompress=False)

    def connection() -> asyncio.Protocol:
        handler = server()
        loop.call_later(limits.connection_s, handler.force_close)  # however slowly it is fed
        return handler

    try:
        door = await loop.create_server(connection, listen.host, listen.port, ssl=_context(listen))
    except OSError as error:
        where = f"{listen.host}:{listen.port}"
        raise Failed(Problem(f"cannot listen: {error.strerror or error}", where, "use a free address")) from error
    try:
        yield door.sockets[0].getsockname()[1]
    finally:
        door.close()
        doors.close()
        await server.shutdown(1.0)
        await door.wait_closed()


def _context(listen: Listen) -> ssl.SSLContext | None:
    if listen.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(listen.certificate, listen.key)
    except (OSError, ssl.SSLError) as error:
        what = f"certificate and key cannot be used: {error.strerror or error}"
        raise BadInput(Problem(what, str(listen.certificate), "give PEM files that belong together")) from error
    return context


async def _serve(listen: Listen, targets: Mapping[str, Target], say: Callable[[str], None]) -> int:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with listening(listen, targets, say) as port:
        say(f"listens on {listen.host}:{port} for {', '.join(f'/hook/{name}' for name in targets)}")
        await ended.wait()
    return 0


def _there(mirror: Path) -> Path:
    """The mirror's folder, or the one that it will be made in: the fetcher makes it, and it must be the fetcher's."""
    for folder in (mirror, mirror.parent):
        if folder.is_dir():
            return folder
    raise BadInput(Problem("there is no such folder", str(mirror.parent), "make it, or start `muslin fetch` first"))


_EPILOG: Final = """\
examples:
  muslin webhook --sources /etc/muslin/sources.yaml

Let the git server send pushes to https://HOST:PORT/hook/SOURCE with the secret of
that source. Run it as a user of its own: it needs the file of sources, the secrets,
and to write the mirrors' FIFOs.

exit status: 0 ended as asked, 1 it failed, 2 wrong usage"""


def main(argv: Sequence[str] | None = None) -> int:
    """The process. Gives the exit status: 0 ended as asked, 1 failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="muslin webhook",
        description="Hear from a git server that somebody pushed, and wake `muslin fetch`.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sources", type=Path, required=True, help="file that names sources, secrets and address")
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv)

    def say(line: str) -> None:
        print(f"muslin webhook: {line}", file=sys.stderr, flush=True)  # noqa: T201  the process's log

    try:
        sources = sources_file.load(arguments.sources, Role.WEBHOOK)
        targets = {
            each.name: Target(each.secret, each.mirror / WAKE_FIFO)
            for each in sources.origins
            if each.secret is not None
        }
        if sources.listen is None or not targets:
            what = "no source has a webhook"
            raise BadInput(
                Problem(what, str(arguments.sources), "give a source `webhook`, and the file `webhook.listen`")
            )
        folders = [_there(target.fifo.parent) for target in targets.values()]
        lacking = confinement.confine(programs=(), writes=(), fills=folders, connects=False)
        if lacking:
            say(lacking)
        return asyncio.run(_serve(sources.listen, targets, say))
    except MuslinError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, BadInput) else 1


if __name__ == "__main__":
    sys.exit(main())
