"""When a reconciler asks that a commit is reverted in its repository, and how it tells what became of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from reconciler.control import resume, rollback, suspend
from reconciler.fetch_state import FetchState
from reconciler.fetch_state import Standing as FetchStanding
from reconciler.guard import RevertRequest
from reconciler.operating.notices import target_at
from reconciler.reverts import RevertOutcome, RevertStanding
from reconciler.source import Head
from reconciler.status import EventKind
from tests.reconciler.cases import World, commit_of
from tests.support.memory_git import MemorySource

_AT = "2026-01-02T03:04:05Z"


def test_a_revert_is_asked_for_as_long_as_a_commit_is_taken_back() -> None:
    """At each look of any process, so that none is lost to a crash; not while suspended, released or followed."""

    async def scenario() -> None:
        world = World()
        good = world.source.push(commit_of("a"))
        await world.look()
        bad = world.source.push(commit_of("a", "b"))
        await world.look()

        async def asked() -> list[tuple[str, str, str] | None]:
            told: list[RevertRequest | None] = []
            await world.controller(ask_revert=told.append).once()
            return [None if each is None else (each.commit, each.back_to, each.reason) for each in told]

        assert set(await asked()) == {None}
        await rollback(world.store, "default", reason="it hurts", by="ada", at=_AT)
        for _ in range(2):  # the second is a process that was just started
            assert set(await asked()) == {(bad, good, "it hurts")}
        await suspend(world.store, "default", reason="wait", by="ada", at=_AT)
        assert set(await asked()) == {None}
        await resume(world.store, "default")
        assert set(await asked()) == {(bad, good, "it hurts")}
        world.source.push(commit_of("c"))
        assert (await asked())[-1] is None
        assert set(await asked()) == {None}

    asyncio.run(scenario())


class _Refused(MemorySource):
    """A repository whose server refused the revert of a commit."""

    bad = ""
    tries = 1

    async def head(self) -> Head:
        head = await super().head()
        refused = RevertOutcome(self.bad, RevertStanding.REFUSED, "r", None, "hook declined", self.tries)
        reverts = (refused, replace(refused, commit="c" * 40)) if self.bad else ()
        return replace(head, fetch=FetchState("r", "main", FetchStanding.CURRENT, head.commit, reverts=reverts))


def test_what_became_of_a_revert_is_told_once_and_stands_in_the_status() -> None:
    """A refused push is news for people, in the server's words; another set's commit on the same source is not."""

    async def scenario() -> None:
        source = _Refused()
        world = World(source=source)
        source.push(commit_of("a"))
        await world.look()
        source.bad = source.push(commit_of("a", "b"))
        await world.look()
        await rollback(world.store, "default", reason="x", by="y", at=_AT)
        controller = world.controller()
        for _ in range(3):
            status = await controller.once()
        (told,) = status.fetch["reverts"]
        said = f"the revert of {source.bad[:12]}: Refused: hook declined"
        assert (told["standing"], told["said"]) == ("Refused", said)
        assert [each.message for each in world.events if each.kind is EventKind.REVERT] == [said]
        assert EventKind.REVERT in target_at("https://192.0.2.1/").kinds

    asyncio.run(scenario())
