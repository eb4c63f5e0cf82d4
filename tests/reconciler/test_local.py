"""A folder on disk is read as a commit of the same files would be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from muslin.errors import BadInput
from reconciler.local import read_folder
from tests.reconciler.cases import policy, policy_key


def test_a_folder_is_read_like_a_commit(tmp_path: Path) -> None:
    """Manifests in nested folders are read with places relative to the folder; other files are not looked at."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yaml").write_text(policy("a"))
    (tmp_path / "README.md").write_text("kind: Nothing")
    (tmp_path / ".hidden.yaml").write_text("kind: Nothing")
    reading = read_folder(tmp_path)

    assert reading.problems == ()
    assert {key: str(each.place) for key, each in reading.resources.items()} == {policy_key("a"): "deep/a.yaml:1:1"}


def test_symlinks_and_devices_are_problems(tmp_path: Path) -> None:
    """What is not a plain file is refused as in a commit, and reading it does not wait."""
    (tmp_path / "a.yaml").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").write_text("kind: [")
    reading = read_folder(tmp_path)

    assert [problem.where.split(":")[0] for problem in reading.problems] == ["a.yaml", "b.yaml", "c.yaml"]
    with pytest.raises(BadInput):
        read_folder(tmp_path / "nowhere")
