"""Tells one web address what a person should know: a commit is held, something failed, was taken back, or drifted.

One JSON object for each event, by POST, signed where a secret is given. Nothing waits for it: notices stand in a
bounded queue, an address that is away is tried again with growing pauses, and what had to be dropped is counted in the
next one. Redirects are not followed, and answers are not read.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

from muslin.errors import BadInput, Problem
from reconciler.loop import Backoff
from reconciler.operating.history import RECORDED
from reconciler.status import Event, EventKind

__all__ = ["SIGNATURE", "Notices", "Post", "Target", "over_http", "target_at"]

SIGNATURE: Final = "X-Muslin-Signature-256"
"""Header with `sha256=` and the hexadecimal HMAC of the body."""

_VERSION: Final = 1
_QUEUE: Final = 200
_TRIES: Final = 6
_MOST_FIELDS: Final = 20
_ANSWER_S: Final = 10.0
_NEWS: Final = RECORDED - {EventKind.COMMIT_ACCEPTED, EventKind.ELECTION, EventKind.GATE}

Post = Callable[[bytes, dict[str, str]], Awaitable[int]]
"""Sends a body with headers and gives the HTTP status. Raises OSError or TimeoutError where nobody answers."""


@dataclass(frozen=True, slots=True)
class Target:
    """Who is told, and of what. `secret` is never printed."""

    url: str
    secret: bytes | None = field(default=None, repr=False)
    kinds: frozenset[EventKind] = _NEWS


def target_at(url: str, secret: bytes | None = None) -> Target:
    """A checked target.

    Raises:
        BadInput: not an https address, nor an http one on this machine; or a name and password within it.
    """
    place = "--notify"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadInput(Problem(f"{url!r} is not an address: {error}", place, "write https://host/path")) from error
    if parts.username is not None or parts.password is not None:
        raise BadInput(Problem("a password stands in the address", place, "sign notices with --notify-secret FILE"))
    if parts.scheme == "https" and host:
        return Target(url, secret)
    if parts.scheme != "http" or not _here(host):
        fix = "write https://host/path; http only for an address on this machine, such as http://127.0.0.1:8080/"
        raise BadInput(Problem(f"notices are not sent to {url!r}", place, fix))
    return Target(url, secret)


class Notices:
    """Tells a target the events of one set. `offer` is cheap and never waits; `run` sends.

    Args:
        target: who is told.
        set_name: of the reconciler.
        run_id: what the ids of this process's looks begin with.
        post: sends.
        now: wall clock.
        random: jitter of the pauses.
        backoff: the pauses between tries.
    """

    def __init__(
        self,
        target: Target,
        set_name: str,
        *,
        run_id: str,
        post: Post,
        now: Callable[[], datetime],
        random: Random,
        backoff: Backoff | None = None,
    ) -> None:
        self._target = target
        self._set = set_name
        self._run_id = run_id
        self._post = post
        self._now = now
        self._random = random
        self._backoff = backoff or Backoff(first_s=1.0, limit_s=60.0)
        self._queue: deque[dict[str, Any]] = deque()
        self._news, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self.dropped = 0
        """How many were dropped since the last that was delivered."""

    def offer(self, event: Event) -> None:
        """Queue an event if the target wants its kind."""
        if event.kind not in self._target.kinds:
            return
        content = event.to_json()
        fields = content.get("fields", [])
        content["fields"] = fields[:_MOST_FIELDS]
        if len(fields) > _MOST_FIELDS:
            content["moreFields"] = len(fields) - _MOST_FIELDS
        if len(self._queue) >= _QUEUE:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append(
            {
                "version": _VERSION,
                "at": self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "set": self._set,
                **content,
                "reconcile": f"{self._run_id}-{event.reconcile}",
            }
        )
        self._idle.clear()
        self._news.set()

    async def sent(self) -> None:
        """Until nothing waits any more."""
        await self._idle.wait()

    async def run(self) -> None:
        """Send what is offered, in order, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._queue:
                notice = self._queue.popleft()
                if await self._send(notice):
                    self.dropped = 0
                else:
                    self.dropped += 1
            self._idle.set()

    async def _send(self, notice: dict[str, Any]) -> bool:
        """Whether it was taken; what is refused for good is not tried again."""
        for tries in range(1, _TRIES + 1):
            body = json.dumps(notice | {"dropped": self.dropped}, default=str).encode()
            try:
                status = await self._post(body, self._headers(body))
            except (OSError, TimeoutError):
                status = 0
            if 200 <= status < 300:
                return True
            if 300 <= status < 500 and status not in (408, 425, 429):
                return False
            if tries < _TRIES:
                await asyncio.sleep(self._backoff.delay(tries, self._random))
        return False

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "muslin-reconciler"}
        if self._target.secret is not None:
            headers[SIGNATURE] = f"sha256={hmac.new(self._target.secret, body, hashlib.sha256).hexdigest()}"
        return headers


def over_http(url: str) -> Post:
    """Sends over HTTP, one connection each: notices are rare."""

    async def post(body: bytes, headers: dict[str, str]) -> int:
        import aiohttp  # noqa: PLC0415 - a fifth of a second for those who notify nobody

        patience = aiohttp.ClientTimeout(total=_ANSWER_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=patience, trust_env=False) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return answer.status
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error

    return post


def _here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
