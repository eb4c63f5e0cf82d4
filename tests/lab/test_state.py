"""The folder of a lab is private, and stands where the lab can see it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from muslin.errors import Failed
from muslin.lab.state import StateFolder


def test_the_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else can read a lab's datastore, logs or sockets, also where the folder was there with another mode."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    state = StateFolder.of("x")
    state.path.mkdir(parents=True, mode=0o755)
    state.create()

    assert [path.stat().st_mode & 0o777 for path in (state.path, state.logs)] == [0o700, 0o700]


def test_a_folder_below_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab mounts its own /run over the machine's, so its folder can't be there."""
    monkeypatch.setenv("XDG_STATE_HOME", "/run/user/1000")
    with pytest.raises(Failed, match="below /run"):
        StateFolder.of("x").create()


def test_without_a_home_each_user_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under /tmp the folder's name has the user id, so that two users do not meet."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)

    assert StateFolder.of("x").path == Path(f"/tmp/muslin-{os.geteuid()}/x")


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who can write to the parent must not lead us elsewhere."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "muslin").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "muslin" / "x").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Failed, match="somebody else"):
        StateFolder.of("x").create()
