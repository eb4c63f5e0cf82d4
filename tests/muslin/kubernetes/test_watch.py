"""What a watch makes of connections that break, end, fall silent or lie: one sequence, or a clear end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from muslin.errors import BadInput, Failed
from muslin.kubernetes.client import KubernetesClient
from muslin.kubernetes.errors import Expired, Forbidden, NoAnswer, NotFound
from tests.muslin.kubernetes.scripted_api import QUICK, Api, Asked, Reply, changed, scripted, status

_PATH = "/apis/example.org/v1/things"
_Turn = Callable[[Reply], Awaitable[None]]


def _in_turn(*turns: _Turn) -> Callable[[Asked, Reply], Awaitable[None]]:
    """A server that treats the first connection so, the second so; the last for ever after."""
    left = list(turns)

    async def script(_: Asked, reply: Reply) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(reply)

    return script


async def _take(client: KubernetesClient, count: int, after: str = "1", **options: Any) -> list[tuple[str, str]]:
    """Type and revision of the first events."""
    seen = []
    watch = client.watch(_PATH, resource_version=after, **options)
    async for event in watch:
        seen.append((str(event.type), event.resource_version))
        if len(seen) == count:
            break
    await watch.aclose()  # type: ignore[attr-defined]
    return seen


def _run(turns: tuple[_Turn, ...], count: int, **options: Any) -> tuple[list[tuple[str, str]], Api]:
    async def main() -> tuple[list[tuple[str, str]], Api]:
        limits = options.pop("limits", QUICK)
        async with scripted(_in_turn(*turns)) as api:
            return await _take(await api.client(limits), count, **options), api

    return asyncio.run(main())


def _revisions(api: Api) -> list[str]:
    return [asked.query["resourceVersion"] for asked in api.asked]


async def _hold(reply: Reply) -> None:
    await reply.begin()
    await reply.event("ADDED", changed(100))
    await asyncio.Event().wait()


def _sent(*revisions: int, then: Callable[[Reply], Awaitable[None]]) -> _Turn:
    async def turn(reply: Reply) -> None:
        await reply.begin()
        for revision in revisions:
            await reply.event("MODIFIED", changed(revision))
        await then(reply)

    return turn


async def _cut(reply: Reply) -> None:
    reply.cut()


async def _cut_within_a_line(reply: Reply) -> None:
    line = json.dumps({"type": "MODIFIED", "object": changed(9)}).encode()
    await reply.chunk(line[:30])
    reply.cut()


async def _cut_after_a_line_without_its_end(reply: Reply) -> None:
    await reply.chunk(json.dumps({"type": "MODIFIED", "object": changed(9)}).encode())
    await reply.end()


async def _end(reply: Reply) -> None:
    await reply.end()


@pytest.mark.parametrize("how", [_cut, _cut_within_a_line, _cut_after_a_line_without_its_end, _end])
def test_a_watch_goes_on_where_it_was(how: _Turn) -> None:
    """However a connection ends, the next one begins at the last event handed on; half an event does not count."""
    seen, api = _run((_sent(3, 5, then=how), _hold), 3)

    assert seen == [("MODIFIED", "3"), ("MODIFIED", "5"), ("ADDED", "100")]
    assert _revisions(api) == ["1", "5"]
    assert {asked.query["allowWatchBookmarks"] for asked in api.asked} == {"true"}


def test_a_bookmark_moves_the_place_to_go_on() -> None:
    """After a bookmark the next connection begins there, and the caller sees it."""

    async def bookmarked(reply: Reply) -> None:
        await reply.begin()
        await reply.event("BOOKMARK", changed(50))
        await reply.end()

    seen, api = _run((bookmarked, _hold), 2)

    assert seen == [("BOOKMARK", "50"), ("ADDED", "100")]
    assert _revisions(api) == ["1", "50"]


def test_events_of_any_size_and_cut_come_whole() -> None:
    """A line of 300 KiB in pieces, and many lines in one piece."""

    async def large(reply: Reply) -> None:
        lines = b"".join(
            json.dumps({"type": "MODIFIED", "object": changed(n, data="x" * (300_000 if n == 4 else 10))}).encode()
            + b"\n"
            for n in range(2, 9)
        )
        await reply.begin()
        for start in range(0, len(lines), 7000):
            await reply.chunk(lines[start : start + 7000])
        await asyncio.Event().wait()

    seen, _ = _run((large,), 7)

    assert [revision for _, revision in seen] == ["2", "3", "4", "5", "6", "7", "8"]


async def _gone_at_once(reply: Reply) -> None:
    await reply.json(410, status(410, "Expired", "too old resource version: 1 (900)"))


async def _gone_on_the_way(reply: Reply) -> None:
    await reply.begin()
    await reply.event("ERROR", status(410, "Expired", "too old resource version: 1 (900)"))


@pytest.mark.parametrize("how", [_gone_at_once, _gone_on_the_way])
def test_a_revision_that_is_too_old_ends_the_watch(how: _Turn) -> None:
    """As an answer or as an event: list again."""
    with pytest.raises(Expired, match="too old resource version") as caught:
        _run((how,), 1)

    assert "list again" in caught.value.problems[0].fix


@pytest.mark.parametrize("revision", [5, 4])
def test_an_event_from_the_past_ends_the_watch(revision: int) -> None:
    """A server that sends what was seen, or older, has another history than the one we watched."""
    turns = (_sent(3, 5, then=_cut), _sent(revision, then=_end))

    with pytest.raises(Expired, match="history"):
        _run(turns, 3)


async def _busy(reply: Reply) -> None:
    await reply.json(429, status(429, "TooManyRequests"), Retry_After="0")


async def _trouble(reply: Reply) -> None:
    await reply.json(500, status(500, "InternalError", "etcdserver: leader changed"))


async def _behind(reply: Reply) -> None:
    await reply.begin()
    await reply.event("ERROR", status(500, "InternalError", "etcdserver: no leader"))


async def _garbled(reply: Reply) -> None:
    await reply.begin()
    await reply.chunk(b'{"type": "ADDED", "obj\n')


async def _no_http(reply: Reply) -> None:
    await reply.raw(b"?\r\n\r\n")


@pytest.mark.parametrize("how", [_busy, _trouble, _behind, _garbled, _no_http, _cut])
def test_trouble_that_passes_is_outlived(how: _Turn) -> None:
    """Three times in a row, and then it goes on at the same place."""
    seen, api = _run((how, how, how, _hold), 1)

    assert seen == [("ADDED", "100")]
    assert _revisions(api) == ["1"] * 4


@pytest.mark.parametrize(("code", "reason", "kind"), [(403, "Forbidden", Forbidden), (404, "NotFound", NotFound)])
def test_a_refusal_ends_the_watch(code: int, reason: str, kind: type[Exception]) -> None:
    """Without rights, or for a kind that is gone, there is nothing to wait for."""

    async def refuse(reply: Reply) -> None:
        await reply.json(code, status(code, reason))

    with pytest.raises(kind):
        _run((refuse,), 1)


def test_what_is_never_an_event_is_told() -> None:
    """A stream that brings rubbish each time is not asked for ever."""

    async def rubbish(reply: Reply) -> None:
        await reply.begin()
        await reply.chunk(b'{"type": "CHANGED", "object": {}}\n')

    with pytest.raises(Failed, match="CHANGED"):
        _run((rubbish,), 1)


def test_a_silent_connection_is_made_anew() -> None:
    """Nothing at all for longer than bookmarks take means that nobody is there."""

    async def silent(reply: Reply) -> None:
        await reply.begin()
        await asyncio.Event().wait()

    seen, api = _run((silent, silent, _hold), 1, limits=replace(QUICK, idle_s=0.05))

    assert (seen, len(api.asked)) == ([("ADDED", "100")], 3)


def test_patience_ends() -> None:
    """Who wants to know that the server is away is told, with why."""
    with pytest.raises(NoAnswer, match=r"closed the connection|reset") as caught:
        _run((_cut,), 1, patience_s=0.05)

    assert caught.value.may_have_happened is False


def test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_circle() -> None:
    """Each further connection waits longer."""

    async def main() -> int:
        async with scripted(_in_turn(_sent(then=_end))) as api:
            limits = replace(QUICK, first_wait_s=0.05, longest_wait_s=5)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(_take(await api.client(limits), 1), 0.5)
            return len(api.asked)

    assert asyncio.run(main()) <= 6


@pytest.mark.parametrize("revision", ["", "0"])
def test_a_watch_begins_at_a_list(revision: str) -> None:
    """Without a revision the first events have no order, and none could be resumed from."""
    with pytest.raises(BadInput, match="revision of a list"):
        _run((_hold,), 1, after=revision)


@pytest.mark.slow
def test_a_slow_reader_holds_the_server_back() -> None:
    """What waits for a reader is bounded, and all of it arrives in the end, once and in order."""
    count, text = 3000, "x" * 10_000
    sent = 0

    async def flood(reply: Reply) -> None:
        nonlocal sent
        await reply.begin()
        for revision in range(2, count + 2):
            await reply.event("MODIFIED", changed(revision, data=text))
            sent = revision
        await asyncio.Event().wait()

    async def main() -> tuple[int, list[int]]:
        async with scripted(_in_turn(flood)) as api:
            client = await api.client(replace(QUICK, idle_s=30))
            watch = client.watch(_PATH, resource_version="1")
            seen = [int((await anext(watch)).resource_version)]
            before = -1
            while before != sent:  # until the server can't write any more
                before = sent
                await asyncio.sleep(0.1)
            held = sent
            async for event in watch:
                seen.append(int(event.resource_version))
                if len(seen) == count:
                    break
            await watch.aclose()  # type: ignore[attr-defined]
            return held, seen

    held, seen = asyncio.run(main())

    assert held < count, "the server was never held back"
    assert seen == list(range(2, count + 2))


def test_closing_a_watch_closes_its_connection() -> None:
    """No connection is left behind when the reader goes away."""

    async def main() -> None:
        gone = asyncio.Event()

        async def script(_: Asked, reply: Reply) -> None:
            await reply.begin()
            await reply.event("ADDED", changed(2))
            await reply.gone()
            gone.set()

        async with scripted(script) as api:
            client = await api.client()
            await _take(client, 1)
            await asyncio.wait_for(gone.wait(), 5)

    asyncio.run(main())
