"""Requests on real sockets: what is tried again, what must not be, and what the caller is told."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from muslin.errors import BadInput
from muslin.kubernetes.access import User
from muslin.kubernetes.client import KubernetesClient, PatchType
from muslin.kubernetes.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NoAnswer,
    NotFound,
    TooMany,
    Unauthorized,
)
from tests.muslin.kubernetes.scripted_api import QUICK, Api, Asked, Reply, changed, scripted, status

_PATH = "/apis/example.org/v1/things"
_Do = Callable[[KubernetesClient], Awaitable[Any]]
_Turn = Callable[[Reply], Awaitable[None]]


def _run(do: _Do, *turns: _Turn, **options: Any) -> tuple[Any, Api]:
    """What came of it (a value or an exception), and the server that saw it; the last turn repeats."""
    left = list(turns)

    async def script(_: Asked, reply: Reply) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(reply)

    async def main() -> tuple[Any, Api]:
        async with scripted(script) as api:
            client = await api.client(**options)
            try:
                return await do(client), api
            except Exception as error:
                return error, api

    return asyncio.run(main())


def _answer(code: int, value: Any, **headers: str) -> _Turn:
    async def turn(reply: Reply) -> None:
        await reply.json(code, value, **headers)

    return turn


async def _cut(reply: Reply) -> None:
    reply.cut()


async def _cut_within(reply: Reply) -> None:
    await reply.raw(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"kind"')
    reply.cut()


async def _hang(_: Reply) -> None:
    await asyncio.Event().wait()


_OK = _answer(200, changed(2))
_THING = changed(1)
_WRITES: dict[str, _Do] = {
    "create": lambda client: client.create(_PATH, _THING),
    "replace": lambda client: client.replace(f"{_PATH}/x", _THING),
    "patch": lambda client: client.patch(f"{_PATH}/x", {}, how=PatchType.MERGE),
    "delete": lambda client: client.delete(f"{_PATH}/x"),
}
_REPEATABLE: dict[str, _Do] = {
    "get": lambda client: client.get(f"{_PATH}/x"),
    "page": lambda client: client.page(_PATH),
    "apply": lambda client: client.apply(f"{_PATH}/x", _THING, field_manager="tests"),
    "dry run": lambda client: client.create(_PATH, _THING, dry_run=True),
}
_LOST = {"cut": _cut, "cut within": _cut_within, "hang": _hang, "gateway": _answer(502, "Bad Gateway")}


@pytest.mark.parametrize("verb", _REPEATABLE)
@pytest.mark.parametrize("how", _LOST)
def test_what_may_happen_twice_is_tried_again(verb: str, how: str) -> None:
    """A read, a dry run or an apply whose answer was lost is asked again until it is answered."""
    found, api = _run(_REPEATABLE[verb], _LOST[how], _LOST[how], _OK, limits=replace(QUICK, answer_s=0.05))

    assert (found, len(api.asked)) == (changed(2), 3)


@pytest.mark.parametrize("verb", _WRITES)
@pytest.mark.parametrize("how", _LOST)
def test_a_write_whose_answer_was_lost_is_told_apart(verb: str, how: str) -> None:
    """It is sent once, and the error says that it may have happened."""
    found, api = _run(_WRITES[verb], _LOST[how], _OK, limits=replace(QUICK, answer_s=0.05))

    assert isinstance(found, NoAnswer)
    assert found.may_have_happened
    assert "read the object before" in found.problems[0].fix
    assert len(api.asked) == 1


@pytest.mark.parametrize("verb", [*_WRITES, *_REPEATABLE])
@pytest.mark.parametrize("code", [429, 503])
def test_what_was_turned_away_is_sent_again(verb: str, code: int) -> None:
    """With Retry-After the server says that it has done nothing, so that any request may come again."""
    busy = _answer(code, status(code, "TooManyRequests"), Retry_After="0")
    found, api = _run({**_WRITES, **_REPEATABLE}[verb], busy, busy, _OK)

    assert (found, len(api.asked)) == (changed(2), 3)


def test_tries_are_bounded() -> None:
    """A server that is always busy is asked as often as the limits say."""
    busy = _answer(429, status(429, "TooManyRequests", "slow down"), Retry_After="0")
    found, api = _run(_WRITES["create"], busy)

    assert isinstance(found, TooMany)
    assert len(api.asked) == QUICK.tries


def test_no_server_is_no_answer_and_nothing_happened() -> None:
    """A refused connection carried nothing, also for a write."""

    async def main() -> NoAnswer:
        async with scripted(_no_script) as api:
            url = api.url
        client = await Api(url).client()
        try:
            with pytest.raises(NoAnswer) as caught:
                await _WRITES["create"](client)
            return caught.value
        finally:
            await client.close()

    error = asyncio.run(main())

    assert not error.may_have_happened
    assert "127.0.0.1" in error.problems[0].where


async def _no_script(_: Asked, reply: Reply) -> None:
    reply.cut()


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Expired),
        (422, "Invalid", Invalid),
        (400, "BadRequest", ApiError),
        (500, "InternalError", ApiError),
    ],
)
def test_refusals_are_types_with_the_servers_words(code: int, reason: str, kind: type[ApiError]) -> None:
    """Each is asked once; status, reason, message and place are there."""
    found, api = _run(_WRITES["create"], _answer(code, status(code, reason, "the server's words")))

    assert type(found) is kind
    assert (found.status, found.reason, found.message) == (code, reason, "the server's words")
    assert "the server's words" in found.problems[0].what
    assert found.problems[0].where == f"POST {api.url}{_PATH}"
    assert len(api.asked) == 1


def test_every_field_that_is_wrong_is_a_problem() -> None:
    """An Invalid with two causes has two problems with the fields' paths."""
    causes = [
        {"reason": "FieldValueInvalid", "message": "Invalid value: 7", "field": "spec.order"},
        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.tier"},
    ]
    found, _ = _run(_WRITES["create"], _answer(422, status(422, "Invalid", details={"causes": causes})))

    assert [problem.what for problem in found.problems] == ["Invalid value: 7", "Required value"]
    assert found.problems[1].where.endswith("spec.tier")


def test_an_answer_of_somebody_else_is_shown_in_short() -> None:
    """A proxy's page is no Status object; its first words tell who answered."""

    async def page(reply: Reply) -> None:
        body = b"<html>Access denied by corporate proxy" + b"." * 5000
        await reply.raw(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    found, _ = _run(_REPEATABLE["get"], page)

    assert isinstance(found, Forbidden)
    assert "corporate proxy" in found.message
    assert len(str(found)) < 1000


def test_an_expired_page_brings_the_servers_token_to_go_on() -> None:
    """The caller chooses: begin again for one instant, or the rest as it is now."""
    gone = status(410, "Expired", "The provided continue parameter is too old", metadata={"continue": "newer"})
    found, api = _run(lambda client: client.page(_PATH, continue_="old", limit=7), _answer(410, gone))

    assert isinstance(found, Expired)
    assert found.restart == "newer"
    assert api.asked[0].query == {"limit": "7", "continue": "old"}


def test_a_list_may_come_packed() -> None:
    """Lists are asked for with gzip, single objects are not."""

    async def packed(reply: Reply) -> None:
        body = gzip.compress(json.dumps({"items": [changed(n) for n in range(50)]}).encode())
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        await reply.raw(head + body)

    async def both(client: KubernetesClient) -> Any:
        await client.get(f"{_PATH}/x")
        return await client.page(_PATH)

    found, api = _run(both, _OK, packed)

    assert len(found["items"]) == 50
    assert [asked.headers.get("accept-encoding") for asked in api.asked] == [None, "gzip"]


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"{}" * 500, mtime=0)[:-9]], ids=["not gzip", "cut off"])
def test_a_packed_answer_that_is_broken_is_no_answer(body: bytes) -> None:
    """Nothing is made of half a body."""

    async def broken(reply: Reply) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        await reply.raw(head + body)

    found, _ = _run(_REPEATABLE["page"], broken)

    assert isinstance(found, NoAnswer)


def test_a_connection_serves_many_requests() -> None:
    """One after the other on one connection; at once on several, never more than allowed."""
    ports: set[int] = set()
    now = most = 0

    async def script(_: Asked, reply: Reply) -> None:
        nonlocal now, most
        ports.add(reply.writer.get_extra_info("peername")[1])
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        await reply.json(200, _THING)

    async def main() -> tuple[int, int]:
        async with scripted(script) as api:
            client = await api.client(replace(QUICK, connections=3))
            for _ in range(20):
                await client.get(f"{_PATH}/x")
            alone = len(ports)
            await asyncio.gather(*(client.get(f"{_PATH}/x") for _ in range(40)))
            return alone, len(ports)

    assert asyncio.run(main()) == (1, 3)
    assert most <= 3


def test_a_cancelled_request_leaves_nothing_for_the_next() -> None:
    """Its answer, which comes later, is not taken for another's."""

    async def main() -> Any:
        arrived, release = asyncio.Event(), asyncio.Event()

        async def script(asked: Asked, reply: Reply) -> None:
            if asked.path.endswith("slow"):
                arrived.set()
                await release.wait()
            await reply.json(200, {"path": asked.path})

        async with scripted(script) as api:
            client = await api.client()
            slow = asyncio.create_task(client.get(f"{_PATH}/slow"))
            await arrived.wait()
            slow.cancel()
            release.set()
            with pytest.raises(asyncio.CancelledError):
                await slow
            return await client.get(f"{_PATH}/quick")

    assert asyncio.run(main()) == {"path": f"{_PATH}/quick"}


@pytest.mark.parametrize(
    "path",
    ["", "things", "/a/../b", "/a/..", "/a b", "/a?x=y", "/a#b", "/a\r\nX: y", "/a\n", "//a", "/a/", "/ä"],
)
def test_a_path_can_not_become_another_request(path: str) -> None:
    """A name with a line end, a query or `..` in it is refused before anything is sent."""
    found, api = _run(lambda client: client.get(path), _OK)

    assert isinstance(found, BadInput)
    assert api.asked == []


def test_an_object_that_is_no_json_is_refused() -> None:
    """Before anything is sent."""
    found, api = _run(lambda client: client.create(_PATH, {"x": float("nan"), "y": {1, 2}}), _OK)

    assert isinstance(found, BadInput)
    assert api.asked == []


def test_what_goes_over_the_wire() -> None:
    """Verbs, paths, queries and content types are those of the API."""

    async def do(client: KubernetesClient) -> None:
        await client.create(_PATH, _THING, field_manager="m", dry_run=True)
        await client.patch(f"{_PATH}/x/status", [{"op": "test"}], how=PatchType.JSON)
        await client.apply(f"{_PATH}/x", _THING, field_manager="m", force=True)
        await client.delete(f"{_PATH}/x", uid="u", resource_version="5", grace_seconds=0, propagation="Orphan")

    _, api = _run(do, _OK, user=User(token="secret", impersonation=(("Impersonate-User", "alice"),)))

    assert [(asked.method, asked.path, asked.query) for asked in api.asked] == [
        ("POST", _PATH, {"fieldManager": "m", "dryRun": "All"}),
        ("PATCH", f"{_PATH}/x/status", {}),
        ("PATCH", f"{_PATH}/x", {"fieldManager": "m", "force": "true"}),
        ("DELETE", f"{_PATH}/x", {}),
    ]
    assert [asked.headers["content-type"] for asked in api.asked] == [
        "application/json",
        "application/json-patch+json",
        "application/apply-patch+yaml",
        "application/json",
    ]
    assert {asked.headers["authorization"] for asked in api.asked} == {"Bearer secret"}
    assert {asked.headers["impersonate-user"] for asked in api.asked} == {"alice"}
    assert api.asked[3].body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": "u", "resourceVersion": "5"},
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Orphan",
    }
