"""What a lab of facts begins with: their files in its repository, pushed as a person would, a group at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from blueprints.decision import Blueprint
from blueprints.emit import render
from muslin.lab.demo.repository import Clone
from muslin.lab.state import StateFolder

__all__ = ["push_decided"]


def push_decided(state: StateFolder, facts: str, decided: Blueprint) -> Sequence[str]:
    """Push the facts and what follows from them, each group in a commit of its own.

    Args:
        state: of the lab, which is up.
        facts: the text of the cluster's file.
        decided: what follows.

    Returns:
        The commits, in order.

    Raises:
        Failed: git says no.
    """
    commits = []
    with tempfile.TemporaryDirectory(prefix="muslin-lab-") as folder:
        clone = Clone(Path(folder), state.repository)
        for group in decided.groups:
            texts = {"cluster.yaml": facts, **render(decided, [group.name])}
            commits.append(clone.push(f"{decided.cluster}: {group.name}", texts).commit)
    return commits
