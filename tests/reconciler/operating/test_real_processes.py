"""Two real processes for one set, as they are operated: a kill, a stop, a page, a notice."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import signal
import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from muslin.resources.keys import Key
from reconciler.operating.election import KIND
from reconciler.operating.history import records
from reconciler.process import main
from tests.reconciler.cases import policy
from tests.reconciler.sites import Site, end

_SECRET = b"0123456789abcdef0123456789abcdef"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def _holder(site: Site, *, not_: str = "") -> str:
    """Who holds the lease, as soon as it is somebody other than `not_`."""
    listing = await site.store.list(KIND)
    found = [entry.value["spec"]["holder"] for entry in listing.entries]
    if found and found[0] not in ("", not_):
        return str(found[0])
    async with asyncio.timeout(30):
        async for change in site.store.watch((KIND,), listing.revision):
            value = getattr(change, "value", None)
            if value is not None and value["spec"]["holder"] not in ("", not_):
                return str(value["spec"]["holder"])
    raise AssertionError


@pytest.mark.slow
def test_a_kill_and_a_stop_of_who_acts_and_what_is_told(tmp_path: Path) -> None:
    """The second takes over from a killed one, shows it on its pages, signs notices, and gives the lease away."""
    notices: list[tuple[bytes, str]] = []

    async def scenario() -> None:
        async def taken(request: web.Request) -> web.Response:
            notices.append((await request.read(), request.headers["X-Muslin-Signature-256"]))
            return web.Response()

        application = web.Application()
        application.add_routes([web.post("/", taken)])
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        (tmp_path / "secret").write_bytes(_SECRET + b"\n")
        site, port = Site(tmp_path), _free_port()
        await site.push({"a.yaml": policy("a")})
        assert await end(await site.fetcher("--once"), 0) == 0
        both = ("--leader-elect", "--lease", "3")
        one = await site.reconciler(*both)
        first = await _holder(site)
        await site.until(a=True)
        two = await site.reconciler(
            *both, "--wake", str(tmp_path / "wake2"), "--listen", f"127.0.0.1:{port}", "--json", "--notify",
            f"http://127.0.0.1:{runner.addresses[0][1]}/", "--notify-secret", str(tmp_path / "secret"),
        )  # fmt: skip
        try:
            await end(one, signal.SIGKILL)
            second = await _holder(site, not_=first)
            await site.push({"a.yaml": policy("a"), "b.yaml": policy("b")})
            assert await end(await site.fetcher("--once", "--poke", str(tmp_path / "wake2")), 0) == 0
            await site.until(b=True)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    assert answer.status == 200
                async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    figures = await answer.text()
        finally:
            status = await end(two)
        assert status == 0
        assert 'muslin_reconciler_leading{set="default"} 1.0' in figures
        lease = (await site.store.get(Key(KIND, "default"))).value["spec"]
        assert (lease["holder"], lease["term"]) == ("", 2)
        kept = await records(site.store, "default")
        assert [each.event for each in kept if each.reconcile.startswith(second[-8:])][-1] == "Applied"
        assert kept[-1].who == "a <a@example.org>"
        await runner.cleanup()
        await site.store.close()

    asyncio.run(asyncio.wait_for(scenario(), 90))
    told = [json.loads(body)["event"] for body, _ in notices]
    assert "Applied" in told
    for body, signature in notices:
        assert signature == "sha256=" + hmac.new(_SECRET, body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--listen", "9099"), "write an IP address"),
        (("--notify", "http://192.0.2.1/"), "write https://host/path"),
        (("--notify-secret", "x"), "give --notify URL as well"),
        (("--notify", "https://hooks.example.com/", "--notify-secret", "/dev/null"), "shorter than 16 bytes"),
        (("--leader-elect", "--lease", "0"), "not a number of seconds above 0"),
    ],
)
def test_wrong_options_are_told_before_anything_begins(
    tmp_path: Path, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, and what to write instead; no datastore is made."""
    file = tmp_path / "store.db"
    try:
        status: object = main(["--mirror", str(tmp_path), "--datastore", str(file), *arguments])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert words in capsys.readouterr().err
    assert not file.exists()
