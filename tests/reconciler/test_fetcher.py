"""The fetcher over real repositories: what it follows, what it refuses, what it says, and what wakes it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from muslin.errors import BadInput, Failed, Unavailable
from reconciler.commands import TRACKED, Git
from reconciler.fetch_state import STATE_FILE, FetchState, Standing, read_state
from reconciler.fetcher import WAKE_FIFO, Fetcher
from reconciler.hook import install
from reconciler.remotes import Remote, redacted
from tests.reconciler.cases import policy
from tests.reconciler.repositories import bare, commit, git, push, raw_tree


def _fetch(
    mirror: Path,
    remote: Path,
    deed: Callable[[Fetcher], Awaitable[None]],
    poke: Path | None = None,
    timeout_s: float = 20,
) -> list[str]:
    """Open a fetcher, do something with it, close it; gives what it said."""
    said: list[str] = []

    async def scenario() -> None:
        fetcher = Fetcher(
            Git(mirror, Remote.parse(str(remote), "main", allow_local=True)),
            poke=poke,
            interval_s=60,
            timeout_s=timeout_s,
            random=Random(0),
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            say=said.append,
        )
        await fetcher.open()
        try:
            await deed(fetcher)
        finally:
            fetcher.close()

    asyncio.run(scenario())
    return said


async def _once(fetcher: Fetcher) -> None:
    await fetcher.fetch_once()


def _state(mirror: Path) -> FetchState:
    state = read_state(mirror)
    assert state is not None
    return state


def test_it_follows_the_branch_and_only_it(tmp_path: Path) -> None:
    """The mirror holds one reference, ours; tags and other branches are not fetched; a second look changes nothing."""
    remote, mirror = bare(tmp_path / "r"), tmp_path / "m"
    made = push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    git(tmp_path / "w", "push", "--quiet", str(remote), "HEAD:refs/tags/v1", "HEAD:refs/heads/other")
    said = _fetch(mirror, remote, _once)
    assert git(mirror, "for-each-ref", "--format=%(refname) %(objectname)") == f"{TRACKED} {made}"
    assert (_state(mirror).standing, _state(mirror).commit) == (Standing.CURRENT, made)
    assert len(said) == 1

    assert _fetch(mirror, remote, _once) == []
    assert not list((mirror).glob("hooks/*"))


def test_a_vanished_branch_is_not_an_empty_cluster(tmp_path: Path) -> None:
    """When the branch is deleted or the repository is away, the mirror keeps its commit and the state says why."""
    remote, mirror = bare(tmp_path / "r"), tmp_path / "m"
    made = push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    _fetch(mirror, remote, _once)
    git(remote, "update-ref", "-d", "refs/heads/main")
    _fetch(mirror, remote, _once)
    assert (_state(mirror).standing, _state(mirror).commit) == (Standing.BRANCH_MISSING, made)

    remote.rename(tmp_path / "elsewhere")
    with pytest.raises(Unavailable):
        _fetch(mirror, remote, _once)
    assert (_state(mirror).standing, _state(mirror).commit) == (Standing.UNREACHABLE, made)
    assert git(mirror, "rev-parse", TRACKED) == made


def test_a_forced_push_is_followed_and_said(tmp_path: Path) -> None:
    """A rewritten branch is followed; the state names the commit that it left, and that one stays readable."""
    remote, mirror = bare(tmp_path / "r"), tmp_path / "m"
    old = push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    _fetch(mirror, remote, _once)
    new = push(tmp_path / "w2", remote, {"b.yaml": policy("b")}, force=True)
    _fetch(mirror, remote, _once)
    assert (_state(mirror).commit, _state(mirror).rewritten_from) == (new, old)
    assert git(mirror, "cat-file", "-t", old) == "commit"

    newer = push(tmp_path / "w2", remote, {"c.yaml": policy("c")})
    _fetch(mirror, remote, _once)
    assert (_state(mirror).commit, _state(mirror).rewritten_from) == (newer, None)


def _damage(mirror: Path, how: str) -> None:
    if how == "broken packs":
        git(mirror, "repack", "-adq")
    for path in [each for each in (mirror / "objects").rglob("*") if each.is_file()]:
        path.chmod(0o600)
        path.write_bytes(b"no longer git's")
    if how == "no objects":
        shutil.rmtree(mirror / "objects")


@pytest.mark.parametrize("how", ["no objects", "broken packs", "broken objects"])
def test_a_damaged_mirror_is_fetched_anew(how: str, tmp_path: Path) -> None:
    """The mirror is a copy: whatever happened to it under a running fetcher, the next push heals it, and it is said."""
    remote, mirror = bare(tmp_path / "r"), tmp_path / "m"
    push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    made: list[str] = []

    async def deed(fetcher: Fetcher) -> None:
        await fetcher.fetch_once()
        _damage(mirror, how)
        made.append(push(tmp_path / "w", remote, {"b.yaml": policy("b")}))
        await fetcher.fetch_once()

    said = _fetch(mirror, remote, deed)

    assert (_state(mirror).standing, _state(mirror).commit) == (Standing.CURRENT, made[0])
    assert ("the mirror is damaged and is fetched anew" in said) is (how == "no objects")
    assert git(mirror, "ls-tree", "-r", "--name-only", made[0]).split() == ["b.yaml"]
    assert git(mirror, "cat-file", "blob", f"{made[0]}:b.yaml")


@pytest.mark.parametrize(
    "line", [("100644", "..", "x"), ("100644", ".git", "x"), ("100644", "a/b", "x"), ("40000", "d", "0" * 40)]
)
def test_malformed_objects_do_not_enter_the_mirror(line: tuple[str, str, str], tmp_path: Path) -> None:
    """A repository whose trees git's own check rejects is refused; the mirror stays where it was."""
    remote, mirror = bare(tmp_path / "r"), tmp_path / "m"
    good = push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    _fetch(mirror, remote, _once)
    commit(remote, raw_tree(remote, [line]), "refs/heads/main", parent=good)
    with pytest.raises(Unavailable):
        _fetch(mirror, remote, _once)

    assert (_state(mirror).standing, _state(mirror).commit) == (Standing.REFUSED, good)


def test_code_in_the_mirror_or_repository_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks, configuration in the home folder or environment, and submodules make git execute nothing."""
    executed = tmp_path / "executed"
    remote, mirror = bare(tmp_path / "r"), tmp_path / "m"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[core]\n\tfsmonitor = "touch {executed}"\n\tsshCommand = "touch {executed}"\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {executed}")
    push(tmp_path / "w", remote, {".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = {tmp_path}/w\n'})
    _fetch(mirror, remote, _once)
    hooks = mirror / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-update", "pre-auto-gc"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {executed}\n")
        (hooks / name).chmod(0o755)
    made = push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    _fetch(mirror, remote, _once)

    assert _state(mirror).commit == made
    assert not executed.exists()


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/x", "file:///etc", "http://example.org/a", "git://example.org/a", "fd::3", "-uexec",
        "--upload-pack=x", "ssh://-oProxyCommand=x/a", "ssh://a@-oProxyCommand=x/a", "https://example.org/a\nb",
        "https://example.org/a b", "https:///a", "https://example.org", "git@example.org:a", "relative/path",
        "https://example.org/a?x=y", "https://exa%00mple.org/a", "HTTPS::https://example.org/a", "ssh://-a@h/a", "",
        "https://[::1/a", "https://example.org:port/a", "transport::https://example.org/a", "/etc/repository",
        "https://u:p@example.org/a", "https://token@example.org/a", "ssh://git:p@example.org/a",
    ],
)  # fmt: skip
def test_addresses_outside_the_closed_list_are_refused(url: str) -> None:
    """Only https and ssh addresses in their plain form are fetched from; a path only when allowed."""
    with pytest.raises(BadInput) as caught:
        Remote.parse(url, "main")

    assert all(problem.fix for problem in caught.value.problems)


@pytest.mark.parametrize(
    "branch", ["", "-x", "--all", "a..b", "a b", "a:b", "+a", "/a", "a/", "a//b", "a.lock", "a\n", "*"]
)
def test_branches_that_are_no_names_are_refused(branch: str) -> None:
    """A branch is a plain name: no option, refspec or pattern."""
    with pytest.raises(BadInput):
        Remote.parse("https://example.org/a", branch)


def test_good_addresses_and_their_printed_form() -> None:
    """Plain addresses are taken as they are; what is printed has no password or token."""
    for url in ("https://example.org/a.git", "ssh://git@example.org:2222/a/b", "https://example.org:8443/a"):
        assert Remote.parse(url, "release/1.0").reference == "refs/heads/release/1.0"

    assert redacted("https://token@example.org/a") == "https://***@example.org/a"
    assert redacted("https://u:secret@example.org/a") == "https://u@example.org/a"
    assert redacted("ssh://git@example.org/a") == "ssh://git@example.org/a"


def test_a_git_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that takes too long is killed with all its children, and the state says so."""
    remote, mirror = bare(tmp_path / "r"), tmp_path / "m"
    push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    _fetch(mirror, remote, _once)
    front = tmp_path / "bin" / "git"
    front.parent.mkdir()
    real = shutil.which("git")
    front.write_text(
        f'#!/bin/sh\ncase "$*" in *ls-remote*) echo $$ >{tmp_path}/pid; sleep 600;; esac\nexec {real} "$@"\n'
    )
    front.chmod(0o755)
    monkeypatch.setenv("PATH", f"{front.parent}:{os.environ['PATH']}")
    with pytest.raises(Unavailable):
        _fetch(mirror, remote, _once, timeout_s=0.3)

    assert "longer than" in _state(mirror).message
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_a_mirror_that_cannot_be_written_is_told_and_tried_again(tmp_path: Path) -> None:
    """A full disk and the like are no end: it is said as something to be tried again, and the next look does it."""
    remote, mirror = bare(tmp_path / "r"), tmp_path / "m"
    made = push(tmp_path / "w", remote, {"a.yaml": policy("a")})

    async def deed(fetcher: Fetcher) -> None:
        (mirror / STATE_FILE).mkdir()
        with pytest.raises(Unavailable, match="cannot be written"):
            await fetcher.fetch_once()
        (mirror / STATE_FILE).rmdir()
        await fetcher.fetch_once()

    said = _fetch(mirror, remote, deed)
    assert (_state(mirror).standing, _state(mirror).commit) == (Standing.CURRENT, made)
    assert said == [f"Current {made}"]


def test_a_machine_without_git_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git no mirror can be made, and with a mirror its state says why nothing is fetched."""
    remote = bare(tmp_path / "r")
    made = push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    _fetch(tmp_path / "m", remote, _once)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(Failed, match="git cannot be started: No such file"):
        _fetch(tmp_path / "new", remote, _once)
    with pytest.raises(Unavailable):
        _fetch(tmp_path / "m", remote, _once)

    assert (_state(tmp_path / "m").standing, _state(tmp_path / "m").commit) == (Standing.UNREACHABLE, made)
    assert "git cannot be started" in _state(tmp_path / "m").message


@pytest.mark.slow
def test_what_a_git_that_was_ended_left_does_not_stop_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch that is killed leaves locks and half packs; they are gone when the same fetcher fetches again."""
    remote, mirror = bare(tmp_path / "r"), tmp_path / "m"
    push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    _fetch(mirror, remote, _once)
    made = push(tmp_path / "w", remote, {"b.yaml": policy("b")})
    front, hangs = tmp_path / "bin" / "git", tmp_path / "hangs"
    front.parent.mkdir()
    leaves = f"{mirror}/shallow.lock {mirror}/{TRACKED}.lock {mirror}/objects/pack/tmp_pack_x"
    front.write_text(
        f"#!/bin/sh\n[ -e {hangs} ] && case \"$*\" in *' fetch '*) touch {leaves}; sleep 600;; esac\n"
        f'exec {shutil.which("git")} "$@"\n'
    )
    front.chmod(0o755)
    monkeypatch.setenv("PATH", f"{front.parent}:{os.environ['PATH']}")
    hangs.touch()

    async def deed(fetcher: Fetcher) -> None:
        with pytest.raises(Unavailable, match="longer than"):
            await fetcher.fetch_once()
        hangs.unlink()
        await fetcher.fetch_once()

    _fetch(mirror, remote, deed, timeout_s=2)
    assert _state(mirror).commit == made
    assert not [path for path in mirror.rglob("*") if path.name.endswith(".lock") and "muslin-fetch" not in path.name]
    assert not list(mirror.rglob("tmp_*"))


def test_one_folder_has_one_fetcher_and_leftovers_of_a_killed_git_heal(tmp_path: Path) -> None:
    """A folder with other things is refused; lock files that a killed git left do not stop the next fetch."""
    remote, mirror = bare(tmp_path / "r"), tmp_path / "m"
    push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    _fetch(mirror, remote, _once)
    made = push(tmp_path / "w", remote, {"b.yaml": policy("b")})
    for left in (f"{TRACKED}.lock", "packed-refs.lock", "HEAD.lock", "config.lock", "shallow.lock"):
        (mirror / left).touch()
    _fetch(mirror, remote, _once)
    assert _state(mirror).commit == made

    with pytest.raises(BadInput):
        _fetch(tmp_path / "w", remote, _once)


def test_a_push_wakes_the_fetcher_and_the_fetcher_the_reconciler(tmp_path: Path) -> None:
    """With the hook installed, a push is in the mirror and poked on without any polling, long before the interval."""
    remote, mirror, poked = bare(tmp_path / "r"), tmp_path / "m", tmp_path / "s"
    push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    install(remote, mirror / WAKE_FIFO)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(poked))
        receiver.setblocking(False)

        async def deed(fetcher: Fetcher) -> None:
            running = asyncio.ensure_future(fetcher.run())
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_recv(receiver, 64), 10)
            made = await asyncio.to_thread(push, tmp_path / "w", remote, {"b.yaml": policy("b")})
            await asyncio.wait_for(loop.sock_recv(receiver, 64), 10)
            assert _state(mirror).commit == made
            fetcher.stop()
            await asyncio.wait_for(running, 10)

        _fetch(mirror, remote, deed, poke=poked)


def test_the_hook_never_holds_the_pusher(tmp_path: Path) -> None:
    """With no FIFO, with one that nobody reads, and with a full one, the hook ends at once and successfully."""
    remote, fifo = bare(tmp_path / "r"), tmp_path / "it's a fifo"
    hook = install(remote, fifo)
    assert install(remote, fifo) == hook

    def run() -> float:
        begun = time.monotonic()
        done = subprocess.run([str(hook)], stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        return time.monotonic() - begun

    run()
    os.mkfifo(fifo)
    run()
    full = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(full, b"x" * 65536)
        assert run() < 2
    finally:
        os.set_blocking(full, False)
        os.read(full, 65536)
        os.close(full)
    assert stat.S_ISFIFO(fifo.stat().st_mode)

    hook.write_text("#!/bin/sh\nsomebody elses\n")
    with pytest.raises(BadInput):
        install(remote, fifo)
