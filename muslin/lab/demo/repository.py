"""A person's clone of the lab's repository: write files, commit, push. The git binary, with fixed arguments."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from muslin.errors import Failed, Problem

__all__ = ["Clone", "Push"]

_PERSON = ("-c", "user.name=You", "-c", "user.email=you@example.org", "-c", "commit.gpgsign=false")


class Push:
    """A push that went through: its commit, and when it began and ended (CLOCK_MONOTONIC seconds)."""

    def __init__(self, commit: str, began: float, ended: float) -> None:
        self.commit, self.began, self.ended = commit, began, ended


class Clone:
    """A working copy in `folder` of the bare repository."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("remote", "add", "origin", str(repository))

    def push(self, message: str, files: Mapping[str, str]) -> Push:
        """Write these files, commit and push them."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self._push()

    def revert(self) -> Push:
        """Take the last commit back with another one, and push that."""
        self.git("revert", "--no-edit", "HEAD")
        return self._push()

    def _push(self) -> Push:
        commit = self.git("rev-parse", "HEAD").strip()
        began = time.monotonic()
        self.git("push", "--quiet", "origin", "main")
        return Push(commit, began, time.monotonic())

    def git(self, *arguments: str) -> str:
        """Run git in the folder; gives what it printed. Raises Failed."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", *_PERSON, *arguments],
            cwd=self.folder,
            env={**environment, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        if done.returncode != 0:
            raise Failed(
                Problem(f"git {arguments[0]} failed: {done.stderr.strip()}", str(self.folder), "see the message")
            )
        return done.stdout
