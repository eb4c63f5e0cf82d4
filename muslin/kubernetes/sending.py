"""A request until there is an answer: our pace, who we are, what is tried again and what must not be.

Tried again is what can't have happened (no connection, 429, 503 with Retry-After) and what may happen twice (reads, dry
runs, applies). A write whose answer is lost is neither: it is told as `NoAnswer` that may have happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any

from muslin.errors import MuslinError
from muslin.kubernetes.errors import ApiError, NoAnswer, refusal
from muslin.kubernetes.json_text import decode
from muslin.kubernetes.login import Login
from muslin.kubernetes.pace import Bucket, Limits, backoff_s
from muslin.kubernetes.transport import Answer, HttpTransport, Lost, Request, Stream, Transport

__all__ = ["Sender"]

_BUSY = 429
_TROUBLE = frozenset({500, 502, 503, 504})
_BEHIND = ("etcdserver", "rpc error", "context deadline exceeded", "connection refused", "leader changed", "storage")
"""Words in the message of a 500 that speak of the server's own store: nothing is wrong with what was asked."""
_LONGEST_REFUSAL = 1 << 20


class Sender:
    """Sends requests of one login over one transport.

    Args:
        transport: carries them.
        login: who we are.
        limits: pace, tries, times.
        random: spreads the waits.
    """

    def __init__(self, transport: Transport, login: Login, limits: Limits, random: Random) -> None:
        self.transport, self.login, self.limits, self.random = transport, login, limits, random
        self._bucket = Bucket(limits.qps, limits.burst)

    def place(self, method: str, target: str) -> str:
        """Where in messages: what was asked of whom."""
        return f"{method} {self.login.access.server.rstrip('/')}{target.partition('?')[0]}"

    async def request(
        self, method: str, target: str, fields: tuple[tuple[str, str], ...], body: bytes | None
    ) -> Request:
        """One request with who we are now; a changed TLS identity is used from here on."""
        headers = await self.login.headers()
        context, changed = await self.login.context()
        if changed and context is not None and isinstance(self.transport, HttpTransport):
            self.transport.use(context)
        return Request(method, target, (*headers, *fields), body)

    async def send(
        self,
        method: str,
        target: str,
        *,
        fields: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
        again: bool,
    ) -> Any:
        """The decoded answer.

        Args:
            method: HTTP method.
            target: path and query.
            fields: further headers.
            body: JSON, encoded.
            again: whether it may happen twice.

        Raises:
            ApiError: the server refused.
            NoAnswer: no answer, after all tries that are allowed.
        """
        tried, renewed = 0, False
        while True:
            if self._bucket.limits:
                await self._bucket.turn()
            headers = self.login.unchanged()
            if headers is None:
                request = await self.request(method, target, fields, body)
            else:
                request = Request(method, target, (*headers, *fields), body)
            tried += 1
            try:
                answer = await self.transport.exchange(request, self.limits.answer_s)
            except Lost as lost:
                if (again or not lost.sent) and tried < self.limits.tries:
                    await self.pause(tried)
                    continue
                happened = lost.sent and not again
                raise NoAnswer(
                    f"the Kubernetes API does not answer: {lost.why}", self.place(method, target),
                    may_have_happened=happened,
                ) from lost  # fmt: skip
            if answer.status < 300:
                return self._value(answer, method, target, again=again)
            if answer.status == 401 and not renewed and self.login.renew():
                renewed = True
                continue
            error = refused(answer.status, answer.body, self.place(method, target), again=again)
            asked = retry_after(answer.headers)
            if tried < self.limits.tries and _worth(answer.status, asked, error, again=again):
                await self.pause(tried, asked)
                continue
            raise error

    def _value(self, answer: Answer, method: str, target: str, *, again: bool) -> Any:
        try:
            return decode(answer.body)
        except (ValueError, RecursionError) as error:
            raise NoAnswer(
                f"the answer is no JSON ({len(answer.body)} octets): {error}", self.place(method, target),
                may_have_happened=not again,
            ) from error  # fmt: skip

    @asynccontextmanager
    async def open(self, target: str) -> AsyncIterator[Stream]:
        """A stream that the server agreed to. Tries once (twice after a 401).

        Raises:
            Lost: no answer.
            ApiError: the server refused.
            Wait: it has trouble, or too much to do.
        """
        renewed = False
        while True:
            await self._bucket.turn()
            request = await self.request("GET", target, (), None)
            async with AsyncExitStack() as stack:
                stream = await stack.enter_async_context(self.transport.stream(request, self.limits.answer_s))
                if stream.status == 200:
                    yield stream
                    return
                async with asyncio.timeout(self.limits.answer_s):
                    body = await _whole(stream, self.limits.answer_s)
                if stream.status == 401 and not renewed and self.login.renew():
                    renewed = True
                    continue
                error = refused(stream.status, body, self.place("GET", target), again=True)
                if stream.status == _BUSY or isinstance(error, NoAnswer):
                    raise Wait(retry_after(stream.headers), error)
                raise error

    async def pause(self, tried: int, asked_s: float | None = None) -> None:
        """Waits before the next try."""
        await asyncio.sleep(backoff_s(self.limits, tried, self.random, asked_s))


class Wait(Exception):
    """A stream was not opened for a reason that passes. `asked_s` is what the server asked for, if it did."""

    def __init__(self, asked_s: float | None, error: MuslinError) -> None:
        self.asked_s, self.error = asked_s, error
        super().__init__(str(error))


async def _whole(stream: Stream, within_s: float) -> bytes:
    """The body of a refusal; of one that is far too long, its beginning."""
    pieces, size = list[bytes](), 0
    while size < _LONGEST_REFUSAL and (piece := await stream.some(within_s)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def refused(status: int, body: bytes, where: str, *, again: bool) -> ApiError | NoAnswer:
    """What an answer other than success means: a refusal, or trouble that passes."""
    try:
        value = decode(body) if body else None
    except (ValueError, RecursionError):
        value = body.decode("utf-8", "replace")
    error = refusal(status, value, where)
    passing = status in _TROUBLE and (status != 500 or any(word in error.message for word in _BEHIND))
    if passing or error.reason in ("ServerTimeout", "Timeout"):
        return NoAnswer(
            f"the Kubernetes API has trouble ({status}): {error.message}", where, may_have_happened=not again
        )
    return error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header; a date is not understood, as the API server sends none."""
    text = headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _worth(status: int, asked_s: float | None, error: Exception, *, again: bool) -> bool:
    """Whether another try makes sense and does no harm."""
    if status == _BUSY or (status == 503 and asked_s is not None):
        return True  # turned away at the door
    return again and isinstance(error, NoAnswer)
