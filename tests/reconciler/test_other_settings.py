"""A start with other folders, filters or blueprints: what is in force is read as it was, repaired, and gone back to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from muslin.datastore.memory import MemoryDatastore
from muslin.errors import Unavailable
from reconciler.combined import CombinedSource, of_flags, source_of
from reconciler.commands import TRACKED
from reconciler.control import Answer, rollback
from reconciler.controller import Controller
from reconciler.ledger import Ledger
from reconciler.plan import Budget, Hold
from reconciler.selection import Selection
from reconciler.settings import Settings
from reconciler.status import Status
from tests.reconciler.cases import policy, policy_key
from tests.reconciler.repositories import bare, commit, files_tree

pytestmark = pytest.mark.slow

_AT = "2026-01-01T00:00:00Z"
_FILES = {"a/a.yaml": policy("a"), "a/x.yaml": policy("x"), "b/b.yaml": policy("b")}


@dataclass
class _Place:
    """A mirror with one commit, and a datastore; each look is a process that was just started."""

    mirror: Path

    def __post_init__(self) -> None:
        bare(self.mirror)
        self.commit = commit(self.mirror, files_tree(self.mirror, _FILES), TRACKED)
        self.store = MemoryDatastore()

    async def look(self, select: Selection) -> Status:
        """What a reconciler finds and does that is started with these settings."""
        return await self.by(of_flags(self.mirror, select))

    async def by(self, source: CombinedSource) -> Status:
        """What a reconciler of this source finds and does."""
        settings = Settings(budget=Budget(part=1.0, confirm=frozenset()))
        controller = Controller(
            self.store.client(), source, settings, random=Random(0), now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            tell=lambda _: None,
        )  # fmt: skip
        try:
            return await controller.once()
        finally:
            await source.close()

    async def has(self, *names: str) -> list[bool]:
        """Whether these policies are there."""
        there = {entry.key for entry in (await self.store.list("NetworkPolicy")).entries}
        return [policy_key(name) in there for name in names]


def test_drift_is_repaired_while_new_settings_cannot_be_read(tmp_path: Path) -> None:
    """A folder that is not there holds the commit; the one in force is read by its own folders, restart for restart."""

    async def scenario() -> None:
        place = _Place(tmp_path / "m")
        first = await place.look(Selection.of(["a"], exclude=["a/x.yaml"]))
        assert (first.settled, await place.has("a", "x", "b")) == (True, [True, False, False])
        for _ in range(2):
            await place.store.delete(policy_key("a"))
            status = await place.look(Selection.of(["c"]))
            assert (status.reason, status.accepted) == (Hold.PROBLEMS, first.accepted)
            assert [problem.what for problem in status.problems] == ["the commit has no folder c"]
            assert await place.has("a", "x", "b") == [True, False, False]

    asyncio.run(scenario())


def test_other_settings_are_another_commit_and_the_way_back_leads_over_them(tmp_path: Path) -> None:
    """What comes into force with other folders can be taken back to what was read of the ones before."""

    async def scenario() -> None:
        place = _Place(tmp_path / "m")
        first = await place.look(Selection.of(["a"]))
        second = await place.look(Selection.of(["b"]))
        assert (second.settled, await place.has("a", "x", "b")) == (True, [False, False, True])
        answer = await rollback(place.store, "default", reason="wrong folder", by="me", at=_AT)
        assert answer is Answer.DONE
        back = await place.look(Selection.of(["b"]))
        assert (back.accepted, back.held) == (first.accepted, second.accepted)
        assert await place.has("a", "x", "b") == [True, True, False]
        again = await place.look(Selection.of(["b"]))
        assert (again.accepted, again.problems[0].where) == (first.accepted, second.accepted)
        assert set((await Ledger.load(place.store, "default")).ways) == {str(first.accepted).partition("~")[2]}

    asyncio.run(scenario())


def test_what_was_read_whole_needs_no_memory(tmp_path: Path) -> None:
    """The text of a commit of which all is read says so itself: nothing is written for it, and it can be read later."""

    async def scenario() -> None:
        place = _Place(tmp_path / "m")
        first = await place.look(Selection())
        assert (first.accepted, (await Ledger.load(place.store, "default")).ways) == (place.commit, {})
        await place.store.delete(policy_key("b"))
        status = await place.look(Selection.of(["c"]))
        assert (status.accepted, await place.has("a", "b")) == (place.commit, [True, True])

    asyncio.run(scenario())


def test_a_file_of_sources_that_changes_is_no_outage_either(tmp_path: Path) -> None:
    """Filters of one of two sources are changed to nonsense: both go on as they were; a source that is gone is told."""

    async def scenario() -> None:
        place = _Place(tmp_path / "mirrors" / "one")
        other = bare(tmp_path / "mirrors" / "two")
        commit(other, files_tree(other, {"q.yaml": policy("q")}), TRACKED)
        file = tmp_path / "sources.yaml"
        text = """\
apiVersion: reconciler.muslin/v1alpha1
kind: Sources
mirrors: mirrors
sources:
- {name: one, url: https://git.example/one}
- {name: two, url: https://git.example/two}
sets:
- name: default
  from:
  - {source: one, paths: [a]}
  - {source: two}
"""
        file.write_text(text)
        first = await place.by(source_of(file, "default")[0])
        assert (first.settled, await place.has("a", "x", "q")) == (True, [True, True, True])
        file.write_text(text.replace("paths: [a]", "paths: [a], include: ['none/**']"))
        await place.store.delete(policy_key("q"))
        status = await place.by(source_of(file, "default")[0])
        assert (status.reason, status.accepted, await place.has("q")) == (Hold.PROBLEMS, first.accepted, [True])
        file.write_text(text.replace("- {source: two}\n", "").replace("paths: [a]", "paths: [c]"))
        await place.store.delete(policy_key("q"))
        status = await place.by(source_of(file, "default")[0])
        assert (status.accepted, await place.has("q")) == (first.accepted, [False])
        assert "stays in force, can't be read" in status.problems[-1].what

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "way", [{}, {"": {}}, {"": None}, {"": {**Selection().to_json(), "paths": ["../x"]}}, {"a": {}, "b": {}}]
)
def test_a_memory_that_makes_no_sense_reads_nothing(way: dict[str, object], tmp_path: Path) -> None:
    """Whatever stands in the ledger, what cannot be understood is not guessed."""

    async def scenario() -> None:
        source = of_flags(tmp_path / "m", Selection.of(["a"]))
        await source.recall({"12345678": way})
        with pytest.raises(Unavailable, match="was made of other sources"):
            await source.read(f"{'a' * 40}~12345678")
        await source.close()

    asyncio.run(scenario())
