"""Commits that take bad ones back, as real git makes and pushes them: where to, when not, and what a crash leaves."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from reconciler.commands import REVERTS, Git
from reconciler.fetch_state import read_state
from reconciler.fetcher import Fetcher
from reconciler.pushing import Pushing
from reconciler.references import reference
from reconciler.remotes import Remote
from reconciler.reverting import TRIES
from reconciler.reverts import Because, RevertAsked, RevertOutcome, RevertStanding, reverts_what, written
from reconciler.selection import Selection
from reconciler.signatures import Policy
from tests.reconciler.cases import policy
from tests.reconciler.repositories import bare, git, push

pytestmark = pytest.mark.slow

_A, _B = "clusters/a/p.yaml", "clusters/b/p.yaml"


@dataclass
class _Bench:
    """A repository whose newest commit is bad for one set, and a fetcher that may revert."""

    folder: Path
    clock: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    said: list[str] = field(default_factory=list)
    policy: Policy | None = None

    def __post_init__(self) -> None:
        self.remote, self.mirror, self.file = bare(self.folder / "r"), self.folder / "m", self.folder / "asked.json"
        self.pushing = Pushing((self.file,))
        self.good = push(self.folder / "w", self.remote, {_A: policy("good"), _B: policy("b"), "README": "1"})
        self.look()
        self.bad = push(self.folder / "w", self.remote, {_A: policy("bad"), _B: policy("b2"), "README": "2"})

    def ask(self, commit: str | None = None, back_to: str | None = None) -> None:
        """Set `a` asks that what it reads goes back from the bad commit, or this one, to the good one, or this one."""
        asked = RevertAsked(
            "a", "", commit or self.bad, back_to or self.good, Selection.of(["clusters/a"]),
            Because.HEALTH_FAILED, "sessions are down", "2026-01-01T00:00:00Z",
        )  # fmt: skip
        self.file.write_bytes(written([asked]))

    def look(self, deed: Callable[[Fetcher], Awaitable[None]] | None = None) -> tuple[RevertOutcome, ...]:
        """One look of a fetcher that has just been started; gives what became of what was asked."""

        async def scenario() -> None:
            fetcher = Fetcher(
                Git(self.mirror, Remote.parse(str(self.remote), "main", allow_local=True)), poke=None, interval_s=60,
                timeout_s=20, random=Random(0), now=lambda: self.clock, say=self.said.append, policy=self.policy,
                pushing=self.pushing,
            )  # fmt: skip
            await fetcher.open()
            try:
                await (fetcher.fetch_once() if deed is None else deed(fetcher))
            finally:
                fetcher.close()

        asyncio.run(scenario())
        state = read_state(self.mirror)
        assert state is not None
        return state.reverts

    @property
    def branches(self) -> dict[str, str]:
        """Mapping[branch of the repository, its commit]."""
        listed = git(self.remote, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
        return dict(line.split(" ") for line in listed.splitlines())

    def content(self, commit: str, path: str) -> str:
        """A file in a commit of the repository."""
        return git(self.remote, "show", f"{commit}:{path}") + "\n"


def test_a_revert_goes_to_a_branch_of_its_own_for_a_review(tmp_path: Path) -> None:
    """On top of the bad commit, only what the set reads is as before; the followed branch stays; once is enough."""
    bench = _Bench(tmp_path)
    assert bench.look() == ()
    bench.ask()
    (outcome,) = bench.look()
    name = f"muslin/revert-{bench.bad[:12]}"
    assert (outcome.standing, outcome.branch, outcome.made) == (RevertStanding.PUSHED, name, bench.branches[name])
    assert bench.branches["main"] == bench.bad
    made = bench.branches[name]
    assert git(bench.remote, "rev-parse", f"{made}^@") == bench.bad
    assert git(bench.remote, "diff", "--name-only", bench.bad, made) == _A
    assert bench.content(made, _A) == policy("good")
    assert "sessions are down" in git(bench.remote, "log", "-1", "--format=%B", made)
    git(bench.remote, "fsck", "--strict", "--no-dangling")

    git(bench.remote, "update-ref", "-d", f"refs/heads/{name}")  # whoever reviewed it said no
    assert bench.look() == (outcome,)
    assert list(bench.branches) == ["main"]
    bench.file.unlink()
    assert bench.look() == (outcome,)  # a reconciler that starts anew asks again
    bench.ask()
    assert bench.look() == (outcome,)
    assert list(bench.branches) == ["main"]
    bench.file.unlink()
    push(tmp_path / "w", bench.remote, {_A: policy("newer")})
    assert bench.look() == ()


def test_the_followed_branch_itself_only_if_asked_for_and_no_revert_is_reverted(tmp_path: Path) -> None:
    """The branch steps forward to the revert, which is followed; when it hurts as well, nothing more is pushed."""
    bench = _Bench(tmp_path)
    bench.pushing = replace(bench.pushing, branch=None)
    bench.ask()

    async def twice(fetcher: Fetcher) -> None:
        await fetcher.fetch_once()
        await fetcher.fetch_once()

    (outcome,) = bench.look(twice)
    made = bench.branches["main"]
    assert (outcome.standing, outcome.branch, outcome.made) == (RevertStanding.PUSHED, "main", made)
    state = read_state(bench.mirror)
    assert state is not None
    assert (state.commit, state.rewritten_from) == (made, None)
    raw = subprocess.run(["git", "cat-file", "commit", made], cwd=bench.remote, capture_output=True, check=True).stdout
    assert reverts_what(raw) == bench.bad

    bench.ask(commit=made, back_to=bench.good)
    (again,) = bench.look()
    assert again.standing is RevertStanding.IS_A_REVERT
    assert bench.branches == {"main": made}


def test_nothing_is_pushed_where_the_branch_has_moved(tmp_path: Path) -> None:
    """Whoever pushed since then has looked: it is said where the branch is, and the repository stays as it is."""
    bench = _Bench(tmp_path)
    bench.look()
    bench.ask()
    newer = push(tmp_path / "w", bench.remote, {_A: policy("newer")})

    (outcome,) = bench.look()

    assert (outcome.standing, outcome.made) == (RevertStanding.MOVED, None)
    assert newer in outcome.message
    assert bench.branches == {"main": newer}


@pytest.mark.parametrize("what", ["rewritten", "nothing read", "same content", "not known"])
def test_what_cannot_be_reverted_is_said(what: str, tmp_path: Path) -> None:
    """Only a former state of the same branch is ever pushed, and no empty commit."""
    bench = _Bench(tmp_path)
    if what == "rewritten":
        other = tmp_path / "other"
        git(tmp_path, "clone", "--quiet", str(bench.remote), str(other))
        git(other, "checkout", "--quiet", "--orphan", "x")
        bench.bad = push(other, bench.remote, {_A: policy("stranger")}, force=True)
        bench.ask()
    elif what == "same content":
        bench.bad = push(tmp_path / "w", bench.remote, {_A: policy("good"), _B: policy("b3")})
        bench.ask()
    else:
        bench.ask(back_to="1" * 40 if what == "not known" else None)
        if what == "nothing read":
            bench.file.write_bytes(bench.file.read_bytes().replace(b"clusters/a", b"clusters/c"))

    (outcome,) = bench.look()

    nothing = what in ("nothing read", "same content")
    assert outcome.standing is (RevertStanding.NOTHING_TO_REVERT if nothing else RevertStanding.CANNOT_BE_MADE)
    assert list(bench.branches) == ["main"]


def test_a_refused_push_is_tried_again_a_few_times_only(tmp_path: Path) -> None:
    """With growing pauses, told with the server's words, counted also over restarts; then it is given up."""
    bench = _Bench(tmp_path)
    name = f"muslin/revert-{bench.bad[:12]}"
    other = git(bench.remote, "commit-tree", "-m", "other", f"{bench.good}^{{tree}}")
    git(bench.remote, "update-ref", f"refs/heads/{name}", other)
    bench.ask()
    tries = []
    for _ in range(4 * TRIES):
        (outcome,) = bench.look()
        tries.append(outcome.tries)
        bench.clock += timedelta(minutes=4)

    assert (outcome.standing, outcome.tries) == (RevertStanding.GIVEN_UP, TRIES)
    assert tries[:7] == [1, 2, 3, 4, 4, 5, 5]
    assert "non-fast-forward" in outcome.message or "fetch first" in outcome.message
    assert bench.branches[name] == other
    assert sum("refused" in line.lower() for line in bench.said) == TRIES


def test_one_bad_commit_never_gives_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before each command of git in turn, the next fetcher goes on with the same commit, and pushes it."""
    made, crashes = set[str](), 0
    for crash in range(30):
        bench = _Bench(tmp_path / str(crash))
        bench.look()
        bench.ask()
        left = [crash]

        async def murdered(fetcher: Fetcher, left: list[int] = left) -> None:
            inner = fetcher._run

            async def call(command: tuple[str, ...], *args: int, **options: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt
                return await inner(command, *args, **options)  # type: ignore[arg-type]

            fetcher._run = call  # type: ignore[method-assign, assignment]
            assert fetcher._reverting is not None
            fetcher._reverting._call = call  # type: ignore[assignment]
            await fetcher.fetch_once()

        try:
            bench.look(murdered)
            done = True
        except KeyboardInterrupt:
            done = False
        bench.clock += timedelta(hours=1)
        (outcome,) = bench.look()
        name = f"muslin/revert-{bench.bad[:12]}"
        assert (outcome.standing, outcome.made) == (RevertStanding.PUSHED, bench.branches[name])
        assert reference(bench.mirror, f"{REVERTS}{bench.bad}") == outcome.made
        made.add(bench.branches[name])
        if done:
            break
        crashes += 1

    assert crashes >= 9
    assert len(made) == 1


def test_a_push_whose_record_was_lost_is_not_made_again(tmp_path: Path) -> None:
    """Dead between the push to the followed branch and the state: the next one sees its own commit there, and ends."""
    bench = _Bench(tmp_path)
    bench.pushing = replace(bench.pushing, branch=None)
    bench.ask()
    bench.look()
    made = bench.branches["main"]
    state = bench.mirror / "muslin-fetch.json"
    state.write_text(state.read_text().replace('"reverts": [', '"reverts_": ['))

    (outcome,) = bench.look()

    assert (outcome.standing, outcome.made) == (RevertStanding.PUSHED, made)
    assert bench.branches == {"main": made}


@pytest.mark.parametrize("hook", ["pre-receive", "update", "hooksPath"])
def test_programs_of_the_repository_are_not_started(hook: str, tmp_path: Path) -> None:
    """Hooks that may refuse are not gone around, those that only hear are not run, and no setting starts anything."""
    bench = _Bench(tmp_path)
    touched = tmp_path / "touched"
    for name in ("post-receive", "post-update", *(() if hook == "hooksPath" else (hook,))):
        (bench.remote / "hooks").mkdir(exist_ok=True)
        (bench.remote / "hooks" / name).write_text(f"#!/bin/sh\ntouch {touched}\n")
        (bench.remote / "hooks" / name).chmod(0o755)
    for name in ("core.alternateRefsCommand", "core.fsmonitor", "gc.recentObjectsHook"):
        git(bench.remote, "config", name, f"touch {touched}")
    if hook == "hooksPath":
        git(bench.remote, "config", "core.hooksPath", str(tmp_path))
    (bench.mirror / "hooks").mkdir()
    for name in ("pre-push", "reference-transaction", "post-index-change"):
        (bench.mirror / "hooks" / name).write_text(f"#!/bin/sh\ntouch {touched}\n")
        (bench.mirror / "hooks" / name).chmod(0o755)
    bench.ask()
    (outcome,) = bench.look()
    assert outcome.standing is RevertStanding.CANNOT_BE_MADE
    assert hook.lower() in outcome.message.lower()

    if hook == "hooksPath":
        git(bench.remote, "config", "--unset", "core.hooksPath")
    else:
        (bench.remote / "hooks" / hook).unlink()
    (outcome,) = bench.look()  # the operator has mended it, and started anew
    assert outcome.standing is RevertStanding.PUSHED
    assert not touched.exists()


def test_where_commits_must_be_signed_a_revert_is_signed_or_not_pushed(tmp_path: Path) -> None:
    """By a key that may change these paths it is pushed, and the fetcher follows it; else it says what is missing."""
    for name in ("person", "robot"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    keys = {name: (tmp_path / f"{name}.pub").read_text() for name in ("person", "robot")}
    signers = tmp_path / "signers"
    signers.write_text(f"person@example.org {keys['person']}")
    bench = _Bench(tmp_path / "b")
    bench.look()
    bench.policy = Policy(signers, anchor=bench.bad)
    bench.pushing = replace(bench.pushing, branch=None, key=tmp_path / "robot")
    bench.ask()
    (outcome,) = bench.look()
    assert outcome.standing is RevertStanding.NOT_VERIFIED
    assert "nobody we know" in outcome.message
    assert bench.branches == {"main": bench.bad}
    assert reference(bench.mirror, f"{REVERTS}{bench.bad}") is None

    signers.write_text(f"{signers.read_text()}robot@example.org {keys['robot']}")

    async def twice(fetcher: Fetcher) -> None:
        await fetcher.fetch_once()
        await fetcher.fetch_once()

    (outcome,) = bench.look(twice)
    assert outcome.standing is RevertStanding.PUSHED
    state = read_state(bench.mirror)
    assert state is not None
    assert (state.commit, state.verified) == (bench.branches["main"], bench.branches["main"])
