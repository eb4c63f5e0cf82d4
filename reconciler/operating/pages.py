"""Health and metrics over HTTP, for probes and Prometheus: `/healthz`, `/readyz`, `/metrics`. It takes nothing in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from muslin.errors import BadInput, Problem

__all__ = ["CONTENT_TYPE", "Address", "Health", "address", "serving"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Of the text that Prometheus reads."""


@dataclass(slots=True)
class Health:
    """Whether the process is alive and of use, from what it last did.

    Args:
        clock: monotonic seconds.
        patience_s: how long it may go without a look, while it acts; a multiple of the interval between looks.
    """

    clock: Callable[[], float]
    patience_s: float
    _looked_at: dict[str, float] = field(default_factory=dict)
    _acting: set[str] = field(default_factory=set)
    _standing_by: set[str] = field(default_factory=set)

    def acts(self, set_name: str) -> None:
        """We act for this set from now on; it has as long as between two looks."""
        self._standing_by.discard(set_name)
        self._acting.add(set_name)
        self._looked_at[set_name] = self.clock()

    def stands_by(self, set_name: str) -> None:
        """Somebody else acts for this set."""
        self._acting.discard(set_name)
        self._standing_by.add(set_name)

    def looked(self, set_name: str) -> None:
        """A look ended, whatever it found."""
        self._looked_at[set_name] = self.clock()

    def overdue(self) -> Mapping[str, float]:
        """Mapping[set, seconds since its last look] for each that should have looked long ago."""
        ages = {name: self.clock() - self._looked_at[name] for name in self._acting}
        return {name: age for name, age in ages.items() if age > self.patience_s}

    @property
    def ready(self) -> bool:
        """Whether each set is acted for, here or by somebody whose lease we watch."""
        return bool(self._acting or self._standing_by) and not self.overdue()


@dataclass(frozen=True, slots=True)
class Address:
    """Where pages are served. Port 0 takes a free one."""

    host: str
    port: int


def address(text: str) -> Address:
    """An address from `HOST:PORT`, where HOST is an IP address. Raises BadInput."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    fix = "write an IP address and a port, for example 127.0.0.1:9099, [::1]:9099, or 0.0.0.0:9099 for every address"
    try:
        ip_address(host)
        number = int(port) if port.isascii() and port.isdecimal() else -1
    except ValueError:
        number = -1
    if not colon or not 0 <= number < 65536:
        raise BadInput(Problem(f"{text!r} is not an address to listen on", "--listen", fix))
    return Address(host, number)


@contextlib.asynccontextmanager
async def serving(where: Address | None, health: Health, metrics: Callable[[], bytes]) -> AsyncIterator[Address | None]:
    """While inside, the pages are served; gives the address with the port that was taken.

    Raises:
        BadInput: the address cannot be listened on.
    """
    if where is None:
        yield None
        return
    from aiohttp import web  # noqa: PLC0415 - a fifth of a second for those who serve no pages

    async def healthz(_: web.Request) -> web.Response:
        late = health.overdue()
        words = "".join(f"set {name}: no look for {age:.0f} s\n" for name, age in sorted(late.items()))
        return web.Response(text=words or "ok\n", status=503 if late else 200)

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n" if health.ready else "not yet\n", status=200 if health.ready else 503)

    async def figures(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": CONTENT_TYPE})

    application = web.Application(client_max_size=1024)
    application.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", figures)])
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, where.host, where.port)
    try:
        try:
            await site.start()
        except OSError as error:
            fix = "choose a free port and an address of this machine"
            raise BadInput(Problem(f"cannot listen: {error}", f"--listen {where.host}:{where.port}", fix)) from error
        yield Address(where.host, runner.addresses[0][1])
    finally:
        await asyncio.shield(runner.cleanup())
