"""Several repositories as one set."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from muslin.errors import Unavailable
from muslin.resources.keys import Key
from reconciler.combined import CombinedSource, Part, commits_of
from reconciler.controller import Settings
from reconciler.fetch_state import FetchState, Standing
from reconciler.plan import Budget
from reconciler.remotes import short
from reconciler.source import Head
from tests.reconciler.cases import World, policy, policy_key, tier
from tests.support.memory_git import MemorySource


class _Repository(MemorySource):
    """A repository in memory that says how its fetch stands and who wrote."""

    standing = Standing.CURRENT

    async def head(self) -> Head:
        head = await super().head()
        return replace(head, fetch=FetchState("r", "main", self.standing, head.commit, message="m"))

    def author(self, commit: str) -> str | None:
        del commit
        return "alice"


@dataclass
class _Two:
    a: _Repository = field(default_factory=_Repository)
    b: _Repository = field(default_factory=_Repository)

    def source(self, *marks: str) -> CombinedSource:
        first, second = marks or ("", "")
        return CombinedSource([Part("b", self.b, second), Part("a", self.a, first)])


def test_objects_of_two_repositories_are_one_reading_with_their_places() -> None:
    """The commit of the whole names both commits; places say which repository; who wrote is told."""
    two = _Two()
    ids = two.a.push({"p.yaml": policy("p")}), two.b.push({"t.yaml": tier("t")})

    async def scenario() -> None:
        source = two.source()
        head = await source.head()
        assert head.commit is not None
        assert commits_of(head.commit) == {"a": ids[0], "b": ids[1]}
        reading = await source.read(head.commit)
        assert {str(each.place) for each in reading.resources.values()} == {"a:p.yaml:1:1", "b:t.yaml:1:1"}
        assert source.author(head.commit) == "alice"
        parses = two.a.parses + two.b.parses
        assert await source.read(head.commit) is reading
        assert two.a.parses + two.b.parses == parses

    asyncio.run(scenario())


def test_an_object_in_two_repositories_is_refused_with_both_places() -> None:
    """Nobody wins: the whole is held, and both places are named."""
    two = _Two()
    two.a.push({"p.yaml": policy("p")})
    two.b.push({"x/q.yaml": policy("p", order=7)})

    async def scenario() -> None:
        source = two.source()
        head = await source.head()
        assert head.commit is not None
        (problem,) = (await source.read(head.commit)).problems
        assert problem.where == "b:x/q.yaml:1:1"
        assert "first at a:p.yaml:1:1" in problem.what

    asyncio.run(scenario())


def test_while_one_repository_was_never_fetched_there_is_no_commit() -> None:
    """A repository that is away does not look like one that declares nothing; the worst standing is said."""
    two = _Two()
    two.a.push({"p.yaml": policy("p")})
    two.b.standing = Standing.UNREACHABLE

    async def scenario() -> None:
        head = await two.source().head()
        assert head.commit is None
        assert head.fetch is not None
        assert (head.fetch.standing, head.fetch.message) == (Standing.UNREACHABLE, "b: Unreachable: m")

    asyncio.run(scenario())


def test_a_bad_commit_of_one_repository_does_not_stop_the_other() -> None:
    """The bad one stays at its last good commit, which is said; the other goes on; a better one takes over."""
    two = _Two()
    two.a.push({"p.yaml": policy("p")})
    two.b.push({"t.yaml": tier("t")})
    world = World(two.source())  # type: ignore[arg-type]

    async def scenario() -> None:
        controller = world.controller()
        await controller.once()
        bad = two.a.push({"p.yaml": "kind: [\n"})
        two.b.push({"t.yaml": tier("t"), "q.yaml": policy("q")})
        head = await world.source.head()
        assert (head.held, [each.where.split(":")[:2] for each in head.problems]) == (f"a@{bad}", [["a", "p.yaml"]])
        status = await controller.once()
        assert (status.held, [each.where.split(":")[0] for each in status.problems]) == (f"a@{bad}", ["a"])
        assert status.accepted == head.commit
        assert set(await world.objects()) >= {policy_key("p"), policy_key("q"), Key("Tier", "t")}
        two.a.push({"r.yaml": policy("r")})
        assert (await world.source.head()).held is None
        await controller.once()
        assert policy_key("p") not in await world.objects()
        assert policy_key("r") in await world.objects()

    asyncio.run(scenario())


def test_after_a_restart_with_a_bad_commit_the_other_repository_still_goes_on() -> None:
    """What is in force tells a new process which commits were good: its second look takes the other's news."""
    two = _Two()
    two.a.push({"p.yaml": policy("p")})
    two.b.push({"t.yaml": tier("t")})
    world = World(two.source())  # type: ignore[arg-type]

    async def scenario() -> None:
        await world.look()
        two.a.push({"p.yaml": "kind: [\n"})
        two.b.push({"t.yaml": tier("t"), "q.yaml": policy("q")})
        world.source = two.source()  # type: ignore[assignment]
        await world.look()
        await world.look()
        assert set(await world.objects()) >= {policy_key("p"), policy_key("q")}

    asyncio.run(scenario())


def test_other_folders_or_filters_are_another_commit() -> None:
    """A commit that was read through another selection cannot be read now, and is not the one that is in force."""
    two = _Two()
    two.a.push({"p.yaml": policy("p")})
    two.b.push({"t.yaml": tier("t")})

    async def scenario() -> None:
        before = (await two.source("11111111", "").head()).commit
        after = two.source("22222222", "")
        assert before is not None
        assert (await after.head()).commit != before
        for other in (before, "1" * 40, before.replace("a@", "c@"), "nonsense"):
            with pytest.raises(Unavailable):
                await after.read(other)

    asyncio.run(scenario())


def test_one_repository_that_is_read_whole_keeps_its_plain_commit() -> None:
    """With one source and nothing chosen, the commit is git's; with folders chosen it carries their mark."""
    repository = _Repository()
    made = repository.push({"p.yaml": policy("p")})

    async def scenario() -> None:
        assert (await CombinedSource([Part("a", repository)]).head()).commit == made
        marked = CombinedSource([Part("a", repository, "12345678")])
        commit = (await marked.head()).commit
        assert commit is not None
        assert commit.startswith(f"{made}~")
        assert commits_of(commit) == {"": made}
        reading = await marked.read(commit)
        assert [str(each.place) for each in reading.resources.values()] == ["p.yaml:1:1"]

    asyncio.run(scenario())


def test_people_see_short_ids_with_names() -> None:
    """Logs and status show each source's commit as git does, without the mark; names and other texts stay whole."""
    assert short("1" * 40) == "1" * 12
    assert short(f"a@{'1' * 40},network-b@{'ab' * 20}~5be01c2a") == f"a@{'1' * 12},network-b@{'ab' * 6}"
    assert short(f"{'1' * 40}~5be01c2a") == "1" * 12
    assert [short(text) for text in ("files", "1" * 39, "1" * 41, "")] == ["files", "1" * 39, "1" * 41, ""]


def test_folders_that_changed_in_the_settings_must_pass_the_budget_again() -> None:
    """The same commit through another folder is not in force by itself: removing nearly all is held."""
    many, few = _Repository(), _Repository()
    many.push({f"{name}.yaml": policy(f"p{name}") for name in range(20)})
    few.push({"0.yaml": policy("p0")})
    world = World(CombinedSource([Part("a", many, "11111111")]))  # type: ignore[arg-type]

    async def scenario() -> None:
        await world.look()
        world.source = CombinedSource([Part("a", few, "22222222")])  # type: ignore[assignment]
        status = await world.look()
        assert status.held is not None
        assert len(await world.objects()) == 20
        assert ["stays in force, can't be read, so drift is not put back" in each.what for each in status.problems] == [
            False,
            True,
        ]

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_any_history_of_two_repositories_ends_at_the_last_good_commit_of_each(seed: int) -> None:
    """Whatever is pushed, good or bad, and whenever a process is restarted: each repository's last good one counts."""
    random = Random(seed)
    two = _Two()
    world = World(two.source())  # type: ignore[arg-type]
    world.settings = Settings(budget=Budget(part=1.0))
    good: dict[str, set[str]] = {}

    async def scenario() -> None:
        for _ in range(12):
            name, repository = random.choice([("a", two.a), ("b", two.b)])
            names = {f"{name}{number}" for number in random.sample(range(5), random.randint(1, 4))}
            files = {f"{each}.yaml": policy(each, order=random.randint(1, 3)) for each in names}
            if len(good) == 2 and random.random() < 0.4:  # the first of all must be good
                repository.push({**files, "bad.yaml": "kind: [\n"})
            else:
                good[name] = names
                repository.push(files)
            if random.random() < 0.3:
                world.source = two.source()  # type: ignore[assignment]
            if len(good) == 2:
                await world.look()
                await world.look()
                found = {key.name for key in await world.objects() if key.kind == "NetworkPolicy"}
                assert found == set().union(*good.values())

    asyncio.run(scenario())
