"""What a commit says of itself, from git's own objects and from hostile ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler.commit_text import commit_text

_TREE = b"4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@pytest.mark.slow
def test_gits_own_commit(tmp_path: Path) -> None:
    """Tree and author are those that git itself shows."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=Ada Byron", "-c", "user.email=ada@example.com"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    data = subprocess.run([*git, "cat-file", "commit", "HEAD"], check=True, capture_output=True).stdout
    found = commit_text(data)
    assert found.tree == _TREE.decode()
    assert found.author == "Ada Byron <ada@example.com>"


@pytest.mark.parametrize(
    ("header", "author"),
    [
        (b"author A <a@example.com> 1 +0000\ncommitter B <b@example.com> 1 +0000", "A <a@example.com>"),
        (b"parent x\nauthor <a@example.com> 1 +0000", "<a@example.com>"),
        (b"author J\xf6rg <j@example.com> 1 +0000", "J\ufffdrg <j@example.com>"),
        (b"author A\x1b[31m <a@example.com> 1 +0000", "A?[31m <a@example.com>"),
        (b"author nobody", None),
        (b"committer B <b@example.com> 1 +0000", None),
        (b"author " + b"x" * 5000 + b" <a@example.com> 1 +0000", "x" * 200),
    ],
)
def test_authors(header: bytes, author: str | None) -> None:
    """Whatever stands there is shown as printable text of bounded length, or not at all."""
    assert (
        commit_text(b"tree " + _TREE + b"\n" + header + b"\n\nauthor Eve <eve@example.com> 1 +0000\n").author == author
    )


@pytest.mark.parametrize("data", [b"", b"tree 12\n\n", b"author A <a@example.com> 1 +0000\n\nx"])
def test_a_commit_without_a_tree(data: bytes) -> None:
    """It is refused in a sentence."""
    with pytest.raises(ValueError, match="no tree"):
        commit_text(data)
