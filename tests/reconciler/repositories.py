"""Real git repositories in a temporary folder, also ones that no honest client makes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from reconciler.commands import TRACKED

__all__ = ["Tree", "git", "mirror_of", "push"]

_WHO = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}  # fmt: skip

Tree = list[tuple[str, str, str | bytes]]
"""Lines of a tree: mode, name, and the content of a blob or the id of anything else."""


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    """What git says, in a folder; a failure is an error of the test."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, input=stdin, capture_output=True, check=False, env={**os.environ, **_WHO}
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def bare(folder: Path) -> Path:
    """An empty bare repository."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    return folder


def blob(repository: Path, content: str | bytes) -> str:
    """The id of a new blob."""
    data = content.encode() if isinstance(content, str) else content
    return git(repository, "hash-object", "-w", "--stdin", stdin=data)


def raw_tree(repository: Path, lines: Tree) -> str:
    """The id of a tree made of raw bytes: any mode and any name, in this order."""
    data = b""
    for mode, name, content in lines:
        directly = mode in ("40000", "160000")
        object_id = str(content) if directly else blob(repository, content)
        data += f"{mode} ".encode() + os.fsencode(name) + b"\0" + bytes.fromhex(object_id)
    return git(repository, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=data)


def commit(repository: Path, tree: str, reference: str, *, parent: str | None = None) -> str:
    """The id of a new commit at which a reference now points."""
    parents = ("-p", parent) if parent else ()
    made = git(repository, "commit-tree", "-m", "x", *parents, tree)
    git(repository, "update-ref", reference, made)
    return made


def files_tree(repository: Path, files: Mapping[str, str]) -> str:
    """The id of a tree of plain files in nested folders."""
    here: Tree = []
    folders: dict[str, dict[str, str]] = {}
    for path, content in files.items():
        first, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(first, {})[rest] = content
        else:
            here.append(("100644", first, content))
    here += [("40000", name, files_tree(repository, below)) for name, below in folders.items()]
    return raw_tree(repository, sorted(here, key=lambda line: line[1] + ("/" if line[0] == "40000" else "")))


def mirror_of(folder: Path, lines: Tree) -> tuple[Path, str]:
    """A mirror as the fetcher leaves it, whose commit has this hostile tree; with the commit's id."""
    repository = bare(folder)
    return repository, commit(repository, raw_tree(repository, lines), TRACKED)


def push(work: Path, remote: Path, files: Mapping[str, str], *, force: bool = False) -> str:
    """Commit these files, and no others, in a work tree and push them to `main`, as a person does."""
    if not work.exists():
        work.mkdir(parents=True)
        git(work, "init", "--quiet", "--initial-branch=main")
    for old in [path for path in work.rglob("*") if path.is_file() and ".git" not in path.parts]:
        old.unlink()
    for path, content in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(content)
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--allow-empty", "-m", "change")
    git(work, "push", "--quiet", *(("--force",) if force else ()), str(remote), "HEAD:refs/heads/main")
    return git(work, "rev-parse", "HEAD")
