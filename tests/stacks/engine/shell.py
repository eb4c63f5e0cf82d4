"""Command lines of Pulumi's, carried out by the small engine: those that the guide shows, and no others."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.stacks.engine.deployment import Result, Stack
from tests.support.kube_apiserver import KubeApiserver

__all__ = ["Shell", "UnknownCommand"]


class UnknownCommand(Exception):
    """A command line that this engine has no meaning for."""


class Shell:
    """`pulumi ...` in one folder.

    Args:
        server: the cluster.
    """

    def __init__(self, server: KubeApiserver) -> None:
        self._server = server
        self._stack: Stack | None = None

    def run(self, line: str, folder: Path) -> tuple[int, str]:
        """Exit status and what went wrong, as a person would see it."""
        words = shlex.split(line)[1:]
        if words[:2] == ["stack", "init"]:
            self._stack = Stack(folder, self._server, name=words[2])
            return 0, ""
        assert self._stack is not None, "no stack is chosen"
        stack = self._stack
        if words[:2] == ["config", "set"]:
            stack.config[words[2]] = words[3]
        elif words[:3] == ["stack", "export", "--file"]:
            (folder / words[3]).write_text(json.dumps(stack.state.exported()), "utf-8")
        elif words[:3] == ["state", "unprotect", "--all"]:
            stack.state.unprotect()
        elif words == ["preview"]:
            return _status(stack.preview())
        elif words == ["up", "--yes"]:
            return _status(stack.up())
        elif words == ["up", "--yes", "--expect-no-changes"]:
            done = stack.up()
            changed = [each.name for each in done.steps if each.action != "same"]
            return (1, f"changes: {changed}") if changed else _status(done)
        elif words == ["destroy", "--yes"]:
            return _status(stack.destroy())
        else:
            raise UnknownCommand(line)
        return 0, ""


def _status(done: Result) -> tuple[int, str]:
    return (1, done.error) if done.error else (0, "")
