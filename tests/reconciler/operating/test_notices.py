"""Notices: what is sent, signed, tried again and dropped; and over a real connection."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from aiohttp import web

from muslin.errors import BadInput
from muslin.resources.keys import Key
from reconciler.compare import FieldChange
from reconciler.operating.notices import SIGNATURE, Notices, Post, Target, over_http, target_at
from reconciler.status import Event, EventKind
from tests.support.virtual_time import run_virtual

_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_HELD = Event(EventKind.COMMIT_HELD, 7, "a.yaml:3: unknown field; remove it", "c1")


def _notices(post: Post, target: Target | None = None) -> Notices:
    target = target or Target("https://hooks.example.com/x", b"quiet")
    return Notices(target, "default", run_id="run", post=post, now=lambda: _AT, random=Random(1))


class _Receiver:
    """Answers with the given statuses in turn, then 200; remembers bodies, headers and times."""

    def __init__(self, *statuses: int | OSError) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[float, dict[str, Any], dict[str, str], bytes]] = []

    async def __call__(self, body: bytes, headers: dict[str, str]) -> int:
        self.got.append((asyncio.get_running_loop().time(), json.loads(body), headers, body))
        answer = self.statuses.pop(0) if self.statuses else 200
        if isinstance(answer, OSError):
            raise answer
        return answer


def test_a_notice_says_what_happened_and_is_signed() -> None:
    """The receiver can tell set, look, commit and object, and that it comes from us."""

    async def story() -> None:
        receiver = _Receiver()
        notices = _notices(receiver)
        running = asyncio.ensure_future(notices.run())
        drift = (FieldChange("spec.natOutgoing", old=True, new=False),)
        notices.offer(Event(EventKind.DRIFT_REPAIRED, 8, "put back", "c1", Key("IPPool", "pods"), drift))
        await asyncio.sleep(1)
        ((_, notice, headers, body),) = receiver.got
        assert notice == {
            "version": 1, "at": "2026-01-02T03:04:05.000Z", "set": "default", "event": "DriftRepaired",
            "reconcile": "run-8", "message": "put back", "commit": "c1", "object": "IPPool pods", "dropped": 0,
            "fields": [{"path": "spec.natOutgoing", "old": True, "new": False}],
        }  # fmt: skip
        assert headers[SIGNATURE] == "sha256=" + hmac.new(b"quiet", body, hashlib.sha256).hexdigest()
        running.cancel()

    run_virtual(story())


def test_fields_that_are_left_out_are_counted() -> None:
    """A notice has an end, and says that there is more."""

    async def story() -> None:
        receiver = _Receiver()
        notices = _notices(receiver)
        running = asyncio.ensure_future(notices.run())
        drift = tuple(FieldChange(f"spec.nets[{at}]", old="192.0.2.0/24", new=None) for at in range(25))
        notices.offer(Event(EventKind.DRIFT_REPAIRED, 8, "put back", "c1", Key("GlobalNetworkSet", "s"), drift))
        await asyncio.sleep(1)
        ((_, notice, _, _),) = receiver.got
        assert (len(notice["fields"]), notice["moreFields"]) == (20, 5)
        running.cancel()

    run_virtual(story())


def test_what_happens_all_the_time_is_not_sent() -> None:
    """Nobody wants a message for every retry."""

    async def story() -> None:
        receiver = _Receiver()
        notices = _notices(receiver)
        running = asyncio.ensure_future(notices.run())
        for kind in (EventKind.RETRY, EventKind.FETCH, EventKind.OBJECT_WRITTEN, EventKind.COMMIT_ACCEPTED):
            notices.offer(Event(kind, 1, "x"))
        await asyncio.sleep(100)
        assert not receiver.got
        running.cancel()

    run_virtual(story())


def test_an_address_that_is_away_is_tried_again_and_order_is_kept() -> None:
    """The pauses grow, the first notice arrives before the second, and nothing is dropped."""

    async def story() -> None:
        receiver = _Receiver(OSError("refused"), 503, 429)
        notices = _notices(receiver)
        running = asyncio.ensure_future(notices.run())
        notices.offer(_HELD)
        notices.offer(Event(EventKind.APPLIED, 9, "done", "c2"))
        await asyncio.sleep(60)
        assert [notice["reconcile"] for _, notice, _, _ in receiver.got] == ["run-7"] * 4 + ["run-9"]
        times = [at for at, _, _, _ in receiver.got]
        assert times[1] - times[0] < times[2] - times[1] < times[3] - times[2]
        running.cancel()

    run_virtual(story())


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_what_is_refused_for_good_is_dropped_at_once_and_counted(status: int) -> None:
    """A redirect is not followed, a refusal not repeated; the next notice says that one is missing."""

    async def story() -> None:
        receiver = _Receiver(status)
        notices = _notices(receiver)
        running = asyncio.ensure_future(notices.run())
        notices.offer(_HELD)
        await asyncio.sleep(1)
        notices.offer(_HELD)
        await asyncio.sleep(1)
        assert [notice["dropped"] for _, notice, _, _ in receiver.got] == [0, 1]
        assert notices.dropped == 0
        running.cancel()

    run_virtual(story())


def test_the_queue_is_bounded_and_offering_never_waits() -> None:
    """Ten thousand events while nobody answers cost neither memory nor time of the reconciler."""

    async def story() -> None:
        receiver = _Receiver()
        notices = _notices(receiver)
        for number in range(10_000):
            notices.offer(Event(EventKind.OBJECT_FAILED, number, "x"))
        assert notices.dropped == 9_800
        running = asyncio.ensure_future(notices.run())
        await asyncio.sleep(1)
        assert len(receiver.got) == 200
        assert receiver.got[0][1]["dropped"] == 9_800
        assert receiver.got[-1][1]["reconcile"] == "run-9999"
        running.cancel()

    run_virtual(story())


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x",
        "ftp://hooks.example.com",
        "https://",
        "https://user:word@hooks.example.com/",
        "https://hooks.example.com:port/",
        "hooks.example.com",
        "",
    ],
)
def test_addresses_that_would_leak_or_cannot_be(url: str) -> None:
    """Cleartext to another machine, passwords in the address, and nonsense are refused."""
    with pytest.raises(BadInput):
        target_at(url)


def test_the_secret_is_not_printed() -> None:
    """Neither in a log of the value nor in an error."""
    assert "quiet" not in repr(target_at("http://127.0.0.1:8080/x", b"quiet"))


def test_over_a_real_connection_redirects_are_not_followed() -> None:
    """A real server gets the body; a redirect is an answer like another; nobody there is an error."""
    seen: list[str] = []

    async def story() -> None:
        async def taken(request: web.Request) -> web.Response:
            seen.append(await request.text())
            return web.Response(status=302, headers={"Location": "/elsewhere"})

        async def elsewhere(_: web.Request) -> web.Response:
            seen.append("followed")
            return web.Response()

        application = web.Application()
        application.add_routes([web.post("/x", taken), web.route("*", "/elsewhere", elsewhere)])
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        assert await over_http(f"http://127.0.0.1:{port}/x")(b"{}", {"X-Y": "z"}) == 302
        await runner.cleanup()
        with pytest.raises(OSError, match=r"127\.0\.0\.1"):
            await over_http(f"http://127.0.0.1:{port}/x")(b"{}", {})

    asyncio.run(story())
    assert seen == ["{}"]
