"""Repositories made to harm: real trees, objects and packs; what is executed is what the kernel was asked for."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import re
import resource
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from aiohttp import web

from muslin.errors import Unavailable
from reconciler.commands import TRACKED, Git
from reconciler.credentials import Credentials
from reconciler.fetch_state import Standing, read_state
from reconciler.fetcher import Fetcher
from reconciler.references import reference
from reconciler.remotes import Remote
from reconciler.reverts import Because, RevertAsked, RevertStanding, written
from reconciler.selection import Selection
from reconciler.tree import Limits
from tests.reconciler.cases import policy, policy_key
from tests.reconciler.repositories import Tree, bare, blob, commit, git, mirror_of, push, raw_tree
from tests.reconciler.test_source import read
from tests.support.certificates import Authority, Pair
from tests.support.git_server import GitServer


@pytest.fixture(scope="module")
def server_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pair, Path]:
    """A server's certificate, and who signed it."""
    authority = Authority(tmp_path_factory.mktemp("ca"))
    return authority.issue("server"), authority.cert


_GOOD: Tree = [("100644", "good.yaml", policy("good"))]


def _fetched(mirror: Path, remote: Path) -> list[str]:
    """Let a fetcher look once, whatever comes of it; gives what it said."""
    said: list[str] = []

    async def scenario() -> None:
        fetcher = Fetcher(
            Git(mirror, Remote.parse(str(remote), "main", allow_local=True)),
            poke=None,
            interval_s=60,
            timeout_s=20,
            random=Random(0),
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            say=said.append,
        )
        await fetcher.open()
        try:
            await fetcher.fetch_once()
        except Unavailable as error:
            said.append(str(error))
        finally:
            fetcher.close()

    asyncio.run(scenario())
    return said


def _executed(log: Path, *command: str | Path) -> list[list[str]]:
    """The argument lists that a process and all its children executed, as strace saw them; it must end well."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    call = [strace, "-f", "-qq", "-e", "trace=execve,execveat", "-s", "4000", "-o", log, *command]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [line for line in log.read_text().splitlines() if "= -1 ENOENT" not in line]
    found = [re.search(r"execve(?:at)?\(.*?, (\[.*?\]), 0x", line) for line in lines]
    return [ast.literal_eval(each[1]) for each in found if each is not None][1:]


_EVIL_CONFIG = """
[core]
	fsmonitor = touch EXECUTED
	sshCommand = touch EXECUTED
	hooksPath = EVIL
	pager = touch EXECUTED
	gitProxy = touch EXECUTED
[alias]
	cat-file = !touch EXECUTED
[uploadpack]
	packObjectsHook = touch EXECUTED
[filter "x"]
	smudge = touch EXECUTED
	clean = touch EXECUTED
	process = touch EXECUTED
[diff]
	external = touch EXECUTED
[diff "x"]
	textconv = touch EXECUTED
[remote "origin"]
	url = ext::touch EXECUTED
	uploadpack = touch EXECUTED
[include]
	path = EVIL/included
[submodule "s"]
	update = !touch EXECUTED
[push]
	gpgSign = if-asked
[gpg]
	program = touch EXECUTED
[gpg "ssh"]
	program = touch EXECUTED
	defaultKeyCommand = touch EXECUTED
[commit]
	gpgSign = true
[receive]
	autogc = true
"""
_ATTRIBUTES = "* filter=x diff=x merge=x ident eol=crlf working-tree-encoding=utf-16\n"


@pytest.mark.slow
def test_neither_fetcher_nor_reader_executes_anything_of_a_repository(tmp_path: Path) -> None:
    """Hooks, filters, drivers, aliases, submodules and configuration of a repository and of a mirror start nothing."""
    executed, remote, mirror = tmp_path / "executed", bare(tmp_path / "r"), tmp_path / "m"
    link, gone = "1" * 40, ".gitmodules"
    evil = f'[submodule "s"]\n\tpath = s\n\turl = ext::touch {executed}\n'
    lines: Tree = [("100644", ".gitattributes", _ATTRIBUTES), ("100644", gone, evil), *_GOOD, ("160000", "s", link)]
    made = commit(remote, raw_tree(remote, lines), "refs/heads/main")
    more: Tree = [*_GOOD, ("100644", "more.yaml", policy("more"))]
    again = commit(remote, raw_tree(remote, more), "refs/heads/next", parent=made)
    config = _EVIL_CONFIG.replace("EXECUTED", str(executed)).replace("EVIL", str(tmp_path / "evil"))
    (tmp_path / "evil").mkdir()
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc", "post-rewrite"):
        (tmp_path / "evil" / name).write_text(f"#!/bin/sh\ntouch {executed}\n")
        (tmp_path / "evil" / name).chmod(0o755)
    with (remote / "config").open("a") as file:
        file.write(config)
    (remote / "info").mkdir(exist_ok=True)
    (remote / "info" / "attributes").write_text(_ATTRIBUTES)
    fetch = (
        sys.executable,
        "-m",
        "reconciler.fetch_process",
        "--allow-local",
        "--repository",
        remote,
        "--mirror",
        mirror,
    )
    first = _executed(tmp_path / "log1", *fetch, "--once")
    with (mirror / "config").open("a") as file:
        file.write(config)
    shutil.copytree(tmp_path / "evil", mirror / "hooks")
    (remote / "refs" / "heads" / "main").write_text(f"{again}\n")
    second = _executed(tmp_path / "log2", *fetch, "--once")
    program = (
        "import asyncio, sys; from pathlib import Path; from reconciler.source import GitSource\n"
        f"source = GitSource(Path({str(mirror)!r}))\n"
        f"for commit in ({made!r}, {again!r}):\n    asyncio.run(source.read(commit))\n"
    )
    reading = _executed(tmp_path / "log3", sys.executable, "-c", program)

    assert reference(mirror, TRACKED) == again
    assert not executed.exists()
    assert min(len(first), len(second)) > 3
    for call in first + second:
        shell = call[0] in ("sh", "/bin/sh") and call[2].startswith("git-upload-pack ")
        assert shell or Path(call[0]).name in ("git", "git-upload-pack"), call
    assert {tuple(call[1:]) for call in reading} == {
        ("version",),
        ("cat-file", "--batch"),
        ("cat-file", "--batch-check"),
    }
    assert {Path(call[0]).name for call in reading} == {"git"}


@pytest.mark.slow
def test_a_revert_executes_nothing_of_a_repository(tmp_path: Path) -> None:
    """Hooks and configuration of mirror and repository start nothing when a commit is made, signed and pushed."""
    executed, remote, mirror, evil = tmp_path / "executed", bare(tmp_path / "r"), tmp_path / "m", tmp_path / "evil"
    attributes: Tree = [("100644", ".gitattributes", _ATTRIBUTES)]
    good = commit(remote, raw_tree(remote, [*attributes, *_GOOD]), "refs/heads/main")
    fetch = (sys.executable, "-m", "reconciler.fetch_process", "--allow-local", "--mirror", mirror, "--once")
    _executed(tmp_path / "log1", *fetch, "--repository", remote)
    more: Tree = [*attributes, *_GOOD, ("100644", "more.yaml", policy("more"))]
    bad = commit(remote, raw_tree(remote, more), "refs/heads/main", parent=good)
    evil.mkdir()
    for name in ("post-receive", "post-update", "pre-push", "reference-transaction", "post-index-change", "pre-commit"):
        (evil / name).write_text(f"#!/bin/sh\ntouch {executed}\n")
        (evil / name).chmod(0o755)
    config = _EVIL_CONFIG.replace("EXECUTED", str(executed))
    local = "".join(line for line in config.splitlines(keepends=True) if "hooksPath" not in line)
    for folder, text in ((remote, local.replace("[include]\n\tpath = EVIL/included\n", "")), (mirror, config)):
        with (folder / "config").open("a") as file:
            file.write(text.replace("EVIL", str(evil)))
        shutil.copytree(evil, folder / "hooks", dirs_exist_ok=True)
    (remote / "hooks" / "reference-transaction").unlink()  # which may refuse, and is not gone around
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    asked = RevertAsked("a", "", bad, good, Selection(), Because.ASKED, "x", "2026-01-01T00:00:00Z")
    (tmp_path / "asked").write_bytes(written([asked]))
    pushes = ("--revert-requests", tmp_path / "asked", "--revert-key", tmp_path / "key")
    calls = _executed(tmp_path / "log2", *fetch, *pushes, "--repository", remote)

    state = read_state(mirror)
    assert state is not None
    assert [each.standing for each in state.reverts] == [RevertStanding.PUSHED]
    assert not executed.exists()
    for call in calls:
        shell = call[0] in ("sh", "/bin/sh") and re.match(r"git-upload-pack |git -c .* receive-pack ", call[2])
        assert shell or Path(call[0]).name in ("git", "git-upload-pack", "ssh-keygen"), call
    assert sum(Path(call[0]).name == "ssh-keygen" for call in calls) == 1


def _packed(objects: list[bytes]) -> bytes:
    body = b"PACK" + struct.pack(">II", 2, len(objects)) + b"".join(objects)
    return body + hashlib.sha1(body).digest()


def _entry(kind: int, size: int, deflated: bytes, base: bytes = b"") -> bytes:
    """One object of a pack: kind and size as they are written, whatever the content is."""
    first, rest = (kind << 4) | (size & 15), size >> 4
    head = bytearray()
    while rest:
        head.append(first | 0x80)
        first, rest = rest & 0x7F, rest >> 7
    return bytes([*head, first]) + base + deflated


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _bomb(megabytes: int) -> bytes:
    """Zeros, deflated: a thousandth of their size."""
    press = zlib.compressobj(9)
    return b"".join(press.compress(bytes(1 << 20)) for _ in range(megabytes)) + press.flush()


def _evil(tip: str, pack: bytes) -> Callable[[web.BaseRequest, bytes], web.Response]:
    """Answers as `git-upload-pack` does over HTTP in protocol 0: one branch, and this pack."""
    refs = f"{tip} refs/heads/main\0shallow agent=x\n".encode()
    told = b"001e# service=git-upload-pack\n0000" + f"{len(refs) + 4:04x}".encode() + refs + b"0000"

    def answer(request: web.BaseRequest, body: bytes) -> web.Response:
        if request.method == "GET":
            return _of_git(told, "advertisement")
        return _of_git(b"0008NAK\n" + (pack if b"0009done\n" in body else b""), "result")

    return answer


def _of_git(body: bytes, kind: str) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": f"application/x-git-upload-pack-{kind}"})


def _fetched_over_https(
    folder: Path, pair: Pair, authority: Path, evil: Callable[[web.BaseRequest, bytes], web.Response]
) -> list[str]:
    """Let a fetcher look at an honest repository, then at what an evil server makes of it; gives what it said."""
    said: list[str] = []
    server = GitServer(folder, pair)

    async def scenario() -> None:
        async with server.running() as address:
            fetcher = Fetcher(
                Git(folder / "m", Remote.parse(f"{address}/r", "main"), Credentials(authority=authority)),
                poke=None,
                interval_s=60,
                timeout_s=20,
                random=Random(0),
                now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
                say=said.append,
            )
            await fetcher.open()
            try:
                await fetcher.fetch_once()
                server.trick = evil
                await fetcher.fetch_once()
            except Unavailable as error:
                said.append(str(error))
            finally:
                fetcher.close()

    asyncio.run(scenario())
    return said


def _commit_of(lines: list[tuple[bytes, bytes, bytes]]) -> tuple[str, list[bytes]]:
    """A commit's id, and pack entries of it and its tree of (mode, name, id)."""
    tree = b"".join(mode + b" " + name + b"\0" + object_id for mode, name, object_id in lines)
    tree_id = hashlib.sha1(b"tree %d\0" % len(tree) + tree).digest()
    text = b"tree " + tree_id.hex().encode() + b"\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n"
    commit_id = hashlib.sha1(b"commit %d\0" % len(text) + text).hexdigest()
    return commit_id, [_entry(1, len(text), zlib.compress(text)), _entry(2, len(tree), zlib.compress(tree))]


def _blob_id(content: bytes) -> bytes:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).digest()


def _of_zeros(megabytes: int) -> bytes:
    digest = hashlib.sha1(b"blob %d\0" % (megabytes << 20))
    for _ in range(megabytes):
        digest.update(bytes(1 << 20))
    return digest.digest()


def _a_bomb() -> tuple[str, list[bytes]]:
    tip, objects = _commit_of([(b"100644", b"x.yaml", _of_zeros(64))])
    return tip, [*objects, _entry(3, 64 << 20, _bomb(64))]


def _a_lie_about_size() -> tuple[str, list[bytes]]:
    tip, objects = _commit_of([(b"100644", b"x.yaml", _blob_id(b"x"))])
    return tip, [*objects, _entry(3, 1, _bomb(64))]


def _a_claim_of_an_exabyte() -> tuple[str, list[bytes]]:
    tip, objects = _commit_of([(b"100644", b"x.yaml", _blob_id(b"x"))])
    return tip, [*objects, _entry(3, 1 << 60, zlib.compress(b"x"))]


def _a_delta_bomb() -> tuple[str, list[bytes]]:
    """Each object is a hundred copies of the one before: kilobytes that become terabytes."""
    tip, objects = _commit_of([(b"100644", b"x.yaml", _blob_id(b"y"))])
    content = b"a" * 65536
    base, size = _blob_id(content), len(content)
    objects.append(_entry(3, size, zlib.compress(content)))
    for _ in range(6):
        copy = bytes([0x80 | 0x10 | 0x20, 0xFF, 0xFF]) * 100
        delta = _varint(size) + _varint(min(size, 65535) * 100) + copy
        objects.append(_entry(7, len(delta), zlib.compress(delta), base))
        base, size = hashlib.sha1(base).digest(), 65535 * 100
    return tip, objects


def _a_delta_of_itself() -> tuple[str, list[bytes]]:
    tip, objects = _commit_of([(b"100644", b"x.yaml", b"\1" * 20)])
    return tip, [*objects, _entry(7, 3, zlib.compress(b"\1\1\0"), b"\1" * 20)]


def _an_object_too_few() -> tuple[str, list[bytes]]:
    return _commit_of([(b"100644", b"x.yaml", _blob_id(b"never sent"))])


def _a_tree_of_trees() -> tuple[str, list[bytes]]:
    """A thousand levels, each with two names of the same folder below: 2 to the 1000 paths."""
    objects: list[bytes] = []
    below = _blob_id(b"")
    for level in range(1000):
        mode = b"100644" if level == 0 else b"40000"
        tree = mode + b" a\0" + below + mode + b" b\0" + below
        below = hashlib.sha1(b"tree %d\0" % len(tree) + tree).digest()
        objects.append(_entry(2, len(tree), zlib.compress(tree)))
    tip, head = _commit_of([(b"40000", b"d", below)])
    return tip, [*head, *objects, _entry(3, 0, zlib.compress(b""))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "arrives"),
    [
        (_a_bomb, True), (_a_lie_about_size, False), (_a_claim_of_an_exabyte, False), (_a_delta_bomb, False),
        (_a_delta_of_itself, False), (_an_object_too_few, False), (_a_tree_of_trees, True),
    ],
)  # fmt: skip
def test_a_hostile_pack_costs_little_and_harms_nothing(
    made: Callable[[], tuple[str, list[bytes]]], arrives: bool, tmp_path: Path, server_pair: tuple[Pair, Path]
) -> None:
    """A pack that is a bomb, a lie or a knot is refused, or its files are problems; time and memory stay small."""
    tip, objects = made()
    mirror = tmp_path / "m"
    good = push(tmp_path / "w", bare(tmp_path / "r"), {"a.yaml": policy("a")})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _fetched_over_https(tmp_path, *server_pair, _evil(tip, _packed(objects)))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    state = read_state(mirror)

    assert state is not None
    assert (state.standing, state.commit) == ((Standing.CURRENT, tip) if arrives else (Standing.REFUSED, good))
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10
    assert after.ru_maxrss < 400 << 10
    assert sum(path.stat().st_size for path in mirror.rglob("*") if path.is_file()) < 3 << 20
    if arrives:
        problems = read(mirror, tip).problems
        assert problems
        assert (
            "is the limit" in problems[0].what or "deeper than" in problems[0].what or "more than" in problems[0].what
        )


_NAMES = [
    "refs/heads/-x", "refs/heads/--upload-pack=x", "refs/a/refs/heads/main", "refs/heads/main/../../x",
    "refs/tags/main",
    "refs/heads/$(touch x)", "refs/heads/\x1b[2J", "refs/muslin/tracked", "refs/replace/" + "1" * 40, "HEAD^{commit}",
]  # fmt: skip


@pytest.mark.slow
def test_references_with_odd_names_change_nothing(tmp_path: Path, server_pair: tuple[Pair, Path]) -> None:
    """Names that look like options, patterns, our own or another's namespace are neither fetched nor taken for ours."""
    remote, mirror = bare(tmp_path / "r"), tmp_path / "m"
    good = push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    git(remote, "update-ref", "refs/a/refs/heads/main", git(remote, "commit-tree", "-m", "y", f"{good}^{{tree}}"))
    git(remote, "update-ref", "refs/tags/main", good)
    git(remote, "update-ref", f"refs/replace/{good}", git(remote, "rev-parse", "refs/a/refs/heads/main"))
    _fetched(mirror, remote)
    assert _fetched(mirror, remote) == []
    assert git(mirror, "for-each-ref", "--format=%(refname) %(objectname)") == f"{TRACKED} {good}"
    git(remote, "update-ref", "-d", "refs/heads/main")
    _fetched(mirror, remote)
    state = read_state(mirror)
    assert state is not None
    assert (state.standing, state.commit) == (Standing.BRANCH_MISSING, good)

    lines = [f"{'1' * 40} {name}".encode() for name in _NAMES]
    lines[0] += b"\0agent=x"
    answer = b"".join(f"{len(line) + 5:04x}".encode() + line + b"\n" for line in lines) + b"0000"
    told = b"001e# service=git-upload-pack\n0000" + answer
    good = push(tmp_path / "w", bare(tmp_path / "s" / "r"), {"a.yaml": policy("a")})
    said = _fetched_over_https(tmp_path / "s", *server_pair, lambda *_: _of_git(told, "advertisement"))
    state = read_state(tmp_path / "s" / "m")
    assert state is not None
    assert state.commit == good
    assert state.message.isprintable()
    assert not any("\x1b" in line for line in said)


@pytest.mark.slow
def test_a_repository_cannot_borrow_objects_of_this_machine(tmp_path: Path) -> None:
    """Alternates and links in a repository do not make the fetcher bring files that the repository does not hold."""
    secret = tmp_path / "secret"
    secret.write_text(policy("secret"))
    other = bare(tmp_path / "other")
    hidden = blob(other, policy("hidden"))
    remote = bare(tmp_path / "r")
    push(tmp_path / "w", remote, {"a.yaml": policy("a")})
    (remote / "objects" / "info").mkdir(exist_ok=True)
    (remote / "objects" / "info" / "alternates").write_text(f"{other / 'objects'}\n")
    mirror = tmp_path / "m"
    _fetched(mirror, remote)

    assert not (mirror / "objects" / "info" / "alternates").exists()
    assert (
        subprocess.run(["git", "cat-file", "-e", hidden], cwd=mirror, capture_output=True, check=False).returncode != 0
    )
    assert not [path for path in mirror.rglob("*") if path.is_symlink()]


@pytest.mark.slow
@pytest.mark.parametrize(("names", "told"), [(300_000, "is the limit"), (1_001, "more than 1000 manifests")])
def test_a_folder_of_very_many_names_is_a_problem_soon(names: int, told: str, tmp_path: Path) -> None:
    """A tree object with more names than any cluster has is refused by its size, a smaller one by its count."""
    mirror = bare(tmp_path / "m")
    content = bytes.fromhex(blob(mirror, "x"))
    data = b"".join(b"100644 %06d.yaml\0" % index + content for index in range(names))
    tree = git(mirror, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=data)
    made = commit(mirror, tree, TRACKED)
    begun = resource.getrusage(resource.RUSAGE_SELF)
    problems = read(mirror, made, limits=Limits(files=1000)).problems
    ended = resource.getrusage(resource.RUSAGE_SELF)

    assert any(told in problem.what for problem in problems)
    assert ended.ru_utime - begun.ru_utime < 5


def test_a_hostile_tree_beside_a_good_one_is_told_for_each_set_that_reads_it(tmp_path: Path) -> None:
    """What lies outside a set's folders is nobody's problem there: it is not even looked at."""
    mirror, made = mirror_of(tmp_path / "m", [*_GOOD, ("120000", "link.yaml", "/etc/passwd")])
    assert read(mirror, made).problems
    inside = raw_tree(mirror, _GOOD)
    outside = raw_tree(mirror, [("120000", "x.yaml", "/etc/passwd"), ("160000", "s", "1" * 40)])
    both = commit(mirror, raw_tree(mirror, [("40000", "a", inside), ("40000", "b", outside)]), TRACKED)

    assert set(read(mirror, both, "a").resources) == {policy_key("good")}
    assert read(mirror, both, "a").problems == ()
    assert len(read(mirror, both, "b").problems) == 2
