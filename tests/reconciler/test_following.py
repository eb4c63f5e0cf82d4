"""What of a repository is followed: a branch, a tag, a commit; how little is brought, and what a look at rest costs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from muslin.errors import BadInput, Unavailable
from reconciler.commands import TRACKED, Git
from reconciler.fetch_state import FetchState, Standing
from reconciler.fetcher import Fetcher
from reconciler.references import reference
from reconciler.remotes import Remote
from tests.reconciler.cases import policy
from tests.reconciler.repositories import bare, git, push

_ASKED = frozenset({"ls-remote", "fetch", "rev-parse", "merge-base", "gc", "update-ref", "rev-list"})


def _with(mirror: Path, remote: Remote, deed: Callable[[Fetcher], Awaitable[None]], most_bytes: int = 1 << 30) -> None:
    async def scenario() -> None:
        fetcher = Fetcher(
            Git(mirror, remote),
            poke=None,
            interval_s=60,
            timeout_s=20,
            random=Random(0),
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            say=lambda _: None,
            most_bytes=most_bytes,
        )
        await fetcher.open()
        try:
            await deed(fetcher)
        finally:
            fetcher.close()

    asyncio.run(scenario())


def _state(mirror: Path, remote: Remote) -> FetchState:
    found: list[FetchState] = []

    async def deed(fetcher: Fetcher) -> None:
        with contextlib.suppress(Unavailable):
            await fetcher.fetch_once()
        found.append(fetcher.state)

    _with(mirror, remote, deed)
    assert reference(mirror, TRACKED) == found[0].commit
    return found[0]


def _pushed(tmp_path: Path, *names: str) -> tuple[Path, list[str]]:
    repository = bare(tmp_path / "r")
    return repository, [push(tmp_path / "w", repository, {f"{name}.yaml": policy(name)}) for name in names]


@pytest.mark.slow
def test_a_tag_is_followed_whether_it_is_light_or_annotated_or_moved(tmp_path: Path) -> None:
    """What is read is the commit that the tag leads to; a moved tag is followed, a vanished one is said."""
    repository, (first, second) = _pushed(tmp_path, "a", "b")
    remote = Remote.parse(str(repository), tag="v1", allow_local=True)
    assert _state(tmp_path / "m", remote).standing is Standing.BRANCH_MISSING
    git(repository, "update-ref", "refs/heads/v1", second)
    git(repository, "tag", "-a", "-m", "one", "v1", first)
    assert _state(tmp_path / "m", remote).commit == first
    git(repository, "tag", "-f", "v1", second)
    assert _state(tmp_path / "m", remote).commit == second
    git(repository, "tag", "-d", "v1")
    state = _state(tmp_path / "m", remote)
    assert (state.standing, state.commit, state.branch) == (Standing.BRANCH_MISSING, second, "tag v1")


@pytest.mark.slow
def test_a_tag_of_something_else_than_a_commit_is_refused(tmp_path: Path) -> None:
    """A tag on a file is no commit: the mirror keeps what it has."""
    repository, (first,) = _pushed(tmp_path, "a")
    remote = Remote.parse(str(repository), tag="v1", allow_local=True)
    git(repository, "tag", "v1", first)
    _state(tmp_path / "m", remote)
    git(repository, "tag", "-f", "v1", f"{first}:a.yaml")

    state = _state(tmp_path / "m", remote)
    assert (state.standing, state.commit, state.message) == (Standing.REFUSED, first, "tag v1 is not a commit")


@pytest.mark.slow
def test_a_commit_is_fetched_once_and_never_asked_for_again(tmp_path: Path) -> None:
    """Whatever happens to branches, and with the repository away, the commit stays; one that is not there is said."""
    repository, (first, _) = _pushed(tmp_path, "a", "b")
    remote = Remote.parse(str(repository), commit=first, allow_local=True)
    assert _state(tmp_path / "m", remote).commit == first
    repository.rename(tmp_path / "away")
    assert _state(tmp_path / "m", remote).standing is Standing.CURRENT
    (tmp_path / "away").rename(repository)
    missing = Remote.parse(str(repository), commit="1" * 40, allow_local=True)
    state = _state(tmp_path / "m2", missing)
    assert (state.standing, state.commit) == (Standing.REFUSED, None)


@pytest.mark.slow
def test_only_the_newest_commit_is_brought_first_and_what_follows_after(tmp_path: Path) -> None:
    """A mirror begins with one commit, whatever came before it; forced pushes are still told from steps forward."""
    repository, commits = _pushed(tmp_path, *"abcde")
    remote = Remote.parse(str(repository), "main", allow_local=True)
    mirror = tmp_path / "m"
    _state(mirror, remote)
    assert git(mirror, "rev-list", TRACKED).split() == commits[-1:]
    more = [push(tmp_path / "w", repository, {f"{name}.yaml": policy(name)}) for name in "fg"]
    state = _state(mirror, remote)
    assert (state.commit, state.rewritten_from) == (more[-1], None)
    assert git(mirror, "rev-list", TRACKED).split() == [*reversed(more), commits[-1]]
    git(repository, "update-ref", "refs/heads/main", commits[1])
    state = _state(mirror, remote)
    assert (state.commit, state.rewritten_from) == (commits[1], more[-1])


@pytest.mark.slow
def test_a_look_at_rest_is_one_program_and_costs_next_to_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing new the fetcher executes one ls-remote, and its own share is below 20 ms; a push costs one fetch."""
    repository, _ = _pushed(tmp_path, "a")
    git(repository, "tag", "v1", "main")
    log, real = tmp_path / "log", shutil.which("git")
    front = tmp_path / "bin" / "git"
    front.parent.mkdir()
    front.write_text(f'#!/bin/sh\necho "$*" >>{log}\nexec {real} "$@"\n')
    front.chmod(0o755)

    async def deed(fetcher: Fetcher) -> None:
        await fetcher.fetch_once()
        log.write_text("")
        used = time.process_time()
        for _ in range(10):
            await fetcher.fetch_once()
        used = (time.process_time() - used) / 10
        print(f"own CPU of a look at rest: {used * 1000:.1f} ms")
        assert used < 0.020
        assert ["ls-remote" in line for line in log.read_text().splitlines()] == [True] * 10
        log.write_text("")
        if "v1" not in fetcher.state.branch:
            await asyncio.to_thread(push, tmp_path / "w", repository, {"b.yaml": policy("b")})
            log.write_text("")
            await fetcher.fetch_once()
            asked = [word for line in log.read_text().splitlines() for word in line.split() if word in _ASKED]
            assert asked == ["ls-remote", "fetch", "merge-base", "gc"]

    monkeypatch.setenv("PATH", f"{front.parent}:{os.environ['PATH']}")
    for number, remote in enumerate((
        Remote.parse(str(repository), "main", allow_local=True),
        Remote.parse(str(repository), tag="v1", allow_local=True),
    )):  # fmt: skip
        _with(tmp_path / f"m{number}", remote, deed)


@pytest.mark.slow
def test_a_repository_with_other_ids_is_refused_and_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    """Ids of SHA-256 are not read yet: that is said, and the branch is not called missing."""
    repository = tmp_path / "r"
    repository.mkdir()
    git(repository, "init", "--quiet", "--object-format=sha256", "--initial-branch=main")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "x")
    state = _state(tmp_path / "m", Remote.parse(str(repository), "main", allow_local=True))

    assert state.standing is Standing.REFUSED
    assert "SHA-256" in state.message


def test_references_that_are_none_are_refused() -> None:
    """A tag is a plain name, a commit all its digits, and one of branch, tag and commit is given."""
    cases: tuple[tuple[str | None, str | None, str | None], ...] = (
        (None, "-x", None), (None, "a..b", None), (None, None, "1" * 39), (None, None, "main"), (None, None, "A" * 40),
        ("a", "b", None), (None, None, None),
    )  # fmt: skip
    for branch, tag, commit in cases:
        with pytest.raises(BadInput) as caught:
            Remote.parse("https://example.org/a", branch, tag=tag, commit=commit)
        assert all(problem.fix for problem in caught.value.problems)


@pytest.mark.slow
def test_a_mirror_that_grew_too_large_fetches_nothing_more(tmp_path: Path) -> None:
    """A branch that is rewritten with large files again and again fills no disk: it is said, and what is held stays."""
    repository = bare(tmp_path / "r")
    remote, mirror = Remote.parse(str(repository), "main", allow_local=True), tmp_path / "m"
    states: list[FetchState] = []

    async def deed(fetcher: Fetcher) -> None:
        for number in range(4):
            large = Random(number).randbytes(150_000).hex()
            await asyncio.to_thread(push, tmp_path / "w", repository, {"large": large})
            with contextlib.suppress(Unavailable):
                await fetcher.fetch_once()
            git(mirror, "repack", "-dq")
            states.append(fetcher.state)

    _with(mirror, remote, deed, most_bytes=400_000)
    assert [each.standing for each in states] == [Standing.CURRENT] * 3 + [Standing.REFUSED]
    assert "400000 is the limit" in states[-1].message
    assert states[-1].commit == states[2].commit
